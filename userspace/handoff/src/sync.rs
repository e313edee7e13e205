//! What threads share: the standard library's, or loom's, which tries every
//! interleaving.

#[cfg(loom)]
pub(crate) use loom::{
    cell::UnsafeCell,
    hint::spin_loop,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
    },
    thread::yield_now,
};
#[cfg(not(loom))]
pub(crate) use std::{
    hint::spin_loop,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
    },
    thread::yield_now,
};

/// `std`'s cell with loom's way in.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    #[inline]
    pub(crate) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }

    #[inline]
    pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}

/// Waits a little for what another thread is about to do: longer each time,
/// and in the end so that even a thread of lower priority gets to it.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    rounds: u32,
}

impl Backoff {
    /// Rounds of pauses, each twice as long as the one before.
    const SPINS: u32 = 6;
    /// Rounds of yielding the core.
    const YIELDS: u32 = 16;

    pub(crate) fn snooze(&mut self) {
        #[cfg(loom)]
        if self.rounds > 0 {
            // Looking a second time at what has not changed leads nowhere that
            // looking once does not, and two threads could do so for ever.
            loom::skip_branch();
        }
        if cfg!(loom) || (Self::SPINS..Self::SPINS + Self::YIELDS).contains(&self.rounds) {
            yield_now();
        } else if self.rounds < Self::SPINS {
            for _ in 0..1 << self.rounds {
                spin_loop();
            }
        } else {
            std::thread::sleep(std::time::Duration::from_micros(50));
        }
        self.rounds = self.rounds.saturating_add(1);
    }
}
