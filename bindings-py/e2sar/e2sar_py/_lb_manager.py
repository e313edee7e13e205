"""The control plane's client: one reservation, its senders and its workers."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Sequence
from math import inf
from typing import Any, TypeVar

from ._address import AnyAddress, IPAddress, address_and_port, host_and_port
from ._convert import f32, f64, i32, instance_of, list_of, text, texts, truth, u16, u32
from ._enum import E2SARErrorc
from ._errors import E2SARException, refuse
from ._lb_data import (
    LBStatus,
    LoadBalancerStatusReply,
    OverviewEntry,
    OverviewReply,
    SslCredentialsOptions,
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
from ._uri import EjfatURI

R = TypeVar("R", bound=Result[Any])

Addresses = Sequence[str] | Callable[[], list[str]]

# Which token a call needs.
_ADMIN = EjfatURI.get_admin_token
_INSTANCE = EjfatURI.get_instance_token
_SESSION = EjfatURI.get_session_token

_LOWEST_PORT = 1025
_FAMILIES = (0, 1, 2)
"""Both, IPv4, IPv6."""


class _Version(Result[tuple[str, str, str]]):
    __slots__ = ()


class LBManager:
    """The control plane's client. It does not connect before the first call."""

    __slots__ = ("_address", "_options", "_uri", "_validate")

    def __init__(
        self,
        cpuri: EjfatURI,
        validate_server: bool = True,
        use_host_address: bool = False,
        opts: SslCredentialsOptions | None = None,
    ) -> None:
        self._uri = copy.copy(instance_of(EjfatURI, cpuri))
        # Certificates are for names.
        by_address = truth(use_host_address)
        self._validate = truth(validate_server) and not by_address
        self._options = instance_of(
            SslCredentialsOptions, SslCredentialsOptions() if opts is None else opts
        )
        host = self._uri.get_cp_host()
        if host.has_value() and not by_address:
            self._address = host_and_port(*host.value())
        else:
            ip, port = self._uri.get_cp_addr().value()
            self._address = f"ipv{6 if ip.is_v6() else 4}:///{host_and_port(ip, port)}"

    def get_uri(self) -> EjfatURI:
        """Its URI: not a copy; calls complete it."""
        return self._uri

    def get_addr_string(self) -> str:
        """Where the control plane is."""
        return self._address

    def get_version(self) -> tuple[str, str, str]:
        """The control plane's: commit, build, compatibility tag."""
        return self._call(_Version, "get_version", _ADMIN).value()

    def reserve_lb_in_seconds(
        self, lb_id: str, seconds: float, senders: Sequence[str], ip_family: int = 0
    ) -> E2SARResultUInt32:
        """Reserves a load balancer by a name of one's choice, for so many
        seconds; 0: without an end."""
        name, duration, families = text(lb_id), f64(seconds), i32(ip_family)
        return self._call(
            E2SARResultUInt32,
            "reserve_lb",
            _ADMIN,
            need=(
                (bool(name), "a reservation has a name"),
                (0 <= duration < inf, f"{duration} is no duration in seconds"),
                (families in _FAMILIES, f"{families} is not 0 (both), 1 (IPv4) or 2 (IPv6)"),
            ),
            addresses=texts(senders),
        )

    def get_lb(self) -> E2SARResultInt:
        """Completes the URI with the reservation's addresses."""
        return self.get_lb_by_id("")

    def get_lb_by_id(self, lb_id: str) -> E2SARResultInt:
        """The same for that one."""
        return self._call(E2SARResultInt, "get_lb", _ADMIN, lb_id=text(lb_id))

    def free_lb(self) -> E2SARResultInt:
        """Ends the reservation."""
        return self.free_lb_by_id("")

    def free_lb_by_id(self, lb_id: str) -> E2SARResultInt:
        """The same for that one."""
        return self._call(E2SARResultInt, "free_lb", _ADMIN, lb_id=text(lb_id))

    def get_lb_status(self) -> LoadBalancerStatusReply | None:
        """The load balancer's state; None, and a message on stderr, if it
        cannot be had."""
        return self.get_lb_status_by_id("")

    def get_lb_status_by_id(self, lb_id: str) -> LoadBalancerStatusReply | None:
        """The same for that one."""
        _tell(self._call(E2SARResultInt, "get_lb_status", _ADMIN, lb_id=text(lb_id)))
        return None

    def get_lb_overview(self) -> OverviewReply | None:
        """All load balancers' state; None, and a message on stderr, if it
        cannot be had."""
        _tell(self._call(E2SARResultInt, "get_lb_overview", _ADMIN))
        return None

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
        _ip, port = address_and_port(node_ip_port)
        _conditions(weight, source_count, min_factor, max_factor, keep_lb_header)
        return self._register("register_worker", text(node_name), port)

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
        _conditions(weight, source_count, min_factor, max_factor, keep_lb_header)
        return self._register(
            "register_worker_self", text(node_name), u16(port), self._own_addresses(truth(v6))
        )

    def deregister_worker(self) -> E2SARResultInt:
        """It is a worker no more."""
        return self._call(E2SARResultInt, "deregister_worker", _SESSION, lb_id="")

    def send_state(
        self,
        fill_percent: float,
        control_signal: float,
        is_ready: bool,
        stats: WorkerStats | None = None,
    ) -> E2SARResultInt:
        """Tells how a worker is, now. `fill_percent` is 0 to 1."""
        return self.send_state_with_timestamp(
            fill_percent, control_signal, is_ready, Timestamp(), stats
        )

    def send_state_with_timestamp(
        self,
        fill_percent: float,
        control_signal: float,
        is_ready: bool,
        timestamp: Timestamp,
        stats: WorkerStats | None = None,
    ) -> E2SARResultInt:
        """The same as of then."""
        fill = f32(fill_percent)
        f32(control_signal), truth(is_ready), instance_of(Timestamp, timestamp)
        if stats is not None:
            instance_of(WorkerStats, stats)
        need = ((0.0 <= fill <= 1.0, f"a fill of {fill} is not within 0 to 1"),)
        return self._call(E2SARResultInt, "send_state", _SESSION, need=need, lb_id="")

    def create_token(self, name: str, permissions: Sequence[TokenPermission]) -> E2SARResultString:
        """A new token."""
        allowed = list_of(lambda one: instance_of(TokenPermission, one))(permissions)
        need = (
            (bool(text(name)), "a token has a name"),
            (bool(allowed), "a token has permissions"),
        )
        return self._call(E2SARResultString, "create_token", _ADMIN, need=need)

    def list_token_permissions_by_id(self, token_id: int) -> E2SARResultTokenDetails:
        """What a token allows."""
        u32(token_id)
        return self._call(E2SARResultTokenDetails, "list_token_permissions", _ADMIN)

    def list_token_permissions_by_string(self, token: str) -> E2SARResultTokenDetails:
        """What a token allows."""
        text(token)
        return self._call(E2SARResultTokenDetails, "list_token_permissions", _ADMIN)

    def list_child_tokens_by_id(self, parent_token_id: int) -> E2SARResultListOfTokenDetails:
        """Tokens that were made with it."""
        u32(parent_token_id)
        return self._call(E2SARResultListOfTokenDetails, "list_child_tokens", _ADMIN)

    def list_child_tokens_by_string(self, parent_token: str) -> E2SARResultListOfTokenDetails:
        """Tokens that were made with it."""
        text(parent_token)
        return self._call(E2SARResultListOfTokenDetails, "list_child_tokens", _ADMIN)

    def revoke_token_by_id(self, token_id: int) -> E2SARResultInt:
        """It allows nothing any more."""
        u32(token_id)
        return self._call(E2SARResultInt, "revoke_token", _ADMIN)

    def revoke_token_by_string(self, token: str) -> E2SARResultInt:
        """It allows nothing any more."""
        text(token)
        return self._call(E2SARResultInt, "revoke_token", _ADMIN)

    def timeseries(self, path: str, since: Timestamp) -> E2SARResultTimeseriesResult:
        """Counters of the load balancer from then on."""
        instance_of(Timestamp, since)
        need = ((bool(text(path)), "a series has a path"),)
        return self._call(E2SARResultTimeseriesResult, "timeseries", _ADMIN, need=need)

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

    def _own_addresses(self, v6: bool) -> Callable[[], list[str]]:
        return lambda: self._uri.get_dp_local_addrs(v6)

    def _senders(self, name: str, given: Addresses) -> E2SARResultInt:
        return self._call(E2SARResultInt, name, _INSTANCE, lb_id="", addresses=given)

    def _register(
        self, call: str, name: str, port: int, addresses: Addresses = ()
    ) -> E2SARResultInt:
        need = (
            (bool(name), "a worker has a name"),
            (port >= _LOWEST_PORT, f"port {port} is below {_LOWEST_PORT}"),
        )
        return self._call(E2SARResultInt, call, _INSTANCE, need=need, lb_id="", addresses=addresses)

    def _call(
        self,
        of: type[R],
        name: str,
        token: Callable[[EjfatURI], E2SARResultString],
        *,
        need: Sequence[tuple[bool, str]] = (),
        lb_id: str | None = None,
        addresses: Addresses = (),
    ) -> R:
        """Checks what a call needs, the token first, and makes it."""
        try:
            token(self._uri).value()
            if lb_id == "" and not self._uri.lb_id:
                refuse(
                    E2SARErrorc.ParameterNotAvailable,
                    f"Load balancer ID not available for {name}(): reserve one, or name it",
                )
            for holds, message in need:
                if not holds:
                    refuse(E2SARErrorc.ParameterError, f"{name}(): {message}")
            for one in addresses() if callable(addresses) else addresses:
                IPAddress.from_string(one)
        except E2SARException as error:
            return of._caught(error)
        return of._failed(
            E2SARErrorc.RPCError,
            f"Error connecting to LB CP in {name}(): this version of xdpsar has no client for the "
            f"control plane; nothing was sent to {self._address}",
        )


def _conditions(
    weight: float, source_count: int, min_factor: float, max_factor: float, keep_lb_header: bool
) -> None:
    for number in (weight, min_factor, max_factor):
        f32(number)
    u16(source_count)
    truth(keep_lb_header)


def _tell(result: E2SARResultInt) -> None:
    print(result.error().message, file=sys.stderr)


def _whole(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def get_port_range(source_count: int) -> int:
    """The exponent of the ports that so many sources need: 0 to 14."""
    return min(14, max(0, i32(source_count) - 1).bit_length())
