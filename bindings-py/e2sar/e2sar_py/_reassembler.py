"""The receiver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import xdpsar

from ._address import AnyAddress, IPAddress, address
from ._affinity import Affinity
from ._convert import copy_of, cores, text, truth, u16, u64
from ._enum import E2SARErrorc
from ._errors import E2SARException, NotConstructible, code_of, refuse, refuse_parameter
from ._lb_caller import INSTANCE, calling
from ._lb_manager import LBManager, get_port_range
from ._overloads import Parameter, match
from ._reassembler_flags import ReassemblerFlags as Flags
from ._results import DONE, E2SARResultInt, E2SARResultListOfFDPairs
from ._uri import EjfatURI

if TYPE_CHECKING:
    import numpy as np

_MOST_THREADS = 128
_LARGEST_RANGE = 14
_LONGEST_TIMEOUT_MS = 10000
_LOWEST_PORT = 1024
_NOTHING = -1
_ERROR = -2


class ReassemblerStats(NotConstructible):
    """What became of what came in."""

    __slots__ = (
        "badHeaderDiscards",
        "dataErrCnt",
        "enqueueLoss",
        "eventSuccess",
        "grpcErrCnt",
        "lastE2SARError",
        "lastErrno",
        "reassemblyLoss",
        "totalBytes",
        "totalPackets",
    )
    __module__ = "e2sar_py.DataPlane"
    __qualname__ = "Reassembler.ReportedStats"

    enqueueLoss: int
    """Events lost because the queue was full."""
    reassemblyLoss: int
    """Events lost because fragments did not come."""
    eventSuccess: int
    """Events that were queued."""
    lastErrno: int
    grpcErrCnt: int
    dataErrCnt: int
    """Failures to receive."""
    lastE2SARError: E2SARErrorc
    totalPackets: int
    """Datagrams."""
    totalBytes: int
    """Their bytes, headers below UDP aside."""
    badHeaderDiscards: int
    """Datagrams that are none of EJFAT's."""


_URI = Parameter("uri", "EjfatURI", copy_of(EjfatURI))
_IP = Parameter("data_ip", "IPAddress", address)
_PORT = Parameter("starting_port", "u16", u16)
_THREADS = Parameter("num_recv_threads", "int", u64, 1)
_CORES = Parameter("cpu_core_list", "list[int]", cores)
_FLAGS = Parameter("rflags", "ReassemblerFlags", copy_of(Flags), None)
_V6 = Parameter("v6", "bool", truth, False)
_FORMS = [
    [_URI, _IP, _PORT, _THREADS, _FLAGS],
    [_URI, _PORT, _THREADS, _FLAGS, _V6],
    [_URI, _IP, _PORT, _CORES, _FLAGS],
    [_URI, _PORT, _CORES, _FLAGS, _V6],
]


