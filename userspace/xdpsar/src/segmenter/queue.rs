//! From the producers to the sender threads: a bounded queue, in the order of
//! event numbers.
//!
//! ```text
//!  producers ─▶ line: number the event, queue it ─▶ bounded channel ─▶ workers
//!       ▲              (one lock for both)                               │
//!       └───────────── room, once the queue is half empty ◀──────────────┤
//!  flush ◀──────────── barrier: all that was queued before is told ◀─────┘
//! ```

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering, fence},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, TrySendError};

use super::{
    Buffer, EventOptions, Refused,
    ticket::{Completion, inside_callback},
};
use crate::{Error, SendError};

/// An event that is to be sent.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) event_number: u64,
    pub(super) options: EventOptions,
    pub(super) buffer: Buffer,
    pub(super) completion: Completion,
    // After the completion: fields are dropped in this order.
    _barrier: Arc<Barrier>,
}

/// The producers' side.
#[derive(Debug)]
pub(super) struct Queue {
    line: Mutex<Line>,
    room: Condvar,
    /// Producers that wait for room.
    waiting: AtomicUsize,
    capacity: usize,
    panics: Arc<AtomicU64>,
}

/// What one producer at a time holds.
#[derive(Debug)]
struct Line {
    next_event: u64,
    /// `None` while there are no workers: before the start, after the stop.
    jobs: Option<Sender<Job>>,
    barrier: Arc<Barrier>,
    counters: QueueCounters,
}

/// What came through the queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct QueueCounters {
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) refused_full: u64,
    pub(super) high_water: usize,
}

