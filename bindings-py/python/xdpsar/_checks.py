"""Options checked as the native constructors do, before there is a host to ask."""

from __future__ import annotations

import ipaddress
import math
import operator
import typing
from collections.abc import Callable, Mapping
from typing import Any

from ._errors import UsageError

_MOST: dict[str, int] = {
    "data_id": 2**16 - 1,
    "port": 2**16 - 1,
    "ports": 2**16 - 1,
    "lanes": 2**16 - 1,
    "busy_poll": 2**16 - 1,
    "dscp": 2**8 - 1,
    "lb_version": 2**8 - 1,
    "mtu": 2**32 - 1,
    "xdp_queue": 2**32 - 1,
    "source_id": 2**32 - 1,
    "max_event": 2**32 - 1,
}
"""What integers may be at most; others 2⁶⁴ − 1."""

_TIMES = ("event_timeout", "event_lifetime", "patience", "sync_period", "sync_warm_up")
"""In seconds."""

_HINTS: dict[type, dict[str, Any]] = {}
"""Types of options, once looked up."""


def check(config: Any, options: type) -> None:
    """Refuses what the constructor would refuse anywhere."""
    if options not in _HINTS:
        _HINTS[options] = typing.get_type_hints(options)
    for name, hint in _HINTS[options].items():
        value = getattr(config, name)
        if name == "cores" and value is not None:
            # Its own, and one that does not change.
            value = tuple(_integer(name, core) for core in value)
            object.__setattr__(config, name, value)
        else:
            _check(name, hint, value)
    for name, (sound, found, remedy) in _RULES.items():
        if (value := getattr(config, name, None)) is not None and not sound(value):
            raise usage(f"{name}={value!r}", found, remedy)


def usage(asked: str, found: str, remedy: str) -> UsageError:
    message = f"{asked}: {found}; {remedy}"
    return UsageError(message, asked=asked, found=found, remedy=remedy)


def _check(name: str, hint: Any, value: Any) -> None:
    kinds = typing.get_args(hint) if not _is_words(hint) else (hint,)
    kinds = kinds or (hint,)
    if value is None and type(None) in kinds:
        return
    for words in filter(_is_words, kinds):
        choices = typing.get_args(words)
        if type(value) is not type(choices[0]):
            raise TypeError(_message(name, value, type(choices[0]).__name__))
        if value not in choices:
            listed = ", ".join(f'"{word}"' if isinstance(word, str) else f"{word}" for word in choices)
            raise usage(
                f'{name}="{value}"' if isinstance(value, str) else f"{name}={value}",
                "there is no such choice",
                f"choose from {listed}",
            )
        return
    if bool in kinds and isinstance(value, bool):
        return
    if ipaddress.IPv4Address in kinds:
        _address(name, value)
    elif float in kinds:
        if isinstance(value, (str, bytes)):
            raise TypeError(_message(name, value, "float"))
        if name in _TIMES and not 0 <= float(value) < math.inf:
            raise usage(f"{name}={value}", "that is no time in seconds", "give 0 or more")
    elif int in kinds:
        _integer(name, value)
    elif not isinstance(value, kinds):
        raise TypeError(_message(name, value, kinds[0].__name__))


def _is_words(hint: Any) -> bool:
    return typing.get_origin(hint) is typing.Literal


def _message(name: str, value: Any, wanted: str) -> str:
    return f"argument '{name}': {type(value).__name__!r} object is no {wanted}"


def _integer(name: str, value: Any) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(_message(name, value, "int")) from None
    most = _MOST.get(name, 2**64 - 1)
    if not 0 <= number <= most:
        raise OverflowError(f"{name}={number}: that is out of range; give 0 to {most}")
    return number


def out_of_range(error: OverflowError, options: Mapping[str, object]) -> OverflowError:
    """The native constructor's error, which does not say which option it is."""
    for name, value in options.items():
        try:
            _integer(name, value)
        except OverflowError as named:
            return named
        except TypeError:
            pass  # not a number
    return error


def _address(name: str, value: Any) -> None:
    if isinstance(value, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
        return
    if not isinstance(value, str):
        raise TypeError(_message(name, value, "str, IPv4Address or IPv6Address"))
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise usage(
            f'the IP address "{value}"',
            "that is none",
            'write one such as "10.0.0.7" or "fd00::7"; names are not looked up',
        ) from None


def _power_of_two(value: int) -> bool:
    return 1 <= value <= 16384 and value.bit_count() == 1


_FEW = ("EJFAT port ranges are powers of two", "ask for 1, 2, 4 … 16384")
_SOME = ("there is nothing to be had from none", "ask for 1 or more")

_RULES: dict[str, tuple[Callable[[Any], bool], str, str]] = {
    "ports": (_power_of_two, *_FEW),
    "lanes": (_power_of_two, *_FEW),
    "port": (bool, "senders need to know the port", "name a port from 1024 on"),
    "threads": (bool, *_SOME),
    "queue": (bool, *_SOME),
    "event_timeout": (bool, "events need time to arrive", "ask for a time-out above 0"),
    "memory": (
        lambda value: value >= 1 << 20,
        "not one event would fit",
        "ask for at least 1 MiB, and room for several of the longest events",
    ),
    "sockets": (
        lambda value: 1 <= value <= 128,
        "each is one flow, and an event needs one",
        "choose from 1 to 128",
    ),
    "dscp": (lambda value: value < 64, "it has 6 bits", "choose from 0 to 63"),
    "rate_gbps": (
        lambda value: 0 < value < math.inf,
        "nothing would ever leave, or no pace be kept",
        "choose a rate, or None",
    ),
    "sync_period": (
        lambda value: 0.001 <= value <= 10,
        "the control plane goes by those of the last minute",
        "choose from 1 ms to 10 s",
    ),
}
"""Beyond types: what a value must be, why, and what to do."""
