//! The kernel's rings, through xsk-rs.

use std::os::fd::{AsRawFd, BorrowedFd};

use xsk_rs::{FillQueue, FrameDesc, RxQueue};

use super::frame::{RawFill, RawRx};

impl RawFill for FillQueue {
    type Desc = FrameDesc;

    #[inline]
    unsafe fn produce(&mut self, descs: &[FrameDesc]) -> usize {
        // SAFETY: the caller owns the frames, and they are of this UMEM
        // (`RawFill::produce`).
        unsafe { Self::produce(self, descs) }
    }

    #[inline]
    fn room(&mut self) -> usize {
        self.nb_free_exact() as usize
    }

    #[inline]
    fn needs_wakeup(&self) -> bool {
        Self::needs_wakeup(self)
    }
}

impl RawRx for RxQueue {
    type Desc = FrameDesc;

    #[inline]
    fn consume(&mut self, descs: &mut [FrameDesc]) -> usize {
        // SAFETY: the ring fills in descriptors of its own UMEM; those that
        // we pass are overwritten, not used.
        unsafe { Self::consume(self, descs) }
    }

    #[inline]
    fn is_empty(&mut self) -> bool {
        self.nb_avail(1) == 0
    }
}

/// The socket that an RX ring belongs to.
pub(crate) fn socket(rx: &RxQueue) -> BorrowedFd<'_> {
    // SAFETY: the queue keeps its socket open for as long as it lives, and
    // the borrow is no longer than that.
    unsafe { BorrowedFd::borrow_raw(rx.fd().as_raw_fd()) }
}
