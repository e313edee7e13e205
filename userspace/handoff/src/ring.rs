//! A bounded ring that many threads fill and many empty, in batches.
//!
//! ```text
//!            head (consumers claim)          tail (producers claim)
//!              ▼                               ▼
//!  ┌─────┬─────┬─────┬─────┬─────┬─────┬─────┬─────┬─────┐   stamp of position p
//!  │free │taken│full │full │hole │full │full │free │free │   free   p
//!  │ p+L │  p  │ p|1 │ p|1 │  p  │ p|1 │ p|1 │  p  │  p  │   full   p | 1
//!  └─────┴─────┴─────┴─────┴─────┴─────┴─────┴─────┴─────┘   freed  p + one lap
//!               being                claimed, not
//!               emptied              yet filled
//! ```
//!
//! A producer looks at the stamps from `tail` on for as many free slots as it
//! has items, claims them by one compare-and-exchange of `tail`, fills them,
//! and stamps each full. A consumer does the same from `head` on. A stamp of
//! a position changes only by the hand of who claimed it, and positions only
//! grow: if `tail` is still where it was, so is all that was seen from there.
//! Hence one atomic read-modify-write for a whole batch.
//!
//! The stamps order everything: an item is written before its stamp says
//! *full* (release) and read after that was seen (acquire), and the same for
//! *freed*. `head` and `tail` order nothing, and are relaxed.
//!
//! The same exchange takes along one thread that sleeps on what it changes:
//! see [`channel`](crate::channel).

use std::mem::MaybeUninit;

use crossbeam_utils::CachePadded;

use crate::{
    error::TryPushError,
    sync::{AtomicU64, Backoff, Ordering, UnsafeCell},
    word::{
        FULL, Geometry, RECEIVERS_GONE, SLEEPER, is_watched, position, rest, rouses, sleepers,
        without_watcher,
    },
};

mod asleep;

#[derive(Debug)]
struct Slot<T> {
    stamp: AtomicU64,
    item: UnsafeCell<MaybeUninit<T>>,
}

#[derive(Debug)]
pub(crate) struct Ring<T> {
    tail: CachePadded<AtomicU64>,
    head: CachePadded<AtomicU64>,
    slots: Box<[Slot<T>]>,
    geometry: Geometry,
}

// SAFETY: an item is touched only by the thread that has claimed its slot, and
// the slot's stamp makes what one thread did to it visible to the next. So the
// ring gives nobody a shared reference to an item: it sends them.
unsafe impl<T: Send> Sync for Ring<T> {}

/// Whether a claim has taken a sleeper along, to whom a permit is now due, or
/// the watcher, who is now to be told, or both.
#[must_use = "a sleeper who was taken off the word must be let through the gate"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sleeper {
    Taken,
    Watcher,
    TakenAndWatcher,
    None,
}

impl Sleeper {
    /// Whether it is a thread.
    pub(crate) fn sleeps(self) -> bool {
        matches!(self, Self::Taken | Self::TakenAndWatcher)
    }

    /// Whether the watcher is in it.
    pub(crate) fn watches(self) -> bool {
        matches!(self, Self::Watcher | Self::TakenAndWatcher)
    }
}

/// All receivers have been dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReceiversGone;

/// What became of a thread that wanted to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Enlisted {
    /// It is counted: it must go to the gate.
    Yes,
    /// There is something to do, or very soon will be.
    NotNeeded,
    /// There never will be.
    Gone,
}

/// What a consumer that found nothing may say of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Emptiness {
    Not,
    Now,
    ForEver,
}

impl<T> Ring<T> {
    /// # Panics
    /// On a capacity of 0 or above 2³¹.
    pub(crate) fn new(capacity: usize) -> Self {
        Self::at_lap(capacity, 0)
    }

