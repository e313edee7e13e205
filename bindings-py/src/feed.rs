//! Events for threads that call something with each: `run` and `start`.
//!
//! ```text
//!  Reassembler ─▶ Worker (one for each thread) ─▶ on_event(…), in Python
//!                   ▲        ▲
//!      stop ──── Feed ──── somebody wants a call made
//! ```
//!
//! A worker takes as many events at once as are used up soon, and gives back
//! what its thread has not come to.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use pyo3::{IntoPyObjectExt, exceptions::PyValueError, prelude::*};
use xdpsar::{Event, RecvTimeoutError};

use crate::{
    filter::{DataIds, Filter},
    origin::Live,
    reassembler::PyReassembler,
    receive::Receiver,
    wait::{SLICE, released},
};

/// What all threads of one `run` or `start` have in common.
#[pyclass(name = "Feed", module = "xdpsar._native", frozen)]
pub(crate) struct PyFeed {
    reassembler: Py<PyReassembler>,
    shared: Arc<Shared>,
}

struct Shared {
    filter: Filter,
    /// Events in a list for one call; 0: one event, and no list.
    batch: usize,
    /// Events that may still be handed out.
    left: AtomicU64,
    handed_out: AtomicU64,
    is_stopped: AtomicBool,
    /// Somebody wants a call made.
    is_called: AtomicBool,
}

impl Shared {
    fn is_urgent(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire) || self.is_called.load(Ordering::Acquire)
    }

    /// Takes so many from what is left.
    fn reserve(&self, wanted: usize) -> usize {
        let wanted = wanted as u64;
        let less = |left: u64| Some(left.saturating_sub(wanted));
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        let granted = wanted.min(left.unwrap_or_else(|left| left));
        self.handed_out.fetch_add(granted, Ordering::Relaxed);
        granted as usize
    }
}

impl PyFeed {
    pub(crate) fn new(
        reassembler: Py<PyReassembler>,
        batch: usize,
        max_events: Option<u64>,
        data_id: Option<DataIds>,
        every: u64,
    ) -> PyResult<Self> {
        if batch == 0 {
            return Err(PyValueError::new_err(
                "batch=0: no event would be handed out; name 1 for single events, or more for \
                 lists",
            ));
        }
        let filter = Filter::new(data_id, every, reassembler.get().filtered())?;
        let shared = Arc::new(Shared {
            filter,
            batch: if batch == 1 { 0 } else { batch },
            left: AtomicU64::new(max_events.unwrap_or(u64::MAX)),
            handed_out: AtomicU64::new(0),
            is_stopped: AtomicBool::new(false),
            is_called: AtomicBool::new(false),
        });
        Ok(Self { reassembler, shared })
    }

    fn interrupt(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(receiver) = self.reassembler.get().if_open(py)? {
            receiver.inner.interrupt();
        }
        Ok(())
    }
}

#[pymethods]
impl PyFeed {
    /// For one thread; the main thread must heed signals.
    fn worker(slf: &Bound<'_, Self>, heeds_signals: bool) -> PyWorker {
        let own = slf.get();
        PyWorker {
            feed: slf.clone().unbind(),
            shared: Arc::clone(&own.shared),
            taken: Mutex::new(Taken { ready: VecDeque::new(), pace: Pace::new() }),
            is_over: AtomicBool::new(false),
            heeds_signals,
            _live: Live::worker(),
        }
    }

    /// Has all threads end.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.shared.is_stopped.store(true, Ordering::Release);
        self.interrupt(py)
    }

    /// Has threads come out of their loops: there are calls to be made.
    fn call(&self, py: Python<'_>) -> PyResult<()> {
        self.shared.is_called.store(true, Ordering::Release);
        self.interrupt(py)
    }

    /// Before a thread looks which calls there are.
    fn called(&self) {
        self.shared.is_called.store(false, Ordering::Release);
    }

    /// Refuses to go on in a forked child.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        self.reassembler.get().if_open(py).map(drop)
    }

    /// Events handed out.
    #[getter]
    fn handed_out(&self) -> u64 {
        self.shared.handed_out.load(Ordering::Relaxed)
    }
}

/// How many events to take at once: as many as are used up in a moment, so
/// that no thread sits on what another could work at.
struct Pace {
    size: usize,
    since: Option<Instant>,
}

impl Pace {
    const MOST: usize = 64;
    /// What was used up faster may be more.
    const FAST: Duration = Duration::from_micros(100);
    /// What took longer must be less.
    const SLOW: Duration = Duration::from_micros(500);

    fn new() -> Self {
        Self { size: 1, since: None }
    }

