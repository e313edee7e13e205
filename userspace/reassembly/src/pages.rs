//! Huge pages.

use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    ops::{Deref, DerefMut},
    ptr::NonNull,
    slice,
};

use crate::size_class::{HUGE, LINE};

/// Asks for huge pages where `start..start + len` covers some. Only advice:
/// the kernel may not have any (`/sys/kernel/mm/transparent_hugepage/enabled`).
pub(crate) fn prefer_huge(start: *const u8, len: usize) {
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        let skip = start.align_offset(HUGE);
        let whole = len.saturating_sub(skip) / HUGE * HUGE;
        if whole > 0 {
            // SAFETY: changes the size of pages, not what is in them; and the
            // range is the caller's. An error means small pages.
            unsafe {
                libc::madvise(start.wrapping_add(skip) as *mut _, whole, libc::MADV_HUGEPAGE)
            };
        }
    }
    #[cfg(not(all(target_os = "linux", not(miri))))]
    let _ = (start, len);
}

/// Words of zero, on huge pages if there are that many.
#[derive(Debug)]
pub(crate) struct ZeroedWords {
    start: NonNull<u64>,
    len: usize,
}

// SAFETY: owns its memory, as a `Box<[u64]>` would.
unsafe impl Send for ZeroedWords {}
// SAFETY: as above.
unsafe impl Sync for ZeroedWords {}

impl ZeroedWords {
    /// `len` words, at least one.
    pub(crate) fn new(len: usize) -> Self {
        let layout = Self::layout(len);
        // SAFETY: the layout's size is not 0.
        let Some(start) = NonNull::new(unsafe { alloc(layout) }) else {
            handle_alloc_error(layout)
        };
        prefer_huge(start.as_ptr(), layout.size());
        // SAFETY: so many bytes have been allocated.
        unsafe { start.write_bytes(0, layout.size()) };
        Self { start: start.cast(), len }
    }

    fn layout(len: usize) -> Layout {
        assert!(len > 0, "no words");
        let layout = Layout::array::<u64>(len)
            .and_then(|layout| layout.align_to(if layout.size() >= HUGE { HUGE } else { LINE }));
        layout.expect("fewer words than the address space has")
    }
}

impl Deref for ZeroedWords {
    type Target = [u64];

    #[inline]
    fn deref(&self) -> &[u64] {
        // SAFETY: allocated and written in `new`.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for ZeroedWords {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u64] {
        // SAFETY: as above, and borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for ZeroedWords {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with the same layout.
        unsafe { dealloc(self.start.as_ptr().cast(), Self::layout(self.len)) };
    }
}
