"""Options as values, and in files."""

import inspect
import json
import pickle
from dataclasses import FrozenInstanceError, fields
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

import xdpsar
from xdpsar import ReassemblerConfig, SegmenterConfig

from .conftest import PATIENCE

INI = """
; a sender of E2SAR's
[general]
useCP = false
[control-plane]
warmUpMS = 250
syncPeriodMS = 500
syncPeriods = 2
[data-plane]
# the link's
mtu = 9000
rateGbps = 10.5
numSendSockets = 6
multiPort = true
sndSocketBufSize = 65536
connectedSocket = 0
smooth = 1
lbHdrVersion = 3
dpV6 = false
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("make", "config"),
    [(xdpsar.Segmenter, SegmenterConfig), (xdpsar.Reassembler, ReassemblerConfig)],
)
def test_one_list_of_options(make: Any, config: Any) -> None:
    """Native class, class, configuration and its types name the same ones."""
    shown = inspect.signature(make).parameters
    native = inspect.signature(make.__base__).parameters
    named = {name: given for name, given in native.items() if given.kind is given.KEYWORD_ONLY}
    assert {name: shown[name].default for name in native} == {
        name: given.default for name, given in native.items()
    }
    assert shown["config"].default is None and len(shown) == len(native) + 1
    assert {field.name: field.default for field in fields(config)} == {
        name: given.default for name, given in named.items()
    }
    options = getattr(xdpsar, make.__name__ + "Options").__annotations__
    assert set(options) == set(named)


def test_it_is_a_value() -> None:
    config = SegmenterConfig(data_id=3, cores=[0, 1], source=IPv4Address("127.0.0.1"))
    assert config.cores == (0, 1) and config.queue == 1024
    assert config == pickle.loads(pickle.dumps(config)) and hash(config) == hash(config.replace())
    assert config.replace(data_id=4, queue=5) == SegmenterConfig(
        data_id=4, queue=5, cores=(0, 1), source=IPv4Address("127.0.0.1")
    )
    with pytest.raises(FrozenInstanceError):
        config.data_id = 5  # type: ignore[misc]
    with pytest.raises(TypeError):
        SegmenterConfig(3)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        config.replace(colour="blue")  # type: ignore[call-arg]
    as_dict = json.loads(json.dumps(config.to_dict()))
    assert as_dict["source"] == "127.0.0.1" and as_dict["cores"] == [0, 1]
    assert SegmenterConfig(**as_dict).replace(source=config.source) == config
    assert ReassemblerConfig(**ReassemblerConfig().to_dict()) == ReassemblerConfig()


def test_both_ends_made_of_configurations(port: int) -> None:
    receiving = ReassemblerConfig(data_ip="127.0.0.1", port=1, queue=7, readonly_events=True)
    sending = SegmenterConfig(data_id=9, sockets=1, patience=PATIENCE)
    with (
        xdpsar.Reassembler(config=receiving, port=port) as receiver,
        xdpsar.Segmenter(f"127.0.0.1:{port}", config=sending) as sender,
        xdpsar.Segmenter(f"127.0.0.1:{port}", config=sending, data_id=10) as other,
    ):
        assert receiver.ports == range(port, port + 1)
        sender.send(b"one")
        event = receiver.recv(PATIENCE)
        assert event.data_id == 9 and event.readonly
        other.send(b"two")
        assert receiver.recv(PATIENCE).data_id == 10


WRONG: list[tuple[Any, dict[str, Any]]] = [
    *(
        (SegmenterConfig, options)
        for options in (
            {"data_id": 1 << 16},
            {"data_id": -1},
            {"data_id": "7"},
            {"first_event": 1 << 64},
            {"ports": 3},
            {"sockets": 0},
            {"sockets": 129},
            {"threads": 0},
            {"cores": 5},
            {"cores": ["0"]},
            {"queue": 0},
            {"queue": -1},
            {"mtu": 1.5},
            {"rate_gbps": 0.0},
            {"rate_gbps": float("nan")},
            {"rate_gbps": "10"},
            {"smooth": 1},
            {"backend": "dpdk"},
            {"backend": 5},
            {"copy": "x"},
            {"source": "somewhere"},
            {"source": 5},
            {"dscp": 64},
            {"dscp": 256},
            {"lb_version": 4},
            {"lb_version": "2"},
            {"patience": -1.0},
            {"patience": None},
            {"ticks": "x"},
            {"sync_period": 11.0, "sync": "127.0.0.1:1"},
            {"sync_rate": "x"},
            {"sync_warm_up": -1.0},
            {"source_id": 1 << 32},
        )
    ),
    *(
        (ReassemblerConfig, {"data_ip": "127.0.0.1", **options})
        for options in (
            {"data_ip": "somewhere"},
            {"data_ip": 5},
            {"port": 0},
            {"port": 65536},
            {"port": None},
            {"ports": 6},
            {"ports": 32768},
            {"backend": "gso"},
            {"interface": 5},
            {"threads": 0},
            {"event_timeout": 0.0},
            {"event_timeout": "1"},
            {"event_lifetime": -1.0},
            {"memory": 5},
            {"memory": 1.5},
            {"prefault": -1},
            {"max_event": 1 << 32},
            {"on_budget": "x"},
            {"queue": 0},
            {"overflow": ""},
            {"wait": "x"},
            {"consumer_wait": None},
            {"lane": "x"},
            {"lane": "entropy", "lanes": 3},
            {"lb_header": "x"},
            {"attach": "x"},
            {"layout": "x"},
            {"lend": "x"},
            {"checksum": "x"},
            {"busy_poll": 65536},
            {"socket_buffer": -1},
            {"gro": None},
            {"readonly_events": 1},
        )
    ),
]


@pytest.mark.parametrize(("config", "options"), WRONG)
def test_refused_as_by_the_constructor(config: Any, options: dict[str, Any]) -> None:
    with pytest.raises((TypeError, OverflowError, xdpsar.UsageError)) as caught:
        config(**options)
    with pytest.raises(type(caught.value)):
        if config is SegmenterConfig:
            xdpsar.Segmenter("127.0.0.1:19522", **options)
        else:
            xdpsar.Reassembler(**options)


def test_segmenter_from_ini(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "segmenter.ini", INI)
    assert SegmenterConfig.from_ini("~/segmenter.ini") == SegmenterConfig(
        sync=False,
        sync_warm_up=0.25,
        sync_period=0.5,
        mtu=9000,
        rate_gbps=10.5,
        sockets=6,
        ports=8,
        send_buffer=65536,
        connected=False,
        smooth=True,
        lb_version=3,
    )
    empty = write(tmp_path / "empty.ini", "[data-plane]\nmtu = 0\nrateGbps = -1.0\n")
    assert SegmenterConfig.from_ini(empty) == SegmenterConfig()
    old = write(tmp_path / "old.ini", "[control-plane]\nusecAsEventNum = false\nzeroRate = 1\n")
    assert SegmenterConfig.from_ini(old) == SegmenterConfig(ticks="event_number", sync_rate="zero")
    with pytest.warns(UserWarning, match=r"data-plane\.dpV6, data-plane\.colour"):
        odd = write(tmp_path / "odd.ini", "[data-plane]\ndpV6 = 1\ncolour = 1\n")
        assert SegmenterConfig.from_ini(odd) == SegmenterConfig()


def test_reassembler_from_ini(tmp_path: Path) -> None:
    path = write(
        tmp_path / "reassembler.ini",
        "[general]\nuseCP = 1\n[control-plane]\nvalidateCert = 0\n[pid]\nKi = 0.5\nweight = 1\n"
        "[data-plane]\nportRange = 3\nwithLBHeader = true\neventTimeoutMS = 750\n"
        "rcvSocketBufSize = 1000000\nperiodMS = 100\nepochMS = 1000\n",
    )
    assert ReassemblerConfig.from_ini(path) == ReassemblerConfig(
        ports=8, lb_header="keep", event_timeout=0.75, socket_buffer=1_000_000
    )
    derived = write(tmp_path / "derived.ini", "[data-plane]\nportRange = -1\n")
    assert ReassemblerConfig.from_ini(derived) == ReassemblerConfig()


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("[data-plane]\nmtu = 9000 ; x\n", "mtu = 9000 ; x is not a whole number"),
        ("[data-plane]\nsmooth = yes\n", "smooth = yes is not true or false"),
        ("[data-plane]\nrateGbps = fast\n", "rateGbps = fast is not a number"),
        ("[data-plane]\nmtu = 1\nmtu = 2\n", "already exists"),
        ("[data-plane\n", "no section headers"),
        ("mtu = 5\n", "no section headers"),
        ("[data-plane]\nlbHdrVersion = 258\n", "lb_version=258"),
        ("[data-plane]\nnumSendSockets = 0\n", "sockets=0"),
    ],
)
def test_ini_files_that_cannot_be_meant(tmp_path: Path, text: str, because: str) -> None:
    with pytest.raises(xdpsar.UsageError) as caught:
        SegmenterConfig.from_ini(write(tmp_path / "bad.ini", text))
    assert because in str(caught.value)


def test_from_toml(tmp_path: Path) -> None:
    path = write(
        tmp_path / "xdpsar.toml",
        '[segmenter]\ndata_id = 7\nrate_gbps = 10\ncores = [0]\n[daq.receive]\nport = 20000\n',
    )
    assert SegmenterConfig.from_toml(path) == SegmenterConfig(data_id=7, rate_gbps=10, cores=(0,))
    assert ReassemblerConfig.from_toml(path, "daq.receive").port == 20000
    flat = write(tmp_path / "flat.toml", "data_id = 8\n")
    assert SegmenterConfig.from_toml(flat, "").data_id == 8
    for text, because in (
        ("[segmenter]\ncolour = 1\n", "no option 'colour'"),
        ("[reassembler]\n", "no table [segmenter]"),
        ("segmenter = 5\n", "no table [segmenter]"),
        ("[segmenter\n", "write TOML"),
        ("[segmenter]\nbackend = 'x'\n", "no such choice"),
    ):
        with pytest.raises(xdpsar.UsageError) as caught:
            SegmenterConfig.from_toml(write(tmp_path / "bad.toml", text))
        assert because in str(caught.value)
    for read in (SegmenterConfig.from_toml, SegmenterConfig.from_ini):
        with pytest.raises(xdpsar.NotFound, match="missing"):
            read(tmp_path / "missing")
        (tmp_path / "binary").write_bytes(b"\xff\xfe")
        with pytest.raises(xdpsar.UsageError, match="not text"):
            read(tmp_path / "binary")
