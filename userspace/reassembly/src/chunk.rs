//! A huge page that is cut into blocks of one class.
//!
//! Where translations miss the TLB, a place in memory costs more than the
//! copy to it, above all in a virtual machine, which walks two page tables.
//! Thousands of small buffers on huge pages need as many translations as a
//! hundred on ordinary ones.
//!
//! ```text
//! ┌ Header ┬ block ┬ block ┬ … ┬ not cut yet ┬ slack ┐   2 MiB, on a huge page
//! └────────┴───────┴───────┴───┴─────────────┴───────┘   where the kernel gives one
//! ```
//!
//! The chunk is freed with the last of its blocks.

use std::{
    alloc::{Layout, alloc, dealloc},
    mem::ManuallyDrop,
    ptr::NonNull,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence},
};

use crate::{
    block::{Block, Freed, footprint},
    pages,
    size_class::{HUGE, LINE},
};

/// Bytes of a chunk. It starts on a multiple of that, too, so that a block
/// finds it.
pub(crate) const CHUNK: usize = HUGE;

/// Of the smallest pages that there are.
const LEAST_PAGE: usize = 4096;

const LAYOUT: Layout = match Layout::from_size_align(CHUNK, CHUNK) {
    Ok(layout) => layout,
    Err(_) => panic!("a power of two"),
};

#[derive(Debug)]
#[repr(C, align(64))]
struct Header {
    /// Blocks, and the [`Cutter`] while there is one.
    users: AtomicUsize,
    /// Bytes that no block has: the slack at the end, and what was left uncut.
    unused: AtomicU64,
}

const _: () = assert!(size_of::<Header>() == LINE);

/// Cuts a chunk into blocks of `size` bytes of data. Uses the chunk until it is
/// [finished](Cutter::finish).
#[derive(Debug)]
#[must_use = "its chunk would never be freed"]
pub(crate) struct Cutter {
    chunk: NonNull<Header>,
    /// Where the next block starts, and how many there are to cut.
    at: usize,
    left: usize,
    size: u64,
    class: u8,
}

// SAFETY: a cutter owns what it has not cut yet; the count is atomic.
unsafe impl Send for Cutter {}
// SAFETY: as above; it is not changed through a shared reference.
unsafe impl Sync for Cutter {}

/// Blocks that a chunk gives.
const fn blocks_per_chunk(size: u64) -> usize {
    (CHUNK - LINE) / footprint(size) as usize
}

/// Bytes of a chunk that can be in no block of this size.
pub(crate) const fn slack(size: u64) -> u64 {
    CHUNK as u64 - blocks_per_chunk(size) as u64 * footprint(size)
}

/// Whether blocks of this size are cut from chunks, rather than allocated one
/// by one: they do not fill huge pages of their own, and chunks lose little.
pub(crate) const fn serves(size: u64) -> bool {
    size < HUGE as u64 && slack(size) <= CHUNK as u64 / 4
}

/// Memory for a chunk, of which nothing has been cut.
#[derive(Debug)]
pub(crate) struct Blank(NonNull<u8>);

// SAFETY: owns its memory alone, which is only written to through `&mut`.
unsafe impl Send for Blank {}
// SAFETY: as above.
unsafe impl Sync for Blank {}

impl Blank {
    /// `None` when the allocator has nothing.
    pub(crate) fn new() -> Option<Self> {
        // SAFETY: the layout's size is not 0.
        let start = NonNull::new(unsafe { alloc(LAYOUT) })?;
        pages::prefer_huge(start.as_ptr(), CHUNK);
        Some(Self(start))
    }

    /// Has the kernel find pages for all of it, on this thread's NUMA node.
    pub(crate) fn touch(&mut self) {
        for page in (0..CHUNK).step_by(LEAST_PAGE) {
            // SAFETY: within the memory, which is ours. Volatile, or it could
            // be left out.
            unsafe { self.0.as_ptr().add(page).write_volatile(0) };
        }
    }
}

impl Drop for Blank {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and nobody else's.
        unsafe { dealloc(self.0.as_ptr(), LAYOUT) };
    }
}

impl Cutter {
    /// Cuts this memory.
    pub(crate) fn new(blank: Blank, size: u64, class: u8) -> Self {
        let chunk = ManuallyDrop::new(blank).0.cast::<Header>();
        // SAFETY: in bounds and aligned.
        unsafe {
            chunk.write(Header { users: AtomicUsize::new(1), unused: AtomicU64::new(slack(size)) });
        }
        Self { chunk, at: LINE, left: blocks_per_chunk(size), size, class }
    }

    /// The next block; it has no home. `None` when the chunk is used up.
    #[inline]
    pub(crate) fn cut(&mut self) -> Option<Block> {
        self.left = self.left.checked_sub(1)?;
        // SAFETY: `left` blocks of this footprint fit behind `at`.
        let start = unsafe { self.chunk.cast::<u8>().add(self.at) };
        self.at += footprint(self.size) as usize;
        // SAFETY: valid as long as there are users, of which we are one.
        // Relaxed: as with `Arc::clone`.
        unsafe { self.chunk.as_ref() }.users.fetch_add(1, Ordering::Relaxed);
        // SAFETY: memory of the chunk that no other block has, of this size,
        // and aligned, since both the header and a footprint are whole lines.
        Some(unsafe { Block::in_chunk(start, self.size, self.class) })
    }

    /// Bytes that have not been cut yet.
    pub(crate) fn uncut(&self) -> u64 {
        self.left as u64 * footprint(self.size)
    }

    /// Leaves the rest uncut. It is gone when the chunk's blocks are.
    pub(crate) fn finish(self) -> Freed {
        // SAFETY: valid while we are a user.
        let header = unsafe { self.chunk.as_ref() };
        // Relaxed: read after the count has become 0, which orders it.
        header.unused.fetch_add(self.uncut(), Ordering::Relaxed);
        // SAFETY: our own use of the chunk, which ends here.
        unsafe { release(self.chunk.cast()) }
    }
}

/// Ends one use of the chunk around `address`.
///
/// # Safety
/// In a chunk, of which the caller is a user, and is none after this.
pub(crate) unsafe fn release(address: NonNull<u8>) -> Freed {
    let offset = address.addr().get() % CHUNK;
    // SAFETY: a chunk starts on a multiple of its size, so this is where
    // ours does.
    let chunk = unsafe { address.sub(offset) };
    let header = chunk.cast::<Header>();
    // SAFETY: valid while the caller is a user. Release: what we did to the
    // memory comes before it is freed.
    if unsafe { header.as_ref() }.users.fetch_sub(1, Ordering::Release) != 1 {
        return Freed::Nothing;
    }
    // What all others did, too.
    fence(Ordering::Acquire);
    // SAFETY: valid until the next statement.
    let unused = unsafe { header.as_ref() }.unused.load(Ordering::Relaxed);
    // SAFETY: allocated with this layout; nobody uses it any more.
    unsafe { dealloc(chunk.as_ptr(), LAYOUT) };
    Freed::Chunk { unused }
}
