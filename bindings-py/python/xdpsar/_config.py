"""Options of senders and receivers as values: checked, kept, and read from files."""

from __future__ import annotations

import dataclasses
import inspect
import tomllib
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from os import PathLike
from typing import Any, ClassVar, Literal, Self, TypeAlias, TypedDict, Unpack

from . import _ini
from ._checks import check
from ._registration import Admission, Reach, Registration

_Ip: TypeAlias = str | IPv4Address | IPv6Address
_Path: TypeAlias = str | PathLike[str]


class SegmenterOptions(TypedDict, total=False):
    """What `Segmenter` takes by keyword: see there."""

    data_id: int
    first_event: int
    ports: int
    sockets: int
    threads: int | None
    cores: Sequence[int] | None
    queue: int
    mtu: int | None
    rate_gbps: float | None
    smooth: bool
    count_ethernet: bool
    kernel_pacing: bool
    backend: Literal["auto", "gso", "mmsg", "xdp"]
    xdp_queue: int | None
    copy: Literal["auto", "copy", "zero-copy"]
    source: _Ip | None
    dscp: int | None
    connected: bool
    lb_version: Literal[2, 3] | None
    send_buffer: int | None
    patience: float
    ticks: Literal["clock", "event_number"]
    sync: str | bool | None
    source_id: int
    sync_period: float
    sync_rate: Literal["megahertz", "measured", "zero"]
    sync_warm_up: float
    admit: bool | Admission | None


class ReassemblerOptions(TypedDict, total=False):
    """What `Reassembler` takes by keyword: see there."""

    data_ip: _Ip | None
    port: int
    ports: int
    backend: Literal["auto", "xdp", "socket"]
    interface: str | None
    threads: int | None
    cores: Sequence[int] | None
    event_timeout: float
    event_lifetime: float | None
    memory: int | None
    prefault: int | None
    max_event: int | None
    on_budget: Literal["refuse", "evict"]
    queue: int | None
    overflow: Literal["drop", "block"]
    wait: Literal["adaptive", "spin", "sleep"]
    consumer_wait: Literal["adaptive", "spin", "sleep"]
    lane: Literal["port", "entropy"]
    lanes: int | None
    lb_header: Literal["auto", "keep", "none"]
    attach: Literal["auto", "native", "generic"]
    copy: Literal["auto", "copy", "zero-copy"]
    layout: Literal["auto", "queue-per-core", "fan-out"]
    lend: Literal["auto", "on", "off"]
    checksum: Literal["auto", "off", "strict"]
    busy_poll: int | None
    socket_buffer: int | None
    gro: bool
    readonly_events: bool
    register: str | Registration | None


