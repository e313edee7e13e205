"""`python -m xdpsar recv`: receives, and hands each event to a function of yours."""

import argparse
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from .. import Event, Reassembler
from . import carry_out, parser, print_json


def options() -> argparse.ArgumentParser:
    made = parser("python -m xdpsar recv", "Receives, and hands each event to a function of yours.")
    made.add_argument(
        "--handler", required=True, metavar="MODULE:FUNCTION",
        help="called with each event; modules of the working directory are found, too",
    )  # fmt: skip
    made.add_argument("--listen", default="0.0.0.0", metavar="IP", help="address (%(default)s)")
    made.add_argument("--port", type=int, default=19522, help="first UDP port (%(default)s)")
    made.add_argument("--ports", type=int, default=1, help="how many: a power of two (%(default)s)")
    made.add_argument("--backend", choices=("auto", "xdp", "socket"), default="auto")
    made.add_argument("--interface", help="for AF_XDP, if the address does not tell")
    made.add_argument("--threads", type=int, help="native threads that put events together")
    made.add_argument(
        "--workers", type=int, default=1, help="Python threads that call it (%(default)s)"
    )
    made.add_argument("--events", type=int, metavar="N", help="stop after so many")
    made.add_argument("--duration", type=float, metavar="SECONDS", help="stop after so long")
    return made


def handler(name: str) -> Callable[[Event], object]:
    """The function of that name."""
    module, colon, function = name.partition(":")
    if not (module and colon and function):
        raise ValueError(f"--handler {name}: write it as module:function")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise  # one that it needs
        raise ValueError(f"--handler {name}: there is no module {module}, not even in {here}") from None
    for part in function.split("."):
        if (found := getattr(found, part, None)) is None:
            raise ValueError(f"--handler {name}: module {module} has no {function}")
    if not callable(found):
        raise ValueError(f"--handler {name}: that is no function, but {found!r}")
    return found  # type: ignore[no-any-return]


def tool(options: argparse.Namespace) -> int:
    on_event = handler(options.handler)
    failed = []

    def counted(event: Event) -> None:
        try:
            on_event(event)
        except Exception:
            failed.append(event.event_number)
            raise

    with Reassembler(
        data_ip=options.listen,
        port=options.port,
        ports=options.ports,
        backend=options.backend,
        interface=options.interface,
        threads=options.threads,
    ) as receiver:

        def stop(_signal: int, _frame: FrameType | None) -> None:
            receiver.stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        if options.duration is not None:
            timer = threading.Timer(options.duration, receiver.stop)
            timer.daemon = True
            timer.start()
        print(f"xdpsar: receiving by {receiver.backend.detail}", file=sys.stderr, flush=True)
        handled = receiver.run(
            counted, workers=options.workers, on_error="log", max_events=options.events
        )
    # Final only now: a worker tells of its counts a little after the event.
    stats = receiver.stats
    summary = {
        "handled": handled,
        "failed": len(failed),
        "bytes": stats.event_bytes,
        "events_lost": stats.events_lost.total,
        "clean": stats.is_clean,
    }
    if options.json:
        print_json(summary)
    else:
        print(", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in summary.items()))
    return 1 if summary["failed"] else 0


def main() -> None:
    sys.exit(carry_out(tool, options().parse_args()))
