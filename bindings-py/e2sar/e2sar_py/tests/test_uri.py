"""EJFAT URIs."""

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

from e2sar_py import E2SARErrorc, E2SARException, EjfatURI, IPAddress

WHOLE = "ejfat://token@192.0.2.6:18020/lb/36?sync=192.0.2.7:19020&data=192.0.2.20"


def ip(text: str) -> IPAddress:
    return IPAddress.from_string(text)


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        "ejfats://192.0.2.6:18020/lb/36?sync=192.0.2.7:19020",
        "ejfat://token@192.0.2.6:18020/",
        "ejfat://token@192.0.2.6:18020/?sync=192.0.2.7:19020",
        "ejfat://token@192.0.2.6:18020/lb/36?data=192.0.2.20&data=[fd00::20]&sessionid=mine",
        "ejfat://token@[fd00::1]:18020/lb/36?sync=[fd00::2]:19020&data=192.0.2.20:10000",
        "ejfat://token@192.0.2.6:18020/lb/36?sessionid=mine",
    ],
)
def test_texts_come_back_byte_for_byte(text: str) -> None:
    assert EjfatURI(text).to_string() == text
    assert str(EjfatURI(text)) == text


def test_order_and_defaults_of_the_text() -> None:
    mixed = (
        "ejfat://192.0.2.6:18020?sessionid=s&data=[fd00::20]&data=192.0.2.20:19522"
        "&sync=192.0.2.7:19020"
    )
    assert str(EjfatURI(mixed)) == (
        "ejfat://192.0.2.6:18020/?sync=192.0.2.7:19020&data=192.0.2.20&data=[fd00::20]&sessionid=s"
    )


def test_everything_of_a_whole_one() -> None:
    uri = EjfatURI(WHOLE)
    assert (uri.lb_id, uri.lb_name, uri.session_id) == ("36", "", "")
    assert not uri.get_useTls()
    assert EjfatURI(WHOLE.replace("ejfat:", "ejfats:")).get_useTls()
    assert uri.has_data_addr() and uri.has_data_addr_v4() and not uri.has_data_addr_v6()
    assert uri.has_sync_addr()
    assert uri.get_cp_addr().value() == (ip("192.0.2.6"), 18020)
    assert uri.get_data_addr_v4().value() == (ip("192.0.2.20"), 19522)
    assert uri.get_sync_addr().value() == (ip("192.0.2.7"), 19020)
    assert uri.get_admin_token().value() == "token"


def test_what_is_not_available() -> None:
    uri = EjfatURI("ejfat://192.0.2.6:18020")
    missing: dict[str, Any] = {
        "Admin token not available": uri.get_admin_token(),
        "Instance token not available": uri.get_instance_token(),
        "Session token not available": uri.get_session_token(),
        "Data plane address not available": uri.get_data_addr_v4(),
        "Sync address not available": uri.get_sync_addr(),
        "Control plane hostname not available": uri.get_cp_host(),
    }
    for message, result in missing.items():
        assert result.error().code == E2SARErrorc.ParameterNotAvailable
        assert result.error().message == message
    assert uri.get_data_addr_v6().error().message == "Data plane address not available"
    assert not (uri.has_data_addr() or uri.has_data_addr_v6() or uri.has_sync_addr())
    assert uri.lb_id == ""


@pytest.mark.parametrize(
    "kind, getter",
    [
        (EjfatURI.TokenType.admin, "get_admin_token"),
        (EjfatURI.TokenType.load_balancer, "get_admin_token"),
        (EjfatURI.TokenType.instance, "get_instance_token"),
        (EjfatURI.TokenType.reservation, "get_instance_token"),
        (EjfatURI.TokenType.session, "get_session_token"),
    ],
)
def test_the_token_goes_to_its_slot(kind: EjfatURI.TokenType, getter: str) -> None:
    uri = EjfatURI(WHOLE, kind)
    for name in ("get_admin_token", "get_instance_token", "get_session_token"):
        assert getattr(uri, name)().has_value() == (name == getter)
    assert uri.to_string(kind) == WHOLE
    assert EjfatURI(WHOLE, tt=kind) == uri
    assert getattr(uri, getter)().value() == "token"


