//! How a segmenter is used from many threads, which heed signals.

use std::{
    io::IoSlice,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use pyo3::prelude::*;
use xdpsar::{Buffer, Error, EventOptions, Segmenter, SegmenterStats, Submitter, Ticket};

use crate::{
    error,
    export::{Export, Queued, Returns},
    origin::{Close, Origin, close_at_exit},
    receipt::{Callbacks, check_callable},
    ticket::PyTicket,
    turns::Turns,
    wait::{Deadline, SignalWatch, interruptible, released},
};

/// How long a segmenter that is dropped, or open when the interpreter ends,
/// goes on sending what is queued.
const DRAIN: Duration = Duration::from_secs(5);

/// How long the interpreter's end waits for callbacks that have begun, in
/// seconds.
const LAST_CALLS: f64 = 0.5;

/// What sends, until it is closed.
struct Open {
    /// Threads take turns at sending.
    sender: Turns<Option<Segmenter>>,
    /// Made for the first event that is queued: it starts threads.
    submitter: OnceLock<Submitter>,
    /// Takes no more events.
    closing: AtomicBool,
    /// Sends that are under way shall end.
    cut: AtomicBool,
    /// As JSON, after it was closed.
    last_stats: OnceLock<String>,
    callbacks: Arc<Callbacks>,
}

impl Open {
    /// Ends it, waiting for as long for queued events, and for the end of
    /// sends that are under way.
    fn finish(&self, drain: Duration, given_up: impl Fn() -> bool) {
        self.closing.store(true, Ordering::Relaxed);
        let mut turn = self.sender.take(given_up);
        if turn.is_none() {
            self.cut.store(true, Ordering::Relaxed);
            turn = self.sender.take(|| false);
        }
        let Some(segmenter) = turn.and_then(|mut sender| sender.take()) else { return };
        let report = segmenter.stop(drain);
        self.callbacks.close();
        // Only one has got the segmenter.
        let _ = self.last_stats.set(to_json(&report.stats));
    }
}

impl Close for Open {
    fn close(&self) {
        self.cut.store(true, Ordering::Relaxed);
        self.finish(DRAIN, || false);
    }

    fn settle(&self, py: Python<'_>) {
        self.callbacks.call_rest(py);
        // For what another thread has begun to call. Signals no longer matter.
        let _ = Deadline::after(Some(LAST_CALLS)).map(|end| self.callbacks.settled(py, end));
    }
}

/// What came of a turn at the sender.
enum Turn<T> {
    Done(T),
    /// A signal's handler has raised something, or it is being cut off.
    GivenUp,
    Closed,
}

/// A segmenter, and the buffers that come back from it.
pub(crate) struct Sending {
    open: Arc<Open>,
    origin: Origin,
    returns: Arc<Returns>,
}

impl Sending {
    pub(crate) fn new(segmenter: Segmenter) -> Self {
        let returns = Returns::new();
        let open = Arc::new(Open {
            sender: Turns::new(Some(segmenter)),
            submitter: OnceLock::new(),
            closing: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            last_stats: OnceLock::new(),
            callbacks: Callbacks::new(&returns),
        });
        close_at_exit(&open);
        Self { open, origin: Origin::here(), returns }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.open.closing.load(Ordering::Relaxed)
    }

    /// Refuses to go on in a forked child, or when it was closed.
    pub(crate) fn check(&self, py: Python<'_>, what: &str) -> PyResult<()> {
        self.origin.check(py, "Segmenter")?;
        if self.open.closing.load(Ordering::Relaxed) {
            return Err(closed(py, what));
        }
        Ok(())
    }

    /// Calls `act` with the sender, in its turn, without the GIL.
    pub(crate) fn with_sender<T: Send>(
        &self,
        py: Python<'_>,
        what: &str,
        act: impl FnOnce(&mut Segmenter, &dyn Fn() -> bool) -> T + Send,
    ) -> PyResult<T> {
        let open = &*self.open;
        if open.sender.is_broken() {
            let message = format!(
                "{what} after an internal error: what it would send cannot be known; make a new \
                 segmenter, and please report the error"
            );
            return Err(error::raise(py, "InternalError", message));
        }
        let (turn, raised) = released(py, || {
            let watch = SignalWatch::new();
            let given_up = || open.cut.load(Ordering::Relaxed) || watch.has_raised();
            let turn = match open.sender.take(given_up) {
                None => Turn::GivenUp,
                Some(mut sender) => match &mut *sender {
                    None => Turn::Closed,
                    Some(sender) => Turn::Done(act(sender, &given_up)),
                },
            };
            (turn, watch.into_raised())
        });
        match (turn, raised) {
            (_, Some(raised)) => Err(raised),
            (Turn::Done(done), None) => Ok(done),
            (Turn::GivenUp | Turn::Closed, None) => Err(closed(py, what)),
        }
    }

    /// Sends one event in this thread.
    pub(crate) fn send_parts(
        &self,
        py: Python<'_>,
        what: &str,
        parts: &[Export],
        options: EventOptions,
    ) -> PyResult<u64> {
        self.check(py, what)?;
        let sent = self.with_sender(py, what, |sender, given_up| match parts {
            // Most often, and without an allocation.
            [whole] => sender.send_until(&[IoSlice::new(whole.bytes())], options, given_up),
            _ => {
                let parts: Vec<_> = parts.iter().map(|part| IoSlice::new(part.bytes())).collect();
                sender.send_until(&parts, options, given_up)
            }
        })?;
        sent.map_err(|error| error::from_library(py, &error))
    }

    fn submitter(&self, py: Python<'_>, what: &str) -> PyResult<&Submitter> {
        if let Some(submitter) = self.open.submitter.get() {
            return Ok(submitter);
        }
        let made = self.with_sender(py, what, |sender, _| sender.submitter())?;
        let made = made.map_err(|error| error::from_library(py, &error))?;
        Ok(self.open.submitter.get_or_init(|| made))
    }

    /// Queues one event; `None` if the queue was full for as long. The
    /// callback is called when it is told.
    pub(crate) fn queue(
        &self,
        what: &str,
        data: &Bound<'_, PyAny>,
        options: EventOptions,
        timeout: Option<f64>,
        callback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Py<PyTicket>>> {
        let py = data.py();
        let deadline = Deadline::after(timeout)?;
        self.check(py, what)?;
        let callbacks = &self.open.callbacks;
        if let Some(callback) = callback {
            check_callable(callback, &format!("{what}: a callback"))?;
        }
        let export = Export::readable(data)?;
        let submitter = self.submitter(py, what)?;
        if callback.is_some() {
            callbacks.expect(py)?;
        }
        let queued = self.queue_export(py, submitter, export, options, deadline);
        let told = queued.and_then(|ticket| {
            let Some(ticket) = ticket else { return Ok(None) };
            let ticket = Bound::new(py, PyTicket::new(ticket, &self.returns, callbacks))?;
            if let Some(callback) = callback {
                PyTicket::then(&ticket, callback);
            }
            Ok(Some(ticket.unbind()))
        });
        if callback.is_some() && !matches!(told, Ok(Some(_))) {
            callbacks.expect_no_more(1);
        }
        told
    }

    fn queue_export(
        &self,
        py: Python<'_>,
        submitter: &Submitter,
        export: Export,
        options: EventOptions,
        deadline: Deadline,
    ) -> PyResult<Option<Ticket>> {
        let mut buffer = Some(Buffer::owner(Queued::new(export, &self.returns)));
        let queued = interruptible(py, deadline, |slice| -> Option<Result<Ticket, Error>> {
            let refused = match submitter.submit_timeout(buffer.take()?, options, slice) {
                Ok(ticket) => return Some(Ok(ticket)),
                Err(refused) => refused,
            };
            if !refused.is_full() {
                return Some(Err(refused.error));
            }
            buffer = Some(refused.buffer);
            None
        });
        drop(buffer);
        self.returns.release(py);
        queued?.transpose().map_err(|error| error::from_library(py, &error))
    }

    /// Whether all that was queued before was told, and its callbacks have
    /// returned, before the deadline.
    pub(crate) fn flushed(&self, py: Python<'_>, deadline: Deadline) -> PyResult<bool> {
        let Some(submitter) = self.open.submitter.get() else { return Ok(true) };
        let flush = submitter.begin_flush();
        let done = interruptible(py, deadline, |slice| flush.wait_timeout(slice).then_some(()));
        self.returns.release(py);
        Ok(done?.is_some() && self.open.callbacks.settled(py, deadline)?)
    }

    /// Takes no more; sends what is queued, until the deadline, if it is to
    /// `drain`; cuts off the rest.
    pub(crate) fn close(&self, py: Python<'_>, drain: bool, deadline: Deadline) -> PyResult<()> {
        self.origin.check(py, "Segmenter")?;
        let open = &*self.open;
        open.closing.store(true, Ordering::Relaxed);
        let drained = if drain { self.flushed(py, deadline) } else { Ok(false) };
        if !matches!(drained, Ok(true)) {
            open.cut.store(true, Ordering::Relaxed);
        }
        let raised = released(py, || {
            let watch = SignalWatch::new();
            open.finish(Duration::ZERO, || deadline.is_over() || watch.has_raised());
            watch.into_raised()
        });
        self.returns.release(py);
        drained?;
        raised.map_or(Ok(()), Err)?;
        // Those of events that were cut off.
        self.open.callbacks.settled(py, deadline).map(drop)
    }

    /// As JSON: Python makes a dataclass of it.
    pub(crate) fn stats(&self, py: Python<'_>) -> PyResult<String> {
        self.origin.check(py, "Segmenter")?;
        self.returns.release(py);
        let last = || self.open.last_stats.get().cloned();
        if let Some(last) = last() {
            return Ok(last);
        }
        match self.with_sender(py, "stats", |sender, _| sender.stats()) {
            Ok(stats) => Ok(to_json(&stats)),
            // Closed meanwhile?
            Err(error) => last().ok_or(error),
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if !self.origin.is_here() {
            // The threads are the parent's, and nobody's here to join.
            std::mem::forget(Arc::clone(&self.open));
            return;
        }
        // Unless the interpreter is ending: then it was closed by `at_exit`.
        Python::try_attach(|py| {
            py.detach(|| self.open.close());
            self.returns.release(py);
        });
    }
}

fn to_json(stats: &SegmenterStats) -> String {
    // Counters and strings: it cannot fail.
    serde_json::to_string(stats).unwrap_or_default()
}

fn closed(py: Python<'_>, what: &str) -> PyErr {
    error::raise(py, "Closed", format!("{what} on a closed segmenter: make a new one"))
}
