//! What became of every event, queued or not.

use serde::Serialize;
use xdpsar_dataplane::SendCounters;

use super::{queue::QueueCounters, sync::SyncStats};

/// Totals since the segmenter was opened. Names are stable: this is also the
/// JSON form.
///
/// When nothing is on its way, `events_queued` and the events that were sent
/// past the queue are together `events_sent`, `events_failed`,
/// `events_dropped` and `events_cancelled`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SegmenterStats {
    /// Events that the queue took in.
    pub events_queued: u64,
    /// Their bytes.
    pub bytes_queued: u64,
    /// Events that wait in the queue now.
    pub queue_depth: usize,
    /// Most events that ever waited there at once.
    pub queue_high_water: usize,
    /// Submissions refused because the queue was full.
    pub queue_full: u64,
    /// Events of which the kernel took every fragment.
    pub events_sent: u64,
    /// Events that did not go out, or not whole.
    pub events_failed: u64,
    /// Events that a stop cut off: unsent, or not whole.
    pub events_dropped: u64,
    /// Their bytes.
    pub bytes_dropped: u64,
    /// Queued events that were withdrawn before a worker began with them.
    pub events_cancelled: u64,
    /// Fragments that the kernel took.
    pub fragments: u64,
    /// Fragments that it has not, of events that failed or were cut off on
    /// their way.
    pub fragments_failed: u64,
    /// Event bytes in the fragments that the kernel took.
    pub bytes: u64,
    /// Tries again because the send buffer was full.
    pub retried_full: u64,
    /// Tries again because the interface's queue or memory was.
    pub retried_no_buffers: u64,
    /// Tries again because nobody listens at the other side.
    pub refused: u64,
    /// Tries again because an earlier datagram had been answered otherwise: host
    /// or network unreachable, prohibited.
    pub unreachable: u64,
    /// Fragments that the interface took and dropped at once. Known with
    /// AF_XDP only.
    pub fragments_dropped: u64,
    /// System calls made for events.
    pub syscalls: u64,
    /// Callbacks that panicked.
    pub callback_panics: u64,
    /// The longest that bytes left after they were due, in microseconds,
    /// because waiting for that time ended late; 0 without a rate.
    pub pacing_lag_us: f64,
    /// What was told to the control plane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncStats>,
    /// Whether the load balancer lets us in.
    #[cfg(feature = "control-plane")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admission: Option<super::AdmissionStatus>,
}

impl SegmenterStats {
    pub(super) fn add_queue(&mut self, queue: &QueueCounters) {
        self.events_queued = queue.events;
        self.bytes_queued = queue.bytes;
        self.queue_full = queue.refused_full;
        self.queue_high_water = queue.high_water;
    }

    pub(super) fn add_sender(&mut self, counters: &SendCounters) {
        self.events_sent += counters.events;
        self.fragments += counters.fragments;
        self.fragments_failed += counters.fragments_failed;
        self.bytes += counters.bytes;
        self.retried_full += counters.retried_full;
        self.retried_no_buffers += counters.retried_no_buffers;
        self.refused += counters.refused;
        self.unreachable += counters.unreachable;
        self.fragments_dropped += counters.dropped;
        self.syscalls += counters.syscalls;
    }
}

/// What a stop left behind.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StopReport {
    /// Every queued event was sent or has failed by itself.
    pub drained: bool,
    /// Queued events that were cut off: unsent, or not whole. Each was told
    /// so.
    pub dropped_events: u64,
    /// Their bytes.
    pub dropped_bytes: u64,
    /// Sender threads that did not end: a callback of theirs does not return.
    pub stuck_workers: usize,
    /// All totals, at the end.
    pub stats: SegmenterStats,
}
