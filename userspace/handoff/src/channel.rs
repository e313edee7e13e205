//! Senders and receivers: the ring, and who sleeps on it.
//!
//! ```text
//!   producer                                     consumer
//!   ────────                                     ────────
//!   look at stamps from tail on                  look at the stamp at head: not full
//!   tail: position + n, sleepers − 1  ◀── one ──▶ head = tail?  tail: sleepers + 1
//!   fill n slots, stamp them          word        go to the gate: sleep while permits = 0
//!   took a sleeper? gate: permits + 1,            permits − 1
//!     wake one (the only system call)             look again; more than it takes?
//!                                                   wake the next sleeper likewise
//! ```
//!
//! **No wake-up is lost.** Who sleeps is counted in `tail`, the word that every
//! producer exchanges to claim slots. A consumer is counted only by an
//! exchange that finds `tail` where `head` is: everything claimed so far has
//! been claimed by consumers, too. Each claim after that finds the sleeper in
//! the word it exchanges, and takes one along. There is one modification
//! order of one word: no fence is needed, and none is paid for, neither when
//! somebody sleeps nor when nobody does.
//!
//! **Exactly one is woken.** A claim takes one sleeper, the gate lets one out
//! per permit. A batch of many items wakes one consumer; that one, having
//! taken its share, wakes the next if items are left. When nobody sleeps,
//! nothing is called.
//!
//! **Disconnection** is a flag in the same word: the last sender sets it and
//! takes all sleepers along; a consumer cannot be counted where it is set.
//!
//! Who waits by a [descriptor](crate::readiness) stands in that word, too, and
//! is taken along with the sleeper.
//!
//! Producers that wait for room sleep in the same way, counted in `head`. They
//! are woken when half of the ring is free.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use crate::{
    gate::Gate,
    readiness::Readiness,
    receiver::Receiver,
    ring::{Ring, Sleeper},
    sender::Sender,
    sync::{Arc, AtomicUsize, Ordering, fence},
};

#[derive(Debug)]
pub(crate) struct Shared<T> {
    pub(crate) ring: Ring<T>,
    /// Where consumers sleep.
    pub(crate) items: Gate,
    /// Where they watch instead, if one has asked for that.
    pub(crate) readiness: OnceLock<Readiness>,
    /// Where producers sleep.
    pub(crate) room: Gate,
    pub(crate) senders: AtomicUsize,
    pub(crate) receivers: AtomicUsize,
}

/// A hand-off for at most `capacity` items.
///
/// # Panics
/// On a capacity of 0 or above 2³¹.
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    on_ring(Ring::new(capacity))
}

pub(crate) fn on_ring<T>(ring: Ring<T>) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        ring,
        items: Gate::new(),
        readiness: OnceLock::new(),
        room: Gate::new(),
        senders: AtomicUsize::new(1),
        receivers: AtomicUsize::new(1),
    });
    (Sender::new(Arc::clone(&shared)), Receiver::new(shared))
}

impl<T> Shared<T> {
    #[inline]
    pub(crate) fn wake_consumer(&self, sleeper: Sleeper) {
        if sleeper != Sleeper::None {
            self.rouse(sleeper);
        }
    }

    #[cold]
    fn rouse(&self, sleeper: Sleeper) {
        if sleeper.watches() {
            self.tell_watcher();
        }
        if sleeper.sleeps() {
            self.items.grant(1);
        }
    }

    pub(crate) fn tell_watcher(&self) {
        // With the exchange that found the watcher: the descriptor is seen.
        fence(Ordering::Acquire);
        if let Some(readiness) = self.readiness.get() {
            readiness.signal();
        }
    }

    /// Nothing was found: a descriptor is to say so.
    #[inline]
    pub(crate) fn found_nothing(&self) {
        if let Some(readiness) = self.readiness.get() {
            readiness.watch(&self.ring);
        }
    }

    #[inline]
    pub(crate) fn wake_producer(&self, sleeper: Sleeper) {
        if sleeper == Sleeper::Taken {
            self.room.grant(1);
        }
    }
}

/// Sleeps at the gate after having been counted. Whether it was woken.
pub(crate) fn sleep(
    gate: &Gate,
    deadline: Option<Instant>,
    is_over: impl Fn() -> bool,
    take_off: impl FnOnce() -> Sleeper,
) -> bool {
    if gate.pass(deadline, is_over) {
        return true;
    }
    match take_off() {
        // As many are counted as sleep: which one is this does not matter.
        sleeper if sleeper.sleeps() => false,
        // Somebody else has been faster, and a permit is on its way.
        _ => gate.pass(None, || false),
    }
}

pub(crate) fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    // What the clock cannot show is for ever.
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}

pub(crate) fn is_over(deadline: Option<Instant>) -> bool {
    // In a model, time is up when a thread of it says so.
    cfg!(not(loom)) && deadline.is_some_and(|deadline| Instant::now() >= deadline)
}
