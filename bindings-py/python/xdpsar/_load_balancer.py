"""The control plane, for threads that wait for its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Self, TypeVar, Unpack

from . import _lb_asked, _native
from ._errors import RpcDenied, XdpsarError

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
    from ._native import ControlPlane, EjfatUri


L = TypeVar("L", bound="Client")


class Client:
    """What the two kinds of clients have in common."""

    __slots__ = ("__weakref__", "_native")
    _native: ControlPlane

    def __init__(self, uri: EjfatUri | str | None = None, **reach: Unpack[ReachOptions]) -> None:
        given = _native.EjfatUri.from_env() if uri is None else uri
        self._native = _native.ControlPlane(given, **reach)

    @classmethod
    def _of(cls, native: ControlPlane) -> Self:
        made = cls.__new__(cls)
        made._native = native
        return made

    @property
    def uri(self) -> EjfatUri:
        """The URI, with what answers added to it: tokens, addresses, ids."""
        return self._native.uri

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._native.closed

    def with_uri(self, uri: EjfatUri | str) -> Self:
        """The same connection, used with another URI of the same server: other
        tokens, another load balancer, another session."""
        return self._of(self._native.with_uri(uri))

    def with_timeout(self, timeout: float) -> Self:
        """The same, but with so many seconds to wait for an answer."""
        return self._of(self._native.with_timeout(timeout))

    def close(self) -> None:
        """Ends the connection, and calls that are under way. What is reserved
        stays so."""
        self._native.close()

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__} {self._native!r}>"


class Part:
    """Some of a client's calls."""

    __slots__ = ("_native",)

    def __init__(self, native: ControlPlane) -> None:
        self._native = native


class Senders(Part):
    """Who may send to a load balancer: `LoadBalancer.senders`. It takes effect
    within a second."""

    __slots__ = ()

    def add(self, addresses: Iterable[AnyIp], lb_id: str | None = None) -> None:
        """Lets these addresses send."""
        self._native.senders(True, addresses, lb_id).wait()

    def remove(self, addresses: Iterable[AnyIp], lb_id: str | None = None) -> None:
        """No longer lets them. Do this once everything has arrived."""
        self._native.senders(False, addresses, lb_id).wait()

    def add_self(self, lb_id: str | None = None) -> list[Ip]:
        """Lets the addresses send that this host reaches the URI's data address
        from. Returns them."""
        return self._native.senders(True, None, lb_id).wait()

    def remove_self(self, lb_id: str | None = None) -> list[Ip]:
        """No longer lets them."""
        return self._native.senders(False, None, lb_id).wait()


class Tokens(Part):
    """`LoadBalancer.tokens`. One is meant by its number or by itself, None: the
    one that the call is made with."""

    __slots__ = ()

    def create(self, name: str, permissions: Iterable[Permission]) -> str:
        """A token that may do this: no more than ours. There is no other way to
        see it again."""
        return self._native.create_token(name, _lb_asked.granted(permissions)).wait()

    def list(self, which: int | str | None = None) -> TokenDetails:
        """What a token may do."""
        return self._native.token_permissions(which).wait()

    def children(self, which: int | str | None = None) -> tuple[TokenDetails, ...]:
        """The tokens that were made with it, and with those, and so on."""
        return self._native.child_tokens(which).wait()

    def revoke(self, which: int | str) -> None:
        """Revokes a token, and those made with it; never the one that the call
        is made with."""
        self._native.revoke_token(which).wait()


class Held(Generic[L]):
    """What the two kinds of reservations have in common."""

    __slots__ = ("_freed", "lb", "reserved")

    lb: L
    """The client that reserved it."""
    reserved: Reserved
    """What was reserved."""

    def __init__(self, lb: L, reserved: Reserved) -> None:
        self.lb = lb
        self.reserved = reserved
        self._freed = False

    @property
    def lb_id(self) -> str:
        """Its id."""
        return self.reserved.lb_id

    def _freer(self) -> ControlPlane:
        """A client with the reservation's own token: the URI may have another's
        by now, and an admin's may not have the right to free."""
        lb, reserved = self.lb._native, self.reserved
        uri = lb.uri
        if uri.lb_id == reserved.lb_id or reserved.token is None:
            return lb
        return lb.with_uri(uri.replace(lb_id=reserved.lb_id, instance_token=reserved.token))

    @staticmethod
    def _told(failed: XdpsarError, error: BaseException | None) -> None:
        """Of one that could not be freed, at the end of a `with`."""
        if isinstance(failed, RpcDenied):
            return  # of a token that was good, it says that all is over
        if error is None:
            raise failed
        error.add_note(f"and the load balancer stays reserved: {failed}")

    def __repr__(self) -> str:
        freed = " (freed)" if self._freed else ""
        return f"<{type(self).__module__}.{type(self).__name__} {self.lb_id}{freed}>"


class Reservation(Held["LoadBalancer"]):
    """A reserved load balancer, freed at the end of a `with`."""

    __slots__ = ()

    def free(self) -> None:
        """Frees it, once."""
        if not self._freed:
            self._freer().free(self.lb_id).wait()
            self._freed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            self.free()
        except XdpsarError as failed:
            self._told(failed, error)


