"""The module: constants, names, enumerations, errors and results."""

import importlib.metadata
import pickle
from typing import Any

import pytest

import e2sar_py
import xdpsar
from e2sar_py import E2SARErrorc, EjfatURI, IPAddress, Optimizations


def test_constants() -> None:
    assert e2sar_py._dp_port == 19522
    assert e2sar_py._iphdr_len == 20
    assert e2sar_py._udphdr_len == 8
    assert e2sar_py._total_hdr_len == 64
    assert e2sar_py._rehdr_version_nibble == 0x10
    assert e2sar_py._rehdr_version == 1
    assert e2sar_py._lbhdr_version == 2
    assert e2sar_py._synchdr_version == 2


def test_version_is_that_of_xdpsar() -> None:
    assert e2sar_py.get_version() == xdpsar.__version__
    assert importlib.metadata.version("xdpsar-e2sar") == importlib.metadata.version("xdpsar")


def test_submodules_are_modules() -> None:
    from e2sar_py.ControlPlane import Timestamp
    from e2sar_py.DataPlane import Reassembler

    assert Timestamp is e2sar_py.ControlPlane.Timestamp
    assert Reassembler is e2sar_py.DataPlane.Reassembler


RESULTS = [
    "Int", "String", "UInt32", "EjfatURI", "SslCredentialsOptions", "PairIP", "PairString",
    "ListOfFDPairs", "PairUInt64", "ReassemblerFlags", "SegmenterFlags", "TokenDetails",
    "ListOfTokenDetails", "TimeseriesResult",
]  # fmt: skip


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_made_by_calls_only(name: str) -> None:
    with pytest.raises(TypeError, match="No constructor defined"):
        getattr(e2sar_py, f"E2SARResult{name}")()


ERRORS = [
    "NoError", "CaughtException", "ParseError", "ParameterError", "ParameterNotAvailable",
    "OutOfRange", "Undefined", "NotFound", "RPCError", "SocketError", "MemoryError", "LogicError",
    "SystemError", "DataError",
]  # fmt: skip

ENUMS: list[tuple[Any, dict[str, int]]] = [
    (E2SARErrorc, {name: number for number, name in enumerate(ERRORS)}),
    (
        EjfatURI.TokenType,
        {"all": 0, "admin": 1, "load_balancer": 1, "instance": 2, "reservation": 2, "session": 3},
    ),
    (
        EjfatURI.TokenPermission,
        {"_read_only_": 0, "_register_": 1, "_reserve_": 2, "_update_": 3},
    ),
    (
        Optimizations.Code,
        {"none": 0, "sendmmsg": 1, "liburing_send": 2, "liburing_recv": 3, "unknown": 15},
    ),
]


@pytest.mark.parametrize("enum, members", ENUMS, ids=lambda it: getattr(it, "__name__", ""))
def test_enums(enum: Any, members: dict[str, int]) -> None:
    assert {name: int(member) for name, member in enum.__members__.items()} == members
    assert {int(member) for member in enum} == set(members.values())
    for name, number in members.items():
        member = getattr(enum, name)
        assert isinstance(member, enum)
        assert member.value == int(member) == member.__index__() == number
        assert hash(member) == hash(number)
        assert enum(number) == member
        assert pickle.loads(pickle.dumps(member)) == member
        assert member.name == next(n for n, v in members.items() if v == number)
        assert repr(member) == f"<{enum.__name__}.{member.name}: {number}>"
        assert str(member) == f"{enum.__name__}.{member.name}"
        assert member != number
        assert member is not None and member != None  # noqa: E711


