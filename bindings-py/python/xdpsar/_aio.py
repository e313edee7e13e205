"""Waiting in an event loop of asyncio, without threads."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from ._errors import Closed, XdpsarTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

    from ._native import Event, SendTicket
    from ._reassembler import Reassembler
    from ._segmenter import Segmenter

T = TypeVar("T")

ROOM = 0.001
"""How often who waits for a segmenter's queue looks, in seconds. It holds
hundreds of events when it is full."""


async def ticket(ticket: SendTicket) -> int:
    """`await ticket`."""
    if not ticket.done():
        loop = asyncio.get_running_loop()
        told = loop.create_future()

        def wake() -> None:
            if not told.done():  # the task may have been cancelled
                told.set_result(None)

        def call(_: SendTicket) -> None:
            try:
                loop.call_soon_threadsafe(wake)
            except RuntimeError:
                pass  # the loop was closed, and nobody waits there

        ticket.add_done_callback(call)
        await told
    return ticket.result()


class Reader:
    """The tasks of one event loop that wait for events of one reassembler. It
    is there for as long as there are any."""

    def __init__(self, readers: Readers, loop: asyncio.AbstractEventLoop, fileno: int) -> None:
        self._readers = readers
        self._loop = loop
        self._fileno = fileno
        self._waiting: deque[asyncio.Future[None]] = deque()
        readers[loop] = self
        loop.add_reader(fileno, self._wake_one)

    def _wake_one(self) -> None:
        # The descriptor stays readable until all is taken: if that one leaves
        # something, or was cancelled, this is called again.
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                break
        self._unless_awaited()

    def _unless_awaited(self) -> None:
        if not self._waiting:
            self._loop.remove_reader(self._fileno)
            del self._readers[self._loop]

    async def readable(self) -> None:
        """Waits until an event may be there."""
        waiter = self._loop.create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._waiting:  # cancelled
                self._waiting.remove(waiter)
                self._unless_awaited()


Readers = dict[asyncio.AbstractEventLoop, Reader]


def reader(readers: Readers, fileno: int) -> Reader:
    """Of the running event loop."""
    loop = asyncio.get_running_loop()
    return readers.get(loop) or Reader(readers, loop, fileno)


async def receive(
    reassembler: Reassembler, take: Callable[[], T | None], timeout: float | None
) -> T | None:
    """What `take` gives, as soon as it gives something; None when the time is
    over. Nothing is taken by a task that is cancelled: between taking and
    returning nothing is awaited."""
    if (taken := take()) is not None:
        return taken
    try:
        async with asyncio.timeout(timeout):
            while (taken := take()) is None:
                await reassembler._reader().readable()
    except TimeoutError:
        return take()
    return taken


async def recv(reassembler: Reassembler, timeout: float | None) -> Event:
    """`Reassembler.arecv`."""
    event = await receive(reassembler, reassembler.try_recv, timeout)
    if event is None:
        raise XdpsarTimeout(
            f"arecv: no event within {timeout} s; wait longer, or see in `stats` what came instead"
        )
    return event


async def recv_many(
    reassembler: Reassembler, max_events: int, timeout: float | None
) -> list[Event]:
    """`Reassembler.arecv_many`."""

    if max_events < 1:
        raise ValueError(f"arecv_many of {max_events} events: there are none such; name 1 or more")

    def take() -> list[Event] | None:
        events: list[Event] = []
        try:
            while len(events) < max_events and (event := reassembler.try_recv()) is not None:
                events.append(event)
        except Closed:
            if not events:
                raise
        return events or None

    return await receive(reassembler, take, timeout) or []


async def end(reassembler: Reassembler) -> None:
    """Closes it, without blocking the loop for as long as its threads take."""
    reassembler.stop()
    try:
        while True:
            await recv(reassembler, None)
    except Closed:
        pass
    finally:
        reassembler.close()


async def send(
    segmenter: Segmenter,
    data: Buffer,
    event_number: int | None,
    data_id: int | None,
    entropy: int | None,
    tick: int | None,
) -> int:
    """`Segmenter.asend`."""
    while (
        queued := segmenter.try_submit(
            data, event_number=event_number, data_id=data_id, entropy=entropy, tick=tick
        )
    ) is None:
        await asyncio.sleep(ROOM)
    return await queued


async def drain(segmenter: Segmenter) -> None:
    """Sends what is queued, and closes it."""
    try:
        while not segmenter.closed and not segmenter.flush(0):
            await asyncio.sleep(ROOM)
    finally:
        segmenter.close()
