//! The incumbent's queue, in our own words: `data-plane.md` §4.7, §4.8 and
//! W64, column REF. Made from the specification alone.
//!
//! Lock-free and not bounded, its depth a counter beside it. Every event
//! notifies all consumers, without their mutex; who just then goes to sleep
//! misses it, and finds it when its slice of 10 ms is over. One event is
//! taken at a time.
//!
//! Where the specification leaves a choice, it gets the better: nobody is
//! notified while nobody waits.

use std::{
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use crossbeam_queue::SegQueue;

use crate::queue::Queue;

const SLICE: Duration = Duration::from_millis(10);

pub(crate) struct Incumbent<T> {
    items: SegQueue<T>,
    depth: AtomicU64,
    waiting: AtomicU64,
    sleepers: Mutex<()>,
    some: Condvar,
    is_closed: AtomicBool,
}

impl<T> Incumbent<T> {
    pub(crate) fn new() -> Self {
        Self {
            items: SegQueue::new(),
            depth: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            sleepers: Mutex::new(()),
            some: Condvar::new(),
            is_closed: AtomicBool::new(false),
        }
    }
}

impl<T: Send> Queue for Incumbent<T> {
    type Item = T;

    fn put(&self, items: &mut Vec<T>) {
        for item in items.drain(..) {
            self.items.push(item);
            self.depth.fetch_add(1, Ordering::SeqCst);
            if self.waiting.load(Ordering::SeqCst) > 0 {
                self.some.notify_all();
            }
        }
    }

    fn take(&self, into: &mut Vec<T>, _at_most: usize) -> bool {
        loop {
            // Read before the look: what was put in before it is found.
            let is_closed = self.is_closed.load(Ordering::Acquire);
            if let Some(item) = self.items.pop() {
                self.depth.fetch_sub(1, Ordering::SeqCst);
                into.push(item);
                return true;
            }
            if is_closed {
                return false;
            }
            let sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
            self.waiting.fetch_add(1, Ordering::SeqCst);
            // The depth, not the queue, which has no wait of its own.
            if self.depth.load(Ordering::SeqCst) == 0 && !self.is_closed.load(Ordering::Acquire) {
                drop(self.some.wait_timeout(sleepers, SLICE));
            }
            self.waiting.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.some.notify_all();
    }
}
