"""IP addresses."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, TypeAlias

from ._convert import list_of, text, u16
from ._enum import E2SARErrorc
from ._errors import refuse

if TYPE_CHECKING:
    from collections.abc import Callable


class IPAddress:
    """An IPv4 or IPv6 address; 0.0.0.0 if it is not told which."""

    __slots__ = ("_address",)
    _address: ipaddress.IPv4Address | ipaddress.IPv6Address

    def __init__(self) -> None:
        self._address = ipaddress.IPv4Address(0)

    @staticmethod
    def from_string(_addr: str) -> IPAddress:
        """From its text; RuntimeError if it is none."""
        try:
            return _of(ipaddress.ip_address(text(_addr)))
        except ValueError:
            refuse(
                E2SARErrorc.ParameterError,
                f"{_addr!r} is no IP address: write one such as 10.0.0.7 or fd00::7",
            )

    def is_v4(self) -> bool:
        """Whether it is an IPv4 address."""
        return self._address.version == 4

    def is_v6(self) -> bool:
        """Whether it is an IPv6 address."""
        return self._address.version == 6

    def __str__(self) -> str:
        return str(self._address)

    def __repr__(self) -> str:
        return f"IPAddress.from_string({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IPAddress) and self._address == other._address

    def __hash__(self) -> int:
        return hash(self._address)

    def __reduce__(self) -> tuple[Callable[[str], IPAddress], tuple[str]]:
        return IPAddress.from_string, (str(self),)


AnyAddress: TypeAlias = "IPAddress | str | ipaddress.IPv4Address | ipaddress.IPv6Address"


def _of(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> IPAddress:
    made = IPAddress()
    made._address = address
    return made


def is_address(given: object) -> bool:
    """Whether it can be meant as an address."""
    return isinstance(given, (IPAddress, str, ipaddress.IPv4Address, ipaddress.IPv6Address))


def address(given: object) -> IPAddress:
    """An address of any class."""
    if isinstance(given, IPAddress):
        return given
    if isinstance(given, str):
        return IPAddress.from_string(given)
    if isinstance(given, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
        return _of(given)
    raise TypeError(f"{given!r} is not an IPAddress")


def address_and_port(given: object) -> tuple[IPAddress, int]:
    """A pair of them."""
    pair = list_of(lambda part: part)(given)
    if len(pair) != 2:
        raise TypeError(f"{given!r} is not a pair of IPAddress and port")
    return address(pair[0]), u16(pair[1])


def host_and_port(ip: IPAddress | str, port: int) -> str:
    """As it stands in a URI: IPv6 in brackets."""
    host = str(ip)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
