//! A queued event's receipt, as a Python class.

use std::sync::Arc;

use pyo3::prelude::*;
use xdpsar::{Canceller, Ticket};

use crate::{
    error,
    export::Returns,
    origin::{Live, Origin},
    receipt::{Callbacks, Outcome, Receipt, check_callable},
    wait::{Deadline, interruptible},
};

/// A queued event's receipt: what became of it. Dropping it changes nothing
/// for the event.
#[pyclass(name = "SendTicket", module = "xdpsar", frozen, weakref)]
pub(crate) struct PyTicket {
    event_number: u64,
    canceller: Canceller,
    receipt: Arc<Receipt>,
    returns: Arc<Returns>,
    origin: Origin,
    _live: Live,
}

impl PyTicket {
    pub(crate) fn new(ticket: Ticket, returns: &Arc<Returns>, callbacks: &Arc<Callbacks>) -> Self {
        Self {
            event_number: ticket.event_number(),
            canceller: ticket.canceller(),
            receipt: Receipt::of(ticket, callbacks),
            returns: Arc::clone(returns),
            origin: Origin::here(),
            _live: Live::ticket(),
        }
    }

    /// Has this called with the ticket. It was [expected](Callbacks::expect).
    pub(crate) fn then(slf: &Bound<'_, Self>, callback: &Bound<'_, PyAny>) {
        slf.get().receipt.then(callback.clone().unbind(), slf.clone().unbind());
    }

    /// Waits until it is told; `None` when the deadline is over.
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Outcome>> {
        self.origin.check(py, "SendTicket")?;
        let deadline = Deadline::after(timeout)?;
        let told = match self.receipt.wait(std::time::Duration::ZERO) {
            None => interruptible(py, deadline, |slice| self.receipt.wait(slice)),
            told => Ok(told),
        };
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

    /// Has `callback` called with this ticket, once, when it is known what
    /// became of the event, by a thread that the segmenter keeps for that.
    fn add_done_callback(slf: &Bound<'_, Self>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        let own = slf.get();
        own.origin.check(slf.py(), "SendTicket")?;
        check_callable(callback, "a callback")?;
        own.receipt.callbacks().expect(slf.py())?;
        Self::then(slf, callback);
        Ok(())
    }

    /// Has the event not sent, if no sender thread has begun with it. Whether
    /// it will not be sent; then `result` raises `Cancelled` once its turn has
    /// come, and until then its buffer stays exported.
    fn cancel(&self, py: Python<'_>) -> PyResult<bool> {
        self.origin.check(py, "SendTicket")?;
        Ok(self.canceller.cancel())
    }

    /// `await ticket` is `result` without blocking the event loop.
    fn __await__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let told = slf.py().import("xdpsar._aio")?.call_method1("ticket", (slf,))?;
        told.call_method0("__await__")
    }

    fn __repr__(&self) -> String {
        format!("<xdpsar.SendTicket of event {}>", self.event_number)
    }
}
