"""Headers."""

import pickle
import socket
import struct
from typing import Any

import pytest

import e2sar_py
from e2sar_py import LBHdrV2, LBHdrV3, LBREHdr, REHdr, SyncHdr

U16, U32, U64 = 2**16 - 1, 2**32 - 1, 2**64 - 1

# Class, size, highest values by keyword, how they stand in get_fields() and on
# the wire, in what format, and getters by keyword.
HEADERS: list[Any] = [
    (
        REHdr, 20, {"data_id": U16, "buff_off": U32, "buff_len": U32, "event_num": U64},
        lambda data_id, offset, length, number: (data_id, offset, length, number),
        lambda *fields: struct.pack(">BBHIIQ", 0x10, 0, *fields),
        ["get_dataId", "get_bufferOffset", "get_bufferLength", "get_eventNum"],
    ),
    (
        LBHdrV2, 16, {"entropy": U16, "event_num": U64},
        lambda entropy, number: (2, 1, entropy, number),
        lambda entropy, number: struct.pack(">2sBBHHQ", b"LB", 2, 1, 0, entropy, number),
        ["get_entropy", "get_eventNum"],
    ),
    (
        LBHdrV3, 16, {"slotSelect": U16, "portSelect": U16, "tick": U64},
        lambda slot, port, tick: (3, 1, slot, port, tick),
        lambda slot, port, tick: struct.pack(">2sBBHHQ", b"LB", 3, 1, slot, port, tick),
        ["get_slotSelect", "get_portSelect", "get_tick"],
    ),
    (
        SyncHdr, 28,
        {"event_srcId": U32, "event_num": U64, "avg_rate": U32, "unix_time_nano": U64},
        lambda source, number, rate, nano: (source, number, rate, nano),
        lambda *fields: struct.pack(">2sBBIQIQ", b"LC", 2, 0, *fields),
        ["get_eventSrcId", "get_eventNumber", "get_avgEventRateHz", "get_unixTimeNano"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    "header, size, highest, fields, wire, getters",
    HEADERS,
    ids=lambda it: getattr(it, "__name__", ""),
)
def test_headers(
    header: Any, size: int, highest: dict[str, int], fields: Any, wire: Any, getters: list[str]
) -> None:
    one = header()
    zeros, some = [0] * len(highest), list(range(1, len(highest) + 1))
    for values in (zeros, some, list(highest.values())):
        one.set(*values)
        again = header()
        again.set(**dict(zip(highest, values, strict=True)))
        assert one == again
        assert one.get_fields() == fields(*values)
        assert [getattr(one, getter)() for getter in getters] == values
        assert one.to_bytes() == bytes(one) == wire(*values)
        assert header.from_bytes(wire(*values)) == one
        assert header.from_bytes(memoryview(wire(*values) + b"and an event")) == one
        assert pickle.loads(pickle.dumps(one)) == one
    assert one != header() and one != one.to_bytes()
    # All at once, by default zeros.
    one.set()
    assert one == header()
    for name, most in highest.items():
        for wrong in (-1, most + 1, 1.0, "1", None):
            with pytest.raises(TypeError):
                one.set(**{name: wrong})
    assert one == header()
    assert len(one) == memoryview(one).nbytes == size
    assert header.__name__ in repr(one)
    with pytest.raises(ValueError):
        header.from_bytes(bytes(size - 1))
    with pytest.raises(TypeError):
        hash(one)


def test_versions() -> None:
    re = REHdr()
    assert re.get_headerVersion() == 1 and re.validate()
    assert (LBHdrV2().get_version(), LBHdrV2().get_nextProto()) == (2, 1)
    assert (LBHdrV3().get_version(), LBHdrV3().get_nextProto()) == (3, 1)
    assert e2sar_py.LBHdr is LBHdrV2
    for bad in (b"\x20\x00", b"\x11\x00", b"\x10\x01"):
        wrong = REHdr.from_bytes(bad + bytes(18))
        assert not wrong.validate()
    assert REHdr.from_bytes(b"\x20" + bytes(19)).get_headerVersion() == 2


def test_both_in_one() -> None:
    both = LBREHdr()
    assert len(both) == 36
    assert both.to_bytes() == LBHdrV2().to_bytes() + REHdr().to_bytes()
    assert "LBREHdr" in repr(both)


def test_headers_are_buffers() -> None:
    re = REHdr()
    re.set(7, 0, 5, 42)
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        one.sendmsg([re, b"event"])
        got = REHdr()
        assert other.recv_into(got) == 20
    assert got == re
