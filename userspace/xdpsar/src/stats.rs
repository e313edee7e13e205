//! What became of every datagram and every event.

use std::collections::BTreeMap;

use serde::Serialize;
use xdpsar_dataplane::SourceCounters;
use xdpsar_reassembly::Counters;
use xdpsar_wire::steering::Verdict;

use crate::handoff::OverflowCounters;

/// Totals since the start. Names are stable: this is also the JSON form.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Stats {
    /// Events handed to the queue, whole.
    pub events_ok: u64,
    /// Their bytes.
    pub event_bytes: u64,
    /// Events lost, by cause.
    pub events_lost: EventsLost,
    /// Datagrams that reached a worker.
    pub datagrams: u64,
    /// UDP payload bytes of those, headers included.
    pub datagram_bytes: u64,
    /// Fragments that brought new bytes (empty events' included).
    pub fragments: u64,
    /// New event bytes that they brought.
    pub bytes: u64,
    /// Fragments that brought nothing new.
    pub duplicates: u64,
    /// Fragments of events already delivered or given up.
    pub late: u64,
    /// Datagrams dropped, by cause.
    pub dropped: Dropped,
    /// Datagrams lost in the kernel because we were too slow.
    pub kernel_drops: u64,
    /// Events being put together.
    pub in_progress: u64,
    /// Bytes received of those.
    pub in_progress_bytes: u64,
    /// Events waiting to be received.
    pub queued: u64,
    /// Bytes the buffer pool holds, in use or free.
    pub pool_bytes: u64,
    /// Loss reports that were not kept because nobody fetched them.
    pub lost_reports_dropped: u64,
    /// Events that kept the memory of their packet (AF_XDP).
    pub events_lent: u64,
    /// Events whole in one packet that were copied although lending is on:
    /// too short to gain from it, or too many were lent already.
    pub events_copied: u64,
    /// Those of `events_copied` for which there was no frame left to lend.
    pub lend_exhausted: u64,
    /// System calls of the receive path.
    pub syscalls: u64,
    /// Seconds since the start.
    pub elapsed_s: f64,
    /// Each worker's share.
    pub workers: Vec<WorkerStats>,
    /// The steering program's counters, by verdict (AF_XDP only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<BTreeMap<&'static str, u64>>,
}

/// Events lost, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EventsLost {
    /// No progress for the timeout.
    pub timeout: u64,
    /// In progress for longer than the cap.
    pub lifetime: u64,
    /// Refused: the memory budget was used up.
    pub budget: u64,
    /// Given up to make room for a newer one.
    pub evicted: u64,
    /// Whole, but the queue was full.
    pub overflow: u64,
    /// In progress at the stop.
    pub stopped: u64,
}

impl EventsLost {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.timeout + self.lifetime + self.budget + self.evicted + self.overflow + self.stopped
    }
}

/// Datagrams dropped, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// End inside their headers.
    pub short: u64,
    /// LB header with a wrong magic, version or next protocol.
    pub bad_lb_header: u64,
    /// RE header with a wrong version or a reserved bit set.
    pub bad_re_header: u64,
    /// Lanes are chosen by entropy and there is no LB header.
    pub no_entropy: u64,
    /// Reach beyond the event's length.
    pub out_of_range: u64,
    /// Claim another event length than the first fragment, or (AF_XDP)
    /// UDP, IP and frame length contradict each other.
    pub length_mismatch: u64,
    /// Longer than the receive buffer.
    pub truncated: u64,
    /// Longer than the MTU (AF_XDP: coalesced super-packets).
    pub oversized: u64,
    /// Wrong UDP checksum (AF_XDP; on sockets the kernel drops them).
    pub bad_checksum: u64,
    /// Frames that cannot be read (AF_XDP).
    pub bad_frame: u64,
    /// Of events refused for want of memory.
    pub over_budget: u64,
    /// Of events in too many separate pieces.
    pub too_scattered: u64,
    /// Carry no payload though their event is not empty.
    pub header_only: u64,
}

impl Dropped {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.short
            + self.bad_lb_header
            + self.bad_re_header
            + self.no_entropy
            + self.out_of_range
            + self.length_mismatch
            + self.truncated
            + self.oversized
            + self.bad_checksum
            + self.bad_frame
            + self.over_budget
            + self.too_scattered
            + self.header_only
    }
}

/// One worker's share.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WorkerStats {
    /// Which worker.
    pub worker: usize,
    /// The core it is pinned to, if any.
    pub core: Option<usize>,
    /// What it receives from.
    pub source: String,
    /// Datagrams taken in.
    pub datagrams: u64,
    /// Events put together.
    pub events: u64,
    /// New event bytes placed.
    pub bytes: u64,
    /// Datagrams lost in the kernel on its sockets.
    pub kernel_drops: u64,
    /// AF_XDP: its RX rings were full.
    pub rx_ring_full: u64,
    /// AF_XDP: the fill ring was empty.
    pub fill_ring_empty: u64,
}

