//! A piece of pool memory, and who has it.
//!
//! ```text
//! ┌ Header: one line ┬ data: a multiple of a cache line ┐
//! └──────────────────┴──────────────────────────────────┘
//!
//! Block    owns it; freed on drop                  (in a free list)
//! Buffer   on loan from a heap; goes home on drop  (an event, in progress or whole)
//! Words    a buffer whose first words are zeroed   (bitmaps, lists of runs)
//! ```
//!
//! All three are a pointer to the header, so an event that changes hands moves
//! eight bytes. The header says where the block's home is, and holds what is
//! known of the event, so that no other memory is needed for either.
//!
//! The data is not initialised: nothing reads a byte that was not written
//! before, which [`Words`] and [`crate::placement`] see to.

use std::{
    alloc::{Layout, alloc, dealloc},
    mem::{self, ManuallyDrop},
    ops::{Deref, DerefMut},
    ptr::{self, NonNull},
    slice,
    sync::Arc,
};

use crate::{
    chunk,
    copy::Copier,
    event::Facts,
    heap::Heap,
    home::Home,
    lend::Loan,
    returns::Linked,
    size_class::{HUGE, LINE},
    sync::Cell,
};

/// What stands before a block's data.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Header {
    /// Link of the way home; only used there.
    next: Cell<*mut Header>,
    /// `None` while no heap has it.
    home: Option<Arc<Home>>,
    /// When the event was complete.
    completed_ns: u64,
    /// Bytes of the event: those of this block, unless it keeps a loan.
    len: u32,
    /// Size of the data in cache lines: 4 GiB fit.
    lines: u32,
    event_number: u64,
    tick: u64,
    fragments: u32,
    data_id: u16,
    lane: u16,
    worker: u16,
    entropy: u16,
    has_lb: bool,
    /// The data holds a [`Loan`].
    keeps_loan: bool,
    /// Part of a [`chunk`].
    in_chunk: bool,
    class: u8,
}

// Loom's atomics are larger than they say.
#[cfg(not(loom))]
const _: () = assert!(size_of::<Header>() == LINE && align_of::<Header>() == LINE);

// SAFETY: returns the one field, which is used for nothing else.
unsafe impl Linked for Header {
    #[inline]
    fn next(&self) -> &Cell<*mut Self> {
        &self.next
    }
}

/// Memory of one size class, owned.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Block(NonNull<Header>);

// SAFETY: a block owns its memory alone; through a shared reference it can
// only be read.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

/// Bytes of memory that a block with `size` bytes of data takes.
#[inline]
pub(crate) const fn footprint(size: u64) -> u64 {
    size + LINE as u64
}

/// The layout of a block of so many lines; `None` where the address space is
/// too small for it.
fn layout(lines: u32) -> Option<Layout> {
    let size = u64::from(lines) * LINE as u64;
    let align = if size >= HUGE as u64 { HUGE } else { LINE };
    Layout::from_size_align(usize::try_from(footprint(size)).ok()?, align).ok()
}

impl Block {
    /// Asks the allocator for `size` bytes of data, a multiple of [`LINE`]
    /// greater than 0. They are not touched: a block costs little resident
    /// memory before it is written to. `None` when the allocator has nothing.
    pub(crate) fn allocate(size: u64, class: u8) -> Option<Self> {
        let lines = u32::try_from(size / LINE as u64).ok().filter(|lines| *lines > 0)?;
        let layout = layout(lines)?;
        // SAFETY: the layout's size is not 0.
        let start = NonNull::new(unsafe { alloc(layout) })?;
        // Not advised to be on huge pages: a single fragment's claim would make
        // megabytes resident.
        // SAFETY: the layout is that of a header and so many lines.
        Some(unsafe { Self::write_header(start, lines, class, false) })
    }

    /// A block in a chunk, which it is a user of.
    ///
    /// # Safety
    /// `start` is aligned to a line, and the memory from there to the end of
    /// the footprint is nobody else's.
    pub(crate) unsafe fn in_chunk(start: NonNull<u8>, size: u64, class: u8) -> Self {
        // SAFETY: by the caller's promise. A size in a chunk has few lines.
        unsafe { Self::write_header(start, (size / LINE as u64) as u32, class, true) }
    }

    /// # Safety
    /// `start` is aligned to a line; a header and so many lines fit there,
    /// and are nobody else's.
    unsafe fn write_header(start: NonNull<u8>, lines: u32, class: u8, in_chunk: bool) -> Self {
        let header = start.cast::<Header>();
        let fresh = Header {
            next: Cell::new(ptr::null_mut()),
            home: None,
            completed_ns: 0,
            len: 0,
            lines,
            event_number: 0,
            tick: 0,
            fragments: 0,
            data_id: 0,
            lane: 0,
            worker: 0,
            entropy: 0,
            has_lb: false,
            keeps_loan: false,
            in_chunk,
            class,
        };
        // SAFETY: in bounds and aligned, by the caller's promise.
        unsafe { header.write(fresh) };
        Self(header)
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: valid as long as the block, which owns it.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    fn header_mut(&mut self) -> &mut Header {
        // SAFETY: valid as long as the block, which owns it and is borrowed
        // mutably.
        unsafe { self.0.as_mut() }
    }

    /// Bytes of data.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.header().lines as usize * LINE
    }

