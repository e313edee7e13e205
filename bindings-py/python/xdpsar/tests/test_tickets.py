"""Callbacks, awaiting and cancelling of queued events."""

import asyncio
import gc
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import xdpsar
from xdpsar import _native

from .conftest import PATIENCE, Pair, eventually
from .test_process import succeeds


@pytest.fixture
def slow(port: int) -> Iterator[xdpsar.Segmenter]:
    """One whose first event occupies its thread for minutes."""
    with xdpsar.Segmenter(f"127.0.0.1:{port}", rate_gbps=1e-6, queue=2, mtu=1500) as slow:
        slow.submit(bytes(100_000))
        eventually(lambda: slow.stats.queue_depth == 0)
        yield slow
        slow.close(drain=False)


def held() -> int:
    return _native._live_objects()["export"]


def test_called_once_with_the_ticket(pair: Pair) -> None:
    calls: list[tuple[xdpsar.SendTicket, int]] = []

    def callback(ticket: xdpsar.SendTicket) -> None:
        assert ticket.done() and ticket.exception() is None
        calls.append((ticket, threading.get_ident()))

    data = bytearray(1000)
    tickets = [pair.sender.submit(data, callback=callback) for _ in range(50)]
    late = pair.sender.try_submit(data, callback=callback)
    assert late
    assert pair.sender.flush(PATIENCE), "waits for callbacks, too"
    assert [ticket for ticket, _ in calls] == [*tickets, late]
    assert len({thread for _, thread in calls}) == 1 and calls[0][1] != threading.get_ident()
    data.append(1)  # given back
    late.add_done_callback(callback)
    eventually(lambda: len(calls) == 52)
    pair.receiver.recv_many(51, PATIENCE, min_events=51)


def test_what_a_callback_raises_goes_to_the_hook(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: reports.append(report.exc_value))
    error = KeyError("deliberate")

    def bad(_: xdpsar.SendTicket) -> None:
        raise error

    good: list[xdpsar.SendTicket] = []
    for callback in (bad, good.append, bad, good.append):
        pair.sender.submit(b"", callback=callback)
    assert pair.sender.flush(PATIENCE)
    assert reports == [error, error] and len(good) == 2
    del reports[:], error


@pytest.mark.parametrize("call", ["submit", "try_submit"])
def test_what_cannot_be_called(pair: Pair, call: str) -> None:
    with pytest.raises(TypeError, match="cannot be called"):
        getattr(pair.sender, call)(b"", callback=5)
    ticket = pair.sender.submit(b"")
    with pytest.raises(TypeError, match="cannot be called"):
        ticket.add_done_callback("text")  # type: ignore[arg-type]
    assert pair.sender.flush(PATIENCE) and pair.sender.stats.events_queued == 1


class Callback:
    """Can be watched."""

    def __call__(self, ticket: xdpsar.SendTicket) -> None:
        raise AssertionError("an event that was refused is not told")


def test_a_full_queue_keeps_nothing(slow: xdpsar.Segmenter) -> None:
    assert slow.try_submit(b"second") and slow.try_submit(b"third")
    before = held()
    callback, data = Callback(), bytearray(9)
    gone = weakref.ref(callback)
    assert slow.try_submit(data, callback=callback) is None
    with pytest.raises(xdpsar.QueueFull):
        slow.submit(data, timeout=0.01, callback=callback)
    assert held() == before
    data.append(1)
    del callback
    gc.collect()
    assert gone() is None


def test_a_stop_is_told(slow: xdpsar.Segmenter) -> None:
    outcomes: list[BaseException | None] = []
    slow.submit(b"", callback=lambda ticket: outcomes.append(ticket.exception()))
    slow.close(drain=False)
    assert [type(outcome) for outcome in outcomes] == [xdpsar.Closed]
    assert held() == 0


def test_callbacks_use_the_segmenter(pair: Pair) -> None:
    """None of these waits for itself."""
    done = threading.Event()

    def last(_: xdpsar.SendTicket) -> None:
        pair.sender.close()
        done.set()

    def first(ticket: xdpsar.SendTicket) -> None:
        assert ticket.result() == 0 and pair.sender.flush()
        assert pair.sender.submit(b"more").result(PATIENCE) == 1
        pair.sender.submit(b"most", callback=last)

    pair.sender.submit(b"", callback=first)
    assert done.wait(PATIENCE)
    assert pair.sender.closed and pair.sender.stats.events_sent == 3
    pair.receiver.recv_many(3, PATIENCE, min_events=3)


def test_cancelling(slow: xdpsar.Segmenter) -> None:
    data = bytearray(10)
    told: list[xdpsar.SendTicket] = []
    ticket = slow.submit(data, callback=told.append)
    assert ticket.cancel() and ticket.cancel() and not ticket.done()
    slow.close(drain=False)
    with pytest.raises(xdpsar.Cancelled, match="was cancelled"):
        ticket.result()
    assert told == [ticket] and not ticket.exception() is None
    data.append(1)
    stats = slow.stats
    assert (stats.events_cancelled, stats.events_dropped, stats.events_queued) == (1, 1, 2)


def test_what_is_sent_cannot_be_cancelled(pair: Pair) -> None:
    ticket = pair.sender.submit(b"")
    assert ticket.result(PATIENCE) == 0
    assert not ticket.cancel()
    pair.receiver.recv(PATIENCE)


def test_awaiting(pair: Pair, slow: xdpsar.Segmenter) -> None:
    async def main() -> None:
        tickets = [pair.sender.submit(b"") for _ in range(20)]
        assert await asyncio.gather(*tickets) == list(range(20))
        assert await tickets[3] == 3, "again"
        waiting = slow.submit(b"")
        task = asyncio.ensure_future(waiting)
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not waiting.done(), "the event goes on"
        slow.close(drain=False)
        with pytest.raises(xdpsar.Closed):
            await waiting

    asyncio.run(main())
    pair.receiver.recv_many(20, PATIENCE, min_events=20)


def test_callbacks_at_exit(port: int) -> None:
    """What is sent while the interpreter ends is told all the same."""
    program = """
        import sys, xdpsar
        sender = xdpsar.Segmenter(f"127.0.0.1:{sys.argv[1]}")
        for number in range(100):
            sender.submit(bytearray(1000), callback=lambda ticket: print(ticket.event_number))
    """
    assert sorted(map(int, succeeds(program, port).split())) == list(range(100))
