//! How fast a test may go on a machine of any speed: as fast as what it waits
//! for comes, and it waits long.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Nothing that a test waits for takes this long unless it never comes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Whether `condition` comes true before patience ends.
pub fn eventually(condition: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > PATIENCE {
            return false;
        }
        thread::sleep(Duration::from_micros(200));
    }
    true
}

/// Waits until `condition` is true.
///
/// # Panics
/// If it has not come true within [`PATIENCE`].
pub fn until(what: &str, condition: impl Fn() -> bool) {
    assert!(eventually(condition), "waited {PATIENCE:?} in vain until {what}");
}

/// Closes the loop between a sender and a receiver: no more is on the way
/// than the buffers between them surely hold, so whatever is lost was lost by
/// the receiver's doing and not by a slow machine.
pub struct Window {
    limit: u64,
    arrived: AtomicU64,
}

impl Window {
    /// At most `limit` on the way.
    pub const fn new(limit: u64) -> Self {
        Self { limit, arrived: AtomicU64::new(0) }
    }

    /// One more has arrived.
    pub fn arrived(&self) {
        self.arrived.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns when, after `sent` so far, one more may be on the way.
    ///
    /// # Panics
    /// If nothing makes room for it within [`PATIENCE`].
    pub fn admit(&self, sent: u64) {
        until("there is room for one more on the way", || {
            sent - self.arrived.load(Ordering::Relaxed) < self.limit
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_waits_for_the_receiver() {
        let window = Window::new(2);
        window.admit(0);
        window.admit(1);
        thread::scope(|scope| {
            let sender = scope.spawn(|| window.admit(2));
            thread::sleep(Duration::from_millis(20));
            assert!(!sender.is_finished(), "two are on the way");
            window.arrived();
            sender.join().expect("let in");
        });
    }
}
