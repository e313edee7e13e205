"""`xdpsar-libconf`: what this build is, and what the system allows."""

import argparse
import json
import platform
import resource
import sys
from pathlib import Path
from typing import Any

from .. import _native
from . import carry_out, parser, print_json, print_table

LIMITS = {
    "rmem_max": "socket buffer that a receiver may ask for",
    "wmem_max": "socket buffer that a sender may ask for",
    "optmem_max": "memory for a socket's options",
    "netdev_max_backlog": "packets that wait for a core, of loopback and veth",
}
"""Of /proc/sys/net/core."""

ENOUGH = 32 << 20
"""Bytes of `rmem_max` that a receiver would use."""


def options() -> argparse.ArgumentParser:
    made = parser("xdpsar-libconf", "Tells what this build is, and what the system allows.")
    made.add_argument(
        "--build-env", action="store_true", help="also the toolchain that it was built with"
    )
    return made


def kernel_limit(name: str) -> int | None:
    """None where this network namespace has no such limit."""
    try:
        return int(Path("/proc/sys/net/core", name).read_text())
    except OSError:
        return None


def tool(options: argparse.Namespace) -> int:
    host = json.loads(_native._host())
    build = json.loads(_native._build())
    locked, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    limits: dict[str, int | None] = {name: kernel_limit(name) for name in LIMITS}
    limits["memlock"] = None if locked == resource.RLIM_INFINITY else locked
    library = Path(_native.__file__)
    document: dict[str, Any] = {
        "version": _native.__version__,
        "library": str(library),
        "stable_abi": ".abi3." in library.name,
        "features": build.pop("features"),
        "python": platform.python_version(),
        "kernel": host["kernel"],
        "limits": limits,
        "missing_capabilities": host["missing_capabilities"],
        "hints": hints(limits, host["missing_capabilities"]),
    }
    if options.build_env:
        document["build"] = build
    if options.json:
        print_json(document)
        return 0
    rows = [
        ("version", f"{document['version']}, with {', '.join(document['features']) or 'sockets only'}"),
        ("library", f"{library}, {'stable ABI' if document['stable_abi'] else 'for this Python only'}"),
        ("Python", document["python"]),
        ("Linux", document["kernel"]),
        *((name, told(value, LIMITS.get(name, "memory that may be locked"))) for name, value in limits.items()),
        *((f"built: {name}", value) for name, value in document.get("build", {}).items()),
    ]  # fmt: skip
    print_table(rows)
    for hint in document["hints"]:
        print(f"\n{hint}")
    return 0


def told(value: int | None, what: str) -> str:
    return f"{'no limit' if value is None else value} ({what})"


def hints(limits: dict[str, int | None], missing: list[str]) -> list[str]:
    """What to do for more speed."""
    found = []
    rmem_max = limits["rmem_max"]
    if rmem_max is not None and rmem_max < ENOUGH and "CAP_NET_ADMIN" in missing:
        found.append(
            f"rmem_max is {rmem_max}: bursts beyond that are lost. Raise it: "
            f"sysctl -w net.core.rmem_max={ENOUGH}"
        )
    if missing:
        found.append(
            f"AF_XDP is not to be had without {', '.join(missing)}. `sudo -E` keeps the "
            f"environment that Python needs, or: setcap "
            f"{','.join(name.lower() for name in missing)}+ep PYTHON"
        )
    return found


def main() -> None:
    sys.exit(carry_out(tool, options().parse_args()))
