"""EJFAT event streams in Python: events received and sent without a copy.

    import xdpsar

    with xdpsar.Reassembler(data_ip="10.0.0.7") as events:
        for event in events:
            print(event.event_number, event.numpy("u2").mean())

`Reassembler` receives, by AF_XDP or sockets; each `Event` is a buffer
that owns its memory. `Segmenter` sends whatever exports a buffer.
`LoadBalancer` asks the control plane that spreads events over receivers;
`xdpsar.aio` has the same for `asyncio`.
NumPy is used where it is asked for, and not needed otherwise.
"""

import atexit as _atexit

from ._config import (
    ReassemblerConfig,
    ReassemblerOptions,
    SegmenterConfig,
    SegmenterOptions,
)
from ._dispatcher import Dispatcher
from ._errors import (
    BufferTooSmall,
    Cancelled,
    Closed,
    ErrorCode,
    EventTooLong,
    Forked,
    HeaderError,
    InternalError,
    NotFound,
    NotPermitted,
    QueueFull,
    RpcDenied,
    RpcError,
    RpcTimeout,
    SetupError,
    SocketError,
    UriError,
    UsageError,
    XdpsarError,
    XdpsarTimeout,
)
from ._load_balancer import LoadBalancer, Reservation
from ._native import (
    EjfatUri,
    Event,
    EventBatch,
    EventIterator,
    SendTicket,
    __version__,
    _at_exit,
    local_address_towards,
    local_addresses_towards,
)
from ._pool import PoolWorker, WorkerPool
from ._reassembler import Reassembler
from ._segmenter import Segmenter
from ._registration import Admission, AdmissionStatus, Registration, RegistrationStatus
from ._stats import (
    BackendInfo,
    Dropped,
    EventInfo,
    EventsLost,
    LostEvent,
    ReassemblerStats,
    SegmenterStats,
    SyncStats,
    WorkerStats,
)
from ._uri import TokenKind

__all__ = [
    "Admission",
    "AdmissionStatus",
    "BackendInfo",
    "BufferTooSmall",
    "Cancelled",
    "Closed",
    "Dispatcher",
    "Dropped",
    "EjfatUri",
    "ErrorCode",
    "Event",
    "EventBatch",
    "EventInfo",
    "EventIterator",
    "EventTooLong",
    "EventsLost",
    "Forked",
    "HeaderError",
    "InternalError",
    "LoadBalancer",
    "LostEvent",
    "NotFound",
    "NotPermitted",
    "PoolWorker",
    "QueueFull",
    "Reassembler",
    "ReassemblerConfig",
    "ReassemblerOptions",
    "ReassemblerStats",
    "Registration",
    "RegistrationStatus",
    "Reservation",
    "RpcDenied",
    "RpcError",
    "RpcTimeout",
    "Segmenter",
    "SegmenterConfig",
    "SegmenterOptions",
    "SegmenterStats",
    "SendTicket",
    "SetupError",
    "SocketError",
    "SyncStats",
    "TokenKind",
    "UriError",
    "UsageError",
    "WorkerPool",
    "WorkerStats",
    "XdpsarError",
    "XdpsarTimeout",
    "__version__",
    "local_address_towards",
    "local_addresses_towards",
]

# No thread of ours may outlive the interpreter.
_atexit.register(_at_exit)
