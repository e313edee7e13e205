"""E2SAR's INI files, as options of ours."""

from __future__ import annotations

import configparser
import os
import warnings
from collections.abc import Callable
from os import PathLike
from typing import Any, TypeAlias

from ._checks import usage
from ._errors import NotFound, UsageError

_Path: TypeAlias = str | PathLike[str]

_CONTROL_PLANE = {
    "control-plane": ("useHostAddress", "validateCert", "reportStats"),
    "data-plane": ("periodMS", "epochMS"),
    "pid": ("setPoint", "Ki", "Kp", "Kd", "weight", "min_factor", "max_factor"),
}
"""Keys that say how to register with a control plane."""

_BOOLS = {"0": False, "1": True, "false": False, "true": True}


def read(path: _Path) -> str:
    """A file's text."""
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            return file.read()
    except UnicodeDecodeError:
        raise wrong(path, "it is not text", "name another file") from None
    except OSError as error:
        asked, found = f"the configuration {os.fspath(path)}", str(error.strerror or error)
        remedy = "name a file that can be read"
        raise NotFound(
            f"{asked}: {found}; {remedy}", asked=asked, found=found, remedy=remedy
        ) from None


def wrong(path: _Path, found: str, remedy: str) -> UsageError:
    """What stands in a file cannot be meant."""
    return usage(f"the configuration {os.fspath(path)}", found, remedy)


class _File:
    """A file's keys, each to be asked for once."""

    def __init__(self, path: _Path) -> None:
        self.path = path
        parser = configparser.RawConfigParser(default_section="", strict=True, delimiters=("=",))
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        try:
            parser.read_string(read(path), source=os.fspath(path))
        except configparser.Error as error:
            found = " ".join(str(error).split())
            raise wrong(path, found, "write [section], and key = value, each once") from None
        self.left = {
            f"{section}.{key}": text for section in parser for key, text in parser[section].items()
        }

    def take(self, key: str, kind: type[int] | type[float] | type[bool]) -> Any:
        """A value, or None if it is not there."""
        if (text := self.left.pop(key, None)) is None:
            return None
        try:
            return _BOOLS[text.lower()] if kind is bool else kind(text)
        except (KeyError, ValueError):
            words = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
            found = f"{key} = {text} is not {words}"
            raise wrong(self.path, found, "correct it; comments have lines of their own") from None

    def rest(self, *without_effect: str) -> None:
        """Tells of what nobody has asked for."""
        for section, keys in _CONTROL_PLANE.items():
            for key in keys:
                self.left.pop(f"{section}.{key}", None)
        for key in without_effect:
            self.left.pop(key, None)
        if self.left:
            listed = ", ".join(self.left)
            message = f"{os.fspath(self.path)}: {listed} mean nothing here, and are left out"
            warnings.warn(message, stacklevel=4)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def segmenter(path: _Path) -> dict[str, Any]:
    """Options of a segmenter."""
    file = _File(path)
    milliseconds = {
        name: value / 1000
        for name, key in (("sync_period", "syncPeriodMS"), ("sync_warm_up", "warmUpMS"))
        if (value := file.take(f"control-plane.{key}", int)) is not None
    }
    options = _given(
        connected=file.take("data-plane.connectedSocket", bool),
        mtu=file.take("data-plane.mtu", int),
        sockets=file.take("data-plane.numSendSockets", int),
        send_buffer=file.take("data-plane.sndSocketBufSize", int),
        rate_gbps=file.take("data-plane.rateGbps", float),
        smooth=file.take("data-plane.smooth", bool),
        lb_version=file.take("data-plane.lbHdrVersion", int),
        # Where the URI names no address, there is none to tell anything.
        sync=None if file.take("general.useCP", bool) in (None, True) else False,
    )
    if options.get("mtu") == 0:
        del options["mtu"]  # the route's
    if options.get("rate_gbps", 1) <= 0:
        del options["rate_gbps"]  # any
    if file.take("data-plane.multiPort", bool):
        # From the n-th socket to the n-th port.
        options["ports"] = 1 << (options.get("sockets", 4) - 1).bit_length()
    if file.take("control-plane.zeroRate", bool):
        options["sync_rate"] = "zero"
    if file.take("control-plane.usecAsEventNum", bool) is False:
        options |= {"ticks": "event_number", "sync_rate": options.get("sync_rate", "measured")}
    for key in ("data-plane.dpV6", "data-plane.ticksAsREEventNum"):
        # False is what we do.
        if file.left.get(key, "").lower() in ("0", "false"):
            del file.left[key]
    file.rest("control-plane.syncPeriods", "data-plane.zeroCopy")
    return options | milliseconds


def reassembler(path: _Path) -> dict[str, Any]:
    """Options of a reassembler."""
    file = _File(path)
    options = _given(socket_buffer=file.take("data-plane.rcvSocketBufSize", int))
    if (timeout := file.take("data-plane.eventTimeoutMS", int)) is not None:
        options["event_timeout"] = timeout / 1000
    if (bits := file.take("data-plane.portRange", int)) is not None and bits != -1:
        if not 0 <= bits <= 14:
            found = f"data-plane.portRange = {bits} is not one"
            raise wrong(path, found, "choose from 0 to 14, for 2 to that power ports, or -1")
        options["ports"] = 1 << bits
    if file.take("data-plane.withLBHeader", bool):
        options["lb_header"] = "keep"
    file.take("general.useCP", bool)
    file.rest()
    return options


READERS: dict[str, Callable[[_Path], dict[str, Any]]] = {
    "segmenter": segmenter,
    "reassembler": reassembler,
}
