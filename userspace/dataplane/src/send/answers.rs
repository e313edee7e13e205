//! What the network says about datagrams that have left: ICMP errors, in the
//! error queue of their socket (`IP_RECVERR`, ip(7)).
//!
//! The option does two things that a sender wants. The queue tells an answer
//! to an earlier datagram from a refusal of this one, which the error number
//! alone does not. And datagrams that the interface's queue drops give
//! `ENOBUFS`: without it, the kernel reports them as sent (`udp_send_skb()`,
//! `net/ipv4/udp.c`).

use std::{
    io,
    mem::{self, MaybeUninit},
    net::SocketAddr,
    os::fd::{AsRawFd, BorrowedFd},
};

use crate::sys;

/// Room for the control messages of one answer: the error, its sender, and
/// what else the socket may have been asked to tell.
const CONTROL: usize = 64;
/// Answers that are read in one go, at most.
const MOST: usize = 1024;

/// Asks for answers.
pub(super) fn listen(socket: BorrowedFd<'_>, to: &SocketAddr) -> io::Result<()> {
    let (level, name) = match to {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_RECVERR),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    };
    sys::set_option(socket, level, name, 1)
}

/// Empties the queue, and returns how many of its entries came from the
/// network, and how many system calls that took. A queue that is left filled
/// would keep `poll` from waiting.
pub(super) fn read(socket: BorrowedFd<'_>) -> (usize, u64) {
    let mut answers = 0;
    for call in 1..=MOST as u64 {
        match read_one(socket) {
            Ok(from_network) => answers += usize::from(from_network),
            Err(_) => return (answers, call),
        }
    }
    (answers, MOST as u64)
}

/// Whether the next answer is the network's, and not this host's own.
fn read_one(socket: BorrowedFd<'_>) -> io::Result<bool> {
    // Words, so that control messages lie aligned.
    let mut control = MaybeUninit::<[u64; CONTROL]>::zeroed();
    // SAFETY: all-zero is a valid msghdr: null pointers and zeros.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = mem::size_of_val(&control) as _;
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    // SAFETY: no name and no parts; the control buffer has the length given.
    sys::check(unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, flags) } as i32)?;
    // SAFETY: the kernel has set the length of the control messages, which
    // begin in `control`, alive to the end of this function.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(&message) };
    while !next.is_null() {
        // SAFETY: not null, so a complete header within `control`.
        let header = unsafe { *next };
        let kind = (header.cmsg_level, header.cmsg_type);
        if matches!(
            kind,
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
        ) {
            // SAFETY: a message of this kind begins with that structure; it
            // need not lie aligned.
            let error =
                unsafe { libc::CMSG_DATA(next).cast::<libc::sock_extended_err>().read_unaligned() };
            return Ok(matches!(
                error.ee_origin,
                libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6
            ));
        }
        // SAFETY: as above.
        next = unsafe { libc::CMSG_NXTHDR(&message, next) };
    }
    Ok(false)
}
