"""Flags: defaults, types, INI files."""

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

from e2sar_py import E2SARErrorc
from e2sar_py.DataPlane import Reassembler, Segmenter

SEGMENTER: dict[str, Any] = {
    "dpV6": False, "connectedSocket": True, "useCP": True, "warmUpMs": 1000, "syncPeriodMs": 1000,
    "syncPeriods": 2, "mtu": 1500, "numSendSockets": 4, "sndSocketBufSize": 3145728,
    "rateGbps": -1.0, "smooth": False, "multiPort": False, "ticksAsREEventNum": False,
    "lbHdrVersion": 2,
}  # fmt: skip
REASSEMBLER: dict[str, Any] = {
    "useCP": True, "useHostAddress": False, "validateCert": True, "reportStats": False,
    "period_ms": 100, "epoch_ms": 1000, "portRange": -1, "withLBHeader": False,
    "eventTimeout_ms": 500, "rcvSocketBufSize": 3145728, "Ki": 0.0, "Kp": 0.0, "Kd": 0.0,
    "setPoint": 0.0, "weight": 1.0, "min_factor": 0.5, "max_factor": 2.0,
}  # fmt: skip
BOTH = [(Segmenter.SegmenterFlags, SEGMENTER), (Reassembler.ReassemblerFlags, REASSEMBLER)]

HIGHEST = {
    "warmUpMs": 2**16 - 1, "syncPeriodMs": 2**16 - 1, "syncPeriods": 2**16 - 1, "mtu": 2**16 - 1,
    "sndSocketBufSize": 2**31 - 1, "lbHdrVersion": 255, "period_ms": 2**16 - 1,
    "epoch_ms": 2**32 - 1, "portRange": 2**31 - 1, "eventTimeout_ms": 2**31 - 1,
    "rcvSocketBufSize": 2**31 - 1, "numSendSockets": 2**64 - 1,
}  # fmt: skip


def values(flags: Any, names: dict[str, Any]) -> dict[str, Any]:
    return {name: getattr(flags, name) for name in names}


@pytest.mark.parametrize("flags, defaults", BOTH)
def test_defaults(flags: Any, defaults: dict[str, Any]) -> None:
    assert values(flags(), defaults) == defaults
    assert {name: type(value) for name, value in values(flags(), defaults).items()} == {
        name: type(value) for name, value in defaults.items()
    }


@pytest.mark.parametrize("flags, defaults", BOTH)
def test_types(flags: Any, defaults: dict[str, Any]) -> None:
    one = flags()
    for name, default in defaults.items():
        if isinstance(default, bool):
            for given, kept in ((1, True), (None, False), ([], False), ("yes", True)):
                setattr(one, name, given)
                assert getattr(one, name) is kept
            continue
        with pytest.raises(TypeError, match=name):
            setattr(one, name, "1")
        if isinstance(default, float):
            setattr(one, name, 0.1)
            assert getattr(one, name) == 0.10000000149011612
            setattr(one, name, 3)
            assert getattr(one, name) == 3.0
            continue
        setattr(one, name, HIGHEST[name])
        assert getattr(one, name) == HIGHEST[name]
        for wrong in (HIGHEST[name] + 1, -(2**31) - 1, 1.0, None):
            with pytest.raises(TypeError, match=name):
                setattr(one, name, wrong)
        assert getattr(one, name) == HIGHEST[name]
    with pytest.raises(AttributeError):
        one.unknown = 1


@pytest.mark.parametrize("flags, defaults", BOTH)
def test_copies(flags: Any, defaults: dict[str, Any]) -> None:
    one = flags()
    one.useCP = False
    for again in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert values(again, defaults) == {**defaults, "useCP": False}
        again.useCP = True
    assert not one.useCP
    assert "useCP=False" in repr(one)


SEGMENTER_INI = """\
; of all
ignored = 1
[general]
useCP = false
[control-plane]
  warmUpMS = 250
syncPeriodMS=200
syncPeriods = 5
# and this
[data-plane]
dpV6 = true
connectedSocket = 0
mtu = 9000
numSendSockets = 8
sndSocketBufSize = 1000000
rateGbps = 10.5
smooth = 1
multiPort = true
ticksAsREEventNum = true
lbHdrVersion = 3
unknown = 7
"""
REASSEMBLER_INI = """\
[general]
useCP = false
[control-plane]
useHostAddress = true
validateCert = false
reportStats = true
[data-plane]
periodMS = 50
epochMS = 500
portRange = 3
withLBHeader = true
eventTimeoutMS = 250
rcvSocketBufSize = 1000000
[pid]
Ki = 0.5
Kp = 1
Kd = 0.25
setPoint = 0.75
weight = 2
min_factor = 0.125
max_factor = 4
"""
INI: dict[str, Any] = {
    "dpV6": True, "connectedSocket": False, "useCP": False, "warmUpMs": 250, "syncPeriodMs": 200,
    "syncPeriods": 5, "mtu": 9000, "numSendSockets": 8, "sndSocketBufSize": 1000000,
    "rateGbps": 10.5, "smooth": True, "multiPort": True, "ticksAsREEventNum": True,
    "lbHdrVersion": 3, "useHostAddress": True, "validateCert": False, "reportStats": True,
    "period_ms": 50, "epoch_ms": 500, "portRange": 3, "withLBHeader": True, "eventTimeout_ms": 250,
    "rcvSocketBufSize": 1000000, "Ki": 0.5, "Kp": 1.0, "Kd": 0.25, "setPoint": 0.75, "weight": 2.0,
    "min_factor": 0.125, "max_factor": 4.0,
}  # fmt: skip
FILES = [(*BOTH[0], SEGMENTER_INI), (*BOTH[1], REASSEMBLER_INI)]


@pytest.mark.parametrize("flags, defaults, ini", FILES)
def test_ini(
    flags: Any, defaults: dict[str, Any], ini: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "flags.ini"
    file.write_text(ini)
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (str(file), "~/flags.ini"):
        read = flags.getFromINI(path).value()
        assert isinstance(read, flags)
        assert values(read, defaults) == {name: INI[name] for name in defaults}


@pytest.mark.parametrize("flags, defaults", BOTH)
def test_values_that_cannot_be_parsed_are_defaults(
    flags: Any, defaults: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "flags.ini"
    file.write_text(
        "[general]\nuseCP = maybe\n[control-plane]\nwarmUpMS = 70000\nreportStats = yes\n"
        "[data-plane]\nmtu = 9000 ; jumbo\nperiodMS = -1\nnumSendSockets = 1_000\n"
        "rateGbps = fast\n[pid]\nKi = nan\nweight = 1.5x\n"
    )
    assert values(flags.getFromINI(str(file)).value(), defaults) == defaults


@pytest.mark.parametrize("flags, _defaults", BOTH)
@pytest.mark.parametrize(
    "ini", [None, "[data-plane\nmtu = 1\n", "[a]\nb = 1\nb = 2\n", "[a]\nno value\n"]
)
def test_unreadable_files(flags: Any, _defaults: Any, ini: str | None, tmp_path: Path) -> None:
    file = tmp_path / "flags.ini"
    if ini is not None:
        file.write_text(ini)
    error = flags.getFromINI(str(file)).error()
    assert error.code == E2SARErrorc.ParameterNotAvailable
    assert str(file) in error.message


def test_stats_are_made_by_calls_only() -> None:
    for stats in (Segmenter.ReportedStats, Reassembler.ReportedStats):
        with pytest.raises(TypeError, match="No constructor defined"):
            stats()