impl Queue {
    pub(super) fn new(first_event: u64, capacity: usize) -> Self {
        Self {
            line: Mutex::new(Line {
                next_event: first_event,
                jobs: None,
                barrier: Arc::default(),
                counters: QueueCounters::default(),
            }),
            room: Condvar::new(),
            waiting: AtomicUsize::new(0),
            capacity,
            panics: Arc::default(),
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Nothing of ours panics while holding it, and if: it is whole.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes events in from now on, and hands out the workers' end.
    pub(super) fn open(&self) -> Receiver<Job> {
        let (jobs, taken) = crossbeam_channel::bounded(self.capacity);
        self.line().jobs = Some(jobs);
        taken
    }

    /// Takes no more events in. What is queued stays for the workers.
    pub(super) fn close(&self) {
        self.line().jobs = None;
        self.room.notify_all();
    }

    /// The number of an event that is sent past the queue.
    pub(super) fn number(&self, named: Option<u64>) -> u64 {
        self.line().number(named)
    }

    /// Queues an event. Without room it waits for some, so long at most; a
    /// callback must not, as it would wait for itself.
    /// `tell` makes what is to be told, and what the producer gets.
    pub(super) fn push<T>(
        &self,
        buffer: Buffer,
        options: EventOptions,
        wait: Duration,
        tell: impl FnOnce(u64, &Arc<AtomicU64>) -> (Completion, T),
    ) -> Result<T, Refused> {
        let length = buffer.len();
        if u32::try_from(length).is_err() {
            let error = SendError::TooLong { length };
            return Err(Refused { buffer, error: error.into() });
        }
        let mut line = self.line();
        let mut since = None;
        while line.jobs.as_ref().is_some_and(Sender::is_full) {
            let left = wait.saturating_sub(since.get_or_insert_with(Instant::now).elapsed());
            if left.is_zero() || inside_callback() {
                // Who has waited in vain may be about to wait again.
                line.counters.refused_full += u64::from(wait.is_zero() || inside_callback());
                let error = Error::QueueFull { capacity: self.capacity };
                return Err(Refused { buffer, error });
            }
            line = self.wait_for_room(line, left);
        }
        let Line { next_event, jobs, barrier, counters } = &mut *line;
        let Some(jobs) = jobs else {
            return Err(Refused { buffer, error: Error::Stopped });
        };
        let event_number = options.event_number.unwrap_or(*next_event);
        let (completion, receipt) = tell(event_number, &self.panics);
        let barrier = Arc::clone(barrier);
        let job = Job { event_number, options, buffer, completion, _barrier: barrier };
        match jobs.try_send(job) {
            Ok(()) => {
                *next_event = event_number.wrapping_add(1);
                counters.events += 1;
                counters.bytes += length;
                counters.high_water = counters.high_water.max(jobs.len());
                Ok(receipt)
            }
            // Only who holds the line fills the queue, so it is not full; and
            // the segmenter keeps a receiver for as long as the queue is open.
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                job.completion.cancel();
                Err(Refused { buffer: job.buffer, error: Error::Stopped })
            }
        }
    }

    fn wait_for_room<'a>(
        &'a self,
        line: MutexGuard<'a, Line>,
        at_most: Duration,
    ) -> MutexGuard<'a, Line> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // Either the worker that makes room sees us waiting, or we see the
        // room it made.
        fence(Ordering::SeqCst);
        let full = line.jobs.as_ref().is_some_and(Sender::is_full);
        let line = match full {
            true => {
                let woken = self.room.wait_timeout(line, at_most);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
            false => line,
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        line
    }

    /// For workers, after they have taken an event: wakes producers once the
    /// queue is half empty. Sooner, each event would wake one.
    pub(super) fn made_room(&self, left: usize) {
        fence(Ordering::SeqCst);
        if left <= self.capacity / 2 && self.waiting.load(Ordering::Relaxed) > 0 {
            // A producer between its look and its sleep holds the line.
            drop(self.line());
            self.room.notify_all();
        }
    }

    /// A flush of all that was queued before. Inside a callback, which would
    /// wait for itself, there is nothing to wait for.
    pub(super) fn flush(&self) -> Flush {
        if inside_callback() {
            return Flush(None);
        }
        let mut line = self.line();
        let next = Arc::<Barrier>::default();
        let before = std::mem::replace(&mut line.barrier, Arc::clone(&next));
        // Under the lock: the next flush must find it.
        before.keep(next);
        drop(line);
        let told = Arc::clone(&before.told);
        drop(before);
        Flush(Some(told))
    }

    /// Callbacks that panicked.
    pub(super) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// What came through.
    pub(super) fn counters(&self) -> QueueCounters {
        self.line().counters
    }
}

impl Line {
    /// Uses up a number: the one named, from which others count on, or the
    /// next.
    fn number(&mut self, named: Option<u64>) -> u64 {
        let event_number = named.unwrap_or(self.next_event);
        self.next_event = event_number.wrapping_add(1);
        event_number
    }
}

impl Job {
    /// Gives the bytes back, then tells.
    pub(super) fn finish(self, result: Result<(), Error>) {
        drop(self.buffer);
        self.completion.complete(result);
    }
}

/// A flush under way: see [`Submitter::begin_flush`](super::Submitter::begin_flush).
#[derive(Debug)]
#[must_use = "a flush waits only when it is told to"]
pub struct Flush(Option<Arc<Latch>>);

impl Flush {
    /// Waits until it is done.
    pub fn wait(&self) {
        while !self.wait_timeout(Duration::MAX) {}
    }

    /// The same, but not longer than that. Whether it is done.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.0.as_ref().is_none_or(|told| told.wait_timeout(timeout))
    }
}

/// Held by every event that was queued between two flushes, and by the
/// barrier before: gone when all of those are.
#[derive(Debug, Default)]
struct Barrier {
    told: Arc<Latch>,
    next: OnceLock<Arc<Barrier>>,
}

impl Barrier {
    fn keep(&self, next: Arc<Self>) {
        // A barrier is replaced once only.
        let _ = self.next.set(next);
    }
}

impl Drop for Barrier {
    fn drop(&mut self) {
        self.told.open();
    }
}

/// Opens once, for all who wait.
#[derive(Debug, Default)]
struct Latch {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Latch {
    fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }

    fn wait_timeout(&self, timeout: Duration) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let open = self.opened.wait_timeout_while(open, timeout, |open| !*open);
        *open.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests;
