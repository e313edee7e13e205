//! One clock for both sides: `CLOCK_MONOTONIC`.

use std::time::Instant;

/// Bytes of a time in an event.
pub(crate) const STAMP: usize = size_of::<u64>();

/// Nanoseconds since it was made, the same on all cores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    #[inline]
    pub(crate) fn now_ns(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}
