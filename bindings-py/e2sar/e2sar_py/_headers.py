"""What stands on the wire before an event's bytes, to be written to.

What the bytes mean, `xdpsar.headers` knows.
"""

from __future__ import annotations

import ctypes
import pickle
from typing import TYPE_CHECKING, Any, Protocol, Self

from xdpsar import headers

from ._convert import u16, u32, u64

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

    _Bytes = ctypes.Array[ctypes.c_ubyte]
else:
    _Bytes = object


class _Native(Protocol):
    def to_bytes(self) -> bytes: ...


class _Header(_Bytes):
    """What they have in common. They are buffers by being `ctypes` arrays:
    before 3.12, classes of Python alone cannot be."""

    __slots__ = ()

    @classmethod
    def from_bytes(cls, buf: Buffer) -> Self:
        """From the bytes that a buffer begins with."""
        return cls.from_buffer_copy(pickle.PickleBuffer(buf).raw())

    def to_bytes(self) -> bytes:
        """As it stands on the wire."""
        return bytes(self)

    def _write(self, native: _Native) -> None:
        ctypes.memmove(self, native.to_bytes(), self._length_)

    def _fields(self) -> Any:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.to_bytes() == other.to_bytes()

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Callable[[bytes], Self], tuple[bytes]]:
        return self.from_bytes, (self.to_bytes(),)

    def __repr__(self) -> str:
        fields = repr(self._fields()).partition(" ")[2]
        return f"<{type(self).__name__} {fields}"


class REHdr(_Header, ctypes.Array[ctypes.c_ubyte]):
    """The reassembly header: which event a fragment is of, and where in it."""

    __slots__ = ()
    _type_ = ctypes.c_ubyte
    _length_ = 20

    def __init__(self) -> None:
        self.set()

    def _fields(self) -> headers.ReHeader:
        return headers.ReHeader.from_bytes(self, check=False)

    def set(
        self, data_id: int = 0, buff_off: int = 0, buff_len: int = 0, event_num: int = 0
    ) -> None:
        """All of it. `buff_len` is the whole event's."""
        self._write(
            headers.ReHeader(
                data_id=u16(data_id),
                offset=u32(buff_off),
                length=u32(buff_len),
                event_number=u64(event_num),
            )
        )

    def get_eventNum(self) -> int:
        """The event's number."""
        return self._fields().event_number

    def get_bufferLength(self) -> int:
        """Bytes of the whole event."""
        return self._fields().length

    def get_bufferOffset(self) -> int:
        """Where the fragment's bytes begin in the event."""
        return self._fields().offset

    def get_dataId(self) -> int:
        """The source within the event."""
        return self._fields().data_id

    def get_headerVersion(self) -> int:
        """1."""
        return int(self[0]) >> 4

    def validate(self) -> bool:
        """Whether it is one of version 1."""
        return self._fields().valid

    def get_fields(self) -> tuple[int, int, int, int]:
        """Data id, offset, length, event number."""
        own = self._fields()
        return own.data_id, own.offset, own.length, own.event_number


class LBHdrV2(_Header, ctypes.Array[ctypes.c_ubyte]):
    """The load balancer's header."""

    __slots__ = ()
    _type_ = ctypes.c_ubyte
    _length_ = 16

    def __init__(self) -> None:
        self.set()

    def _fields(self) -> headers.LbHeaderV2:
        return headers.LbHeaderV2.from_bytes(self, check=False)

    def set(self, entropy: int = 0, event_num: int = 0) -> None:
        """All of it."""
        self._write(headers.LbHeaderV2(entropy=u16(entropy), tick=u64(event_num)))

    def get_version(self) -> int:
        """2."""
        return self._fields().version

    def get_nextProto(self) -> int:
        """1: an RE header follows."""
        return self._fields().next_protocol

    def get_entropy(self) -> int:
        """Its low bits choose the port."""
        return self._fields().entropy

    def get_eventNum(self) -> int:
        """The load balancer's event number."""
        return self._fields().tick

    def get_fields(self) -> tuple[int, int, int, int]:
        """Version, next protocol, entropy, event number."""
        own = self._fields()
        return own.version, own.next_protocol, own.entropy, own.tick


class LBHdrV3(_Header, ctypes.Array[ctypes.c_ubyte]):
    """The load balancer's header, version 3."""

    __slots__ = ()
    _type_ = ctypes.c_ubyte
    _length_ = 16

    def __init__(self) -> None:
        self.set()

    def _fields(self) -> headers.LbHeaderV3:
        return headers.LbHeaderV3.from_bytes(self, check=False)

    def set(self, slotSelect: int = 0, portSelect: int = 0, tick: int = 0) -> None:
        """All of it."""
        self._write(
            headers.LbHeaderV3(slot=u16(slotSelect), entropy=u16(portSelect), tick=u64(tick))
        )

    def get_version(self) -> int:
        """3."""
        return self._fields().version

    def get_nextProto(self) -> int:
        """1: an RE header follows."""
        return self._fields().next_protocol

    def get_slotSelect(self) -> int:
        """Chooses the receiver."""
        return self._fields().slot

    def get_portSelect(self) -> int:
        """Its low bits choose the port."""
        return self._fields().entropy

    def get_tick(self) -> int:
        """The load balancer's event number."""
        return self._fields().tick

    def get_fields(self) -> tuple[int, int, int, int, int]:
        """Version, next protocol, slot, port, tick."""
        own = self._fields()
        return own.version, own.next_protocol, own.slot, own.entropy, own.tick


class LBREHdr(_Header, ctypes.Array[ctypes.c_ubyte]):
    """Both headers, as they stand before a fragment's bytes."""

    __slots__ = ()
    _type_ = ctypes.c_ubyte
    _length_ = 36

    def __init__(self) -> None:
        self._write(headers.LbReHeader())

    def _fields(self) -> headers.LbReHeader:
        return headers.LbReHeader.from_bytes(self, check=False)


class SyncHdr(_Header, ctypes.Array[ctypes.c_ubyte]):
    """A sync message: where a sender's ticks are, and how fast they grow."""

    __slots__ = ()
    _type_ = ctypes.c_ubyte
    _length_ = 28

    def __init__(self) -> None:
        self.set()

    def _fields(self) -> headers.SyncHeader:
        return headers.SyncHeader.from_bytes(self, check=False)

    def set(
        self,
        event_srcId: int = 0,
        event_num: int = 0,
        avg_rate: int = 0,
        unix_time_nano: int = 0,
    ) -> None:
        """All of it."""
        self._write(
            headers.SyncHeader(
                source_id=u32(event_srcId),
                event_number=u64(event_num),
                rate_hz=u32(avg_rate),
                unix_time_ns=u64(unix_time_nano),
            )
        )

    def get_eventSrcId(self) -> int:
        """Which sender it is of."""
        return self._fields().source_id

    def get_eventNumber(self) -> int:
        """Where it is on the axis of ticks."""
        return self._fields().event_number

    def get_avgEventRateHz(self) -> int:
        """Ticks in a second."""
        return self._fields().rate_hz

    def get_unixTimeNano(self) -> int:
        """When that was, in nanoseconds since 1970."""
        return self._fields().unix_time_ns

    def get_fields(self) -> tuple[int, int, int, int]:
        """Source, event number, rate, time."""
        own = self._fields()
        return own.source_id, own.event_number, own.rate_hz, own.unix_time_ns
