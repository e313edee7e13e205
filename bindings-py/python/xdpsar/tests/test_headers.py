"""Headers, byte by byte (data-plane.md §1)."""

import pickle
import struct
from typing import Any

import pytest

from xdpsar import HeaderError
from xdpsar.headers import LbHeaderV2, LbHeaderV3, LbReHeader, ReHeader, SyncHeader

TICK = 0x0123456789ABCDEF
CASES: list[tuple[Any, dict[str, int], bytes]] = [
    (
        ReHeader,
        {"data_id": 0x1234, "offset": 5, "length": 0x01020304, "event_number": TICK},
        struct.pack(">BBHIIQ", 0x10, 0, 0x1234, 5, 0x01020304, TICK),
    ),
    (
        LbHeaderV2,
        {"entropy": 0xABCD, "tick": TICK},
        struct.pack(">2sBBHHQ", b"LB", 2, 1, 0, 0xABCD, TICK),
    ),
    (
        LbHeaderV3,
        {"slot": 7, "entropy": 0xABCD, "tick": TICK},
        struct.pack(">2sBBHHQ", b"LB", 3, 1, 7, 0xABCD, TICK),
    ),
    (
        LbReHeader,
        {"lb_version": 3, "slot": 1, "entropy": 2, "tick": 3, "data_id": 4, "offset": 5}
        | {"length": 6, "event_number": 7},
        struct.pack(">2sBBHHQBBHIIQ", b"LB", 3, 1, 1, 2, 3, 0x10, 0, 4, 5, 6, 7),
    ),
    (
        SyncHeader,
        {"source_id": 9, "event_number": TICK, "rate_hz": 1_000_000, "unix_time_ns": 1 << 63},
        struct.pack(">2sBBIQIQ", b"LC", 2, 0, 9, TICK, 1_000_000, 1 << 63),
    ),
]


@pytest.mark.parametrize(("cls", "fields", "wire"), CASES)
def test_fields_and_bytes(cls: Any, fields: dict[str, int], wire: bytes) -> None:
    header = cls(**fields)
    assert bytes(header) == header.to_bytes() == wire and len(header) == len(wire)
    assert {name: getattr(header, name) for name in fields} == fields
    assert header.valid and cls().valid and all(name in repr(header) for name in fields)
    view = memoryview(header)
    assert view.readonly and view == wire and view.obj is header
    again = cls.from_bytes(wire)
    assert again == header == pickle.loads(pickle.dumps(header)) and hash(again) == hash(header)
    assert header != cls() and header != wire
    with pytest.raises((BufferError, TypeError)):
        struct.pack_into("B", header, 0, 1)


@pytest.mark.parametrize(("cls", "fields", "wire"), CASES)
def test_what_is_no_header(cls: Any, fields: dict[str, int], wire: bytes) -> None:
    for short in (b"", wire[:-1]):
        with pytest.raises(HeaderError, match=f"{len(short)} bytes"):
            cls.from_bytes(short)
        with pytest.raises(HeaderError):
            cls.from_bytes(short, check=False)
    damaged = b"\xff" + wire[1:]
    with pytest.raises(HeaderError) as caught:
        cls.from_bytes(damaged)
    assert isinstance(caught.value, ValueError) and caught.value.asked == f"read a {cls.__name__}"
    unsound = cls.from_bytes(damaged, check=False)
    assert not unsound.valid and bytes(unsound) == damaged and "unsound" in repr(unsound)
    assert pickle.loads(pickle.dumps(unsound)) == unsound
    for field in fields:
        with pytest.raises(OverflowError):
            cls(**{field: 1 << 64})
        with pytest.raises(OverflowError):
            cls(**{field: -1})
        with pytest.raises(TypeError):
            cls(**{field: "1"})
    with pytest.raises(TypeError):
        cls(1)
    with pytest.raises(TypeError):
        cls(colour=1)
    with pytest.raises(TypeError):
        cls.from_bytes("text")


def test_what_follows_a_header_is_not_its_own() -> None:
    re = CASES[0][2]
    assert bytes(ReHeader.from_bytes(bytearray(re + b"payload"))) == re
    with pytest.raises(HeaderError):
        SyncHeader.from_bytes(CASES[4][2] + b"\0")


def test_versions() -> None:
    assert (LbHeaderV2().version, LbHeaderV3().version) == (2, 3)
    assert (LbHeaderV2().next_protocol, LbHeaderV3().next_protocol) == (1, 1)
    with pytest.raises(HeaderError, match="version 3, not 2"):
        LbHeaderV2.from_bytes(LbHeaderV3())
    with pytest.raises(HeaderError, match="version 9"):
        LbHeaderV3.from_bytes(b"LB\x09\x01" + bytes(12))
    assert LbReHeader(lb_version=2).lb_version == 2
    with pytest.raises(ValueError, match="lb_version=4"):
        LbReHeader(lb_version=4)
    with pytest.raises(ValueError, match="slot"):
        LbReHeader(slot=1)
