//! What there is to tell of a receiver.

use std::sync::Arc;

use crossbeam_utils::atomic::AtomicCell;
use xdpsar_control::feedback::fill;
use xdpsar_handoff::Receiver;
use xdpsar_reassembly::{Event, Pool};

use crate::{Stats, WorkerStats, load_balancer::Counters, stats::Snapshot};

/// Reads what workers publish anyway.
pub(crate) struct Gauges {
    pub(crate) queue: Receiver<Event>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) workers: Vec<Arc<AtomicCell<Snapshot>>>,
}

impl Gauges {
    /// How full the queue is or, if that is fuller, the memory.
    pub(crate) fn fill(&self) -> f32 {
        let queue = fill(self.queue.len() as f64, self.queue.capacity() as f64);
        let memory = fill(self.pool.in_use() as f64, self.pool.budget() as f64);
        queue.max(memory)
    }

    /// What was counted; `before` is what was told before.
    pub(crate) fn counters(&self, before: &Counters) -> Counters {
        let queued = self.queue.len() as u64;
        let mut stats = Stats::default();
        for worker in &self.workers {
            stats.add_worker(WorkerStats::default(), &worker.load());
        }
        let lost = &stats.events_lost;
        let counters = Counters {
            events_received: stats.events_ok + lost.total() + stats.in_progress,
            events_reassembled: stats.events_ok + lost.overflow,
            reassembly_errors: lost.total() - lost.overflow,
            events_dequeued: stats.events_ok.saturating_sub(queued),
            enqueue_errors: lost.overflow,
            bytes_received: stats.datagram_bytes,
            packets_received: stats.datagrams,
        };
        // The queue is read as it is, events as they were a little ago.
        let events_dequeued = counters.events_dequeued.max(before.events_dequeued);
        Counters { events_dequeued, ..counters }
    }
}