class Reassembler:
    """Receives events.

    `Reassembler(uri[, data_ip], starting_port[, num_recv_threads |
    cpu_core_list][, rflags][, v6])`; without `data_ip` it is the address from
    which the URI's data address is reached. Nothing is opened before
    `OpenAndStart`.
    """

    __slots__ = (
        "__weakref__",
        "_cores",
        "_data_ip",
        "_errors",
        "_flags",
        "_last",
        "_manager",
        "_native",
        "_port",
        "_range",
        "_started",
        "_threads",
    )

    ReassemblerFlags: TypeAlias = Flags
    ReportedStats: TypeAlias = ReassemblerStats

    @overload
    def __init__(
        self,
        uri: EjfatURI,
        data_ip: AnyAddress,
        starting_port: int,
        num_recv_threads: int = 1,
        rflags: Flags = ...,
    ) -> None: ...
    @overload
    def __init__(
        self,
        uri: EjfatURI,
        starting_port: int,
        num_recv_threads: int = 1,
        rflags: Flags = ...,
        v6: bool = False,
    ) -> None: ...
    @overload
    def __init__(
        self,
        uri: EjfatURI,
        data_ip: AnyAddress,
        starting_port: int,
        cpu_core_list: Sequence[int],
        rflags: Flags = ...,
    ) -> None: ...
    @overload
    def __init__(
        self,
        uri: EjfatURI,
        starting_port: int,
        cpu_core_list: Sequence[int],
        rflags: Flags = ...,
        v6: bool = False,
    ) -> None: ...
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = match("Reassembler", _FORMS, args, kwargs)
        uri: EjfatURI = given["uri"]
        self._flags: Flags = given["rflags"] or Flags()
        self._port: int = given["starting_port"]
        self._cores: list[int] = given.get("cpu_core_list", [])
        self._threads: int = given.get("num_recv_threads", len(self._cores))
        self._check()
        asked = self._flags.portRange
        self._range = get_port_range(self._threads) if asked == -1 else asked
        if self._port + (1 << self._range) > 1 << 16:
            refuse_parameter(f"{1 << self._range} ports from {self._port} on: they end at 65535")
        if not uri.has_data_addr():
            refuse_parameter("Data plane address not available in the URI: add data=ip")
        self._data_ip: IPAddress = given.get("data_ip") or _own_address(uri, given["v6"])
        self._manager = LBManager(uri, self._flags.validateCert, self._flags.useHostAddress)
        self._native: xdpsar.Reassembler | None = None
        self._started = False
        self._errors = 0
        self._last = (0, E2SARErrorc.NoError)
        if self._cores:
            Affinity.set_process(self._cores).value()

    def _check(self) -> None:
        flags = self._flags
        if not 1 <= self._threads <= _MOST_THREADS:
            refuse_parameter(f"{self._threads} receive threads: choose from 1 to {_MOST_THREADS}")
        if self._port < _LOWEST_PORT:
            refuse_parameter(f"Port {self._port}: choose one from {_LOWEST_PORT} on")
        if not -1 <= flags.portRange <= _LARGEST_RANGE:
            refuse_parameter(
                f"A port range of {flags.portRange}: choose from 0 to {_LARGEST_RANGE}, or -1"
            )
        if not 1 <= flags.eventTimeout_ms <= _LONGEST_TIMEOUT_MS:
            refuse_parameter(
                f"An event timeout of {flags.eventTimeout_ms} ms: choose from 1 to "
                f"{_LONGEST_TIMEOUT_MS}"
            )
        if not 1 <= flags.period_ms <= flags.epoch_ms:
            refuse_parameter(f"A period of {flags.period_ms} ms in an epoch of {flags.epoch_ms}")

    def OpenAndStart(self) -> E2SARResultInt:
        """Binds the ports and receives from now on."""
        if self._started:
            return E2SARResultInt._failed(
                E2SARErrorc.LogicError, "OpenAndStart was called before: make a new Reassembler"
            )
        # One that was registered before receives already.
        result = self._open() if self._native is None else DONE
        self._started = result.has_value()
        return result

    def _open(self) -> E2SARResultInt:
        flags = self._flags
        ports = 1 << self._range
        threads = min(self._threads, ports)
        try:
            self._native = xdpsar.Reassembler(
                data_ip=str(self._data_ip),
                port=self._port,
                ports=ports,
                # Each has a port at least.
                threads=threads,
                cores=self._cores[:threads],
                event_timeout=flags.eventTimeout_ms / 1000,
                lb_header="keep" if flags.withLBHeader else "none",
                socket_buffer=max(0, flags.rcvSocketBufSize),
            )
        except (xdpsar.XdpsarError, OSError) as error:
            code = code_of(error)
            if isinstance(error, xdpsar.SocketError):
                code = E2SARErrorc.SocketError
            return E2SARResultInt._failed(code, f"Unable to open receive sockets: {error}")
        return DONE

    def registerWorker(self, node_name: str) -> E2SARResultInt:
        """Tells the control plane, if there is one, that this is a worker, and
        from then on how it does. Binds the ports: who is registered gets
        events."""
        name = text(node_name)
        if not self._flags.useCP:
            return DONE
        need = ((bool(name), "a worker has a name"),)
        try:
            self._manager._check("register_worker", INSTANCE, need)
        except E2SARException as error:
            return E2SARResultInt._caught(error)
        if self._is_registered():
            return E2SARResultInt._failed(
                E2SARErrorc.LogicError, "This worker is registered: deregister it before"
            )
        opened = self._native is None
        if opened and (result := self._open()).has_error():
            return result
        native = self._native
        assert native is not None
        try:
            native.register(*self._registration(name))
        except xdpsar.XdpsarError as error:
            if opened:
                native.close()
                self._native = None
            if isinstance(error, xdpsar.RpcError):
                return E2SARResultInt._caught(error, calling("register_worker", error))
            return E2SARResultInt._failed(code_of(error), str(error))
        return DONE

    def _is_registered(self) -> bool:
        told = self._native.registration if self._native is not None else None
        return told is not None and told.state != "deregistered"

    def _registration(self, name: str) -> tuple[xdpsar.Registration, xdpsar.EjfatUri]:
        flags = self._flags
        uri, trust = self._manager._reach()
        registration = xdpsar.Registration(
            name,
            weight=flags.weight,
            min_factor=flags.min_factor,
            max_factor=flags.max_factor,
            period=flags.period_ms / 1000,
            horizon=flags.epoch_ms / 1000,
            set_point=flags.setPoint,
            kp=flags.Kp,
            ki=flags.Ki,
            kd=flags.Kd,
            # Always ready.
            high_water=1.0,
            report_counters=flags.reportStats,
            **trust,
        )
        return registration, uri

    def deregisterWorker(self) -> E2SARResultInt:
        """Tells it that this is a worker no more. What the load balancer still
        has for it comes in."""
        if not self._flags.useCP:
            return DONE
        native = self._native
        if native is None or not self._is_registered():
            return E2SARResultInt._failed(
                E2SARErrorc.LogicError, "This worker is not registered: nothing to deregister"
            )
        native.deregister()
        return DONE

    def getEventBytes(self) -> tuple[int, bytes, int, int]:
        """The next event if one is there: length, bytes, number, data id.
        Length -1: there is none; -2: an error."""
        return _as_bytes(self._next(0.0))

    def recvEventBytes(self, wait_ms: int = 0) -> tuple[int, bytes, int, int]:
        """The same, waiting for it; 0: as long as it takes."""
        return _as_bytes(self._next(_seconds(wait_ms)))

    def get1DNumpyArray(self, data_type: Any) -> tuple[int, np.ndarray[Any, Any], int, int]:
        """The next event if one is there, as an array that is no copy: its
        length in bytes, the array, number, data id."""
        return _as_array(self._next, 0.0, data_type)

    def recv1DNumpyArray(
        self, data_type: Any, wait_ms: int = 0
    ) -> tuple[int, np.ndarray[Any, Any], int, int]:
        """The same, waiting for it; 0: as long as it takes."""
        return _as_array(self._next, _seconds(wait_ms), data_type)

    def _next(self, timeout: float | None) -> xdpsar.Event | int:
        native = self._native
        if native is None:
            return _NOTHING
        try:
            event = native.try_recv() if timeout == 0 else native.recv(timeout)
        except (xdpsar.XdpsarTimeout, xdpsar.Closed):
            return _NOTHING
        except xdpsar.XdpsarError as error:
            self._errors += 1
            self._last = (getattr(error, "errno", None) or 0, code_of(error))
            return _ERROR
        return _NOTHING if event is None else event

    def getStats(self) -> ReassemblerStats:
        """Up to now."""
        stats = ReassemblerStats._bare()
        told = self._native.registration if self._native is not None else None
        stats.grpcErrCnt = told.errors if told is not None else 0
        stats.dataErrCnt = self._errors
        stats.lastErrno, stats.lastE2SARError = self._last
        if stats.grpcErrCnt and stats.lastE2SARError == E2SARErrorc.NoError:
            stats.lastE2SARError = E2SARErrorc.RPCError
        if self._native is None:
            stats.enqueueLoss = stats.reassemblyLoss = stats.eventSuccess = 0
            stats.totalPackets = stats.totalBytes = stats.badHeaderDiscards = 0
            return stats
        now = self._native.stats
        lost, dropped = now.events_lost, now.dropped
        stats.enqueueLoss = lost.overflow
        # What was cut off by the end is not lost.
        stats.reassemblyLoss = lost.total - lost.overflow - lost.stopped
        stats.eventSuccess = now.events_ok
        stats.totalPackets, stats.totalBytes = now.datagrams, now.datagram_bytes
        stats.badHeaderDiscards = dropped.short + dropped.bad_lb_header + dropped.bad_re_header
        return stats

    def get_LostEvent(self) -> tuple[int, int, int] | tuple[()]:
        """A lost event's number and data id, and how many of its fragments had
        come; () if there is none."""
        lost = self._native.lost(1) if self._native is not None else []
        if not lost:
            return ()
        return lost[0].event_number, lost[0].data_id, lost[0].fragments

    def get_FDStats(self) -> E2SARResultListOfFDPairs:
        """Ports, and how many fragments came in through each; after
        `stopThreads`."""
        if self._native is None or not self._native.closed:
            return E2SARResultListOfFDPairs._failed(
                E2SARErrorc.LogicError, "Statistics of ports are there after stopThreads"
            )
        return E2SARResultListOfFDPairs._ok(sorted(self._native.port_stats.items()))

    def get_dataIP(self) -> str:
        """The address that it receives at."""
        return str(self._data_ip)

    def get_numRecvThreads(self) -> int:
        """How many threads receive."""
        return self._threads

    def get_portRange(self) -> int:
        """The exponent of the number of ports."""
        return self._range

    def get_recvPorts(self) -> tuple[int, int]:
        """First and last port."""
        return self._port, self._port + (1 << self._range) - 1

    def stopThreads(self) -> None:
        """Receives no more; who waits gets nothing, and what is queued is
        dropped. The ports are free when this returns."""
        if self._native is not None:
            self._native.close()


