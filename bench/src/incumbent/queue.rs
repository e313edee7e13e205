//! From the receiver to the consumers: `data-plane.md` §4.7, §4.8, W64.
//!
//! Lock-free and not bounded, its depth a counter beside it. Every event
//! notifies all consumers, without their mutex; who just then goes to sleep
//! misses it, and finds it when its slice of 10 ms is over. One event is
//! taken at a time.

use std::{
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use crossbeam_queue::SegQueue;

const SLICE: Duration = Duration::from_millis(10);

/// The incumbent's queue.
#[derive(Debug)]
pub struct Queue<T> {
    items: SegQueue<T>,
    depth: AtomicU64,
    waiting: AtomicU64,
    sleepers: Mutex<()>,
    some: Condvar,
    is_closed: AtomicBool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
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

impl<T> Queue<T> {
    /// Puts an item in.
    pub fn push(&self, item: T) {
        self.items.push(item);
        self.depth.fetch_add(1, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.some.notify_all();
        }
    }

    /// Takes an item, if there is one.
    pub fn pop(&self) -> Option<T> {
        let item = self.items.pop()?;
        self.depth.fetch_sub(1, Ordering::SeqCst);
        Some(item)
    }

    /// Waits for an item; `None` when there will be no more.
    pub fn take(&self) -> Option<T> {
        loop {
            // Read before the look: what was put in before it is found.
            let is_closed = self.is_closed.load(Ordering::Acquire);
            let item = self.pop();
            if item.is_some() || is_closed {
                return item;
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

    /// There will be no more.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.some.notify_all();
    }
}
