//! Frames on their way back to whoever posts them, put there by any thread.
//!
//! ```text
//!  put, any thread ─┐                 below
//!  put, any thread ─┴─▶ top ─▶ 17 ─▶ 4 ─▶ 2031 ─▶ nothing
//!                        │
//!                        └── take: all of it at once, newest first
//! ```
//!
//! A stack of frame numbers, linked through an array that has a place for
//! each frame: there is always room, so nobody waits and nothing is allocated.
//! Only whole stacks are taken, which is why a top that is seen again (a
//! frame that was taken, lent and put back meanwhile) does no harm: what lies
//! below it then is what lies below it now.
//!
//! Whoever takes a frame sees what the thread that put it did before, even if
//! others have put theirs on top since: each put is a read-modify-write of
//! `top` and so carries on the release of those below.

use crossbeam_utils::CachePadded;

use crate::sync::atomic::{AtomicU32, Ordering};

/// Ends the stack; no frame has this number.
const NOTHING: u32 = u32::MAX;

/// What has a frame's number and can be had back for it.
pub(crate) trait Numbered {
    /// Gives up the thing for its number.
    fn into_number(self) -> u32;
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Returns {
    top: CachePadded<AtomicU32>,
    below: Box<[AtomicU32]>,
}

impl Returns {
    /// For frames numbered below `frames`.
    pub(crate) fn new(frames: usize) -> Self {
        Self {
            top: CachePadded::new(AtomicU32::new(NOTHING)),
            below: (0..frames).map(|_| AtomicU32::new(NOTHING)).collect(),
        }
    }

    /// Puts a frame, which is in nobody else's hands.
    #[inline]
    pub(crate) fn put(&self, number: u32) {
        self.put_linked(number, number);
    }

    /// Puts several at once; the last of them is on top.
    pub(crate) fn put_all<T: Numbered>(&self, things: impl Iterator<Item = T>) {
        let mut numbers = things.map(T::into_number);
        let Some(bottom) = numbers.next() else { return };
        let mut top = bottom;
        for number in numbers {
            self.below[number as usize].store(top, Ordering::Relaxed);
            top = number;
        }
        self.put_linked(top, bottom);
    }

    #[inline]
    fn put_linked(&self, top: u32, bottom: u32) {
        let mut seen = self.top.load(Ordering::Relaxed);
        loop {
            self.below[bottom as usize].store(seen, Ordering::Relaxed);
            match self.top.compare_exchange_weak(seen, top, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Takes all there are, newest first. Those that are not drawn from the
    /// iterator are lost.
    #[inline]
    pub(crate) fn take(&self) -> Taken<'_> {
        Taken { returns: self, next: self.top.swap(NOTHING, Ordering::Acquire) }
    }

    /// Whether there is nothing to take. May be out of date at once, and
    /// orders nothing.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.top.load(Ordering::Relaxed) == NOTHING
    }
}

/// Frame numbers that belong to their taker.
#[derive(Debug)]
#[must_use = "the frames would be lost"]
pub(crate) struct Taken<'a> {
    returns: &'a Returns,
    next: u32,
}

impl Iterator for Taken<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        let number = self.next;
        if number == NOTHING {
            return None;
        }
        // Before it is out of our hands and may be put again.
        self.next = self.returns.below[number as usize].load(Ordering::Relaxed);
        Some(number)
    }
}

#[cfg(test)]
impl Numbered for u32 {
    fn into_number(self) -> u32 {
        self
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn newest_first_and_all_at_once() {
        let returns = Returns::new(10);
        assert!(returns.is_empty());
        assert_eq!(returns.take().next(), None);
        returns.put(3);
        returns.put_all([7, 1, 9].into_iter());
        returns.put_all(std::iter::empty::<u32>());
        returns.put(0);
        assert!(!returns.is_empty());
        assert!(returns.take().eq([0, 9, 1, 7, 3]));
        assert!(returns.is_empty());
        returns.put(9);
        assert!(returns.take().eq([9]));
    }
}
