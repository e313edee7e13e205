//! How the workers of a fanned-out queue get their frames back into its one
//! fill ring without ever waiting for each other.
//!
//! ```text
//! worker 0 ─┐ owned by nobody: own it, post ─────────────▶ ┌───────────┐
//! worker 1 ─┤                                              │ fill ring │
//! worker 2 ─┘ owned by another: put ─▶ Returns ─ the owner ▶ └───────────┘
//! ```
//!
//! No frame is stranded. A worker that finds the ring owned has put its
//! frames into `returns` *before* its last attempt to own the ring. That
//! attempt is a read-modify-write of the flag, and so is the owner's letting
//! go, which therefore comes after it in the flag's modification order and
//! acquires what the worker released: the owner sees the frames when it looks
//! at `returns` once more, and tries to own the ring again for their sake.

use super::returns::{Numbered, Returns};
use crate::sync::{
    UnsafeCell,
    atomic::{AtomicBool, Ordering},
};

/// A fill ring with one owner at a time, and frames on their way to it.
#[derive(Debug)]
pub(crate) struct HandBack<R> {
    returns: Returns,
    owned: AtomicBool,
    ring: UnsafeCell<R>,
}

// SAFETY: `ring` is reached only by the one thread that turned `owned` from
// false to true (`try_own`), until it turns it back; both with the ordering
// that makes one owner's accesses happen before the next one's.
unsafe impl<R: Send> Sync for HandBack<R> {}

/// Whether [`HandBack::give`]'s `post` may be called again at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// It took all there was.
    Left,
    /// The ring is full.
    None,
}

impl<R> HandBack<R> {
    /// For tokens numbered below `frames`.
    pub(crate) fn new(frames: usize, ring: R) -> Self {
        Self {
            returns: Returns::new(frames),
            owned: AtomicBool::new(false),
            ring: UnsafeCell::new(ring),
        }
    }

    /// Sees to it that `tokens` get posted, by us or by the ring's present
    /// owner. `post` gets the ring, our tokens (those it leaves there are put
    /// into the returns) and what others have put. It must not panic.
    pub(crate) fn give<T: Numbered>(
        &self,
        tokens: &mut Vec<T>,
        mut post: impl FnMut(&mut R, &mut Vec<T>, &Returns) -> Room,
    ) {
        if !self.try_own() {
            self.returns.put_all(tokens.drain(..));
            if !self.try_own() {
                return;
            }
        }
        loop {
            let room = self.ring.with_mut(|ring| {
                // SAFETY: we own the ring (`try_own`), and the reference ends
                // here, before `disown`.
                post(unsafe { &mut *ring }, tokens, &self.returns)
            });
            self.returns.put_all(tokens.drain(..));
            self.disown();
            if room == Room::None || self.returns.is_empty() || !self.try_own() {
                return;
            }
        }
    }

    /// Tokens that are in no worker's hands and not yet posted: those who gave
    /// them are gone.
    pub(crate) fn waiting(&mut self) -> usize {
        self.returns.take().count()
    }

    /// A swap even where the flag is already set: see the module.
    fn try_own(&self) -> bool {
        !self.owned.swap(true, Ordering::AcqRel)
    }

    fn disown(&self) {
        self.owned.swap(false, Ordering::AcqRel);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::{Arc, Barrier};

    use super::*;

    fn post(ring: &mut Vec<u32>, own: &mut Vec<u32>, returns: &Returns) -> Room {
        ring.append(own);
        ring.extend(returns.take());
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
        let mut shared = Arc::into_inner(shared).expect("sole owner");
        assert_eq!(shared.waiting(), 0, "tokens left behind");
        let mut ring = shared.ring.with_mut(|ring| {
            // SAFETY: ours alone.
            std::mem::take(unsafe { &mut *ring })
        });
        ring.sort_unstable();
        assert!(ring.iter().copied().eq(0..workers * each), "each token once");
    }

    #[test]
    fn a_stalled_owner_blocks_nobody() {
        let mut shared = HandBack::new(8, Vec::new());
        assert!(shared.try_own());
        let mut batch = vec![1, 2, 3];
        shared.give(&mut batch, post);
        assert!(batch.is_empty());
        assert!(shared.returns.take().eq([3, 2, 1]));
        shared.returns.put_all([1, 2, 3].into_iter());
        shared.disown();
        shared.give(&mut batch, post);
        assert_eq!(shared.waiting(), 0);
    }

    #[test]
    fn what_a_full_ring_refuses_is_kept() {
        let mut shared = HandBack::new(8, Vec::new());
        let mut batch = vec![1, 2, 3];
        shared.give(&mut batch, |ring, own, _| {
            ring.push(own.remove(0));
            Room::None
        });
        assert!(batch.is_empty() && !shared.returns.is_empty());
        shared.give(&mut batch, post);
        assert_eq!(shared.waiting(), 0);
    }
}

/// Run by `RUSTFLAGS='--cfg loom' cargo test --release --lib loom`.
#[cfg(all(test, loom))]
mod loom_tests {
    use loom::{sync::Arc, thread};

    use super::*;

    fn post(ring: &mut Vec<u32>, own: &mut Vec<u32>, returns: &Returns) -> Room {
        ring.append(own);
        ring.extend(returns.take());
        Room::Left
    }

    /// Whoever comes last, every frame is in the ring when all have given
    /// theirs, once, and the ring has one owner at a time (loom's cell sees
    /// that).
    fn nothing_is_stranded(gifts: &'static [&'static [&'static [u32]]]) {
        loom::model(move || {
            let frames = gifts.iter().flat_map(|worker| worker.concat()).count();
            let shared = Arc::new(HandBack::new(frames, Vec::new()));
            let give = move |shared: &HandBack<Vec<u32>>, worker: usize| {
                for gift in gifts[worker] {
                    let mut batch = gift.to_vec();
                    shared.give(&mut batch, post);
                    assert!(batch.is_empty());
                }
            };
            let threads: Vec<_> = (1..gifts.len())
                .map(|worker| {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || give(&shared, worker))
                })
                .collect();
            give(&shared, 0);
            for thread in threads {
                thread.join().unwrap();
            }
            assert!(shared.returns.is_empty(), "frames left behind");
            let mut ring = shared.ring.with_mut(|ring| {
                // SAFETY: the other threads have ended.
                std::mem::take(unsafe { &mut *ring })
            });
            ring.sort_unstable();
            assert!(ring.into_iter().eq(0..frames as u32), "each frame once");
        });
    }

    #[test]
    fn loom_two_workers_give_twice() {
        nothing_is_stranded(&[&[&[0], &[1]], &[&[2], &[3]]]);
    }

    #[test]
    fn loom_three_workers_give_once() {
        nothing_is_stranded(&[&[&[0]], &[&[1]], &[&[2, 3]]]);
    }
}
