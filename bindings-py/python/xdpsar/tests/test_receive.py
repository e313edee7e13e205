"""Receiving: every way of getting events, and the end."""

import array
import ctypes
import ipaddress
import mmap
import socket
import threading
from typing import Any

import pytest

import xdpsar

from .conftest import PATIENCE, Pair, eventually


def test_one_by_one(pair: Pair) -> None:
    receiver, sender = pair
    assert receiver.try_recv() is None
    assert [sender.send(b"%d" % number) for number in range(3)] == [0, 1, 2]
    assert [bytes(receiver.recv(PATIENCE)) for _ in range(3)] == [b"0", b"1", b"2"]
    assert receiver.try_recv() is None


@pytest.mark.parametrize("timeout", [0, 0.0, 0.02])
def test_a_timeout_is_a_timeout_error(pair: Pair, timeout: float) -> None:
    with pytest.raises(TimeoutError, match="no event within") as caught:
        pair.receiver.recv(timeout)
    assert isinstance(caught.value, xdpsar.XdpsarTimeout)
    assert isinstance(caught.value, xdpsar.XdpsarError)
    assert pair.receiver.recv_many(5, timeout) == []
    assert list(pair.receiver.events(timeout=timeout)) == []


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_a_timeout_that_is_none(pair: Pair, timeout: float) -> None:
    for call in (pair.receiver.recv, lambda t: pair.receiver.recv_many(1, t), pair.sender.flush):
        with pytest.raises(ValueError, match="time runs forward"):
            call(timeout)
    with pytest.raises(TypeError):
        pair.receiver.recv("soon")  # type: ignore[arg-type]


def test_an_endless_timeout(pair: Pair) -> None:
    for timeout in (None, float("inf"), 1e300):
        pair.sender.send(b"there")
        assert bytes(pair.receiver.recv(timeout)) == b"there"


def test_many_at_once(pair: Pair) -> None:
    receiver, sender = pair
    for number in range(10):
        sender.send(bytes([number]))
    events = receiver.recv_many(4, PATIENCE, min_events=4)
    assert [bytes(event) for event in events] == [b"\0", b"\1", b"\2", b"\3"]
    events = receiver.recv_many(100, PATIENCE, min_events=6)
    assert [bytes(event)[0] for event in events] == [4, 5, 6, 7, 8, 9]
    sender.send(b"alone")
    assert len(receiver.recv_many(8, 0.3, min_events=8)) == 1, "what there is, when time is over"
    for sizes in ({"max_events": 0}, {"max_events": 2, "min_events": 3}):
        with pytest.raises(ValueError, match="there are none such"):
            receiver.recv_many(timeout=0, **sizes)


def test_iterators(pair: Pair) -> None:
    receiver, sender = pair
    for number in range(6):
        sender.send(bytes([number]))
    assert [bytes(event) for event in receiver.events(max_events=2)] == [b"\0", b"\1"]
    assert list(receiver.events(max_events=0)) == []
    seen = []
    for event in receiver:
        seen.append(bytes(event)[0])
        if len(seen) == 4:
            receiver.stop()
    assert seen == [2, 3, 4, 5], "and then the end"


class Words(ctypes.Structure):
    _fields_ = [("words", ctypes.c_uint64 * 4)]


def buffers() -> list[Any]:
    """Whatever memory can be written to: 32 bytes of it."""
    numpy = pytest.importorskip("numpy")
    return [
        bytearray(32),
        memoryview(bytearray(32)),
        memoryview(bytearray(64))[32:],
        array.array("f", [0] * 8),
        mmap.mmap(-1, 32),
        Words(),
        (ctypes.c_char * 32)(),
        numpy.zeros(32, "u1"),
        numpy.zeros((2, 2), "c16")[1],
        numpy.zeros((2, 4), "f4"),
        numpy.zeros(4, "M8[s]"),
        numpy.zeros((), "S32"),
        numpy.zeros(2, [("a", "u8"), ("O", "f8")]),
    ]


@pytest.mark.parametrize("which", range(13))
def test_into_any_writable_buffer(pair: Pair, which: int) -> None:
    buffer = buffers()[which]
    data = bytes(range(100, 100 + memoryview(buffer).nbytes - 1)) if which != 10 else b"8 bytes!"
    number = pair.sender.send(data)
    info = pair.receiver.recv_into(buffer, PATIENCE)
    assert (info.event_number, info.data_id, info.nbytes) == (number, 7, len(data))
    assert buffer_bytes(buffer)[: len(data)] == data


def buffer_bytes(buffer: Any) -> bytes:
    """Also where NumPy has no format for memoryview."""
    return bytes(buffer.tobytes() if hasattr(buffer, "tobytes") else buffer)


def test_refused_buffers_cost_no_event(pair: Pair) -> None:
    np = pytest.importorskip("numpy")
    pair.sender.send(b"kept")
    read_only = np.zeros(8, "u1")
    read_only.flags.writeable = False
    refusals: list[tuple[Any, Any]] = [
        (b"12345678", BufferError),
        ("12345678", TypeError),
        (12345678, TypeError),
        (None, TypeError),
        (read_only, (BufferError, ValueError)),
        (np.zeros(16, "u1")[::2], (BufferError, ValueError)),
        (np.zeros((4, 4), "u1", order="F"), (BufferError, ValueError)),
        (np.empty(4, object), TypeError),
        (np.empty(4, [("x", "u4"), ("y", object)]), TypeError),
        (np.empty(4, [("x", "M8[s]"), ("y", object)]), TypeError),
        (memoryview(np.empty(4, object)), TypeError),
    ]
    for refused, error in refusals:
        with pytest.raises(error):
            pair.receiver.recv_into(refused, PATIENCE)
    assert bytes(pair.receiver.recv(PATIENCE)) == b"kept"


