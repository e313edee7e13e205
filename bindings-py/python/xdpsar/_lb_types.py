"""What load balancers are told and tell, as plain data.

Times are `datetime`s of UTC; addresses are those of `ipaddress`. Tokens stand
in no `repr`.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from os import PathLike
from typing import Any, Literal, NamedTuple, TypeAlias, TypedDict

Ip: TypeAlias = IPv4Address | IPv6Address
AnyIp: TypeAlias = str | Ip
Lasting: TypeAlias = timedelta | float | None


class Resource(IntEnum):
    """What a token gives access to. The number is the protocol's."""

    ALL = 0
    """Everything."""
    LOAD_BALANCER = 1
    """A load balancer, what is reserved on it, and its sessions."""
    RESERVATION = 2
    """A reservation, and its sessions."""
    SESSION = 3
    """A worker's session."""


class Level(IntEnum):
    """What a token lets do. The number is the protocol's."""

    READ_ONLY = 0
    """Look."""
    REGISTER = 1
    """Register workers, and look."""
    RESERVE = 2
    """Reserve, and look."""
    UPDATE = 3
    """Everything."""


class Permission(NamedTuple):
    """What a token lets do with what. A newer server may have numbers without
    a name."""

    level: Level | int
    resource: Resource | int = Resource.ALL
    id: str = ""
    """Of the resource; of ALL there is none."""


@dataclass(frozen=True, slots=True)
class TokenDetails:
    """A token, without its secret."""

    id: int
    name: str
    permissions: tuple[Permission, ...]
    created_at: str
    """As the server writes it."""


class SlotRange(NamedTuple):
    """Some of a load balancer's 512 slots."""

    first: int | None
    """None: wherever there is room."""
    length: int


@dataclass(frozen=True, slots=True)
class Reserved:
    """A reserved load balancer. Addresses that it does not have are None."""

    lb_id: str
    fpga_lb_id: int
    """Which of the hardware's load balancers it is."""
    sync_v4: tuple[Ip, int] | None
    """Where sync messages go."""
    sync_v6: tuple[Ip, int] | None
    data_v4: IPv4Address | None
    """Where events go."""
    data_v6: IPv6Address | None
    data_ports: range | None
    """To which ports they may go. An older server names none."""
    strategy: str
    """How slots are dealt out, in the server's word; may be empty."""
    token: str | None = field(repr=False)
    """Its token; only given with the reservation itself."""


@dataclass(frozen=True, slots=True)
class Reset:
    """What of a reservation began anew."""

    sync: bool
    epochs: bool
    senders: bool
    workers: bool


@dataclass(frozen=True, slots=True)
class Session:
    """A worker that is known now."""

    id: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Counters:
    """What a worker counted since it began."""

    events_received: int = 0
    """Events of which something arrived."""
    events_reassembled: int = 0
    reassembly_errors: int = 0
    """Events that could not be put together."""
    events_dequeued: int = 0
    """Events that somebody took."""
    enqueue_errors: int = 0
    """Events put together for which there was no room."""
    bytes_received: int = 0
    packets_received: int = 0


