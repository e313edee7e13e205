"""What the control plane is told and tells, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ._address import IPAddress
from ._attributes import Attribute, Attributes
from ._convert import f32, i64, instance_of, list_of, text, texts, u64
from ._errors import NotConstructible
from ._timestamp import Timestamp
from ._uri import EjfatURI


@dataclass(frozen=True, slots=True, repr=False)
class SslCredentialsOptions:
    """Certificates and keys for TLS, as PEM texts; empty: the system's."""

    _root: str = ""
    _key: str = ""
    _certificates: str = ""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """What the load balancer knows of a worker."""

    _name: str = ""
    _fill_percent: float = 0.0
    _control_signal: float = 0.0
    _slots_assigned: int = 0
    _last_updated: Timestamp = field(default_factory=Timestamp)

    def get_name(self) -> str:
        """Its name."""
        return self._name

    def get_fill_percent(self) -> float:
        """How full its queue is: 0 to 1."""
        return self._fill_percent

    def get_control_signal(self) -> float:
        """What it asks for."""
        return self._control_signal

    def get_slots_assigned(self) -> int:
        """How many of the 512 slots it has."""
        return self._slots_assigned

    def get_last_updated(self) -> str:
        """When it last told its state."""
        return str(self._last_updated)


@dataclass(slots=True)
class LBWorkerStatus:
    """The same, as older scripts have it."""

    name: str
    fill_percent: float
    control_signal: float
    slots_assigned: int
    last_updated: str


def _text_of(given: object) -> str:
    return str(Timestamp() if given is None else instance_of(Timestamp, given))


def _worker(given: object) -> WorkerStatus:
    return instance_of(WorkerStatus, given)


class LBStatus:
    """A load balancer's state."""

    __slots__ = ("_epoch", "_expires", "_predicted", "_senders", "_time", "_workers")

    def __init__(
        self,
        timestamp: Timestamp | None = None,
        current_epoch: int = 0,
        current_predicted_event_number: int = 0,
        worker_status_list: Sequence[WorkerStatus] = (),
        sender_addresses: Sequence[str] = (),
        expires_at: Timestamp | None = None,
    ) -> None:
        self._time = _text_of(timestamp)
        self._epoch = u64(current_epoch)
        self._predicted = u64(current_predicted_event_number)
        self._workers = list_of(_worker)(worker_status_list)
        self._senders = texts(sender_addresses)
        self._expires = _text_of(expires_at)

    @property
    def timestamp(self) -> str:
        """When it was so."""
        return self._time

    @property
    def currentEpoch(self) -> int:
        """Its epoch."""
        return self._epoch

    @property
    def currentPredictedEventNumber(self) -> int:
        """Where it expects the ticks to be."""
        return self._predicted

    @property
    def workerStatusList(self) -> list[WorkerStatus]:
        """Its workers."""
        return list(self._workers)

    @property
    def senderAddressList(self) -> list[str]:
        """Addresses that may send to it."""
        return list(self._senders)

    @property
    def expiresAt(self) -> str:
        """When the reservation ends."""
        return self._expires


@dataclass(frozen=True, slots=True)
class LoadBalancerStatusReply:
    """The same as it came: see `LBManager.as_lb_status`."""

    _timestamp: Timestamp = field(default_factory=Timestamp)
    _epoch: int = 0
    _predicted: int = 0
    _workers: tuple[WorkerStatus, ...] = ()
    _senders: tuple[str, ...] = ()
    _expires: Timestamp = field(default_factory=Timestamp)

    def _status(self) -> LBStatus:
        return LBStatus(
            self._timestamp,
            self._epoch,
            self._predicted,
            self._workers,
            self._senders,
            self._expires,
        )


def _nowhere() -> tuple[IPAddress, int]:
    return IPAddress(), 0


@dataclass(frozen=True, slots=True)
class OverviewEntry:
    """One reserved load balancer. Addresses that it does not have are 0.0.0.0."""

    name: str = ""
    lb_id: str = ""
    syncIPv4AndPort: tuple[IPAddress, int] = field(default_factory=_nowhere)
    syncIPv6AndPort: tuple[IPAddress, int] = field(default_factory=_nowhere)
    data_ip_v4: IPAddress = field(default_factory=IPAddress)
    data_ip_v6: IPAddress = field(default_factory=IPAddress)
    fpga_lb_id: int = 0
    data_min_port: int = 0
    data_max_port: int = 0
    lb_status: LBStatus = field(default_factory=LBStatus)


