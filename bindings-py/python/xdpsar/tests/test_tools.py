"""The console tools: what they print, how they exit, and who may call them."""

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

import xdpsar

from . import lb
from .conftest import PATIENCE

UNPRIVILEGED = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
"""Before a command: root's without any capability, or whoever runs the tests."""


def run(*arguments: str, status: int = 0, prefix: list[str] | None = None) -> tuple[str, str]:
    """Standard output and error."""
    done = subprocess.run(
        [*(prefix or []), sys.executable, "-m", "xdpsar", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout, done.stderr


def document(*arguments: str, prefix: list[str] | None = None) -> dict[str, Any]:
    out, _ = run(*arguments, "--json", prefix=prefix)
    found: dict[str, Any] = json.loads(out)
    return found


def test_enumerate() -> None:
    found = document("enumerate", "lo")
    assert set(found) == {"kernel", "missing_capabilities", "interfaces"}
    (loopback,) = found["interfaces"]
    assert set(loopback) == {
        "name", "index", "up", "loopback", "driver", "mtu", "numa_node", "rx_queues", "tx_queues",
        "addresses", "xdp",
    }  # fmt: skip
    assert loopback["loopback"] and loopback["mtu"] >= 1500 and loopback["numa_node"] is None
    assert "127.0.0.1" in loopback["addresses"] and loopback["xdp"]["native"] is False
    out, _ = run("enumerate")
    header, *rows = out.splitlines()
    assert header.split() == "interface driver MTU NUMA RX/TX queues XDP addresses".split()
    assert any(row.startswith("lo ") and "generic only" in row for row in rows)


def test_libconf() -> None:
    found = document("libconf")
    assert set(found) == {
        "version", "library", "stable_abi", "features", "python", "kernel", "limits",
        "missing_capabilities", "hints",
    }  # fmt: skip
    assert found["version"] == xdpsar.__version__ and found["python"] == platform.python_version()
    assert found["features"] == ["xdp"] and set(found["limits"]) >= {"rmem_max", "memlock"}
    build = document("libconf", "--build-env")["build"]
    assert set(build) == {"rustc", "target", "profile"} and build["rustc"].startswith("rustc 1.")
    out, _ = run("libconf", "--build-env")
    assert "rustc" in out and "rmem_max" in out


def test_hints_instead_of_errno(port: int) -> None:
    """What is missing, by name, and what to do about it."""
    missing = ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF", "CAP_PERFMON"]
    assert document("enumerate", prefix=UNPRIVILEGED)["missing_capabilities"] == missing
    hints = document("libconf", prefix=UNPRIVILEGED)["hints"]
    assert any("setcap cap_net_admin,cap_net_raw,cap_bpf,cap_perfmon" in hint for hint in hints)
    program = f"""
import xdpsar
try:
    xdpsar.Reassembler(data_ip="127.0.0.1", backend="xdp", interface="lo", port={port})
except xdpsar.NotPermitted as error:
    print(error)
with xdpsar.Reassembler(data_ip="127.0.0.1", port={port}, socket_buffer=(1 << 30) - 1) as receiver:
    print(*receiver.backend.warnings)
"""
    done = subprocess.run(
        [*UNPRIVILEGED, sys.executable, "-c", program],
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    assert all(name in done.stdout for name in missing), done.stdout
    assert "sysctl -w net.core.rmem_max=" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        ([], 2, ""),
        (["no-such-tool"], 2, ""),
        (["enumerate", "--no-such-option"], 2, "usage: python -m xdpsar enumerate"),
        (["enumerate", "no-such-if"], 1, "there are "),
    ],
)
def test_exit_status(arguments: list[str], status: int, says: str) -> None:
    _, error = run(*arguments, status=status)
    assert says in error and "Traceback" not in error


def test_help() -> None:
    out, _ = run("--help")
    for name in ("enumerate", "libconf", "open", "recv"):
        assert name in out
        assert f"python -m xdpsar {name}" in run(name, "--help")[0]


def test_console_scripts() -> None:
    for name in ("enumerate", "libconf", "open"):
        (script,) = entry_points(group="console_scripts", name=f"xdpsar-{name}")
        assert callable(script.load())


URI = "ejfats://127.0.0.2:18347/lb/36?data=127.0.0.1:19522&sync=127.0.0.1:19010"


def test_open() -> None:
    found = document("open", "--uri", URI)
    assert set(found) == {
        "uri", "control_plane", "lb_id", "lb_name", "data", "sync", "session_id", "tokens",
        "local_ip", "interface", "mtu", "control_plane_version",
        "control_plane_error",
    }  # fmt: skip
    assert found["control_plane"] == ["127.0.0.2:18347"] and found["lb_id"] == "36"
    assert found["data"] == "127.0.0.1:19522" and found["sync"] == "127.0.0.1:19010"
    assert found["local_ip"] == "127.0.0.1" and found["control_plane_version"] is None
    assert "no token" in run("open", "--uri", URI)[0]


def test_open_asks_the_control_plane(tmp_path: Path) -> None:
    with lb.Server("--tls", str(tmp_path)) as server:
        options = ("--uri", server.uri, "--timeout", "60")
        trusting = (*options, "--cafile", str(tmp_path / "authority.pem"))
        found = document("open", *trusting)
        assert set(found["control_plane_version"]) == {"commit", "build", "compat_tag"}
        assert found["control_plane_error"] is None
        assert "compat tag" in run("open", *trusting)[0]
        assert document("open", *options, "--no-verify")["control_plane_version"]
        unknown = document("open", *options)
        assert unknown["control_plane_version"] is None
        assert "certificate" in unknown["control_plane_error"]
        for shown in (run("open", *options)[0], json.dumps([found, unknown])):
            assert lb.TOKEN not in shown


def test_open_finds_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EJFAT_URI", URI)
    assert document("open")["lb_id"] == "36"
    monkeypatch.delenv("EJFAT_URI")
    assert "EJFAT_URI" in run("open", status=1)[1]
    assert "http" in run("open", "--uri", "http://no", status=1)[1]
