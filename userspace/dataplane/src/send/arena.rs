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
    store::{self, Store},
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
/// Fragments of up to so many event bytes are put together here, headers and
/// all, if several of them make a message.
const SMALL: usize = 2048;
/// An event of more bytes does not lie in the core's cache, whoever made it.
const CACHED: u32 = 1 << 20;

type Header = [u8; LB_RE_HEADER_LEN];

/// One `sendmmsg` in the making.
///
/// ```text
/// messages[m] ─▶ parts[p..q] = [ headers[i], fragment i in the caller's event,
///     │                          headers[i+1], fragment i+1, … ]
///     │                     or [ all of it in the store ]
///     └─▶ segment: where the kernel is to cut, when there is more than one
/// ```
pub(super) struct Arena {
    headers: Vec<Header>,
    parts: Vec<libc::iovec>,
    messages: Vec<libc::mmsghdr>,
    loads: Vec<Load>,
    /// Fragments that are put together here.
    store: Store,
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

impl EventHeader {
    /// Writes the headers of the fragment at `offset`, which are as long as
    /// `to`.
    fn write(&self, offset: u32, to: &mut [u8]) {
        let (lb, re) = to.split_at_mut(to.len() - RE_HEADER_LEN);
        if let Some(header) = &self.lb {
            lb.copy_from_slice(header.as_bytes());
        }
        let fields = ReHeader::new(self.data_id, offset, self.length, self.event_number);
        re.copy_from_slice(fields.as_bytes());
    }
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
            store: Store::new(),
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
        self.store.clear();
        let datagram = self.header_len + plan.each();
        let (mut messages, mut fragments, mut parts) = (0, 0, 0);
        let mut first_part = 0;
        // Whether what was added last to the message is in the store, so that
        // it can go on there.
        let mut in_store = false;
        while fragments < limit.min(MESSAGES) && parts + 1 + PIECES <= PARTS {
            let begins = messages == 0 || self.loads[messages - 1].fragments == self.per_message;
            // Of a message that has begun, all has room.
            if begins && !self.store.has_room_for(datagram * self.per_message) {
                break;
            }
            let Some((offset, len)) = plan.next() else { break };
            if begins {
                if self.per_message > 1 {
                    self.store.begin_message();
                }
                (first_part, in_store) = (parts, false);
                self.loads[messages] = Load::default();
                let message = &mut self.messages[messages].msg_hdr;
                message.msg_iov = self.parts[first_part..].as_mut_ptr();
                message.msg_name = name;
                message.msg_namelen = name_len;
                message.msg_control = ptr::null_mut();
                message.msg_controllen = 0;
                messages += 1;
            }
            let is_small = self.per_message > 1
                && (len <= SMALL || offset == 0)
                && !payload.is_for_the_kernel();
            let gathered = if is_small { None } else { self.gather(parts + 1, payload, len) };
            if let Some(end) = gathered {
                let header = &mut self.headers[fragments][..self.header_len];
                event.write(offset, header);
                self.parts[parts] = read_from(header);
                (parts, in_store) = (end, false);
            } else {
                let place = self.store.take(self.header_len + len);
                let (header, bytes) = place.split_at_mut(self.header_len);
                event.write(offset, header);
                store::copy(payload, bytes, event.length > CACHED);
                if in_store {
                    self.parts[parts - 1].iov_len += place.len();
                } else {
                    self.parts[parts] = read_from(place);
                    parts += 1;
                }
                in_store = true;
            }

            let load = &mut self.loads[messages - 1];
            load.fragments += 1;
            load.bytes += len as u64;
            let message = &mut self.messages[messages - 1].msg_hdr;
            message.msg_iovlen = (parts - first_part) as _;
            if load.fragments == 2 {
                (message.msg_control, message.msg_controllen) = self.segment.control();
            }
            fragments += 1;
        }
        Filled { arena: self, messages }
    }

    /// Describes the next `len` bytes of `payload` from `parts[at]` on, and
    /// returns where the description ends; `None`, and nothing is read, if
    /// they lie in too many pieces.
    fn gather(&mut self, at: usize, payload: &mut Cursor<'_>, len: usize) -> Option<usize> {
        let start = *payload;
        let (mut end, mut left) = (at, len);
        while left > 0 && end < at + PIECES {
            let piece = payload.next_piece(left);
            self.parts[end] = read_from(piece);
            left -= piece.len();
            end += 1;
        }
        if left > 0 {
            *payload = start;
            return None;
        }
        Some(end)
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
        // those covers a header or stored bytes in the arena, neither of
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
// No message has more parts than the kernel takes.
const _: () = assert!(gso::MAX_SEGMENTS * (1 + PIECES) <= PARTS_OF_MESSAGE);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send::Payload;

    /// Bytes of the parts of each message.
    fn parts(each: usize, per_message: usize, length: u32) -> Vec<Vec<usize>> {
        let mut arena = Arena::new(true, each, per_message);
        let event = vec![0; length as usize];
        let header = EventHeader { lb: None, data_id: 0, length, event_number: 0 };
        let mut plan = Plan::new(length, each);
        let mut cursor = Payload::whole(&event).cursor();
        let filled = arena.fill(&header, &mut cursor, &mut plan, usize::MAX, None);
        let arena = &filled.arena;
        let mut rest = &arena.parts[..];
        let of = |message: &libc::mmsghdr| {
            let (parts, after) = rest.split_at(message.msg_hdr.msg_iovlen);
            assert!(ptr::eq(message.msg_hdr.msg_iov, parts.as_ptr()));
            rest = after;
            parts.iter().map(|part| part.iov_len).collect()
        };
        arena.messages[..filled.messages].iter().map(of).collect()
    }

    #[test]
    fn small_fragments_are_one_part_of_a_message() {
        assert_eq!(parts(1436, 44, 100_000), [[44 * 1472], [36 * 26 + 100_000 - 44 * 1436]]);
        // As many as the store has room for, whole.
        assert_eq!(parts(1436, 44, 1_000_000), [[44 * 1472]; 4]);
        // Messages of their own are not put together.
        assert_eq!(parts(1436, 1, 3000), [[36, 1436], [36, 1436], [36, 128]]);
    }

    #[test]
    fn what_is_for_the_kernel_is_gathered_where_it_is() {
        let event = vec![0; 100_000];
        let header = EventHeader { lb: None, data_id: 0, length: 100_000, event_number: 0 };
        let mut arena = Arena::new(true, 1436, 44);
        let mut plan = Plan::new(100_000, 1436);
        let mut cursor = Payload::whole(&event).for_the_kernel().cursor();
        let filled = arena.fill(&header, &mut cursor, &mut plan, usize::MAX, None);
        let parts = &filled.arena.parts;
        for (part, bytes) in parts.iter().skip(1).step_by(2).zip(event.chunks(1436)) {
            assert_eq!(
                (part.iov_base.cast_const().cast(), part.iov_len),
                (bytes.as_ptr(), bytes.len())
            );
        }
    }

    #[test]
    fn of_large_fragments_the_first_and_a_short_last_are_put_together() {
        let large = [36, 8936].repeat(6);
        let first = [&[8972][..], &large].concat();
        let last = vec![36 + 1000];
        assert_eq!(parts(8936, 7, 7 * 8936 + 1000), [first, last]);
        assert_eq!(parts(8936, 7, 8936 + 1000), [[8972 + 36 + 1000]]);
    }
}