class _Config:
    """What both have in common."""

    __slots__ = ()
    _options: ClassVar[type]
    _table: ClassVar[str]

    def __post_init__(self) -> None:
        check(self, self._options)

    def to_dict(self) -> dict[str, Any]:
        """All options by name, in types that JSON and TOML know."""
        options = {name: getattr(self, name) for name in self._options.__annotations__}
        for name, value in options.items():
            if isinstance(value, tuple):
                options[name] = [*value]
            elif isinstance(value, (IPv4Address, IPv6Address)):
                options[name] = str(value)
            elif isinstance(value, Reach):
                options[name] = dataclasses.asdict(value)
        return options

    @classmethod
    def from_ini(cls, path: _Path) -> Self:
        """From an INI file with E2SAR's keys; what it does not name, stays as
        it is here. `~` is the home directory; lines that begin with `;` or `#`
        are comments.

        Keys for the control plane are left alone; others that have no
        counterpart are told of by a warning. NotFound: no such file.
        UsageError: what stands there cannot be meant.
        """
        return cls(**_ini.READERS[cls._table](path))

    @classmethod
    def from_toml(cls, path: _Path, table: str | None = None) -> Self:
        """From a table of a TOML file with the options' own names: `segmenter`
        or `reassembler`, unless another is named; "" is the whole file.

        NotFound: no such file. UsageError: what stands there cannot be meant.
        """
        table = cls._table if table is None else table
        try:
            content: Any = tomllib.loads(_ini.read(path))
        except tomllib.TOMLDecodeError as error:
            raise _ini.wrong(path, str(error), "write TOML (https://toml.io)") from None
        for key in filter(None, table.split(".")):
            if not isinstance(content, dict) or not isinstance(content.get(key), dict):
                raise _ini.wrong(path, f"there is no table [{table}]", "add it, or name another")
            content = content[key]
        if unknown := [name for name in content if name not in cls._options.__annotations__]:
            known = ", ".join(cls._options.__annotations__)
            raise _ini.wrong(path, f"there is no option {unknown[0]!r}", f"known are {known}")
        for name, kind in (("register", Registration), ("admit", Admission)):
            if isinstance(content.get(name), dict):
                content = {**content, name: kind(**content[name])}
        return cls(**content)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SegmenterConfig(_Config):
    """Options of a `Segmenter`, checked: what they mean stands there."""

    data_id: int = 0
    first_event: int = 0
    ports: int = 1
    sockets: int = 4
    threads: int | None = None
    cores: Sequence[int] | None = None
    queue: int = 1024
    mtu: int | None = None
    rate_gbps: float | None = None
    smooth: bool = True
    count_ethernet: bool = False
    kernel_pacing: bool = False
    backend: Literal["auto", "gso", "mmsg", "xdp"] = "auto"
    xdp_queue: int | None = None
    copy: Literal["auto", "copy", "zero-copy"] = "auto"
    source: _Ip | None = None
    dscp: int | None = None
    connected: bool = True
    lb_version: Literal[2, 3] | None = 2
    send_buffer: int | None = None
    patience: float = 5.0
    ticks: Literal["clock", "event_number"] = "clock"
    sync: str | bool | None = None
    source_id: int = 0
    sync_period: float = 1.0
    sync_rate: Literal["megahertz", "measured", "zero"] = "megahertz"
    sync_warm_up: float = 1.0
    admit: bool | Admission | None = None

    _options: ClassVar[type] = SegmenterOptions
    _table: ClassVar[str] = "segmenter"

    def replace(self, **changes: Unpack[SegmenterOptions]) -> SegmenterConfig:
        """The same with other options."""
        return dataclasses.replace(self, **changes)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ReassemblerConfig(_Config):
    """Options of a `Reassembler`, checked: what they mean stands there."""

    data_ip: _Ip | None = None
    port: int = 19522
    ports: int = 1
    backend: Literal["auto", "xdp", "socket"] = "auto"
    interface: str | None = None
    threads: int | None = None
    cores: Sequence[int] | None = None
    event_timeout: float = 0.5
    event_lifetime: float | None = None
    memory: int | None = None
    prefault: int | None = None
    max_event: int | None = None
    on_budget: Literal["refuse", "evict"] = "refuse"
    queue: int | None = None
    overflow: Literal["drop", "block"] = "drop"
    wait: Literal["adaptive", "spin", "sleep"] = "adaptive"
    consumer_wait: Literal["adaptive", "spin", "sleep"] = "adaptive"
    lane: Literal["port", "entropy"] = "port"
    lanes: int | None = None
    lb_header: Literal["auto", "keep", "none"] = "auto"
    attach: Literal["auto", "native", "generic"] = "auto"
    copy: Literal["auto", "copy", "zero-copy"] = "auto"
    layout: Literal["auto", "queue-per-core", "fan-out"] = "auto"
    lend: Literal["auto", "on", "off"] = "auto"
    checksum: Literal["auto", "off", "strict"] = "auto"
    busy_poll: int | None = None
    socket_buffer: int | None = None
    gro: bool = True
    readonly_events: bool = False
    register: str | Registration | None = None

    _options: ClassVar[type] = ReassemblerOptions
    _table: ClassVar[str] = "reassembler"

    def replace(self, **changes: Unpack[ReassemblerOptions]) -> ReassemblerConfig:
        """The same with other options."""
        return dataclasses.replace(self, **changes)


def merged(
    config: SegmenterConfig | ReassemblerConfig | None, overrides: Mapping[str, Any]
) -> dict[str, Any]:
    """A configuration's options, with others instead of some."""
    if config is None:
        return dict(overrides)
    options: dict[str, Any] = {
        name: getattr(config, name) for name in config._options.__annotations__
    }
    return {**options, **overrides}


def signature(native: type, config: type) -> inspect.Signature:
    """That of the native class, with `config` as a further option."""
    parameters = list(inspect.signature(native).parameters.values())
    first = next(at for at, given in enumerate(parameters) if given.kind is given.KEYWORD_ONLY)
    kind = inspect.Parameter.KEYWORD_ONLY
    annotation = f"{config.__name__} | None"
    parameters.insert(first, inspect.Parameter("config", kind, default=None, annotation=annotation))
    return inspect.Signature(parameters)
