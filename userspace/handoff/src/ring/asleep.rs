//! Sleeping, watching, and being gone: what else stands in the two words.

use super::{Emptiness, Enlisted, Ring, Sleeper, take_one};
use crate::{
    sync::{AtomicU64, Ordering},
    word::{
        RECEIVERS_GONE, SENDERS_GONE, SLEEPER, WATCHER, is_watched, position, sleepers,
        takes_a_sleeper, without_sleepers,
    },
};

impl<T> Ring<T> {
    /// Counts this thread among the consumers asleep, if the ring is empty.
    ///
    /// Nothing can come in unnoticed: whoever claims a slot after this finds
    /// the sleeper in the very word that it exchanges.
    pub(crate) fn enlist_consumer(&self) -> Enlisted {
        let head = position(self.head.load(Ordering::Acquire));
        let word = self.tail.load(Ordering::Acquire);
        if position(word) != head || !takes_a_sleeper(word) {
            // Items are there, or claimed and about to be.
            return Enlisted::NotNeeded;
        }
        if word & SENDERS_GONE != 0 {
            return Enlisted::Gone;
        }
        enlist(&self.tail, word)
    }

    /// Has the next producer told that there is a watcher, if the ring is
    /// empty; whether it is, and more may come.
    ///
    /// As with [`Self::enlist_consumer`], nothing comes in unnoticed then.
    pub(crate) fn enlist_watcher(&self) -> bool {
        loop {
            let head = position(self.head.load(Ordering::Acquire));
            let word = self.tail.load(Ordering::Acquire);
            if position(word) != head || word & SENDERS_GONE != 0 {
                return false;
            }
            // Release: the descriptor was made before, and who takes the
            // watcher along will look for it.
            let watched = word | WATCHER;
            if is_watched(word)
                || self
                    .tail
                    .compare_exchange(word, watched, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
            {
                return true;
            }
        }
    }

    /// Counts this thread among the producers asleep, if the ring is full.
    pub(crate) fn enlist_producer(&self) -> Enlisted {
        let tail = position(self.tail.load(Ordering::Acquire));
        let word = self.head.load(Ordering::Acquire);
        if word & RECEIVERS_GONE != 0 {
            return Enlisted::Gone;
        }
        // Not `>=`: where `tail` was loaded too early, `head` is beyond it.
        let is_full = self.geometry.distance(position(word), tail) == self.capacity();
        if !is_full || !takes_a_sleeper(word) {
            return Enlisted::NotNeeded;
        }
        enlist(&self.head, word)
    }

    /// Takes a consumer off the count: one whose time is up, or one to wake.
    pub(crate) fn take_consumer(&self) -> Sleeper {
        take_off(&self.tail)
    }

    /// Takes a producer off the count.
    pub(crate) fn take_producer(&self) -> Sleeper {
        take_off(&self.head)
    }

    /// For a consumer that was woken and has taken what it wanted: another
    /// one, if there is something left.
    pub(crate) fn next_consumer(&self) -> Sleeper {
        if self.find_full(1).is_some() { self.take_consumer() } else { Sleeper::None }
    }

    /// For a producer that was woken and has put in what it had: another one,
    /// if there is room left.
    pub(crate) fn next_producer(&self) -> Sleeper {
        let head = position(self.head.load(Ordering::Relaxed));
        if self.has_room_for_sleepers(head) { self.take_producer() } else { Sleeper::None }
    }

    /// Whether nothing is there now, and whether nothing will ever be.
    pub(crate) fn emptiness(&self) -> Emptiness {
        let head = position(self.head.load(Ordering::Acquire));
        let word = self.tail.load(Ordering::Acquire);
        match (position(word) == head, word & SENDERS_GONE != 0) {
            (true, true) => Emptiness::ForEver,
            // All senders are gone, so all items are in: they are just being
            // taken, or had not been seen.
            (false, true) => Emptiness::Not,
            (_, false) => Emptiness::Now,
        }
    }

    /// Says so. Returns how many consumers were asleep, all of them to be
    /// woken, and whether there was a watcher. It stays on the word: more than
    /// once it need not be told.
    pub(crate) fn leave_senders(&self) -> (u32, bool) {
        let word = leave(&self.tail, SENDERS_GONE);
        (sleepers(word), is_watched(word))
    }

    /// Says so, and no producer claims a slot any more. Returns how many were
    /// asleep, all of them to be woken.
    pub(crate) fn leave_receivers(&self) -> u32 {
        // Consumers cannot be asleep: there are none.
        self.tail.fetch_or(RECEIVERS_GONE, Ordering::AcqRel);
        sleepers(leave(&self.head, RECEIVERS_GONE))
    }
}

fn enlist(place: &AtomicU64, word: u64) -> Enlisted {
    // Release: what this thread did before it slept is seen by who wakes it.
    match place.compare_exchange(word, word + SLEEPER, Ordering::AcqRel, Ordering::Relaxed) {
        Ok(_) => Enlisted::Yes,
        Err(_) => Enlisted::NotNeeded,
    }
}

fn take_off(place: &AtomicU64) -> Sleeper {
    let mut word = place.load(Ordering::Relaxed);
    loop {
        let (taken, sleeper) = take_one(word);
        if sleeper == Sleeper::None {
            return sleeper;
        }
        match place.compare_exchange_weak(word, taken, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return sleeper,
            Err(now) => word = now,
        }
    }
}

/// Sets the flag and takes all sleepers off. Returns the word before.
fn leave(place: &AtomicU64, flag: u64) -> u64 {
    let mut word = place.load(Ordering::Relaxed);
    loop {
        let left = without_sleepers(word) | flag;
        // Release: all that was pushed is seen by who learns that no more
        // will be.
        match place.compare_exchange_weak(word, left, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return word,
            Err(now) => word = now,
        }
    }
}
