//! A queued event's receipt.

use std::{
    sync::{Arc, Mutex, TryLockError},
    time::Duration,
};

use pyo3::prelude::*;
use xdpsar::{Error, Ticket};

use crate::{
    error,
    export::Returns,
    origin::{Live, Origin},
    wait::{Deadline, interruptible},
};

/// A queued event's receipt: what became of it. Dropping it changes nothing
/// for the event.
#[pyclass(name = "SendTicket", module = "xdpsar", frozen, weakref)]
pub(crate) struct PyTicket {
    event_number: u64,
    state: Mutex<State>,
    returns: Arc<Returns>,
    origin: Origin,
    _live: Live,
}

enum State {
    OnItsWay(Ticket),
    Told(Result<(), Arc<Error>>),
    /// Only while it is being asked.
    Asked,
}

impl PyTicket {
    pub(crate) fn new(ticket: Ticket, returns: &Arc<Returns>) -> Self {
        Self {
            event_number: ticket.event_number(),
            state: Mutex::new(State::OnItsWay(ticket)),
            returns: Arc::clone(returns),
            origin: Origin::here(),
            _live: Live::ticket(),
        }
    }

    /// What became of the event, if that is known within `slice`, or while
    /// another thread asks.
    fn told(&self, slice: Duration) -> Option<Result<(), Arc<Error>>> {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                // Another thread waits, and will know when it does.
                std::thread::sleep(slice.min(Duration::from_millis(1)));
                return None;
            }
        };
        *state = match std::mem::replace(&mut *state, State::Asked) {
            State::OnItsWay(ticket) => match ticket.wait_timeout(slice) {
                Ok(result) => State::Told(result.map(drop).map_err(Arc::new)),
                Err(ticket) => State::OnItsWay(ticket),
            },
            told => told,
        };
        match &*state {
            State::Told(result) => Some(result.clone()),
            State::OnItsWay(_) | State::Asked => None,
        }
    }

    /// Waits until it is told; `None` when the deadline is over.
    fn wait(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
    ) -> PyResult<Option<Result<(), Arc<Error>>>> {
        self.origin.check(py, "SendTicket")?;
        let deadline = Deadline::after(timeout)?;
        let told = interruptible(py, deadline, |slice| self.told(slice));
        self.returns.release(py);
        told
    }

    fn timed_out(&self, py: Python<'_>, timeout: Option<f64>) -> PyErr {
        let message = format!(
            "event {} is not out after {} s: wait longer, or see the segmenter's `stats`",
            self.event_number,
            timeout.unwrap_or(f64::INFINITY)
        );
        error::raise(py, "XdpsarTimeout", message)
    }
}

#[pymethods]
impl PyTicket {
    /// The number that the event has.
    #[getter]
    fn event_number(&self) -> u64 {
        self.event_number
    }

    /// Whether it is known what became of the event.
    fn done(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.wait(py, Some(0.0))?.is_some())
    }

    /// Waits until the kernel has taken all of the event, and returns its
    /// number; raises what prevented that.
    #[pyo3(signature = (timeout = None))]
    fn result(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<u64> {
        match self.wait(py, timeout)? {
            Some(Ok(())) => Ok(self.event_number),
            Some(Err(error)) => Err(error::from_library(py, &error)),
            None => Err(self.timed_out(py, timeout)),
        }
    }

    /// Waits as `result` does, and returns what that would raise, or None.
    #[pyo3(signature = (timeout = None))]
    fn exception(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<PyErr>> {
        match self.wait(py, timeout)? {
            Some(Ok(())) => Ok(None),
            Some(Err(error)) => Ok(Some(error::from_library(py, &error))),
            None => Err(self.timed_out(py, timeout)),
        }
    }

    fn __repr__(&self) -> String {
        format!("<xdpsar.SendTicket of event {}>", self.event_number)
    }
}
