//! An end to sending, from elsewhere.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

use super::shared::Shared;

/// Cuts off all sending of a [`Segmenter`](super::Segmenter), for good: for
/// when a send in progress shall not be waited for.
#[derive(Clone)]
pub struct SegmenterStopper(Arc<Shared>);

impl SegmenterStopper {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// From now on nothing more is sent: a `send…` in progress and all later
    /// ones return [`Error::Stopped`](crate::Error::Stopped), and so it is
    /// told to each event that was queued. It does not wait for that: a send
    /// notices within 100 ms.
    pub fn stop(&self) {
        self.0.queue.close();
        self.0.halt.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for SegmenterStopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmenterStopper").finish_non_exhaustive()
    }
}
