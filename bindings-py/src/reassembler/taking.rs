//! Taking events: what several methods do.

use std::sync::{Arc, atomic::AtomicU64};

use pyo3::{exceptions::PyValueError, prelude::*};

use super::PyReassembler;
use crate::{
    error,
    event::PyEvent,
    receive::{Next, Receiver},
    wait::Deadline,
};

impl PyReassembler {
    pub(crate) fn filtered(&self) -> &Arc<AtomicU64> {
        &self.filtered
    }

    /// The receiver, unless it was closed.
    pub(crate) fn if_open(&self, py: Python<'_>) -> PyResult<Option<Arc<Receiver>>> {
        self.origin.check(py, "Reassembler")?;
        Ok(self.open.running())
    }

    /// An event, as those of this reassembler are.
    pub(crate) fn event(&self, event: xdpsar::Event) -> PyEvent {
        PyEvent::new(event, self.readonly_events)
    }

    pub(super) fn receiver(&self, py: Python<'_>, what: &str) -> PyResult<Arc<Receiver>> {
        self.if_open(py)?.ok_or_else(|| {
            let message = format!("{what} of a closed reassembler: make a new one");
            error::raise(py, "Closed", message)
        })
    }

    pub(super) fn next(
        &self,
        py: Python<'_>,
        what: &str,
        timeout: Option<f64>,
    ) -> PyResult<xdpsar::Event> {
        let deadline = Deadline::after(timeout)?;
        let receiver = self.receiver(py, what)?;
        match receiver.next(py, deadline)? {
            Some(Next::Event(event)) => Ok(event),
            Some(Next::End) => Err(receiver.ended(py)),
            None => Err(error::raise(
                py,
                "XdpsarTimeout",
                format!(
                    "{what}: no event within {} s; wait longer, or see in `stats` what came \
                     instead",
                    timeout.unwrap_or(f64::INFINITY)
                ),
            )),
        }
    }

    pub(super) fn next_many(
        &self,
        py: Python<'_>,
        what: &str,
        max_events: usize,
        timeout: Option<f64>,
        min_events: usize,
    ) -> PyResult<Vec<xdpsar::Event>> {
        let deadline = Deadline::after(timeout)?;
        if max_events == 0 || min_events > max_events {
            return Err(PyValueError::new_err(format!(
                "{what} of {min_events} to {max_events} events: there are none such; name a \
                 max_events of 1 or more, and no more min_events than that"
            )));
        }
        let receiver = self.receiver(py, what)?;
        receiver.next_many(py, deadline, min_events, max_events)?.ok_or_else(|| receiver.ended(py))
    }
}
