"""`LoadBalancer` and what happens around it: servers that do not answer,
signals, forks, event loops, the interpreter's end."""

import asyncio
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import xdpsar
from xdpsar import aio

from . import lb
from .conftest import PATIENCE, eventually, interrupt

@pytest.fixture
def site(tmp_path: Path) -> Iterator[lb.Site]:
    made = lb.plain(tmp_path)
    with made.server:
        yield made


@pytest.fixture
def nobody() -> Iterator[str]:
    """The URI of who takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield f"ejfat://secret@127.0.0.1:{silent.getsockname()[1]}/lb/1"


def test_nobody_listens() -> None:
    with socket.socket() as unused:
        # Bound, and not listening: nobody else gets the port.
        unused.bind(("127.0.0.1", 0))
        uri = f"ejfat://secret@127.0.0.1:{unused.getsockname()[1]}/"
        with xdpsar.LoadBalancer(uri, timeout=PATIENCE) as client:
            with pytest.raises(xdpsar.RpcError, match="refused") as raised:
                client.version()
    assert raised.value.rpc_code == "UNAVAILABLE"
    assert isinstance(raised.value, ConnectionError)
    assert "secret" not in f"{raised.value}"


def test_no_answer_in_time(nobody: str) -> None:
    with xdpsar.LoadBalancer(nobody).with_timeout(0.2) as client:
        with pytest.raises(xdpsar.RpcTimeout) as raised:
            client.status()
    assert isinstance(raised.value, TimeoutError)
    assert raised.value.rpc_code == "DEADLINE_EXCEEDED"


def test_whom_not_to_believe(tmp_path: Path) -> None:
    secure = lb.secure(tmp_path)
    with secure.server:
        uri = secure.server.uri
        with secure.client(cafile=None) as client, pytest.raises(xdpsar.RpcError) as raised:
            client.version()
        assert "certificate" in raised.value.found
        with secure.client(cafile=None, verify=False) as client:
            assert client.version()
        text = (tmp_path / "authority.pem").read_text()
        with secure.client(cafile=None, cadata=text, server_name="localhost") as client:
            assert client.version()
        with secure.client(server_name="example.org") as client:
            with pytest.raises(xdpsar.RpcError, match="example.org"):
                client.version()
        with pytest.raises(xdpsar.NotFound):
            xdpsar.LoadBalancer(uri, cafile=tmp_path / "none.pem")
        with pytest.raises(xdpsar.UsageError):
            xdpsar.LoadBalancer(uri, cadata="nonsense")
        with pytest.raises(xdpsar.UsageError):
            xdpsar.LoadBalancer(uri, cadata=text, verify=False)
    with pytest.raises(xdpsar.UsageError):
        xdpsar.LoadBalancer(uri, timeout=-1)
    with pytest.raises(xdpsar.UsageError):
        xdpsar.LoadBalancer(uri, keep_alive=0)


def test_the_server_is_away_for_a_while(site: lb.Site) -> None:
    with site.client() as client, client.reserve("away"):
        before = client.status().expires_at
        site.server.tell("stop")
        with pytest.raises(xdpsar.RpcError) as raised:
            client.with_timeout(0.5).status()
        assert raised.value.rpc_code in ("UNAVAILABLE", "DEADLINE_EXCEEDED")
        site.server.tell("restart")
        assert client.status().expires_at == before


def test_where_the_uri_comes_from(site: lb.Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EJFAT_URI", site.server.uri)
    with xdpsar.LoadBalancer(timeout=PATIENCE) as client:
        assert client.version()
    monkeypatch.delenv("EJFAT_URI")
    with pytest.raises(xdpsar.NotFound):
        xdpsar.LoadBalancer()
    with pytest.raises(xdpsar.UriError):
        xdpsar.LoadBalancer("nonsense")


def test_closed(site: lb.Site) -> None:
    client = site.client()
    shared = client.with_uri(site.server.uri)
    assert not client.closed
    client.close()
    client.close()
    assert client.closed and shared.closed
    with pytest.raises(xdpsar.Closed):
        shared.version()


def test_to_close_ends_calls(nobody: str) -> None:
    client = xdpsar.LoadBalancer(nobody, timeout=PATIENCE)
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            client.version()
        except xdpsar.XdpsarError as error:
            raised.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.1)
    client.close()
    asking.join(PATIENCE)
    assert isinstance(raised[0], xdpsar.Closed)


def interrupted(uri: str, call: str, meanwhile: Callable[[], object] = bool) -> None:
    """Ctrl-C ends a call, and then there is time for something."""
    program = f"""
