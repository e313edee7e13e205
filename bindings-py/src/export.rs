//! Memory of other Python objects: borrowed, and given back.
//!
//! ```text
//!            readable, writable                  an event is queued
//!  object ─────────────────────▶ Export (GIL) ──────────────────▶ Queued (any thread)
//!    ▲                              │ dropped                         │ sent, dropped
//!    └──────────── released ◀───────┴──────────── (GIL) Returns ◀─────┘
//!                                   a pending call of the interpreter,
//!                                   or the segmenter's next call
//! ```
//!
//! The sender threads never take the GIL: that would cost microseconds an
//! event, and could not end well while the interpreter ends.

use std::{
    ffi::{CStr, c_int, c_void},
    mem::MaybeUninit,
    panic::catch_unwind,
    ptr, slice,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use pyo3::{
    exceptions::PyTypeError,
    ffi, intern,
    prelude::*,
    types::{PyByteArray, PyBytes},
};

use crate::origin::{Live, Origin};

/// From how many bytes on a copy is made without the GIL.
const LONG_COPY: usize = 32 << 10;

/// One contiguous piece of memory that a Python object has exported. The
/// object keeps it where it is, and its size, until this is dropped, which
/// must happen with the GIL.
pub(crate) struct Export {
    /// Boxed: exporters may point into the structure itself.
    view: Box<ffi::Py_buffer>,
    _live: Live,
}

// SAFETY: a Py_buffer may be used on any thread. What needs the GIL, its
// release, happens on drop, and the types that carry an `Export` to threads
// without it (`Queued`) do not drop it there.
unsafe impl Send for Export {}
// SAFETY: shared, it is only read.
unsafe impl Sync for Export {}

impl Export {
    /// Memory to read from. Any format but Python objects; must be contiguous
    /// in C's order.
    ///
    /// # Errors
    /// `TypeError`: no buffer, or one of Python objects. `BufferError` or
    /// `ValueError`, as the exporter chooses: not contiguous.
    pub(crate) fn readable(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let export = Self::get(object, ffi::PyBUF_SIMPLE)?;
        refuse_objects(object)?;
        Ok(export)
    }

    /// Memory to write to.
    ///
    /// # Errors
    /// As [`Export::readable`]; `BufferError` or `ValueError` too if it is
    /// read-only.
    pub(crate) fn writable(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let export = Self::get(object, ffi::PyBUF_WRITABLE)?;
        refuse_objects(object)?;
        Ok(export)
    }

    fn get(object: &Bound<'_, PyAny>, flags: c_int) -> PyResult<Self> {
        let mut view = Box::new(MaybeUninit::<ffi::Py_buffer>::uninit());
        // SAFETY: `view` is room for a Py_buffer; it is filled on success.
        if unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), view.as_mut_ptr(), flags) } != 0 {
            return Err(PyErr::fetch(object.py()));
        }
        // SAFETY: the call has succeeded.
        Ok(Self { view: unsafe { view.assume_init() }, _live: Live::export() })
    }

    pub(crate) fn len(&self) -> usize {
        // Never negative.
        self.view.len.cast_unsigned()
    }

    /// Python code on other threads may write to it meanwhile, as with any
    /// buffer in Python; what is read then is whatever was there.
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.len() == 0 {
            // The pointer may be null then.
            return &[];
        }
        // SAFETY: the exporter has promised `len` bytes there, in one piece,
        // until the view is released, which takes this export.
        unsafe { slice::from_raw_parts(self.view.buf.cast(), self.len()) }
    }

    /// Where it is: for those who hand it on to Python.
    pub(crate) fn raw(&self) -> *mut [u8] {
        ptr::slice_from_raw_parts_mut(self.view.buf.cast(), self.len())
    }

    pub(crate) fn is_readonly(&self) -> bool {
        self.view.readonly != 0
    }

    /// Copies there, from `at` on. It was asked for as writable and is long
    /// enough.
    pub(crate) fn write(&self, py: Python<'_>, at: usize, bytes: &[u8]) {
        // SAFETY: borrowed until this returns.
        unsafe { self.write_from(py, at, bytes) }
    }

    /// The same, of bytes that Python code knows.
    ///
    /// # Safety
    /// `bytes` are there to be read until this returns. Python code on other
    /// threads may write to them meanwhile.
    pub(crate) unsafe fn write_from(&self, py: Python<'_>, at: usize, bytes: *const [u8]) {
        assert!(!self.is_readonly() && at + bytes.len() <= self.len());
        let places = Places { from: bytes.cast(), to: self.view.buf.cast(), len: bytes.len() };
        // SAFETY: there to be read, by the caller's promise; exported as
        // writable, and long enough (asserted).
        let copy = move || unsafe { places.copy(at) };
        if bytes.len() < LONG_COPY { copy() } else { py.detach(copy) }
    }
}

/// From where to where to copy.
struct Places {
    from: *const u8,
    to: *mut u8,
    len: usize,
}

// SAFETY: memory of live exports, which any thread may read and write.
unsafe impl Send for Places {}

impl Places {
    /// # Safety
    /// So many bytes can be read there, and written from `at` on here.
    unsafe fn copy(self, at: usize) {
        // SAFETY: by the caller's promise. They may overlap: both may be views
        // that Python code has made of the same memory.
        unsafe { ptr::copy(self.from, self.to.add(at), self.len) };
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        // SAFETY: filled by PyObject_GetBuffer, released once, and with the
        // GIL, as the type asks.
        unsafe { ffi::PyBuffer_Release(&raw mut *self.view) };
    }
}

