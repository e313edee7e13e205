"""The EJFAT URI, to be completed as one learns more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

import xdpsar

from ._address import AnyAddress, IPAddress, address_and_port
from ._convert import instance_of, text, truth
from ._enum import E2SARErrorc, ScopedEnum, define
from ._errors import E2SARException, refuse
from ._results import (
    E2SARResultEjfatURI,
    E2SARResultPairIP,
    E2SARResultPairString,
    E2SARResultString,
)

_LOWEST_PORT = 1024
_DATA_PORT = 19522


class EjfatURI:
    """Where a load balancer's control plane and data plane are, and tokens.

    `ejfat[s]://[token@]host:port[/lb/<id>][?sync=ip:port&data=ip[:port]…]`.
    A host's name is looked up at once.
    """

    __slots__ = ("__weakref__", "_cp", "_native")
    __hash__ = None  # type: ignore[assignment]

    class TokenType(ScopedEnum):
        """What a token is for."""

        all: ClassVar[EjfatURI.TokenType]
        admin: ClassVar[EjfatURI.TokenType]
        load_balancer: ClassVar[EjfatURI.TokenType]
        instance: ClassVar[EjfatURI.TokenType]
        reservation: ClassVar[EjfatURI.TokenType]
        session: ClassVar[EjfatURI.TokenType]

    class TokenPermission(ScopedEnum):
        """What a token allows."""

        _read_only_: ClassVar[EjfatURI.TokenPermission]
        _register_: ClassVar[EjfatURI.TokenPermission]
        _reserve_: ClassVar[EjfatURI.TokenPermission]
        _update_: ClassVar[EjfatURI.TokenPermission]

    define(TokenType, all=0, admin=1, load_balancer=1, instance=2, reservation=2, session=3)
    define(TokenPermission, _read_only_=0, _register_=1, _reserve_=2, _update_=3)

    all: ClassVar[TokenType] = TokenType.all
    admin: ClassVar[TokenType] = TokenType.admin
    load_balancer: ClassVar[TokenType] = TokenType.load_balancer
    instance: ClassVar[TokenType] = TokenType.instance
    reservation: ClassVar[TokenType] = TokenType.reservation
    session: ClassVar[TokenType] = TokenType.session
    _read_only_: ClassVar[TokenPermission] = TokenPermission._read_only_
    _register_: ClassVar[TokenPermission] = TokenPermission._register_
    _reserve_: ClassVar[TokenPermission] = TokenPermission._reserve_
    _update_: ClassVar[TokenPermission] = TokenPermission._update_

    _native: xdpsar.EjfatUri
    _cp: IPAddress

    def __init__(self, uri: str, tt: TokenType = TokenType.admin, preferV6: bool = False) -> None:
        kind, prefer_v6 = _kind(tt), truth(preferV6)
        try:
            native = xdpsar.EjfatUri(text(uri), token=kind, prefer_v6=prefer_v6)
            self._native, self._cp = native, _found(native)
        except xdpsar.XdpsarError as error:
            raise E2SARException(str(error), E2SARErrorc.ParseError) from None

    @classmethod
    def _of(cls, native: xdpsar.EjfatUri, cp: IPAddress) -> Self:
        uri = cls.__new__(cls)
        uri._native, uri._cp = native, cp
        return uri

    @staticmethod
    def get_from_env(
        env_var: str = "EJFAT_URI", tt: TokenType = TokenType.admin, preferV6: bool = False
    ) -> E2SARResultEjfatURI:
        """From an environment variable."""
        name = text(env_var)
        return _read(
            lambda: xdpsar.EjfatUri.from_env(name, token=_kind(tt), prefer_v6=truth(preferV6)),
            {"not_set": (E2SARErrorc.Undefined, f"Environment variable {name} not defined.")},
        )

    @staticmethod
    def get_from_string(
        _str: str, tt: TokenType = TokenType.admin, preferV6: bool = False
    ) -> E2SARResultEjfatURI:
        """From a text."""
        return _read(
            lambda: xdpsar.EjfatUri(text(_str), token=_kind(tt), prefer_v6=truth(preferV6)),
            {},
        )

    @staticmethod
    def get_from_file(
        _filename: str = "/tmp/ejfat_uri",
        tt: TokenType = TokenType.admin,
        preferV6: bool = False,
    ) -> E2SARResultEjfatURI:
        """From a file's first line."""
        path = text(_filename)
        return _read(
            lambda: xdpsar.EjfatUri.from_file(path, token=_kind(tt), prefer_v6=truth(preferV6)),
            {
                "not_found": (E2SARErrorc.NotFound, f"File {path} not found or not readable."),
                "empty": (E2SARErrorc.Undefined, f"File {path} is empty."),
            },
        )

    @property
    def lb_name(self) -> str:
        """The load balancer's name: never in the text."""
        return self._native.lb_name

    @lb_name.setter
    def lb_name(self, name: str) -> None:
        self._native = self._native.replace(lb_name=text(name))

    @property
    def lb_id(self) -> str:
        """The load balancer's id."""
        return self._native.lb_id

    @lb_id.setter
    def lb_id(self, lb_id: str) -> None:
        self._native = self._native.replace(lb_id=text(lb_id))

    @property
    def session_id(self) -> str:
        """The worker's session."""
        return self._native.session_id

    @session_id.setter
    def session_id(self, session_id: str) -> None:
        self._native = self._native.replace(session_id=text(session_id))

    def set_token(self, token: str, tt: TokenType) -> None:
        """A token of any kind."""
        name = ("all_token", "admin_token", "instance_token", "session_token")[_kind(tt)]
        changed: dict[str, Any] = {name: text(token)}
        self._native = self._native.replace(**changed)

    def set_instance_token(self, token: str) -> None:
        """The token of a reservation."""
        self.set_token(token, EjfatURI.TokenType.instance)

    def set_session_token(self, token: str) -> None:
        """The token of a worker's session."""
        self.set_token(token, EjfatURI.TokenType.session)

    def set_sync_addr(self, addr: tuple[AnyAddress, int]) -> None:
        """Where sync messages go."""
        ip, port = address_and_port(addr)
        if not port:
            refuse(E2SARErrorc.ParameterError, "Sync messages need a port: 0 is none")
        to = str(ip), port
        self._native = self._native.replace(
            sync_v4=None if ip.is_v6() else to, sync_v6=to if ip.is_v6() else None
        )

    def set_data_addr(self, addr: tuple[AnyAddress, int]) -> None:
        """Where events go, by the address's family. Port 0: 19522."""
        ip, port = address_and_port(addr)
        to = str(ip), port or _DATA_PORT
        changed: dict[str, Any] = {"data_v6" if ip.is_v6() else "data_v4": to}
        self._native = self._native.replace(**changed)

    def get_useTls(self) -> bool:
        """Whether the control plane is spoken to by TLS."""
        return self._native.tls

    def has_data_addr(self) -> bool:
        """Whether it is known where events go."""
        return self._native.data is not None

    def has_data_addr_v4(self) -> bool:
        """The same by IPv4."""
        return self._native.data_v4 is not None

    def has_data_addr_v6(self) -> bool:
        """The same by IPv6."""
        return self._native.data_v6 is not None

    def has_sync_addr(self) -> bool:
        """Whether it is known where sync messages go."""
        return self._native.sync is not None

    def get_instance_token(self) -> E2SARResultString:
        """The token of a reservation."""
        return self._token("Instance", EjfatURI.TokenType.instance)

    def get_session_token(self) -> E2SARResultString:
        """The token of a worker's session."""
        return self._token("Session", EjfatURI.TokenType.session)

    def get_admin_token(self) -> E2SARResultString:
        """The token of an administrator."""
        return self._token("Admin", EjfatURI.TokenType.admin)

    def get_cp_addr(self) -> E2SARResultPairIP:
        """Where the control plane is."""
        return E2SARResultPairIP._ok((self._cp, self._native.port))

    def get_cp_host(self) -> E2SARResultPairString:
        """The same by name, if the URI has one."""
        if not self._native.has_host_name:
            return E2SARResultPairString._failed(
                E2SARErrorc.ParameterNotAvailable, "Control plane hostname not available"
            )
        return E2SARResultPairString._ok((self._native.host, self._native.port))

    def get_data_addr_v4(self) -> E2SARResultPairIP:
        """Where events go by IPv4."""
        return _pair(self._native.data_v4, "Data plane")

    def get_data_addr_v6(self) -> E2SARResultPairIP:
        """Where events go by IPv6."""
        return _pair(self._native.data_v6, "Data plane")

    def get_sync_addr(self) -> E2SARResultPairIP:
        """Where sync messages go."""
        return _pair(self._native.sync, "Sync")

    def get_dp_local_addrs(self, v6: bool = False) -> list[str]:
        """This machine's addresses on the interface that leads to the data
        address; RuntimeError if there is none."""
        by_v6 = truth(v6)
        ip, _port = (self.get_data_addr_v6() if by_v6 else self.get_data_addr_v4()).value()
        try:
            found = xdpsar.local_addresses_towards(str(ip))
        except (xdpsar.XdpsarError, OSError) as error:
            refuse(E2SARErrorc.SystemError, f"Unable to tell the local addresses: {error}")
        return [one for one in found if (":" in one) == by_v6]

    def to_string(self, tt: TokenType = TokenType.admin) -> str:
        """Its text, with the token of that kind, if there is one."""
        return self._native.to_string(_kind(tt))

    def __str__(self) -> str:
        return str(self._native)

    def __repr__(self) -> str:
        return repr(self._native).replace("EjfatUri", "EjfatURI", 1)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EjfatURI) and self._fields() == other._fields()

    def _fields(self) -> tuple[object, ...]:
        native = self._native
        tokens = [native.token(int(kind)) for kind in EjfatURI.TokenType]
        places = (self._cp, native.port, native.data_v4, native.data_v6, native.sync)
        return (*tokens, *places, native.lb_id, native.lb_name, native.session_id)

    def __copy__(self) -> Self:
        return self._of(self._native, self._cp)

    def __deepcopy__(self, _memo: object) -> Self:
        return self._of(self._native, self._cp)

    def __reduce__(
        self,
    ) -> tuple[Callable[[xdpsar.EjfatUri, IPAddress], Self], tuple[xdpsar.EjfatUri, IPAddress]]:
        return self._of, (self._native, self._cp)

    def _token(self, name: str, kind: TokenType) -> E2SARResultString:
        token = self._native.token(int(kind))
        if token is None:
            return E2SARResultString._failed(
                E2SARErrorc.ParameterNotAvailable, f"{name} token not available"
            )
        return E2SARResultString._ok(token)


