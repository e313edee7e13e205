//! Waiting for items by a file descriptor.
//!
//! ```text
//!   consumer                                producer
//!   ────────                                ────────
//!   finds nothing
//!   descriptor: unreadable
//!   head = tail?  tail: watched             tail: position + n, not watched
//!   no: descriptor: readable                was it watched? descriptor: readable
//! ```
//!
//! **No item stays unnoticed.** The descriptor is made unreadable before the
//! consumer is counted as a watcher, by the same exchange of the same word as
//! a sleeper (`channel`), and so only if nothing is there. What is
//! claimed afterwards finds the watcher, and makes it readable again; what was
//! claimed before, the consumer finds.
//!
//! It may be readable without need: a producer makes it so a little after its
//! claim, when the item may be gone. Who tries to take it finds nothing, and
//! makes it unreadable.

use std::io;
#[cfg(not(loom))]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use crate::{eventfd::Eventfd, ring::Ring, sync::Arc};

/// A file descriptor for `poll`, `epoll` and the like that is readable while
/// there are items to take, and once no more will come. Only to be watched:
/// to read from it is the business of the [`Receiver`](crate::Receiver).
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Eventfd>);

impl Readiness {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(Eventfd::new()?)))
    }

    /// Makes it readable, as an item does: for who has some from elsewhere.
    /// The next [`try_recv`](crate::Receiver::try_recv) that finds nothing
    /// makes it unreadable.
    pub fn signal(&self) {
        self.0.signal();
    }

    /// Unreadable from here on, until something comes into the ring.
    pub(crate) fn watch<T>(&self, ring: &Ring<T>) {
        self.0.clear();
        if !ring.enlist_watcher() {
            self.0.signal();
        }
    }
}

#[cfg(not(loom))]
impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(not(loom))]
impl AsRawFd for Readiness {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

#[cfg(loom)]
impl Readiness {
    pub(crate) fn wait_readable(&self) {
        self.0.wait_readable();
    }
}