@dataclass(frozen=True, slots=True)
class OverviewReply:
    """All of them as they came: see `LBManager.as_overview_message`."""

    _entries: tuple[OverviewEntry, ...] = ()


class WorkerStats(Attributes):
    """A worker's counters, to be told to the control plane."""

    __slots__ = ()

    total_events_recv = Attribute(i64, 0)
    total_events_reassembled = Attribute(i64, 0)
    total_events_reassembly_err = Attribute(i64, 0)
    total_events_dequeued = Attribute(i64, 0)
    total_event_enqueue_err = Attribute(i64, 0)
    total_bytes_recv = Attribute(i64, 0)
    total_packets_recv = Attribute(i64, 0)


class FloatSample(Attributes):
    """A number at a time."""

    __slots__ = ()

    timestamp_ms = Attribute(i64, 0)
    value = Attribute(f32, 0.0)

    def __init__(self, timestamp_ms: int = 0, value: float = 0.0) -> None:
        super().__init__()
        self.timestamp_ms = timestamp_ms
        self.value = value


class IntegerSample(Attributes):
    """An integer at a time."""

    __slots__ = ()

    timestamp_ms = Attribute(i64, 0)
    value = Attribute(i64, 0)

    def __init__(self, timestamp_ms: int = 0, value: int = 0) -> None:
        super().__init__()
        self.timestamp_ms = timestamp_ms
        self.value = value


class TimeseriesData(NotConstructible):
    """One series: of floats, or of integers."""

    __slots__ = ("_path", "_samples", "_unit")
    _path: str
    _unit: str
    _samples: tuple[FloatSample, ...] | tuple[IntegerSample, ...]

    @property
    def path(self) -> str:
        """What it is about."""
        return self._path

    @property
    def unit(self) -> str:
        """What is counted."""
        return self._unit

    def is_float(self) -> bool:
        """Whether its samples are floats."""
        return all(isinstance(sample, FloatSample) for sample in self._samples)

    def is_integer(self) -> bool:
        """Whether its samples are integers."""
        return not self.is_float()

    def get_float_samples(self) -> list[FloatSample]:
        """Its samples; RuntimeError if they are integers."""
        if not self.is_float():
            raise RuntimeError(f"The series {self._path} has integers: get_integer_samples")
        return [sample for sample in self._samples if isinstance(sample, FloatSample)]

    def get_integer_samples(self) -> list[IntegerSample]:
        """Its samples; RuntimeError if they are floats."""
        if not self.is_integer():
            raise RuntimeError(f"The series {self._path} has floats: get_float_samples")
        return [sample for sample in self._samples if isinstance(sample, IntegerSample)]


class TimeseriesResult(NotConstructible):
    """Several series from some time on."""

    __slots__ = ("_since_ms", "_td")
    _since_ms: int
    _td: tuple[TimeseriesData, ...]

    @property
    def since_ms(self) -> int:
        """Milliseconds since 1970 of the first samples."""
        return self._since_ms

    @property
    def td(self) -> list[TimeseriesData]:
        """The series."""
        return list(self._td)

    def __copy__(self) -> TimeseriesResult:
        return self


def _resource_type(given: object) -> EjfatURI.TokenType:
    return instance_of(EjfatURI.TokenType, given)


def _level(given: object) -> EjfatURI.TokenPermission:
    return instance_of(EjfatURI.TokenPermission, given)


class TokenPermission(Attributes):
    """What a token allows, and on what. Not `EjfatURI.TokenPermission`."""

    __slots__ = ()

    resourceType = Attribute(_resource_type, EjfatURI.TokenType.all)
    resourceId = Attribute(text, "")
    permission = Attribute(_level, EjfatURI.TokenPermission._read_only_)

    def __init__(
        self,
        resource_type: EjfatURI.TokenType = EjfatURI.TokenType.all,
        resource_id: str = "",
        permission: EjfatURI.TokenPermission = EjfatURI.TokenPermission._read_only_,
    ) -> None:
        super().__init__()
        self.resourceType = resource_type
        self.resourceId = resource_id
        self.permission = permission


@dataclass(frozen=True, slots=True)
class TokenDetails:
    """A token, but for its text."""

    name: str = ""
    permissions: list[TokenPermission] = field(default_factory=list)
    created_at: str = ""
    id: int = 0
