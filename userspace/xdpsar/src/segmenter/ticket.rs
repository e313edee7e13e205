//! What became of a queued event: told exactly once.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::Error;

/// What became of a queued event.
#[derive(Debug)]
pub struct Outcome {
    /// Its number.
    pub event_number: u64,
    /// The kernel has taken all of it, or why not. [`Error::Stopped`]: the
    /// segmenter was stopped before.
    pub result: Result<(), Error>,
}

/// A queued event's receipt. Dropping it changes nothing for the event.
#[derive(Debug)]
#[must_use = "an event that was not sent is told here; or count by `SegmenterStats`"]
pub struct Ticket {
    event_number: u64,
    slot: Arc<Slot>,
}

impl Ticket {
    /// The number that the event has.
    pub fn event_number(&self) -> u64 {
        self.event_number
    }

    /// Waits until the kernel has taken the event, and returns its number.
    ///
    /// # Errors
    /// [`Error::Send`]: it did not go out, or not whole. [`Error::Stopped`]:
    /// the segmenter was stopped before.
    pub fn wait(self) -> Result<u64, Error> {
        let mut state = self.slot.lock();
        loop {
            if let Some(result) = state.result.take() {
                return result.map(|()| self.event_number);
            }
            state.awaited = true;
            state = self.slot.told.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The same, but not longer than that: the ticket comes back if the event
    /// is still on its way.
    ///
    /// # Errors
    /// The ticket itself.
    pub fn wait_timeout(self, timeout: Duration) -> Result<Result<u64, Error>, Self> {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.slot.lock();
        loop {
            if let Some(result) = state.result.take() {
                return Ok(result.map(|()| self.event_number));
            }
            state.awaited = true;
            // Without a deadline it is further away than time can tell.
            let left = deadline.map_or(timeout, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                drop(state);
                return Err(self);
            }
            let waited = self.slot.told.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What became of the event, if that is known already.
    ///
    /// # Errors
    /// The ticket itself, while the event is on its way.
    pub fn try_wait(self) -> Result<Result<u64, Error>, Self> {
        self.wait_timeout(Duration::ZERO)
    }

    /// Has `told` called with what becomes of the event, once: on a worker's
    /// thread, as with [`Submitter::submit_with`](super::Submitter::submit_with),
    /// or here and now if that is known already.
    pub fn then(self, told: impl FnOnce(Outcome) + Send + 'static) {
        let mut state = self.slot.lock();
        let Some(result) = state.result.take() else {
            state.then = Some(Box::new(told));
            return;
        };
        drop(state);
        told(Outcome { event_number: self.event_number, result });
    }

    /// A handle that withdraws the event.
    pub fn canceller(&self) -> Canceller {
        Canceller(Arc::clone(&self.slot))
    }
}

/// Withdraws a queued event.
#[derive(Clone, Debug)]
pub struct Canceller(Arc<Slot>);

impl Canceller {
    /// Has the event not sent, unless a worker has begun with it or it has
    /// been told. Whether it will not be sent.
    ///
    /// It keeps its place in the queue, its bytes and its number; once a
    /// worker gets there, it is told [`Error::Cancelled`].
    pub fn cancel(&self) -> bool {
        let mut state = self.0.lock();
        if state.stage == Stage::Queued {
            state.stage = Stage::Cancelled;
        }
        state.stage == Stage::Cancelled
    }
}

/// Where worker and ticket meet.
#[derive(Debug, Default)]
struct Slot {
    state: Mutex<State>,
    told: Condvar,
}

#[derive(Default)]
struct State {
    result: Option<Result<(), Error>>,
    /// To be called instead.
    then: Option<Callback>,
    /// Whether somebody sleeps: waking nobody is a system call as well.
    awaited: bool,
    stage: Stage,
}

/// How far an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Queued,
    /// A worker has it, or had.
    Begun,
    /// It was withdrawn before.
    Cancelled,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("result", &self.result)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells who waits, or returns what is to be called.
    fn tell(&self, result: Result<(), Error>) -> Option<(Callback, Result<(), Error>)> {
        let mut state = self.lock();
        if state.stage == Stage::Queued {
            // It failed before it was begun.
            state.stage = Stage::Begun;
        }
        if let Some(then) = state.then.take() {
            return Some((then, result));
        }
        state.result = Some(result);
        let awaited = state.awaited;
        drop(state);
        if awaited {
            self.told.notify_one();
        }
        None
    }
}

/// Called with an event's outcome.
pub(super) type Callback = Box<dyn FnOnce(Outcome) + Send>;

/// The duty to tell what became of an event. Whoever drops it without having
/// told tells that it was stopped: no ticket waits for ever.
pub(super) struct Completion {
    event_number: u64,
    to: Option<To>,
    panics: Arc<AtomicU64>,
}

enum To {
    Ticket(Arc<Slot>),
    Callback(Callback),
}

impl Completion {
    /// Told to a ticket.
    pub(super) fn ticket(event_number: u64, panics: &Arc<AtomicU64>) -> (Self, Ticket) {
        let slot = Arc::<Slot>::default();
        let to = Some(To::Ticket(Arc::clone(&slot)));
        (Self { event_number, to, panics: Arc::clone(panics) }, Ticket { event_number, slot })
    }

    /// Told to a callback. If it panics, that is counted.
    pub(super) fn callback(callback: Callback) -> impl FnOnce(u64, &Arc<AtomicU64>) -> (Self, ()) {
        move |event_number, panics| {
            let to = Some(To::Callback(callback));
            (Self { event_number, to, panics: Arc::clone(panics) }, ())
        }
    }

    /// Tells.
    pub(super) fn complete(mut self, result: Result<(), Error>) {
        self.tell(result);
    }

    /// Begins with the event. Whether it is to be sent: it may have been
    /// withdrawn.
    pub(super) fn begin(&self) -> bool {
        let Some(To::Ticket(slot)) = &self.to else { return true };
        let mut state = slot.lock();
        if state.stage == Stage::Queued {
            state.stage = Stage::Begun;
        }
        state.stage != Stage::Cancelled
    }

    /// Tells nobody: the event was never taken in.
    pub(super) fn cancel(mut self) {
        self.to = None;
    }

    fn tell(&mut self, result: Result<(), Error>) {
        let call = match self.to.take() {
            None => None,
            Some(To::Ticket(slot)) => slot.tell(result),
            Some(To::Callback(callback)) => Some((callback, result)),
        };
        let Some((callback, result)) = call else { return };
        let outcome = Outcome { event_number: self.event_number, result };
        let _inside = Inside::enter();
        // The callback is gone after a panic, and with it whatever it left
        // half done.
        if catch_unwind(AssertUnwindSafe(|| callback(outcome))).is_err() {
            self.panics.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        self.tell(Err(Error::Stopped));
    }
}

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion").field("event_number", &self.event_number).finish()
    }
}

thread_local! {
    static INSIDE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Marks that this thread runs a callback: it must not wait for itself.
struct Inside(bool);

impl Inside {
    fn enter() -> Self {
        Self(INSIDE.replace(true))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(self.0);
    }
}

/// Whether this thread runs a callback.
pub(super) fn inside_callback() -> bool {
    INSIDE.get()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn ticket(number: u64) -> (Completion, Ticket) {
        Completion::ticket(number, &Arc::default())
    }

    #[test]
    fn a_ticket_is_told_before_during_or_after_the_wait() {
        let (completion, early) = ticket(7);
        let early = early.try_wait().unwrap_err();
        assert_eq!(early.event_number(), 7);
        let early = early.wait_timeout(Duration::from_millis(5)).unwrap_err();
        completion.complete(Ok(()));
        assert_eq!(early.try_wait().unwrap().unwrap(), 7);

        let (completion, late) = ticket(8);
        let waiting = std::thread::spawn(|| late.wait());
        std::thread::sleep(Duration::from_millis(20));
        completion.complete(Ok(()));
        assert_eq!(waiting.join().unwrap().unwrap(), 8);

        let (completion, long) = ticket(9);
        completion.complete(Ok(()));
        assert_eq!(long.wait_timeout(Duration::MAX).unwrap().unwrap(), 9);
    }

    #[test]
    fn what_is_dropped_untold_was_stopped() {
        let (completion, ticket) = ticket(1);
        drop(completion);
        assert!(matches!(ticket.wait(), Err(Error::Stopped)));
        let (send, told) = mpsc::channel();
        let callback: Callback = Box::new(move |outcome| send.send(outcome).unwrap());
        drop(Completion::callback(callback)(2, &Arc::default()));
        let outcome = told.recv().unwrap();
        assert_eq!(outcome.event_number, 2);
        assert!(matches!(outcome.result, Err(Error::Stopped)));
        assert!(told.recv().is_err(), "told once");
    }

    #[test]
    fn a_callback_that_panics_is_counted_and_harms_nobody() {
        let panics = Arc::default();
        let callback: Callback = Box::new(|_| {
            assert!(inside_callback());
            panic!("deliberate: a callback's own defect");
        });
        Completion::callback(callback)(3, &panics).0.complete(Ok(()));
        assert_eq!(panics.load(Ordering::Relaxed), 1);
        assert!(!inside_callback());
    }

    #[test]
    fn a_ticket_may_have_something_called_instead() {
        for told_before in [false, true] {
            let (completion, ticket) = ticket(4);
            let (send, told) = mpsc::channel();
            let then = move |outcome: Outcome| send.send(outcome).unwrap();
            if told_before {
                completion.complete(Ok(()));
                ticket.then(then);
            } else {
                ticket.then(then);
                assert!(told.try_recv().is_err(), "not yet");
                drop(completion);
            }
            let outcome = told.recv().unwrap();
            assert_eq!((outcome.event_number, outcome.result.is_ok()), (4, told_before));
            assert!(told.recv().is_err(), "told once");
        }
    }

    #[test]
    fn only_an_event_that_has_not_begun_is_cancelled() {
        let (completion, early) = ticket(5);
        let canceller = early.canceller();
        assert!(canceller.cancel() && canceller.cancel());
        assert!(!completion.begin());
        let (completion, late) = ticket(6);
        assert!(completion.begin());
        assert!(!late.canceller().cancel());
        completion.complete(Ok(()));
        assert!(!late.canceller().cancel());
        drop(early);
    }

    /// Both sides at once, many times: told exactly once, never missed.
    #[test]
    fn telling_and_waiting_race_without_loss() {
        let (send, completions) = mpsc::sync_channel::<Completion>(1);
        let teller = std::thread::spawn(move || {
            completions.into_iter().for_each(|completion| completion.complete(Ok(())));
        });
        for round in 0..100_000 {
            let (completion, ticket) = ticket(round);
            send.send(completion).unwrap();
            assert_eq!(ticket.wait().unwrap(), round);
        }
        drop(send);
        teller.join().unwrap();
    }
}
