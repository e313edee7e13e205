//! How events come out of a receiver: kept ones first, then the queue.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use pyo3::prelude::*;
use xdpsar::{Event, LostEvent, Readiness, RecvTimeoutError, TryRecvError};

use crate::{
    error,
    event::PyEvent,
    filter::Filter,
    origin::Close,
    reassembler::PyReassembler,
    wait::{Deadline, interruptible},
};

/// A running receiver, and events that somebody gave back.
pub(crate) struct Receiver {
    pub(crate) inner: xdpsar::Reassembler,
    kept: Mutex<VecDeque<Event>>,
    /// So that the lock is taken only when there are any.
    kept_events: AtomicUsize,
    readiness: OnceLock<Readiness>,
}

/// What came of waiting.
pub(crate) enum Next {
    Event(Event),
    /// Stopped, and nothing is left.
    End,
}

impl Receiver {
    pub(crate) fn new(inner: xdpsar::Reassembler) -> Self {
        let (kept, kept_events) = (Mutex::default(), AtomicUsize::new(0));
        Self { inner, kept, kept_events, readiness: OnceLock::new() }
    }

    /// To wait by: readable also while there are kept events.
    pub(crate) fn readiness(&self) -> io::Result<Readiness> {
        let made = self.inner.readiness()?;
        let readiness = self.readiness.get_or_init(|| made);
        if self.has_kept() {
            readiness.signal();
        }
        Ok(readiness.clone())
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives events back: they are the next ones.
    pub(crate) fn keep(&self, events: Vec<Event>) {
        let mut kept = self.kept();
        for event in events.into_iter().rev() {
            kept.push_front(event);
        }
        self.kept_events.store(kept.len(), Ordering::Release);
        drop(kept);
        // Who waits for others looks for these.
        self.inner.interrupt();
        self.show_kept();
    }

    fn show_kept(&self) {
        if let Some(readiness) = self.readiness.get() {
            readiness.signal();
        }
    }

    pub(crate) fn has_kept(&self) -> bool {
        self.kept_events.load(Ordering::Acquire) > 0
    }

    /// Appends kept events, until there are `at_most`.
    pub(crate) fn take_kept_events(&self, into: &mut Vec<Event>, at_most: usize) {
        while into.len() < at_most
            && let Some(event) = self.take_kept()
        {
            into.push(event);
        }
    }

    fn take_kept(&self) -> Option<Event> {
        if !self.has_kept() {
            return None;
        }
        let mut kept = self.kept();
        let event = kept.pop_front();
        self.kept_events.store(kept.len(), Ordering::Release);
        event
    }

    /// The next event, if there is one already.
    pub(crate) fn try_next(&self) -> Option<Next> {
        loop {
            if let Some(event) = self.take_kept() {
                return Some(Next::Event(event));
            }
            match self.inner.try_recv() {
                Ok(event) => return Some(Next::Event(event)),
                // That has made the descriptor unreadable: also for what was
                // kept just before.
                Err(TryRecvError::Empty) if self.has_kept() => self.show_kept(),
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Disconnected) if self.has_kept() => {}
                Err(TryRecvError::Disconnected) => return Some(Next::End),
            }
        }
    }

    fn wait(&self, slice: Duration) -> Option<Next> {
        if let Some(event) = self.take_kept() {
            return Some(Next::Event(event));
        }
        match self.inner.recv_timeout(slice) {
            Ok(event) => Some(Next::Event(event)),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Next::End),
        }
    }

    /// Waits for the next event; `None` when the deadline is over.
    pub(crate) fn next(&self, py: Python<'_>, deadline: Deadline) -> PyResult<Option<Next>> {
        match self.try_next() {
            None => interruptible(py, deadline, |slice| self.wait(slice)),
            ready => Ok(ready),
        }
    }

    /// Waits until there are `at_least` so many events, and takes up to
    /// `at_most`; fewer when the deadline is over. `None`: the end, and none.
    pub(crate) fn next_many(
        &self,
        py: Python<'_>,
        deadline: Deadline,
        at_least: usize,
        at_most: usize,
    ) -> PyResult<Option<Vec<Event>>> {
        let mut events = Vec::new();
        let waited = interruptible(py, deadline, |slice| {
            self.take_kept_events(&mut events, at_most);
            // Without a wait, if those are enough.
            let slice = if events.len() < at_least { slice } else { Duration::ZERO };
            let room = at_most - events.len();
            if room > 0 && self.inner.recv_batch(&mut events, room, slice) == 0 {
                // The time is over, or everything is.
                match self.inner.try_recv() {
                    Ok(event) => events.push(event),
                    Err(TryRecvError::Empty) => {}
                    Err(TryRecvError::Disconnected) => return Some(true),
                }
            }
            (events.len() >= at_least).then_some(false)
        });
        match waited {
            Ok(Some(true)) if events.is_empty() => Ok(None),
            Ok(_) => Ok(Some(events)),
            Err(raised) => {
                self.keep(events);
                Err(raised)
            }
        }
    }

    /// Stops, frees interface and ports, and drops what nobody has taken.
    /// Without the GIL.
    pub(crate) fn close(&self) {
        self.inner.stop();
        // A worker may wait for room in the queue.
        while !matches!(self.wait(Duration::from_millis(10)), Some(Next::End)) {}
        self.inner.join();
    }

    /// Reports of lost events, up to so many.
    pub(crate) fn lost(&self, at_most: usize) -> Vec<LostEvent> {
        std::iter::from_fn(|| self.inner.lost()).take(at_most).collect()
    }

    /// What to raise at the end: why, or that it was stopped.
    pub(crate) fn ended(&self, py: Python<'_>) -> PyErr {
        match self.inner.failure() {
            Some(failure) => error::from_library(py, failure),
            None => error::raise(
                py,
                "Closed",
                "receive from a reassembler that was stopped: no event is left; make a new one"
                    .into(),
            ),
        }
    }
}

