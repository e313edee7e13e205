//! An event, and its memory as a Python buffer.

use std::{
    ffi::c_int,
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
    buffer,
    export::{Export, to_bytes},
    origin::Live,
};

/// A whole event. It owns its memory, and is a buffer of bytes: whatever takes
/// `bytes` takes it, without a copy. It outlives the reassembler it came from,
/// and every view of it keeps it.
// Small events cost what Python's allocator costs: what one leaves, the next
// takes. Their bytes are not kept.
#[pyclass(name = "Event", module = "xdpsar", frozen, weakref, freelist = 1024)]
pub(crate) struct PyEvent {
    facts: Facts,
    readonly: bool,
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
    recv_time_ns: u64,
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
    /// No reference: Python code may write to it at any time.
    fn bytes(&self) -> *mut [u8] {
        match self {
            Self::Own(event) => event.as_raw().as_ptr(),
            Self::Other(export) => export.raw(),
        }
    }

    fn is_readonly(&self) -> bool {
        match self {
            Self::Own(event) => event.is_lent(),
            Self::Other(export) => export.is_readonly(),
        }
    }
}

/// An event's bytes, which stay for as long.
struct Pinned<'a> {
    event: &'a PyEvent,
    bytes: *mut [u8],
}

impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        self.event.held().views -= 1;
    }
}

impl PyEvent {
    /// With `readonly` nobody can write to it.
    pub(crate) fn new(event: Event, readonly: bool) -> Self {
        let facts = Facts {
            event_number: event.event_number(),
            data_id: event.data_id(),
            lane: event.lane(),
            worker: event.worker(),
            fragments: event.fragments(),
            tick: event.tick(),
            entropy: event.entropy(),
            recv_time_ns: event.completed_ns(),
            nbytes: event.len(),
        };
        Self::of(facts, Memory::Own(event), readonly)
    }

    fn of(facts: Facts, memory: Memory, readonly: bool) -> Self {
        let readonly = readonly || memory.is_readonly();
        let held = Mutex::new(Held { memory: Some(memory), views: 0 });
        Self { facts, readonly, held, _live: Live::event() }
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
        let bytes = memory.bytes();
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

    /// When it was complete, on the clock of `time.time_ns()`.
    #[getter]
    fn recv_time_ns(&self) -> u64 {
        self.facts.recv_time_ns
    }

    /// Whether its bytes cannot be written to.
    #[getter]
    fn readonly(&self) -> bool {
        self.readonly
    }

    fn __len__(&self) -> usize {
        self.facts.nbytes
    }

    /// True also for an event without bytes: it is one.
    fn __bool__(&self) -> bool {
        true
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let pinned = self.pin()?;
        // SAFETY: counted as a view, so that the memory stays.
        unsafe { to_bytes(py, pinned.bytes) }
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

    /// Its bytes as a NumPy array that does not copy them.
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

    /// A `ctypes` structure or array of its bytes from `offset` on; a copy of
    /// those that cannot be written to.
    #[pyo3(signature = (ctype, offset = 0))]
    fn cast<'py>(
        slf: &Bound<'py, Self>,
        ctype: &Bound<'py, PyAny>,
        offset: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let how = if slf.get().readonly { "from_buffer_copy" } else { "from_buffer" };
        ctype.call_method1(how, (slf, offset))
    }

    /// Copies its bytes into a writable buffer, from `offset` there on, and
    /// returns how many those were.
    #[pyo3(signature = (dst, offset = 0))]
    fn copy_into(&self, py: Python<'_>, dst: &Bound<'_, PyAny>, offset: usize) -> PyResult<usize> {
        let pinned = self.pin()?;
        let dst = Export::writable(dst)?;
        let len = pinned.bytes.len();
        if dst.len().checked_sub(offset).is_none_or(|room| room < len) {
            let found = dst.len().saturating_sub(offset);
            return Err(crate::error::too_small(py, len, found));
        }
        // SAFETY: counted as a view, so that the memory stays.
        unsafe { dst.write_from(py, offset, pinned.bytes) };
        Ok(len)
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
        let Facts {
            event_number,
            data_id,
            lane,
            worker,
            fragments,
            tick,
            entropy,
            recv_time_ns,
            ..
        } = slf.get().facts;
        let facts = (data_id, lane, worker, fragments, tick, entropy, recv_time_ns);
        let facts = facts.into_bound_py_any(py)?;
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
        // SAFETY: the interpreter's, and null on failure, as it asks.
        unsafe { (*view).obj = std::ptr::null_mut() };
        let pinned = slf.get().pin()?;
        // SAFETY: the view is the interpreter's; the pinned bytes stay until
        // `__releasebuffer__`, and no reference to them is ever made. Those
        // that may be written to are the event's alone.
        unsafe { buffer::fill(slf.as_any(), view, flags, pinned.bytes, slf.get().readonly) }?;
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

type UnpickledFacts = (u16, u16, u16, u32, Option<u64>, Option<u16>, u64);

/// An event on memory of another object: what unpickling calls.
#[pyfunction(name = "_rebuild_event")]
pub(crate) fn rebuild_event(
    bytes: &Bound<'_, PyAny>,
    event_number: u64,
    facts: UnpickledFacts,
) -> PyResult<PyEvent> {
    let memory = Export::readable(bytes)?;
    let (data_id, lane, worker, fragments, tick, entropy, recv_time_ns) = facts;
    let facts = Facts {
        event_number,
        data_id,
        lane,
        worker,
        fragments,
        tick,
        entropy,
        recv_time_ns,
        nbytes: memory.len(),
    };
    Ok(PyEvent::of(facts, Memory::Other(memory), false))
}
