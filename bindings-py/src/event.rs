//! An event, and its memory as a Python buffer.

use std::{
    ffi::{c_int, c_void},
    ops::Deref,
    sync::{Mutex, MutexGuard, PoisonError},
};

use pyo3::{
    IntoPyObjectExt,
    exceptions::{PyBufferError, PyValueError},
    ffi,
    prelude::*,
    types::{PyMemoryView, PyTuple},
};
use xdpsar::Event;

use crate::{
    export::{Export, to_bytes},
    origin::Live,
};

/// A whole event. It owns its memory, and is a read-only buffer of bytes:
/// whatever takes `bytes` takes it, without a copy. It outlives the
/// reassembler it came from, and every view of it keeps it.
#[pyclass(name = "Event", module = "xdpsar", frozen, weakref)]
pub(crate) struct PyEvent {
    facts: Facts,
    held: Mutex<Held>,
    _live: Live,
}

/// What is known of an event besides its bytes: also after its release.
#[derive(Clone, Copy)]
struct Facts {
    event_number: u64,
    data_id: u16,
    lane: u16,
    worker: u16,
    fragments: u32,
    tick: Option<u64>,
    entropy: Option<u16>,
    nbytes: usize,
}

struct Held {
    memory: Option<Memory>,
    /// Views that point into it; it stays while there are any.
    views: usize,
}

enum Memory {
    /// The reassembler's.
    Own(Event),
    /// Of another object: an event that was unpickled without a copy.
    Other(Export),
}

impl Memory {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(event) => event,
            Self::Other(export) => export.bytes(),
        }
    }
}

/// An event's bytes, which stay for as long.
struct Pinned<'a> {
    event: &'a PyEvent,
    bytes: *const [u8],
}

impl Deref for Pinned<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: counted as a view, so that the memory stays; never written.
        unsafe { &*self.bytes }
    }
}

impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        self.event.held().views -= 1;
    }
}

impl PyEvent {
    pub(crate) fn new(event: Event) -> Self {
        let facts = Facts {
            event_number: event.event_number(),
            data_id: event.data_id(),
            lane: event.lane(),
            worker: event.worker(),
            fragments: event.fragments(),
            tick: event.tick(),
            entropy: event.entropy(),
            nbytes: event.len(),
        };
        Self::of(facts, Memory::Own(event))
    }

    fn of(facts: Facts, memory: Memory) -> Self {
        let held = Mutex::new(Held { memory: Some(memory), views: 0 });
        Self { facts, held, _live: Live::event() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a view, and says where it points to.
    fn pin(&self) -> PyResult<Pinned<'_>> {
        let mut held = self.held();
        let Some(memory) = &held.memory else {
            return Err(PyValueError::new_err(format!(
                "the bytes of event {}: it was released; use them before, or keep a copy",
                self.facts.event_number
            )));
        };
        let bytes: *const [u8] = memory.bytes();
        held.views += 1;
        Ok(Pinned { event: self, bytes })
    }

    fn views(&self, name: &str, args: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        let py = args.py();
        py.import("xdpsar._views")?.call_method1(name, args).map(Bound::unbind)
    }
}

#[pymethods]
impl PyEvent {
    /// Its number.
    #[getter]
    fn event_number(&self) -> u64 {
        self.facts.event_number
    }

    /// The source within the event.
    #[getter]
    fn data_id(&self) -> u16 {
        self.facts.data_id
    }

    /// The lane that it came in on.
    #[getter]
    fn lane(&self) -> u16 {
        self.facts.lane
    }

    /// The worker that put it together.
    #[getter]
    fn worker(&self) -> u16 {
        self.facts.worker
    }

    /// Fragments that it was put together from.
    #[getter]
    fn fragments(&self) -> u32 {
        self.facts.fragments
    }

    /// The load balancer's event number; None without an LB header.
    #[getter]
    fn tick(&self) -> Option<u64> {
        self.facts.tick
    }

    /// The LB header's entropy; None without an LB header.
    #[getter]
    fn entropy(&self) -> Option<u16> {
        self.facts.entropy
    }

    /// Its length in bytes.
    #[getter]
    fn nbytes(&self) -> usize {
        self.facts.nbytes
    }

    /// Whether its bytes cannot be written to.
    #[getter]
    fn readonly(&self) -> bool {
        true
    }

    fn __len__(&self) -> usize {
        self.facts.nbytes
    }

    /// True also for an event without bytes: it is one.
    fn __bool__(&self) -> bool {
        true
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(to_bytes(py, &self.pin()?)?.into_any())
    }

    fn __repr__(&self) -> String {
        let Facts { event_number, data_id, nbytes, .. } = self.facts;
        let released = if self.held().memory.is_none() { ", released" } else { "" };
        format!("<xdpsar.Event {event_number}, data id {data_id}, {nbytes} bytes{released}>")
    }

    /// A view of its bytes, as items of a `struct` format and in a shape.
    #[pyo3(signature = (format = "B", shape = None))]
    fn view<'py>(
        slf: &Bound<'py, Self>,
        format: &str,
        shape: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let view = PyMemoryView::from(slf.as_any())?.into_any();
        match shape {
            Some(shape) => view.call_method1("cast", (format, shape)),
            None if format == "B" => Ok(view),
            None => view.call_method1("cast", (format,)),
        }
    }

