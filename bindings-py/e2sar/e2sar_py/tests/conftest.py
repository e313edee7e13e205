"""What the tests share as fixtures, and an eye on what is left over."""

import contextlib
import gc
import os
import time
from collections.abc import Generator, Iterator

import pytest

from e2sar_py import Optimizations
from xdpsar import _native

from .support import PATIENCE_MS, Pair

_left_over: list[str] = []


def _left() -> dict[str, int]:
    return {kind: count for kind, count in _native._live_objects().items() if count}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Whatever a test makes is gone soon after: callbacks may be under way."""
    result = yield
    deadline = time.monotonic() + PATIENCE_MS / 1000
    # After a failure pytest itself keeps what the test had.
    while (left := _left()) and not item.session.testsfailed:
        if time.monotonic() > deadline:
            _left_over.append(f"{item.nodeid} leaves {left}")
            break
        gc.collect()
    return result


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _left_over:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _left_over:
        terminalreporter.write_line(line)


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.stop()


def _masks() -> dict[int, set[int]]:
    masks = {}
    for task in map(int, os.listdir("/proc/self/task")):
        # Others end while one looks at them, here and below.
        with contextlib.suppress(ProcessLookupError):
            masks[task] = os.sched_getaffinity(task)
    return masks


@pytest.fixture
def affinity() -> Iterator[None]:
    """Threads run where they did before."""
    before = _masks()
    yield
    usual = os.sched_getaffinity(os.getppid())
    for task in _masks():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(task, before.get(task, usual))


@pytest.fixture
def selection() -> Iterator[None]:
    """No optimization is selected afterwards."""
    yield
    Optimizations.select(["unknown"])
    assert Optimizations.selectedAsStrings() == ["none"]
