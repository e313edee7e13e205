//! Our memory as buffers of Python's.

use std::ffi::c_int;

use pyo3::{ffi, prelude::*};

/// Lets `view` be one of `bytes`, which keeps `owner`.
///
/// # Errors
/// `BufferError`: it is to be written to, and may not be.
///
/// # Safety
/// `view` is the interpreter's, to be filled. The bytes stay as long as
/// `owner`, or until the view is released, and nobody holds a reference to
/// them meanwhile: to those that may be written to none at all.
pub(crate) unsafe fn fill(
    owner: &Bound<'_, PyAny>,
    view: *mut ffi::Py_buffer,
    flags: c_int,
    bytes: *mut [u8],
    readonly: bool,
) -> PyResult<()> {
    // SAFETY: the interpreter's, by the caller's promise; null on failure, as
    // it asks. Lengths fit, as of any memory.
    let refused = unsafe {
        (*view).obj = std::ptr::null_mut();
        let (start, len) = (bytes.cast(), bytes.len() as isize);
        ffi::PyBuffer_FillInfo(view, owner.as_ptr(), start, len, readonly.into(), flags)
    };
    if refused == 0 { Ok(()) } else { Err(PyErr::fetch(owner.py())) }
}
