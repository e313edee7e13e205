//! Where sleepers sleep, and how exactly one comes out.
//!
//! A gate holds permits. Who has taken a sleeper off a [word](crate::word)
//! owes the gate one permit; who was counted there leaves the gate with one
//! permit. So as many come out as were taken off, whoever the kernel happens
//! to wake, and whoever comes along before the one it woke.

use std::time::Instant;

use crate::{futex::Futex, sync::Ordering};

#[derive(Debug)]
pub(crate) struct Gate(Futex);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Futex::new())
    }

    /// Lets this many through: one system call.
    #[cold]
    pub(crate) fn grant(&self, permits: u32) {
        // Release: what was pushed before this is seen by who comes out.
        self.0.count.fetch_add(permits, Ordering::Release);
        self.0.wake(permits);
    }

    /// Sleeps until there is a permit and takes it, or until the deadline.
    /// Whether it has one.
    pub(crate) fn pass(&self, deadline: Option<Instant>) -> bool {
        let mut time_is_up = false;
        loop {
            // Before giving up, too. The kernel may have woken this thread
            // for a permit just as its time ran out; if it went away without,
            // nobody would wake another one for it.
            if self.take_permit() {
                return true;
            }
            if time_is_up {
                return false;
            }
            time_is_up = self.0.sleep(deadline);
        }
    }

    fn take_permit(&self) -> bool {
        let mut permits = self.0.count.load(Ordering::Relaxed);
        while permits > 0 {
            match self.0.count.compare_exchange_weak(
                permits,
                permits - 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => permits = now,
            }
        }
        false
    }
}

#[cfg(all(test, loom))]
impl Gate {
    pub(crate) fn permits(&self) -> u32 {
        self.0.count.load(Ordering::Relaxed)
    }

    pub(crate) fn time_is_up(&self) {
        self.0.time_is_up();
    }
}
