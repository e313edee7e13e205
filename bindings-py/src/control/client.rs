//! The thread with the connection, shared by clients of one server.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use pyo3::prelude::*;
use xdpsar::load_balancer::{self as blocking, Error, aio::LoadBalancer};

use super::call::{Answer, Promise, PyCall, Slot, Undo};
use crate::{
    error,
    origin::{Close, Live, Origin},
};

/// How long the end waits for what would stay on the server otherwise.
const LAST_CALLS: Duration = Duration::from_secs(1);

/// Makes a Python object of an answer.
pub(super) type Read<T> = for<'py> fn(Python<'py>, T) -> PyResult<Bound<'py, PyAny>>;

/// The client, until it is closed.
pub(super) struct Open {
    /// Taken when it is closed.
    client: Mutex<Option<blocking::LoadBalancer>>,
    /// Held by calls that may leave something on the server.
    busy: Arc<()>,
}

impl Open {
    pub(super) fn new(client: blocking::LoadBalancer) -> Self {
        Self { client: Some(client).into(), busy: Arc::new(()) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<blocking::LoadBalancer>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_none()
    }

    /// Has a call made. With `undo`, what it did is taken back if nobody waits
    /// for its answer any more; without, it just ends then.
    pub(super) fn start<T, F>(
        &self,
        py: Python<'_>,
        what: &'static str,
        call: F,
        read: Read<T>,
        undo: Option<fn(&T) -> Undo>,
    ) -> PyResult<PyCall>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let runtime = self.lock().as_ref().map(|client| client.runtime().clone());
        let runtime = runtime.ok_or_else(|| closed(py, what))?;
        let slot = Slot::new();
        let promise = Promise(slot.clone());
        let undo = undo.map(|undo| (undo, self.busy.clone()));
        let abortable = undo.is_none();
        let task = runtime.spawn(async move {
            let answer = call.await.map(|answer| Answer {
                undo: undo.map(|(undo, busy)| takes_back(undo(&answer), busy)),
                read: Box::new(move |py| read(py, answer).map(Bound::unbind)),
            });
            promise.keep(answer).await;
        });
        Ok(PyCall {
            slot,
            what,
            origin: Origin::here(),
            abort: abortable.then(|| task.abort_handle()),
            runtime,
            told: OnceLock::new(),
            _live: Live::call(),
        })
    }
}

/// It is awaited, or dropped because somebody has the answer.
fn takes_back(undo: Undo, busy: Arc<()>) -> Undo {
    Box::pin(async move {
        undo.await;
        drop(busy);
    })
}

impl Close for Open {
    fn close(&self) {
        if self.is_closed() {
            return;
        }
        let start = Instant::now();
        while Arc::strong_count(&self.busy) > 1 && start.elapsed() < LAST_CALLS {
            thread::sleep(Duration::from_millis(2));
        }
        let client = self.lock().take();
        // Ends the thread, and waits for that.
        drop(client);
    }
}

/// A client of its own URI, on a shared connection.
pub(super) struct Client {
    pub(super) open: Arc<Open>,
    pub(super) inner: LoadBalancer,
    pub(super) origin: Origin,
}

impl Client {
    /// Refuses to go on in a forked child.
    pub(super) fn inner(&self, py: Python<'_>) -> PyResult<LoadBalancer> {
        self.origin.check(py, "LoadBalancer")?;
        Ok(self.inner.clone())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if !self.origin.is_here() {
            // The thread is the parent's, and nobody's here to join.
            std::mem::forget(Arc::clone(&self.open));
            std::mem::forget(self.inner.clone());
            return;
        }
        if Arc::strong_count(&self.open) == 1 {
            // Unless the interpreter is ending: then it was closed by
            // `at_exit`.
            Python::try_attach(|py| py.detach(|| self.open.close()));
        }
    }
}

pub(super) fn closed(py: Python<'_>, what: &str) -> PyErr {
    error::raise(
        py,
        "Closed",
        format!("{what} with a load balancer's client that was closed: make a new one"),
    )
}
