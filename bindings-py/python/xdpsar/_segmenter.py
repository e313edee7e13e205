"""The sender: what is hot is native, the rest is here."""

from . import _native


class Segmenter(_native.Segmenter):
    """Sends events to `to`: "ip", "ip:port" or "[ipv6]:port" of a load balancer
    or of a receiver.

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
    """

    __slots__ = ()
