"""The control plane: reservations, senders, workers, tokens."""

from ._lb_data import (
    FloatSample,
    IntegerSample,
    LBStatus,
    LBWorkerStatus,
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
from ._lb_manager import LBManager, get_port_range
from ._timestamp import Timestamp

__all__ = [
    "FloatSample",
    "IntegerSample",
    "LBManager",
    "LBStatus",
    "LBWorkerStatus",
    "LoadBalancerStatusReply",
    "OverviewEntry",
    "OverviewReply",
    "TimeseriesData",
    "TimeseriesResult",
    "Timestamp",
    "TokenDetails",
    "TokenPermission",
    "WorkerStats",
    "WorkerStatus",
    "get_port_range",
]
