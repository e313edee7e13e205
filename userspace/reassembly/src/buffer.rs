//! A piece of pool memory.
//!
//! ```text
//! Block   the memory itself; freed on drop        (in a free list)
//!   └ Buffer   a block lent by a pool; goes back to it on drop
//!       └ Words    a buffer whose first words are initialised (bitmaps, runs)
//! ```
//!
//! Blocks are not initialised: nothing reads a byte that was not written
//! before, which [`Words`] and [`crate::placement`] see to.

use std::{
    alloc::{Layout, alloc, dealloc},
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    ptr::{self, NonNull},
    slice,
    sync::Arc,
};

use crate::{
    pool::Pool,
    size_class::{HUGE, LINE},
};

/// Uninitialised memory of one size class, owned.
#[derive(Debug)]
pub(crate) struct Block {
    start: NonNull<u8>,
    /// Size in cache lines: 4 GiB fit.
    lines: u32,
    class: u8,
}

// SAFETY: a block owns its memory alone; through a shared reference it can
// only be read.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    /// Asks the allocator for `size` bytes, a multiple of [`LINE`] greater
    /// than 0. Not touched: a block costs no resident memory before it is
    /// written to. `None` when the allocator has nothing.
    pub(crate) fn allocate(size: u64, class: u8) -> Option<Self> {
        let lines = u32::try_from(size / LINE as u64).ok().filter(|lines| *lines > 0)?;
        let layout = layout(lines)?;
        // SAFETY: the layout's size is not 0, since `lines` is not.
        let start = NonNull::new(unsafe { alloc(layout) })?;
        Some(Self { start, lines, class })
    }

    /// Bytes.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.lines as usize * LINE
    }

    /// Its size class.
    #[inline]
    pub(crate) fn class(&self) -> usize {
        usize::from(self.class)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(layout) = layout(self.lines) {
            // SAFETY: allocated in `allocate` with the layout of the same
            // number of lines, and owned by nobody else.
            unsafe { dealloc(self.start.as_ptr(), layout) }
        }
    }
}

/// The layout of a block; `None` where the address space is too small for it.
fn layout(lines: u32) -> Option<Layout> {
    let size = usize::try_from(u64::from(lines) * LINE as u64).ok()?;
    Layout::from_size_align(size, if size >= HUGE { HUGE } else { LINE }).ok()
}

/// A block on loan from a [`Pool`].
#[derive(Debug)]
pub(crate) struct Buffer {
    block: ManuallyDrop<Block>,
    pool: Arc<Pool>,
}

impl Buffer {
    pub(crate) fn new(block: Block, pool: Arc<Pool>) -> Self {
        Self { block: ManuallyDrop::new(block), pool }
    }

    /// Bytes it can hold.
    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.block.size()
    }

    /// Copies `bytes` to `at`.
    ///
    /// # Panics
    /// If they do not fit. Callers have checked the fragment against the
    /// event's length; this is the last line of defence.
    #[inline]
    pub(crate) fn write(&mut self, at: usize, bytes: &[u8]) {
        let capacity = self.capacity();
        assert!(at <= capacity && bytes.len() <= capacity - at, "write beyond the buffer");
        // SAFETY: `at + bytes.len()` is within the block. `bytes` cannot
        // overlap it: the block is borrowed mutably here, and owned alone.
        unsafe {
            ptr::copy_nonoverlapping(
                bytes.as_ptr(),
                self.block.start.as_ptr().add(at),
                bytes.len(),
            );
        }
    }

    /// The first `len` bytes.
    ///
    /// # Safety
    /// `len` is within the capacity, and each of those bytes has been written.
    #[inline]
    pub(crate) unsafe fn written(&self, len: usize) -> &[u8] {
        // SAFETY: initialised and in bounds by the caller's promise; lives as
        // long as `self`, which nobody can write to meanwhile.
        unsafe { slice::from_raw_parts(self.block.start.as_ptr(), len) }
    }
}

impl Drop for Buffer {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: taken once, here; `self.block` is not used again.
        let block = unsafe { ManuallyDrop::take(&mut self.block) };
        self.pool.put(block);
    }
}

/// Machine words in pool memory, all initialised.
#[derive(Debug)]
pub(crate) struct Words {
    buffer: Buffer,
    len: usize,
}

impl Words {
    /// `len` words of zero, or `None` when the budget does not allow it.
    pub(crate) fn zeroed(pool: &Arc<Pool>, len: usize) -> Option<Self> {
        let buffer = pool.take(len as u64 * size_of::<u64>() as u64)?;
        // SAFETY: the pool gave at least as many bytes as were asked for.
        unsafe { ptr::write_bytes(buffer.block.start.as_ptr(), 0, len * size_of::<u64>()) };
        Some(Self { buffer, len })
    }
}

impl Deref for Words {
    type Target = [u64];

    #[inline]
    fn deref(&self) -> &[u64] {
        // SAFETY: `len` words were written in `zeroed`; blocks are aligned to
        // cache lines.
        unsafe { slice::from_raw_parts(self.buffer.block.start.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Words {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u64] {
        // SAFETY: as in `deref`, and borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.buffer.block.start.as_ptr().cast(), self.len) }
    }
}
