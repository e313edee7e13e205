//! From the workers to the consumers: one bounded lock-free queue.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, SendTimeoutError, Sender, TrySendError, bounded};
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
#[derive(Clone)]
pub(crate) struct Outlet {
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
pub(crate) fn queue(capacity: usize, policy: Overflow) -> (Outlet, Inlets) {
    let (events, events_out) = bounded(capacity);
    let (lost, lost_out) = bounded(LOST_REPORTS);
    (
        Outlet { events, lost, policy, give_up_at: None, overflow: OverflowCounters::default() },
        Inlets { events: events_out, lost: lost_out },
    )
}

/// An [`Outlet`] with the flag that ends its patience.
pub(crate) struct WorkerSink<'a> {
    pub(crate) outlet: &'a mut Outlet,
    pub(crate) stopping: &'a AtomicBool,
}

impl WorkerSink<'_> {
    fn is_patient(&mut self) -> bool {
        if !self.stopping.load(Ordering::Relaxed) {
            return true;
        }
        let now = Instant::now();
        now < *self.outlet.give_up_at.get_or_insert(now + BLOCK_AFTER_STOP)
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
        match self.outlet.policy {
            Overflow::DropNewest => {
                if let Err(TrySendError::Full(event) | TrySendError::Disconnected(event)) =
                    self.outlet.events.try_send(event)
                {
                    self.overflowed(&event);
                }
            }
            Overflow::Block => {
                let mut event = event;
                loop {
                    match self.outlet.events.send_timeout(event, BLOCK_SLICE) {
                        Ok(()) => return,
                        Err(SendTimeoutError::Timeout(back)) if self.is_patient() => event = back,
                        Err(
                            SendTimeoutError::Timeout(back) | SendTimeoutError::Disconnected(back),
                        ) => return self.overflowed(&back),
                    }
                }
            }
        }
    }

    fn lost(&mut self, lost: LostEvent) {
        if self.outlet.lost.try_send(lost).is_err() {
            self.outlet.overflow.unreported += 1;
        }
    }
}