    /// Its bytes as a NumPy array that does not copy them, and cannot be
    /// written to.
    #[pyo3(signature = (dtype = None, shape = None, *, offset = 0, strict = true))]
    fn numpy(
        slf: &Bound<'_, Self>,
        dtype: Option<&Bound<'_, PyAny>>,
        shape: Option<&Bound<'_, PyAny>>,
        offset: usize,
        strict: bool,
    ) -> PyResult<Py<PyAny>> {
        let args = (slf, dtype, shape, offset, strict).into_pyobject(slf.py())?;
        slf.get().views("numpy", &args)
    }

    /// A `ctypes` structure or array of its bytes from `offset` on: a copy,
    /// because the event's own cannot be written to.
    #[pyo3(signature = (ctype, offset = 0))]
    fn cast<'py>(
        slf: &Bound<'py, Self>,
        ctype: &Bound<'py, PyAny>,
        offset: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        ctype.call_method1("from_buffer_copy", (slf, offset))
    }

    /// Copies its bytes into a writable buffer, from `offset` there on, and
    /// returns how many those were.
    #[pyo3(signature = (dst, offset = 0))]
    fn copy_into(&self, py: Python<'_>, dst: &Bound<'_, PyAny>, offset: usize) -> PyResult<usize> {
        let bytes = self.pin()?;
        let dst = Export::writable(dst)?;
        if dst.len().checked_sub(offset).is_none_or(|room| room < bytes.len()) {
            let found = dst.len().saturating_sub(offset);
            return Err(crate::error::too_small(py, bytes.len(), found));
        }
        dst.write(py, offset, &bytes);
        Ok(bytes.len())
    }

    #[pyo3(signature = (*, stream = None, max_version = None, dl_device = None, copy = None))]
    fn __dlpack__(
        slf: &Bound<'_, Self>,
        stream: Option<&Bound<'_, PyAny>>,
        max_version: Option<&Bound<'_, PyAny>>,
        dl_device: Option<&Bound<'_, PyAny>>,
        copy: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let args = (slf, stream, max_version, dl_device, copy).into_pyobject(slf.py())?;
        slf.get().views("dlpack", &args)
    }

    /// The processor's memory.
    fn __dlpack_device__(&self) -> (i32, i32) {
        (1, 0)
    }

    /// Gives its memory back now. While views of it live, that is a
    /// BufferError.
    fn release(&self) -> PyResult<()> {
        let mut held = self.held();
        if held.views > 0 {
            return Err(PyBufferError::new_err(format!(
                "release of event {}: {} views of its bytes live; release or delete those before",
                self.facts.event_number, held.views
            )));
        }
        let memory = held.memory.take();
        drop(held);
        // Not under the lock: memory of another object may run its code.
        drop(memory);
        Ok(())
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.release()
    }

    /// From protocol 5 on the bytes go out of band, without a copy.
    fn __reduce_ex__<'py>(
        slf: &Bound<'py, Self>,
        protocol: i32,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let py = slf.py();
        let bytes = match protocol {
            5.. => py.import("pickle")?.call_method1("PickleBuffer", (slf,))?,
            _ => slf.get().__bytes__(py)?,
        };
        let Facts { event_number, data_id, lane, worker, fragments, tick, entropy, .. } =
            slf.get().facts;
        let facts = (data_id, lane, worker, fragments, tick, entropy).into_bound_py_any(py)?;
        let rebuild = py.import("xdpsar._native")?.getattr("_rebuild_event")?;
        Ok((rebuild, (bytes, event_number, facts).into_pyobject(py)?))
    }

    /// # Safety
    /// `view` is the interpreter's, to be filled.
    unsafe fn __getbuffer__(
        slf: &Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let pinned = slf.get().pin().inspect_err(|_| {
            // SAFETY: the interpreter's, and null on failure, as it asks.
            unsafe { (*view).obj = std::ptr::null_mut() };
        })?;
        let (start, length) = (pinned.bytes.cast::<c_void>().cast_mut(), pinned.len());
        // SAFETY: the view is the interpreter's; memory and length are those
        // of the pinned bytes, which stay until `__releasebuffer__`; the view
        // is read-only (1), and refused if it is to be written to. Lengths
        // fit, as of any memory. It keeps `slf`.
        let refused =
            unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, length as isize, 1, flags) };
        if refused != 0 {
            return Err(PyErr::fetch(slf.py()));
        }
        // The view's own from here on.
        std::mem::forget(pinned);
        Ok(())
    }

    /// # Safety
    /// `_view` is one that `__getbuffer__` has filled, for the last time.
    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        self.held().views -= 1;
    }
}

type UnpickledFacts = (u16, u16, u16, u32, Option<u64>, Option<u16>);

/// An event on memory of another object: what unpickling calls.
#[pyfunction(name = "_rebuild_event")]
pub(crate) fn rebuild_event(
    bytes: &Bound<'_, PyAny>,
    event_number: u64,
    facts: UnpickledFacts,
) -> PyResult<PyEvent> {
    let memory = Export::readable(bytes)?;
    let (data_id, lane, worker, fragments, tick, entropy) = facts;
    let nbytes = memory.len();
    let facts = Facts { event_number, data_id, lane, worker, fragments, tick, entropy, nbytes };
    Ok(PyEvent::of(facts, Memory::Other(memory)))
}
