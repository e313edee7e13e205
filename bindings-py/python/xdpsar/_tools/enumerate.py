"""`xdpsar-enumerate`: this host's network interfaces, and what AF_XDP can do there."""

import argparse
import json
import sys
from typing import Any

from .. import _native
from . import carry_out, parser, print_json, print_table


def options() -> argparse.ArgumentParser:
    made = parser("xdpsar-enumerate", "Lists network interfaces, and what AF_XDP can do there.")
    made.add_argument("interface", nargs="*", help="only these")
    return made


def tool(options: argparse.Namespace) -> int:
    host: dict[str, Any] = json.loads(_native._host())
    found = host["interfaces"]
    if unknown := set(options.interface) - {one["name"] for one in found}:
        raise ValueError(
            f"no interface {', '.join(sorted(unknown))}: there are "
            f"{', '.join(one['name'] for one in found)}; choose one of these"
        )
    if options.interface:
        host["interfaces"] = found = [one for one in found if one["name"] in options.interface]
    if options.json:
        print_json(host)
        return 0
    print_table(
        [("interface", "driver", "MTU", "NUMA", "RX/TX queues", "XDP", "addresses")]
        + [
            (
                one["name"] + ("" if one["up"] else " (down)"),
                one["driver"] or "-",
                str(one["mtu"]),
                "-" if one["numa_node"] is None else str(one["numa_node"]),
                f"{one['rx_queues']}/{one['tx_queues']}",
                ability(one["xdp"]),
                ", ".join(one["addresses"]) or "-",
            )
            for one in found
        ],
    )
    print()
    if missing := host["missing_capabilities"]:
        print(
            f"AF_XDP needs {', '.join(missing)} besides: run as root, or give the interpreter "
            f"these capabilities. Without them events come by sockets."
        )
    else:
        print("AF_XDP has the capabilities that it needs.")
    return 0


def ability(xdp: dict[str, Any] | None) -> str:
    """In words; who holds the hook keeps others out."""
    if xdp is None:
        return "not known"
    if not xdp["native"]:
        words = "generic only"
    elif xdp["zero_copy"]:
        words = "native, zero-copy"
    else:
        words = "native, copies"
    return f"{words}; held by {xdp['holder']}" if xdp["holder"] else words


def main() -> None:
    sys.exit(carry_out(tool, options().parse_args()))
