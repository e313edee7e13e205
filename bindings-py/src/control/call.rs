//! A call that was made, and its answer.

use std::{
    future::Future,
    io::{PipeReader, PipeWriter, Write, pipe},
    os::fd::{AsRawFd, RawFd},
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use pyo3::prelude::*;
use tokio::{runtime::Handle, task::AbortHandle};
use xdpsar::load_balancer::Error;

use crate::{
    error,
    origin::{Live, Origin},
    wait::{Deadline, interruptible},
};

/// Takes back what a call did.
pub(crate) type Undo = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Makes a Python object.
type Read = dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send;

/// What came of a call.
pub(crate) struct Answer {
    pub(crate) read: Box<Read>,
    /// For when nobody wants it.
    pub(crate) undo: Option<Undo>,
}

enum State {
    /// With what to tell when it is there.
    Pending(Option<PipeWriter>),
    Done(Result<Answer, Error>),
    Taken,
    /// Nobody waits any more.
    GivenUp,
    /// It was closed before there was an answer.
    Closed,
}

/// Where the answer comes to.
pub(crate) struct Slot {
    state: Mutex<State>,
    done: Condvar,
}

impl Slot {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { state: State::Pending(None).into(), done: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces a state that waits.
    fn end(&self, with: State) -> Result<(), State> {
        let mut state = self.lock();
        if !matches!(*state, State::Pending(_)) {
            return Err(with);
        }
        let before = std::mem::replace(&mut *state, with);
        drop(state);
        self.done.notify_all();
        if let State::Pending(Some(mut told)) = before {
            // Not by closing it alone: a forked child may have it, too. If
            // nobody reads any more, nobody waits.
            let _ = told.write_all(&[0]);
        }
        Ok(())
    }

    /// Waits for the end, for so long.
    fn wait(&self, most: Duration) -> Option<State> {
        let end = Instant::now() + most;
        let mut state = self.lock();
        loop {
            if !matches!(*state, State::Pending(_)) {
                return Some(std::mem::replace(&mut *state, State::Taken));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            state = self.done.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Held by the task that makes the call: whatever ends that, who waits wakes.
pub(crate) struct Promise(pub(crate) Arc<Slot>);

impl Promise {
    /// Hands the answer over. What nobody wants is taken back.
    pub(crate) async fn keep(self, answer: Result<Answer, Error>) {
        if let Err(State::Done(Ok(Answer { undo: Some(undo), .. }))) =
            self.0.end(State::Done(answer))
        {
            undo.await;
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let _ = self.0.end(State::Closed);
    }
}

/// A call that was made: its answer is `wait`ed for, or `result` after
/// `fileno` became readable. One that is dropped is given up.
#[pyclass(name = "Call", module = "xdpsar._native", frozen)]
pub(crate) struct PyCall {
    pub(super) slot: Arc<Slot>,
    pub(super) what: &'static str,
    pub(super) origin: Origin,
    /// Of the task, if it is to end when nobody waits for it.
    pub(super) abort: Option<AbortHandle>,
    pub(super) runtime: Handle,
    pub(super) told: OnceLock<PipeReader>,
    pub(super) _live: Live,
}

impl PyCall {
    fn give_up(&self) {
        // In a forked child nothing of it runs.
        if !self.origin.is_here() {
            return;
        }
        let before = std::mem::replace(&mut *self.slot.lock(), State::GivenUp);
        match before {
            State::Pending(_) => self.abort.iter().for_each(AbortHandle::abort),
            State::Done(Ok(Answer { undo: Some(undo), .. })) => drop(self.runtime.spawn(undo)),
            _ => {}
        }
    }

    fn read(&self, py: Python<'_>, state: State) -> PyResult<Py<PyAny>> {
        match state {
            State::Done(Ok(answer)) => (answer.read)(py).inspect_err(|_| {
                answer.undo.into_iter().for_each(|undo| drop(self.runtime.spawn(undo)));
            }),
            State::Done(Err(error)) => Err(error::control(py, &error)),
            State::Closed => Err(super::client::closed(py, self.what)),
            State::Pending(_) | State::Taken | State::GivenUp => {
                let message = format!("{}: its answer was taken, or given up", self.what);
                Err(error::raise(py, "Closed", message))
            }
        }
    }
}

#[pymethods]
impl PyCall {
    /// Its answer, once there is one. A signal's handler that raises something
    /// gives it up.
    fn wait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.origin.check(py, "LoadBalancer")?;
        let slot = &self.slot;
        let ended = interruptible(py, Deadline::after(None)?, |slice| slot.wait(slice));
        match ended.inspect_err(|_| self.give_up())? {
            Some(state) => self.read(py, state),
            None => Err(error::raise(py, "InternalError", format!("{} has no end", self.what))),
        }
    }

    /// Its answer, which is there.
    fn result(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.origin.check(py, "LoadBalancer")?;
        match self.slot.wait(Duration::ZERO) {
            Some(state) => self.read(py, state),
            None => Err(error::raise(
                py,
                "XdpsarTimeout",
                format!("{}: there is no answer yet; wait for it", self.what),
            )),
        }
    }

    /// A file descriptor that is readable as soon as there is an answer.
    fn fileno(&self, py: Python<'_>) -> PyResult<RawFd> {
        self.origin.check(py, "LoadBalancer")?;
        if let Some(told) = self.told.get() {
            return Ok(told.as_raw_fd());
        }
        let (reader, writer) = pipe()?;
        // If it is done, the writer goes, and the reader sees that.
        if let State::Pending(told) = &mut *self.slot.lock() {
            *told = Some(writer);
        }
        Ok(self.told.get_or_init(|| reader).as_raw_fd())
    }

    /// Gives it up. What it did nevertheless is taken back, where it would
    /// stay: a reservation, a worker.
    fn cancel(&self) {
        self.give_up();
    }
}

impl Drop for PyCall {
    fn drop(&mut self) {
        self.give_up();
    }
}
