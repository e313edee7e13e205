//! No more on the way to the workers than memory allows.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use xdpsar::Error;

/// Events on their way, at most: less than the segmenter's queue holds.
const EVENTS: usize = 256;
/// Their bytes; a single event may be longer.
const BYTES: u64 = 256 << 20;

/// Counts what is on its way to the workers.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    events: usize,
    bytes: u64,
    /// The first event's that did not go out, unless by our own stop.
    failure: Option<Error>,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets an event in, if there is room within that time.
    ///
    /// # Errors
    /// An earlier event's.
    pub(super) fn enter(&self, bytes: u64, timeout: Duration) -> Result<bool, Error> {
        let is_full = |state: &mut State| {
            state.failure.is_none()
                && state.events > 0
                && (state.events >= EVENTS || state.bytes.saturating_add(bytes) > BYTES)
        };
        let waited = self.changed.wait_timeout_while(self.state(), timeout, is_full);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        if waited.timed_out() {
            return Ok(false);
        }
        state.events += 1;
        state.bytes += bytes;
        Ok(true)
    }

    /// An event of so many bytes is no longer on its way.
    pub(super) fn leave(&self, bytes: u64, sent: Result<(), Error>) {
        let mut state = self.state();
        state.events -= 1;
        state.bytes -= bytes;
        match sent {
            Ok(()) | Err(Error::Stopped) => {}
            Err(error) => {
                state.failure.get_or_insert(error);
            }
        }
        self.changed.notify_all();
    }

    /// Whether nothing is on its way any more, within that time.
    ///
    /// # Errors
    /// An event's that did not go out.
    pub(super) fn is_empty(&self, timeout: Duration) -> Result<bool, Error> {
        let waited = self.changed.wait_timeout_while(self.state(), timeout, |s| s.events > 0);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        match state.failure.take() {
            Some(failure) if !waited.timed_out() => Err(failure),
            failure => {
                state.failure = failure;
                Ok(!waited.timed_out())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(1);

    #[test]
    fn events_and_bytes_are_bounded_but_one_event_may_be_any_size() {
        let gate = Gate::default();
        assert!(gate.enter(BYTES * 2, SOON).unwrap());
        assert!(!gate.enter(1, SOON).unwrap());
        gate.leave(BYTES * 2, Ok(()));
        for _ in 0..EVENTS {
            assert!(gate.enter(1, SOON).unwrap());
        }
        assert!(!gate.enter(0, SOON).unwrap());
        assert!(!gate.is_empty(SOON).unwrap());
        for _ in 0..EVENTS {
            gate.leave(1, Ok(()));
        }
        assert!(gate.is_empty(SOON).unwrap());
    }

    #[test]
    fn a_failure_is_told_once_and_a_stop_is_none() {
        let gate = Gate::default();
        for _ in 0..2 {
            assert!(gate.enter(1, SOON).unwrap());
        }
        gate.leave(1, Err(Error::Stopped));
        gate.leave(1, Err(Error::QueueFull { capacity: 7 }));
        assert!(matches!(gate.enter(1, SOON), Err(Error::QueueFull { capacity: 7 })));
        assert!(gate.is_empty(SOON).unwrap());
    }
}
