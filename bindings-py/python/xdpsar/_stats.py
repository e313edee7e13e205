"""Statistics, by the names that the command `xdpsar` has in its JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ._registration import AdmissionStatus


class EventInfo(NamedTuple):
    """What is known of an event besides its bytes."""

    event_number: int
    data_id: int
    nbytes: int
    fragments: int
    lane: int
    worker: int
    tick: int | None
    entropy: int | None
    recv_time_ns: int


class LostEvent(NamedTuple):
    """An event that will not be delivered."""

    event_number: int
    data_id: int
    length: int
    """Of the whole event, in bytes."""
    fragments: int
    """That had arrived."""
    bytes: int
    """That had arrived."""
    cause: str
    """"timeout", "lifetime", "budget", "evicted", "overflow" or "stopped"."""


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """The way that datagrams come in, and why."""

    kind: Literal["xdp", "socket"]
    reason: str
    detail: str
    """Interface, queues, layout, modes; or ports and buffers."""
    warnings: tuple[str, ...]
    """What may cost performance, and how to mend it."""


@dataclass(frozen=True, slots=True)
class EventsLost:
    """Events lost, by cause."""

    timeout: int
    lifetime: int
    budget: int
    evicted: int
    overflow: int
    """Whole, but the queue was full."""
    stopped: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(getattr(self, cause) for cause in self.__slots__)


@dataclass(frozen=True, slots=True)
class Dropped:
    """Datagrams dropped, by cause."""

    short: int
    bad_lb_header: int
    bad_re_header: int
    no_entropy: int
    out_of_range: int
    length_mismatch: int
    truncated: int
    oversized: int
    bad_checksum: int
    bad_frame: int
    over_budget: int
    too_scattered: int
    header_only: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(getattr(self, cause) for cause in self.__slots__)


@dataclass(frozen=True, slots=True)
class WorkerStats:
    """One receiving thread's share."""

    worker: int
    core: int | None
    source: str
    datagrams: int
    events: int
    bytes: int
    kernel_drops: int
    rx_ring_full: int
    fill_ring_empty: int


@dataclass(frozen=True, slots=True)
class ReassemblerStats:
    """Totals since the start. Live values lag by up to 100 ms."""

    events_ok: int
    event_bytes: int
    events_lost: EventsLost
    datagrams: int
    datagram_bytes: int
    fragments: int
    bytes: int
    duplicates: int
    late: int
    dropped: Dropped
    kernel_drops: int
    """Datagrams that were lost because we were too slow."""
    in_progress: int
    in_progress_bytes: int
    queued: int
    pool_bytes: int
    lost_reports_dropped: int
    events_lent: int
    events_copied: int
    lend_exhausted: int
    syscalls: int
    elapsed_s: float
    workers: tuple[WorkerStats, ...]
    events_filtered: int
    """Received, and dropped because `data_id=` or `every=` asked for others."""
    program: dict[str, int] | None = None
    """The steering program's counters, with AF_XDP."""

    @property
    def is_clean(self) -> bool:
        """Nothing lost and nothing dropped."""
        return not (self.events_lost.total or self.dropped.total or self.kernel_drops)


@dataclass(frozen=True, slots=True)
class SyncStats:
    """What was told to the control plane."""

    sent: int
    errors: int
    last_error: str | None


@dataclass(frozen=True, slots=True)
class SegmenterStats:
    """Totals since the segmenter was made."""

    events_queued: int
    bytes_queued: int
    queue_depth: int
    queue_high_water: int
    queue_full: int
    events_sent: int
    events_failed: int
    events_dropped: int
    bytes_dropped: int
    events_cancelled: int
    """Withdrawn by `SendTicket.cancel`."""
    fragments: int
    bytes: int
    retried_full: int
    retried_no_buffers: int
    refused: int
    """Tries again because nobody listens at the other side."""
    unreachable: int
    fragments_failed: int
    """Of events that did not go out, or not whole."""
    fragments_dropped: int
    """That the interface took and dropped at once, as far as is known."""
    syscalls: int
    callback_panics: int
    pacing_lag_us: float
    sync: SyncStats | None = None
    admission: AdmissionStatus | None = None
    """Whether the load balancer lets us in, if it was asked."""


def reassembler_stats(text: str, events_filtered: int) -> ReassemblerStats:
    """From the library's JSON. A name that one side does not know is an error."""
    given = json.loads(text)
    return ReassemblerStats(
        events_filtered=events_filtered,
        events_lost=EventsLost(**given.pop("events_lost")),
        dropped=Dropped(**given.pop("dropped")),
        workers=tuple(WorkerStats(**worker) for worker in given.pop("workers")),
        **given,
    )


def segmenter_stats(text: str) -> SegmenterStats:
    """The same."""
    given = json.loads(text)
    sync, admitted = given.pop("sync", None), given.pop("admission", None)
    return SegmenterStats(
        sync=sync and SyncStats(**sync),
        admission=admitted and AdmissionStatus._read(admitted),
        **given,
    )


def backend_info(text: str) -> BackendInfo:
    """The same."""
    given = json.loads(text)
    return BackendInfo(warnings=tuple(given.pop("warnings")), **given)