class LoadBalancer(Client):
    """A control plane's client. Nothing is sent before the first call.

        with LoadBalancer(uri) as lb, lb.reserve("run-17", duration=3600):
            print(lb.uri, lb.status().expires_at)

    `uri` is an `EjfatUri`, its text, or that of the environment's EJFAT_URI.
    Calls use what it names where a load balancer or a session is left out, and
    the narrowest of its tokens that serves. Answers complete it.

    verify, cafile, cadata, server_name: of `ejfats` URIs: whether to check the
    server's certificate, which ones to believe instead of the system's, and the
    name it must have.
    family: which of the server's addresses to use.
    timeout, connect_timeout, keep_alive: in seconds.

    Methods may be called from any thread. What Ctrl-C interrupts leaves neither
    a reservation nor a worker behind.
    """

    __slots__ = ()

    @property
    def senders(self) -> Senders:
        """Who may send."""
        return Senders(self._native)

    @property
    def tokens(self) -> Tokens:
        """Tokens made, listed, revoked."""
        return Tokens(self._native)

    def reserve(self, name: str = "", **wish: Unpack[Wish]) -> Reservation:
        """Reserves a load balancer, for as long as the `with` lasts, or until its
        end.

        duration, until: its end; neither: as late as the server allows.
        senders: addresses that may send to it.
        ip_family: which addresses it should have.
        strategy: how slots are dealt out.
        """
        return Reservation(self, _lb_asked.reserve(self._native, name, wish).wait())

    def get(self, lb_id: str | None = None) -> Reserved:
        """Where a reserved load balancer is; completes the URI."""
        return self._native.get(lb_id).wait()

    def free(self, lb_id: str | None = None) -> None:
        """Ends a reservation. Its tokens are worth nothing then."""
        self._native.free(lb_id).wait()

    def extend(
        self, duration: Lasting = None, *, until: datetime | None = None, lb_id: str | None = None
    ) -> datetime | None:
        """Moves a reservation's end: so long from now, or until then; neither:
        as late as the server allows. Returns its end."""
        return self._native.extend(_lb_asked.end(duration, until), lb_id).wait()

    def reset(self, **parts: Unpack[Parts]) -> Reset:
        """Lets parts of a reservation begin anew: `sync`, `epochs`, `senders`,
        `workers`. On a live flow, events are lost."""
        return _lb_asked.reset(self._native, parts).wait()

    def status(self, lb_id: str | None = None) -> Status:
        """How a load balancer and its workers do."""
        return self._native.status(lb_id).wait()

    def overview(self) -> tuple[Overview, ...]:
        """All reserved load balancers that the token lets us see."""
        return self._native.overview().wait()

    def version(self) -> Version:
        """Which server it is."""
        return self._native.version().wait()

    def register(
        self, name: str, address: AnyIp, port: int, **options: Unpack[Worker]
    ) -> Session:
        """Registers a worker, which receives there. It gets events within a
        second, and no longer after two without `send_state`.

        ports: how many, from `port` on.
        weight, min_factor, max_factor: its share of the events.
        keep_lb_header: whether it is sent the load balancer's header, too.
        slot_demands: slots that it demands.
        """
        return _lb_asked.register(self._native, name, address, port, options).wait()

    def send_state(
        self, fill: float, control_signal: float = 0.0, **state: Unpack[State]
    ) -> None:
        """Says how a worker does, about every 100 ms: how full its queue is, 0
        to 1, and by how much its weight is to change each second, on a scale of
        1000 for an average worker. RpcDenied: the session is gone.

        ready: whether it is to get events.
        at: when that was; now.
        counters: what it counted.
        """
        _lb_asked.send_state(self._native, fill, control_signal, state).wait()

    def deregister(self, session: str | None = None) -> None:
        """Ends a worker's session."""
        self._native.deregister(session).wait()

    def set_slot_demands(
        self,
        sessions: Mapping[str, Sequence[tuple[int | None, int]]],
        lb_id: str | None = None,
    ) -> None:
        """Replaces all slots that sessions demand, by their ids."""
        self._native.set_slot_demands(_lb_asked.demanded(sessions), lb_id).wait()

    def timeseries(
        self, paths: str | Sequence[str], since: datetime | None = None
    ) -> tuple[Series, ...]:
        """Series by their exact paths, since then; None: of the last minute.
        Wildcards do not work with today's servers: see `series`."""
        return self._native.series(_lb_asked.paths(paths), since, None).wait()

    def series(
        self, lb_id: str | None = None, since: datetime | None = None
    ) -> tuple[Series, ...]:
        """All series of a load balancer and of its workers of today."""
        return self._native.series(None, since, lb_id).wait()

    def chain(self, upstream: EjfatUri | str, **options: Unpack[Chained]) -> str:
        """Lets this load balancer get events from another one, whose URI has its
        id and a token that may register there. Returns the chain's id."""
        return _lb_asked.chain(self._native, upstream, options).wait()

    def unchain(self, chain_id: str, lb_id: str | None = None) -> None:
        """Ends a chain."""
        self._native.unchain(chain_id, lb_id).wait()

    def chain_graph(self, lb_id: str | None = None) -> ChainGraph:
        """From whom events come to a load balancer, and from whom to those."""
        return self._native.chain_graph(lb_id).wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