def _own_address(uri: EjfatURI, v6: bool) -> IPAddress:
    try:
        return IPAddress.from_string(uri.get_dp_local_addrs(v6)[0])
    except E2SARException as error:
        refuse(error.code, f"Unable to tell the address to receive at; name it: {error}")


def _seconds(wait_ms: int) -> float | None:
    wait = u64(wait_ms)
    return wait / 1000 if wait else None


def _as_bytes(event: xdpsar.Event | int) -> tuple[int, bytes, int, int]:
    if isinstance(event, int):
        return event, b"", 0, 0
    return len(event), bytes(event), event.event_number, event.data_id


def _as_array(
    receive: Callable[[float | None], xdpsar.Event | int], timeout: float | None, data_type: Any
) -> tuple[int, np.ndarray[Any, Any], int, int]:
    import numpy

    dtype = numpy.dtype(data_type)
    # Before an event is taken that could not be given.
    if dtype.hasobject or not dtype.itemsize:
        raise TypeError(f"{dtype}: bytes from a network are numbers, or structures of them")
    event = receive(timeout)
    if isinstance(event, int):
        return event, numpy.array([]), 0, 0
    items: np.ndarray[Any, Any] = event.numpy(dtype, strict=False)
    return len(event), items, event.event_number, event.data_id