    /// Its size class.
    #[inline]
    pub(crate) fn class(&self) -> usize {
        usize::from(self.header().class)
    }

    /// Where it goes when it is no longer needed. Returns where it went
    /// before.
    pub(crate) fn set_home(&mut self, home: Option<Arc<Home>>) -> Option<Arc<Home>> {
        mem::replace(&mut self.header_mut().home, home)
    }

    /// Lends it.
    #[inline]
    pub(crate) fn lend(self) -> Buffer {
        debug_assert!(self.header().home.is_some(), "it must find home");
        Buffer(ManuallyDrop::new(self))
    }

    /// Gives up ownership.
    #[inline]
    pub(crate) fn into_raw(self) -> NonNull<Header> {
        ManuallyDrop::new(self).0
    }

    /// Takes ownership.
    ///
    /// # Safety
    /// From [`Block::into_raw`], and once for each call of that.
    #[inline]
    pub(crate) unsafe fn from_raw(header: NonNull<Header>) -> Self {
        Self(header)
    }
}

/// Memory that is gone with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freed {
    /// So many bytes.
    Block(u64),
    /// None yet: others use the block's chunk.
    Nothing,
    /// The chunk, with so many bytes that no block had.
    Chunk { unused: u64 },
}

impl Block {
    /// Frees it. It must have no home: the caller says what is gone.
    pub(crate) fn free(self) -> Freed {
        debug_assert!(self.header().home.is_none(), "its home would be told");
        ManuallyDrop::new(self).release()
    }

    /// To be called once, last.
    fn release(&mut self) -> Freed {
        let lines = self.header().lines;
        let size = lines as usize * LINE;
        if self.header().in_chunk {
            // SAFETY: of a chunk, and this was the use of it.
            return unsafe { chunk::release(self.0.cast()) };
        }
        if let Some(layout) = layout(lines) {
            // SAFETY: allocated in `allocate` with the layout of the same
            // number of lines, and owned by nobody else.
            unsafe { dealloc(self.0.as_ptr().cast(), layout) }
        }
        Freed::Block(footprint(size as u64))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let home = self.set_home(None);
        let freed = self.release();
        // After the memory is gone: the pool never holds less than there is.
        if let Some(home) = home {
            home.pool().freed(freed);
        }
    }
}

/// A block on loan from a [`Heap`].
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Buffer(ManuallyDrop<Block>);

