"""The sender: what is hot is native, the rest is here."""

from . import _native
from ._stats import SyncStats


class Segmenter(_native.Segmenter):
    """Sends events to `to`: an EJFAT URI, or "ip", "ip:port" or "[ipv6]:port" of a
    load balancer or of a receiver.

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
    """

    __slots__ = ()

    @property
    def sync_stats(self) -> SyncStats | None:
        """Of `stats`: what was told to the control plane."""
        return self.stats.sync
