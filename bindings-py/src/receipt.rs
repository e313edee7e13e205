//! What becomes of queued events, and who wants to be called then.
//!
//! ```text
//!  sender thread ──told──▶ Receipt ──▶ who waits
//!   (never the GIL)           │ has callbacks
//!                             ▼
//!                         Callbacks ──▶ a Python thread that calls them
//! ```
//!
//! That thread's loop is written in Python: the interpreter ends its daemon
//! threads where they stand, and must not find frames of ours there.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, ThreadId},
    time::Duration,
};

use pyo3::{exceptions::PyTypeError, prelude::*};
use xdpsar::{Error, Ticket};

use crate::{
    export::Returns,
    origin::Live,
    ticket::PyTicket,
    wait::{Deadline, interruptible, released},
};

/// What became of an event.
pub(crate) type Outcome = Result<(), Arc<Error>>;

/// Where an event's fate is told.
pub(crate) struct Receipt {
    state: Mutex<State>,
    told: Condvar,
    callbacks: Arc<Callbacks>,
}

#[derive(Default)]
struct State {
    outcome: Option<Outcome>,
    /// To be called with the ticket.
    then: Vec<(Py<PyAny>, Py<PyTicket>)>,
    /// Whether somebody sleeps.
    awaited: bool,
}

impl Receipt {
    pub(crate) fn of(ticket: Ticket, callbacks: &Arc<Callbacks>) -> Arc<Self> {
        let callbacks = Arc::clone(callbacks);
        let receipt = Arc::new(Self { state: Mutex::default(), told: Condvar::new(), callbacks });
        let own = Arc::clone(&receipt);
        ticket.then(move |outcome| own.tell(outcome.result.map_err(Arc::new)));
        receipt
    }

