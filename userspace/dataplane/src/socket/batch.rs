//! One `recvmmsg`: buffers that are reused for ever, and what came in them.

use std::{
    io,
    mem::{self, size_of},
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

use libc::{c_int, c_uint};

/// Room for the two control messages that we ask for: `UDP_GRO` and
/// `SO_RXQ_OVFL`, each a header of 16 bytes and a number padded to 8.
type Control = [u64; 8];

/// Buffers start this much after the end of the one before, so that the
/// headers, which every datagram touches, do not all fall into one cache set.
const STAGGER: usize = 33 * 64;

/// Memory for one `recvmmsg`.
///
/// ```text
/// messages[i] ─┬─▶ iovecs[i] ──▶ memory[i × stride ..][..buffer_len]
///              └─▶ control[i]
/// ```
pub(super) struct Batch {
    memory: Vec<u8>,
    buffer_len: usize,
    control: Vec<Control>,
    iovecs: Vec<libc::iovec>,
    messages: Vec<libc::mmsghdr>,
}

// SAFETY: the raw pointers inside lead to the heap memory of the very same
// value, which moves along with it and is reachable through it only.
unsafe impl Send for Batch {}

/// One message of a batch: a datagram, or several of one size in a row.
pub(super) struct Message<'a> {
    /// What was received.
    pub(super) bytes: &'a [u8],
    /// Size of each datagram in `bytes`; the last may be shorter.
    pub(super) segment: usize,
    /// Bytes were cut off.
    pub(super) truncated: bool,
    /// Buffers that the socket has dropped since it was opened, modulo 2³²,
    /// if it has dropped any.
    pub(super) drops: Option<u32>,
}

impl Batch {
    /// Memory for up to `messages` of at most `buffer_len` bytes each. Pages
    /// that no packet reaches are never touched.
    pub(super) fn new(messages: usize, buffer_len: usize) -> Self {
        let stride = buffer_len + STAGGER;
        let mut batch = Self {
            memory: vec![0; messages * stride],
            buffer_len,
            control: vec![[0; 8]; messages],
            iovecs: Vec::with_capacity(messages),
            // SAFETY: all-zero is a valid mmsghdr: null pointers and zeros.
            messages: vec![unsafe { mem::zeroed() }; messages],
        };
        for buffer in batch.memory.chunks_exact_mut(stride) {
            let iov_base = buffer.as_mut_ptr().cast();
            batch.iovecs.push(libc::iovec { iov_base, iov_len: buffer_len });
        }
        let parts = batch.iovecs.iter_mut().zip(&mut batch.control);
        for (message, (iovec, control)) in batch.messages.iter_mut().zip(parts) {
            message.msg_hdr.msg_iov = iovec;
            message.msg_hdr.msg_iovlen = 1;
            message.msg_hdr.msg_control = control.as_mut_ptr().cast();
        }
        batch
    }

    /// Messages that fit in one call.
    pub(super) fn capacity(&self) -> usize {
        self.messages.len()
    }

    /// Takes what `socket` has, at most `at_most` messages, without waiting.
    pub(super) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        at_most: usize,
    ) -> Result<usize, io::Error> {
        let at_most = at_most.min(self.messages.len());
        for message in &mut self.messages[..at_most] {
            // The kernel has left the length of the last call's here.
            message.msg_hdr.msg_controllen = size_of::<Control>() as _;
        }
        // SAFETY: the first `at_most` messages point to an iovec and a control
        // buffer of the lengths they state, all owned by `self`; nothing else
        // refers to that memory while `self` is borrowed mutably.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.messages.as_mut_ptr(),
                at_most as c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        match crate::sys::check(received) {
            Ok(n) => Ok(n as usize),
            Err(error) => match error.raw_os_error() {
                // Memory pressure passes; the datagrams wait in the socket.
                Some(libc::EAGAIN | libc::EINTR | libc::ENOMEM | libc::ENOBUFS) => Ok(0),
                _ => Err(error),
            },
        }
    }

    /// What the last call put into place `index`, which is less than what it
    /// returned.
    pub(super) fn message(&self, index: usize) -> Message<'_> {
        let message = &self.messages[index];
        let stride = self.buffer_len + STAGGER;
        let received = (message.msg_len as usize).min(self.buffer_len);
        let bytes = &self.memory[index * stride..][..received];
        let flags = message.msg_hdr.msg_flags;
        let (mut segment, mut drops) = (received, None);
        if message.msg_hdr.msg_controllen > 0 {
            let controls = parse_control(&self.control[index], message.msg_hdr.msg_controllen as _);
            segment = controls.segment.unwrap_or(received);
            drops = controls.drops;
        }
        Message {
            bytes,
            segment: segment.max(1),
            // Without its control messages a super-packet cannot be cut.
            truncated: flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0,
            drops,
        }
    }
}