/// The running receiver, or what is left of it.
pub(crate) struct Open(Mutex<State>);

pub(crate) enum State {
    Running(Arc<Receiver>),
    Closed { stats: String, lost: Vec<LostEvent>, lanes: Vec<u64>, registration: Option<String> },
}

impl Open {
    pub(crate) fn new(receiver: Receiver) -> Self {
        Self(Mutex::new(State::Running(Arc::new(receiver))))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn running(&self) -> Option<Arc<Receiver>> {
        match &*self.state() {
            State::Running(receiver) => Some(Arc::clone(receiver)),
            State::Closed { .. } => None,
        }
    }
}

impl Close for Open {
    fn close(&self) {
        let Some(receiver) = self.running() else { return };
        receiver.close();
        let (stats, registration) = (stats(&receiver), registration(&receiver));
        let mut state = self.state();
        // Unless another thread was faster.
        if matches!(&*state, State::Running(_)) {
            let lost = receiver.lost(usize::MAX);
            let lanes = receiver.inner.lane_datagrams();
            *state = State::Closed { stats, lost, lanes, registration };
        }
    }
}

/// As JSON: Python makes a dataclass of it.
pub(crate) fn stats(receiver: &Receiver) -> String {
    // Counters and strings: it cannot fail.
    serde_json::to_string(&receiver.inner.stats()).unwrap_or_default()
}

/// How it stands with its load balancer, the same way.
pub(crate) fn registration(receiver: &Receiver) -> Option<String> {
    let status = receiver.inner.registration()?;
    Some(serde_json::to_string(&status).unwrap_or_default())
}

/// Events, until the reassembler is stopped or closed, or a limit is reached.
#[pyclass(name = "EventIterator", module = "xdpsar", frozen)]
pub(crate) struct EventIterator {
    reassembler: Py<PyReassembler>,
    timeout: Option<f64>,
    left: AtomicUsize,
    filter: Filter,
}

impl EventIterator {
    /// What passes the filter, or the end, within a slice of time.
    fn wait(&self, receiver: &Receiver, slice: Duration) -> Option<Next> {
        match receiver.wait(slice)? {
            Next::Event(event) if !self.filter.lets_through(&event) => None,
            next => Some(next),
        }
    }

    pub(crate) fn new(
        reassembler: Py<PyReassembler>,
        max_events: Option<usize>,
        timeout: Option<f64>,
        filter: Filter,
    ) -> PyResult<Self> {
        Deadline::after(timeout)?;
        let left = AtomicUsize::new(max_events.unwrap_or(usize::MAX));
        Ok(Self { reassembler, timeout, left, filter })
    }
}

#[pymethods]
impl EventIterator {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<PyEvent>> {
        let one_less = |left: usize| left.checked_sub(1);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err() {
            return Ok(None);
        }
        let Some(receiver) = self.reassembler.get().if_open(py)? else { return Ok(None) };
        let deadline = Deadline::after(self.timeout)?;
        let next = loop {
            // What others have kept or filtered away does not put it off.
            match receiver.try_next() {
                Some(Next::Event(event)) if !self.filter.lets_through(&event) => {}
                None => break interruptible(py, deadline, |slice| self.wait(&receiver, slice))?,
                ready => break ready,
            }
        };
        match next {
            Some(Next::Event(event)) => Ok(Some(self.reassembler.get().event(event))),
            Some(Next::End) if receiver.inner.failure().is_some() => Err(receiver.ended(py)),
            Some(Next::End) | None => Ok(None),
        }
    }
}
