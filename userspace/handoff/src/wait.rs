//! How a consumer waits: on its core, or asleep.

use crate::sync::{AtomicU32, Ordering};

/// How a consumer waits while there is nothing to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// Looks for as long as looking has lately been worth it, 2048 times at
    /// most, then sleeps.
    #[default]
    Adaptive,
    /// Never sleeps: least latency, for a core of one's own.
    Spin,
    /// Sleeps at once: least CPU.
    Sleep,
}

/// Looks of a spinning consumer between two glances at the clock and at whether
/// anybody still sends.
const GLANCE: u32 = 64;

/// How often an adaptive consumer looks before it sleeps: as often again when
/// that found something, half as often when it had to sleep all the same. A
/// consumer with little to do soon sleeps like [`Wait::Sleep`], one with much
/// to do never gets to sleep.
#[derive(Debug)]
pub(crate) struct Patience(AtomicU32);

impl Patience {
    const LEAST: u32 = 32;
    const MOST: u32 = 2048;

    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(Self::MOST))
    }

    /// Looks before sleeping.
    pub(crate) fn looks(&self, wait: Wait) -> u32 {
        match wait {
            Wait::Adaptive => self.0.load(Ordering::Relaxed),
            Wait::Spin => GLANCE,
            Wait::Sleep => 0,
        }
    }

    // Racing consumers may lose a step: it is a guess in any case.

    pub(crate) fn was_worth_it(&self) {
        let looks = self.0.load(Ordering::Relaxed);
        if looks < Self::MOST {
            self.0.store(looks * 2, Ordering::Relaxed);
        }
    }

    pub(crate) fn was_in_vain(&self) {
        let looks = self.0.load(Ordering::Relaxed);
        if looks > Self::LEAST {
            self.0.store(looks / 2, Ordering::Relaxed);
        }
    }
}
