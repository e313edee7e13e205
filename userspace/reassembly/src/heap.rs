//! A worker's own memory: free blocks that it takes without asking anybody.

use std::sync::Arc;

use crate::{
    block::{Block, Buffer, footprint},
    chunk::{Blank, CHUNK, Cutter},
    home::{Home, KEPT_CLASSES},
    pool::Pool,
    size_class::{HUGE, class_of},
};

/// Bytes of free blocks that a heap keeps per class …
const MAX_IDLE: u64 = 1 << 20;
/// … or this many blocks, whichever is more.
const MIN_IDLE_BLOCKS: u64 = 64;
/// Classes above its own that may stand in for a class when the budget is
/// exhausted: up to twice the size.
const STAND_INS: usize = 4;

/// Free blocks of one worker, over a shared [`Pool`].
#[derive(Debug)]
pub(crate) struct Heap {
    pool: Arc<Pool>,
    home: Arc<Home>,
    /// Per class, the one used last on top: it is warm.
    free: Box<[Vec<Block>]>,
    /// Per class, a chunk that is not used up.
    cutters: Box<[Option<Cutter>]>,
    /// For the chunks to come.
    blanks: Vec<Blank>,
    /// Bytes of those.
    idle: u64,
    /// Calls of the pool that have been answered.
    answered: u64,
}

impl Heap {
    pub(crate) fn new(pool: Arc<Pool>) -> Self {
        let home = pool.new_home();
        let free = (0..pool.classes().min(KEPT_CLASSES)).map(|_| Vec::new()).collect();
        let cutters = (0..pool.classes().min(class_of(HUGE as u64))).map(|_| None).collect();
        Self { answered: pool.calls(), pool, home, free, cutters, blanks: Vec::new(), idle: 0 }
    }

    #[inline]
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Has `bytes` of memory beforehand, as far as the budget allows, in
    /// chunks; returns how many that are. The first touch of a page costs more
    /// than filling it.
    pub(crate) fn prefault(&mut self, bytes: u64) -> u64 {
        let chunks = bytes / CHUNK as u64;
        let before = self.blanks.len();
        for _ in 0..chunks {
            let Some(mut blank) = self.pool.blank() else { break };
            blank.touch();
            self.blanks.push(blank);
        }
        let had = (self.blanks.len() - before) as u64 * CHUNK as u64;
        self.idle += had;
        self.home.set_idle(self.idle);
        had
    }

    /// A buffer of at least `bytes`, not initialised. `None` when the budget
    /// is exhausted and no free block can be given up for it, or when no
    /// class is that large.
    #[inline]
    pub(crate) fn take(&mut self, bytes: u64) -> Option<Buffer> {
        let class = class_of(bytes);
        match self.pop(class) {
            // The largest class may be smaller than its name.
            Some(block) if bytes <= block.size() as u64 => Some(block.lend()),
            Some(block) => {
                self.push(block);
                None
            }
            None => self.take_returned(class, bytes),
        }
    }

    /// The first of the class that has come home, if any has; the others are
    /// kept.
    #[inline]
    fn take_returned(&mut self, class: usize, bytes: u64) -> Option<Buffer> {
        if self.home.is_empty() {
            return self.take_elsewhere(class, bytes);
        }
        let mut wanted = None;
        for block in self.home.collect() {
            if wanted.is_none() && block.class() == class && bytes <= block.size() as u64 {
                wanted = Some(block);
            } else {
                self.push(block);
            }
        }
        match wanted {
            Some(block) => Some(block.lend()),
            None => self.take_elsewhere(class, bytes),
        }
    }

    /// Bytes lent, here and elsewhere, as far as known without asking.
    pub(crate) fn in_use(&self) -> u64 {
        self.pool.held().saturating_sub(self.pool.free() + self.pool.unused() + self.idle)
    }

    /// To be called now and then: notices what has come home, and brings what
    /// is idle when another worker needs it.
    #[inline]
    pub(crate) fn tend(&mut self) {
        if !self.home.is_empty() {
            self.collect();
        }
        if self.pool.calls() != self.answered {
            self.answer();
        }
    }

    #[inline]
    fn pop(&mut self, class: usize) -> Option<Block> {
        let block = self.free.get_mut(class)?.pop()?;
        self.idle -= footprint(block.size() as u64);
        self.home.set_idle(self.idle);
        Some(block)
    }

    /// Keeps a block that has its home here.
    #[inline]
    fn push(&mut self, mut block: Block) {
        let (class, size) = (block.class(), block.size() as u64);
        if let Some(free) = self.free.get_mut(class) {
            if free.capacity() == 0 {
                free.reserve_exact((MAX_IDLE / size).max(MIN_IDLE_BLOCKS) as usize);
            }
            if free.len() < free.capacity() {
                free.push(block);
                self.idle += footprint(size);
                self.home.set_idle(self.idle);
                return;
            }
        }
        block.set_home(None);
        self.pool.put(block);
    }

