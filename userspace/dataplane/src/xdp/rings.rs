//! The kernel's rings and memory, through xsk-rs.

use std::os::fd::{AsRawFd, BorrowedFd};

use xsk_rs::{FillQueue, FrameDesc, RxQueue, Umem};

use super::frame::{Descriptor, Frame, RawFill, RawRx, Received};

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

/// A queue's packet memory.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    umem: Umem,
    len: usize,
}

impl Memory {
    pub(crate) const fn new(umem: Umem, len: usize) -> Self {
        Self { umem, len }
    }

    pub(crate) const fn umem(&self) -> &Umem {
        &self.umem
    }

    /// The bytes of packet in a frame of this memory; none if the kernel's
    /// descriptor points outside of it.
    #[inline]
    pub(crate) fn bytes<'a>(&'a self, frame: &'a Frame<Received>) -> &'a [u8] {
        let desc = frame.desc();
        if desc.address().checked_add(desc.packet_len()).is_none_or(|end| end > self.len) {
            return &[];
        }
        // SAFETY: the descriptor lies in this UMEM, and while its token lives
        // neither the kernel nor anyone else writes to the frame: it is posted
        // again only by giving the token away.
        unsafe { self.umem.data(desc) }.contents()
    }
}
