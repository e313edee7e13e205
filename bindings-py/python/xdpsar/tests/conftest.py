"""What the tests share: a pair on loopback, and an eye on what is left over."""

import gc
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple

import pytest

import xdpsar
from xdpsar import _native

PATIENCE = 60.0
"""Seconds for what must happen, on the slowest machine."""


def eventually(condition: Callable[[], object]) -> None:
    """Waits until it holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.001)


def interrupt(running: subprocess.Popen[str]) -> None:
    """Ctrl-C for a program that says "now" before it waits, and "interrupted"
    after it."""
    assert running.stdout is not None
    assert running.stdout.readline() == "now\n"
    time.sleep(0.3)
    begin = time.monotonic()
    running.send_signal(signal.SIGINT)
    assert running.stdout.readline() == "interrupted\n"
    assert time.monotonic() - begin < PATIENCE / 2


class Pair(NamedTuple):
    """Receiver and sender, on loopback."""

    receiver: xdpsar.Reassembler
    sender: xdpsar.Segmenter

    def carry(self, data: bytes) -> xdpsar.Event:
        """One event there."""
        self.sender.send(data)
        return self.receiver.recv(PATIENCE)


_left_over: list[str] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Whatever a test makes is gone when it and its fixtures have ended."""
    result = yield
    gc.collect()
    if left := {kind: count for kind, count in _native._live_objects().items() if count}:
        _left_over.append(f"{item.nodeid} leaves {left}")
    return result


def pytest_sessionfinish(session: pytest.Session) -> None:
    # After a failure pytest itself keeps what the test had.
    if _left_over and not session.testsfailed:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _left_over:
        terminalreporter.write_line(line)


def free_port() -> int:
    """A UDP port of 127.0.0.1 that is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        found: int = free.getsockname()[1]
        return found


@pytest.fixture
def port() -> int:
    """The same."""
    return free_port()


@pytest.fixture
def pair(port: int) -> Iterator[Pair]:
    with (
        xdpsar.Reassembler(data_ip="127.0.0.1", port=port) as receiver,
        xdpsar.Segmenter(f"127.0.0.1:{port}", data_id=7) as sender,
    ):
        yield Pair(receiver, sender)


@pytest.fixture
def carry(pair: Pair) -> Callable[[bytes], xdpsar.Event]:
    return pair.carry
