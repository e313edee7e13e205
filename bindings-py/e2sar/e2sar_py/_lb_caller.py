"""How the control plane is called: which token, which client, which errors."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import xdpsar

from ._address import IPAddress, host_and_port
from ._convert import instance_of, truth
from ._enum import E2SARErrorc
from ._errors import E2SARException, refuse
from ._lb_data import SslCredentialsOptions
from ._results import E2SARResultString, Result
from ._uri import EjfatURI

R = TypeVar("R", bound=Result[Any])
Addresses = Sequence[str] | Callable[[], list[str]]

# Which token a call needs.
ADMIN = EjfatURI.get_admin_token
INSTANCE = EjfatURI.get_instance_token
SESSION = EjfatURI.get_session_token


class Caller:
    """A URI, and a client that is made for the first call."""

    __slots__ = ("_address", "_at", "_client", "_options", "_process", "_uri", "_validate")

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
        self._client: xdpsar.LoadBalancer | None = None
        self._process = 0
        host = self._uri.get_cp_host()
        self._at = ""
        if host.has_value() and not by_address:
            self._address = host_and_port(*host.value())
        else:
            ip, port = self._uri.get_cp_addr().value()
            self._at = str(ip)
            self._address = f"ipv{6 if ip.is_v6() else 4}:///{host_and_port(ip, port)}"

    def get_uri(self) -> EjfatURI:
        """Its URI: not a copy; calls complete it."""
        return self._uri

    def get_addr_string(self) -> str:
        """Where the control plane is."""
        return self._address

    def _reach(self) -> tuple[xdpsar.EjfatUri, dict[str, Any]]:
        """Where the server is, and whether to check who it is."""
        uri = self._uri._native
        roots = self._options._root or None if self._validate else None
        at = uri.replace(host=self._at) if self._at else uri
        return at, {"verify": self._validate, "cadata": roots}

    def _lb(self) -> xdpsar.LoadBalancer:
        """The client, with the URI as it is now. A forked child has its own."""
        if self._client is None or self._process != os.getpid():
            uri, trust = self._reach()
            self._client = xdpsar.LoadBalancer(uri, **trust)
            self._process = os.getpid()
        return self._client.with_uri(self._uri._native)

    def _learn(self, lb: xdpsar.LoadBalancer) -> int:
        """The URI with what the answer has added to it."""
        self._uri._native = lb.uri
        return 0

    def _call(
        self,
        of: type[R],
        name: str,
        token: Callable[[EjfatURI], E2SARResultString],
        call: Callable[[xdpsar.LoadBalancer], object],
        *,
        need: Sequence[tuple[bool, str]] = (),
        lb_id: str | None = None,
        addresses: Addresses = (),
    ) -> R:
        """Checks what a call needs, and makes it."""
        try:
            self._check(name, token, need, lb_id)
            for one in addresses() if callable(addresses) else addresses:
                IPAddress.from_string(one)
            return of._ok(call(self._lb()))
        except (E2SARException, xdpsar.XdpsarError) as error:
            return of._caught(error, calling(name, error))

    def _check(
        self,
        name: str,
        token: Callable[[EjfatURI], E2SARResultString],
        need: Sequence[tuple[bool, str]] = (),
        lb_id: str | None = "",
    ) -> None:
        """Refuses a call that lacks something; the token counts first."""
        token(self._uri).value()
        if lb_id == "" and not self._uri.lb_id:
            refuse(
                E2SARErrorc.ParameterNotAvailable,
                f"Load balancer ID not available for {name}(): reserve one, or name it",
            )
        for holds, message in need:
            if not holds:
                refuse(E2SARErrorc.ParameterError, f"{name}(): {message}")


def calling(name: str, error: Exception) -> str:
    """What an error's text begins with."""
    if isinstance(error, xdpsar.RpcError):
        return f"Error connecting to LB CP in {name}(): "
    return "" if isinstance(error, E2SARException) else f"{name}(): "
