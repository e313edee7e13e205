"""The control plane's client: one reservation, its senders and its workers."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from math import inf
from typing import Any, Literal, TypedDict, TypeVar

import xdpsar

from . import _lb_answers
from ._address import AnyAddress, address_and_port
from ._convert import f32, f64, i32, instance_of, list_of, text, texts, truth, u16, u32
from ._enum import E2SARErrorc
from ._lb_caller import ADMIN, INSTANCE, SESSION, Addresses, Caller
from ._lb_data import (
    LBStatus,
    LoadBalancerStatusReply,
    OverviewEntry,
    OverviewReply,
    SslCredentialsOptions,
    TimeseriesResult,
    TokenPermission,
    WorkerStats,
    WorkerStatus,
)
from ._results import (
    E2SARResultInt,
    E2SARResultListOfTokenDetails,
    E2SARResultSslCredentialsOptions,
    E2SARResultString,
    E2SARResultTimeseriesResult,
    E2SARResultTokenDetails,
    E2SARResultUInt32,
    Result,
)
from ._timestamp import Timestamp

T = TypeVar("T")

_LOWEST_PORT = 1025
_FAMILIES: tuple[Literal["dual", "v4", "v6"], ...] = ("dual", "v4", "v6")
"""By number."""


_ALL_SERIES = re.compile(r"/lb/([^/*]+)/\*")
"""Of a load balancer. Servers expand no wildcards, whatever they say."""


class _Share(TypedDict):
    weight: float
    ports: int
    min_factor: float
    max_factor: float
    keep_lb_header: bool


class _Version(Result[tuple[str, str, str]]):
    __slots__ = ()


class _Status(Result[LoadBalancerStatusReply]):
    __slots__ = ()


class _Overview(Result[OverviewReply]):
    __slots__ = ()


class LBManager(Caller):
    """The control plane's client. It does not connect before the first call."""

    __slots__ = ()

    def get_version(self) -> tuple[str, str, str]:
        """The control plane's: commit, build, compatibility tag."""
        return self._call(_Version, "get_version", ADMIN, lambda lb: tuple(lb.version())).value()

    def reserve_lb_in_seconds(
        self, lb_id: str, seconds: float, senders: Sequence[str], ip_family: int = 0
    ) -> E2SARResultUInt32:
        """Reserves a load balancer by a name of one's choice, for so many
        seconds; 0: without an end."""
        name, duration, families = text(lb_id), f64(seconds), i32(ip_family)
        addresses = texts(senders)

        def reserve(lb: xdpsar.LoadBalancer) -> int:
            reservation = lb.reserve(
                name,
                duration=duration or None,
                senders=addresses,
                ip_family=_FAMILIES[families],
            )
            self._learn(lb)
            return reservation.reserved.fpga_lb_id

        return self._call(
            E2SARResultUInt32,
            "reserve_lb",
            ADMIN,
            reserve,
            need=(
                (bool(name), "a reservation has a name"),
                (0 <= duration < inf, f"{duration} is no duration in seconds"),
                (
                    0 <= families < len(_FAMILIES),
                    f"{families} is not 0 (both), 1 (IPv4) or 2 (IPv6)",
                ),
            ),
            addresses=addresses,
        )

    def get_lb(self) -> E2SARResultInt:
        """Completes the URI with the reservation's addresses."""
        return self.get_lb_by_id("")

    def get_lb_by_id(self, lb_id: str) -> E2SARResultInt:
        """The same for that one."""
        lb_id = text(lb_id)

        def get(lb: xdpsar.LoadBalancer) -> int:
            lb.get(lb_id or None)
            return self._learn(lb)

        return self._call(E2SARResultInt, "get_lb", ADMIN, get, lb_id=lb_id)

    def free_lb(self) -> E2SARResultInt:
        """Ends the reservation."""
        return self.free_lb_by_id("")

    def free_lb_by_id(self, lb_id: str) -> E2SARResultInt:
        """The same for that one."""
        lb_id = text(lb_id)
        return self._call(
            E2SARResultInt, "free_lb", ADMIN, lambda lb: _done(lb.free, lb_id or None), lb_id=lb_id
        )

    def get_lb_status(self) -> LoadBalancerStatusReply | None:
        """The load balancer's state; None, and a message on stderr, if it
        cannot be had."""
        return self.get_lb_status_by_id("")

    def get_lb_status_by_id(self, lb_id: str) -> LoadBalancerStatusReply | None:
        """The same for that one."""
        lb_id = text(lb_id)

        def get(lb: xdpsar.LoadBalancer) -> LoadBalancerStatusReply:
            return _lb_answers.status(lb.status(lb_id or None))

        return _told(self._call(_Status, "get_lb_status", ADMIN, get, lb_id=lb_id))

    def get_lb_overview(self) -> OverviewReply | None:
        """All load balancers' state; None, and a message on stderr, if it
        cannot be had."""
        def get(lb: xdpsar.LoadBalancer) -> OverviewReply:
            return _lb_answers.overview(lb.overview())

        return _told(self._call(_Overview, "get_lb_overview", ADMIN, get))

    @staticmethod
    def get_sender_addresses(reply: LoadBalancerStatusReply) -> list[str]:
        """Who may send."""
        return list(instance_of(LoadBalancerStatusReply, reply)._senders)

    @staticmethod
    def get_worker_statuses(reply: LoadBalancerStatusReply) -> list[WorkerStatus]:
        """Who receives."""
        return list(instance_of(LoadBalancerStatusReply, reply)._workers)

    @staticmethod
    def as_lb_status(reply: LoadBalancerStatusReply) -> LBStatus:
        """The reply as plain data."""
        return instance_of(LoadBalancerStatusReply, reply)._status()

    @staticmethod
    def as_overview_message(reply: OverviewReply) -> list[OverviewEntry]:
        """The reply as plain data."""
        return list(instance_of(OverviewReply, reply)._entries)

    def add_senders(self, sender_list: Sequence[str]) -> E2SARResultInt:
        """Lets these addresses send."""
        return self._senders("add_senders", texts(sender_list))

    def remove_senders(self, sender_list: Sequence[str]) -> E2SARResultInt:
        """Lets these addresses send no more."""
        return self._senders("remove_senders", texts(sender_list))

    def add_sender_self(self, v6: bool = False) -> E2SARResultInt:
        """Lets this machine send."""
        return self._senders("add_sender_self", self._own_addresses(truth(v6)))

    def remove_sender_self(self, v6: bool = False) -> E2SARResultInt:
        """Lets this machine send no more."""
        return self._senders("remove_sender_self", self._own_addresses(truth(v6)))

    def register_worker(
        self,
        node_name: str,
        node_ip_port: tuple[AnyAddress, int],
        weight: float,
        source_count: int,
        min_factor: float,
        max_factor: float,
        keep_lb_header: bool = False,
    ) -> E2SARResultInt:
        """Makes a worker of whoever receives there."""
        ip, port = address_and_port(node_ip_port)
        share = _share(weight, source_count, min_factor, max_factor, keep_lb_header)
        return self._register("register_worker", text(node_name), lambda: ip, port, share)

    def register_worker_self(
        self,
        node_name: str,
        port: int,
        weight: float,
        source_count: int,
        min_factor: float,
        max_factor: float,
        v6: bool = False,
        keep_lb_header: bool = False,
    ) -> E2SARResultInt:
        """The same for this machine."""
        share = _share(weight, source_count, min_factor, max_factor, keep_lb_header)
        own = self._own_addresses(truth(v6))
        return self._register(
            "register_worker_self", text(node_name), lambda: own()[0], u16(port), share
        )

    def deregister_worker(self) -> E2SARResultInt:
        """It is a worker no more."""
        return self._call(
            E2SARResultInt, "deregister_worker", SESSION, lambda lb: _done(lb.deregister), lb_id=""
        )

    def send_state(
        self,
        fill_percent: float,
        control_signal: float,
        is_ready: bool,
        stats: WorkerStats | None = None,
    ) -> E2SARResultInt:
        """Tells how a worker is, now. `fill_percent` is 0 to 1."""
        now = Timestamp._at(datetime.now(timezone.utc))
        return self.send_state_with_timestamp(fill_percent, control_signal, is_ready, now, stats)

    def send_state_with_timestamp(
        self,
        fill_percent: float,
        control_signal: float,
        is_ready: bool,
        timestamp: Timestamp,
        stats: WorkerStats | None = None,
    ) -> E2SARResultInt:
        """The same as of then."""
        fill, signal, ready = f32(fill_percent), f32(control_signal), truth(is_ready)
        at = instance_of(Timestamp, timestamp)
        told = None if stats is None else instance_of(WorkerStats, stats)
        need = ((0.0 <= fill <= 1.0, f"a fill of {fill} is not within 0 to 1"),)

        def send(lb: xdpsar.LoadBalancer) -> int:
            counters = _lb_answers.counters(told)
            lb.send_state(fill, signal, ready=ready, at=at._time(), counters=counters)
            return 0

        return self._call(E2SARResultInt, "send_state", SESSION, send, need=need, lb_id="")

    def create_token(self, name: str, permissions: Sequence[TokenPermission]) -> E2SARResultString:
        """A new token."""
        allowed = list_of(lambda one: instance_of(TokenPermission, one))(permissions)
        need = (
            (bool(text(name)), "a token has a name"),
            (bool(allowed), "a token has permissions"),
        )

        def create(lb: xdpsar.LoadBalancer) -> str:
            return lb.tokens.create(name, map(_lb_answers.permission, allowed))

        return self._call(E2SARResultString, "create_token", ADMIN, create, need=need)

    def list_token_permissions_by_id(self, token_id: int) -> E2SARResultTokenDetails:
        """What a token allows."""
        return self._token(u32(token_id))

    def list_token_permissions_by_string(self, token: str) -> E2SARResultTokenDetails:
        """What a token allows."""
        return self._token(text(token))

    def list_child_tokens_by_id(self, parent_token_id: int) -> E2SARResultListOfTokenDetails:
        """Tokens that were made with it."""
        return self._children(u32(parent_token_id))

    def list_child_tokens_by_string(self, parent_token: str) -> E2SARResultListOfTokenDetails:
        """Tokens that were made with it."""
        return self._children(text(parent_token))

    def revoke_token_by_id(self, token_id: int) -> E2SARResultInt:
        """It allows nothing any more."""
        return self._revoke(u32(token_id))

    def revoke_token_by_string(self, token: str) -> E2SARResultInt:
        """It allows nothing any more."""
        return self._revoke(text(token))

    def timeseries(self, path: str, since: Timestamp) -> E2SARResultTimeseriesResult:
        """Counters of the load balancer from then on."""
        begin = instance_of(Timestamp, since)
        need = ((bool(text(path)), "a series has a path"),)

        def get(lb: xdpsar.LoadBalancer) -> TimeseriesResult:
            # To servers, time 0 is no time.
            at = max(begin._time(), datetime.fromtimestamp(1, timezone.utc))
            every = _ALL_SERIES.fullmatch(path)
            found = lb.series(every[1], at) if every else lb.timeseries(path, at)
            return _lb_answers.timeseries(begin, found)

        return self._call(E2SARResultTimeseriesResult, "timeseries", ADMIN, get, need=need)

    @staticmethod
    def make_ssl_options(root: str, key: str, cert: str) -> E2SARResultSslCredentialsOptions:
        """From PEM texts: root certificates, this client's key and chain."""
        parts = texts([root, key, cert])
        return E2SARResultSslCredentialsOptions._ok(SslCredentialsOptions(*parts))

    @staticmethod
    def make_ssl_options_from_files(
        root: str, key: str = "", cert: str = ""
    ) -> E2SARResultSslCredentialsOptions:
        """The same from files; no name: no such part."""
        try:
            parts = [_whole(path) if path else "" for path in texts([root, key, cert])]
        except (OSError, UnicodeError) as error:
            return E2SARResultSslCredentialsOptions._failed(
                E2SARErrorc.NotFound, f"Unable to read TLS certificates and keys: {error}"
            )
        return E2SARResultSslCredentialsOptions._ok(SslCredentialsOptions(*parts))

    def _token(self, which: int | str) -> E2SARResultTokenDetails:
        return self._call(
            E2SARResultTokenDetails,
            "list_token_permissions",
            ADMIN,
            lambda lb: _lb_answers.details(lb.tokens.list(which)),
        )

    def _children(self, which: int | str) -> E2SARResultListOfTokenDetails:
        return self._call(
            E2SARResultListOfTokenDetails,
            "list_child_tokens",
            ADMIN,
            lambda lb: [_lb_answers.details(one) for one in lb.tokens.children(which)],
        )

    def _revoke(self, which: int | str) -> E2SARResultInt:
        return self._call(
            E2SARResultInt, "revoke_token", ADMIN, lambda lb: _done(lb.tokens.revoke, which)
        )

    def _own_addresses(self, v6: bool) -> Callable[[], list[str]]:
        return lambda: self._uri.get_dp_local_addrs(v6)

    def _senders(self, name: str, given: Addresses) -> E2SARResultInt:
        found: list[str] = []

        def addresses() -> list[str]:
            found[:] = given() if callable(given) else given
            return found

        def change(lb: xdpsar.LoadBalancer) -> int:
            act = lb.senders.add if name.startswith("add") else lb.senders.remove
            return _done(act, found)

        return self._call(E2SARResultInt, name, INSTANCE, change, lb_id="", addresses=addresses)

    def _register(
        self, call: str, name: str, to: Callable[[], AnyAddress], port: int, share: _Share
    ) -> E2SARResultInt:
        need = (
            (bool(name), "a worker has a name"),
            (port >= _LOWEST_PORT, f"port {port} is below {_LOWEST_PORT}"),
        )

        def register(lb: xdpsar.LoadBalancer) -> int:
            lb.register(name, str(to()), port, **share)
            return self._learn(lb)

        return self._call(E2SARResultInt, call, INSTANCE, register, need=need, lb_id="")

def _share(
    weight: float, source_count: int, min_factor: float, max_factor: float, keep_lb_header: bool
) -> _Share:
    return {
        "weight": f32(weight),
        "ports": 1 << get_port_range(u16(source_count)),
        "min_factor": f32(min_factor),
        "max_factor": f32(max_factor),
        "keep_lb_header": truth(keep_lb_header),
    }


def _done(call: Callable[..., None], *arguments: object, **options: object) -> int:
    call(*arguments, **options)
    return 0


def _told(result: Result[T]) -> T | None:
    if result.has_value():
        return result.value()
    print(result.error().message, file=sys.stderr)
    return None


def _whole(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def get_port_range(source_count: int) -> int:
    """The exponent of the ports that so many sources need: 0 to 14."""
    return min(14, max(0, i32(source_count) - 1).bit_length())
