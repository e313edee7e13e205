"""Arguments of calls to the control plane, as the native client takes them."""

from __future__ import annotations

from dataclasses import astuple
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from ._checks import usage
from ._lb_types import Counters

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ._lb_types import (
        Chained,
        Lasting,
        Parts,
        Permission,
        Reserved,
        Reset,
        Session,
        State,
        Wish,
        Worker,
    )
    from ._native import Call, ControlPlane


def end(duration: Lasting, until: datetime | None) -> datetime | None:
    """Of a reservation."""
    if duration is None:
        return until
    if until is not None:
        raise usage("both duration and until", "a reservation has one end", "give one of them")
    try:
        lasting = duration if isinstance(duration, timedelta) else timedelta(seconds=duration)
        return datetime.now(timezone.utc) + lasting
    except (OverflowError, ValueError):
        raise usage(
            f"duration={duration}", "clocks do not count so far", "leave it out: no end"
        ) from None


def reserve(lb: ControlPlane, name: str, wish: Wish) -> Call[Reserved]:
    given = fitting("reserve", wish, ("duration", "until", "senders", "ip_family", "strategy"))
    return lb.reserve(
        name,
        end(given.get("duration"), given.get("until")),
        given.get("senders", ()),
        given.get("ip_family", "dual"),
        given.get("strategy"),
    )


_SHARE = ("weight", "min_factor", "max_factor", "slot_demands", "lb_id")


def register(
    lb: ControlPlane, name: str, address: Any, port: int, options: Worker
) -> Call[Session]:
    given = fitting("register", options, ("ports", "keep_lb_header", *_SHARE))
    ports = given.get("ports", 1)
    if ports not in {1 << bits for bits in range(15)}:
        raise usage(
            f"ports={ports}", "load balancers count in powers of two", "choose from 1, 2, 4 to 16384"
        )
    return lb.register(name, address, port, ports, given.get("keep_lb_header", False), *_share(given))


def chain(lb: ControlPlane, upstream: Any, options: Chained) -> Call[str]:
    given = fitting("chain", options, ("ip_family", *_SHARE))
    return lb.chain(upstream, given.get("ip_family", "v4"), *_share(given))


def _share(given: dict[str, Any]) -> tuple[Any, ...]:
    factors = given.get("min_factor", 0.5), given.get("max_factor", 2.0)
    demands = list(given.get("slot_demands", ()))
    return given.get("weight", 1.0), factors, demands, given.get("lb_id")


def fitting(call: str, options: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The options, if they have these names."""
    for name in options:
        if name not in names:
            raise TypeError(f"{call}() has no option {name!r}; there are {', '.join(names)}")
    return dict(options)


def send_state(
    lb: ControlPlane, fill: float, control_signal: float, options: State
) -> Call[None]:
    given = fitting("send_state", options, ("ready", "at", "counters", "session"))
    counters = given.get("counters") or Counters()
    state = fill, control_signal, given.get("ready", True)
    return lb.send_state(state, given.get("at"), list(astuple(counters)), given.get("session"))


def reset(lb: ControlPlane, options: Parts) -> Call[Reset]:
    parts = ("sync", "epochs", "senders", "workers")
    given = fitting("reset", options, (*parts, "lb_id"))
    sync, epochs, senders, workers = (given.get(part, False) for part in parts)
    return lb.reset((sync, epochs, senders, workers), given.get("lb_id"))


def granted(permissions: Iterable[Permission]) -> list[tuple[int, int, str]]:
    return [(int(one.level), int(one.resource), one.id) for one in permissions]


def demanded(
    sessions: Mapping[str, Sequence[tuple[int | None, int]]],
) -> list[tuple[str, list[tuple[int | None, int]]]]:
    return [(session, list(ranges)) for session, ranges in sessions.items()]


def paths(given: str | Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)
