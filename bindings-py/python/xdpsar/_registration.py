"""Receivers and senders as load balancers know them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from ipaddress import ip_address
from os import PathLike
from typing import Any, Literal, Self

from ._lb_types import AnyIp, Ip


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How to reach a control plane: see `LoadBalancer`."""

    verify: bool = True
    cafile: str | PathLike[str] | None = None
    cadata: str | None = None
    server_name: str | None = None
    family: Literal["any", "v4", "v6"] = "any"
    timeout: float = 10.0
    connect_timeout: float = 5.0
    keep_alive: float = 10.0


@dataclass(frozen=True)
class Registration(Reach):
    """How a `Reassembler` is to be a load balancer's worker: its `register`,
    beside a URI with a reserved load balancer and a token for it."""

    name: str
    _: KW_ONLY
    address: AnyIp | None = None
    """Where the load balancer reaches it; None: where it listens."""
    weight: float = 1.0
    """Its share, compared with other workers'."""
    min_factor: float = 0.5
    """Its share is not below this much of an equal one."""
    max_factor: float = 2.0
    """And not above this much; 0: no such limit."""
    slot_demands: Sequence[tuple[int | None, int]] = ()
    """Slots that it demands: the first one, or None, and how many."""
    period: float = 0.1
    """How often the load balancer is told its state, in seconds."""
    horizon: float = 1.0
    """Over how long the controller's derivative is taken, in seconds."""
    set_point: float = 0.0
    """How full it is to be."""
    kp: float = 500.0
    """From how full it is to by how much its weight changes: in hundreds. As
    in Rust and the command, a worker whose queue fills up gets less."""
    ki: float = 0.0
    kd: float = 0.0
    high_water: float = 0.9
    """Fuller than this it wants no events."""
    report_counters: bool = True
    """Whether the load balancer is told what was counted."""
    linger: float = 0.0
    """At a stop, how long it goes on receiving after it said that it wants no
    more, in seconds: 2 lose nothing."""


@dataclass(frozen=True, kw_only=True)
class Admission(Reach):
    """How a load balancer is to let a `Segmenter` in: its `admit`."""

    addresses: Sequence[AnyIp] | None = None
    """Where its datagrams come from; None: from what faces the load balancer."""
    remove: bool = True
    """Whether the addresses lose the right to send at the end."""
    takes_effect: float = 1.2
    """Seconds from the control plane's word to the first event."""


@dataclass(frozen=True, slots=True)
class RegistrationStatus:
    """How a receiver stands with its load balancer."""

    state: Literal["registering", "ready", "not_ready", "lost", "deregistered"]
    session_id: str
    lb_id: str
    address: tuple[Ip, int]
    """Where the load balancer sends events: the first port."""
    fill: float
    """How full the queue is or, if that is fuller, the memory: 0 to 1."""
    control_signal: float
    """By how much its weight is to change each second."""
    ready: bool
    """Whether it wants events."""
    states_sent: int
    """That the load balancer took."""
    errors: int
    """States that it did not take, and registrations that failed."""
    errors_in_a_row: int
    last_error: str | None
    registrations: int
    """More than one if its session was gone."""
    clock_skew_s: float | None
    """By how much the load balancer's clock is ahead of this host's."""


@dataclass(frozen=True, slots=True)
class AdmissionStatus:
    """Whether a load balancer lets a sender in."""

    lb_id: str
    addresses: tuple[Ip, ...]
    state: Literal["admitted", "removed", "kept", "left_behind"]
    errors: int
    """Calls to the control plane that failed."""
    last_error: str | None

    @classmethod
    def _read(cls, told: dict[str, Any]) -> Self:
        addresses = tuple(map(ip_address, told.pop("addresses")))
        return cls(addresses=addresses, **told)


def registration_status(text: str) -> RegistrationStatus:
    """From the library's JSON."""
    told: dict[str, Any] = json.loads(text)
    host, _, port = told.pop("address").rpartition(":")
    return RegistrationStatus(address=(ip_address(host.strip("[]")), int(port)), **told)