import signal, sys, xdpsar
signal.signal(signal.SIGINT, signal.default_int_handler)
with xdpsar.LoadBalancer(sys.argv[1], timeout=60, connect_timeout=60) as client:
    try:
        print("now", flush=True)
        client.{call}
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, uri],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdin is not None
        interrupt(running)
        meanwhile()
        running.stdin.close()
        assert running.wait(PATIENCE) == 0


def test_ctrl_c(nobody: str) -> None:
    interrupted(nobody, "version()")


def test_ctrl_c_leaves_no_reservation(site: lb.Site) -> None:
    with site.client() as client:
        site.server.tell("delay ReserveLoadBalancer 0.6")
        own = 0

        def somebody_else_reserved() -> bool:
            nonlocal own
            own += 1
            with client.reserve("mine") as reservation:
                return int(reservation.lb_id) > own

        def made_and_freed() -> None:
            eventually(somebody_else_reserved)
            eventually(lambda: client.overview() == ())

        interrupted(site.server.uri, "reserve('late')", made_and_freed)


def test_a_forked_child_makes_its_own(site: lb.Site) -> None:
    with site.client() as client:
        assert client.version()
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                client.version()
                said = b"went on"
            except xdpsar.Forked:
                with site.client() as own:
                    said = b"own" if own.version() else b"none"
            except BaseException as error:
                said = repr(error).encode()
            os.write(write, said)
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as told:
            assert told.read() == "own"
        assert os.waitpid(child, 0)[1] == 0
        assert client.version(), "the parent's goes on"


ASKS = "import threading; threading.Thread(target=client.version, daemon=True).start()"


@pytest.mark.parametrize("end", ["", "client.close()", ASKS])
def test_the_interpreter_ends(nobody: str, end: str) -> None:
    program = f"import sys, xdpsar; client = xdpsar.LoadBalancer(sys.argv[1], timeout=60)\n{end}"
    done = subprocess.run(
        [sys.executable, "-c", program, nobody],
        timeout=PATIENCE,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_values_are_pickled(site: lb.Site) -> None:
    with site.client() as client, client.reserve("pickled") as reservation:
        for value in (reservation.reserved, client.status(), client.version(), client.overview()):
            assert pickle.loads(pickle.dumps(value)) == value


def test_asyncio(site: lb.Site) -> None:
    async def main() -> None:
        async with aio.LoadBalancer(site.server.uri, timeout=PATIENCE) as client:
            async with await client.reserve("async", duration=60) as reservation:
                assert reservation.lb_id == client.uri.lb_id
                await client.senders.add(["192.0.2.1"])
                session = await client.register("a", "192.0.2.7", 10000)
                await client.send_state(0.5)
                status, overview, version = await asyncio.gather(
                    client.status(), client.overview(), client.version()
                )
                assert [worker.name for worker in status.workers] == ["a"]
                assert overview[0].name == "async" and version.build
                await client.deregister(session.id)
                assert (await client.tokens.list()).id
                with pytest.raises(xdpsar.RpcError):
                    await client.get("999999")
            assert await client.overview() == ()

    asyncio.run(main())


def test_a_cancelled_task(site: lb.Site, nobody: str) -> None:
    async def main() -> None:
        async with aio.LoadBalancer(nobody, timeout=PATIENCE) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await client.version()
        async with aio.LoadBalancer(site.server.uri, timeout=PATIENCE) as client:
            await client.version()
            # Cancelled at any moment, before, at or after the answer.
            for turns in range(50):
                task = asyncio.create_task(client.reserve("short", duration=3600))
                for _ in range(turns % 10):
                    await asyncio.sleep(0.0002)
                task.cancel()
                try:
                    await (await task).free()
                except asyncio.CancelledError:
                    pass
            deadline = time.monotonic() + PATIENCE
            while await client.overview():
                assert time.monotonic() < deadline, "a reservation stays"
                await asyncio.sleep(0.01)

    asyncio.run(main())


def test_the_event_loop_goes_on(nobody: str) -> None:
    async def main() -> int:
        turns = 0
        async with aio.LoadBalancer(nobody, timeout=PATIENCE) as client:
            waiting = asyncio.create_task(client.version())
            while turns < 50:
                await asyncio.sleep(0.001)
                turns += 1
            assert not waiting.done()
            waiting.cancel()
        return turns

    assert asyncio.run(main()) == 50
