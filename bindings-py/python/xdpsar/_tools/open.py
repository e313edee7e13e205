"""`xdpsar-open`: what an EJFAT URI says, and the way to what it names."""

import argparse
import json
import sys
from typing import Any

from .. import EjfatUri, LoadBalancer, TokenKind, XdpsarError, _native, local_address_towards
from . import carry_out, parser, print_json, print_table


def options() -> argparse.ArgumentParser:
    made = parser("xdpsar-open", "Takes an EJFAT URI apart, and finds the way to what it names.")
    made.add_argument("--uri", help="default: that of the environment's EJFAT_URI")
    made.add_argument("--timeout", type=float, default=5.0, help="of the control plane, in seconds")
    made.add_argument("--cafile", help="certificates to believe instead of the system's: PEM")
    made.add_argument("--no-verify", action="store_true", help="do not check its certificate")
    return made


def version(uri: EjfatUri, options: argparse.Namespace) -> tuple[dict[str, str] | None, str | None]:
    """The control plane's, or why it is not known."""
    if not any(uri.token(kind) for kind in TokenKind):
        return None, "the URI has no token to ask with"
    try:
        with LoadBalancer(
            uri,
            timeout=options.timeout,
            connect_timeout=options.timeout,
            cafile=options.cafile,
            verify=not options.no_verify,
        ) as lb:
            return lb.version()._asdict(), None
    except XdpsarError as error:
        return None, str(error)


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
    server, why_not = version(uri, options)
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
        "control_plane_version": server,
        "control_plane_error": why_not,
    }
    if options.json:
        print_json(document)
        return 0
    rows = [(name.replace("_", " "), told(value)) for name, value in document.items()]
    print_table(rows)
    return 0


def told(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "-"
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {part}" for name, part in value.items())
    return "-" if value in (None, "") else str(value)


def main() -> None:
    sys.exit(carry_out(tool, options().parse_args()))
