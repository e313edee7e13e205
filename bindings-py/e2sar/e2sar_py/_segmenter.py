"""The sender."""

from __future__ import annotations

import contextlib
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import xdpsar

from ._address import host_and_port
from ._affinity import Affinity
from ._buffers import array, beginning
from ._convert import copy_of, cores, u16, u32, u64
from ._empty import EmptyEvents
from ._enum import E2SARErrorc
from ._errors import E2SARException, NotConstructible, code_of, refuse, refuse_parameter
from ._numbers import Numbers
from ._overloads import Parameter, match
from ._results import DONE, E2SARResultInt
from ._route import route
from ._segmenter_flags import SegmenterFlags as Flags
from ._uri import EjfatURI

if TYPE_CHECKING:
    from typing_extensions import Buffer

_QUEUE = 2047
_MOST_SOCKETS = 128
_LONGEST_PERIOD_MS = 10000
_LARGEST_MTU = 9000
# IP, UDP, LB and RE headers.
_HEADERS_V4 = 20 + 8 + 16 + 20
_HEADERS_V6 = 40 + 8 + 16 + 20


class SegmenterStats(NotConstructible):
    """Counters of datagrams, and the last error."""

    __slots__ = ("errCnt", "lastE2SARError", "lastErrno", "msgCnt")
    __module__ = "e2sar_py.DataPlane"
    __qualname__ = "Segmenter.ReportedStats"

    msgCnt: int
    """Datagrams."""
    errCnt: int
    """Those that were not taken."""
    lastErrno: int
    lastE2SARError: E2SARErrorc

    @classmethod
    def _of(cls, taken: int, failed: int, errno: int, code: E2SARErrorc) -> SegmenterStats:
        stats = cls._bare()
        stats.msgCnt, stats.errCnt = taken + failed, failed
        stats.lastErrno, stats.lastE2SARError = errno, code
        return stats


_URI = Parameter("uri", "EjfatURI", copy_of(EjfatURI))
_DATA_ID = Parameter("data_id", "u16", u16)
_SOURCE = Parameter("eventSrc_id", "u32", u32)
_FLAGS = Parameter("sflags", "SegmenterFlags", copy_of(Flags), None)
_CORES = Parameter("cpu_core_list", "list[int]", cores)
_FORMS = [[_URI, _DATA_ID, _SOURCE, _FLAGS], [_URI, _DATA_ID, _SOURCE, _CORES, _FLAGS]]


