"""Sending: from every buffer, now or queued."""

import array
import ctypes
import gc
import mmap
import os
import threading
from typing import Any

import pytest

import xdpsar
from xdpsar import _native

from .conftest import PATIENCE, Pair, eventually


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int32), ("y", ctypes.c_double), ("name", ctypes.c_char * 8)]


def sources() -> list[tuple[Any, bytes]]:
    """What exports a buffer, and the bytes that it has."""
    np = pytest.importorskip("numpy")
    mapped = mmap.mmap(-1, 20)
    mapped[:] = b"mapped into memory.."
    point = Point(2, 3.5, b"point")
    records = np.zeros(3, [("a", "u2"), ("b", "f8")])
    grid = np.arange(24, dtype="f4").reshape(4, 6)
    return [
        (b"bytes", b"bytes"),
        (b"", b""),
        (bytearray(b"bytearray"), b"bytearray"),
        (memoryview(b"memoryview")[2:6], b"mory"),
        (memoryview(bytes(24)).cast("d", [3]), bytes(24)),
        (array.array("d", [1.5, 2.5]), array.array("d", [1.5, 2.5]).tobytes()),
        (mapped, bytes(mapped)),
        (point, bytes(point)),
        ((ctypes.c_uint16 * 3)(1, 2, 3), bytes((ctypes.c_uint16 * 3)(1, 2, 3))),
        (grid, grid.tobytes()),
        (grid[1:3], grid[1:3].tobytes()),
        (records, records.tobytes()),
        (np.arange(5).astype("M8[D]"), np.arange(5).tobytes()),
        (np.float64(2.5), np.float64(2.5).tobytes()),
        (np.array(7, "u8"), np.array(7, "u8").tobytes()),
        (np.zeros(2, [("O", "u4")]), bytes(8)),
        (os.urandom(100_000), b""),
    ]


@pytest.mark.parametrize("queued", [False, True])
@pytest.mark.parametrize("which", range(17))
def test_any_contiguous_buffer(pair: Pair, which: int, queued: bool) -> None:
    source, data = sources()[which]
    if queued:
        pair.sender.submit(source).result(PATIENCE)
    else:
        pair.sender.send(source)
    with pair.receiver.recv(PATIENCE) as event:
        assert bytes(event) == (data or source)


@pytest.mark.parametrize("call", ["send", "submit", "try_submit"])
def test_refused_sources(pair: Pair, call: str) -> None:
    np = pytest.importorskip("numpy")
    send = getattr(pair.sender, call)
    refusals: list[tuple[Any, Any]] = [
        ("text", TypeError),
        (5, TypeError),
        (None, TypeError),
        ([b"list"], TypeError),
        (np.zeros(10, "u1")[::2], (BufferError, ValueError)),
        (np.zeros((3, 3), order="F"), (BufferError, ValueError)),
        (memoryview(bytes(10))[::2], BufferError),
        (np.array([1, "two", None], object), TypeError),
        (memoryview(np.array([1, "two", None], object)), TypeError),
        (np.zeros(2, [("when", "M8[s]"), ("what", object)]), TypeError),
    ]
    for refused, error in refusals:
        with pytest.raises(error):
            send(refused)
    assert _native._live_objects()["export"] == 0
    stats = pair.sender.stats
    assert (stats.events_sent, stats.events_queued) == (0, 0)


def test_an_event_passes_on(pair: Pair) -> None:
    pair.sender.send(b"passed on" * 1000)
    event = pair.receiver.recv(PATIENCE)
    pair.sender.send(event)
    again = pair.receiver.recv(PATIENCE)
    pair.sender.submit(again).result(PATIENCE)
    assert bytes(pair.receiver.recv(PATIENCE)) == bytes(event)


def test_gathered(pair: Pair) -> None:
    parts: list[Any] = [b"one", bytearray(), memoryview(b" two "), array.array("B", b"three")]
    assert pair.sender.send_vectored(parts, event_number=5) == 5
    assert bytes(pair.receiver.recv(PATIENCE)) == b"one two three"
    assert pair.sender.send_vectored([]) == 6
    assert bytes(pair.receiver.recv(PATIENCE)) == b""
    assert pair.sender.send_vectored(bytes([number]) * 3 for number in range(50)) == 7
    assert len(pair.receiver.recv(PATIENCE)) == 150
    for refused in (5, [b"one", "two"]):
        with pytest.raises(TypeError):
            pair.sender.send_vectored(refused)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "header", [{"event_number": 1 << 64}, {"event_number": -1}, {"data_id": 1 << 16}, {"entropy": -1}]
)
def test_headers_out_of_range(pair: Pair, header: dict[str, Any]) -> None:
    for call in (pair.sender.send, pair.sender.submit, pair.sender.try_submit):
        with pytest.raises(OverflowError):
            call(b"", **header)
    with pytest.raises(TypeError):
        pair.sender.send(b"", data_id="seven")  # type: ignore[arg-type]


def test_numbers_go_on(pair: Pair) -> None:
    top = (1 << 64) - 1
    assert pair.sender.send(b"", event_number=10) == 10
    assert pair.sender.send(b"") == 11
    assert pair.sender.submit(b"", event_number=top).event_number == top
    assert pair.sender.submit(b"").result(PATIENCE) == 0
    events = pair.receiver.recv_many(4, PATIENCE, min_events=4)
    assert sorted(event.event_number for event in events) == [0, 10, 11, top]


