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

use super::{
    gso::{self, SegmentSize},
    payload::Cursor,
    plan::Plan,
};
use crate::sys::RawAddress;

/// Messages that the kernel takes in one `sendmmsg`; what is beyond is cut
/// off silently (`UIO_MAXIOV`, `__sys_sendmmsg()`, `net/socket.c`).
pub(super) const MESSAGES: usize = 1024;
/// Parts that the kernel takes in one message, else `EMSGSIZE`
/// (`UIO_MAXIOV`, `__copy_msghdr()`, `net/socket.c`).
const PARTS_OF_MESSAGE: usize = 1024;
/// Parts of a run: a header and an odd boundary in every fragment.
const PARTS: usize = 4 * MESSAGES;
/// Pieces of the event that one fragment is gathered from by the kernel. One
/// with more is put together here first: that is less work than as many
/// descriptors.
const PIECES: usize = 8;
/// Room for such fragments in one run, in bytes: several of the largest.
const COLLECTED: usize = 256 << 10;

type Header = [u8; LB_RE_HEADER_LEN];

/// One `sendmmsg` in the making.
///
/// ```text
/// messages[m] ─▶ parts[p..q] = [ headers[i], fragment i in the caller's event,
///     │                          headers[i+1], fragment i+1, … ]
///     └─▶ segment: where the kernel is to cut, when there is more than one
/// ```
pub(super) struct Arena {
    headers: Vec<Header>,
    parts: Vec<libc::iovec>,
    messages: Vec<libc::mmsghdr>,
    loads: Vec<Load>,
    /// Fragments that came in too many pieces.
    collected: Vec<u8>,
    segment: Box<SegmentSize>,
    header_len: usize,
    per_message: usize,
}

// SAFETY: the raw pointers lead to the heap memory of the very same value, or
// into an event that is borrowed by the one call that fills and sends.
unsafe impl Send for Arena {}

/// What one message carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) fragments: usize,
    /// Event bytes in them.
    pub(super) bytes: u64,
}

/// What all fragments of an event have in common.
#[derive(Clone, Copy)]
pub(crate) struct EventHeader {
    pub(crate) lb: Option<LbHeader>,
    pub(crate) data_id: u16,
    pub(crate) length: u32,
    pub(crate) event_number: u64,
}

impl Arena {
    /// Room for [`MESSAGES`] fragments of up to `max_payload` event bytes,
    /// with or without an LB header, `per_message` of them in one message.
    pub(super) fn new(with_lb: bool, max_payload: usize, per_message: usize) -> Self {
        let header_len = if with_lb { LB_RE_HEADER_LEN } else { RE_HEADER_LEN };
        Self {
            headers: vec![[0; LB_RE_HEADER_LEN]; MESSAGES],
            parts: vec![libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; PARTS],
            // SAFETY: all-zero is a valid mmsghdr: null pointers and zeros.
            messages: vec![unsafe { mem::zeroed() }; MESSAGES],
            loads: vec![Load::default(); MESSAGES],
            collected: Vec::new(),
            segment: Box::new(SegmentSize::new(header_len + max_payload)),
            header_len,
            per_message,
        }
    }

    /// From now on, each fragment is a message of its own.
    pub(super) const fn stop_segmenting(&mut self) {
        self.per_message = 1;
    }