#[derive(Default)]
struct Controls {
    segment: Option<usize>,
    drops: Option<u32>,
}

/// Reads the control messages in the first `len` bytes: a header (length,
/// level, type) and data, each padded to eight bytes (cmsg(3)).
fn parse_control(control: &Control, len: usize) -> Controls {
    let mut found = Controls::default();
    let words = size_of::<libc::cmsghdr>() / 8;
    let mut rest = &control[..(len / 8).min(control.len())];
    while rest.len() > words {
        // SAFETY: at least a whole header is left, and it is integers only.
        let header = unsafe { rest.as_ptr().cast::<libc::cmsghdr>().read_unaligned() };
        // Both kinds carry 32 bits: the int of udp_cmsg_recv() and the __u32
        // of sock_recv_drops() (include/linux/udp.h, net/socket.c).
        let bytes = rest[words].to_ne_bytes();
        let value = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        match (header.cmsg_level, header.cmsg_type) {
            (libc::SOL_UDP, libc::UDP_GRO) => found.segment = Some(value as usize),
            (libc::SOL_SOCKET, SO_RXQ_OVFL) => found.drops = Some(value),
            _ => {}
        }
        let taken = header.cmsg_len.div_ceil(8).max(words);
        rest = rest.get(taken..).unwrap_or_default();
    }
    found
}

const SO_RXQ_OVFL: c_int = libc::SO_RXQ_OVFL;

#[cfg(test)]
mod tests {
    use std::{
        net::UdpSocket,
        os::fd::{AsFd, AsRawFd},
    };

    use super::*;

    #[test]
    fn a_datagram_longer_than_the_buffer_is_flagged() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        for len in [100, 101, 3] {
            sender.send(&vec![7; len]).unwrap();
        }
        let mut batch = Batch::new(8, 100);
        assert_eq!(batch.receive(receiver.as_fd(), 8).unwrap(), 3);
        let seen: Vec<_> = (0..3).map(|i| batch.message(i)).collect();
        assert_eq!(
            seen.iter().map(|m| (m.bytes.len(), m.truncated)).collect::<Vec<_>>(),
            [(100, false), (100, true), (3, false)]
        );
        assert!(seen.iter().all(|m| m.bytes.iter().all(|b| *b == 7) && m.drops.is_none()));
        assert_eq!(batch.receive(receiver.as_fd(), 8).unwrap(), 0);
    }

    #[test]
    fn control_messages_are_read_until_the_given_length() {
        let mut control: Control = [0; 8];
        let put = |control: &mut Control, at: usize, level, kind, value: u32| {
            // SAFETY: all-zero is a valid header.
            let mut header: libc::cmsghdr = unsafe { mem::zeroed() };
            header.cmsg_len = (size_of::<libc::cmsghdr>() + 4) as _;
            (header.cmsg_level, header.cmsg_type) = (level, kind);
            // SAFETY: two words are left in the tests below.
            unsafe { control[at..].as_mut_ptr().cast::<libc::cmsghdr>().write_unaligned(header) };
            control[at + 2] = u64::from(value);
        };
        put(&mut control, 0, libc::SOL_SOCKET, SO_RXQ_OVFL, 9);
        put(&mut control, 3, libc::SOL_UDP, libc::UDP_GRO, 1436);
        let both = parse_control(&control, 48);
        assert_eq!((both.segment, both.drops), (Some(1436), Some(9)));
        let first = parse_control(&control, 24);
        assert_eq!((first.segment, first.drops), (None, Some(9)));
        assert!(parse_control(&[u64::MAX; 8], 64).segment.is_none());
        assert!(parse_control(&[0; 8], 64).drops.is_none());
    }

    #[test]
    fn a_closed_descriptor_is_an_error() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        // SAFETY: the number is never opened in this test.
        let closed = unsafe { BorrowedFd::borrow_raw(i32::MAX - 1) };
        assert_ne!(receiver.as_raw_fd(), closed.as_raw_fd());
        assert!(Batch::new(1, 64).receive(closed, 1).is_err());
    }
}
