"""The control plane's data and its client, as far as it needs no server."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2sar_py import E2SARErrorc, E2SARException, EjfatURI, IPAddress, SslCredentialsOptions
from e2sar_py.ControlPlane import (
    FloatSample,
    IntegerSample,
    LBManager,
    LBStatus,
    LBWorkerStatus,
    LoadBalancerStatusReply,
    OverviewEntry,
    OverviewReply,
    TimeseriesData,
    TimeseriesResult,
    Timestamp,
    TokenDetails,
    TokenPermission,
    WorkerStats,
    WorkerStatus,
    get_port_range,
)

EPOCH = "1970-01-01T00:00:00Z"
WHOLE = "ejfat://token@127.0.0.1:18020/lb/1?sync=127.0.0.1:19010&data=127.0.0.1"
NOWHERE = (IPAddress(), 0)


def test_port_range() -> None:
    expected = {
        0: 0, 1: 0, 2: 1, 3: 2, 4: 2, 5: 3, 7: 3, 8: 3, 9: 4, 16: 4, 17: 5, 32: 5, 100: 7, 128: 7,
        1000: 10, 1024: 10, 1025: 11, 16384: 14, 16385: 14, 70000: 14, -1: 0,
    }  # fmt: skip
    assert {count: get_port_range(count) for count in expected} == expected
    with pytest.raises(TypeError):
        get_port_range(1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "seconds, nanos, text",
    [
        (0, 0, EPOCH),
        (1_700_000_000, 0, "2023-11-14T22:13:20Z"),
        (1_700_000_000, 120_000_000, "2023-11-14T22:13:20.120Z"),
        (1_700_000_000, 1_000, "2023-11-14T22:13:20.000001Z"),
        (1_700_000_000, 1, "2023-11-14T22:13:20.000000001Z"),
        (-1, 0, "1969-12-31T23:59:59Z"),
    ],
)
def test_timestamps(seconds: int, nanos: int, text: str) -> None:
    time = Timestamp()
    time.set_seconds(seconds)
    time.set_nanos(nanos)
    assert (time.get_seconds(), time.get_nanos(), str(time)) == (seconds, nanos, text)
    assert pickle.loads(pickle.dumps(time)) == time
    assert (time == Timestamp()) == (seconds == nanos == 0)


def test_timestamps_that_are_none() -> None:
    time = Timestamp()
    with pytest.raises(TypeError):
        time.set_seconds(1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        time.set_nanos(2**31)
    time.set_nanos(10**9)
    with pytest.raises(ValueError):
        str(time)
    time.set_nanos(0)
    time.set_seconds(2**62)
    with pytest.raises(ValueError):
        str(time)


def test_worker_status() -> None:
    status = WorkerStatus()
    assert status.get_name() == ""
    assert status.get_fill_percent() == status.get_control_signal() == 0.0
    assert status.get_slots_assigned() == 0
    assert status.get_last_updated() == EPOCH
    old = LBWorkerStatus("node", 0.5, 1.0, 7, EPOCH)
    assert (old.name, old.fill_percent, old.control_signal) == ("node", 0.5, 1.0)
    assert (old.slots_assigned, old.last_updated) == (7, EPOCH)


def test_worker_stats() -> None:
    names = (
        "total_events_recv", "total_events_reassembled", "total_events_reassembly_err",
        "total_events_dequeued", "total_event_enqueue_err", "total_bytes_recv",
        "total_packets_recv",
    )  # fmt: skip
    stats = WorkerStats()
    for number, name in enumerate(names):
        assert getattr(stats, name) == 0
        setattr(stats, name, number)
        with pytest.raises(TypeError, match=name):
            setattr(stats, name, 1.0)
    for again in (copy.copy(stats), pickle.loads(pickle.dumps(stats))):
        assert [getattr(again, name) for name in names] == list(range(7))
    with pytest.raises(AttributeError):
        stats.total_events_enqueue_err = 1  # type: ignore[attr-defined]


def test_lb_status() -> None:
    time = Timestamp()
    time.set_seconds(60)
    status = LBStatus(time, 3, 2**64 - 1, [WorkerStatus()], ["10.0.0.1"], Timestamp())
    assert status.timestamp == "1970-01-01T00:01:00Z"
    assert (status.currentEpoch, status.currentPredictedEventNumber) == (3, 2**64 - 1)
    assert [worker.get_name() for worker in status.workerStatusList] == [""]
    assert (status.senderAddressList, status.expiresAt) == (["10.0.0.1"], EPOCH)
    empty = LBStatus()
    assert (empty.timestamp, empty.currentEpoch, empty.workerStatusList) == (EPOCH, 0, [])
    with pytest.raises(AttributeError):
        empty.currentEpoch = 1  # type: ignore[misc]
    for wrong in ((0,), (time, "3"), (time, 3, 4, [7])):
        with pytest.raises(TypeError):
            LBStatus(*wrong)


def test_overview_entry() -> None:
    entry = OverviewEntry()
    assert (entry.name, entry.lb_id, entry.fpga_lb_id) == ("", "", 0)
    assert entry.syncIPv4AndPort == entry.syncIPv6AndPort == NOWHERE
    assert entry.data_ip_v4 == entry.data_ip_v6 == IPAddress()
    assert entry.data_min_port == entry.data_max_port == 0
    assert isinstance(entry.lb_status, LBStatus)
    with pytest.raises(AttributeError):
        entry.name = "other"  # type: ignore[misc]


def test_replies() -> None:
    reply = LoadBalancerStatusReply()
    assert LBManager.get_sender_addresses(reply) == []
    assert LBManager.get_worker_statuses(reply) == []
    assert LBManager.as_lb_status(reply).expiresAt == EPOCH
    assert LBManager.as_overview_message(OverviewReply()) == []
    full = LoadBalancerStatusReply(_senders=("10.0.0.1",), _workers=(WorkerStatus("node"),))
    assert LBManager.get_sender_addresses(full) == ["10.0.0.1"]
    assert LBManager.as_lb_status(full).workerStatusList[0].get_name() == "node"
    assert LBManager.as_overview_message(OverviewReply((OverviewEntry(),)))[0].name == ""
    with pytest.raises(TypeError):
        LBManager.as_lb_status(OverviewReply())  # type: ignore[arg-type]


def test_samples() -> None:
    for sample, kind in ((FloatSample, float), (IntegerSample, int)):
        empty, some = sample(), sample(1000, 7)
        assert (empty.timestamp_ms, empty.value) == (0, 0)
        assert (some.timestamp_ms, some.value) == (1000, 7)
        assert type(some.value) is kind
        some.timestamp_ms, some.value = 2000, 8
        assert (some.timestamp_ms, some.value) == (2000, 8)
    assert FloatSample(0, 0.1).value == 0.10000000149011612
    with pytest.raises(TypeError):
        IntegerSample(0, 0.5)  # type: ignore[arg-type]


def series(samples: Any) -> TimeseriesData:
    data = TimeseriesData._bare()
    data._path, data._unit, data._samples = "/lb/1/epoch", "events", samples
    return data


def test_time_series() -> None:
    floats, integers = series((FloatSample(1, 0.5),)), series((IntegerSample(2, 7),))
    assert (floats.path, floats.unit) == ("/lb/1/epoch", "events")
    assert floats.is_float() and not floats.is_integer()
    assert integers.is_integer() and not integers.is_float()
    assert floats.get_float_samples()[0].value == 0.5
    assert integers.get_integer_samples()[0].value == 7
    for wrong in (floats.get_integer_samples, integers.get_float_samples):
        with pytest.raises(RuntimeError):
            wrong()
    for made in (TimeseriesData, TimeseriesResult):
        with pytest.raises(TypeError, match="No constructor defined"):
            made()
    result = TimeseriesResult._bare()
    result._since_ms, result._td = 1000, (floats, integers)
    assert (result.since_ms, result.td) == (1000, [floats, integers])
    with pytest.raises(AttributeError):
        result.since_ms = 1  # type: ignore[misc]


def test_token_permissions() -> None:
    nothing = TokenPermission()
    assert nothing.resourceType == EjfatURI.TokenType.all
    assert (nothing.resourceId, nothing.permission) == ("", EjfatURI.TokenPermission._read_only_)
    one = TokenPermission(EjfatURI.session, "7", EjfatURI._update_)
    assert (one.resourceType, one.resourceId) == (EjfatURI.TokenType.session, "7")
    assert one.permission == EjfatURI.TokenPermission._update_
    one.resourceType, one.resourceId, one.permission = EjfatURI.admin, "8", EjfatURI._reserve_
    assert (one.resourceType, one.resourceId) == (EjfatURI.TokenType.admin, "8")
    assert not isinstance(one, EjfatURI.TokenPermission)
    for wrong in ((1, "7", EjfatURI._update_), (EjfatURI.admin, 7, EjfatURI._update_)):
        with pytest.raises(TypeError):
            TokenPermission(*wrong)
    details = TokenDetails()
    assert (details.name, details.permissions) == ("", [])
    assert (details.created_at, details.id) == ("", 0)
    with pytest.raises(AttributeError):
        details.name = "other"  # type: ignore[misc]


def test_ssl_options(tmp_path: Path) -> None:
    options = LBManager.make_ssl_options("root", "key", "cert").value()
    assert isinstance(options, SslCredentialsOptions)
    assert "key" not in repr(options)
    root = tmp_path / "root.pem"
    root.write_text("root")
    assert LBManager.make_ssl_options_from_files(str(root)).has_value()
    assert LBManager.make_ssl_options_from_files(str(root), "", "").has_value()
    missing = LBManager.make_ssl_options_from_files(str(root), str(tmp_path / "key.pem"))
    assert missing.error().code == E2SARErrorc.NotFound
    with pytest.raises(TypeError):
        LBManager.make_ssl_options(1, 2, 3)  # type: ignore[arg-type]
    manager = LBManager(EjfatURI(WHOLE), True, False, options)
    assert manager.make_ssl_options("root", "key", "cert").has_value()


@pytest.mark.parametrize(
    "host, by_address, address",
    [
        ("localhost", False, "localhost:18020"),
        ("localhost", True, "ipv4:///127.0.0.1:18020"),
        ("127.0.0.1", False, "ipv4:///127.0.0.1:18020"),
        ("[::1]", False, "ipv6:///[::1]:18020"),
    ],
)
def test_where_the_control_plane_is(host: str, by_address: bool, address: str) -> None:
    uri = EjfatURI(f"ejfats://token@{host}:18020/lb/1")
    assert LBManager(uri, True, by_address).get_addr_string() == address


def test_the_uri_is_a_live_view_of_a_copy() -> None:
    given = EjfatURI(WHOLE)
    manager = LBManager(cpuri=given, validate_server=False, use_host_address=False)
    view = manager.get_uri()
    assert view == given and view is not given
    view.lb_name = "mine"
    assert manager.get_uri().lb_name == "mine"
    assert given.lb_name == ""
    del manager
    assert view.lb_name == "mine"
    with pytest.raises(TypeError):
        LBManager(WHOLE)  # type: ignore[arg-type]


NODE = ("node", (IPAddress.from_string("127.0.0.1"), 10000), 0.5, 10, 1.0, 1.0)
SELF = ("node", 10000, 0.5, 10, 1.0, 1.0)
PERMISSIONS = [TokenPermission(EjfatURI.admin, "1", EjfatURI._read_only_)]
THEN = Timestamp()
THEN.set_seconds(1_700_000_000)
ADMIN, INSTANCE, SESSION = "Admin", "Instance", "Session"

CALLS: list[tuple[str, str, tuple[Any, ...]]] = [
    (ADMIN, "reserve_lb_in_seconds", ("mine", 60.0, ["10.0.0.1"])),
    (ADMIN, "reserve_lb_in_seconds", ("mine", 0, [], 2)),
    (ADMIN, "get_lb", ()),
    (ADMIN, "get_lb_by_id", ("36",)),
    (ADMIN, "free_lb", ()),
    (ADMIN, "free_lb_by_id", ("36",)),
    (INSTANCE, "add_senders", (["10.0.0.1", "fd00::1"],)),
    (INSTANCE, "remove_senders", (["10.0.0.1"],)),
    (INSTANCE, "add_sender_self", ()),
    (INSTANCE, "remove_sender_self", (False,)),
    (INSTANCE, "register_worker", NODE),
    (INSTANCE, "register_worker", (*NODE, True)),
    (INSTANCE, "register_worker_self", SELF),
    (INSTANCE, "register_worker_self", (*SELF, False, True)),
    (SESSION, "deregister_worker", ()),
    (SESSION, "send_state", (0.8, 1.0, True)),
    (SESSION, "send_state", (1, 0, 1, WorkerStats())),
    (SESSION, "send_state_with_timestamp", (0.0, 1.0, True, THEN, WorkerStats())),
    (ADMIN, "create_token", ("mine", PERMISSIONS)),
    (ADMIN, "list_token_permissions_by_id", (7,)),
    (ADMIN, "list_token_permissions_by_string", ("other",)),
    (ADMIN, "list_child_tokens_by_id", (7,)),
    (ADMIN, "list_child_tokens_by_string", ("other",)),
    (ADMIN, "revoke_token_by_id", (7,)),
    (ADMIN, "revoke_token_by_string", ("other",)),
    (ADMIN, "timeseries", ("/lb/1/*", Timestamp())),
]


def all_tokens() -> LBManager:
    uri = EjfatURI(WHOLE)
    uri.set_instance_token("instance")
    uri.set_session_token("session")
    uri.session_id = "7"
    return LBManager(uri)


@pytest.mark.parametrize("token, name, arguments", CALLS)
def test_calls(token: str, name: str, arguments: tuple[Any, ...]) -> None:
    """They need their token, and then a server."""
    none = getattr(LBManager(EjfatURI(WHOLE, EjfatURI.all)), name)(*arguments).error()
    assert none.code == E2SARErrorc.ParameterNotAvailable
    assert none.message == f"{token} token not available"
    result = getattr(all_tokens(), name)(*arguments)
    assert result.error().code == E2SARErrorc.RPCError
    assert result.error().message.startswith("Error connecting to LB CP in ")
    assert "127.0.0.1:18020: Connection refused" in result.error().message


def test_calls_that_return_none(capfd: pytest.CaptureFixture[str]) -> None:
    manager = all_tokens()
    calls: list[Callable[[], object]] = [
        manager.get_lb_status,
        lambda: manager.get_lb_status_by_id("36"),
        manager.get_lb_overview,
    ]
    for call in calls:
        assert call() is None
        assert "Error connecting to LB CP" in capfd.readouterr().err


def test_version_raises() -> None:
    with pytest.raises(RuntimeError) as raised:
        all_tokens().get_version()
    assert isinstance(raised.value, E2SARException)
    assert raised.value.code == E2SARErrorc.RPCError
    with pytest.raises(RuntimeError, match="Admin token not available"):
        LBManager(EjfatURI(WHOLE, EjfatURI.session)).get_version()


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("reserve_lb_in_seconds", ("", 60.0, [])),
        ("reserve_lb_in_seconds", ("mine", -1.0, [])),
        ("reserve_lb_in_seconds", ("mine", float("nan"), [])),
        ("reserve_lb_in_seconds", ("mine", 60.0, ["nonsense"])),
        ("reserve_lb_in_seconds", ("mine", 60.0, [], 3)),
        ("add_senders", (["10.0.0.1", "nonsense"],)),
        ("remove_senders", (["nonsense"],)),
        ("register_worker", ("", *NODE[1:])),
        ("register_worker", ("node", (IPAddress(), 1024), *NODE[2:])),
        ("register_worker_self", ("", *SELF[1:])),
        ("register_worker_self", ("node", 1024, *SELF[2:])),
        ("send_state", (1.1, 1.0, True)),
        ("send_state", (-0.1, 1.0, True)),
        ("send_state_with_timestamp", (2, 1.0, True, Timestamp())),
        ("create_token", ("", PERMISSIONS)),
        ("create_token", ("mine", [])),
        ("timeseries", ("", Timestamp())),
    ],
)
def test_parameters_that_are_none(name: str, arguments: tuple[Any, ...]) -> None:
    assert getattr(all_tokens(), name)(*arguments).error().code == E2SARErrorc.ParameterError


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("reserve_lb_in_seconds", ("mine", "60", [])),
        ("reserve_lb_in_seconds", ("mine", 60.0, "10.0.0.1")),
        ("get_lb_by_id", (36,)),
        ("add_senders", ("10.0.0.1",)),
        ("register_worker", ("node", "127.0.0.1", *NODE[2:])),
        ("register_worker_self", ("node", "10000", *SELF[2:])),
        ("send_state", ("full", 1.0, True)),
        ("send_state", (0.5, 1.0, True, 7)),
        ("send_state_with_timestamp", (0.5, 1.0, True, 0)),
        ("create_token", ("mine", [7])),
        ("list_token_permissions_by_id", ("7",)),
        ("list_token_permissions_by_string", (7,)),
        ("revoke_token_by_id", (2**32,)),
        ("timeseries", ("/lb/1", 0)),
    ],
)
def test_wrong_types(name: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        getattr(all_tokens(), name)(*arguments)


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("get_lb", ()),
        ("free_lb", ()),
        ("get_lb_by_id", ("",)),
        ("add_senders", (["10.0.0.1"],)),
        ("register_worker", NODE),
        ("deregister_worker", ()),
        ("send_state", (0.5, 1.0, True)),
    ],
)
def test_calls_that_need_a_load_balancer(name: str, arguments: tuple[Any, ...]) -> None:
    manager = all_tokens()
    manager.get_uri().lb_id = ""
    error = getattr(manager, name)(*arguments).error()
    assert error.code == E2SARErrorc.ParameterNotAvailable
    assert "Load balancer ID" in error.message
