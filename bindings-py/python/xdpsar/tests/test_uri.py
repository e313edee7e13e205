"""EJFAT URIs, and what takes them."""

import ipaddress
import pickle
import socket
from pathlib import Path
from typing import Any

import pytest

import xdpsar
from xdpsar import EjfatUri, ErrorCode, TokenKind

from .conftest import PATIENCE, eventually

TEXT = "ejfat://token@192.188.29.6:18020/lb/36?sync=192.188.29.6:19020&data=192.188.29.20"
SERVERS = (
    "ejfats://t@h.example:443/lb/1?sync=192.0.2.1:19531&sync=[2001:db8::1]:19532"
    "&data=192.0.2.2:16384-32767&data=[2001:db8::2]"
)


def test_parts() -> None:
    uri = EjfatUri(TEXT)
    assert (uri.tls, uri.host, uri.port, uri.has_host_name) == (False, "192.188.29.6", 18020, False)
    assert (uri.lb_id, uri.lb_name, uri.session_id) == ("36", "", "")
    assert uri.data == uri.data_v4 == ("192.188.29.20", 19522) and uri.data_v6 is None
    assert uri.sync == uri.sync_v4 == ("192.188.29.6", 19020) and uri.sync_v6 is None
    assert str(uri) == uri.to_string(TokenKind.ADMIN) == TEXT
    assert uri.resolve() == [("192.188.29.6", 18020)]


def test_both_families() -> None:
    uri = EjfatUri(SERVERS)
    assert uri.tls and uri.has_host_name and str(uri) == SERVERS
    assert uri.data == ("192.0.2.2", 16384) and uri.data_ports == range(16384, 32768)
    six = EjfatUri(SERVERS, prefer_v6=True)
    assert six == uri.replace(prefer_v6=True) != uri
    assert six.data == ("2001:db8::2", 19522) and six.data_ports == range(19522, 19523)
    assert six.sync == ("2001:db8::1", 19532)
    assert EjfatUri(TEXT, prefer_v6=True).data == ("192.188.29.20", 19522)
    assert EjfatUri("ejfat://h:1").data is None and EjfatUri("ejfat://h:1").data_ports is None


def test_tokens() -> None:
    uri = EjfatUri(TEXT, token=TokenKind.INSTANCE)
    assert uri.token(TokenKind.INSTANCE) == "token" and uri.token(1) is None
    assert uri.token_for(TokenKind.SESSION) == "token" and uri.token_for(TokenKind.ALL) is None
    more = uri.replace(session_token="s/e", admin_token="root", instance_token=None)
    assert str(more).startswith("ejfat://s%2Fe@") and more.token_for(2) == "root"
    assert more.to_string(TokenKind.ADMIN).startswith("ejfat://root@")
    for shown in (repr(uri), repr(more), f"{[more]}"):
        assert "***@" in shown and not any(word in shown for word in ("token", "root", "s/e"))
    with pytest.raises(ValueError, match="kind 4"):
        uri.token(4)
    with pytest.raises(TypeError):
        EjfatUri(TEXT, token="admin")  # type: ignore[arg-type]


def test_it_is_a_value() -> None:
    uri = EjfatUri(SERVERS)
    assert uri == EjfatUri(SERVERS) and hash(uri) == hash(EjfatUri(SERVERS))
    assert uri != SERVERS and uri != uri.replace(lb_name="x") and {uri: 1}[EjfatUri(SERVERS)] == 1
    full = uri.replace(
        lb_name="ä", session_id="a b&c", session_token="s", all_token="a@", prefer_v6=True
    )
    assert pickle.loads(pickle.dumps(full)) == full
    with pytest.raises(AttributeError):
        uri.port = 5  # type: ignore[misc]


def test_replace() -> None:
    uri = EjfatUri("ejfat://h:1").replace(
        tls=True,
        host="fd00::1",
        port=5,
        lb_id="a/b",
        session_id="x y",
        data_v4=(ipaddress.ip_address("10.0.0.1"), 10000),
        data_v6="[fe80::1%eth0]:7",
        sync_v4=("10.0.0.2", 19010),
    )
    assert str(uri) == (
        "ejfats://[fd00::1]:5/lb/a%2Fb?sync=10.0.0.2:19010"
        "&data=10.0.0.1:10000&data=[fe80::1%25eth0]:7&sessionid=x%20y"
    )
    assert uri.data_v6 == ("fe80::1%eth0", 7) and EjfatUri(str(uri)) == uri
    assert uri.replace(data_v6=uri.data_v6) == uri
    assert uri.replace(data_v6=None, data_v4=None, sync_v4=None).data is None


