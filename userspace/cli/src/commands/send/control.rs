//! What the sending and the reporting thread know of each other.

use std::{
    mem,
    path::Path,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use xdpsar::SegmenterStats;

#[derive(Debug, Default)]
pub(super) struct Control {
    stopping: AtomicBool,
    state: Mutex<State>,
    told: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stats: SegmenterStats,
    ended: Option<Instant>,
    changed: Vec<String>,
}

impl Control {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for the end: no more events, and only some time for those on their
    /// way.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Says how far sending has got.
    pub(super) fn publish(&self, stats: SegmenterStats) {
        self.state().stats = stats;
    }

    /// Says that a file is no longer what it was when it was sent.
    pub(super) fn changed(&self, path: &Path) {
        self.state().changed.push(path.display().to_string());
    }

    /// The files that are no longer what they were.
    pub(super) fn take_changed(&self) -> Vec<String> {
        mem::take(&mut self.state().changed)
    }

    pub(super) fn stats(&self) -> SegmenterStats {
        self.state().stats.clone()
    }

    /// Says that it has ended, once dropped.
    pub(super) fn ending(&self) -> Ending<'_> {
        Ending(self)
    }

    /// Waits so long at most; whether sending has ended.
    pub(super) fn wait_for_the_end(&self, timeout: Duration) -> bool {
        let state = self.state();
        if state.ended.is_some() {
            return true;
        }
        let waited = self.told.wait_timeout(state, timeout);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended.is_some()
    }

    /// When sending ended, or now.
    pub(super) fn ended(&self) -> Instant {
        self.state().ended.unwrap_or_else(Instant::now)
    }
}

/// The sending thread's life.
pub(super) struct Ending<'a>(&'a Control);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.state().ended = Some(Instant::now());
        self.0.told.notify_all();
    }
}