def test_tickets(pair: Pair) -> None:
    tickets = [pair.sender.submit(b"%d" % number) for number in range(20)]
    assert [ticket.result(PATIENCE) for ticket in tickets] == list(range(20))
    assert [ticket.result(PATIENCE) for ticket in tickets] == list(range(20)), "told again"
    assert all(ticket.done() and ticket.exception() is None for ticket in tickets)
    assert "event 3" in repr(tickets[3])
    assert len(pair.receiver.recv_many(20, PATIENCE, min_events=20)) == 20


def held() -> int:
    return _native._live_objects()["export"]


def test_a_queued_buffer_stays_where_it_is(port: int) -> None:
    """Slowly, so that it can be seen: nobody needs to listen."""
    slow = xdpsar.Segmenter(f"127.0.0.1:{port}", rate_gbps=1e-6, mtu=1500)
    data = bytearray(10_000)
    ticket = slow.submit(data)
    with pytest.raises(BufferError):
        data.append(1)
    assert not ticket.done()
    with pytest.raises(xdpsar.XdpsarTimeout, match="not out after"):
        ticket.result(0.05)
    with pytest.raises(TimeoutError):
        ticket.exception(0)
    assert slow.flush(0.05) is False
    waiters = [threading.Thread(target=ticket.exception) for _ in range(3)]
    for waiter in waiters:
        waiter.start()
    slow.close(drain=False)
    data.append(1)  # given back
    assert isinstance(ticket.exception(PATIENCE), xdpsar.Closed)
    with pytest.raises(xdpsar.Closed):
        ticket.result()
    for waiter in waiters:
        waiter.join(PATIENCE)
    assert slow.closed and slow.stats.events_dropped == 1


def test_a_sent_buffer_comes_back(pair: Pair) -> None:
    data = bytearray(1000)
    assert pair.sender.submit(data).result(PATIENCE) == 0
    data.append(1)  # told is given back
    pair.sender.submit(data)
    assert pair.sender.flush(PATIENCE)
    data.append(1)  # flushed as well
    pair.sender.submit(data)
    eventually(lambda: not held())  # and if nobody asks, by itself
    data.append(1)
    assert len(pair.receiver.recv_many(3, PATIENCE, min_events=3)) == 3


def test_the_last_reference_to_a_queued_buffer(pair: Pair) -> None:
    ticket = pair.sender.submit(bytearray(b"nobody else has it") * 1000)
    gc.collect()
    ticket.result(PATIENCE)
    assert bytes(pair.receiver.recv(PATIENCE)) == b"nobody else has it" * 1000


def test_a_full_queue(port: int) -> None:
    slow = xdpsar.Segmenter(f"127.0.0.1:{port}", rate_gbps=1e-6, queue=2, mtu=1500)
    slow.submit(bytes(100_000))
    eventually(lambda: slow.stats.queue_depth == 0)  # a thread is at it now, for minutes
    assert slow.try_submit(b"second") and slow.try_submit(b"third")
    assert slow.try_submit(b"fourth") is None
    with pytest.raises(xdpsar.QueueFull, match="no room") as caught:
        slow.submit(b"fourth", timeout=0.05)
    assert isinstance(caught.value, BlockingIOError)
    stats = slow.stats
    assert (stats.queue_full, stats.queue_depth) == (1, 2)
    slow.close(timeout=0.05)
    assert held() == 0
    assert slow.stats.events_dropped == 3


def test_a_closed_segmenter(pair: Pair) -> None:
    sender = pair.sender
    ticket = sender.submit(b"before")
    sender.close()
    sender.close()
    assert ticket.result(PATIENCE) == 0, "drained"
    assert sender.closed and "closed" in repr(sender)
    assert sender.stats.events_sent == 1, "the last figures stay"
    for use in (
        lambda: sender.send(b""),
        lambda: sender.submit(b""),
        lambda: sender.try_submit(b""),
        lambda: sender.send_vectored([]),
        sender.flush,
    ):
        with pytest.raises(xdpsar.Closed, match="closed segmenter"):
            use()
    pair.receiver.recv(PATIENCE)


def test_close_ends_a_send_of_another_thread(port: int) -> None:
    slow = xdpsar.Segmenter(f"127.0.0.1:{port}", rate_gbps=1e-6, mtu=1500)
    outcome: list[Exception] = []

    def send() -> None:
        try:
            slow.send(bytes(1 << 20))
        except xdpsar.XdpsarError as error:
            outcome.append(error)

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    while not slow.closed:
        slow.close(drain=False)
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert [type(error) for error in outcome] == [xdpsar.Closed] * 2


def test_threads_take_turns(pair: Pair) -> None:
    receiver, sender = pair
    room = threading.Semaphore(32)

    def send() -> None:
        for _ in range(250):
            assert room.acquire(timeout=PATIENCE)
            sender.send(b"x" * 100)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    numbers = []
    for event in receiver.events(max_events=1000, timeout=PATIENCE):
        numbers.append(event.event_number)
        room.release()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(numbers) == list(range(1000))
    assert sender.stats.events_sent == 1000


def test_a_segmenter_tells_what_it_is(pair: Pair, port: int) -> None:
    sender = pair.sender
    assert sender.to == f"127.0.0.1:{port}"
    assert sender.mtu > sender.max_payload == sender.mtu - 64
    assert sender.backend in ("gso", "mmsg") and sender.reason
    with pytest.raises(AttributeError):
        sender.mtu = 5  # type: ignore[misc]
