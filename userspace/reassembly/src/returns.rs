//! How buffers come home: a stack that anybody pushes to and its owner
//! empties.
//!
//! ```text
//!  consumer 0 ─┐ push: one compare-and-swap
//!  consumer 1 ─┼──────────────▶ head ─▶ block ─▶ block ─▶ …
//!  consumer 2 ─┘                  │
//!       worker ◀── take_all: one swap, the whole chain
//! ```
//!
//! The links lie in the blocks themselves, so it never grows and never fails.
//! There is no pop, only "take all": that is why a head that was seen, taken,
//! and pushed again in between (ABA) does no harm; what lies below it does not
//! matter to a push. The owner closes the stack when it goes; who comes later
//! is told so, and keeps the block.

use std::ptr::{self, NonNull};

use crate::sync::{AtomicPtr, Cell, Ordering};

/// Something with room for the link of a [`Returns`].
///
/// # Safety
/// `next` always returns the same cell, which nothing else touches.
pub(crate) unsafe trait Linked {
    /// Where the link is kept.
    fn next(&self) -> &Cell<*mut Self>;
}

/// A stack of nodes on their way home.
#[derive(Debug)]
pub(crate) struct Returns<T> {
    head: AtomicPtr<T>,
}

/// No node is at this address: they are aligned.
fn closed<T>() -> *mut T {
    ptr::without_provenance_mut(1)
}

impl<T: Linked> Returns<T> {
    pub(crate) fn new() -> Self {
        const { assert!(align_of::<T>() > 1) };
        Self { head: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Adds a node, which its owner gives up; hands it back when the stack is
    /// closed. Lock-free, from any thread.
    ///
    /// # Safety
    /// The node is valid, the caller owns it alone, and it stays valid until
    /// it is taken.
    #[inline]
    pub(crate) unsafe fn push(&self, node: NonNull<T>) -> Result<(), NonNull<T>> {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            if head == closed() {
                return Err(node);
            }
            // SAFETY: ours until the exchange succeeds.
            unsafe { node.as_ref().next().with_mut(|next| *next = head) };
            // Release: the link, and what the last user did to the node,
            // come before the owner takes it.
            match self.head.compare_exchange_weak(
                head,
                node.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(()),
                Err(now) => head = now,
            }
        }
    }

    /// Whether there is nothing to take, as far as this thread has heard.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.load(Ordering::Relaxed).is_null()
    }

    /// Takes all nodes, the one pushed last first: it is the warmest.
    #[inline]
    pub(crate) fn take_all(&self) -> Taken<T> {
        // Acquire: see `push`. The pushes below the last one are part of its
        // release sequence, since each is a read-modify-write.
        Taken { next: self.head.swap(ptr::null_mut(), Ordering::Acquire) }
    }

    /// Takes all nodes, and lets no more in.
    pub(crate) fn close(&self) -> Taken<T> {
        let head = self.head.swap(closed(), Ordering::AcqRel);
        Taken { next: if head == closed() { ptr::null_mut() } else { head } }
    }
}

/// Nodes taken from a [`Returns`]. Those that are not asked for are lost.
#[derive(Debug)]
pub(crate) struct Taken<T> {
    next: *mut T,
}

impl<T: Linked> Iterator for Taken<T> {
    type Item = NonNull<T>;

    #[inline]
    fn next(&mut self) -> Option<NonNull<T>> {
        let node = NonNull::new(self.next)?;
        // SAFETY: valid and ours since it was taken; its pusher has let go.
        self.next = unsafe { node.as_ref().next().with(|next| *next) };
        Some(node)
    }
}

#[cfg(test)]
mod loom_tests;
