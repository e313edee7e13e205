"""An event: its facts, its bytes, and who keeps them."""

import array
import copy
import ctypes
import gc
import hashlib
import io
import mmap
import multiprocessing
import os
import pickle
import socket
import struct
import weakref
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import xdpsar
from xdpsar import _native

from .conftest import PATIENCE, Pair

Carry = Callable[[bytes], xdpsar.Event]
DATA = bytes(range(256)) * 40 + b"end."


def test_facts(pair: Pair) -> None:
    pair.sender.send(DATA, event_number=41, data_id=5, entropy=1, tick=99)
    event = pair.receiver.recv(PATIENCE)
    assert (event.event_number, event.data_id, event.entropy, event.tick) == (41, 5, 1, 99)
    assert (event.nbytes, len(event), event.lane, event.worker) == (len(DATA), len(DATA), 0, 0)
    assert event.fragments == -(-len(DATA) // pair.sender.max_payload)
    assert not event.readonly
    assert repr(event) == f"<xdpsar.Event 41, data id 5, {len(DATA)} bytes>"


def test_an_event_without_lb_header_has_no_tick(port: int) -> None:
    with (
        xdpsar.Reassembler(data_ip="127.0.0.1", port=port) as receiver,
        xdpsar.Segmenter(f"127.0.0.1:{port}", lb_version=None) as sender,
    ):
        sender.send(DATA)
        event = receiver.recv(PATIENCE)
        assert event.tick is None and event.entropy is None


def test_an_empty_event_is_an_event(carry: Carry) -> None:
    event = carry(b"")
    assert event and len(event) == 0
    assert bytes(event) == b"" and memoryview(event).nbytes == 0
    np = pytest.importorskip("numpy")
    assert event.numpy("f8").shape == (0,)
    assert event.numpy(np.float32, (0, 4)).shape == (0, 4)


def test_it_is_a_buffer(carry: Carry) -> None:
    event = carry(DATA)
    view = memoryview(event)
    assert view == DATA and view.obj is event
    assert (view.readonly, view.format, view.itemsize) == (False, "B", 1)
    assert (view.shape, view.strides, view.contiguous) == ((len(DATA),), (1,), True)
    assert bytes(event) == DATA


def by_socket(event: xdpsar.Event) -> bytes:
    left, right = socket.socketpair()
    with left, right:
        left.sendall(event)
        left.sendmsg([event])
        left.shutdown(socket.SHUT_WR)
        both = b"".join(iter(lambda: right.recv(1 << 16), b""))
    assert both[: len(DATA)] == both[len(DATA) :]
    return both[len(DATA) :]


def by_pipe(event: xdpsar.Event) -> bytes:
    left, right = multiprocessing.Pipe()
    with left, right:
        left.send_bytes(event)
        return right.recv_bytes()


def by_writev(event: xdpsar.Event) -> bytes:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as reads:
        assert os.writev(writer, [event]) == len(DATA)
        os.close(writer)
        return reads.read()


def by_array(event: xdpsar.Event) -> bytes:
    numbers = array.array("H")
    numbers.frombytes(event)
    return numbers.tobytes()


def by_file(event: xdpsar.Event) -> bytes:
    file = io.BytesIO()
    file.write(event)
    return file.getvalue()


def by_mmap(event: xdpsar.Event) -> bytes:
    with mmap.mmap(-1, len(DATA)) as memory:
        memory[:] = event
        return bytes(memory)


@pytest.mark.parametrize(
    "consume",
    [
        bytes,
        bytearray,
        by_socket,
        by_pipe,
        by_writev,
        by_array,
        by_file,
        by_mmap,
        lambda event: b"".join([event]),
        lambda event: int.from_bytes(event, "big").to_bytes(len(DATA), "big"),
        lambda event: zlib.decompress(zlib.compress(event)),
        lambda event: struct.unpack_from(f"{len(DATA)}s", event)[0],
    ],
)
def test_what_takes_bytes_takes_events(carry: Carry, consume: Callable[[Any], bytes]) -> None:
    assert consume(carry(DATA)) == DATA


def test_hashes(carry: Carry) -> None:
    assert hashlib.sha256(carry(DATA)).digest() == hashlib.sha256(DATA).digest()


def test_views_of_other_formats(carry: Carry) -> None:
    event = carry(struct.pack("<12H", *range(12)))
    assert event.view().format == "B"
    assert list(event.view("H")) == list(range(12))
    assert event.view("H", (3, 4))[2, 1] == 9
    with pytest.raises(TypeError):
        event.view("H", (5, 5))


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int32), ("y", ctypes.c_double)]


def test_cast_to_a_ctypes_structure(carry: Carry) -> None:
    event = carry(b"head" + bytes(Point(2, 3.5)))
    point = event.cast(Point, 4)
    assert (point.x, point.y) == (2, 3.5)
    point.x = 9  # the event's own memory
    assert event.cast(Point, 4).x == 9 and bytes(event) == b"head" + bytes(point)
    with pytest.raises(ValueError):
        event.cast(Point, 5)


def test_copy_into(carry: Carry) -> None:
    event = carry(b"0123456789")
    room = bytearray(12)
    assert event.copy_into(room, 1) == 10
    assert room == b"\x000123456789\x00"
    with pytest.raises(xdpsar.BufferTooSmall) as caught:
        event.copy_into(room, 3)
    assert caught.value.required == 10 and isinstance(caught.value, BufferError)
    with pytest.raises(BufferError):
        event.copy_into(b"read-only!")