@dataclass(frozen=True, slots=True)
class HealthIssue:
    """Something wrong, in the server's words."""

    kind: str
    severity: str
    """"warning", "error", "critical"."""
    message: str
    details: Mapping[str, str]
    detected_at: datetime | None


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker's state."""

    name: str
    session: int | None
    """Older servers do not say."""
    fill: float
    """How full its queue is, 0 to 1."""
    control_signal: float
    """By how much its weight is to change each second."""
    slots_assigned: int
    last_updated: datetime | None
    """When its last state was, by its own clock."""
    address: Ip | None
    """Where it receives."""
    port: int | None
    """Its first port."""
    ports: int | None
    """How many from there."""
    min_factor: float
    max_factor: float
    keep_lb_header: bool
    """Whether it is sent the load balancer's header."""
    counters: Counters
    slots: tuple[SlotRange, ...]
    """In the newest epoch."""
    slot_demands: tuple[SlotRange, ...]
    health: tuple[HealthIssue, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """A load balancer's state."""

    at: datetime | None
    """The server's time."""
    clock_ahead: float | None
    """The server's clock is ahead of this host's by so many seconds."""
    epoch: int
    """Changes with each epoch; no count of them."""
    predicted_event_number: int
    """At which event number the newest epoch begins; 0 if that is not known."""
    workers: tuple[WorkerStatus, ...]
    """Ready or not."""
    senders: tuple[Ip, ...]
    """Who may send."""
    expires_at: datetime | None
    """The end of the reservation."""
    slots: int
    """How many there are."""
    health: tuple[HealthIssue, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """A reserved load balancer, and how it does."""

    name: str
    reserved: Reserved
    status: Status


class Version(NamedTuple):
    """Which server it is."""

    commit: str
    build: str
    """Its version."""
    compat_tag: str
    """The protocol's version."""


@dataclass(frozen=True, slots=True)
class Series:
    """A counter over time, in columns: buffers that NumPy takes as they are."""

    name: str
    """Its path: "/lb/2/session/7/fill_percent"."""
    unit: str
    times_ns: array[int]
    """Nanoseconds since 1970, the oldest first."""
    values: array[Any]
    """Of 32-bit floats, or of 64-bit integers. Of great event numbers, floats
    lose the last digits."""

    def __len__(self) -> int:
        return len(self.times_ns)

    def numpy(self) -> tuple[Any, Any]:
        """Times as `datetime64[ns]`, and values, without a copy."""
        import numpy as np

        return np.asarray(self.times_ns).view("datetime64[ns]"), np.asarray(self.values)


@dataclass(frozen=True, slots=True)
class ChainLink:
    """A link between two load balancers."""

    chain_id: str
    upstream_lb_id: str
    upstream_data_v4: Ip | None
    upstream_data_v6: Ip | None
    downstream_lb_id: str
    downstream_data_v4: Ip | None
    downstream_data_v6: Ip | None


@dataclass(frozen=True, slots=True)
class ChainGraph:
    """From whom events come to whom."""

    links: tuple[ChainLink, ...]
    has_cycle: bool
    """Whether events could go round in circles."""


class ReachOptions(TypedDict, total=False):
    """How to reach a control plane."""

    verify: bool
    """Of a URI with TLS, whether to check the server's certificate."""
    cafile: str | PathLike[str] | None
    """Certificates to believe instead of the system's: a file in PEM."""
    cadata: str | None
    """The same as a text."""
    server_name: str | None
    """Whom the certificate must be for, if not the URI's host."""
    family: Literal["any", "v4", "v6"]
    """Which of the host's addresses to use."""
    timeout: float
    """So long a call may take, in seconds (10)."""
    connect_timeout: float
    """So long an attempt to connect may take, in seconds (5)."""
    keep_alive: float
    """How often to ask whether the server is still there, in seconds (10)."""


class Wish(TypedDict, total=False):
    """How a load balancer is to be reserved."""

    duration: Lasting
    """So long, in seconds if it is a number. Neither this nor `until`: as long
    as the server allows, today a year."""
    until: datetime | None
    """Its end, instead."""
    senders: Sequence[AnyIp]
    """Who may send to it."""
    ip_family: Literal["dual", "v4", "v6"]
    """Which addresses it should have. Today's servers give what they have."""
    strategy: Literal["dynamic", "static", "explicit"] | None
    """How slots are dealt out: by weight and anew with each epoch (the usual
    way), what was demanded first, or only that."""


class Share(TypedDict, total=False):
    """Which share of the events a worker gets."""

    weight: float
    """Compared with other workers' (1)."""
    min_factor: float
    """Not below this much of an equal share (½)."""
    max_factor: float
    """Not above this much of it (2); 0: no such limit."""
    slot_demands: Sequence[tuple[int | None, int]]
    """Slots that it demands: the first one, or None, and how many."""
    lb_id: str | None


class Worker(Share, total=False):
    """How a worker receives, and its share."""

    ports: int
    """How many UDP ports from the first (1)."""
    keep_lb_header: bool
    """Whether it is sent the load balancer's header, too."""


class Chained(Share, total=False):
    """How a load balancer becomes a worker of another one, and its share."""

    ip_family: Literal["v4", "v6"]
    """By which events come from there ("v4")."""


class State(TypedDict, total=False):
    """Of a worker, besides how full it is."""

    ready: bool
    """Whether it is to get events (yes)."""
    at: datetime | None
    """When that was, by this host's clock: now."""
    counters: Counters
    session: str | None
    """Its id; None: the URI's."""


class Parts(TypedDict, total=False):
    """Of a reservation."""

    sync: bool
    """What is known of the senders' event numbers."""
    epochs: bool
    """Which slot is whose, and since when."""
    senders: bool
    """The list of senders."""
    workers: bool
    """All sessions and their tokens."""
    lb_id: str | None