def test_a_short_buffer_keeps_the_event(pair: Pair) -> None:
    receiver, sender = pair
    sender.send(b"the first")
    sender.send(b"the second")
    for _ in range(2):
        with pytest.raises(xdpsar.BufferTooSmall, match="9 bytes: the buffer has 4") as caught:
            receiver.recv_into(bytearray(4), PATIENCE)
        assert caught.value.required == 9
    assert len(receiver.recv_many(2, PATIENCE, min_events=2)) == 2
    sender.send(b"the third")
    with pytest.raises(BufferError):
        receiver.recv_into(bytearray(1), PATIENCE)
    assert bytes(receiver.recv(PATIENCE)) == b"the third"


def test_each_event_to_one_thread(pair: Pair) -> None:
    receiver, sender = pair
    seen: list[list[int]] = [[], [], []]
    sent = threading.Semaphore(64)  # so that no buffer can overflow

    def take(into: list[int]) -> None:
        for event in receiver:
            into.append(event.event_number)
            sent.release()

    threads = [threading.Thread(target=take, args=(into,)) for into in seen]
    for thread in threads:
        thread.start()
    for _ in range(2000):
        assert sent.acquire(timeout=PATIENCE)
        sender.send(b"x" * 100)
    for _ in range(64):
        assert sent.acquire(timeout=PATIENCE)
    receiver.stop()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert sorted(sum(seen, [])) == list(range(2000))


def test_close_wakes_who_waits(pair: Pair) -> None:
    outcome: list[BaseException] = []
    waiting = threading.Event()

    def wait() -> None:
        waiting.set()
        try:
            pair.receiver.recv()
        except xdpsar.Closed as closed:
            outcome.append(closed)

    thread = threading.Thread(target=wait)
    thread.start()
    assert waiting.wait(PATIENCE)
    pair.receiver.close()
    thread.join(PATIENCE)
    assert len(outcome) == 1 and isinstance(outcome[0], RuntimeError)


def test_after_the_end(pair: Pair) -> None:
    receiver, sender = pair
    sender.send(b"queued")
    eventually(lambda: receiver.stats.queued)
    receiver.stop()
    assert not receiver.closed
    assert bytes(receiver.recv(PATIENCE)) == b"queued", "a stop leaves what is queued"
    with pytest.raises(xdpsar.Closed, match="was stopped"):
        receiver.recv(PATIENCE)
    receiver.close()
    receiver.close()
    assert receiver.closed and "closed" in repr(receiver)
    for use in (
        receiver.recv,
        receiver.try_recv,
        receiver.recv_many,
        lambda: receiver.recv_into(bytearray(9)),
    ):
        with pytest.raises(xdpsar.Closed):
            use()
    assert list(receiver) == [] and receiver.lost() == []
    assert receiver.stats.events_ok == 1, "the last figures stay"


def test_the_port_is_free_at_once(port: int) -> None:
    for round in range(30):
        receiver = xdpsar.Reassembler(data_ip="127.0.0.1", port=port)
        with pytest.raises(xdpsar.SetupError, match="is taken"):
            xdpsar.Reassembler(data_ip="127.0.0.1", port=port)
        if round % 2:
            receiver.close()
        del receiver
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", port))


def test_statistics_and_losses(port: int) -> None:
    with (
        xdpsar.Reassembler(
            data_ip="127.0.0.1", port=port, event_timeout=0.1, max_event=100_000
        ) as receiver,
        xdpsar.Segmenter(f"127.0.0.1:{port}") as sender,
    ):
        sender.send(b"x" * 1000)
        receiver.recv(PATIENCE)
        number = sender.send(b"y" * 120_000, data_id=9)  # longer than accepted
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"LB, but no event of ours, that is certain", ("127.0.0.1", port))
        lost: list[xdpsar.LostEvent] = []

        def reported() -> bool:
            lost.extend(receiver.lost(max_items=1))
            return bool(lost)

        eventually(reported)
        assert lost[0].event_number == number and lost[0].data_id == 9
        assert (lost[0].length, lost[0].cause) == (120_000, "budget")
        eventually(lambda: receiver.stats.dropped.bad_lb_header)
    stats = receiver.stats
    assert stats.events_ok == 1 and stats.event_bytes == 1000
    assert stats.events_lost.total == stats.events_lost.budget == 1
    assert stats.dropped.total > 1 and not stats.is_clean
    assert [worker.worker for worker in stats.workers] == [0]
    with pytest.raises(AttributeError):
        stats.events_ok = 2  # type: ignore[misc]


def test_several_ports_threads_and_ipv6() -> None:
    for address, base in (("127.0.0.1", 30720), (ipaddress.ip_address("::1"), 30736)):
        try:
            receiver = xdpsar.Reassembler(
                data_ip=address, port=base, ports=8, threads=2, backend="socket"
            )
        except xdpsar.SetupError as error:
            pytest.skip(str(error))
        to = f"[{address}]:{base}" if ":" in str(address) else f"{address}:{base}"
        with receiver, xdpsar.Segmenter(to, ports=8, threads=2) as sender:
            assert receiver.ports == range(base, base + 8)
            assert receiver.data_ip == str(address)
            for entropy in range(16):
                sender.send(b"z" * 5000, entropy=entropy)
            events = receiver.recv_many(16, PATIENCE, min_events=16)
            assert sorted(event.lane for event in events) == sorted([*range(8)] * 2)
            assert {event.worker for event in events} == {0, 1}


def test_the_backend_says_why(pair: Pair) -> None:
    backend = pair.receiver.backend
    assert backend.kind == "socket" and backend.reason and backend.detail
    assert isinstance(backend.warnings, tuple)