def test_long_copies(carry: Carry) -> None:
    data = os.urandom(150_000)  # copied without the GIL
    event = carry(data)
    room = bytearray(len(data))
    assert event.copy_into(room) == len(data)
    assert bytes(event) == data == room


def test_release(carry: Carry) -> None:
    event = carry(DATA)
    with memoryview(event):
        with pytest.raises(BufferError, match="1 views"):
            event.release()
    event.release()
    event.release()  # again changes nothing
    assert "released" in repr(event) and len(event) == len(DATA)
    for use in (bytes, memoryview, lambda event: event.copy_into(bytearray(9)), pickle.dumps):
        with pytest.raises(ValueError, match="released"):
            use(event)
    with carry(DATA) as again:
        assert bytes(again) == DATA
    with pytest.raises(ValueError):
        memoryview(again)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_in_band(carry: Carry, protocol: int) -> None:
    event = carry(DATA)
    again = pickle.loads(pickle.dumps(event, protocol))
    facts = "event_number data_id lane worker fragments tick entropy nbytes recv_time_ns".split()
    assert [getattr(again, fact) for fact in facts] == [getattr(event, fact) for fact in facts]
    assert bytes(again) == DATA


def test_pickle_out_of_band_copies_nothing(carry: Carry) -> None:
    event = carry(DATA)
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(event, 5, buffer_callback=buffers.append)
    assert len(pickled) < 200
    again = pickle.loads(pickled, buffers=buffers)
    np = pytest.importorskip("numpy")
    assert np.shares_memory(again.numpy(), event.numpy())
    assert bytes(copy.copy(event)) == DATA


def test_numpy(carry: Carry) -> None:
    np = pytest.importorskip("numpy")
    event = carry(DATA)
    flat = event.numpy()
    assert flat.dtype == np.uint8 and flat.tobytes() == DATA
    assert flat.flags.writeable and not flat.flags.owndata
    assert event.numpy("<u2")[1] == 0x0302
    assert event.numpy(np.dtype(">u4"), (13, -1)).shape == (13, len(DATA) // 52)
    record = np.dtype([("head", "S4"), ("samples", "<u2", (10,))])
    assert event.numpy(record, strict=False)["samples"].shape == (len(DATA) // 24, 10)
    assert event.numpy("M8[s]", 3, strict=False).shape == (3,)
    assert event.numpy("u1", offset=len(DATA) - 4).tobytes() == b"end."
    for one, two in ((flat, event.numpy("<u2")), (flat, np.frombuffer(event, "u1"))):
        assert np.shares_memory(one, two)


def test_numpy_refuses_what_does_not_fit(carry: Carry) -> None:
    pytest.importorskip("numpy")
    event = carry(bytes(10))
    with pytest.raises(ValueError, match="2 items of 4 and 2 bytes more"):
        event.numpy("u4")
    assert event.numpy("u4", strict=False).shape == (2,)
    assert event.numpy("u4", (2,), strict=False).shape == (2,)
    for shape in ((3,), (2, 2), (5, -1)):
        with pytest.raises(ValueError):
            event.numpy("u4", shape, strict=False)
    with pytest.raises(ValueError, match="8 bytes, and there are 10"):
        event.numpy("u4", (2,))
    with pytest.raises(ValueError, match="has 10 bytes"):
        event.numpy("u1", offset=11)
    with pytest.raises(OverflowError):
        event.numpy("u1", offset=-1)
    with pytest.raises(TypeError, match="Python objects"):
        event.numpy("O")
    with pytest.raises(TypeError):
        event.numpy("no such type")


def test_dlpack(carry: Carry) -> None:
    np = pytest.importorskip("numpy", minversion="2.1")
    event = carry(DATA)
    array = np.from_dlpack(event)
    assert array.tobytes() == DATA and array.flags.writeable
    assert np.shares_memory(array, event.numpy())
    assert event.__dlpack_device__() == (1, 0)


def test_a_view_keeps_the_event_and_the_event_its_memory(port: int) -> None:
    np = pytest.importorskip("numpy")
    for order in range(4):
        receiver = xdpsar.Reassembler(data_ip="127.0.0.1", port=port)
        sender = xdpsar.Segmenter(f"127.0.0.1:{port}")
        events = iter(receiver)
        sender.send(DATA)
        event = next(events)
        gone = weakref.ref(event)
        array = event.numpy("<u2")
        part = array[5:50:3]
        if order & 1:
            receiver.close()
        if order & 2:
            del event, array
        del receiver, sender, events
        gc.collect()
        assert gone() is not None
        assert part.tolist() == np.frombuffer(DATA, "<u2")[5:50:3].tolist()
        if not order & 2:
            del array, event
        del part
        gc.collect()
        assert gone() is None
        assert _native._live_objects()["event"] == 0


def test_memory_comes_back(port: int) -> None:
    """Many times the memory that there is for events: none of it is lost."""
    mebibyte = 1 << 20
    with (
        xdpsar.Reassembler(data_ip="127.0.0.1", port=port, memory=mebibyte) as receiver,
        xdpsar.Segmenter(f"127.0.0.1:{port}") as sender,
    ):
        for round in range(100):
            data = bytes([round]) * 60_000
            sender.send(data)
            with receiver.recv(PATIENCE) as event:
                assert event == event and bytes(event) == data
        assert receiver.stats.events_lost.total == 0


def test_write_to_a_file(carry: Carry, tmp_path: Path) -> None:
    path = tmp_path / "event"
    path.write_bytes(carry(DATA))
    assert path.read_bytes() == DATA