    /// A ring that has gone round a few times: tests begin before the wrap.
    pub(crate) fn at_lap(capacity: usize, lap: u64) -> Self {
        let geometry = Geometry::new(capacity);
        let start = geometry.lap_start(lap);
        let slots = (0..capacity).map(|index| Slot {
            stamp: AtomicU64::new(geometry.advance(start, index)),
            item: UnsafeCell::new(MaybeUninit::uninit()),
        });
        Self {
            tail: CachePadded::new(AtomicU64::new(start)),
            head: CachePadded::new(AtomicU64::new(start)),
            slots: slots.collect(),
            geometry,
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.geometry.capacity()
    }

    /// Items claimed for filling and not yet for emptying; of a moment that
    /// may be over.
    pub(crate) fn len(&self) -> usize {
        // This way round the distance is never negative.
        let head = position(self.head.load(Ordering::Acquire));
        let tail = position(self.tail.load(Ordering::Relaxed));
        self.geometry.distance(head, tail).min(self.capacity())
    }

    /// Puts the item in, or gives it back when there is no room. A slot that
    /// is still being emptied is no room.
    #[inline]
    pub(crate) fn push(&self, item: T) -> Result<Sleeper, TryPushError<T>> {
        match self.claim_free(1) {
            Ok(Some((start, _, sleeper))) => {
                self.fill(start, item);
                Ok(sleeper)
            }
            Ok(None) => Err(TryPushError::Full(item)),
            Err(ReceiversGone) => Err(TryPushError::Disconnected(item)),
        }
    }

    /// Moves items from the front of `items` in, as many as there is room
    /// for.
    #[inline]
    pub(crate) fn push_batch(&self, items: &mut Vec<T>) -> Result<(usize, Sleeper), ReceiversGone> {
        let Some((mut at, count, sleeper)) = self.claim_free(items.len())? else {
            return Ok((0, Sleeper::None));
        };
        for item in items.drain(..count) {
            self.fill(at, item);
            at = self.geometry.next(at);
        }
        Ok((count, sleeper))
    }

    /// Takes the next item, if it is there.
    #[inline]
    pub(crate) fn pop(&self) -> Option<(T, Sleeper)> {
        loop {
            let (word, count) = self.find_full(1)?;
            if let Some(sleeper) = self.claim_full(word, count) {
                return Some((self.empty(position(word)), sleeper));
            }
        }
    }

    /// Appends the next items, `at_most` of them, to `into`. Allocates only
    /// if `into` has no room, and never between claiming and taking.
    #[inline]
    pub(crate) fn pop_batch(&self, into: &mut Vec<T>, at_most: usize) -> Option<(usize, Sleeper)> {
        loop {
            let (word, count) = self.find_full(at_most)?;
            into.reserve(count);
            if let Some(sleeper) = self.claim_full(word, count) {
                let mut at = position(word);
                for _ in 0..count {
                    into.push(self.empty(at));
                    at = self.geometry.next(at);
                }
                return Some((count, sleeper));
            }
        }
    }

    /// Claims up to `wanted` free slots: the first position, how many.
    #[inline]
    fn claim_free(&self, wanted: usize) -> Result<Option<(u64, usize, Sleeper)>, ReceiversGone> {
        let mut word = self.tail.load(Ordering::Relaxed);
        loop {
            if word & RECEIVERS_GONE != 0 {
                return Err(ReceiversGone);
            }
            let start = position(word);
            let count = self.run(start, wanted, 0);
            if count == 0 {
                // Full, or `tail` was old. Who moved it did so before the
                // stamp that has just been acquired: it shows now.
                let now = self.tail.load(Ordering::Relaxed);
                if position(now) == start {
                    return Ok(None);
                }
                word = now;
                continue;
            }
            let (taken, sleeper) = take_along(word);
            let claimed = self.geometry.advance(start, count) | rest(taken);
            match self.tail.compare_exchange_weak(
                word,
                claimed,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(Some((start, count, sleeper))),
                Err(now) => word = now,
            }
        }
    }

    /// Looks for up to `wanted` full slots: `head` as it was, how many.
    #[inline]
    fn find_full(&self, wanted: usize) -> Option<(u64, usize)> {
        let mut word = self.head.load(Ordering::Relaxed);
        loop {
            let count = self.run(position(word), wanted, FULL);
            if count > 0 {
                return Some((word, count));
            }
            // Empty, or `head` was old: as in `claim_free`.
            let now = self.head.load(Ordering::Relaxed);
            if position(now) == position(word) {
                return None;
            }
            word = now;
        }
    }

    /// Claims what [`Self::find_full`] has found, if it is still there.
    #[inline]
    fn claim_full(&self, word: u64, count: usize) -> Option<Sleeper> {
        let end = self.geometry.advance(position(word), count);
        let (word_after, sleeper) = if sleepers(word) > 0 && self.has_room_for_sleepers(end) {
            take_one(word)
        } else {
            (word, Sleeper::None)
        };
        let claimed = end | rest(word_after);
        self.head
            .compare_exchange_weak(word, claimed, Ordering::Relaxed, Ordering::Relaxed)
            .ok()
            .map(|_| sleeper)
    }

    /// Whether it is worth a producer's while to wake up once `head` is here:
    /// half of the ring is free. Woken for each single slot, it would fall
    /// asleep after each single item.
    #[cold]
    fn has_room_for_sleepers(&self, head: u64) -> bool {
        // The stamps that were acquired say that `tail` is not before `head`.
        let tail = position(self.tail.load(Ordering::Relaxed));
        self.geometry.distance(head, tail) <= self.capacity() / 2
    }

    /// How many slots from a position on, `at_most`, are in the same state.
    #[inline]
    fn run(&self, mut at: u64, at_most: usize, state: u64) -> usize {
        let mut count = 0;
        while count < at_most.min(self.slots.len())
            && self.slot(at).stamp.load(Ordering::Acquire) == at | state
        {
            count += 1;
            at = self.geometry.next(at);
        }
        count
    }

    #[inline]
    fn fill(&self, at: u64, item: T) {
        let slot = self.slot(at);
        // SAFETY: this position was claimed for filling by this thread alone,
        // and its slot had been seen free.
        slot.item.with_mut(|place| unsafe { (*place).write(item) });
        slot.stamp.store(at | FULL, Ordering::Release);
    }

    #[inline]
    fn empty(&self, at: u64) -> T {
        let slot = self.slot(at);
        // SAFETY: this position was claimed for emptying by this thread alone,
        // and its slot had been seen full: an item was written, and is read
        // this once.
        let item = slot.item.with(|place| unsafe { (*place).assume_init_read() });
        slot.stamp.store(self.geometry.one_lap_on(at), Ordering::Release);
        item
    }

    #[inline]
    fn slot(&self, at: u64) -> &Slot<T> {
        &self.slots[self.geometry.index(at)]
    }
}

impl<T> Ring<T> {
    /// Drops what is there when all receivers are.
    pub(crate) fn discard(&self) {
        let mut backoff = Backoff::default();
        // A claim that was made before may still be being filled.
        while position(self.tail.load(Ordering::Acquire))
            != position(self.head.load(Ordering::Acquire))
        {
            match self.pop() {
                // No producer sleeps where receivers are gone.
                Some((item, _)) => drop(item),
                None => backoff.snooze(),
            }
        }
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

/// The word with one sleeper less, if it has one.
#[inline]
const fn take_one(word: u64) -> (u64, Sleeper) {
    if sleepers(word) > 0 { (word - SLEEPER, Sleeper::Taken) } else { (word, Sleeper::None) }
}

/// The word without those who learn of what comes in: one sleeper, and the
/// watcher.
#[inline]
const fn take_along(word: u64) -> (u64, Sleeper) {
    if !rouses(word) {
        return (word, Sleeper::None);
    }
    let (left, sleeper) = take_one(word);
    match (is_watched(word), sleeper) {
        (false, sleeper) => (left, sleeper),
        (true, Sleeper::None) => (without_watcher(left), Sleeper::Watcher),
        (true, _) => (without_watcher(left), Sleeper::TakenAndWatcher),
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