    /// Prepares the next fragments of `plan`, taken from `payload`: `limit` at
    /// most, [`MESSAGES`] at most, one at least unless the plan is done. With
    /// `to`, each message names its destination; otherwise the socket must be
    /// connected.
    pub(super) fn fill<'a, 'event: 'a>(
        &'a mut self,
        event: &EventHeader,
        payload: &mut Cursor<'event>,
        plan: &mut Plan,
        limit: usize,
        to: Option<&'a mut RawAddress>,
    ) -> Filled<'a> {
        let (name, name_len) = to.map_or((ptr::null_mut(), 0), RawAddress::name);
        self.collected.clear();
        let (mut messages, mut fragments, mut parts) = (0, 0, 0);
        let mut first_part = 0;
        while fragments < limit.min(MESSAGES)
            && parts + 1 + PIECES <= PARTS
            && (self.collected.is_empty() || self.collected.len() + plan.each() <= COLLECTED)
        {
            let Some((offset, len)) = plan.next() else { break };
            let header = &mut self.headers[fragments];
            let (lb, re) = header.split_at_mut(self.header_len - RE_HEADER_LEN);
            if let Some(header) = &event.lb {
                lb.copy_from_slice(header.as_bytes());
            }
            let fields = ReHeader::new(event.data_id, offset, event.length, event.event_number);
            re[..RE_HEADER_LEN].copy_from_slice(fields.as_bytes());
            self.parts[parts] =
                libc::iovec { iov_base: header.as_mut_ptr().cast(), iov_len: self.header_len };
            let end = self.gather(parts + 1, payload, len);

            if messages == 0 || self.loads[messages - 1].fragments == self.per_message {
                first_part = parts;
                self.loads[messages] = Load::default();
                let message = &mut self.messages[messages].msg_hdr;
                message.msg_iov = self.parts[first_part..].as_mut_ptr();
                message.msg_name = name;
                message.msg_namelen = name_len;
                message.msg_control = ptr::null_mut();
                message.msg_controllen = 0;
                messages += 1;
            }
            let load = &mut self.loads[messages - 1];
            load.fragments += 1;
            load.bytes += len as u64;
            let message = &mut self.messages[messages - 1].msg_hdr;
            message.msg_iovlen = (end - first_part) as _;
            if load.fragments == 2 {
                (message.msg_control, message.msg_controllen) = self.segment.control();
            }
            fragments += 1;
            parts = end;
        }
        Filled { arena: self, messages }
    }

    /// Describes the next `len` bytes of `payload` from `parts[at]` on, and
    /// returns where the description ends.
    fn gather(&mut self, at: usize, payload: &mut Cursor<'_>, len: usize) -> usize {
        let start = *payload;
        let (mut end, mut left) = (at, len);
        while left > 0 && end < at + PIECES {
            let piece = payload.next_piece(left);
            self.parts[end] = read_from(piece);
            left -= piece.len();
            end += 1;
        }
        if left == 0 {
            return end;
        }
        *payload = start;
        if self.collected.capacity() == 0 {
            self.collected.reserve_exact(COLLECTED);
        }
        let from = self.collected.len();
        // The descriptors of this run point into it: it never moves.
        debug_assert!(from + len <= self.collected.capacity());
        let mut left = len;
        while left > 0 {
            let piece = payload.next_piece(left);
            self.collected.extend_from_slice(piece);
            left -= piece.len();
        }
        self.parts[at] = read_from(&self.collected[from..]);
        at + 1
    }
}

/// The kernel only reads; `iovec` serves both directions.
const fn read_from(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}

/// Fragments that are ready to be sent; borrows all that they point to.
pub(super) struct Filled<'a> {
    arena: &'a mut Arena,
    messages: usize,
}

impl Filled<'_> {
    /// How many messages there are.
    pub(super) const fn messages(&self) -> usize {
        self.messages
    }

    /// What the messages from `from` up to `to` carry.
    pub(super) fn load(&self, from: usize, to: usize) -> Load {
        self.arena.loads[from..to].iter().fold(Load::default(), |sum, load| Load {
            fragments: sum.fragments + load.fragments,
            bytes: sum.bytes + load.bytes,
        })
    }

    /// Sends what comes after the first `done` messages, as far as the kernel
    /// takes it now, and returns how many that was: one at least.
    pub(super) fn send(&mut self, socket: BorrowedFd<'_>, done: usize) -> io::Result<usize> {
        let left = &mut self.arena.messages[done..self.messages];
        // SAFETY: every message points to as many iovecs as it says. Each of
        // those covers a header or collected bytes in the arena, neither of
        // which moves while `self` borrows it, or bytes of the event, which
        // `fill` borrowed for as long as `self` lives. Its name is null or the
        // address that `fill` borrowed just so, and its control message is
        // null or in the arena.
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
// A run takes one fragment at least, however it is cut.
const _: () = assert!(COLLECTED >= u16::MAX as usize);
// No message has more parts than the kernel takes.
const _: () = assert!(gso::MAX_SEGMENTS * (1 + PIECES) <= PARTS_OF_MESSAGE);