    pub(crate) fn callbacks(&self) -> &Arc<Callbacks> {
        &self.callbacks
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(self: Arc<Self>, outcome: Outcome) {
        let mut state = self.lock();
        state.outcome = Some(outcome);
        let (awaited, calls) = (state.awaited, state.then.len());
        drop(state);
        if awaited {
            self.told.notify_all();
        }
        if calls > 0 {
            let callbacks = Arc::clone(&self.callbacks);
            callbacks.push(self, calls);
        }
    }

    /// What became of the event, if that is known within `slice`.
    pub(crate) fn wait(&self, slice: Duration) -> Option<Outcome> {
        let mut state = self.lock();
        if state.outcome.is_none() && !slice.is_zero() {
            state.awaited = true;
            let waited = self.told.wait_timeout_while(state, slice, |s| s.outcome.is_none());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.outcome.clone()
    }

    /// Has this called, once, after it is told: by the callbacks' thread, which
    /// [`Callbacks::expect`] has started.
    pub(crate) fn then(self: &Arc<Self>, callback: Py<PyAny>, ticket: Py<PyTicket>) {
        let mut state = self.lock();
        state.then.push((callback, ticket));
        let is_told = state.outcome.is_some();
        drop(state);
        if is_told {
            self.callbacks.push(Arc::clone(self), 1);
        }
    }

    fn take_callbacks(&self) -> Vec<(Py<PyAny>, Py<PyTicket>)> {
        std::mem::take(&mut self.lock().then)
    }
}

/// Refuses what cannot be called.
pub(crate) fn check_callable(callback: &Bound<'_, PyAny>, what: &str) -> PyResult<()> {
    if callback.is_callable() {
        return Ok(());
    }
    Err(PyTypeError::new_err(format!(
        "{what} of type {}: that cannot be called; give a function, or an object with __call__",
        callback.get_type().name()?
    )))
}

/// Callbacks of one segmenter's events, in the order in which they are told.
pub(crate) struct Callbacks {
    line: Mutex<Line>,
    changed: Condvar,
    returns: Arc<Returns>,
}

#[derive(Default)]
struct Line {
    /// Told, with callbacks.
    told: VecDeque<Arc<Receipt>>,
    /// Callbacks whose event is not told yet.
    expected: usize,
    /// Callbacks that became due.
    due: u64,
    /// Callbacks that have returned.
    called: u64,
    /// There is a thread.
    is_served: bool,
    thread: Option<ThreadId>,
    /// No event will be queued any more.
    is_closed: bool,
}

impl Callbacks {
    pub(crate) fn new(returns: &Arc<Returns>) -> Arc<Self> {
        let (line, changed) = (Mutex::default(), Condvar::new());
        Arc::new(Self { line, changed, returns: Arc::clone(returns) })
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Announces a callback, and has a thread for it.
    pub(crate) fn expect(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        let mut line = self.line();
        line.expected += 1;
        let is_served = std::mem::replace(&mut line.is_served, true);
        drop(line);
        if is_served {
            return Ok(());
        }
        let serve = PyCallbacks { callbacks: Arc::clone(self), _live: Live::callbacks() };
        let started = py.import("xdpsar._callbacks")?.call_method1("start", (serve,));
        started.map(drop).inspect_err(|_| {
            self.line().is_served = false;
            self.expect_no_more(1);
        })
    }

    /// Takes announcements back.
    pub(crate) fn expect_no_more(&self, calls: usize) {
        self.line().expected -= calls;
        self.changed.notify_all();
    }

    fn push(&self, receipt: Arc<Receipt>, calls: usize) {
        let mut line = self.line();
        line.told.push_back(receipt);
        line.expected -= calls;
        line.due += calls as u64;
        drop(line);
        self.changed.notify_all();
    }

    /// The thread ends when all events are told.
    pub(crate) fn close(&self) {
        self.line().is_closed = true;
        self.changed.notify_all();
    }

    /// Waits until all callbacks that are due have returned. Whether they
    /// have, before the deadline; in a callback, which would wait for itself,
    /// there is nothing to wait for.
    pub(crate) fn settled(&self, py: Python<'_>, deadline: Deadline) -> PyResult<bool> {
        let due = {
            let line = self.line();
            if line.called == line.due || line.thread == Some(thread::current().id()) {
                return Ok(true);
            }
            line.due
        };
        let waited = interruptible(py, deadline, |slice| {
            let all = |line: &mut Line| line.called < due;
            let waited = self.changed.wait_timeout_while(self.line(), slice, all);
            let line = waited.unwrap_or_else(PoisonError::into_inner).0;
            (line.called >= due).then_some(())
        });
        Ok(waited?.is_some())
    }

    /// Calls, in this thread, what no other has begun to call.
    pub(crate) fn call_rest(&self, py: Python<'_>) {
        while let Some(calls) = self.take() {
            for (callback, ticket) in calls {
                if let Err(error) = callback.call1(py, (ticket,)) {
                    error.write_unraisable(py, Some(callback.bind(py)));
                }
                self.have_called();
            }
        }
    }

    fn take(&self) -> Option<Vec<(Py<PyAny>, Py<PyTicket>)>> {
        let receipt = self.line().told.pop_front()?;
        Some(receipt.take_callbacks())
    }

    fn have_called(&self) {
        self.line().called += 1;
        self.changed.notify_all();
    }
}

/// What the thread that calls them asks.
#[pyclass(name = "Callbacks", module = "xdpsar._native", frozen)]
pub(crate) struct PyCallbacks {
    callbacks: Arc<Callbacks>,
    _live: Live,
}

#[pymethods]
impl PyCallbacks {
    /// Waits for callbacks that are due; None when there will be none.
    fn take(&self, py: Python<'_>) -> Option<Vec<(Py<PyAny>, Py<PyTicket>)>> {
        let Callbacks { changed, returns, .. } = &*self.callbacks;
        loop {
            let is_over = released(py, || {
                let nothing = |line: &mut Line| {
                    line.thread = Some(thread::current().id());
                    line.told.is_empty() && !(line.is_closed && line.expected == 0)
                };
                let line = changed.wait_while(self.callbacks.line(), nothing);
                let mut line = line.unwrap_or_else(PoisonError::into_inner);
                if line.told.is_empty() {
                    // Another callback would have another thread.
                    (line.is_served, line.thread) = (false, None);
                }
                line.told.is_empty()
            });
            // What was sent comes back before that is told.
            returns.release(py);
            if is_over {
                return None;
            }
            // Taken only now: if the interpreter ends, this thread does not
            // get here, and the one that ends it takes them.
            if let Some(calls) = self.callbacks.take() {
                return Some(calls);
            }
        }
    }

    /// A callback has returned.
    fn called(&self) {
        self.callbacks.have_called();
    }
}
