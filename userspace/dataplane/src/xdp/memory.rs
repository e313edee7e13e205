//! The packet memory of a queue.

use std::{io, ptr::NonNull, slice};

use xsk_rs::{FrameDesc, Umem};

use super::{
    CHUNK,
    frame::{Descriptor, Frame, Free, Received},
};
use crate::prefetch;

/// Bytes of a frame that hold all headers up to the RE header's end in the
/// common cases: Ethernet, IPv4, UDP, LB and RE header are 78.
const HEADERS: usize = 78;

/// The pages of a UMEM.
///
/// They are mapped twice where they are lent: libxdp keeps the queue's first
/// socket open for as long as its own mapping lasts, and an event that is
/// held for long must not keep the queue. The second mapping is ours alone,
/// for reading, and lasts until the last loan is over. By then the kernel has
/// nothing more to write: a frame that is lent is in none of its rings, and
/// is not posted on sockets that are closed.
#[derive(Debug)]
pub(crate) struct Memory {
    base: NonNull<u8>,
    len: usize,
    owner: Owner,
}

#[derive(Debug)]
enum Owner {
    /// xsk-rs' mapping.
    Umem { _umem: Umem },
    /// A mapping of our own.
    Us,
    #[cfg(any(test, feature = "plain"))]
    Heap,
}

// SAFETY: plain memory; who may access which part of it when is decided by
// the tokens of its frames.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// The memory of `umem`, `len` bytes, which stays open as long.
    pub(crate) fn within(umem: Umem, len: usize) -> Self {
        Self { base: base(&umem), len, owner: Owner::Umem { _umem: umem } }
    }

    /// The memory of `umem`, `len` bytes of ordinary pages, mapped once more.
    ///
    /// # Errors
    /// Where the kernel has no room for it.
    pub(crate) fn beside(umem: &Umem, len: usize) -> io::Result<Self> {
        // SAFETY: with an old length of 0, the mapping there stays as it is
        // and is mapped again elsewhere, which works for shared ones such as
        // xsk-rs makes (mremap(2)).
        let mapped =
            unsafe { libc::mremap(base(umem).as_ptr().cast(), 0, len, libc::MREMAP_MAYMOVE) };
        if mapped == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(mapped.cast()).ok_or(io::ErrorKind::Other)?;
        let memory = Self { base, len, owner: Owner::Us };
        // SAFETY: our own mapping, which nobody writes to. The pages are
        // there: populating (Linux 5.14) only spares the faults later.
        unsafe {
            if libc::mprotect(mapped, len, libc::PROT_READ) != 0 {
                return Err(io::Error::last_os_error());
            }
            libc::madvise(mapped, len, libc::MADV_POPULATE_READ);
        }
        Ok(memory)
    }

    /// The bytes of packet in a frame of this memory; none if the kernel's
    /// descriptor points outside of it.
    #[inline]
    pub(crate) fn bytes<'a, D: Descriptor>(&'a self, frame: &'a Frame<Received, D>) -> &'a [u8] {
        // SAFETY: while the token is there, as the result's lifetime demands,
        // the frame is not posted.
        unsafe { self.bytes_of(frame.desc()) }
    }

    /// As [`Self::bytes`], for as long as the memory itself.
    ///
    /// # Safety
    /// While the bytes are in use, the frame is not posted: its token, or the
    /// loan it has become, is not given away.
    #[inline]
    pub(crate) unsafe fn bytes_of<D: Descriptor>(&self, desc: &D) -> &[u8] {
        let (at, len) = (desc.address(), desc.packet_len());
        if at.checked_add(len).is_none_or(|end| end > self.len) {
            return &[];
        }
        // SAFETY: inside the mapping; as the frame is not posted, neither the
        // kernel nor anyone else writes to it.
        unsafe { slice::from_raw_parts(self.base.as_ptr().add(at), len) }
    }

    /// All of a frame that a packet may be written to, from the descriptor's
    /// address to the frame's end.
    #[inline]
    pub(crate) fn room<'a, D: Descriptor>(&'a self, frame: &'a mut Frame<Free, D>) -> &'a mut [u8] {
        let at = frame.desc().address();
        let end = (at / CHUNK + 1) * CHUNK;
        if end > self.len || matches!(self.owner, Owner::Us) {
            // The mapping for loans is for reading.
            return &mut [];
        }
        // SAFETY: inside the mapping, which is writable; the token, which is
        // borrowed for as long, says that nobody else has the frame.
        unsafe { slice::from_raw_parts_mut(self.base.as_ptr().add(at), end - at) }
    }

    /// Fetches the headers of the packet in a frame.
    #[inline]
    pub(crate) fn prefetch<D: Descriptor>(&self, frame: &Frame<Received, D>) {
        let at = frame.desc().address();
        prefetch::line(self.base.as_ptr().wrapping_add(at));
        prefetch::line(self.base.as_ptr().wrapping_add(at + HEADERS - 1));
    }
}

fn base(umem: &Umem) -> NonNull<u8> {
    // SAFETY: a default descriptor has no length and stands at the start.
    let start = unsafe { umem.data(&FrameDesc::default()) };
    NonNull::from(start.contents()).cast()
}

impl Drop for Memory {
    fn drop(&mut self) {
        match self.owner {
            Owner::Umem { .. } => {}
            Owner::Us => {
                // SAFETY: our own mapping, and nobody has a reference into it
                // any more. Nothing can be done should it fail.
                let _ = unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
            }
            #[cfg(any(test, feature = "plain"))]
            Owner::Heap => {
                let all = std::ptr::slice_from_raw_parts_mut(self.base.as_ptr(), self.len);
                // SAFETY: made of a box in `heap`.
                drop(unsafe { Box::from_raw(all) });
            }
        }
    }
}

#[cfg(any(test, feature = "plain"))]
impl Memory {
    /// Memory that no kernel knows.
    pub(crate) fn heap(len: usize) -> Self {
        let all: *mut [u8] = Box::into_raw(vec![0u8; len].into_boxed_slice());
        Self { base: NonNull::new(all.cast()).expect("a box"), len, owner: Owner::Heap }
    }

    /// Where a frame's packet starts, for the one who plays the kernel.
    #[cfg(not(loom))]
    pub(crate) fn at(&self, address: usize) -> *mut u8 {
        assert!(address <= self.len);
        self.base.as_ptr().wrapping_add(address)
    }
}