def test_tokens_are_set_and_the_narrowest_is_told() -> None:
    uri = EjfatURI("ejfat://all@192.0.2.6:18020/", EjfatURI.all)
    assert str(uri) == "ejfat://all@192.0.2.6:18020/"
    assert uri.to_string() == "ejfat://192.0.2.6:18020/"
    uri.set_token("admin", EjfatURI.TokenType.admin)
    assert str(uri) == uri.to_string() == "ejfat://admin@192.0.2.6:18020/"
    uri.set_instance_token("instance")
    assert str(uri) == uri.to_string(EjfatURI.instance) == "ejfat://instance@192.0.2.6:18020/"
    uri.set_session_token("session")
    assert str(uri) == uri.to_string(EjfatURI.session) == "ejfat://session@192.0.2.6:18020/"
    assert uri.to_string(EjfatURI.all) == "ejfat://all@192.0.2.6:18020/"
    for token in ("session", "instance", "admin@", "all@"):
        assert token not in repr(uri)
    assert repr(uri).startswith("EjfatURI(")


def test_addresses_are_set() -> None:
    uri = EjfatURI("ejfat://token@192.0.2.6:18020/lb/1?sync=192.0.2.9:19000")
    uri.set_sync_addr((ip("fd00::7"), 19020))
    assert uri.get_sync_addr().value() == (ip("fd00::7"), 19020)
    uri.set_sync_addr((ip("192.0.2.7"), 19021))
    uri.set_data_addr((ip("192.0.2.20"), 10000))
    uri.set_data_addr((ip("fd00::20"), 0))
    assert uri.get_data_addr_v4().value() == (ip("192.0.2.20"), 10000)
    assert uri.get_data_addr_v6().value() == (ip("fd00::20"), 19522)
    assert str(uri) == (
        "ejfat://token@192.0.2.6:18020/lb/1?sync=192.0.2.7:19021&data=192.0.2.20:10000"
        "&data=[fd00::20]"
    )
    with pytest.raises(E2SARException):
        uri.set_sync_addr((ip("192.0.2.7"), 0))
    for wrong in ("192.0.2.7", (ip("192.0.2.7"),), (7, 7), (ip("192.0.2.7"), 70000)):
        with pytest.raises(TypeError):
            uri.set_data_addr(wrong)  # type: ignore[arg-type]


def test_names_are_set() -> None:
    uri = EjfatURI(WHOLE)
    uri.lb_name, uri.lb_id, uri.session_id = "mine", "37", "s7"
    assert (uri.lb_name, uri.lb_id, uri.session_id) == ("mine", "37", "s7")
    assert str(uri).endswith("/lb/37?sync=192.0.2.7:19020&data=192.0.2.20&sessionid=s7")
    with pytest.raises(TypeError):
        uri.lb_id = 37  # type: ignore[assignment]


