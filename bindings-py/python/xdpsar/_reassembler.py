"""The receiver: what is hot is native, the rest is here."""

from . import _native


class Reassembler(_native.Reassembler):
    """Receives events from its construction on, until it is closed.

    Methods may be called from any thread; each event goes to one of them.

    data_ip: address to listen on; "0.0.0.0" for any, by sockets. Not named, it
    is the one that faces the data address of the EJFAT URI.
    port, ports: first UDP port, and how many: a power of two.
    backend, interface: AF_XDP, sockets, or what suits; `backend` says why.
    threads, cores: workers, and cores to pin them to.
    event_timeout: an event without progress for so many seconds is lost;
    event_lifetime: and one that is this old, however it grows.
    memory: bytes for events in progress, queued, and held by you (1 GiB);
    on_budget: what happens to a new event when they are used up.
    max_event: longest event accepted.
    queue, overflow: events that wait for you (1000), and what happens to the
    next: dropped and counted, or the worker waits.
    wait, consumer_wait: how workers, and you, wait for the next.
    lane, lanes, lb_header: how datagrams are spread over the workers, and
    whether they carry the LB header.
    attach, copy, layout, lend, checksum, busy_poll: of AF_XDP.
    socket_buffer, gro: of sockets.
    readonly_events: nobody can write to events. Only then, or with lend="on",
    do they stay where AF_XDP has put them.
    """

    __slots__ = ()
