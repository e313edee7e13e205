//! Where a heap's blocks come back to, from any thread.

use std::{
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crossbeam_utils::CachePadded;

use crate::{
    block::{Block, Header},
    pool::Pool,
    returns::{Returns, Taken},
    size_class::class_of,
};

/// Classes up to this size come home to the heap that lent them, where they
/// are found without asking anybody, the one used last first: it is the
/// likeliest to be in a cache. Larger ones go to the pool, for whoever needs
/// them next: so much memory must not wait for one worker.
const LARGEST_KEPT: u64 = 1 << 20;
/// The number of those classes.
pub(crate) const KEPT_CLASSES: usize = class_of(LARGEST_KEPT) + 1;

/// The part of a [`crate::heap::Heap`] that others may touch. Each block that
/// the heap has, or has lent, keeps it alive.
#[derive(Debug)]
pub(crate) struct Home {
    pool: Arc<Pool>,
    /// Consumers write here, the worker now and then.
    returns: CachePadded<Returns<Header>>,
    /// Bytes that the heap has and has not lent. Written by the heap alone.
    idle: CachePadded<AtomicU64>,
}

impl Home {
    pub(crate) fn new(pool: Arc<Pool>) -> Arc<Self> {
        Arc::new(Self {
            pool,
            returns: CachePadded::new(Returns::new()),
            idle: CachePadded::new(AtomicU64::new(0)),
        })
    }

    #[inline]
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Whether blocks of this class come here.
    #[inline]
    pub(crate) const fn keeps(&self, class: usize) -> bool {
        class < KEPT_CLASSES
    }

    /// Takes a block in; frees it if the heap has gone.
    ///
    /// # Safety
    /// `home` is the block's own home.
    #[inline]
    pub(crate) unsafe fn take_in(home: *const Self, block: Block) {
        let node = block.into_raw();
        // SAFETY: the block keeps its home alive, at least until it has been
        // pushed, after which `push` touches neither.
        let pushed = unsafe { (*home).returns.push(node) };
        if let Err(node) = pushed {
            // SAFETY: ours again, since it was not pushed.
            drop(unsafe { Block::from_raw(node) });
        }
    }

    /// Whether there is nothing to collect.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.returns.is_empty()
    }

    /// What has come home.
    #[inline]
    pub(crate) fn collect(&self) -> Collected {
        Collected(self.returns.take_all())
    }

    /// What has come home; what comes later is freed where it is.
    pub(crate) fn close(&self) -> Collected {
        Collected(self.returns.close())
    }

    /// Bytes that the heap has and has not lent.
    pub(crate) fn idle(&self) -> u64 {
        self.idle.load(Ordering::Relaxed)
    }

    /// Says how many bytes those are.
    #[inline]
    pub(crate) fn set_idle(&self, bytes: u64) {
        // Relaxed: a figure for statistics.
        self.idle.store(bytes, Ordering::Relaxed);
    }
}

/// Blocks that have come home.
#[derive(Debug)]
pub(crate) struct Collected(Taken<Header>);

impl Iterator for Collected {
    type Item = Block;

    #[inline]
    fn next(&mut self) -> Option<Block> {
        let node: NonNull<Header> = self.0.next()?;
        // SAFETY: given up in `take_in`, and taken once.
        Some(unsafe { Block::from_raw(node) })
    }
}