impl Buffer {
    /// Bytes it can hold.
    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.0.size()
    }

    /// Bytes of memory it takes.
    #[inline]
    pub(crate) fn footprint(&self) -> u64 {
        footprint(self.capacity() as u64)
    }

    #[inline]
    fn data(&self) -> NonNull<u8> {
        // The header is not looked at: it may have left the cache.
        // SAFETY: the data lies right behind it.
        unsafe { self.0.0.add(1).cast() }
    }

    /// Notes which event it is for. `len` bytes of it will have been written
    /// by the time anybody asks for them.
    ///
    /// # Panics
    /// If they do not fit. Callers have asked for as many; this is the last
    /// line of defence.
    #[inline]
    pub(crate) fn label(&mut self, facts: &Facts, len: u32) {
        assert!(len as usize <= self.capacity(), "an event beyond the buffer");
        let header = self.0.header_mut();
        header.len = len;
        header.event_number = facts.event_number;
        header.data_id = facts.data_id;
        header.lane = facts.lane;
        header.worker = facts.worker;
        header.fragments = facts.fragments;
        header.has_lb = facts.lb.is_some();
        let (tick, entropy) = facts.lb.unwrap_or_default();
        header.tick = tick;
        header.entropy = entropy;
    }

    /// Notes of how many fragments the event was made.
    #[inline]
    pub(crate) fn set_fragments(&mut self, fragments: u32) {
        self.0.header_mut().fragments = fragments;
    }

    /// Notes when the event was complete.
    #[inline]
    pub(crate) fn set_completed(&mut self, at_ns: u64) {
        self.0.header_mut().completed_ns = at_ns;
    }

    /// When that was.
    #[inline]
    pub(crate) fn completed_ns(&self) -> u64 {
        self.0.header().completed_ns
    }

    /// What was noted.
    #[inline]
    pub(crate) fn facts(&self) -> Facts {
        let header = self.0.header();
        Facts {
            event_number: header.event_number,
            data_id: header.data_id,
            lane: header.lane,
            worker: header.worker,
            fragments: header.fragments,
            lb: header.has_lb.then_some((header.tick, header.entropy)),
        }
    }

    /// Length of the event, as noted.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.0.header().len as usize
    }

    /// Lets the event's bytes be those of `loan`, which is kept in the data.
    #[inline]
    pub(crate) fn keep(&mut self, loan: Loan) {
        const { assert!(size_of::<Loan>() <= 256 && align_of::<Loan>() <= LINE) };
        debug_assert!(!self.0.header().keeps_loan);
        // A datagram: an IP packet has less than 64 KiB.
        let len = u32::try_from(loan.raw().len()).unwrap_or(u32::MAX);
        // SAFETY: no block has less data than the smallest class, and the
        // data is aligned to a line.
        unsafe { self.data().cast::<Loan>().write(loan) };
        let header = self.0.header_mut();
        header.len = len;
        header.keeps_loan = true;
    }

    /// Copies `bytes` to `at`.
    ///
    /// # Safety
    /// The buffer has been labelled with a length of at least `len`. The
    /// copier is [settled](Copier::settle) before another thread may have the
    /// buffer.
    ///
    /// # Panics
    /// If they reach beyond `len`. Callers have checked the fragment against
    /// the event's length; this is the last line of defence.
    #[inline]
    pub(crate) unsafe fn write(&mut self, at: usize, bytes: &[u8], len: u32, copier: &mut Copier) {
        let len = len as usize;
        assert!(at <= len && bytes.len() <= len - at, "write beyond the event");
        // SAFETY: `at + bytes.len()` is within the length, and that within
        // the data (`label`). `bytes` cannot overlap it: the block is
        // borrowed mutably here, and owned alone.
        unsafe {
            copier.copy(bytes.as_ptr(), self.data().as_ptr().add(at), bytes.len());
        }
    }

    /// Whether the event's bytes are on loan: not to be written to.
    #[inline]
    pub(crate) fn keeps_loan(&self) -> bool {
        self.0.header().keeps_loan
    }

    /// Where the event's bytes are. Only those of the length noted that have
    /// been written are initialised; unless they are on loan, they may be
    /// written to by who has the buffer alone.
    #[inline]
    pub(crate) fn raw(&self) -> NonNull<[u8]> {
        let header = self.0.header();
        if header.keeps_loan {
            // SAFETY: written in `keep`, and taken out on drop only.
            return unsafe { self.data().cast::<Loan>().as_ref() }.raw();
        }
        NonNull::slice_from_raw_parts(self.data(), header.len as usize)
    }

    /// The event's bytes.
    ///
    /// # Safety
    /// Each byte of the length noted has been written, or is on loan.
    #[inline]
    pub(crate) unsafe fn written(&self) -> &[u8] {
        // SAFETY: initialised and in bounds by the caller's promise; lives as
        // long as `self`, which nobody can write to meanwhile.
        unsafe { self.raw().as_ref() }
    }

    /// The event's bytes, to be written to; `None` of a loan.
    ///
    /// # Safety
    /// As [`Self::written`].
    #[inline]
    pub(crate) unsafe fn written_mut(&mut self) -> Option<&mut [u8]> {
        // SAFETY: as in `written`, and borrowed mutably; the block's own.
        (!self.keeps_loan()).then(|| unsafe { self.raw().as_mut() })
    }

    /// Asks for the memory that the byte at `at` will go to, and for the
    /// header.
    #[inline]
    pub(crate) fn prefetch(&self, at: usize) {
        crate::prefetch::line(self.data().as_ptr().wrapping_add(at));
    }
}

impl Drop for Buffer {
    #[inline]
    fn drop(&mut self) {
        if self.0.header().keeps_loan {
            self.0.header_mut().keeps_loan = false;
            // SAFETY: written in `keep`; the flag says that it has not been
            // taken out since.
            drop(unsafe { self.data().cast::<Loan>().read() });
        }
        // SAFETY: taken once, here; `self.0` is not used again.
        let mut block = unsafe { ManuallyDrop::take(&mut self.0) };
        let header = block.header_mut();
        match &header.home {
            Some(home) if home.keeps(usize::from(header.class)) => {
                let home: *const Home = &**home;
                // SAFETY: the block that is pushed, and everything else that
                // keeps the home alive, is the home's own from then on; it is
                // not touched after that (`Home::take_in`).
                unsafe { Home::take_in(home, block) };
            }
            _ => {
                if let Some(home) = block.set_home(None) {
                    home.pool().put(block);
                }
            }
        }
    }
}

/// Machine words in pool memory, all initialised.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Words(Buffer);

impl Words {
    /// `len` words of zero, or `None` when the budget does not allow it.
    pub(crate) fn zeroed(heap: &mut Heap, len: usize) -> Option<Self> {
        let bytes = len as u64 * size_of::<u64>() as u64;
        let mut buffer = heap.take(bytes)?;
        // SAFETY: the heap gave at least as many bytes as were asked for.
        unsafe { ptr::write_bytes(buffer.data().as_ptr(), 0, bytes as usize) };
        buffer.0.header_mut().len = len as u32;
        Some(Self(buffer))
    }
}

impl Deref for Words {
    type Target = [u64];

    #[inline]
    fn deref(&self) -> &[u64] {
        // SAFETY: as many words were written in `zeroed`; data is aligned to
        // cache lines.
        unsafe { slice::from_raw_parts(self.0.data().as_ptr().cast(), self.0.len()) }
    }
}

impl DerefMut for Words {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u64] {
        let len = self.0.len();
        // SAFETY: as in `deref`, and borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.0.data().as_ptr().cast(), len) }
    }
}
