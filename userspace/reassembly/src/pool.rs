//! Memory for events, shared by all workers, under one budget.
//!
//! ```text
//!  worker: Heap ── take ──▶ its own free lists            to 1 MiB, no atomics
//!            │                  ▲ come home (Home) ◀── drop, on any thread
//!            │                  │ too many
//!            │                  ▼
//!            └─ none there ──▶ Pool: free lists per class ◀── drop of large blocks
//!                               │ none there
//!                               ▼
//!                              allocator, if the budget allows
//!
//!            held = lent + free, here or in a heap ≤ budget
//! ```
//!
//! Lock-free. A block is reserved in the budget before it is allocated, so
//! `held` never exceeds it, whatever races. Once every class in use has its
//! blocks, nothing is allocated any more. A worker that finds the budget
//! exhausted frees what is idle in its heap and here, and asks the others to
//! bring what is idle in theirs.

use std::sync::{
    Arc, Mutex, OnceLock, PoisonError, Weak,
    atomic::{AtomicU64, Ordering},
};

use crossbeam_queue::ArrayQueue;
use crossbeam_utils::CachePadded;

use crate::{
    block::{Block, Freed, footprint},
    chunk::{self, Blank, CHUNK, Cutter, slack},
    coverage::SCRATCH_BYTES,
    home::Home,
    size_class::{LINE, class_of, size_of_class},
};

/// Free blocks that one class keeps at most; more go back to the allocator.
// Miri spends minutes on setting up longer lists.
const MAX_FREE: u64 = if cfg!(miri) { 256 } else { 1 << 17 };
/// A pool with room for at least so many chunks cuts small blocks out of
/// them.
const MIN_CHUNKS: u64 = 64;

/// What a [`Pool`] may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// Bytes of everything the pool ever holds, lent or free. A buffer takes
    /// at most a quarter more than its event, and 64 bytes.
    pub budget: u64,
    /// Longest event accepted, in bytes.
    pub max_event: u32,
}

#[derive(Debug)]
struct Class {
    size: u64,
    /// Made with the first block of the class: most classes are never used.
    free: OnceLock<ArrayQueue<Block>>,
}

/// Memory for events, under one budget.
#[derive(Debug)]
pub struct Pool {
    config: PoolConfig,
    classes: Box<[Class]>,
    /// Bytes of all blocks there are. On a line of its own: everybody reads
    /// the fields around it, few write here.
    held: CachePadded<AtomicU64>,
    /// Bytes of chunks that are in no block, and will not be.
    unused: CachePadded<AtomicU64>,
    /// How often somebody found nothing.
    calls: CachePadded<AtomicU64>,
    /// All heaps, for statistics.
    homes: Mutex<Vec<Weak<Home>>>,
}

impl Pool {
    /// A pool that holds nothing yet.
    pub fn new(config: PoolConfig) -> Arc<Self> {
        let longest = u64::from(config.max_event).next_multiple_of(LINE as u64).max(SCRATCH_BYTES);
        let classes = (0..=class_of(longest))
            // The last class is cut to what is asked for, so that an event as
            // long as the budget has a chance.
            .map(|class| Class { size: size_of_class(class).min(longest), free: OnceLock::new() })
            .collect();
        Arc::new(Self {
            config,
            classes,
            held: CachePadded::new(AtomicU64::new(0)),
            unused: CachePadded::new(AtomicU64::new(0)),
            calls: CachePadded::new(AtomicU64::new(0)),
            homes: Mutex::new(Vec::new()),
        })
    }

    /// Bytes lent out: events in progress, queued, and held by consumers, by
    /// the size of their buffers. A buffer counts until the worker that it
    /// came from has noticed that it is back, with its next batch at the
    /// latest.
    pub fn in_use(&self) -> u64 {
        let mut homes = self.homes();
        homes.retain(|home| home.strong_count() > 0);
        let in_heaps: u64 = homes.iter().filter_map(Weak::upgrade).map(|home| home.idle()).sum();
        self.held().saturating_sub(self.free() + self.unused() + in_heaps)
    }

    /// Bytes held: lent, and in the free lists. Never more than the budget.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Bytes held that are in no block, and will not be.
    pub(crate) fn unused(&self) -> u64 {
        self.unused.load(Ordering::Relaxed)
    }

    /// Lets go of a chunk that is not used up.
    pub(crate) fn finish(&self, cutter: Cutter) {
        self.unused.fetch_add(cutter.uncut(), Ordering::Relaxed);
        let freed = cutter.finish();
        self.freed(freed);
    }

    /// Bytes that may be held.
    pub fn budget(&self) -> u64 {
        self.config.budget
    }

    /// Longest event accepted, in bytes.
    #[inline]
    pub fn max_event(&self) -> u32 {
        self.config.max_event
    }

