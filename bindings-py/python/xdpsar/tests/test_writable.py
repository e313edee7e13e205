"""Who may write to an event, and when it came."""

import ctypes
import io
import pickle
import threading
import time
from collections.abc import Callable, Iterator

import pytest

import xdpsar

from .conftest import PATIENCE, Pair, free_port

Carry = Callable[[bytes], xdpsar.Event]
DATA = bytes(range(256)) * 12


@pytest.fixture
def readonly() -> Iterator[Pair]:
    port = free_port()
    with (
        xdpsar.Reassembler(data_ip="127.0.0.1", port=port, readonly_events=True) as receiver,
        xdpsar.Segmenter(f"127.0.0.1:{port}") as sender,
    ):
        yield Pair(receiver, sender)


def test_every_way_to_write(carry: Carry) -> None:
    event = carry(DATA)
    assert not event.readonly
    memoryview(event)[0] = 7
    event.view("H")[1] = 0x0908
    assert io.BytesIO(b"ab").readinto(event.view()[4:6]) == 2
    (ctypes.c_ubyte * 2).from_buffer(event, 6)[:] = [*b"cd"]
    event.cast(ctypes.c_uint16 * 1, 8)[0] = 0x6665
    np = pytest.importorskip("numpy")
    event.numpy("u1", offset=10, strict=False)[:2] = 1
    np.frombuffer(event, "u1")[12:14] = 2
    assert bytes(event) == b"\x07\x01\x08\x09abcdef\1\1\2\2" + DATA[14:]
    # Into the event itself.
    assert event.copy_into(event) == len(DATA)


def test_nobody_writes_to_a_read_only_event(readonly: Pair) -> None:
    event = readonly.carry(DATA)
    assert event.readonly and memoryview(event).readonly
    with pytest.raises(TypeError):
        memoryview(event)[0] = 1
    with pytest.raises(TypeError):
        (ctypes.c_char * len(DATA)).from_buffer(event)
    with pytest.raises(TypeError, match="read-write"):
        io.BytesIO(DATA).readinto(event)
    with pytest.raises(BufferError):
        event.copy_into(event)
    copied = event.cast(ctypes.c_uint8 * 4)
    copied[0] = 99
    np = pytest.importorskip("numpy")
    flat = event.numpy()
    assert not flat.flags.writeable and not np.frombuffer(event, "u1").flags.writeable
    with pytest.raises(ValueError):
        flat[0] = 1
    with pytest.raises(ValueError):
        flat.flags.writeable = True
    assert bytes(event) == DATA


def test_dlpack_says_which(readonly: Pair) -> None:
    np = pytest.importorskip("numpy", minversion="2.1")
    event = readonly.carry(DATA)
    array = np.from_dlpack(event)
    assert array.tobytes() == DATA and not array.flags.writeable
    with pytest.raises(BufferError):
        event.__dlpack__()  # a version that cannot say so


def test_flags_every_time(carry: Carry, readonly: Pair) -> None:
    np = pytest.importorskip("numpy")
    writable, frozen = carry(DATA), readonly.carry(DATA)
    for _ in range(20_000):
        assert writable.numpy("<u2").flags.writeable
        assert np.frombuffer(writable, "u1").flags.writeable
        assert not frozen.numpy("<u2").flags.writeable
        assert not np.frombuffer(frozen, "u1").flags.writeable


def test_a_pickled_event_is_as_its_memory(carry: Carry, readonly: Pair) -> None:
    for event in (carry(DATA), readonly.carry(DATA)):
        buffers: list[pickle.PickleBuffer] = []
        out_of_band = pickle.dumps(event, 5, buffer_callback=buffers.append)
        assert pickle.loads(out_of_band, buffers=buffers).readonly == event.readonly
        assert pickle.loads(out_of_band, buffers=[bytes(DATA)]).readonly
        # Pickle itself remembers that an event was read-only.
        copied = pickle.loads(out_of_band, buffers=[bytearray(DATA)])
        assert copied.readonly == event.readonly
        if not copied.readonly:
            memoryview(copied)[0] = 5
            assert bytes(copied)[0] == 5 and bytes(event) == DATA
        assert pickle.loads(pickle.dumps(event, 4)).readonly


def test_writing_while_others_read(carry: Carry) -> None:
    """Whatever is read then, nothing breaks."""
    event = carry(bytes(100_000))
    stop = threading.Event()

    def write() -> None:
        view = memoryview(event)
        while not stop.is_set():
            for value in (b"\0", b"\xff"):
                view[:] = value * len(view)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        room = bytearray(len(event))
        for _ in range(40):
            assert set(bytes(event)) <= {0, 255}
            event.copy_into(room)
            assert set(room) <= {0, 255}
    finally:
        stop.set()
        writer.join()


def test_when_it_was_complete(pair: Pair) -> None:
    # A busy machine may stop the worker for long between clock and packet.
    slack = 5_000_000_000
    for data in (b"", DATA, DATA * 20):
        before = time.time_ns()
        event = pair.carry(data)
        assert before - slack < event.recv_time_ns < time.time_ns() + slack
        pair.sender.send(data)
        info = pair.receiver.recv_into(bytearray(len(DATA) * 20), PATIENCE)
        assert before - slack < info.recv_time_ns < time.time_ns() + slack


def test_datagrams_by_port(port: int) -> None:
    for _ in range(50):
        try:
            receiver = xdpsar.Reassembler(data_ip="127.0.0.1", port=port, ports=4, threads=3)
            break
        except xdpsar.SetupError:
            port = (port + 4) % 50_000 + 10_000
    with receiver:
        assert receiver.port_stats == dict.fromkeys(range(port, port + 4), 0)
        with xdpsar.Segmenter(f"127.0.0.1:{port}", ports=4) as sender:
            for entropy in (0, 1, 1, 3):
                sender.send(DATA, entropy=entropy)
            for _ in range(4):
                receiver.recv(PATIENCE)
            each = -(-len(DATA) // sender.max_payload)
        expected = {port: each, port + 1: 2 * each, port + 2: 0, port + 3: each}
        assert receiver.port_stats == expected
    assert receiver.port_stats == expected
    assert sum(expected.values()) == receiver.stats.datagrams
