//! Headers and message descriptors of up to 1024 fragments, written anew for
//! each run of fragments, never allocated again.

use std::{
    io, mem,
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

use libc::c_uint;
use xdpsar_wire::{
    ReHeader,
    datagram::LB_RE_HEADER_LEN,
    lb::{LB_HEADER_LEN, LbHeader},
    re::RE_HEADER_LEN,
};
use zerocopy::IntoBytes;

use crate::sys::RawAddress;

/// Messages that the kernel takes in one `sendmmsg`; what is beyond is cut
/// off silently (`UIO_MAXIOV`, `__sys_sendmmsg()`, `net/socket.c`).
pub(super) const MESSAGES: usize = 1024;

type Header = [u8; LB_RE_HEADER_LEN];

/// One `sendmmsg` in the making.
///
/// ```text
/// messages[i] ─▶ parts[i] = [ headers[i], the fragment in the caller's event ]
/// ```
pub(super) struct Arena {
    headers: Vec<Header>,
    parts: Vec<[libc::iovec; 2]>,
    messages: Vec<libc::mmsghdr>,
    header_len: usize,
    filled: usize,
}

// SAFETY: the raw pointers lead to the heap memory of the very same value, or
// into an event that is borrowed by the one call that fills and sends.
unsafe impl Send for Arena {}

/// What all fragments of an event have in common.
#[derive(Clone, Copy)]
pub(super) struct EventHeader {
    pub(super) lb: Option<LbHeader>,
    pub(super) data_id: u16,
    pub(super) length: u32,
    pub(super) event_number: u64,
}

impl Arena {
    /// Room for [`MESSAGES`] fragments with or without an LB header.
    pub(super) fn new(with_lb: bool) -> Self {
        let header_len = if with_lb { LB_RE_HEADER_LEN } else { RE_HEADER_LEN };
        let mut arena = Self {
            headers: vec![[0; LB_RE_HEADER_LEN]; MESSAGES],
            parts: vec![[libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; 2]; MESSAGES],
            // SAFETY: all-zero is a valid mmsghdr: null pointers and zeros.
            messages: vec![unsafe { mem::zeroed() }; MESSAGES],
            header_len,
            filled: 0,
        };
        let places = arena.headers.iter_mut().zip(&mut arena.parts);
        for (message, (header, parts)) in arena.messages.iter_mut().zip(places) {
            parts[0] = libc::iovec { iov_base: header.as_mut_ptr().cast(), iov_len: header_len };
            message.msg_hdr.msg_iov = parts.as_mut_ptr();
        }
        arena
    }

    /// Prepares fragments of `payload`, an offset and a length each, as many
    /// as fit, and returns how many that was. With `to`, each names its
    /// destination; otherwise the socket must be connected.
    pub(super) fn fill<'a>(
        &'a mut self,
        event: &EventHeader,
        payload: &'a [u8],
        fragments: impl Iterator<Item = (u32, usize)>,
        to: Option<&'a mut RawAddress>,
    ) -> Filled<'a> {
        let (name, name_len) = to.map_or((ptr::null_mut(), 0), RawAddress::name);
        self.filled = 0;
        for (index, (offset, len)) in fragments.take(MESSAGES).enumerate() {
            let (lb, re) = self.headers[index].split_at_mut(self.header_len - RE_HEADER_LEN);
            if let Some(header) = &event.lb {
                lb.copy_from_slice(header.as_bytes());
            }
            let header = ReHeader::new(event.data_id, offset, event.length, event.event_number);
            re[..RE_HEADER_LEN].copy_from_slice(header.as_bytes());
            let bytes = &payload[offset as usize..][..len];
            // The kernel only reads; `iovec` serves both directions.
            self.parts[index][1] =
                libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: len };
            let message = &mut self.messages[index].msg_hdr;
            message.msg_iovlen = if len > 0 { 2 } else { 1 };
            message.msg_name = name;
            message.msg_namelen = name_len;
            self.filled += 1;
        }
        Filled { arena: self, _event: payload }
    }
}

/// Fragments that are ready to be sent; borrows all that they point to.
pub(super) struct Filled<'a> {
    arena: &'a mut Arena,
    _event: &'a [u8],
}

impl Filled<'_> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.arena.filled
    }

    /// Event bytes in those from `from` up to `to`.
    pub(super) fn payload(&self, from: usize, to: usize) -> u64 {
        self.arena.parts[from..to].iter().map(|parts| parts[1].iov_len as u64).sum()
    }

    /// Sends what comes after the first `done`, as far as the kernel takes it
    /// now, and returns how many that was: one at least.
    pub(super) fn send(&mut self, socket: BorrowedFd<'_>, done: usize) -> io::Result<usize> {
        let left = &mut self.arena.messages[done..self.arena.filled];
        // SAFETY: every message points to two iovecs, of which the first
        // covers its header in the arena, and the second bytes of the event
        // that `self` borrows; its name is null or the address that `fill`
        // borrowed for as long as `self` lives.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                left.as_mut_ptr(),
                left.len() as c_uint,
                libc::MSG_DONTWAIT as _,
            )
        };
        Ok(crate::sys::check(sent)? as usize)
    }
}

const _: () = assert!(LB_HEADER_LEN + RE_HEADER_LEN == LB_RE_HEADER_LEN);