def test_equality() -> None:
    assert EjfatURI(WHOLE) == EjfatURI(WHOLE)
    assert not EjfatURI(WHOLE) != EjfatURI(WHOLE)
    for other in (
        WHOLE.replace("token", "other"),
        WHOLE.replace("/36", "/37"),
        WHOLE.replace("192.0.2.6", "192.0.2.66"),
        WHOLE.replace("192.0.2.7", "192.0.2.77"),
        WHOLE.replace("192.0.2.20", "192.0.2.21"),
        WHOLE + "&sessionid=s",
    ):
        assert EjfatURI(WHOLE) != EjfatURI(other)
    named = EjfatURI(WHOLE)
    named.lb_name = "mine"
    assert named != EjfatURI(WHOLE)
    assert EjfatURI(WHOLE) != WHOLE and EjfatURI(WHOLE) != None  # noqa: E711
    with pytest.raises(TypeError, match="unhashable"):
        hash(named)
    for again in (copy.copy(named), copy.deepcopy(named), pickle.loads(pickle.dumps(named))):
        assert again == named and again is not named


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://secret@192.0.2.6:18020/lb/36",
        "ejfact://secret@192.0.2.6:18020/lb/36",
        "ejfat://secret@192.0.2.6/lb/36",
        "ejfat://secret@192.0.2.6:443/lb/36",
        "ejfat://secret@192.0.2.6:18020/lb/36?sync=192.0.2.7:80",
        "ejfat://secret@192.0.2.6:18020/lb/36?data=192.0.2.7:1023",
        "ejfat://secret@192.0.2.6:18020/lb/36?sync=192.0.2.7",
        "ejfat://secret@192.0.2.6:18020/lb/36?sync=192.0.2.7:abc",
        "ejfat://secret@192.0.2.6:18020/lb/36?data=name.example",
        "ejfat://secret@192.0.2.6:18020/lb/36?foo=192.0.2.7",
        "ejfat://secret@192.0.2.6:70000/lb/36",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(E2SARException):
        EjfatURI(text)
    result = EjfatURI.get_from_string(text)
    assert result.error().code == E2SARErrorc.CaughtException
    assert "secret@" not in result.error().message


def test_wrong_types_are_refused() -> None:
    with pytest.raises(TypeError):
        EjfatURI(7)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        EjfatURI(WHOLE, 1)  # type: ignore[arg-type]
    truthy: Any = 0
    assert EjfatURI(WHOLE, EjfatURI.admin, truthy).has_data_addr()
    assert EjfatURI(WHOLE, EjfatURI.admin, True).has_data_addr()


def test_a_host_is_looked_up_at_once() -> None:
    uri = EjfatURI("ejfats://token@localhost:18020/lb/36")
    assert uri.get_cp_addr().value() == (ip("127.0.0.1"), 18020)
    assert uri.get_cp_host().value() == ("localhost", 18020)
    assert str(uri) == "ejfats://token@localhost:18020/lb/36"
    with pytest.raises(E2SARException):
        EjfatURI("ejfat://token@nosuchhost.invalid:18020/lb/1")


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EJFAT_URI", raising=False)
    unset = EjfatURI.get_from_env().error()
    assert unset.code == E2SARErrorc.Undefined
    assert unset.message == "Environment variable EJFAT_URI not defined."
    monkeypatch.setenv("EJFAT_URI", WHOLE)
    assert EjfatURI.get_from_env().value() == EjfatURI(WHOLE)
    monkeypatch.setenv("MINE", WHOLE)
    found = EjfatURI.get_from_env("MINE", EjfatURI.TokenType.instance, False).value()
    assert found.get_instance_token().value() == "token"
    monkeypatch.setenv("MINE", "nonsense")
    assert EjfatURI.get_from_env(env_var="MINE").error().code == E2SARErrorc.CaughtException


def test_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "uri"
    missing = EjfatURI.get_from_file(str(file)).error()
    assert missing.code == E2SARErrorc.NotFound
    file.write_text("")
    assert EjfatURI.get_from_file(str(file)).error().code == E2SARErrorc.Undefined
    file.write_text(f"{WHOLE}\nsecond line\n")
    assert EjfatURI.get_from_file(str(file)).value() == EjfatURI(WHOLE)
    file.write_text("nonsense\n")
    assert EjfatURI.get_from_file(_filename=str(file)).error().code == E2SARErrorc.CaughtException


def test_local_addresses() -> None:
    uri = EjfatURI("ejfat://token@127.0.0.1:18020/lb/1?data=127.0.0.1")
    assert uri.get_dp_local_addrs()[0] == "127.0.0.1"
    with pytest.raises(RuntimeError):
        uri.get_dp_local_addrs(v6=True)
    with pytest.raises(RuntimeError):
        EjfatURI("ejfat://token@127.0.0.1:18020/lb/1").get_dp_local_addrs()
