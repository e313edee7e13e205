"""The sender: what is hot is native, the rest is here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, Unpack

from . import _native
from ._checks import out_of_range
from ._config import SegmenterConfig, SegmenterOptions, merged, signature
from ._stats import SyncStats

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Buffer

    from ._native import EjfatUri


class Segmenter(_native.Segmenter):
    """Sends events to `to`: an EJFAT URI, or "ip", "ip:port" or "[ipv6]:port" of a
    load balancer or of a receiver. Options are named, or those of a
    `SegmenterConfig`, or some named instead of its own.

    Methods may be called from any thread; sends take turns.

    data_id, first_event: of events that name no other.
    ports: of a receiver without a load balancer: a power of two.
    sockets: flows, each from a source port of its own.
    threads, cores, queue: of `submit`: senders, where they are pinned, and
    how many events may wait.
    mtu: largest IP datagram (default: the route's, 9000 at most).
    rate_gbps, smooth, count_ethernet, kernel_pacing: no faster than that, of
    all threads together; spread within an event or not; what counts.
    backend, xdp_queue, copy: how datagrams get to the system.
    source, dscp, connected, send_buffer: of the sockets.
    lb_version: of the LB header, or None for no such header.
    patience: seconds without progress after which an event has failed.
    ticks: LB event numbers by the clock, or the events' own.
    sync: where to tell the control plane where ticks are: "ip:port"; left
    open, the URI's sync address, if it has one; True, that one; False, not.
    source_id: which sender of the load balancer's this is.
    sync_period, sync_rate, sync_warm_up: seconds between those messages, what
    they say of the rate of ticks, and for how long before the first event.
    admit: have the URI's load balancer let us in, from before the first event
    until after the last one; an `Admission` says how. `stats.admission` has how
    that goes.
    """

    __slots__ = ()

    __signature__ = signature(_native.Segmenter, SegmenterConfig)

    def __new__(
        cls,
        to: EjfatUri | str,
        /,
        *,
        config: SegmenterConfig | None = None,
        **options: Unpack[SegmenterOptions],
    ) -> Self:
        given = merged(config, options)
        try:
            return super().__new__(cls, to, **given)
        except OverflowError as error:
            raise out_of_range(error, given) from None

    @property
    def sync_stats(self) -> SyncStats | None:
        """Of `stats`: what was told to the control plane."""
        return self.stats.sync

    def send_many(
        self,
        events: Iterable[Buffer],
        /,
        *,
        event_number: int | None = None,
        data_id: int | None = None,
        entropy: int | None = None,
    ) -> int:
        """Sends events in this thread, one after the other, and returns how many
        those were. The first has the number `event_number`, if one is named."""
        count = 0
        for data in events:
            self.send(data, event_number=event_number, data_id=data_id, entropy=entropy)
            event_number = None  # the others count on
            count += 1
        return count

    async def asend(
        self,
        data: Buffer,
        /,
        *,
        event_number: int | None = None,
        data_id: int | None = None,
        entropy: int | None = None,
        tick: int | None = None,
    ) -> int:
        """`submit` and its ticket's `result`, awaited. Cancelling the task that
        awaits it does not cancel an event that is queued."""
        from ._aio import send

        return await send(self, data, event_number, data_id, entropy, tick)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        from ._aio import drain

        await drain(self)
