//! The kernel's rings for sending, through xsk-rs.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use xsk_rs::{CompQueue, FrameDesc, TxQueue, Umem};

use crate::{
    sys,
    xdp::frame::{RawCompletion, RawTx},
};

/// A TX ring with the memory that its descriptors point into.
#[derive(Debug)]
pub(super) struct XskTx {
    queue: TxQueue,
    umem: Umem,
    entries: u32,
}

impl XskTx {
    /// `entries`: of the ring.
    pub(super) const fn new(queue: TxQueue, umem: Umem, entries: u32) -> Self {
        Self { queue, umem, entries }
    }

    /// The socket.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        // SAFETY: the queue keeps its socket open for as long as it lives,
        // and the borrow is no longer than that.
        unsafe { BorrowedFd::borrow_raw(self.queue.fd().as_raw_fd()) }
    }
}

impl RawTx for XskTx {
    type Desc = FrameDesc;

    #[inline]
    fn describe(&self, desc: &mut FrameDesc, len: usize, continues: bool) {
        desc.set_options(if continues { libc::XDP_PKT_CONTD } else { 0 });
        // SAFETY: the caller has the frame's token, and no reference to its
        // bytes. None is read or written: xsk-rs sets lengths no other way.
        unsafe { self.umem.data_mut(desc) }.cursor().set_pos(len);
    }

    #[inline]
    unsafe fn produce(&mut self, descs: &[FrameDesc]) -> usize {
        // SAFETY: the caller owns the frames, and they are of this UMEM
        // (`RawTx::produce`).
        unsafe { self.queue.produce(descs) }
    }

    #[inline]
    fn pending(&mut self) -> usize {
        (self.entries - self.queue.nb_free_exact()) as usize
    }

    #[inline]
    fn needs_wakeup(&self) -> bool {
        self.queue.needs_wakeup()
    }

    #[inline]
    fn wake(&mut self) -> io::Result<()> {
        sys::wake_transmit(self.socket())
    }
}

impl RawCompletion for CompQueue {
    type Desc = FrameDesc;

    #[inline]
    fn consume(&mut self, descs: &mut [FrameDesc]) -> usize {
        // SAFETY: the ring fills in descriptors of its own UMEM; those that
        // we pass are overwritten, not used.
        unsafe { Self::consume(self, descs) }
    }
}
