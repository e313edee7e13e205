"""What Python costs: `make bench-py`. Prints Markdown.

Each row's contestants take turns within a lap; a cell is the median of the
laps. The kernel is not in the costs per event: the events are in the queue
before the clock starts.
"""

import argparse
import datetime
import gc
import hashlib
import platform
import socket
import statistics
import threading
import time
from collections.abc import Callable
from itertools import repeat

import numpy as np

import xdpsar
from xdpsar import _native

PATIENCE = 60.0
SMALL = bytes(64)
MEBIBYTE = bytes(range(256)) * 4096

Lap = Callable[[], float]
"""Returns the seconds that one unit took: a call, an event."""


class Stream:
    """A pair on loopback, which fills the receiver's queue on demand."""

    def __init__(self, queue: int, memory: int) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port: int = free.getsockname()[1]
        self.receiver = xdpsar.Reassembler(
            data_ip="127.0.0.1", port=port, queue=queue, memory=memory, socket_buffer=8 << 20
        )
        self.sender = xdpsar.Segmenter(f"127.0.0.1:{port}")

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.sender.close()
        self.receiver.close()

    def fill(self, events: int, data: bytes) -> None:
        """Never more than the socket's buffer holds is on the way."""
        at_once = max(1, min(100, (1 << 20) // len(data)))
        deadline = time.monotonic() + PATIENCE
        for first in range(0, events, at_once):
            last = min(events, first + at_once)
            for _ in range(first, last):
                self.sender.send(data)
            while (queued := self.receiver.stats.queued) < last:
                if time.monotonic() > deadline:
                    raise SystemExit(f"only {queued} of {last} events arrived: try again")
                time.sleep(0)


def clock(events: int, act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return (time.perf_counter() - start) / events


def medians(laps: int, contestants: dict[str, Lap]) -> dict[str, float]:
    """Interleaved: whatever else the machine does hits all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(laps):
        for name, lap in contestants.items():
            gc.collect()
            gc.disable()
            seconds[name].append(lap())
            gc.enable()
    return {name: statistics.median(found) for name, found in seconds.items()}


def table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    print(f"\n| {title} | {' | '.join(columns)} |")
    print("|---|" + "---:|" * len(columns))
    for row in rows:
        print(f"| {' | '.join(row)} |")


def ns(seconds: float) -> str:
    return f"{seconds * 1e9:,.0f}"


# --- calls -------------------------------------------------------------------


def nothing() -> None:
    pass


def none_of(number: int) -> list[int]:
    return []


def calls(laps: int, number: int) -> None:
    with Stream(16, 1 << 20) as stream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        # Nobody reads it: what is sent there ends in the kernel.
        sink.bind(("127.0.0.1", 0))
        sender = xdpsar.Segmenter("127.0.0.1:%d" % sink.getsockname()[1])
        stream.fill(1, SMALL)
        event = stream.receiver.recv(PATIENCE)
        event.release()

        def call(function: Callable[[], object]) -> Lap:
            def lap() -> float:
                return clock(number, lambda: [None for _ in repeat(None, number) if function()])

            return lap

        def call_with(function: Callable[[int], object]) -> Lap:
            def lap() -> float:
                return clock(number, lambda: [None for _ in repeat(None, number) if function(7)])

            return lap

        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        room = bytearray(64)

        def recv_into() -> float:
            seconds = 0.0
            for _ in range(number // 10):
                for _ in range(10):
                    left.send(SMALL)
                seconds += clock(number, lambda: [right.recv_into(room) for _ in repeat(None, 10)])
            return seconds

        def send_beyond_rust() -> float:
            """The system call, of thousands of ns, is in both numbers of one
            call, so that its ups and downs cancel out; but what comes after it
            finds the caches cold. `_send_again` goes the way of `send`, and
            tells what the library took."""
            again, calls = _native._send_again, number // 10
            inside: list[float] = []
            begun = time.perf_counter()
            for _ in repeat(None, calls):
                inside.append(again(sender, SMALL, 1))
            return (time.perf_counter() - begun - sum(inside)) / calls

        with left, right, sender:
            found = medians(
                laps,
                {
                    "`function()`": call(nothing),
                    "`event.release()`": call(event.release),
                    "`receiver.try_recv()`, none there": call(stream.receiver.try_recv),
                    "`function(7)`, of an empty list": call_with(none_of),
                    "`receiver.lost(7)`, none lost": call_with(stream.receiver.lost),
                    "`socket.recv_into(buffer)`": recv_into,
                    "`sender.send(data)`, but nothing is sent": call(
                        lambda: _native._send_again(sender, SMALL, 0) < 0
                    ),
                    "`sender.send(data)`, beyond Rust's": send_beyond_rust,
                },
            )
    base = found["`function()`"]
    socket_base = found["`socket.recv_into(buffer)`"]
    table(
        "call",
        ("ns", "Python functions", "socket.recv_into"),
        [
            (name, ns(seconds), f"{seconds / base:.2f}",
             f"{seconds / socket_base:.2f}")
            for name, seconds in found.items()
        ],
    )  # fmt: skip


# --- events ------------------------------------------------------------------


def on_event(event: object) -> None:
    pass


def events(laps: int, number: int) -> None:
    with Stream(2 * number, 1 << 30) as stream:
        receiver = stream.receiver

        def filled(drain: Callable[[], object]) -> Lap:
            def lap() -> float:
                stream.fill(number, SMALL)
                seconds = clock(number, drain)
                assert receiver.stats.queued == 0
                return seconds

            return lap

        def many(at_once: int) -> Lap:
            recv_many = receiver.recv_many
            return filled(lambda: [None for _ in range(number // at_once) if not recv_many(at_once)])

        recv, try_recv = receiver.recv, receiver.try_recv
        found = medians(
            laps,
            {
                "Rust, `try_recv()`": filled(lambda: _native._drain(receiver, number, None)),
                "`recv()`": filled(lambda: [None for _ in repeat(None, number) if not recv()]),
                "`recv(1.0)`": filled(lambda: [None for _ in repeat(None, number) if not recv(1.0)]),
                "`try_recv()`": filled(lambda: [None for _ in repeat(None, number) if not try_recv()]),
                "`for event in receiver`": filled(
                    lambda: [None for event in receiver.events(max_events=number) if not event]
                ),
                "`run(on_event)`": filled(lambda: receiver.run(on_event, max_events=number)),
                "`run(on_event, workers=1)`": filled(
                    lambda: receiver.run(on_event, workers=1, max_events=number)
                ),
                "Rust, `recv_batch` of 64": filled(lambda: _native._drain(receiver, number, 64)),
                "`recv_many(64)`": many(64),
                "`recv_many(1000)`": many(1000),
                "`recv_batch(1000)`, events in columns": filled(
                    lambda: [None for _ in range(number // 1000) if not receiver.recv_batch(1000)]
                ),
                "`run(on_events, batch=64)`": filled(
                    lambda: receiver.run(on_event, batch=64, max_events=number)
                ),
            },
        )
    single, batch = found["Rust, `try_recv()`"], found["Rust, `recv_batch` of 64"]
    rows = []
    base = single
    for name, seconds in found.items():
        if seconds == batch:
            base = batch
        rows.append((name, ns(seconds), ns(seconds - base), f"{seconds / base:.1f}"))
    table("event of 64 bytes", ("ns", "over Rust", "times Rust"), rows)


def arrays(laps: int, number: int) -> None:
    """The same events again and again: what is told is the handing over."""
    with Stream(2 * number, 2 * number * len(MEBIBYTE)) as stream:
        stream.fill(number, MEBIBYTE)
        held = stream.receiver.recv_many(number, PATIENCE, min_events=number)

        def each(act: Callable[[xdpsar.Event], object]) -> Lap:
            return lambda: clock(number, lambda: [None for event in held if act(event) is None])

        def view(event: xdpsar.Event) -> object:
            return event.numpy("<u4")

        def copy(event: xdpsar.Event) -> object:
            return np.frombuffer(bytes(event), "<u4")

        found = medians(
            laps,
            {
                "`event.numpy('<u4')`": each(view),
                "`np.frombuffer(bytes(event), '<u4')`": each(copy),
                "`event.numpy('<u4').max()`": each(lambda event: view(event).max()),  # type: ignore[attr-defined]
                "`np.frombuffer(bytes(event), '<u4').max()`": each(
                    lambda event: copy(event).max()  # type: ignore[attr-defined]
                ),
            },
        )
        del held
    table(
        "event of 1 MiB as an array",
        ("µs", "MB/s"),
        [
            (name, f"{seconds * 1e6:,.1f}", f"{len(MEBIBYTE) / seconds / 1e6:,.0f}")
            for name, seconds in found.items()
        ],
    )


def threads(laps: int, number: int) -> None:
    """Work that takes place without the GIL, as most of NumPy's does."""
    data = MEBIBYTE[:100_000]
    with Stream(2 * number, 4 * number * len(data)) as stream:

        def consume(share: int) -> None:
            for event in stream.receiver.events(max_events=share):
                hashlib.sha256(event).digest()

        def consumers(count: int) -> Lap:
            def together() -> None:
                all_of_them = [
                    threading.Thread(target=consume, args=(number // count,)) for _ in range(count)
                ]
                for one in all_of_them:
                    one.start()
                for one in all_of_them:
                    one.join()

            def lap() -> float:
                stream.fill(number, data)
                return clock(number, together)

            return lap

        found = medians(laps, {"1 thread": consumers(1), "2 threads": consumers(2)})
    one = found["1 thread"]
    table(
        "`recv`, `sha256`, of 100 kB",
        ("events/s", "times one"),
        [
            (name, f"{1 / seconds:,.0f}", f"{one / seconds:.2f}")
            for name, seconds in found.items()
        ],
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="for a first impression")
    few = options.parse_args().quick
    laps = 3 if few else 15
    processor = "unknown processor"
    with open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    print(
        f"xdpsar {xdpsar.__version__}, CPython {platform.python_version()}, NumPy {np.__version__}, "
        f"{processor}, Linux {platform.release()}, {datetime.date.today()}; medians of {laps} laps."
    )
    calls(laps, 10_000)
    events(laps, 8_000)
    arrays(laps, 32)
    threads(laps, 100)


if __name__ == "__main__":
    main()
