//! From the workers to the consumers: finished events, in batches.
//!
//! ```text
//!  assembler ─event─▶ outbox ──full, or end of the source's batch──▶ hand-off ─▶ consumers
//!                    (64, the worker's own)                              │ no room
//!                                                                        ▼ policy
//!                                                         dropped, counted, reported │ waited for
//! ```

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use xdpsar_handoff::{PushTimeoutError, Receiver, Sender, Wait, bounded};
use xdpsar_reassembly::{Event, LossCause, LostEvent, Sink};

/// What a worker does with a finished event when the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// Drops it and counts it: the stream goes on.
    #[default]
    DropNewest,
    /// Waits for room: the loss, if any, happens in the kernel's buffers.
    Block,
}

/// Events that a worker collects before it hands them over. It never keeps
/// them longer than one batch of its source.
const OUTBOX: usize = 64;

/// Reports of lost events kept for the consumer. A flood of losses must not
/// grow memory: beyond this the reports (not the counts) are dropped.
const LOST_REPORTS: usize = 16 * 1024;

/// How long a blocked worker waits before it looks at the stop flag.
const BLOCK_SLICE: Duration = Duration::from_millis(10);

/// How long blocked workers stay patient with the consumer after a stop.
const BLOCK_AFTER_STOP: Duration = Duration::from_secs(2);

/// The consumer's ends.
pub(crate) struct Inlets {
    pub(crate) events: Receiver<Event>,
    pub(crate) lost: Receiver<LostEvent>,
}

/// A worker's ends, and what it could not hand over.
pub(crate) struct Outlet {
    outbox: Vec<Event>,
    events: Sender<Event>,
    lost: Sender<LostEvent>,
    policy: Overflow,
    give_up_at: Option<Instant>,
    pub(crate) overflow: OverflowCounters,
}

/// Finished events that found the queue full.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OverflowCounters {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    pub(crate) unreported: u64,
}

/// The queue for finished events, `capacity` of them, and the one for reports
/// of lost ones.
pub(crate) fn queue(capacity: usize, policy: Overflow, wait: Wait) -> (Outlet, Inlets) {
    let (events, events_out) = bounded(capacity);
    let (lost, lost_out) = bounded(LOST_REPORTS);
    (Outlet::new(events, lost, policy), Inlets { events: events_out.waiting(wait), lost: lost_out })
}

impl Outlet {
    fn new(events: Sender<Event>, lost: Sender<LostEvent>, policy: Overflow) -> Self {
        Self {
            outbox: Vec::with_capacity(OUTBOX),
            events,
            lost,
            policy,
            give_up_at: None,
            overflow: OverflowCounters::default(),
        }
    }

    /// Another worker's ends of the same queues.
    pub(crate) fn another(&self) -> Self {
        Self::new(self.events.clone(), self.lost.clone(), self.policy)
    }
}

/// An [`Outlet`] with the flag that ends its patience.
pub(crate) struct WorkerSink<'a> {
    pub(crate) outlet: &'a mut Outlet,
    pub(crate) stopping: &'a AtomicBool,
}

impl WorkerSink<'_> {
    /// Hands over what has been collected. After this every event that was
    /// put together is in the queue, or counted and reported as lost.
    pub(crate) fn flush(&mut self) {
        if self.outlet.outbox.is_empty() {
            return;
        }
        let all_in = match self.outlet.policy {
            Overflow::DropNewest => {
                let Outlet { events, outbox, .. } = &mut *self.outlet;
                // Without consumers it stays as it is: dropped, below.
                let _ = events.try_push_batch(outbox);
                outbox.is_empty()
            }
            Overflow::Block => self.push_patiently(),
        };
        if !all_in {
            self.drop_outbox();
        }
    }

    /// Whether all of it went in.
    fn push_patiently(&mut self) -> bool {
        loop {
            let Outlet { events, outbox, .. } = &mut *self.outlet;
            match events.push_batch_timeout(outbox, BLOCK_SLICE) {
                Ok(()) => return true,
                Err(PushTimeoutError::Disconnected) => return false,
                Err(PushTimeoutError::Timeout) if self.is_patient() => {}
                Err(PushTimeoutError::Timeout) => return false,
            }
        }
    }

    fn is_patient(&mut self) -> bool {
        if !self.stopping.load(Ordering::Relaxed) {
            return true;
        }
        let now = Instant::now();
        now < *self.outlet.give_up_at.get_or_insert(now + BLOCK_AFTER_STOP)
    }

    #[cold]
    fn drop_outbox(&mut self) {
        let mut outbox = std::mem::take(&mut self.outlet.outbox);
        for event in outbox.drain(..) {
            self.overflowed(&event);
        }
        self.outlet.outbox = outbox;
    }

    fn overflowed(&mut self, event: &Event) {
        self.outlet.overflow.events += 1;
        self.outlet.overflow.bytes += event.len() as u64;
        self.lost(LostEvent {
            event_number: event.event_number(),
            data_id: event.data_id(),
            // An event's length came out of 32 bits.
            length: event.len() as u32,
            fragments: event.fragments(),
            bytes: event.len() as u64,
            cause: LossCause::Overflow,
        });
    }
}

impl Sink for WorkerSink<'_> {
    fn event(&mut self, event: Event) {
        self.outlet.outbox.push(event);
        if self.outlet.outbox.len() == OUTBOX {
            self.flush();
        }
    }

    fn lost(&mut self, lost: LostEvent) {
        if self.outlet.lost.try_push(lost).is_err() {
            self.outlet.overflow.unreported += 1;
        }
    }
}