@pytest.mark.parametrize(
    ("part", "error"),
    [
        ({"data_v4": ("fd00::1", 5)}, xdpsar.UsageError),
        ({"sync_v6": "10.0.0.1:5"}, xdpsar.UsageError),
        ({"data_v4": "somewhere"}, xdpsar.UriError),
        ({"data_v4": ("10.0.0.1", 0)}, ValueError),
        ({"data_v4": ("10.0.0.1", 65536)}, OverflowError),
        ({"data_v4": ("10.0.0.1",)}, ValueError),
        ({"data_v4": 5}, TypeError),
        ({"host": "a b"}, xdpsar.UriError),
        ({"port": 0}, ValueError),
        ({"port": "5"}, TypeError),
        ({"lb_id": None}, TypeError),
        ({"colour": 1}, TypeError),
    ],
)
def test_replacements_that_cannot_be(part: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        EjfatUri(TEXT).replace(**part)


@pytest.mark.parametrize(
    "text",
    [
        "http://h:1",
        "ejfat://secret@h",
        "ejfat://secret@h:0",
        "ejfat://secret@h:70000/",
        "ejfat://secret@h:1/lb/1?sync=10.0.0.1",
        "ejfat://secret@h:1/lb/1?data=name",
        "ejfat://secret@h:1/lb/1?colour=1",
        "ejfat://sec\nret@h:1",
    ],
)
def test_what_is_no_uri(text: str) -> None:
    with pytest.raises(xdpsar.UriError) as caught:
        EjfatUri(text)
    error = caught.value
    assert isinstance(error, ValueError) and error.kind == "bad"
    assert error.code is ErrorCode.PARSE_ERROR and "secret" not in str(error)
    assert str(error) == f"{error.asked}: {error.found}; {error.remedy}"


def test_where_they_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EJFAT_URI", TEXT)
    monkeypatch.setenv("MINE", "")
    monkeypatch.delenv("NOBODYS", raising=False)
    file = tmp_path / "uri"
    file.write_text(f"export EJFAT_URI='{TEXT}'\n")
    assert EjfatUri.from_env() == EjfatUri(TEXT) == EjfatUri.from_file(file)
    assert EjfatUri.from_file(str(file), token=3, prefer_v6=True).token(3) == "token"

    with pytest.raises(xdpsar.NotFound, match="NOBODYS") as unset:
        EjfatUri.from_env("NOBODYS")
    assert isinstance(unset.value, LookupError)
    assert (unset.value.kind, unset.value.code) == ("not_set", ErrorCode.UNDEFINED)
    with pytest.raises(xdpsar.UriError) as empty:
        EjfatUri.from_env("MINE")
    assert (empty.value.kind, empty.value.code) == ("empty", ErrorCode.UNDEFINED)
    with pytest.raises(xdpsar.NotFound) as missing:
        EjfatUri.from_file(tmp_path / "missing")
    assert (missing.value.kind, missing.value.code) == ("not_found", ErrorCode.NOT_FOUND)
    file.write_bytes(b"\xff")
    with pytest.raises(xdpsar.UriError):
        EjfatUri.from_file(file)
    with pytest.raises(xdpsar.NotFound) as nobody:
        EjfatUri("ejfat://token@nobody.invalid:1").resolve()
    assert nobody.value.kind == "unresolved"


def test_our_address_towards_another() -> None:
    assert xdpsar.local_address_towards("127.0.0.1") == "127.0.0.1"
    towards = xdpsar.local_addresses_towards(ipaddress.ip_address("127.0.0.1"))
    assert towards[0] == "127.0.0.1" and len(set(towards)) == len(towards)
    with pytest.raises(xdpsar.SetupError) as nowhere:
        xdpsar.local_address_towards("255.255.255.255")
    assert nowhere.value.kind == "no_interface" and nowhere.value.errno


def test_from_sender_to_receiver_by_uri_alone(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control_plane:
        control_plane.bind(("127.0.0.1", 0))
        control_plane.settimeout(PATIENCE)
        uri = EjfatUri(f"ejfat://token@127.0.0.1:1/lb/1?data=127.0.0.1:{port}").replace(
            sync_v4=control_plane.getsockname()
        )
        with (
            xdpsar.Reassembler(uri, port=port) as receiver,
            xdpsar.Segmenter(
                uri, source_id=0x1122, sync_period=0.05, sync_rate="zero", sync_warm_up=0.0
            ) as sender,
        ):
            assert receiver.data_ip == "127.0.0.1" and sender.to == f"127.0.0.1:{port}"
            sender.send(b"by uri")
            assert bytes(receiver.recv(PATIENCE)) == b"by uri"
            message = control_plane.recv(100)
            assert (len(message), message[:8], message[16:20]) == (
                28,
                b"LC\x02\x00\x00\x00\x11\x22",
                bytes(4),
            )
            eventually(lambda: sender.sync_stats and sender.sync_stats.sent)
            assert sender.sync_stats and sender.sync_stats.errors == 0
        # Where they go can be named, too, or be nowhere.
        to = f"127.0.0.1:{control_plane.getsockname()[1]}"
        with xdpsar.Segmenter(f"127.0.0.1:{port}", sync=to, source_id=7) as sender:
            while control_plane.recv(100)[4:8] != b"\0\0\0\7":
                pass
        with xdpsar.Segmenter(str(uri), sync=False) as sender:
            assert sender.sync_stats is None


def test_a_uri_that_does_not_say_enough() -> None:
    bare = EjfatUri("ejfat://token@127.0.0.1:1/lb/1?data=127.0.0.1")
    for make in (xdpsar.Segmenter, xdpsar.Reassembler):
        with pytest.raises(xdpsar.UriError, match="data address") as missing:
            make(bare.replace(data_v4=None))
        assert missing.value.code is ErrorCode.PARAMETER_NOT_AVAILABLE
        with pytest.raises(xdpsar.UriError):
            make("ejfat://no uri")
        with pytest.raises(TypeError):
            make(5)  # type: ignore[arg-type]
    with pytest.raises(xdpsar.UriError, match="sync address"):
        xdpsar.Segmenter(bare, sync=True)
    with pytest.raises(xdpsar.UsageError):
        xdpsar.Segmenter("127.0.0.1", sync=True)
    with pytest.raises(xdpsar.UsageError):
        xdpsar.Segmenter(bare, sync="somewhere")
    with pytest.raises(xdpsar.UsageError):
        xdpsar.Segmenter(bare, sync="127.0.0.1:1", sync_period=11.0)
    with pytest.raises(xdpsar.UsageError, match="data_ip"):
        xdpsar.Reassembler()
