"""`LBManager` with a real server, by TCP and by TLS: the incumbent's own list
of what is to work, and what goes wrong."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2sar_py import E2SARErrorc, EjfatURI, IPAddress
from e2sar_py.ControlPlane import LBManager, Timestamp, TokenPermission, WorkerStats
from e2sar_py.DataPlane import Reassembler, Segmenter
from xdpsar.tests import lb

from .support import LOOPBACK, PATIENCE_MS, free_ports, sender_flags

NODE = ("my_node", (IPAddress.from_string("192.168.101.5"), 10000), 0.5, 10, 1.0, 1.0)
SENDERS = ["192.168.20.1", "192.168.20.2"]


class Site:
    """A server, and who manages load balancers there."""

    def __init__(self, server: lb.Server, options: tuple[Any, ...] = ()) -> None:
        self.server = server
        self.options = options

    def manager(self, uri: str | None = None, tt: Any = EjfatURI.admin) -> LBManager:
        return LBManager(EjfatURI(uri or self.server.uri, tt), *self.options)


def plain(_folder: Path) -> Site:
    return Site(lb.Server())


def secure(folder: Path) -> Site:
    server = lb.Server("--tls", str(folder))
    roots = LBManager.make_ssl_options_from_files(str(folder / "authority.pem")).value()
    return Site(server, (True, False, roots))


def unchecked(folder: Path) -> Site:
    return Site(lb.Server("--tls", str(folder)), (False,))


@pytest.fixture(params=[plain, secure, unchecked], ids=["plain", "tls", "tls, unchecked"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    made: Site = request.param(tmp_path)
    with made.server:
        yield made


@pytest.fixture
def manager(site: Site) -> LBManager:
    made = site.manager()
    assert made.reserve_lb_in_seconds("mylb", 3600.0, SENDERS).has_value()
    return made


def test_reserve_and_free(site: Site) -> None:
    manager = site.manager()
    uri = manager.get_uri()
    assert uri.get_instance_token().has_error()
    number = manager.reserve_lb_in_seconds("mylb", 3600.0, SENDERS)
    assert isinstance(number.value(), int)
    assert uri.get_instance_token().value() and uri.lb_id and uri.lb_name == "mylb"
    assert uri.has_sync_addr() and uri.has_data_addr_v4()
    # (2) A second manager finds the same.
    other = site.manager()
    assert other.get_lb_by_id(uri.lb_id).value() == 0
    assert other.get_uri().get_sync_addr().value() == uri.get_sync_addr().value()
    assert other.get_uri().get_data_addr_v4().value() == uri.get_data_addr_v4().value()
    assert manager.free_lb().value() == 0
    assert manager.get_lb().error().code == E2SARErrorc.RPCError


def test_without_an_end(site: Site) -> None:
    manager = site.manager()
    assert manager.reserve_lb_in_seconds("mylb", 0, [], 1).has_value()
    status = manager.get_lb_status()
    assert status is not None
    assert LBManager.as_lb_status(status).expiresAt > LBManager.as_lb_status(status).timestamp
    assert manager.free_lb_by_id(manager.get_uri().lb_id).value() == 0


def test_senders(manager: LBManager) -> None:
    def senders() -> list[str]:
        status = manager.get_lb_status()
        assert status is not None
        return LBManager.get_sender_addresses(status)

    assert senders() == SENDERS
    assert manager.remove_senders(SENDERS).value() == 0
    assert senders() == []
    assert manager.add_senders(SENDERS).value() == 0
    assert senders() == SENDERS
    assert manager.add_sender_self().value() == 0
    assert len(senders()) > 2
    assert manager.remove_sender_self().value() == 0
    assert senders() == SENDERS


def test_a_worker(site: Site, manager: LBManager) -> None:
    assert manager.send_state(0.5, 1.0, True).error().code == E2SARErrorc.ParameterNotAvailable
    assert manager.register_worker(*NODE).value() == 0
    uri = manager.get_uri()
    assert uri.get_session_token().value() and uri.session_id
    stats = WorkerStats()
    stats.total_events_recv = 7
    for _ in range(25):
        assert manager.send_state(0.8, 1.0, True, stats).value() == 0
    site.server.tell("advance 1")
    reply = manager.get_lb_status_by_id(uri.lb_id)
    assert reply is not None
    [worker] = LBManager.get_worker_statuses(reply)
    assert worker.get_name() == "my_node"
    assert worker.get_fill_percent() == pytest.approx(0.8, abs=1e-6)
    assert worker.get_control_signal() == pytest.approx(1.0, abs=1e-6)
    assert worker.get_slots_assigned() == 512
    assert worker.get_last_updated() > "2020"
    status = LBManager.as_lb_status(reply)
    assert (status.currentEpoch > 0, status.senderAddressList) == (True, SENDERS)
    # (6) The same of all of them.
    overview = manager.get_lb_overview()
    assert overview is not None
    [entry] = LBManager.as_overview_message(overview)
    assert (entry.name, entry.lb_id) == ("mylb", uri.lb_id)
    assert entry.syncIPv4AndPort == uri.get_sync_addr().value()
    assert entry.data_ip_v4 == uri.get_data_addr_v4().value()[0]
    assert entry.data_min_port <= entry.data_max_port
    assert [one.get_name() for one in entry.lb_status.workerStatusList] == ["my_node"]
    assert manager.deregister_worker().value() == 0


def test_this_machine_as_a_worker(manager: LBManager) -> None:
    assert manager.register_worker_self("self", 10000, 1.0, 1, 0.5, 2.0, False, True).value() == 0
    then = Timestamp()
    then.set_seconds(1_900_000_000)
    assert manager.send_state_with_timestamp(0.25, 0.0, False, then).value() == 0
    assert manager.deregister_worker().value() == 0


def test_version(site: Site) -> None:
    assert len(site.manager().get_version()) == 3
    assert all(site.manager().get_version())


def test_tokens(manager: LBManager) -> None:
    lb_id = manager.get_uri().lb_id
    look = TokenPermission(EjfatURI.reservation, lb_id, EjfatURI._read_only_)
    token = manager.create_token("look", [look]).value()
    details = manager.list_token_permissions_by_string(token).value()
    assert details.name == "look"
    [allowed] = details.permissions
    assert (allowed.resourceType, allowed.resourceId) == (EjfatURI.reservation, lb_id)
    assert allowed.permission == EjfatURI.TokenPermission._read_only_
    again = manager.list_token_permissions_by_id(details.id).value()
    assert (again.name, again.created_at) == (details.name, details.created_at)

    def children() -> list[int]:
        return [child.id for child in manager.list_child_tokens_by_id(0).value()]

    own = manager.get_uri().get_admin_token().value()
    by_string = manager.list_child_tokens_by_string(own).value()
    assert [child.id for child in by_string] == children()
    assert details.id in children()
    assert manager.revoke_token_by_id(details.id).value() == 0
    assert details.id not in children()
    token = manager.create_token("look", [look]).value()
    assert manager.revoke_token_by_string(token).value() == 0
    assert manager.revoke_token_by_string(own).error().code == E2SARErrorc.ParameterError


def test_time_series(site: Site, manager: LBManager) -> None:
    assert manager.register_worker(*NODE).has_value()
    assert manager.send_state(0.25, 0.0, True).has_value()
    site.server.tell("advance 2")
    lb_id = manager.get_uri().lb_id
    since = Timestamp()
    since.set_seconds(1_700_000_000)
    path = f"/lb/{lb_id}/session/{manager.get_uri().session_id}/fill_percent"
    result = manager.timeseries(path, since).value()
    assert result.since_ms == 1_700_000_000_000
    [data] = result.td
    assert (data.path, data.is_float()) == (path, True)
    assert data.get_float_samples()[-1].value == 0.25
    assert data.get_float_samples()[-1].timestamp_ms > result.since_ms
    # What servers do not expand, this does.
    every = manager.timeseries(f"/lb/{lb_id}/*", Timestamp()).value()
    assert path in [one.path for one in every.td]
    none = manager.timeseries("/lb/999999/none", since)
    assert none.error().code == E2SARErrorc.NotFound


def test_wrong_tokens(site: Site, manager: LBManager) -> None:
    uri = manager.get_uri().to_string(EjfatURI.instance)
    secret = manager.get_uri().get_instance_token().value()
    wrong = site.manager(uri.replace(secret, "not-it"), EjfatURI.instance)
    error = wrong.add_senders(SENDERS).error()
    assert error.code == E2SARErrorc.RPCError
    assert error.message.startswith("Error connecting to LB CP in add_senders(): ")
    assert "PERMISSION_DENIED" in error.message and "not-it" not in error.message
    assert wrong.get_lb().error().code == E2SARErrorc.ParameterNotAvailable
    assert wrong.register_worker(*NODE).error().code == E2SARErrorc.RPCError
    assert "not-it" not in f"{wrong.get_uri()!r}{wrong!r}{error!r}"


def test_by_address(tmp_path: Path) -> None:
    with lb.Server("--tls", str(tmp_path)) as server:
        uri = EjfatURI(server.uri.replace("127.0.0.1", "localhost"))
        manager = LBManager(uri, True, True)
        assert manager.get_addr_string().startswith("ipv4:///127.0.0.1:")
        # Then certificates are not checked, whatever was said.
        assert manager.reserve_lb_in_seconds("mylb", 60, []).has_value()
        assert manager.get_uri().get_cp_host().value()[0] == "localhost"
        checking = LBManager(uri, True, False)
        with pytest.raises(RuntimeError, match="certificate"):
            checking.get_version()


def test_a_forked_child(site: Site, manager: LBManager) -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = "ok" if manager.get_version() else "none"
        except BaseException as error:
            said = repr(error)
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as told:
        assert told.read() == "ok"
    assert os.waitpid(child, 0)[1] == 0
    assert manager.free_lb().value() == 0


def test_a_receiver_as_a_worker() -> None:
    with lb.Server("--plane", "127.0.0.1") as server:
        manager = LBManager(EjfatURI(server.uri))
        assert manager.reserve_lb_in_seconds("mylb", 3600.0, ["127.0.0.1"]).has_value()

        def workers() -> list[str]:
            status = manager.get_lb_status()
            assert status is not None
            return [worker.get_name() for worker in LBManager.get_worker_statuses(status)]

        flags = Reassembler.ReassemblerFlags()
        flags.eventTimeout_ms = 10_000
        flags.reportStats = True
        made = Reassembler(manager.get_uri(), LOOPBACK, free_ports(), 1, flags)
        assert made.registerWorker("node").value() == 0
        assert workers() == ["node"]
        assert made.registerWorker("node").error().code == E2SARErrorc.LogicError
        assert made.OpenAndStart().value() == 0
        assert made.OpenAndStart().error().code == E2SARErrorc.LogicError
        server.tell("advance 1")
        sender = Segmenter(manager.get_uri(), 7, 1, sender_flags())
        assert sender.OpenAndStart().value() == 0
        assert sender.sendEvent(b"by way of it", 12, 5).value() == 0
        assert made.recvEventBytes(PATIENCE_MS) == (12, b"by way of it", 5, 7)
        sender.stopThreads()
        assert made.deregisterWorker().value() == 0
        assert workers() == []
        assert made.deregisterWorker().error().code == E2SARErrorc.LogicError
        assert made.registerWorker("late").value() == 0
        assert workers() == ["late"]
        assert made.deregisterWorker().value() == 0
        assert workers() == []
        assert made.getStats().eventSuccess == 1
        made.stopThreads()
