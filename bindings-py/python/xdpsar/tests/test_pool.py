"""Several processes that receive: their counts, and the death of one."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

import xdpsar

from .conftest import PATIENCE, eventually

EVENTS = 40


def refuses_empty_ones(event: xdpsar.Event) -> None:
    """A handler: pool processes find it by name."""
    assert len(event) > 0


def bind(port: int) -> socket.socket:
    """Fails unless nobody else has it."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", port))
    return bound


@pytest.fixture
def ports() -> range:
    """Three ports in a row that are free."""
    while True:
        with ExitStack() as held:
            first = held.enter_context(bind(0)).getsockname()[1]
            try:
                held.enter_context(bind(first + 1))
                held.enter_context(bind(first + 2))
            except (OSError, OverflowError):
                continue
            return range(first, first + 3)


@pytest.fixture(params=["spawn", "forkserver"])
def pool(ports: range, request: pytest.FixtureRequest) -> Iterator[xdpsar.WorkerPool]:
    made = xdpsar.WorkerPool(
        refuses_empty_ones, 3, data_ip="127.0.0.1", port=ports[0], start_method=request.param
    )
    with made:
        yield made


def send(port: int, *events: bytes, first: int = 0) -> None:
    with xdpsar.Segmenter(f"127.0.0.1:{port}", first_event=first) as sender:
        for event in events:
            sender.send(event)


def test_the_death_of_one_is_no_matter_to_the_others(pool: xdpsar.WorkerPool) -> None:
    for port in pool.ports:
        send(port, b"", *[b"event"] * (EVENTS - 1))
    eventually(lambda: pool.handled == 3 * EVENTS)
    assert [worker.handled for worker in pool.workers] == [EVENTS] * 3
    assert [worker.failed for worker in pool.workers] == [1] * 3
    assert len({worker.pid for worker in pool.workers} | {os.getpid()}) == 4
    assert pool.wait(0) is None

    victim = pool.workers[1]
    os.kill(victim.pid, signal.SIGKILL)
    dead = pool.wait(PATIENCE)
    assert dead and (dead.pid, dead.alive, dead.exitcode) == (victim.pid, False, -signal.SIGKILL)
    bind(victim.port).close()  # free at once

    for port in (pool.ports[0], pool.ports[2]):
        send(port, *[b"more"] * EVENTS, first=EVENTS)
    eventually(lambda: pool.handled == 5 * EVENTS)
    assert not pool.closed and "2 of 3" in repr(pool)

    first, second, third = pool.close()
    assert pool.closed and pool.close() == pool.workers
    assert (second.handled, second.stats) == (EVENTS, None), "nobody can tell any more"
    for worker in (first, third):
        assert (worker.exitcode, worker.handled, worker.failed) == (0, 2 * EVENTS, 1)
        assert worker.stats and worker.stats.events_ok == 2 * EVENTS and worker.stats.is_clean
    for port in pool.ports:
        bind(port).close()
    with pytest.raises(xdpsar.Closed):
        pool.wait()


def test_what_is_queued_is_handled_before_the_end(ports: range) -> None:
    pool = xdpsar.WorkerPool(refuses_empty_ones, 1, data_ip="127.0.0.1", port=ports[0])
    send(ports[0], *[b"event"] * EVENTS)
    eventually(lambda: pool.handled > 0)
    (worker,) = pool.close(PATIENCE)
    assert worker.stats and worker.handled == worker.stats.events_ok
    assert worker.exitcode == 0


def test_a_port_that_is_taken(ports: range) -> None:
    """The error is the process's own, and no process is left."""
    with bind(ports[1]), pytest.raises(xdpsar.XdpsarError, match=str(ports[1])):
        xdpsar.WorkerPool(refuses_empty_ones, 3, data_ip="127.0.0.1", port=ports[0])
    bind(ports[0]).close()
    bind(ports[2]).close()


def test_what_cannot_be_meant(ports: range) -> None:
    for processes, port in ((0, ports[0]), (2, 65535), (1, 0)):
        with pytest.raises(ValueError):
            xdpsar.WorkerPool(refuses_empty_ones, processes, data_ip="127.0.0.1", port=port)
    with pytest.raises(ValueError, match="fork"):
        xdpsar.WorkerPool(refuses_empty_ones, 1, data_ip="", start_method="fork")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        xdpsar.WorkerPool(None, 1, data_ip="127.0.0.1")  # type: ignore[arg-type]
    with pytest.raises(xdpsar.UsageError):
        xdpsar.WorkerPool(refuses_empty_ones, 1, data_ip="127.0.0.1", port=ports[0], backend="?")


@pytest.mark.parametrize("leave", ["pass", "os._exit(0)"])
def test_processes_end_with_their_parent(ports: range, leave: str) -> None:
    program = f"""
        import os, xdpsar
        from xdpsar.tests.test_pool import refuses_empty_ones
        if __name__ == "__main__":
            pool = xdpsar.WorkerPool(refuses_empty_ones, 2, data_ip="127.0.0.1", port={ports[0]})
            {leave}
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=PATIENCE)

    def free() -> bool:
        try:
            bind(ports[0]).close()
            bind(ports[1]).close()
        except OSError:
            return False
        return True

    eventually(free)
