"""Receivers as workers, and senders let in, of a real load balancer."""

import pickle
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import xdpsar

from . import lb
from .conftest import PATIENCE, eventually, free_port, interrupt


@pytest.fixture
def server() -> Iterator[lb.Server]:
    with lb.Server("--plane", "127.0.0.1") as server:
        yield server


@pytest.fixture
def client(server: lb.Server) -> Iterator[xdpsar.LoadBalancer]:
    with xdpsar.LoadBalancer(server.uri, timeout=PATIENCE) as client, client.reserve("run"):
        yield client


def test_a_whole_run(server: lb.Server, client: xdpsar.LoadBalancer, port: int) -> None:
    as_worker = xdpsar.Registration("node-1", weight=2.0, high_water=1.0, timeout=PATIENCE)
    with xdpsar.Reassembler(
        client.uri, data_ip="127.0.0.1", port=port, event_timeout=60.0, register=as_worker
    ) as receiver:
        [worker] = client.status().workers
        assert (worker.name, str(worker.address), worker.port) == ("node-1", "127.0.0.1", port)
        now = receiver.registration
        assert now is not None and now.session_id == str(worker.session)
        assert now.address == (worker.address, port)
        admit = xdpsar.Admission(timeout=PATIENCE)
        with xdpsar.Segmenter(client.uri, data_id=7, admit=admit) as sender:
            assert sender.stats.admission is not None
            assert sender.stats.admission.state == "admitted"
            assert client.status().senders == sender.stats.admission.addresses
            # Its slots, and who may send, as of the next tick.
            server.tell("advance 1")
            for number in range(20):
                sender.send(bytes([number]) * 3000)
                assert bytes(receiver.recv(PATIENCE)) == bytes([number]) * 3000
        told = sender.stats.admission
        assert told is not None and told.state == "removed"
        eventually(lambda: client.status().workers[0].counters.events_reassembled == 20)
    assert receiver.registration is not None
    assert receiver.registration.state == "deregistered"
    status = client.status()
    assert status.workers == status.senders == ()


def test_registered_for_a_while(client: xdpsar.LoadBalancer, port: int) -> None:
    with xdpsar.Reassembler(client.uri, data_ip="127.0.0.1", port=port) as receiver:
        assert receiver.registration is None
        receiver.deregister()
        as_worker = xdpsar.Registration("node-1", timeout=PATIENCE)
        for _ in range(2):
            receiver.register(as_worker)
            assert [worker.name for worker in client.status().workers] == ["node-1"]
            with pytest.raises(xdpsar.UsageError, match="deregister it before"):
                receiver.register("node-2")
            receiver.deregister()
            assert client.status().workers == ()
            assert receiver.registration is not None
            assert receiver.registration.state == "deregistered"
    with pytest.raises(xdpsar.Closed):
        receiver.register(as_worker)
    receiver.deregister()
    with xdpsar.Reassembler(data_ip="127.0.0.1", port=port) as receiver:
        with pytest.raises(xdpsar.UsageError, match="no URI"):
            receiver.register("node-1")
        receiver.register(as_worker, client.uri)
        assert len(client.status().workers) == 1
    assert client.status().workers == ()


def test_an_outage(server: lb.Server, client: xdpsar.LoadBalancer, port: int) -> None:
    with xdpsar.Reassembler(
        client.uri, data_ip="127.0.0.1", port=port, register="node-1"
    ) as receiver:

        def state() -> xdpsar.RegistrationStatus:
            now = receiver.registration
            assert now is not None
            return now

        eventually(lambda: state().states_sent > 0)
        server.tell("stop")
        eventually(lambda: state().errors_in_a_row > 0)
        assert state().last_error and lb.TOKEN not in f"{state()}"
        server.tell("restart")
        eventually(lambda: state().errors_in_a_row == 0)


def test_ctrl_c() -> None:
    program = """
import signal, sys, xdpsar
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    print("now", flush=True)
    {}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    calls = (
        "xdpsar.Reassembler(sys.argv[1], data_ip='127.0.0.1', port=int(sys.argv[2]), "
        "register=xdpsar.Registration('a', timeout=60))",
        "xdpsar.Segmenter(sys.argv[1], admit=xdpsar.Admission(timeout=60))",
    )
    for call in calls:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            uri = f"ejfat://secret@127.0.0.1:{silent.getsockname()[1]}/lb/1?data=127.0.0.1"
            arguments = [sys.executable, "-c", program.format(call), uri, str(free_port())]
            with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as running:
                interrupt(running)
                assert running.wait(PATIENCE) == 0


def test_refused(server: lb.Server, client: xdpsar.LoadBalancer, port: int) -> None:
    wrong = client.uri.replace(instance_token="wrong", admin_token=None)
    with pytest.raises(xdpsar.RpcDenied):
        xdpsar.Reassembler(wrong, data_ip="127.0.0.1", port=port, register="node-1")
    with pytest.raises(xdpsar.RpcDenied):
        xdpsar.Segmenter(wrong, admit=True)
    with pytest.raises(xdpsar.UsageError, match="register"):
        xdpsar.Reassembler(data_ip="127.0.0.1", port=port, register="node-1")
    with pytest.raises(xdpsar.UsageError, match="admit"):
        xdpsar.Segmenter("127.0.0.1", admit=True)
    with pytest.raises(xdpsar.UsageError):
        xdpsar.Reassembler(
            client.uri, data_ip="127.0.0.1", port=port, register=xdpsar.Registration("not a name")
        )
    # Nothing is left behind: neither a worker nor a bound port.
    assert client.status().workers == ()
    with xdpsar.Reassembler(data_ip="127.0.0.1", port=port) as receiver:
        assert receiver.registration is None
    with xdpsar.Segmenter(client.uri, admit=False) as sender:
        assert sender.stats.admission is None


def test_as_configuration(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("[reassembler.register]\nname = 'node-1'\nkp = 200\n[segmenter]\nadmit = true\n")
    config = xdpsar.ReassemblerConfig.from_toml(file)
    assert config.register == xdpsar.Registration("node-1", kp=200)
    assert config == pickle.loads(pickle.dumps(config))
    shown = config.to_dict()["register"]
    assert (shown["name"], shown["kp"], shown["weight"]) == ("node-1", 200, 1.0)
    assert xdpsar.SegmenterConfig.from_toml(file).admit is True
    with pytest.raises(TypeError, match="register"):
        xdpsar.ReassemblerConfig(register=7)  # type: ignore[arg-type]
