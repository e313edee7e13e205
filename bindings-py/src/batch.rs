//! Many events at once, and what is known of them in columns.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::{
    IntoPyObjectExt,
    exceptions::PyIndexError,
    prelude::*,
    types::{PyBytes, PyList, PyMemoryView, PySlice},
};
use xdpsar::Event;

use crate::{origin::Live, reassembler::PyReassembler};

/// Events in a sequence. Each becomes a Python object when it is asked for;
/// the columns are there without any.
#[pyclass(name = "EventBatch", module = "xdpsar", frozen, sequence)]
pub(crate) struct PyBatch {
    slots: Mutex<Vec<Slot>>,
    len: usize,
    columns: Columns,
    reassembler: Py<PyReassembler>,
    _live: Live,
}

enum Slot {
    Plain(Event),
    Object(Py<PyAny>),
    /// While it becomes an object.
    Taken,
}

/// One value for each event, in the machine's byte order. Python keeps the
/// bytes of a `bytes` object aligned for any of these.
struct Columns {
    event_number: Py<PyBytes>,
    data_id: Py<PyBytes>,
    nbytes: Py<PyBytes>,
    fragments: Py<PyBytes>,
    tick: Py<PyBytes>,
    recv_time_ns: Py<PyBytes>,
}

fn column<const N: usize>(
    py: Python<'_>,
    events: &[Event],
    value: impl Fn(&Event) -> [u8; N],
) -> Py<PyBytes> {
    let bytes: Vec<u8> = events.iter().flat_map(value).collect();
    PyBytes::new(py, &bytes).unbind()
}

impl PyBatch {
    pub(crate) fn new(reassembler: &Bound<'_, PyReassembler>, events: Vec<Event>) -> Self {
        let py = reassembler.py();
        let columns = Columns {
            event_number: column(py, &events, |event| event.event_number().to_ne_bytes()),
            data_id: column(py, &events, |event| event.data_id().to_ne_bytes()),
            nbytes: column(py, &events, |event| (event.len() as u64).to_ne_bytes()),
            fragments: column(py, &events, |event| event.fragments().to_ne_bytes()),
            tick: column(py, &events, |event| event.tick().unwrap_or(0).to_ne_bytes()),
            recv_time_ns: column(py, &events, |event| event.completed_ns().to_ne_bytes()),
        };
        let len = events.len();
        let slots = Mutex::new(events.into_iter().map(Slot::Plain).collect());
        let (reassembler, _live) = (reassembler.clone().unbind(), Live::batch());
        Self { slots, len, columns, reassembler, _live }
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The event there; always the same object.
    fn event(&self, py: Python<'_>, at: usize) -> PyResult<Py<PyAny>> {
        let mut slots = self.slots();
        let event = match std::mem::replace(&mut slots[at], Slot::Taken) {
            // It only allocates: no code of others runs under the lock.
            Slot::Plain(event) => self.reassembler.get().event(event).into_py_any(py)?,
            Slot::Object(event) => event,
            Slot::Taken => return Err(pyo3::exceptions::PyMemoryError::new_err(())),
        };
        slots[at] = Slot::Object(event.clone_ref(py));
        Ok(event)
    }

    fn typed<'py>(
        py: Python<'py>,
        column: &Py<PyBytes>,
        format: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        PyMemoryView::from(column.bind(py).as_any())?.call_method1("cast", (format,))
    }
}

#[pymethods]
impl PyBatch {
    fn __len__(&self) -> usize {
        self.len
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let own = slf.get();
        let events: Vec<_> = (0..own.len).map(|at| own.event(py, at)).collect::<PyResult<_>>()?;
        Ok(PyList::new(py, events)?.try_iter()?.into_any())
    }

    fn __getitem__(&self, py: Python<'_>, index: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        if let Ok(slice) = index.cast::<PySlice>() {
            let slice = slice.indices(self.len as isize)?;
            // Within bounds, by `indices`.
            let at = |step: usize| (slice.start + step as isize * slice.step) as usize;
            let events: Vec<_> =
                (0..slice.slicelength).map(|n| self.event(py, at(n))).collect::<PyResult<_>>()?;
            return Ok(PyList::new(py, events)?.into_any().unbind());
        }
        let index: isize = index.extract()?;
        let from_start = if index < 0 { index + self.len as isize } else { index };
        match usize::try_from(from_start) {
            Ok(at) if at < self.len => self.event(py, at),
            _ => Err(PyIndexError::new_err(format!(
                "event {index} of a batch of {}: there is none such",
                self.len
            ))),
        }
    }

    /// Numbers of the events.
    #[getter]
    fn event_number<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Self::typed(py, &self.columns.event_number, "Q")
    }

    /// Their data ids.
    #[getter]
    fn data_id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Self::typed(py, &self.columns.data_id, "H")
    }

    /// Their lengths in bytes.
    #[getter]
    fn nbytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Self::typed(py, &self.columns.nbytes, "Q")
    }

    /// Fragments that they were put together from.
    #[getter]
    fn fragments<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Self::typed(py, &self.columns.fragments, "I")
    }

    /// The load balancer's event numbers; 0 without an LB header.
    #[getter]
    fn tick<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Self::typed(py, &self.columns.tick, "Q")
    }

    /// When they were complete.
    #[getter]
    fn recv_time_ns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Self::typed(py, &self.columns.recv_time_ns, "Q")
    }

    /// All columns, as NumPy arrays that do not copy them.
    fn to_dict(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let views = slf.py().import("xdpsar._views")?;
        views.call_method1("columns", (slf,)).map(Bound::unbind)
    }

    fn __repr__(&self) -> String {
        format!("<xdpsar.EventBatch of {} events>", self.len)
    }
}
