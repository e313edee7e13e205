//! One `recvmmsg` after the other into the same buffers: the one thing that
//! this program does by hand, because what wraps it writes every header anew
//! before every call.

use std::{io, mem, net::UdpSocket, os::fd::AsRawFd, ptr};

/// Buffers for as many messages.
///
/// ```text
/// headers[i] ──▶ parts[i] ──▶ memory[i × each ..][..each]
/// ```
pub(super) struct Messages {
    _memory: Vec<u8>,
    _parts: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

// SAFETY: the pointers inside lead to heap memory of the same value, which
// moves along with it and is reachable through it only.
unsafe impl Send for Messages {}

impl Messages {
    /// For `count` messages of at most `each` bytes.
    pub(super) fn new(count: usize, each: usize) -> Self {
        let mut memory = vec![0_u8; count * each];
        let part = |buffer: &mut [u8]| libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        let mut parts: Vec<_> = memory.chunks_exact_mut(each).map(part).collect();
        let header = |part: &mut libc::iovec| {
            // SAFETY: all-zero is a valid header: null pointers, lengths of 0.
            let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
            header
        };
        let headers = parts.iter_mut().map(header).collect();
        Self { _memory: memory, _parts: parts, headers }
    }

    /// Waits for a message, as long as the socket's time-out allows, and takes
    /// what else is there. The lengths of all; none if none came.
    #[inline]
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
    ) -> io::Result<impl Iterator<Item = usize> + '_> {
        let count = self.headers.len() as u32;
        // SAFETY: each header leads to one part, and that to a buffer of the
        // length it states, all owned by `self` and borrowed mutably here; no
        // address and no control message is asked for, so that the kernel
        // changes nothing in a header that the next call would need.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count,
                libc::MSG_WAITFORONE as _,
                ptr::null_mut(),
            )
        };
        let received = match usize::try_from(received) {
            Ok(received) => received,
            Err(_) => match io::Error::last_os_error() {
                error
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) =>
                {
                    0
                }
                error => return Err(error),
            },
        };
        Ok(self.headers[..received].iter().map(|header| header.msg_len as usize))
    }
}
