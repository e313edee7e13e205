//! What one would write first: a queue that is polled, and a queue behind a
//! mutex.

use std::{
    collections::VecDeque,
    iter::from_fn,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::yield_now,
};

use crossbeam_queue::ArrayQueue;

use crate::{CAPACITY, queue::Queue};

/// A lock-free queue without waiting: both ends poll, and yield the core.
pub(crate) struct Polled<T> {
    items: ArrayQueue<T>,
    is_closed: AtomicBool,
}

impl<T> Polled<T> {
    pub(crate) fn new() -> Self {
        Self { items: ArrayQueue::new(CAPACITY), is_closed: AtomicBool::new(false) }
    }
}

impl<T: Send> Queue for Polled<T> {
    type Item = T;

    fn put(&self, items: &mut Vec<T>) {
        for mut item in items.drain(..) {
            while let Err(back) = self.items.push(item) {
                item = back;
                yield_now();
            }
        }
    }

    fn take(&self, into: &mut Vec<T>, at_most: usize) -> bool {
        loop {
            // Read before the look: what was put in before it is found.
            let is_closed = self.is_closed.load(Ordering::Acquire);
            let before = into.len();
            into.extend(from_fn(|| self.items.pop()).take(at_most));
            if into.len() > before {
                return true;
            }
            if is_closed {
                return false;
            }
            yield_now();
        }
    }

    fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }
}

/// A mutex around a deque, locked once per batch; who waits is counted, so
/// that nobody is called who is not there.
pub(crate) struct Mutexed<T> {
    state: Mutex<State<T>>,
    items: Condvar,
    room: Condvar,
}

struct State<T> {
    items: VecDeque<T>,
    consumers_waiting: usize,
    producers_waiting: usize,
    is_closed: bool,
}

impl<T> Mutexed<T> {
    pub(crate) fn new() -> Self {
        let state = State {
            items: VecDeque::with_capacity(CAPACITY),
            consumers_waiting: 0,
            producers_waiting: 0,
            is_closed: false,
        };
        Self { state: Mutex::new(state), items: Condvar::new(), room: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send> Queue for Mutexed<T> {
    type Item = T;

    fn put(&self, items: &mut Vec<T>) {
        let mut state = self.lock();
        while !items.is_empty() {
            let count = items.len().min(CAPACITY - state.items.len());
            if count == 0 {
                state.producers_waiting += 1;
                state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.producers_waiting -= 1;
                continue;
            }
            state.items.extend(items.drain(..count));
            for _ in 0..count.min(state.consumers_waiting) {
                self.items.notify_one();
            }
        }
    }

    fn take(&self, into: &mut Vec<T>, at_most: usize) -> bool {
        let mut state = self.lock();
        loop {
            let count = at_most.min(state.items.len());
            if count > 0 {
                into.extend(state.items.drain(..count));
                for _ in 0..count.min(state.producers_waiting) {
                    self.room.notify_one();
                }
                return true;
            }
            if state.is_closed {
                return false;
            }
            state.consumers_waiting += 1;
            state = self.items.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.consumers_waiting -= 1;
        }
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.items.notify_all();
    }
}