    /// They are used up.
    fn next(&mut self) -> usize {
        match self.since.take().map(|since| since.elapsed()) {
            Some(took) if took < Self::FAST => self.size = (self.size * 2).min(Self::MOST),
            Some(took) if took > Self::SLOW => self.size = (self.size / 4).max(1),
            _ => {}
        }
        self.size
    }
}

struct Taken {
    ready: VecDeque<Event>,
    pace: Pace,
}

/// An iterator of what one thread is to call something with. It ends, for the
/// moment, when there are calls to be made, and for good when it `is_over`.
#[pyclass(name = "Worker", module = "xdpsar._native", frozen)]
pub(crate) struct PyWorker {
    feed: Py<PyFeed>,
    shared: Arc<Shared>,
    taken: Mutex<Taken>,
    is_over: AtomicBool,
    heeds_signals: bool,
    _live: Live,
}

/// What came of waiting.
enum Waited {
    Events,
    /// Stopped, or there are calls.
    Urgent,
    /// Signals want to be heeded.
    Slice,
    End,
}

impl PyWorker {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands out what was taken before, as far as may be.
    fn hand_out(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let mut taken = self.taken();
        let granted = self.shared.reserve(taken.ready.len().min(self.shared.batch.max(1)));
        let events: Vec<Event> = taken.ready.drain(..granted).collect();
        drop(taken);
        let reassembler = self.feed.get().reassembler.get();
        let mut events = events.into_iter().map(|event| reassembler.event(event));
        match self.shared.batch {
            0 => events.next().map(|event| event.into_py_any(py)).transpose(),
            _ if granted == 0 => Ok(None),
            _ => events.collect::<Vec<_>>().into_py_any(py).map(Some),
        }
    }

    /// Waits until there is something to hand out. Without the GIL.
    fn wait(&self, receiver: &Receiver) -> Waited {
        let shared = &*self.shared;
        let mut taken = self.taken();
        let at_most = match shared.batch {
            0 => taken.pace.next(),
            batch => batch,
        };
        let slice = self.heeds_signals.then_some(SLICE);
        let mut events = Vec::with_capacity(at_most);
        loop {
            if shared.is_urgent() {
                return Waited::Urgent;
            }
            receiver.take_kept_events(&mut events, at_most);
            let is_over = || shared.is_urgent() || receiver.has_kept();
            if events.is_empty() {
                match receiver.inner.recv_batch_until(&mut events, at_most, slice, is_over) {
                    Ok(_) => {}
                    Err(RecvTimeoutError::Disconnected) if receiver.has_kept() => {}
                    Err(RecvTimeoutError::Disconnected) => return Waited::End,
                    Err(RecvTimeoutError::Timeout) if is_over() => {}
                    Err(RecvTimeoutError::Timeout) => return Waited::Slice,
                }
            }
            let let_through = events.drain(..).filter(|event| shared.filter.lets_through(event));
            taken.ready.extend(let_through);
            if !taken.ready.is_empty() {
                taken.pace.since = Some(Instant::now());
                return Waited::Events;
            }
        }
    }

    /// For good. What was taken and not handed out goes back.
    fn end(&self, receiver: Option<&Receiver>) {
        self.is_over.store(true, Ordering::Release);
        let ready = std::mem::take(&mut self.taken().ready);
        if let Some(receiver) = receiver.filter(|_| !ready.is_empty()) {
            receiver.keep(ready.into());
        }
    }
}

#[pymethods]
impl PyWorker {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let feed = self.feed.get();
        let reassembler = feed.reassembler.get();
        loop {
            let is_stopped = self.shared.is_stopped.load(Ordering::Acquire);
            if !is_stopped && self.shared.is_called.load(Ordering::Acquire) {
                return Ok(None);
            }
            if !is_stopped && let Some(events) = self.hand_out(py)? {
                return Ok(Some(events));
            }
            let receiver = reassembler.if_open(py)?;
            let Some(receiver) = receiver.filter(|_| !is_stopped) else {
                self.end(reassembler.if_open(py)?.as_deref());
                return Ok(None);
            };
            if self.shared.left.load(Ordering::Relaxed) == 0 {
                feed.stop(py)?;
                continue;
            }
            match released(py, || self.wait(&receiver)) {
                Waited::Events | Waited::Urgent => {}
                Waited::Slice => py.check_signals()?,
                Waited::End => {
                    self.end(None);
                    let failed = receiver.inner.failure().is_some();
                    return if failed { Err(receiver.ended(py)) } else { Ok(None) };
                }
            }
        }
    }

    /// Ends this thread's part, and gives back what it has not handed out.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let receiver = self.feed.get().reassembler.get().if_open(py)?;
        self.end(receiver.as_deref());
        Ok(())
    }

    /// Whether nothing more will come.
    #[getter]
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}