def test_enums_keep_apart() -> None:
    one = E2SARErrorc.CaughtException
    assert one != EjfatURI.TokenType.admin
    assert {one: "kept"}[E2SARErrorc(1)] == "kept"
    assert [10, 20][E2SARErrorc.CaughtException] == 20
    for operation in (lambda: one < one, lambda: one | one, lambda: one + 1):  # type: ignore[operator]
        with pytest.raises(TypeError):
            operation()
    for wrong in ("NotFound", 1.0, None):
        with pytest.raises(TypeError):
            E2SARErrorc(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no such member"):
        E2SARErrorc(99)
    with pytest.raises(AttributeError):
        one.name = "other"  # type: ignore[misc]


def test_members_are_exported() -> None:
    for name in ERRORS:
        assert getattr(e2sar_py, name) is getattr(E2SARErrorc, name)
    for enum in (EjfatURI.TokenType, EjfatURI.TokenPermission):
        for name, member in enum.__members__.items():
            assert getattr(EjfatURI, name) is member
    for name, member in Optimizations.Code.__members__.items():
        assert getattr(Optimizations, name) is member
    assert EjfatURI.TokenType.admin.name == "admin"
    assert EjfatURI.load_balancer.name == "admin"
    assert EjfatURI.reservation.name == "instance"


def test_star_import_leaves_builtins_alone() -> None:
    names: dict[str, Any] = {}
    exec("from e2sar_py import *", names)
    assert "MemoryError" not in names and "SystemError" not in names
    assert names["NotFound"] is E2SARErrorc.NotFound


def test_a_result_with_an_error() -> None:
    result = EjfatURI.get_from_file("/nonexistent/ejfat_uri")
    assert result.has_error() and not result.has_value()
    info = result.error()
    assert type(info) is e2sar_py.E2SARErrorInfo
    assert info.code == E2SARErrorc.NotFound
    assert isinstance(info.message, str)
    assert info.message() == info.message
    assert repr(info) == f"<E2SARErrorInfo(code=7, message='{info.message}')>"
    for name in ("code", "message"):
        with pytest.raises(AttributeError):
            setattr(info, name, "other")
    with pytest.raises(RuntimeError) as raised:
        result.value()
    assert isinstance(raised.value, e2sar_py.E2SARException)
    assert raised.value.code == E2SARErrorc.NotFound
    assert raised.value.message == str(raised.value) == info.message
    with pytest.raises(TypeError, match="No constructor defined"):
        e2sar_py.E2SARErrorInfo()


def test_a_result_with_a_value() -> None:
    result = EjfatURI.get_from_string("ejfat://token@127.0.0.1:18020/lb/36")
    assert result.has_value() and not result.has_error()
    with pytest.raises(RuntimeError, match=r"^No error present in $"):
        result.error()
    mine = result.value()
    mine.lb_id = "37"
    assert result.value().lb_id == "36"


def test_exceptions_are_pickled() -> None:
    error = e2sar_py.E2SARException("why", E2SARErrorc.NotFound)
    again = pickle.loads(pickle.dumps(error))
    assert (again.code, again.message) == (E2SARErrorc.NotFound, "why")


def test_addresses() -> None:
    import ipaddress

    assert str(IPAddress()) == "0.0.0.0"
    v4, v6 = IPAddress.from_string("10.0.0.7"), IPAddress.from_string("fd00::7")
    assert v4.is_v4() and not v4.is_v6()
    assert v6.is_v6() and not v6.is_v4()
    assert (str(v4), str(v6)) == ("10.0.0.7", "fd00::7")
    assert v4 == IPAddress.from_string("10.0.0.7") != v6
    assert len({v4, IPAddress.from_string("10.0.0.7"), v6}) == 2
    assert v4 != "10.0.0.7"
    assert pickle.loads(pickle.dumps(v6)) == v6
    for wrong in ("", "10.0.0", "10.0.0.256", "name.example", "[fd00::7]"):
        with pytest.raises(RuntimeError):
            IPAddress.from_string(wrong)
    with pytest.raises(TypeError):
        IPAddress.from_string(7)  # type: ignore[arg-type]
    uri = EjfatURI("ejfat://token@127.0.0.1:18020/lb/1")
    for address in (v4, "10.0.0.7", ipaddress.ip_address("10.0.0.7")):
        uri.set_sync_addr((address, 19010))
        assert uri.get_sync_addr().value() == (v4, 19010)


def test_credentials() -> None:
    assert "SslCredentialsOptions" in repr(e2sar_py.SslCredentialsOptions())
