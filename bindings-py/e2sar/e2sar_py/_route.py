"""What the system says of the way to an address, without sending anything."""

from __future__ import annotations

from typing import NamedTuple

from xdpsar import _native

from ._enum import E2SARErrorc
from ._errors import refuse


class Route(NamedTuple):
    """The way there."""

    interface: str
    """Empty if no name is known."""
    mtu: int


def route(ip: str) -> Route:
    """The way to an address, or E2SARException."""
    try:
        return Route(*_native._route_to(ip))
    except OSError as error:
        refuse(
            E2SARErrorc.SocketError,
            f"There is no route to {ip}: {error}; see `ip route get {ip}`",
        )
