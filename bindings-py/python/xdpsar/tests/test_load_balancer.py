"""`LoadBalancer` with a real server, by TCP and by TLS."""

import ipaddress
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import xdpsar
from xdpsar.load_balancer import Counters, Level, Permission, Resource, SlotRange

from . import lb
from .conftest import eventually

SENDERS = ["192.0.2.1", ipaddress.ip_address("2001:db8::1")]


@pytest.fixture(params=[lb.plain, lb.secure], ids=["plain", "tls"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[lb.Site]:
    made: lb.Site = request.param(tmp_path)
    with made.server:
        yield made


@pytest.fixture
def client(site: lb.Site) -> Iterator[xdpsar.LoadBalancer]:
    with site.client() as client:
        yield client


def test_version(client: xdpsar.LoadBalancer) -> None:
    version = client.version()
    assert all(version)
    assert version.compat_tag == version[2]


def test_a_reservation_from_its_begin_to_its_end(
    site: lb.Site, client: xdpsar.LoadBalancer
) -> None:
    with client.reserve("mylb", duration=timedelta(hours=1), senders=SENDERS[:1]) as reservation:
        reserved = reservation.reserved
        assert reserved.token is not None and reserved.data_ports is not None
        assert isinstance(reserved.data_v4, ipaddress.IPv4Address)
        uri = client.uri
        assert (uri.lb_id, uri.lb_name) == (reserved.lb_id, "mylb")
        assert uri.token(xdpsar.TokenKind.INSTANCE) == reserved.token
        assert uri.data == (str(reserved.data_v4), reserved.data_ports[0])
        assert reserved.sync_v4 is not None
        assert uri.sync == (str(reserved.sync_v4[0]), reserved.sync_v4[1])
        # Another client sees the same.
        with site.client() as other:
            assert other.get(reserved.lb_id).sync_v4 == reserved.sync_v4
            [overview] = other.overview()
        assert (overview.name, overview.reserved.lb_id) == ("mylb", reserved.lb_id)
        assert overview.reserved.token is None
        status = client.status()
        now = datetime.now(timezone.utc)
        assert status.at is not None and abs(status.at - now) < timedelta(seconds=120)
        assert status.expires_at is not None and status.expires_at > now
        later = now + timedelta(hours=2)
        extended = client.extend(until=later)
        assert extended is not None and abs(extended - later) < timedelta(milliseconds=1)
        assert client.status().expires_at == extended
    assert client.overview() == ()
    assert client.uri.token(xdpsar.TokenKind.INSTANCE) is None
    reservation.free()  # once is enough


def test_senders(client: xdpsar.LoadBalancer) -> None:
    with client.reserve("senders"):
        client.senders.add(SENDERS)
        assert [str(one) for one in client.status().senders] == ["192.0.2.1", "2001:db8::1"]
        client.senders.add(SENDERS)  # once is enough
        client.senders.remove([SENDERS[0]])
        assert client.status().senders == (SENDERS[1],)
        own = client.senders.add_self()
        assert own and set(own) <= set(client.status().senders)
        assert client.senders.remove_self() == own
        client.senders.remove(SENDERS)
        assert client.status().senders == ()
        with pytest.raises(TypeError):
            client.senders.add("192.0.2.1")
        with pytest.raises(xdpsar.UsageError):
            client.senders.add(["localhost"])


def test_a_worker(site: lb.Site, client: xdpsar.LoadBalancer) -> None:
    with client.reserve("workers"):
        session = client.register(
            "my_node", "192.168.101.5", 10000, ports=16, weight=0.5, min_factor=1, max_factor=1
        )
        assert client.uri.session_id == session.id
        counters = Counters(events_received=7, packets_received=2**40)
        client.send_state(0.8, 1.0, counters=counters)
        site.server.tell("advance 1")
        [worker] = client.status().workers
        assert (worker.name, str(worker.address), worker.port) == ("my_node", "192.168.101.5", 10000)
        assert (worker.ports, worker.slots_assigned) == (16, 512)
        assert worker.fill == pytest.approx(0.8, abs=1e-6)
        assert worker.control_signal == pytest.approx(1, abs=1e-6)
        assert worker.counters == counters
        assert sum(slots.length for slots in worker.slots) == 512
        assert worker.last_updated is not None
        client.send_state(0.0, ready=False, session=session.id)
        site.server.tell("advance 1")
        assert client.status().workers[0].slots_assigned == 0
        client.deregister()
        assert client.status().workers == ()
        assert client.uri.session_id == ""


def test_slots_demanded(site: lb.Site, client: xdpsar.LoadBalancer) -> None:
    with client.reserve("slots", strategy="explicit"):
        session = client.register("a", "192.0.2.7", 10000, slot_demands=[(0, 3), (None, 2)])
        client.send_state(0)
        site.server.tell("advance 1")
        [worker] = client.status().workers
        assert worker.slot_demands == (SlotRange(0, 3), SlotRange(None, 2))
        assert worker.slots_assigned == 5
        client.set_slot_demands({session.id: [SlotRange(10, 1)]})
        site.server.tell("advance 1")
        # Which makes its strategy static: the rest is dealt out.
        [worker] = client.status().workers
        assert (worker.slot_demands, worker.slots_assigned) == (((10, 1),), 512)


def test_reset(client: xdpsar.LoadBalancer) -> None:
    with client.reserve("reset", senders=SENDERS):
        client.register("a", "192.0.2.7", 10000)
        done = client.reset(senders=True, workers=True)
        assert (done.senders, done.workers, done.sync, done.epochs) == (True, True, False, False)
        status = client.status()
        assert status.senders == status.workers == ()


def test_tokens(site: lb.Site, client: xdpsar.LoadBalancer) -> None:
    with client.reserve("tokens") as reservation:
        look = Permission(Level.READ_ONLY, Resource.RESERVATION, reservation.lb_id)
        token = client.tokens.create("look", [look])
        details = client.tokens.list(token)
        assert (details.name, details.permissions) == ("look", (look,))
        assert details == client.tokens.list(details.id)
        assert details.id in [child.id for child in client.tokens.children()]
        with site.client(site.server.with_token(token)) as looker:
            assert looker.status(reservation.lb_id).workers == ()
            with pytest.raises(xdpsar.RpcDenied):
                looker.free(reservation.lb_id)
        client.tokens.revoke(details.id)
        assert details.id not in [child.id for child in client.tokens.children()]
        with pytest.raises(xdpsar.UsageError):
            client.tokens.revoke(0)
        with pytest.raises(xdpsar.UsageError, match="no id"):
            client.tokens.create("wrong", [Permission(Level.UPDATE, Resource.SESSION)])


def test_time_series(site: lb.Site, client: xdpsar.LoadBalancer) -> None:
    numpy = pytest.importorskip("numpy")
    since = datetime.now(timezone.utc) - timedelta(minutes=1)
    with client.reserve("series") as reservation:
        client.register("a", "192.0.2.7", 10000)
        client.send_state(0.25, 3)
        site.server.tell("advance 2")
        path = f"/lb/{reservation.lb_id}/session/{client.uri.session_id}/fill_percent"
        [one] = client.timeseries(path, since)
        assert (one.name, len(one.times_ns)) == (path, len(one.values))
        assert one.values[-1] == 0.25 and len(one) > 0
        times, values = one.numpy()
        assert times.dtype == "datetime64[ns]" and values.dtype.itemsize in (4, 8)
        assert numpy.shares_memory(values, numpy.asarray(one.values))
        assert times[0].astype("int64") == one.times_ns[0]
        assert path in [every.name for every in client.series()]
        with pytest.raises(xdpsar.NotFound):
            client.timeseries("/lb/999999/fill")


def test_chains(site: lb.Site, client: xdpsar.LoadBalancer) -> None:
    with client.reserve("upstream") as upstream, site.client() as other:
        with other.reserve("downstream"):
            chain = other.chain(client.uri, weight=2.0)
            graph = other.chain_graph()
            assert not graph.has_cycle
            [link] = graph.links
            assert (link.chain_id, link.upstream_lb_id) == (chain, upstream.lb_id)
            other.unchain(chain)
            assert other.chain_graph().links == ()


WRONG: dict[str, tuple[Callable[[xdpsar.LoadBalancer], object], type[xdpsar.XdpsarError]]] = {
    "no load balancer": (lambda client: client.status(), xdpsar.UriError),
    "no session": (lambda client: client.send_state(0.5), xdpsar.UriError),
    "name": (lambda client: client.reserve("not a name"), xdpsar.UsageError),
    "end": (lambda client: client.reserve("a", duration=-1), xdpsar.UsageError),
    "ends": (
        lambda client: client.reserve("a", duration=1, until=datetime.now(timezone.utc)),
        xdpsar.UsageError,
    ),
    "no zone": (lambda client: client.reserve("a", until=datetime.now()), xdpsar.UsageError),
    "for ever": (lambda client: client.reserve("a", duration=1e30), xdpsar.UsageError),
    "strategy": (
        lambda client: client.reserve("a", strategy="best"),  # type: ignore[arg-type]
        xdpsar.UsageError,
    ),
    "ports": (lambda client: client.register("a", "::1", 1, ports=3), xdpsar.UsageError),
    "weight": (lambda client: client.register("a", "::1", 1, weight=0), xdpsar.UsageError),
    "fill": (lambda client: client.send_state(1.5, session="1"), xdpsar.UsageError),
    "unknown": (lambda client: client.get("999999"), xdpsar.RpcError),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_makes_no_sense(client: xdpsar.LoadBalancer, wrong: str) -> None:
    call, error = WRONG[wrong]
    with pytest.raises(error) as raised:
        call(client)
    assert isinstance(raised.value, xdpsar.XdpsarError)
    assert client.overview() == (), "and leaves nothing reserved"


def test_options_that_there_are_not(client: xdpsar.LoadBalancer) -> None:
    with pytest.raises(TypeError, match="no option 'senderz'"):
        client.reserve("a", senderz=[])  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        client.reserve("a", until="tomorrow")  # type: ignore[arg-type]


def test_wrong_tokens(site: lb.Site) -> None:
    with site.client(site.server.with_token("wrong")) as client:
        calls: list[Callable[[], object]] = [
            lambda: client.reserve("a"),
            lambda: client.get("1"),
            lambda: client.status("1"),
            lambda: client.free("1"),
            lambda: client.extend(1, lb_id="1"),
            lambda: client.reset(sync=True, lb_id="1"),
            lambda: client.senders.add(SENDERS, "1"),
            lambda: client.senders.remove(SENDERS, "1"),
            lambda: client.register("a", "192.0.2.7", 10000, lb_id="1"),
            lambda: client.set_slot_demands({"1": [(0, 1)]}, "1"),
            lambda: client.send_state(0.5, session="1"),
            lambda: client.chain_graph("1"),
            lambda: client.overview(),
            lambda: client.version(),
            lambda: client.timeseries("/lb/1/event_number"),
        ]
        for call in calls:
            with pytest.raises(xdpsar.RpcDenied) as denied:
                call()
            assert denied.value.rpc_code == "PERMISSION_DENIED"
            assert denied.value.code == xdpsar.ErrorCode.RPC_ERROR
            assert isinstance(denied.value, PermissionError)
            assert "wrong" not in f"{denied.value!r}{denied.value}"


def test_all_are_taken_and_the_server_says_so(client: xdpsar.LoadBalancer) -> None:
    for number in range(4):
        client.reserve(f"lb-{number}")
    with pytest.raises(xdpsar.RpcError) as full:
        client.reserve("one-more")
    assert full.value.rpc_code == "RESOURCE_EXHAUSTED"
    assert full.value.found.startswith("RESOURCE_EXHAUSTED: ")
    assert full.value.asked and full.value.remedy


def test_a_reservation_that_is_over_can_be_left(
    site: lb.Site, client: xdpsar.LoadBalancer
) -> None:
    with client.reserve("short", duration=60) as reservation:
        site.server.tell("advance 61")
        with pytest.raises(xdpsar.RpcDenied):
            client.status()
    # To free it is what failed: it was over.
    assert repr(reservation).endswith(f"{reservation.lb_id}>")


def test_an_error_in_a_with_is_the_one_that_is_raised(
    site: lb.Site, client: xdpsar.LoadBalancer
) -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        with client.with_timeout(0.1).reserve("a") as reservation:
            site.server.tell("silence FreeLoadBalancer")
            _ = 1 / 0
    assert "stays reserved" in raised.value.__notes__[0]
    # The URI may be another's: this one is freed by its own token.
    client.with_uri(site.server.uri).free(reservation.lb_id)
    eventually(lambda: client.overview() == ())


def test_two_reservations_of_one_client(client: xdpsar.LoadBalancer) -> None:
    with client.reserve("one") as one, client.reserve("two") as two:
        assert one.lb_id != two.lb_id
        assert client.uri.lb_id == two.lb_id
        one.free()
        assert [left.name for left in client.overview()] == ["two"]
    assert client.overview() == ()


def test_no_token_in_any_text(site: lb.Site, client: xdpsar.LoadBalancer) -> None:
    with client.reserve("quiet") as reservation:
        session = client.register("a", "192.0.2.7", 10000)
        token = client.tokens.create("other", [Permission(Level.READ_ONLY)])
        shown: list[Any] = [client, reservation, reservation.reserved, session, client.uri]
        shown += [client.status(), client.overview(), client.tokens.children(), client.senders]
        with pytest.raises(xdpsar.RpcError) as error:
            client.tokens.list("f" * 32)
        shown += [error.value, error.value.args]
        text = "".join(map(repr, shown)) + str(error.value)
        own = reservation.reserved.token
        assert own is not None
        secrets = [lb.TOKEN, own, session.token, token, "f" * 32]
        assert not [secret for secret in secrets if secret in text]