    /// A new heap's home.
    pub(crate) fn new_home(self: &Arc<Self>) -> Arc<Home> {
        let home = Home::new(Arc::clone(self));
        self.homes().push(Arc::downgrade(&home));
        home
    }

    fn homes(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Home>>> {
        // A list is never left half changed.
        self.homes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Size of the blocks of a class, if there is one.
    #[inline]
    pub(crate) fn size(&self, class: usize) -> Option<u64> {
        self.classes.get(class).map(|class| class.size)
    }

    /// Number of classes.
    pub(crate) fn classes(&self) -> usize {
        self.classes.len()
    }

    /// Bytes of budget that an event of `length` bytes, not longer than
    /// accepted, takes.
    pub(crate) fn cost(&self, length: u64) -> u64 {
        self.size(class_of(length)).map_or(u64::MAX, footprint)
    }

    /// Bytes that are free here.
    pub(crate) fn free(&self) -> u64 {
        let free = |class: &Class| class.free.get().map_or(0, |free| free.len() as u64);
        self.classes.iter().map(|class| footprint(class.size) * free(class)).sum()
    }

    /// A free block of a class; it has no home.
    #[inline]
    pub(crate) fn pop(&self, class: usize) -> Option<Block> {
        self.classes.get(class)?.free.get()?.pop()
    }

    /// A new block of a class, for which room has been reserved. It has no
    /// home. `None`, and no room reserved any more, when the allocator has
    /// nothing.
    #[cold]
    pub(crate) fn allocate(&self, class: usize) -> Option<Block> {
        let Class { size, .. } = self.class_in_use(class)?;
        let block = Block::allocate(*size, class as u8);
        if block.is_none() {
            self.release(footprint(*size));
        }
        block
    }

    /// Whether blocks of a class are cut from chunks here.
    pub(crate) fn cuts(&self, class: usize) -> bool {
        self.has_chunks() && self.size(class).is_some_and(chunk::serves)
    }

    fn has_chunks(&self) -> bool {
        self.config.budget >= MIN_CHUNKS * CHUNK as u64
    }

    /// Memory for a chunk, if there is room for one.
    #[cold]
    pub(crate) fn blank(&self) -> Option<Blank> {
        if !self.has_chunks() || !self.reserve(CHUNK as u64) {
            return None;
        }
        let blank = Blank::new();
        if blank.is_none() {
            self.release(CHUNK as u64);
        }
        blank
    }

    /// Gives such memory back to the allocator.
    pub(crate) fn discard_blank(&self, blank: Blank) {
        // First: `held` is never less than what there is.
        drop(blank);
        self.release(CHUNK as u64);
    }

    /// Makes it a chunk of blocks of a class.
    pub(crate) fn chunk(&self, blank: Blank, class: usize) -> Option<Cutter> {
        let Some(Class { size, .. }) = self.class_in_use(class) else {
            self.discard_blank(blank);
            return None;
        };
        self.unused.fetch_add(slack(*size), Ordering::Relaxed);
        Some(Cutter::new(blank, *size, class as u8))
    }

    /// The class, with a free list: a block that exists has somewhere to go.
    fn class_in_use(&self, class: usize) -> Option<&Class> {
        let class = self.classes.get(class)?;
        class.free.get_or_init(|| {
            let most = (self.config.budget / class.size).clamp(1, MAX_FREE);
            ArrayQueue::new(most as usize)
        });
        Some(class)
    }

    /// Keeps a block that has no home.
    pub(crate) fn put(&self, block: Block) {
        let rejected = match self.classes.get(block.class()).and_then(|class| class.free.get()) {
            Some(free) => free.push(block).err(),
            None => Some(block),
        };
        if let Some(block) = rejected {
            self.discard(block);
        }
    }

    /// Frees a block that has no home.
    #[cold]
    pub(crate) fn discard(&self, block: Block) {
        // After the memory is gone: `held` is never less than what there is.
        let freed = block.free();
        self.freed(freed);
    }

    /// Memory is gone.
    pub(crate) fn freed(&self, freed: Freed) {
        match freed {
            Freed::Block(footprint) => self.release(footprint),
            Freed::Nothing => {}
            Freed::Chunk { unused } => {
                self.unused.fetch_sub(unused, Ordering::Relaxed);
                self.release(CHUNK as u64);
            }
        }
    }

    /// Reserves room in the budget.
    pub(crate) fn reserve(&self, footprint: u64) -> bool {
        // Relaxed, here and below: the counter guards no other memory.
        self.held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
                held.checked_add(footprint).filter(|sum| *sum <= self.config.budget)
            })
            .is_ok()
    }

    fn release(&self, footprint: u64) {
        self.held.fetch_sub(footprint, Ordering::Relaxed);
    }

    /// Asks all heaps for what is idle in them.
    #[cold]
    pub(crate) fn call(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How often that was.
    #[inline]
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}
