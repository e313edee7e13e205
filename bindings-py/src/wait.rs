//! Waiting without the GIL, but with an ear for signals.

use std::{
    cell::Cell,
    sync::{
        OnceLock,
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use pyo3::{
    exceptions::{PyRuntimeError, PyValueError},
    prelude::*,
};

/// Longest wait before Python may handle a signal: Ctrl-C within 100 ms.
pub(crate) const SLICE: Duration = Duration::from_millis(50);

/// Until when to wait; `None` is for ever.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// From Python's `timeout: float | None`, in seconds.
    pub(crate) fn after(timeout: Option<f64>) -> PyResult<Self> {
        let Some(seconds) = timeout else { return Ok(Self(None)) };
        if seconds.is_nan() || seconds < 0.0 {
            return Err(PyValueError::new_err(format!(
                "a timeout of {seconds} s: time runs forward only; name 0 or more, or None to \
                 wait without end"
            )));
        }
        // What no clock can tell is without end.
        let timeout = Duration::try_from_secs_f64(seconds).ok();
        Ok(Self(timeout.and_then(|timeout| Instant::now().checked_add(timeout))))
    }

    fn left(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(Instant::now()))
    }

    pub(crate) fn is_over(self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }
}

/// The thread that ends the interpreter, once one does.
static ENDING: OnceLock<ThreadId> = OnceLock::new();

/// From here on the calling thread ends the interpreter.
pub(crate) fn interpreter_ends() {
    let _ = ENDING.set(thread::current().id());
}

/// Calls `act` with the GIL released. While the interpreter ends, only the
/// thread that ends it comes back: a daemon thread would tell that what it
/// waited for is closed, on a standard error that is being closed as well,
/// which ends the process with a fatal error. CPython itself keeps such threads
/// as soon as they want the GIL, a little later.
pub(crate) fn released<T: Send>(py: Python<'_>, act: impl FnOnce() -> T + Send) -> T {
    py.detach(|| {
        let done = act();
        if ENDING.get().is_some_and(|ending| *ending != thread::current().id()) {
            loop {
                thread::park();
            }
        }
        done
    })
}

/// Calls `wait` with the GIL released, for a slice at a time, until it gives
/// something or the deadline is over (`None`). Between slices Python handles
/// signals.
pub(crate) fn interruptible<T: Send>(
    py: Python<'_>,
    deadline: Deadline,
    mut wait: impl FnMut(Duration) -> Option<T> + Send,
) -> PyResult<Option<T>> {
    loop {
        let slice = deadline.left().map_or(SLICE, |left| left.min(SLICE));
        if let Some(done) = released(py, || wait(slice)) {
            return Ok(Some(done));
        }
        py.check_signals()?;
        if deadline.is_over() {
            return Ok(None);
        }
    }
}

/// Calls what waits for somebody else in a thread of its own, so that signals
/// are heeded meanwhile. If a handler raises something, what comes of it later
/// is dropped there.
pub(crate) fn elsewhere<T: Send + 'static>(
    py: Python<'_>,
    act: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    let (tell, told) = mpsc::sync_channel(1);
    let run = move || drop(tell.send(act()));
    thread::Builder::new().name("xdpsar-setup".into()).spawn(run)?;
    let done = interruptible(py, Deadline(None), move |slice| match told.recv_timeout(slice) {
        Err(RecvTimeoutError::Timeout) => None,
        ended => Some(ended.ok()),
    })?;
    done.flatten().ok_or_else(|| PyRuntimeError::new_err("a thread of xdpsar has panicked"))
}

/// For code that runs without the GIL and cannot be cut into slices: whether
/// a signal's handler has raised something, asked once a slice.
pub(crate) struct SignalWatch {
    /// From the first question on: most sends end before, and read no clock.
    next: Cell<Option<Instant>>,
    raised: Cell<Option<PyErr>>,
    over: Cell<bool>,
}

impl SignalWatch {
    pub(crate) fn new() -> Self {
        Self { next: Cell::new(None), raised: Cell::new(None), over: Cell::new(false) }
    }

    /// Whether to stop. Once so, for good.
    pub(crate) fn has_raised(&self) -> bool {
        let now = Instant::now();
        let next = self.next.get().unwrap_or(now + SLICE);
        if self.over.get() || now < next {
            self.next.set(Some(next));
            return self.over.get();
        }
        self.next.set(Some(now + SLICE));
        if let Err(error) = Python::attach(|py| py.check_signals()) {
            self.raised.set(Some(error));
            self.over.set(true);
        }
        self.over.get()
    }

    /// What was raised.
    pub(crate) fn into_raised(self) -> Option<PyErr> {
        self.raised.into_inner()
    }
}
