"""What the system says of the way to an address, without sending anything."""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
from typing import NamedTuple

from ._enum import E2SARErrorc
from ._errors import refuse

# Linux: include/uapi/linux/in.h, in6.h, sockios.h. Python has no names for them.
_IP_MTU = 14
_IPV6_MTU = 24
_SIOCGIFCONF = 0x8912

_IFREQ = struct.Struct("16s4x4s16x")
"""Of 64 bits: an interface's name, and its address in a `sockaddr_in`."""
_MOST_ADDRESSES = 4096


class Route(NamedTuple):
    """The way there."""

    interface: str
    """Empty if no name is known."""
    mtu: int


def route(ip: str, port: int) -> Route:
    """The way to an address, or E2SARException."""
    v6 = ":" in ip
    level, option = (socket.IPPROTO_IPV6, _IPV6_MTU) if v6 else (socket.IPPROTO_IP, _IP_MTU)
    family = socket.AF_INET6 if v6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((ip, port))
            source = probe.getsockname()[0]
            interface = _interface_v6(source) if v6 else _interface_v4(probe, source)
            return Route(interface, probe.getsockopt(level, option))
    except OSError as error:
        refuse(
            E2SARErrorc.SocketError,
            f"There is no route to {ip}: {error}; see `ip route get {ip}`",
        )


def _interface_v4(probe: socket.socket, source: str) -> str:
    room = ctypes.create_string_buffer(_IFREQ.size * _MOST_ADDRESSES)
    asked = struct.pack("iP", len(room), ctypes.addressof(room))
    filled, _room = struct.unpack("iP", fcntl.ioctl(probe, _SIOCGIFCONF, asked))
    for name, address in _IFREQ.iter_unpack(room.raw[:filled]):
        if address == socket.inet_aton(source):
            # A further address may have a label: eth0:1.
            interface: str = name.rstrip(b"\0").decode().partition(":")[0]
            return interface
    return ""


def _interface_v6(source: str) -> str:
    wanted = socket.inet_pton(socket.AF_INET6, source.partition("%")[0]).hex()
    with open("/proc/net/if_inet6", encoding="ascii") as file:
        rows = [line.split() for line in file]
    return next((row[5] for row in rows if row[0] == wanted), "")
