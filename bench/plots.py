"""Draws the pictures of docs/PERFORMANCE.md from what the benchmarks measured.

    python bench/plots.py [RESULTS [PICTURES]]

Reads RESULTS/{path,latency,scale}.json (bench/results), writes PICTURES/*.svg
(docs/pictures). The same results give the same bytes.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt  # noqa: E402 # after the backend is chosen
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

Row = dict[str, Any]

BENCH = Path(__file__).resolve().parent

# Ceilings are grey and dashed, the rival is red, ours have the colours.
STYLES: dict[str, dict[str, Any]] = {
    "drop": {"color": "0.75", "linestyle": ":", "label": "XDP_DROP"},
    "afxdp-release": {"color": "0.55", "linestyle": "--", "label": "bare AF_XDP: receive, release"},
    "afxdp-copy": {"color": "0.25", "linestyle": "--", "label": "bare AF_XDP: receive, copy, release"},
    "recvmmsg": {"color": "tab:brown", "linestyle": "--", "label": "bare recvmmsg"},
    "gro": {"color": "tab:olive", "linestyle": "--", "label": "bare recvmmsg with GRO"},
    "incumbent": {"color": "tab:red", "linestyle": "-", "label": "incumbent's way"},
    "xdp-1": {"color": "tab:blue", "linestyle": "-", "label": "xdpsar, AF_XDP"},
    "xdp-2": {"color": "tab:cyan", "linestyle": "-", "label": "xdpsar, AF_XDP, 2 workers"},
    "xdp-lent": {"color": "tab:purple", "linestyle": "-", "label": "xdpsar, AF_XDP, lent"},
    "socket": {"color": "tab:green", "linestyle": "-", "label": "xdpsar, sockets"},
    "socket-nogro": {"color": "tab:pink", "linestyle": "-", "label": "xdpsar, sockets without GRO"},
}
OURS = ("xdp-1", "xdp-2", "xdp-lent", "socket", "socket-nogro")


def median(rows: Iterable[Row], field: str) -> float | None:
    values = [row[field] for row in rows if row.get(field) is not None]
    return statistics.median(values) if values else None


def is_of(row: Row, **wanted: object) -> bool:
    return all(row.get(name) == value for name, value in wanted.items())


def of(rows: Iterable[Row], **wanted: object) -> list[Row]:
    return [row for row in rows if is_of(row, **wanted)]


def counting(rows: Iterable[Row]) -> list[Row]:
    """Those whose consumer, if there is one, only counts."""
    return [row for row in rows if row.get("consumer") in (None, "count")]


def finish(figure: Figure, pictures: Path, name: str, note: str) -> None:
    figure.text(0.01, 0.005, note, fontsize=7, color="0.4")
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(pictures / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)
    print(pictures / f"{name}.svg")


def by_datagram(axes: Axes, rows: list[Row], contestants: Iterable[str]) -> None:
    """Gb/s over the datagram's size, a line for each contestant."""
    sizes = sorted({row["datagram"] for row in rows})
    for contestant in contestants:
        points = []
        for size in sizes:
            runs = of(rows, contestant=contestant, datagram=size, event=100_000)
            if (gbps := median(runs, "gbps")) is not None:
                points.append((size, gbps, [run["gbps"] for run in runs]))
        if not points:
            continue
        style = STYLES[contestant]
        x = [size for size, _, _ in points]
        axes.plot(x, [gbps for _, gbps, _ in points], marker="o", markersize=4, **style)
        axes.fill_between(
            x, [min(all_) for _, _, all_ in points], [max(all_) for _, _, all_ in points],
            color=style["color"], alpha=0.12, linewidth=0,
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel("datagram, bytes of UDP payload")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)


def throughput(path: Row, pictures: Path) -> None:
    rows = counting(path["runs"])
    rows = [row for row in rows if row.get("rate_gbps") is None]
    panels = [
        ("live", "one frame at a time, generated in the kernel", ("afxdp-release", "afxdp-copy", "xdp-1", "recvmmsg", "socket-nogro", "incumbent")),
        ("gso", "a sender with segmentation offload", ("afxdp-copy", "xdp-1", "gro", "socket", "recvmmsg", "incumbent")),
    ]
    figure, both = plt.subplots(1, 2, figsize=(11, 4.6))
    for axes, (sender, title, contestants) in zip(both, panels, strict=True):
        by_datagram(axes, of(rows, sender=sender), contestants)
        axes.set_title(title, fontsize=10)
        axes.set_ylabel("Gb/s of event bytes taken in")
        axes.legend(fontsize=8)
    finish(figure, pictures, "throughput", f"Events of 100 000 bytes, unpaced; median and range. {path['machine']}")


