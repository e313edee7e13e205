//! How the workers of a fanned-out queue get their frames back into its one
//! fill ring without ever waiting for each other.
//!
//! ```text
//! worker 0 ─┐ owned by nobody: own it, post ─────────────▶ ┌───────────┐
//! worker 1 ─┤                                              │ fill ring │
//! worker 2 ─┘ owned by another: put ─▶ returns ─ the owner ▶ └───────────┘
//! ```
//!
//! No frame is stranded. A worker that finds the ring owned has put its
//! frames into `returns` *before* its last attempt to own the ring. That
//! attempt is a read-modify-write of the flag, and so is the owner's letting
//! go, which therefore comes after it in the flag's modification order and
//! acquires what the worker released: the owner sees the frames when it looks
//! at `returns` once more, and tries to own the ring again for their sake.

use std::{
    cell::UnsafeCell,
    sync::atomic::{AtomicBool, Ordering},
};

use crossbeam_queue::ArrayQueue;

/// A fill ring with one owner at a time, and frames on their way to it.
#[derive(Debug)]
pub(crate) struct HandBack<T, R> {
    returns: ArrayQueue<T>,
    owned: AtomicBool,
    ring: UnsafeCell<R>,
}

// SAFETY: `ring` is reached only by the one thread that turned `owned` from
// false to true (`try_own`), until it turns it back; both with the ordering
// that makes one owner's accesses happen before the next one's.
unsafe impl<T: Send, R: Send> Sync for HandBack<T, R> {}

/// Whether [`HandBack::give`]'s `post` may be called again at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// It took all there was.
    Left,
    /// The ring is full.
    None,
}

impl<T, R> HandBack<T, R> {
    /// `capacity`: all tokens there are, so that putting one never fails.
    pub(crate) fn new(capacity: usize, ring: R) -> Self {
        Self {
            returns: ArrayQueue::new(capacity),
            owned: AtomicBool::new(false),
            ring: UnsafeCell::new(ring),
        }
    }

    /// Sees to it that `tokens` get posted, by us or by the ring's present
    /// owner. `post` gets the ring, our tokens (those it leaves there are put
    /// into the returns) and what others have put. It must not panic.
    pub(crate) fn give(
        &self,
        tokens: &mut Vec<T>,
        mut post: impl FnMut(&mut R, &mut Vec<T>, &ArrayQueue<T>) -> Room,
    ) {
        if !self.try_own() {
            self.put(tokens);
            if !self.try_own() {
                return;
            }
        }
        loop {
            // SAFETY: we own the ring (`try_own`), and the reference ends
            // with this statement, before `disown`.
            let room = post(unsafe { &mut *self.ring.get() }, tokens, &self.returns);
            self.put(tokens);
            self.disown();
            if room == Room::None || self.returns.is_empty() || !self.try_own() {
                return;
            }
        }
    }

    /// Keeps tokens for whoever owns the ring next.
    pub(crate) fn put(&self, tokens: &mut Vec<T>) {
        for token in tokens.drain(..) {
            assert!(self.returns.push(token).is_ok(), "more frames than the UMEM has");
        }
    }

    /// Tokens that are in no worker's hands and not yet posted.
    pub(crate) fn waiting(&self) -> usize {
        self.returns.len()
    }

    /// A swap even where the flag is already set: see the module.
    fn try_own(&self) -> bool {
        !self.owned.swap(true, Ordering::AcqRel)
    }

    fn disown(&self) {
        self.owned.swap(false, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};

    use super::*;

    fn post(ring: &mut Vec<u32>, own: &mut Vec<u32>, returns: &ArrayQueue<u32>) -> Room {
        ring.append(own);
        while let Some(token) = returns.pop() {
            ring.push(token);
        }
        Room::Left
    }

    #[test]
    fn nothing_is_stranded_whoever_comes_last() {
        let workers: u32 = 4;
        let each: u32 = if cfg!(miri) { 50 } else { 20_000 };
        let shared = Arc::new(HandBack::new((workers * each) as usize, Vec::new()));
        let start = Arc::new(Barrier::new(workers as usize));
        let threads: Vec<_> = (0..workers)
            .map(|worker| {
                let (shared, start) = (Arc::clone(&shared), Arc::clone(&start));
                std::thread::spawn(move || {
                    start.wait();
                    let mut batch = Vec::with_capacity(3);
                    for i in 0..each {
                        batch.push(worker * each + i);
                        if batch.len() == 3 || i + 1 == each {
                            shared.give(&mut batch, post);
                            assert!(batch.is_empty());
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("worker");
        }
        assert_eq!(shared.waiting(), 0, "tokens left behind");
        let mut shared = Arc::into_inner(shared).expect("sole owner");
        let ring = shared.ring.get_mut();
        ring.sort_unstable();
        assert!(ring.iter().copied().eq(0..workers * each), "each token once");
    }

    #[test]
    fn a_stalled_owner_blocks_nobody() {
        let shared: HandBack<u32, Vec<u32>> = HandBack::new(8, Vec::new());
        assert!(shared.try_own());
        let mut batch = vec![1, 2, 3];
        shared.give(&mut batch, post);
        assert_eq!((batch.len(), shared.waiting()), (0, 3));
        shared.disown();
        shared.give(&mut batch, post);
        assert_eq!(shared.waiting(), 0);
    }

    #[test]
    fn what_a_full_ring_refuses_is_kept() {
        let shared: HandBack<u32, Vec<u32>> = HandBack::new(8, Vec::new());
        let mut batch = vec![1, 2, 3];
        shared.give(&mut batch, |ring, own, _| {
            ring.push(own.remove(0));
            Room::None
        });
        assert_eq!((batch.len(), shared.waiting()), (0, 2));
        shared.give(&mut batch, post);
        assert_eq!(shared.waiting(), 0);
    }
}