/// Bytes as Python's `bytes`, copied without the GIL if they are many.
///
/// # Safety
/// They are there to be read until this returns. Python code on other threads
/// may write to them meanwhile.
pub(crate) unsafe fn to_bytes(py: Python<'_>, bytes: *const [u8]) -> PyResult<Bound<'_, PyAny>> {
    let (from, len) = (bytes.cast(), bytes.len());
    if len < LONG_COPY {
        // SAFETY: so many bytes are there; no longer than any memory.
        let copied = unsafe { ffi::PyBytes_FromStringAndSize(from, len as isize) };
        // SAFETY: a new object of the interpreter's, or null and an exception.
        return unsafe { Bound::from_owned_ptr_or_err(py, copied) };
    }
    let copied = PyBytes::new_with(py, len, |to| {
        let places = Places { from: from.cast(), to: to.as_mut_ptr(), len };
        // SAFETY: there to be read, and as long.
        py.detach(move || unsafe { places.copy(0) });
        Ok(())
    })?;
    Ok(copied.into_any())
}

/// `PyBUF_SIMPLE` hands out an array of Python objects as bytes: pointers,
/// which mean nothing elsewhere.
fn refuse_objects(object: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = object.py();
    if object.is_exact_instance_of::<PyBytes>() || object.is_exact_instance_of::<PyByteArray>() {
        return Ok(());
    }
    let has_objects = match Export::get(object, ffi::PyBUF_FORMAT | ffi::PyBUF_ND) {
        Ok(export) if export.view.format.is_null() => false,
        // SAFETY: not null, so a string that lives as long as the view.
        Ok(export) => names_objects(unsafe { CStr::from_ptr(export.view.format) }.to_bytes()),
        // There are types that NumPy has no format for, such as dates.
        Err(_) => match object.getattr_opt(intern!(py, "dtype"))? {
            Some(dtype) => dtype.getattr(intern!(py, "hasobject"))?.is_truthy()?,
            None => false,
        },
    };
    if has_objects {
        return Err(PyTypeError::new_err(
            "bytes of an array of Python objects: they are addresses, of no meaning elsewhere; \
             convert it to a numeric or structured type, or pickle it",
        ));
    }
    Ok(())
}

/// Whether a `struct` format has an `O` outside of the `:names:` of fields.
fn names_objects(format: &[u8]) -> bool {
    format.split(|byte| *byte == b':').step_by(2).any(|part| part.contains(&b'O'))
}

/// An export on its way through a segmenter's queue.
pub(crate) struct Queued {
    export: Option<Export>,
    back: Arc<Returns>,
}

impl Queued {
    /// It comes back by way of `back`.
    pub(crate) fn new(export: Export, back: &Arc<Returns>) -> Self {
        Self { export: Some(export), back: Arc::clone(back) }
    }
}

impl AsRef<[u8]> for Queued {
    fn as_ref(&self) -> &[u8] {
        self.export.as_ref().map_or(&[], Export::bytes)
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        if let Some(export) = self.export.take() {
            self.back.push(export);
        }
    }
}

/// Exports of one segmenter that are sent, and wait to be released.
pub(crate) struct Returns {
    sent: Mutex<Vec<Export>>,
    /// Whether the interpreter has been asked to call [`release_pending`].
    asked: AtomicBool,
    origin: Origin,
}

impl Returns {
    pub(crate) fn new() -> Arc<Self> {
        let (sent, asked) = (Mutex::default(), AtomicBool::new(false));
        Arc::new(Self { sent, asked, origin: Origin::here() })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Export>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(self: &Arc<Self>, export: Export) {
        self.lock().push(export);
        if self.asked.swap(true, Ordering::AcqRel) {
            return;
        }
        let own = Arc::into_raw(Arc::clone(self));
        // SAFETY: needs no GIL, but an interpreter, and that is there: before
        // it ends, `at_exit` ends the threads that send.
        let refused =
            unsafe { ffi::Py_AddPendingCall(Some(release_pending), own.cast_mut().cast()) };
        if refused != 0 {
            // Too many others wait. The segmenter's next call releases it.
            self.asked.store(false, Ordering::Release);
            // SAFETY: made above, and given to nobody.
            drop(unsafe { Arc::from_raw(own) });
        }
    }

    /// Releases what is there.
    pub(crate) fn release(&self, _py: Python<'_>) {
        self.asked.store(false, Ordering::Release);
        let sent = std::mem::take(&mut *self.lock());
        // Without the lock: releasing may run any code.
        drop(sent);
    }
}

impl Drop for Returns {
    fn drop(&mut self) {
        // Only where the interpreter refused to call back, and the segmenter
        // is gone: this may be a thread without the GIL.
        std::mem::forget(std::mem::take(&mut *self.lock()));
    }
}

extern "C" fn release_pending(own: *mut c_void) -> c_int {
    // SAFETY: `push` has given away this count for this call.
    let own = unsafe { Arc::from_raw(own.cast_const().cast::<Returns>()) };
    if own.origin.is_here() {
        // A panic must not run into the interpreter, which calls this with
        // the GIL. What is not released then stays.
        let _ = catch_unwind(|| Python::attach(|py| own.release(py)));
    } else {
        // After a fork the lock may for ever be another thread's.
        std::mem::forget(own);
    }
    0
}