/// A worker's counters as it publishes them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) core: Counters,
    pub(crate) source: SourceCounters,
    pub(crate) overflow: OverflowCounters,
    pub(crate) in_progress: u64,
    pub(crate) in_progress_bytes: u64,
}

impl Stats {
    /// Adds one worker's counters.
    pub(crate) fn add_worker(&mut self, own: WorkerStats, snapshot: &Snapshot) {
        let Snapshot { core, source, overflow, in_progress, in_progress_bytes } = snapshot;
        self.events_ok += core.events - overflow.events;
        self.event_bytes += core.event_bytes - overflow.bytes;
        self.events_lost.timeout += core.lost_timeout;
        self.events_lost.lifetime += core.lost_lifetime;
        self.events_lost.budget += core.lost_budget;
        self.events_lost.evicted += core.lost_evicted;
        self.events_lost.stopped += core.lost_stopped;
        self.events_lost.overflow += overflow.events;
        self.lost_reports_dropped += overflow.unreported;
        self.datagrams += core.datagrams;
        self.datagram_bytes += core.datagram_bytes;
        self.fragments += core.fragments + core.empty_events;
        self.bytes += core.bytes;
        self.duplicates += core.duplicates;
        self.late += core.late;
        self.kernel_drops += source.kernel_drops;
        self.events_lent += source.lent;
        self.events_copied += source.copied;
        self.lend_exhausted += source.lend_exhausted;
        self.syscalls += source.syscalls;
        self.in_progress += in_progress;
        self.in_progress_bytes += in_progress_bytes;
        self.dropped.short += core.short;
        self.dropped.bad_lb_header += core.bad_lb_header;
        self.dropped.bad_re_header += core.bad_re_header;
        self.dropped.out_of_range += core.out_of_range;
        self.dropped.length_mismatch += core.length_mismatch;
        self.dropped.over_budget += core.over_budget;
        self.dropped.too_scattered += core.too_scattered;
        self.dropped.header_only += core.header_only;
        self.dropped.truncated += source.truncated;
        self.dropped.no_entropy += source.no_entropy;
        self.dropped.bad_checksum += source.bad_checksum;
        self.dropped.bad_frame += source.bad_frame;
        self.workers.push(WorkerStats {
            datagrams: core.datagrams,
            events: core.events,
            bytes: core.bytes,
            kernel_drops: source.kernel_drops,
            rx_ring_full: source.rx_ring_full,
            fill_ring_empty: source.fill_ring_empty,
            ..own
        });
    }

    /// Adds the steering program's counters: what it dropped never reached a
    /// worker.
    pub(crate) fn add_program(&mut self, counters: &[u64; Verdict::COUNTERS]) {
        let named: BTreeMap<&'static str, u64> =
            Verdict::COUNTER_NAMES.into_iter().zip(counters.iter().copied()).collect();
        let count = |name: &str| named.get(name).copied().unwrap_or(0);
        self.dropped.length_mismatch += count("drop_length_mismatch");
        self.dropped.oversized += count("drop_oversized");
        self.dropped.short += count("drop_short");
        self.dropped.bad_lb_header += count("drop_bad_lb_header");
        self.dropped.bad_re_header += count("drop_bad_re_header");
        self.dropped.no_entropy += count("drop_no_entropy");
        self.program = Some(named);
    }

    /// Nothing lost and nothing dropped: exit status 0.
    pub const fn is_clean(&self) -> bool {
        self.events_lost.total() == 0 && self.dropped.total() == 0 && self.kernel_drops == 0
    }

    /// Datagrams that reached a worker and whose fate is not counted: 0 once
    /// the workers have stopped, or there is a defect.
    pub fn unaccounted(&self) -> i64 {
        let from_program = |name: &str| {
            self.program.as_ref().and_then(|named| named.get(name).copied()).unwrap_or(0)
        };
        let dropped = &self.dropped;
        let dropped_by_workers = dropped.short
            + dropped.bad_lb_header
            + dropped.bad_re_header
            + dropped.out_of_range
            + dropped.length_mismatch
            + dropped.over_budget
            + dropped.too_scattered
            + dropped.header_only
            - from_program("drop_short")
            - from_program("drop_bad_lb_header")
            - from_program("drop_bad_re_header")
            - from_program("drop_length_mismatch");
        let known = self.fragments + self.duplicates + self.late + dropped_by_workers;
        self.datagrams.cast_signed() - known.cast_signed()
    }
}