    fn collect(&mut self) {
        for block in self.home.collect() {
            self.push(block);
        }
    }

    fn take_elsewhere(&mut self, class: usize, bytes: u64) -> Option<Buffer> {
        let size = self.pool.size(class).filter(|size| bytes <= *size)?;
        let mut block = match self.pool.pop(class) {
            Some(block) => block,
            None => match self.cut(class) {
                Some(block) => block,
                None => self.make_room(class, size)?,
            },
        };
        block.set_home(Some(Arc::clone(&self.home)));
        Some(block.lend())
    }

    /// A block of a chunk, which has none yet.
    fn cut(&mut self, class: usize) -> Option<Block> {
        if let Some(block) = self.cut_rest(class) {
            return Some(block);
        }
        if !self.pool.cuts(class) {
            return None;
        }
        let blank = self.blank()?;
        let new = self.pool.chunk(blank, class)?;
        self.idle += new.uncut();
        if let Some(used_up) = self.cutters[class].replace(new) {
            self.pool.finish(used_up);
        }
        self.cut_rest(class)
    }

    /// Memory for a chunk.
    fn blank(&mut self) -> Option<Blank> {
        self.pop_blank().or_else(|| self.pool.blank())
    }

    fn pop_blank(&mut self) -> Option<Blank> {
        let blank = self.blanks.pop()?;
        self.idle -= CHUNK as u64;
        self.home.set_idle(self.idle);
        Some(blank)
    }

    /// A block for which there is no free one: a new one, or a larger one.
    #[cold]
    fn make_room(&mut self, class: usize, size: u64) -> Option<Block> {
        if self.pool.reserve(footprint(size)) {
            return self.pool.allocate(class);
        }
        self.collect();
        for other in class + 1..self.pool.classes().min(class + 1 + STAND_INS) {
            if let Some(block) = self.pop_homeless(other) {
                return Some(block);
            }
        }
        if self.trim_for(class, size) {
            return self.pool.allocate(class);
        }
        self.answered = self.pool.call();
        None
    }

    /// A free block of a class, here or in the pool.
    fn pop_homeless(&mut self, class: usize) -> Option<Block> {
        match self.pop(class) {
            Some(mut block) => {
                block.set_home(None);
                Some(block)
            }
            None => self.pool.pop(class),
        }
    }

    /// Gives free blocks back to the allocator until one of `class` fits:
    /// first larger ones, of which a single one will do, then smaller ones.
    fn trim_for(&mut self, class: usize, size: u64) -> bool {
        let needed = footprint(size);
        if needed > self.pool.budget() {
            return false;
        }
        self.finish_cutters();
        while let Some(blank) = self.pop_blank() {
            self.pool.discard_blank(blank);
            if self.pool.reserve(needed) {
                return true;
            }
        }
        let larger = class..self.pool.classes();
        for other in larger.chain((0..class).rev()) {
            while let Some(block) = self.pop_homeless(other) {
                self.pool.discard(block);
                if self.pool.reserve(needed) {
                    return true;
                }
            }
        }
        // Others may have returned memory meanwhile.
        self.pool.reserve(needed)
    }

    /// Lets go of chunks that are not used up.
    fn finish_cutters(&mut self) {
        for cutter in self.cutters.iter_mut().filter_map(Option::take) {
            self.idle -= cutter.uncut();
            self.pool.finish(cutter);
        }
        self.home.set_idle(self.idle);
    }

    /// Another worker has found nothing: what is idle here is for all.
    #[cold]
    fn answer(&mut self) {
        self.answered = self.pool.calls();
        for class in 0..self.free.len() {
            while let Some(mut block) = self.pop(class) {
                block.set_home(None);
                self.pool.put(block);
            }
        }
        for class in 0..self.cutters.len() {
            while let Some(block) = self.cut_rest(class) {
                self.pool.put(block);
            }
        }
        self.finish_cutters();
        self.discard_blanks();
    }

    fn discard_blanks(&mut self) {
        while let Some(blank) = self.pop_blank() {
            self.pool.discard_blank(blank);
        }
    }

    /// A block of the chunk that is being cut.
    fn cut_rest(&mut self, class: usize) -> Option<Block> {
        let block = self.cutters.get_mut(class)?.as_mut()?.cut()?;
        self.idle -= footprint(block.size() as u64);
        self.home.set_idle(self.idle);
        Some(block)
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // Blocks that are still out are freed where they are dropped.
        self.home.close().for_each(drop);
        self.free.iter_mut().for_each(Vec::clear);
        self.discard_blanks();
        self.idle = self.cutters.iter().flatten().map(Cutter::uncut).sum();
        self.finish_cutters();
    }
}

#[cfg(test)]
#[allow(unsafe_code, reason = "reads back what it has just written")]
mod tests;
