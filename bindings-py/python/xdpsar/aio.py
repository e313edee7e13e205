"""The control plane, for tasks of `asyncio`: `LoadBalancer` has the calls of
`xdpsar.LoadBalancer`, to be awaited. Nothing of it blocks the event loop.

    async with aio.LoadBalancer(uri) as lb, await lb.reserve("run-17", duration=3600):
        print(lb.uri, (await lb.status()).expires_at)

A call whose task is cancelled leaves neither a reservation nor a worker behind.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self, TypeVar, Unpack

from . import _lb_asked, _load_balancer
from ._errors import XdpsarError
from ._load_balancer import Client, Held, Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from ._lb_types import (
        AnyIp,
        Chained,
        ChainGraph,
        Ip,
        Lasting,
        Overview,
        Parts,
        Permission,
        ReachOptions,
        Reserved,
        Reset,
        Series,
        Session,
        State,
        Status,
        TokenDetails,
        Version,
        Wish,
        Worker,
    )
    from ._native import Call, EjfatUri


__all__ = ["LoadBalancer", "Reservation"]

T = TypeVar("T")


async def answer(call: Call[T]) -> T:
    """`call.wait`, awaited."""
    loop = asyncio.get_running_loop()
    answered = loop.create_future()

    def wake() -> None:
        if not answered.done():
            answered.set_result(None)

    watched = call.fileno()
    loop.add_reader(watched, wake)
    try:
        await answered
    except BaseException:
        call.cancel()
        raise
    finally:
        loop.remove_reader(watched)
    return call.result()


class Senders(Part):
    """See `xdpsar.LoadBalancer.senders`."""

    __slots__ = ()

    async def add(self, addresses: Iterable[AnyIp], lb_id: str | None = None) -> None:
        await answer(self._native.senders(True, addresses, lb_id))

    async def remove(self, addresses: Iterable[AnyIp], lb_id: str | None = None) -> None:
        await answer(self._native.senders(False, addresses, lb_id))

    async def add_self(self, lb_id: str | None = None) -> list[Ip]:
        return await answer(self._native.senders(True, None, lb_id))

    async def remove_self(self, lb_id: str | None = None) -> list[Ip]:
        return await answer(self._native.senders(False, None, lb_id))


class Tokens(Part):
    """See `xdpsar.LoadBalancer.tokens`."""

    __slots__ = ()

    async def create(self, name: str, permissions: Iterable[Permission]) -> str:
        return await answer(self._native.create_token(name, _lb_asked.granted(permissions)))

    async def list(self, which: int | str | None = None) -> TokenDetails:
        return await answer(self._native.token_permissions(which))

    async def children(self, which: int | str | None = None) -> tuple[TokenDetails, ...]:
        return await answer(self._native.child_tokens(which))

    async def revoke(self, which: int | str) -> None:
        await answer(self._native.revoke_token(which))


class Reservation(Held["LoadBalancer"]):
    """A reserved load balancer, freed at the end of an `async with`."""

    __slots__ = ()

    async def free(self) -> None:
        if not self._freed:
            await answer(self._freer().free(self.lb_id))
            self._freed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: object, error: BaseException | None, _trace: object
    ) -> None:
        try:
            await self.free()
        except XdpsarError as failed:
            self._told(failed, error)


class LoadBalancer(Client):
    """See `xdpsar.LoadBalancer`."""

    __slots__ = ()

    @property
    def senders(self) -> Senders:
        return Senders(self._native)

    @property
    def tokens(self) -> Tokens:
        return Tokens(self._native)

    async def reserve(self, name: str = "", **wish: Unpack[Wish]) -> Reservation:
        return Reservation(self, await answer(_lb_asked.reserve(self._native, name, wish)))

    async def get(self, lb_id: str | None = None) -> Reserved:
        return await answer(self._native.get(lb_id))

    async def free(self, lb_id: str | None = None) -> None:
        await answer(self._native.free(lb_id))

    async def extend(
        self, duration: Lasting = None, *, until: datetime | None = None, lb_id: str | None = None
    ) -> datetime | None:
        return await answer(self._native.extend(_lb_asked.end(duration, until), lb_id))

    async def reset(self, **parts: Unpack[Parts]) -> Reset:
        return await answer(_lb_asked.reset(self._native, parts))

    async def status(self, lb_id: str | None = None) -> Status:
        return await answer(self._native.status(lb_id))

    async def overview(self) -> tuple[Overview, ...]:
        return await answer(self._native.overview())

    async def version(self) -> Version:
        return await answer(self._native.version())

    async def register(
        self, name: str, address: AnyIp, port: int, **options: Unpack[Worker]
    ) -> Session:
        return await answer(_lb_asked.register(self._native, name, address, port, options))

    async def send_state(
        self, fill: float, control_signal: float = 0.0, **state: Unpack[State]
    ) -> None:
        await answer(_lb_asked.send_state(self._native, fill, control_signal, state))

    async def deregister(self, session: str | None = None) -> None:
        await answer(self._native.deregister(session))

    async def set_slot_demands(
        self,
        sessions: Mapping[str, Sequence[tuple[int | None, int]]],
        lb_id: str | None = None,
    ) -> None:
        await answer(self._native.set_slot_demands(_lb_asked.demanded(sessions), lb_id))

    async def timeseries(
        self, paths: str | Sequence[str], since: datetime | None = None
    ) -> tuple[Series, ...]:
        return await answer(self._native.series(_lb_asked.paths(paths), since, None))

    async def series(
        self, lb_id: str | None = None, since: datetime | None = None
    ) -> tuple[Series, ...]:
        return await answer(self._native.series(None, since, lb_id))

    async def chain(self, upstream: EjfatUri | str, **options: Unpack[Chained]) -> str:
        return await answer(_lb_asked.chain(self._native, upstream, options))

    async def unchain(self, chain_id: str, lb_id: str | None = None) -> None:
        await answer(self._native.unchain(chain_id, lb_id))

    async def chain_graph(self, lb_id: str | None = None) -> ChainGraph:
        return await answer(self._native.chain_graph(lb_id))

    async def aclose(self) -> None:
        """`close`, without blocking the event loop."""
        await asyncio.to_thread(self._native.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


# What is the same is told once.
for _one, _twin in (
    (Senders, _load_balancer.Senders),
    (Tokens, _load_balancer.Tokens),
    (Reservation, _load_balancer.Reservation),
    (LoadBalancer, _load_balancer.LoadBalancer),
):
    for _name, _call in vars(_one).items():
        if not _name.startswith("_") and _call.__doc__ is None:
            _call.__doc__ = getattr(_twin, _name).__doc__