def _kind(given: object) -> int:
    return int(instance_of(EjfatURI.TokenType, given))


def _found(native: xdpsar.EjfatUri) -> IPAddress:
    """The control plane's address, of the family that is preferred. Refuses
    ports that only the system has."""
    places = (native.sync_v4, native.sync_v6, native.data_v4, native.data_v6)
    ports = [native.port, *(place[1] for place in places if place is not None)]
    if min(ports) < _LOWEST_PORT:
        refuse(
            E2SARErrorc.OutOfRange,
            f"Port {min(ports)} in an EJFAT URI: they are from {_LOWEST_PORT} on",
        )
    wanted = "v6" if native.prefer_v6 else "v4"
    for ip, _port in native.resolve():
        address = IPAddress.from_string(ip)
        if not native.has_host_name or address.is_v6() == native.prefer_v6:
            return address
    refuse(E2SARErrorc.NotFound, f"The host {native.host} has no IP{wanted} address")


def _pair(place: tuple[str, int] | None, name: str) -> E2SARResultPairIP:
    if place is None:
        return E2SARResultPairIP._failed(
            E2SARErrorc.ParameterNotAvailable, f"{name} address not available"
        )
    ip, port = place
    return E2SARResultPairIP._ok((IPAddress.from_string(ip), port))


def _read(
    read: Callable[[], xdpsar.EjfatUri], codes: dict[str, tuple[E2SARErrorc, str]]
) -> E2SARResultEjfatURI:
    """A URI, or what is said for some kinds of errors."""
    try:
        native = read()
        return E2SARResultEjfatURI._ok(EjfatURI._of(native, _found(native)))
    except (xdpsar.XdpsarError, E2SARException) as error:
        other = E2SARErrorc.CaughtException, str(error)
        return E2SARResultEjfatURI._failed(*codes.get(getattr(error, "kind", ""), other))
