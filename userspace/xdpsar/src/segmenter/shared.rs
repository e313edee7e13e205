//! What the caller's thread and the workers of a segmenter have in common.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use xdpsar_dataplane::{OutgoingEvent, random::SplitMix64};

use super::{
    EventOptions,
    pacing::{EventPace, Pacer},
    queue::Queue,
    tick::TickAxis,
};

/// Longest sleep before a look at whether the segmenter is being stopped.
const NAP: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) queue: Queue,
    pub(super) axis: Arc<TickAxis>,
    pub(super) pacer: Option<Pacer>,
    pub(super) data_id: u16,
    /// When the control plane has heard enough of us to steer by our ticks.
    pub(super) warm_at: Option<Instant>,
    /// Set when a stop's deadline is over: nothing more is sent.
    pub(super) halt: AtomicBool,
}

impl Shared {
    /// What an event's headers say.
    pub(super) fn headers(
        &self,
        event_number: u64,
        options: &EventOptions,
        random: &mut SplitMix64,
    ) -> OutgoingEvent {
        OutgoingEvent {
            event_number,
            data_id: options.data_id.unwrap_or(self.data_id),
            entropy: options.entropy.unwrap_or_else(|| random.next_u64() as u16),
            tick: options.tick.unwrap_or_else(|| self.axis.next(event_number)),
        }
    }

    /// The pace of the next event.
    pub(super) fn pace(&self) -> EventPace<'_> {
        EventPace::new(self.pacer.as_ref(), &self.halt)
    }

    /// Returns when data may flow, or the segmenter is halted.
    pub(super) fn wait_for_warm_up(&self) {
        let Some(warm_at) = self.warm_at else { return };
        loop {
            let left = warm_at.saturating_duration_since(Instant::now());
            if left.is_zero() || self.halt.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(left.min(NAP));
        }
    }
}
