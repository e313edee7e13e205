"""Receiving in several processes, each with a port of its own.

    parent                      process i
    WorkerPool ── pipe ──────▶  thread that waits for the end: receiver.stop()
       │                        main thread: handler(event) for each event
       └── shared counters ◀──  handled, failed

A process that dies takes nothing with it but its own events: ports, memory
and counters of the others are their own.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from . import _native
from ._errors import Closed, XdpsarError
from ._native import Event
from ._reassembler import Reassembler
from ._stats import ReassemblerStats

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

Handler = Callable[[Event], object]


@dataclass(frozen=True, slots=True)
class PoolWorker:
    """One process of a pool, at a moment."""

    port: int
    pid: int
    alive: bool
    exitcode: int | None
    """As of `multiprocessing.Process`: -9 after `kill -9`."""
    handled: int
    """Events that the handler was called with."""
    failed: int
    """And raised something."""
    stats: ReassemblerStats | None
    """After an orderly end."""


class _Member:
    """The parent's side of a process."""

    def __init__(self, port: int, process: BaseProcess, pipe: Connection, counts: Any) -> None:
        self.port = port
        self.process = process
        self.pipe = pipe
        self.counts = counts
        self.stats: ReassemblerStats | None = None

    def told(self, patience: float | None) -> Any:
        """What it says next; None if it has nothing more to say."""
        with contextlib.suppress(EOFError, OSError):
            if self.pipe.poll(patience):
                return self.pipe.recv()
        return None

    def look(self) -> PoolWorker:
        handled, failed = self.counts
        process = self.process
        return PoolWorker(
            self.port, process.pid or 0, process.is_alive(), process.exitcode,
            handled, failed, self.stats,
        )  # fmt: skip


class WorkerPool:
    """Processes that receive from their start on: process i on `port + i`, with
    the other `options` of `Reassembler`. Each calls `handler(event)` for each of
    its events, in its main thread.

    handler: has to be picklable: a function of a module, or an object with
    `__call__`. What it raises goes to `sys.unraisablehook`, and is counted.
    start_method: "spawn" or "forkserver"; a fork would lose the threads.

    When the constructor returns, all of them receive. Ctrl-C is the parent's:
    it closes the pool by leaving its `with`.
    """

    def __init__(
        self,
        handler: Handler,
        processes: int,
        *,
        data_ip: str,
        port: int = 19522,
        start_method: Literal["spawn", "forkserver"] = "spawn",
        **options: Any,
    ) -> None:
        if not callable(handler):
            raise TypeError(f"handler {handler!r}: cannot be called; name a function of an event")
        if processes < 1 or port < 1 or port + processes > 65536:
            raise ValueError(
                f"{processes} processes from port {port} on: ports are 1 to 65535, one for each; "
                f"name a number of processes that fits"
            )
        if start_method not in ("spawn", "forkserver"):
            raise ValueError(
                f'start_method "{start_method}": choose "spawn" or "forkserver"; threads do not '
                f"come along through a fork"
            )
        # Not needed by whoever has no pool, and long to import.
        import multiprocessing

        context: Any = multiprocessing.get_context(start_method)
        members: list[_Member] = []
        # When it is dropped, and at the interpreter's exit.
        self._close = weakref.finalize(self, _close, members, 5.0)
        self._members = members
        try:
            for number in range(processes):
                ours, theirs = context.Pipe()
                counts = context.RawArray("Q", 2)
                process = context.Process(
                    target=_receive,
                    args=(handler, theirs, counts, data_ip, port + number, options),
                    name=f"xdpsar worker on port {port + number}",
                    daemon=True,
                )
                process.start()
                theirs.close()
                members.append(_Member(port + number, process, ours, counts))
            for member in members:
                problem = _Died(member) if (told := member.told(_START)) is None else told
                if problem is not True:
                    raise problem
        except BaseException:
            self._close()
            raise

    @property
    def workers(self) -> Sequence[PoolWorker]:
        """The processes, as they are now."""
        return [member.look() for member in self._members]

    @property
    def handled(self) -> int:
        """Events that all of them together have called the handler with."""
        return sum(worker.handled for worker in self.workers)

    @property
    def ports(self) -> range:
        """One for each process."""
        first = self._members[0].port
        return range(first, first + len(self._members))

    @property
    def closed(self) -> bool:
        return not self._close.alive

    def wait(self, timeout: float | None = None) -> PoolWorker | None:
        """Waits until a process ends that should not, and tells which; None when
        the time is over."""
        if self.closed:
            raise Closed("wait for a closed pool: make a new one")
        from multiprocessing.connection import wait

        running = {member.process.sentinel: member for member in self._members}
        ended = wait(list(running), timeout)
        if not ended:
            return None
        member = running[ended[0]]  # type: ignore[index]
        member.process.join()
        return member.look()

    def close(self, timeout: float | None = None) -> Sequence[PoolWorker]:
        """Receives no more. Each process handles what it has, tells its
        statistics, and ends; one that has not after `timeout` seconds (for
        ever) is killed. The ports are free when this returns."""
        if self._close.detach():
            _close(self._members, timeout)
        return self.workers

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, *_exception: type[BaseException] | BaseException | TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        alive = sum(worker.alive for worker in self.workers)
        return f"<xdpsar.WorkerPool {alive} of {len(self._members)} processes run>"


_START = 60.0
"""Seconds in which a process must have begun to receive."""


class _Died(XdpsarError, RuntimeError):
    """A process of a pool ended before it received."""

    def __init__(self, member: _Member) -> None:
        member.process.join(1.0)
        super().__init__(
            f"worker process on port {member.port}: ended with {member.process.exitcode} before it "
            f"received; its standard error says why. Under `if __name__ == '__main__':` only may "
            f"a script make a pool"
        )


def _close(members: list[_Member], timeout: float | None) -> None:
    deadline = None if timeout is None else time.monotonic() + timeout

    def left() -> float | None:
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    for member in members:
        with contextlib.suppress(OSError):
            member.pipe.send("stop")
    for member in members:
        while (told := member.told(left())) is not None:
            if isinstance(told, ReassemblerStats):
                member.stats = told
        member.process.join(left())
        if member.process.is_alive():
            member.process.kill()
            member.process.join()
        member.pipe.close()


def _receive(
    handler: Handler,
    pipe: Connection,
    counts: Any,
    data_ip: str,
    port: int,
    options: dict[str, Any],
) -> None:
    """The process: receives until it is told to stop, or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        receiver = Reassembler(data_ip=data_ip, port=port, **options)
    except BaseException as problem:
        pipe.send(problem)
        return
    with receiver:
        pipe.send(True)
        threading.Thread(target=_heed, args=(pipe, receiver), daemon=True).start()
        for event in receiver:
            try:
                handler(event)
            except Exception as problem:
                counts[1] += 1
                _native._unraisable(problem, handler)
            counts[0] += 1
            # Not kept while waiting for the next.
            del event
    # Final only now.
    with contextlib.suppress(OSError):
        pipe.send(receiver.stats)


def _heed(pipe: Connection, receiver: Reassembler) -> None:
    with contextlib.suppress(EOFError, OSError):
        pipe.recv()
    receiver.stop()
