"""`xdpsar-open`: what an EJFAT URI says, and the way to what it names."""

import argparse
import json
import sys
from typing import Any

from .. import EjfatUri, TokenKind, XdpsarError, _native, local_address_towards
from . import carry_out, parser, print_json, print_table


def options() -> argparse.ArgumentParser:
    made = parser("xdpsar-open", "Takes an EJFAT URI apart, and finds the way to what it names.")
    made.add_argument("--uri", help="default: that of the environment's EJFAT_URI")
    return made


def address(found: tuple[str, int] | None) -> str | None:
    if found is None:
        return None
    ip, port = found
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def interface_of(ip: str | None) -> dict[str, Any] | None:
    """The one that carries it."""
    interfaces: list[dict[str, Any]] = json.loads(_native._host())["interfaces"]
    return next((one for one in interfaces if ip in one["addresses"]), None)


def local_ip(towards: list[str]) -> str | None:
    """That of the first which there is a route to."""
    for ip in towards:
        try:
            return local_address_towards(ip)
        except XdpsarError:
            continue
    return None


def tool(options: argparse.Namespace) -> int:
    uri = EjfatUri(options.uri) if options.uri else EjfatUri.from_env()
    control = uri.resolve()
    # Events leave for the data address, or will once there is one.
    towards = [ip for ip, _ in ([uri.data] if uri.data else []) + control]
    ip = local_ip(towards)
    interface = interface_of(ip)
    document = {
        "uri": repr(uri),
        "control_plane": [address(one) for one in control],
        "lb_id": uri.lb_id,
        "lb_name": uri.lb_name,
        "data": address(uri.data),
        "sync": address(uri.sync),
        "session_id": uri.session_id,
        "tokens": [kind.name for kind in TokenKind if uri.token(kind) is not None],
        "local_ip": ip,
        "interface": interface and interface["name"],
        "mtu": interface and interface["mtu"],
        # No client of the control plane is part of this build.
        "control_plane_version": None,
    }
    if options.json:
        print_json(document)
        return 0
    rows = [(name.replace("_", " "), told(value)) for name, value in document.items()]
    rows[-1] = (rows[-1][0], "not in this build")
    print_table(rows)
    return 0


def told(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "-"
    return "-" if value in (None, "") else str(value)


def main() -> None:
    sys.exit(carry_out(tool, options().parse_args()))
