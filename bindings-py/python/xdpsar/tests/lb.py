"""A load balancer's control plane to test with: the program that
XDPSAR_LB_SERVER names, which `scripts/test-py.sh` builds."""

import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

import xdpsar

from .conftest import PATIENCE

TOKEN = "0123456789abcdef0123456789abcdef"


class Server:
    """Runs until the end of a `with`."""

    def __init__(self, *arguments: str) -> None:
        program = os.environ.get("XDPSAR_LB_SERVER")
        if program is None:
            assert "XDPSAR_REQUIRE_PRIVILEGED" not in os.environ, "XDPSAR_LB_SERVER is not set"
            pytest.skip("skipped: XDPSAR_LB_SERVER does not name the test server's program")
        self._process = subprocess.Popen(
            [program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.uri = self._line()
        """With the token that may do everything."""

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the test server has ended"
        return line.rstrip("\n")

    def tell(self, command: str) -> None:
        """See the program's main.rs."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        answer = self._line()
        assert answer == "ok", answer

    def with_token(self, token: str) -> str:
        """Its URI with another token."""
        return self.uri.replace(TOKEN, token)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._process.stdout.close()


class Site:
    """A server, and how to reach it."""

    def __init__(self, server: Server, reach: dict[str, Any]) -> None:
        self.server = server
        self.reach = {"timeout": PATIENCE, "connect_timeout": PATIENCE, **reach}

    def client(self, uri: str | None = None, **reach: Any) -> xdpsar.LoadBalancer:
        return xdpsar.LoadBalancer(uri or self.server.uri, **(self.reach | reach))


def plain(_folder: Path) -> Site:
    return Site(Server(), {})


def secure(folder: Path) -> Site:
    server = Server("--tls", str(folder))
    return Site(server, {"cafile": folder / "authority.pem"})
