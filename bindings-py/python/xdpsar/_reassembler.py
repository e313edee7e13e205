"""The receiver: what is hot is native, the rest is here."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, Self, Unpack

from . import _dispatcher, _native
from ._checks import out_of_range
from ._config import ReassemblerConfig, ReassemblerOptions, merged, signature
from ._errors import Closed

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncIterator, Callable, Sequence

    from ._aio import Reader
    from ._dispatcher import _ErrorPolicy
    from ._native import EjfatUri, Event

_lock = Lock()


class Reassembler(_native.Reassembler):
    """Receives events from its construction on, until it is closed.

    Methods may be called from any thread; each event goes to one of them.
    Options are named, or those of a `ReassemblerConfig`, or some named instead
    of its own.

    data_ip: address to listen on; "0.0.0.0" for any, by sockets. Not named, it
    is the one that faces the data address of the EJFAT URI.
    port, ports: first UDP port, and how many: a power of two.
    backend, interface: AF_XDP, sockets, or what suits; `backend` says why.
    threads, cores: workers, and cores to pin them to.
    event_timeout: an event without progress for so many seconds is lost;
    event_lifetime: and one that is this old, however it grows.
    memory: bytes for events in progress, queued, and held by you (1 GiB);
    on_budget: what happens to a new event when they are used up.
    prefault: so many bytes of it are touched at the start, when nothing is lost
    by that (64 MiB).
    max_event: longest event accepted.
    queue, overflow: events that wait for you (1000), and what happens to the
    next: dropped and counted, or the worker waits.
    wait, consumer_wait: how workers, and you, wait for the next.
    lane, lanes, lb_header: how datagrams are spread over the workers, and
    whether they carry the LB header.
    attach, copy, layout, lend, checksum, busy_poll: of AF_XDP.
    socket_buffer, gro: of sockets.
    readonly_events: nobody can write to events. Only then, or with lend="on",
    do they stay where AF_XDP has put them.
    register: be a worker of the URI's load balancer, by this name, or as a
    `Registration` says: registered once it receives, told how full the queue
    is, and deregistered before it stops. `registration` has how that goes. The
    methods `register` and `deregister` do the same for a while.
    """

    __slots__ = ("_readers",)

    _readers: dict[AbstractEventLoop, Reader]
    """Of each event loop in which a task waits."""

    __signature__ = signature(_native.Reassembler, ReassemblerConfig)

    def __new__(
        cls,
        uri: EjfatUri | str | None = None,
        *,
        config: ReassemblerConfig | None = None,
        **options: Unpack[ReassemblerOptions],
    ) -> Self:
        given = merged(config, options)
        try:
            return super().__new__(cls, uri, **given)
        except OverflowError as error:
            raise out_of_range(error, given) from None

    def run(
        self,
        on_event: Callable[[Any], object],
        *,
        workers: int = 0,
        batch: int = 1,
        on_error: _ErrorPolicy = "raise",
        max_events: int | None = None,
        data_id: int | Sequence[int] | None = None,
        every: int = 1,
    ) -> int:
        """Calls `on_event` with each event until the end, or until there were
        `max_events`, and returns how many there were.

        It is called in this thread, or in as many `workers`, while this one
        waits. batch: from 2 on, with lists of up to so many events that are
        there. on_error: what an exception of its does: "raise" ends all and
        raises it here; "log" tells `sys.unraisablehook` and goes on; "stop"
        tells it and ends. data_id, every: other events are dropped, and counted
        in `stats.events_filtered`: all but those with such a data id, and of
        these all but every so many-th.

        Events that no call was made with stay receivable.
        """
        _dispatcher.check(on_event, workers, 0, on_error)
        feed = self._feed(batch=batch, max_events=max_events, data_id=data_id, every=every)
        return _dispatcher.run(feed, on_event, workers, on_error)

    def start(
        self,
        on_event: Callable[[Any], object],
        *,
        workers: int = 1,
        batch: int = 1,
        on_error: _ErrorPolicy = "log",
        data_id: int | Sequence[int] | None = None,
        every: int = 1,
    ) -> _dispatcher.Dispatcher:
        """Has `workers` threads call `on_event` with each event, and returns at
        once: see `run`."""
        _dispatcher.check(on_event, workers, 1, on_error)
        feed = self._feed(batch=batch, max_events=None, data_id=data_id, every=every)
        return _dispatcher.Dispatcher(feed, on_event, workers, on_error)

    def _reader(self) -> Reader:
        """Of the running event loop."""
        from ._aio import reader

        with _lock:
            if not hasattr(self, "_readers"):
                self._readers = {}
        return reader(self._readers, self.fileno())

    async def arecv(self, timeout: float | None = None) -> Event:
        """`recv`, awaited. A task that is cancelled takes no event."""
        from ._aio import recv

        return await recv(self, timeout)

    async def arecv_many(
        self, max_events: int = 64, timeout: float | None = None
    ) -> list[Event]:
        """Waits for an event, and takes up to `max_events` that are there; none
        when the time is over."""
        from ._aio import recv_many

        return await recv_many(self, max_events, timeout)

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Events until the end: stopped or closed."""
        while True:
            try:
                event = await self.arecv()
            except Closed:
                return
            yield event
            del event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        from ._aio import end

        await end(self)