class Segmenter:
    """Sends events to a load balancer, or straight to a reassembler.

    `Segmenter(uri, data_id, eventSrc_id[, cpu_core_list][, sflags])`. Nothing
    is opened before `OpenAndStart`.
    """

    __slots__ = (
        "__weakref__",
        "_cores",
        "_data_id",
        "_empty",
        "_flags",
        "_last",
        "_mtu",
        "_native",
        "_numbers",
        "_route",
        "_source",
        "_tickets",
        "_to",
        "_uri",
    )

    SegmenterFlags: TypeAlias = Flags
    ReportedStats: TypeAlias = SegmenterStats

    @overload
    def __init__(
        self,
        uri: EjfatURI,
        data_id: int,
        eventSrc_id: int,
        sflags: Flags = ...,
    ) -> None: ...
    @overload
    def __init__(
        self,
        uri: EjfatURI,
        data_id: int,
        eventSrc_id: int,
        cpu_core_list: Sequence[int],
        sflags: Flags = ...,
    ) -> None: ...
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = match("Segmenter", _FORMS, args, kwargs)
        self._uri: EjfatURI = given["uri"]
        self._flags: Flags = given["sflags"] or Flags()
        self._data_id: int = given["data_id"]
        self._source: int = given["eventSrc_id"]
        self._cores: list[int] = given.get("cpu_core_list", [])
        self._check_flags()
        self._to = self._destination()
        self._route = route(self._to[0])
        self._mtu = self._checked_mtu()
        self._native: xdpsar.Segmenter | None = None
        self._numbers = Numbers()
        self._last = (0, E2SARErrorc.NoError)
        self._tickets: deque[xdpsar.SendTicket] = deque(maxlen=_QUEUE)
        self._empty = EmptyEvents()
        if self._cores:
            Affinity.set_process(self._cores).value()

    def _check_flags(self) -> None:
        flags = self._flags
        if flags.lbHdrVersion not in (2, 3):
            refuse_parameter(f"LB header version {flags.lbHdrVersion}: there are versions 2 and 3")
        if not 1 <= flags.numSendSockets <= _MOST_SOCKETS:
            refuse_parameter(
                f"{flags.numSendSockets} send sockets: choose from 1 to {_MOST_SOCKETS}"
            )
        if flags.syncPeriodMs > _LONGEST_PERIOD_MS or (flags.useCP and not flags.syncPeriodMs):
            refuse_parameter(
                f"A sync period of {flags.syncPeriodMs} ms: choose from 1 to {_LONGEST_PERIOD_MS}"
            )
        if flags.useCP and not self._uri.has_sync_addr():
            refuse_parameter(
                "Sync address not available in the URI: add sync=ip:port, or turn useCP off"
            )

    def _destination(self) -> tuple[str, int]:
        v6 = self._flags.dpV6
        address = self._uri.get_data_addr_v6() if v6 else self._uri.get_data_addr_v4()
        if address.has_error():
            refuse_parameter(
                f"IPv{6 if v6 else 4} data plane address not available in the URI: add data=ip, "
                f"or turn dpV6 {'off' if v6 else 'on'}"
            )
        ip, port = address.value()
        return str(ip), port

    def _checked_mtu(self) -> int:
        most = self._route.mtu
        mtu = self._flags.mtu or min(most, _LARGEST_MTU)
        if mtu > min(most, _LARGEST_MTU):
            refuse_parameter(
                f"An MTU of {mtu}: the interface has {most}, and {_LARGEST_MTU} is the largest"
            )
        if mtu <= self._headers():
            refuse_parameter(f"An MTU of {mtu}: the headers take {self._headers()} bytes")
        return mtu

    def _headers(self) -> int:
        return _HEADERS_V6 if self._flags.dpV6 else _HEADERS_V4

    def OpenAndStart(self) -> E2SARResultInt:
        """Opens the sockets. With a control plane it sends sync messages from
        now on, and waits for `warmUpMs`."""
        if self._native is not None:
            return E2SARResultInt._failed(
                E2SARErrorc.LogicError, "OpenAndStart was called before: make a new Segmenter"
            )
        flags = self._flags
        # Who listens on as many ports as there are sockets, does so on a power of two.
        ports = 1 << (flags.numSendSockets - 1).bit_length() if flags.multiPort else 1
        try:
            self._native = xdpsar.Segmenter(
                host_and_port(*self._to),
                data_id=self._data_id,
                ports=ports,
                sockets=flags.numSendSockets,
                cores=self._cores,
                queue=_QUEUE,
                mtu=self._mtu,
                rate_gbps=flags.rateGbps if flags.rateGbps > 0 else None,
                kernel_pacing=flags.smooth and flags.rateGbps > 0,
                connected=flags.connectedSocket,
                lb_version=3 if flags.lbHdrVersion == 3 else 2,
                send_buffer=max(0, flags.sndSocketBufSize),
                sync=host_and_port(*self._uri.get_sync_addr().value()) if flags.useCP else False,
                source_id=self._source,
                sync_period=flags.syncPeriodMs / 1000,
                # That is for the caller to wait for, below.
                sync_warm_up=0.0,
            )
        except (xdpsar.XdpsarError, OSError) as error:
            return E2SARResultInt._caught(error, "Unable to open send sockets: ")
        if flags.useCP:
            time.sleep(flags.warmUpMs / 1000)
        return DONE

    def sendEvent(
        self,
        send_buf: Buffer,
        buf_len: int,
        _eventNum: int = 0,
        _dataId: int = 0,
        entropy: int = 0,
    ) -> E2SARResultInt:
        """Sends an event in this thread. Number 0: the next one; data id 0:
        the segmenter's; entropy 0: a random one."""
        return self._send(send_buf, buf_len, _eventNum, _dataId, entropy)

    def sendNumpyArray(
        self,
        numpy_array: Buffer,
        nbytes: int,
        event_num: int = 0,
        data_id: int = 0,
        entropy: int = 0,
    ) -> E2SARResultInt:
        """The same for an array."""
        return self._send(array(numpy_array), nbytes, event_num, data_id, entropy)

    def addToSendQueue(
        self,
        send_buf: Buffer,
        buf_len: int,
        _eventNum: int = 0,
        _dataId: int = 0,
        entropy: int = 0,
        callback: Callable[[Any], object] | None = None,
        cbArg: Any = None,
    ) -> E2SARResultInt:
        """Queues an event, which must not be changed until it is sent; then
        `callback(cbArg)` is called, from another thread."""
        return self._queue(send_buf, buf_len, _eventNum, _dataId, entropy, callback, cbArg)

    def addNumpyArrayToSendQueue(
        self,
        numpy_array: Buffer,
        nbytes: int,
        _eventNum: int = 0,
        _dataId: int = 0,
        entropy: int = 0,
        callback: Callable[[Any], object] | None = None,
        cbArg: Any = None,
    ) -> E2SARResultInt:
        """The same for an array."""
        return self._queue(array(numpy_array), nbytes, _eventNum, _dataId, entropy, callback, cbArg)

    def _send(
        self, data: Buffer, length: int, number: int, data_id: int, entropy: int
    ) -> E2SARResultInt:
        length, number, data_id = u32(length), u64(number), u16(data_id)
        entropy = u16(entropy)
        try:
            native = self._opened()
            part = beginning(data, length)
            number, tick = self._take(number)
            if length:
                native.send(
                    part,
                    event_number=number,
                    data_id=data_id or None,
                    entropy=entropy or None,
                    tick=tick,
                )
        except (E2SARException, xdpsar.XdpsarError) as error:
            self._remember(error)
            return E2SARResultInt._caught(error)
        return DONE

    def _queue(
        self,
        data: Buffer,
        length: int,
        number: int,
        data_id: int,
        entropy: int,
        callback: Callable[[Any], object] | None,
        argument: Any,
    ) -> E2SARResultInt:
        length, number, data_id = u32(length), u64(number), u16(data_id)
        entropy = u16(entropy)
        if callback is not None and not callable(callback):
            raise TypeError(f"callback: {callback!r} cannot be called")
        told = None if callback is None else partial(_tell, callback, argument)
        try:
            native = self._opened()
            part = beginning(data, length)
            number, tick = self._take(number)
            if not length:
                self._empty.add(told)
                return DONE
            ticket = native.try_submit(
                part,
                event_number=number,
                data_id=data_id or None,
                entropy=entropy or None,
                tick=tick,
                callback=told,
            )
        except (E2SARException, xdpsar.XdpsarError) as error:
            self._remember(error)
            return E2SARResultInt._caught(error)
        if ticket is None:
            self._numbers.give_back(number)
            return E2SARResultInt._failed(
                E2SARErrorc.MemoryError, "Send queue is temporarily full, try again later"
            )
        self._tickets.append(ticket)
        return DONE

    def _opened(self) -> xdpsar.Segmenter:
        if self._native is None:
            refuse(E2SARErrorc.LogicError, "Nothing can be sent before OpenAndStart")
        return self._native

    def _take(self, asked: int) -> tuple[int, int | None]:
        """An event's number, and its tick unless the clock gives it."""
        number = self._numbers.take(asked)
        if not self._flags.ticksAsREEventNum:
            return number, None
        tick = self._numbers.tick()
        return tick, tick

    def _remember(self, error: BaseException) -> None:
        if isinstance(error, xdpsar.SocketError):
            self._last = (error.errno or 0, code_of(error))

    def _settle(self) -> None:
        """Looks what became of queued events, for the last error."""
        with contextlib.suppress(IndexError):
            while self._tickets[0].done():
                error = self._tickets.popleft().exception(0)
                if error is not None:
                    self._remember(error)

    def getSendStats(self) -> SegmenterStats:
        """Of data, up to now."""
        if self._native is None:
            return SegmenterStats._of(0, 0, *self._last)
        stats = self._native.stats
        self._settle()
        return SegmenterStats._of(stats.fragments, stats.fragments_failed, *self._last)

    def getSyncStats(self) -> SegmenterStats:
        """Of sync messages, up to now."""
        sync = self._native.stats.sync if self._native is not None else None
        if sync is None:
            return SegmenterStats._of(0, 0, 0, E2SARErrorc.NoError)
        code = E2SARErrorc.SocketError if sync.errors else E2SARErrorc.NoError
        errno = re.search(r"\(os error (\d+)\)", sync.last_error or "")
        return SegmenterStats._of(sync.sent, sync.errors, int(errno[1]) if errno else 0, code)

    def getMTU(self) -> int:
        """Largest IP datagram in bytes."""
        return self._mtu

    def getMaxPldLen(self) -> int:
        """Event bytes in one datagram."""
        return self._mtu - self._headers()

    def getIntf(self) -> str:
        """The interface that events leave through."""
        return self._route.interface

    def isUsingIPv6(self) -> bool:
        """Whether events are sent by IPv6."""
        return self._flags.dpV6

    def stopThreads(self) -> None:
        """Sends what is queued, and ends all threads."""
        if self._native is not None:
            self._native.close()
            self._empty.join()


def _tell(
    callback: Callable[[Any], object], argument: Any, _ticket: xdpsar.SendTicket | None
) -> None:
    callback(argument)
