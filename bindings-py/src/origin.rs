//! Which process an object belongs to, and how many objects live.

use std::sync::{
    Arc, Mutex, Once, PoisonError, Weak,
    atomic::{AtomicU32, AtomicUsize, Ordering},
};

use pyo3::{prelude::*, types::PyDict};

use crate::{error, wait};

/// Forks between the first import and this process.
static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Counts forks from now on.
pub(crate) fn watch_forks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler only adds to an atomic, which it may between
        // fork and exec; this module is never unloaded.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

/// The process in which something was made. Its threads run only there.
#[derive(Clone, Copy)]
pub(crate) struct Origin(u32);

impl Origin {
    pub(crate) fn here() -> Self {
        Self(FORKS.load(Ordering::Relaxed))
    }

    pub(crate) fn is_here(self) -> bool {
        self.0 == FORKS.load(Ordering::Relaxed)
    }

    /// Refuses to go on in a forked child.
    pub(crate) fn check(self, py: Python<'_>, what: &str) -> PyResult<()> {
        if self.is_here() {
            return Ok(());
        }
        Err(error::raise(
            py,
            "Forked",
            format!(
                "use of a {what} that the parent process made: its threads did not come along \
                 through fork(); make a new one here, or start processes by \"spawn\""
            ),
        ))
    }
}

/// Counts one object of a kind for as long as it lives.
pub(crate) struct Live(&'static AtomicUsize);

impl Live {
    fn new(kind: &'static AtomicUsize) -> Self {
        kind.fetch_add(1, Ordering::Relaxed);
        Self(kind)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

macro_rules! kinds {
    ($($kind:ident, $constant:ident);+) => {
        $(static $constant: AtomicUsize = AtomicUsize::new(0);)+

        impl Live {
            $(pub(crate) fn $kind() -> Self { Self::new(&$constant) })+
        }

        /// How many objects of ours live, by kind: for tests of lifetimes.
        #[pyfunction(name = "_live_objects")]
        pub(crate) fn live_objects(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
            let all = PyDict::new(py);
            $(all.set_item(stringify!($kind), $constant.load(Ordering::Relaxed))?;)+
            Ok(all)
        }
    };
}

kinds!(
    batch, BATCHES; call, CALLS; callbacks, CALLBACKS; control, CONTROLS; event, EVENTS;
    export, EXPORTS; reassembler, REASSEMBLERS; segmenter, SEGMENTERS; ticket, TICKETS; worker, WORKERS
);

/// What runs threads, and can be ended.
pub(crate) trait Close: Send + Sync {
    /// Ends it, without the GIL.
    fn close(&self);

    /// Calls into Python what is left to be called: the interpreter ends.
    fn settle(&self, _py: Python<'_>) {}
}

static OPEN: Mutex<Vec<Weak<dyn Close>>> = Mutex::new(Vec::new());

/// Has it closed when the interpreter ends, if it still lives then.
pub(crate) fn close_at_exit<T: Close + 'static>(open: &Arc<T>) {
    let open = Arc::downgrade(open);
    let mut all = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|one| one.strong_count() > 0);
    all.push(open);
}

/// Closes all that is open, before the interpreter ends: threads of ours must
/// not outlive it.
#[pyfunction(name = "_at_exit")]
pub(crate) fn at_exit(py: Python<'_>) {
    wait::interpreter_ends();
    // In a forked child none of them has threads.
    if FORKS.load(Ordering::Relaxed) > 0 {
        return;
    }
    let open: Vec<Arc<dyn Close>> = py.detach(|| {
        let all = std::mem::take(&mut *OPEN.lock().unwrap_or_else(PoisonError::into_inner));
        all.iter().filter_map(Weak::upgrade).inspect(|one| one.close()).collect()
    });
    open.iter().for_each(|one| one.settle(py));
}

/// Reports an exception that nobody can catch, by `sys.unraisablehook`.
#[pyfunction(name = "_unraisable")]
pub(crate) fn unraisable(error: &Bound<'_, PyAny>, raised_by: &Bound<'_, PyAny>) {
    PyErr::from_value(error.clone()).write_unraisable(error.py(), Some(raised_by));
}

/// Panics, so that a test can see what becomes of a panic.
#[pyfunction(name = "_panic")]
#[expect(clippy::panic, reason = "what it is for")]
pub(crate) fn inject_panic() {
    panic!("deliberate: asked for by a test");
}