def cpu(path: Row, pictures: Path) -> None:
    rows = counting(path["runs"])
    rows = [row for row in rows if row.get("rate_gbps") is None and row["sender"] == "gso"]
    sizes = [size for size in (1400, 8900) if of(rows, datagram=size)]
    figure, all_axes = plt.subplots(1, len(sizes), figsize=(11, 4.2), squeeze=False)
    for axes, size in zip(all_axes[0], sizes, strict=True):
        names, receiver, sender = [], [], []
        for contestant in ("incumbent", "recvmmsg", "gro", "afxdp-copy", "socket-nogro", "socket", "xdp-1"):
            runs = of(rows, contestant=contestant, datagram=size, event=100_000)
            ours, theirs = median(runs, "receiver_cpu_s_per_gb"), median(runs, "sender_cpu_s_per_gb")
            if ours is None or theirs is None:
                continue
            names.append(STYLES[contestant]["label"])
            receiver.append(ours)
            sender.append(theirs)
        places = range(len(names))
        axes.barh(places, receiver, color="tab:blue", label="receiver")
        axes.barh(places, sender, left=receiver, color="0.8", label="sender, with what the kernel receives in its name")
        axes.set_yticks(places, names, fontsize=8)
        axes.invert_yaxis()
        axes.set_title(f"datagrams of {size} bytes", fontsize=10)
        axes.set_xlabel("CPU seconds per GB of events")
        axes.grid(axis="x", alpha=0.3)
    figure.legend(*all_axes[0][-1].get_legend_handles_labels(), loc="lower right", ncols=2, fontsize=8)
    finish(figure, pictures, "cpu", f"Sender with segmentation offload, events of 100 000 bytes, unpaced; medians. {path['machine']}")


def latency(document: Row, pictures: Path) -> None:
    """The share of events that the consumer has after so many microseconds."""
    rows = of(document["rows"], load="unloaded")
    counts = sorted({row["fragments"] for row in rows})
    colours = {"xdp": "tab:blue", "socket": "tab:green", "incumbent": "tab:red"}
    dashes = {"spin": "-", "adaptive": "--", "sleep": ":"}
    figure, all_axes = plt.subplots(1, len(counts), figsize=(11, 4.4), sharex=True, sharey=True, squeeze=False)
    for axes, fragments in zip(all_axes[0], counts, strict=True):
        for row in of(rows, fragments=fragments):
            # One line for each way to wait, both threads alike; where they
            # spin, on a core each.
            waits = row["worker_waits"]
            ours = row["receiver"] != "incumbent"
            if ours and (waits != row["consumer_waits"] or (waits == "spin" and row["shared_core"])):
                continue
            if not ours and waits != "select":
                continue
            label = f"{row['receiver']}, {waits}" + (", a core each" if waits == "spin" else "")
            axes.plot(
                row["cdf_us"], range(len(row["cdf_us"])),
                color=colours.get(row["receiver"], "0.3"), linestyle=dashes.get(waits, "-"), label=label,
            )
        axes.set_xscale("log")
        axes.set_title(f"events of {fragments} fragment{'s' if fragments > 1 else ''}, one per ms", fontsize=10)
        axes.set_xlabel("µs from the last fragment's system call to the consumer")
        axes.grid(alpha=0.3, which="both")
    all_axes[0][0].set_ylabel("% of events")
    all_axes[0][-1].legend(fontsize=8)
    finish(figure, pictures, "latency", f"Medians of the runs at each percentile. {document['machine']}")


def scaling(document: Row, pictures: Path) -> None:
    """Each curve a panel: nanoseconds over how much there is of something."""
    rows = document["rows"]
    curves = list(dict.fromkeys(row["curve"] for row in rows))
    width = 4
    height = -(-len(curves) // width)
    figure, all_axes = plt.subplots(height, width, figsize=(13, 3.1 * height), squeeze=False)
    panels = [axes for line in all_axes for axes in line]
    for axes, curve in zip(panels, curves, strict=False):
        of_curve = of(rows, curve=curve)
        names = list(dict.fromkeys(row["series"] for row in of_curve))
        if len(names) > 6:
            names = [name for name in names if name.startswith("assembled")]
        for series in names:
            line = sorted(of(of_curve, series=series), key=lambda row: row["count"])
            x = [row["count"] for row in line]
            axes.plot(x, [row["median_ns"] for row in line], marker="o", markersize=3, label=series)
            axes.fill_between(x, [row["low_ns"] for row in line], [row["high_ns"] for row in line], alpha=0.1, linewidth=0)
        axes.set_xscale("log", base=2 if max(row["count"] for row in of_curve) < 2000 else 10)
        axes.set_ylim(bottom=0)
        axes.set_title(curve, fontsize=10)
        axes.set_xlabel(of_curve[0]["of"], fontsize=8)
        axes.set_ylabel(f"ns per {of_curve[0]['per']}", fontsize=8)
        axes.legend(fontsize=6)
        axes.grid(alpha=0.3)
    for axes in panels[len(curves):]:
        axes.set_axis_off()
    finish(figure, pictures, "scaling", f"CPU time; median and range. {document['machine']}")


def main() -> None:
    results = Path(sys.argv[1]) if len(sys.argv) > 1 else BENCH / "results"
    pictures = Path(sys.argv[2]) if len(sys.argv) > 2 else BENCH.parent / "docs" / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    plt.rcParams.update({"svg.hashsalt": "xdpsar", "svg.fonttype": "none", "font.size": 9})
    drawn: list[tuple[str, list[Callable[[Row, Path], None]]]] = [
        ("path", [throughput, cpu]),
        ("latency", [latency]),
        ("scale", [scaling]),
    ]
    for name, drawings in drawn:
        document = json.loads((results / f"{name}.json").read_text())
        for draw in drawings:
            draw(document, pictures)


if __name__ == "__main__":
    main()
