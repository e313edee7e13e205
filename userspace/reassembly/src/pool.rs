//! Memory for events, shared by all workers, under one budget.
//!
//! ```text
//!           ┌ class 0 ─ free list ┐
//!  take ◀── ┤ class 1 ─ free list ├ ◀── put: on drop, from any thread
//!           └ …                   ┘
//!             held = lent + free ≤ budget
//! ```
//!
//! Lock-free. A buffer is reserved in the budget before it is allocated, so
//! `held` never exceeds it, whatever races. Once every class in use has its
//! buffers, nothing is allocated any more.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use crossbeam_queue::ArrayQueue;
use crossbeam_utils::CachePadded;

use crate::{
    buffer::{Block, Buffer},
    coverage::SCRATCH_BYTES,
    size_class::{LINE, class_of, size_of_class},
};

/// Free buffers that one class keeps at most; more go back to the allocator.
const MAX_FREE: u64 = 1 << 17;
/// Classes above its own that may stand in for a class when the budget is
/// exhausted: up to twice the size.
const STAND_INS: usize = 4;

/// What a [`Pool`] may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// Bytes of everything the pool ever holds, lent or free.
    pub budget: u64,
    /// Longest event accepted, in bytes.
    pub max_event: u32,
}

#[derive(Debug)]
struct Class {
    size: u64,
    /// Made with the first buffer of the class: most classes are never used.
    free: OnceLock<ArrayQueue<Block>>,
}

/// Memory for events: free lists per size class under one budget.
#[derive(Debug)]
pub struct Pool {
    config: PoolConfig,
    classes: Box<[Class]>,
    /// Bytes of all blocks there are. On a line of its own: everybody reads
    /// the fields around it, few write here.
    held: CachePadded<AtomicU64>,
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
        Arc::new(Self { config, classes, held: CachePadded::new(AtomicU64::new(0)) })
    }

    /// Bytes lent out: events in progress, queued, and held by consumers, by
    /// the size of their buffers. Exact while nobody takes or returns; close
    /// otherwise.
    pub fn in_use(&self) -> u64 {
        let free = |class: &Class| class.free.get().map_or(0, |free| free.len() as u64);
        let free: u64 = self.classes.iter().map(|class| class.size * free(class)).sum();
        self.held().saturating_sub(free)
    }

    /// Bytes held: lent, and in the free lists. Never more than the budget.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
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

    /// Bytes of budget that an event of `length` bytes, not longer than
    /// accepted, takes.
    pub(crate) fn cost(&self, length: u64) -> u64 {
        self.classes.get(class_of(length)).map_or(u64::MAX, |class| class.size)
    }

    /// A buffer of at least `bytes`, not initialised. `None` when the budget
    /// is exhausted and no free buffer can be given up for it, or when no
    /// class is that large.
    #[inline]
    pub(crate) fn take(self: &Arc<Self>, bytes: u64) -> Option<Buffer> {
        let class = class_of(bytes);
        let of_class = self.classes.get(class).filter(|of_class| bytes <= of_class.size)?;
        let recycled = of_class.free.get().and_then(ArrayQueue::pop);
        let block = match recycled {
            Some(block) => block,
            None => self.take_new(class)?,
        };
        Some(Buffer::new(block, Arc::clone(self)))
    }

    #[cold]
    fn take_new(&self, class: usize) -> Option<Block> {
        let size = self.classes[class].size;
        if !self.reserve(size) {
            let stand_ins = self.classes[class + 1..].iter().take(STAND_INS);
            if let Some(block) = stand_ins.filter_map(|other| other.free.get()?.pop()).next() {
                return Some(block);
            }
            if !self.reserve_by_trimming(class) {
                return None;
            }
        }
        // The free list first: a buffer that exists has somewhere to go.
        self.classes[class].free.get_or_init(|| {
            let most = (self.config.budget / size).clamp(1, MAX_FREE);
            ArrayQueue::new(most as usize)
        });
        let block = Block::allocate(size, class as u8);
        if block.is_none() {
            self.release(size);
        }
        block
    }

    /// Takes a block back.
    #[inline]
    pub(crate) fn put(&self, block: Block) {
        let rejected = match self.classes.get(block.class()).and_then(|class| class.free.get()) {
            Some(free) => free.push(block).err(),
            None => Some(block),
        };
        if let Some(block) = rejected {
            self.free(block);
        }
    }

    #[cold]
    fn free(&self, block: Block) {
        let size = block.size() as u64;
        drop(block);
        // After the memory is gone: `held` is never less than what there is.
        self.release(size);
    }

    fn reserve(&self, size: u64) -> bool {
        // Relaxed, here and below: the counter guards no other memory.
        self.held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
                held.checked_add(size).filter(|sum| *sum <= self.config.budget)
            })
            .is_ok()
    }

    fn release(&self, size: u64) {
        self.held.fetch_sub(size, Ordering::Relaxed);
    }

    /// Gives free buffers back to the allocator until one of `class` fits:
    /// first larger ones, of which a single one will do, then smaller ones.
    fn reserve_by_trimming(&self, class: usize) -> bool {
        let size = self.classes[class].size;
        if size > self.config.budget {
            return false;
        }
        let larger = class..self.classes.len();
        for other in larger.chain((0..class).rev()) {
            let Some(free) = self.classes[other].free.get() else { continue };
            while let Some(block) = free.pop() {
                self.free(block);
                if self.reserve(size) {
                    return true;
                }
            }
        }
        // Others may have returned memory meanwhile.
        self.reserve(size)
    }
}

#[cfg(test)]
#[allow(unsafe_code, reason = "reads back what it has just written")]
mod tests;
