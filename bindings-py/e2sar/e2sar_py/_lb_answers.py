"""Answers of the control plane, as this package has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xdpsar.load_balancer import Counters, Level, Permission, Resource

from ._address import IPAddress
from ._enum import E2SARErrorc
from ._errors import refuse
from ._lb_data import (
    FloatSample,
    IntegerSample,
    LoadBalancerStatusReply,
    OverviewEntry,
    OverviewReply,
    TimeseriesData,
    TimeseriesResult,
    TokenDetails,
    TokenPermission,
    WorkerStats,
    WorkerStatus,
)
from ._timestamp import Timestamp
from ._uri import EjfatURI

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xdpsar import load_balancer as lb


def status(of: lb.Status) -> LoadBalancerStatusReply:
    """A load balancer's."""
    return LoadBalancerStatusReply(
        Timestamp._at(of.at),
        of.epoch,
        of.predicted_event_number,
        tuple(map(_worker, of.workers)),
        tuple(map(str, of.senders)),
        Timestamp._at(of.expires_at),
    )


def _worker(of: lb.WorkerStatus) -> WorkerStatus:
    last = Timestamp._at(of.last_updated)
    return WorkerStatus(of.name, of.fill, of.control_signal, of.slots_assigned, last)


def overview(all: Iterable[lb.Overview]) -> OverviewReply:
    """Of all of them."""
    return OverviewReply(tuple(map(_entry, all)))


def _entry(of: lb.Overview) -> OverviewEntry:
    reserved = of.reserved
    ports = reserved.data_ports or range(0, 1)
    return OverviewEntry(
        of.name,
        reserved.lb_id,
        _place(reserved.sync_v4),
        _place(reserved.sync_v6),
        _address(reserved.data_v4),
        _address(reserved.data_v6),
        reserved.fpga_lb_id,
        ports[0],
        ports[-1],
        status(of.status)._status(),
    )


def _address(of: Any) -> IPAddress:
    return IPAddress() if of is None else IPAddress.from_string(str(of))


def _place(of: tuple[Any, int] | None) -> tuple[IPAddress, int]:
    return (IPAddress(), 0) if of is None else (_address(of[0]), of[1])


def counters(stats: WorkerStats | None) -> Counters:
    """What a worker tells; below 0 is none."""
    told = stats or WorkerStats()
    return Counters(
        events_received=max(0, told.total_events_recv),
        events_reassembled=max(0, told.total_events_reassembled),
        reassembly_errors=max(0, told.total_events_reassembly_err),
        events_dequeued=max(0, told.total_events_dequeued),
        enqueue_errors=max(0, told.total_event_enqueue_err),
        bytes_received=max(0, told.total_bytes_recv),
        packets_received=max(0, told.total_packets_recv),
    )


def permission(of: TokenPermission) -> Permission:
    """What a token is to allow."""
    return Permission(Level(int(of.permission)), Resource(int(of.resourceType)), of.resourceId)


def details(of: lb.TokenDetails) -> TokenDetails:
    """What a token allows."""
    allowed = [_permission(one) for one in of.permissions]
    return TokenDetails(of.name, allowed, of.created_at, of.id)


def _permission(of: Permission) -> TokenPermission:
    try:
        kind = EjfatURI.TokenType(int(of.resource))
        level = EjfatURI.TokenPermission(int(of.level))
    except ValueError as error:
        refuse(E2SARErrorc.DataError, f"A permission of a kind that is not known: {error}")
    return TokenPermission(kind, of.id, level)


def timeseries(since: Timestamp, all: Iterable[lb.Series]) -> TimeseriesResult:
    """Series since then."""
    result = TimeseriesResult._bare()
    result._since_ms = since.get_seconds() * 1000 + since.get_nanos() // 10**6
    result._td = tuple(map(_series, all))
    return result


def _series(of: lb.Series) -> TimeseriesData:
    data = TimeseriesData._bare()
    data._path, data._unit = of.name, of.unit
    times = [time // 10**6 for time in of.times_ns]
    if of.values.typecode == "q":
        data._samples = tuple(map(IntegerSample, times, of.values))
    else:
        data._samples = tuple(map(FloatSample, times, of.values))
    return data
