//! Segmentation offload (`UDP_SEGMENT`, since Linux 4.18): one message with
//! many fragments, which the kernel, or the NIC, cuts at a fixed length.
//!
//! What the kernel asks for (`udp_send_skb()`, `net/ipv4/udp.c`):
//!
//! | rule | else |
//! |---|---|
//! | headers and a segment fit the route's MTU | `EINVAL`, since 6.14 `EMSGSIZE` |
//! | 64 segments at most; newer kernels take 128 | `EINVAL` |
//! | the UDP checksum is not switched off | `EINVAL` |
//! | no IPsec; before 6.11, an interface that computes checksums | `EIO` |
//! | all of it fits one IP datagram: 65535 bytes | `EMSGSIZE` |
//!
//! All segments have one length but for the last, which may be shorter: just
//! as fragments of an event.

use std::{io, mem, net::IpAddr, os::fd::BorrowedFd};

use libc::c_void;

use super::plan;
use crate::sys;

/// Segments of one message (`UDP_MAX_SEGMENTS`, `include/linux/udp.h`), as
/// many as every kernel takes.
pub(super) const MAX_SEGMENTS: usize = 64;
/// The IP length fields have 16 bits.
const LARGEST_DATAGRAM: usize = 65_535;

/// Segments of `len` UDP payload bytes that one message to `to` takes.
pub(super) fn segments_per_message(to: IpAddr, len: usize) -> usize {
    ((LARGEST_DATAGRAM - plan::ip_and_udp(to)) / len).clamp(1, MAX_SEGMENTS)
}

/// Whether the kernel knows `UDP_SEGMENT`: it sets it to none, which it is.
pub(super) fn probe(socket: BorrowedFd<'_>) -> io::Result<()> {
    sys::set_option(socket, libc::SOL_UDP, libc::UDP_SEGMENT, 0)
}

/// Whether `error` says that this route or interface takes no such messages,
/// though it may take single datagrams.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EIO | libc::EOPNOTSUPP))
}

/// The control message that says where to cut.
#[repr(C)]
pub(super) struct SegmentSize {
    header: libc::cmsghdr,
    bytes: u16,
}

impl SegmentSize {
    /// Cuts every `bytes`, which a datagram holds.
    pub(super) fn new(bytes: usize) -> Self {
        // SAFETY: all-zero is a valid cmsghdr: integers only.
        let mut header: libc::cmsghdr = unsafe { mem::zeroed() };
        header.cmsg_len = LEN as _;
        header.cmsg_level = libc::SOL_UDP;
        header.cmsg_type = libc::UDP_SEGMENT;
        Self { header, bytes: bytes as u16 }
    }

    /// What `msg_control` and `msg_controllen` take. Valid while `self` stays
    /// where it is.
    pub(super) fn control<N: TryFrom<usize> + Default>(&mut self) -> (*mut c_void, N) {
        let place: *mut Self = self;
        (place.cast(), N::try_from(mem::size_of::<Self>()).unwrap_or_default())
    }
}

// SAFETY: arithmetic on a constant, no pointers.
const LEN: u32 = unsafe { libc::CMSG_LEN(mem::size_of::<u16>() as u32) };
// Laid out as `CMSG_FIRSTHDR` and `CMSG_DATA` would have it.
const _: () = assert!(mem::offset_of!(SegmentSize, bytes) + mem::size_of::<u16>() == LEN as usize);

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_message_holds_what_one_ip_datagram_does() {
        let v4 = |len| segments_per_message(Ipv4Addr::LOCALHOST.into(), len);
        let v6 = |len| segments_per_message(Ipv6Addr::LOCALHOST.into(), len);
        // At MTU 1500 and 9000: the MTU less IP and UDP header.
        assert_eq!((v4(1472), v6(1452)), (44, 45));
        assert_eq!((v4(8972), v6(8952)), (7, 7));
        assert_eq!((v4(76), v4(1), v4(1023)), (64, 64, 64));
        assert_eq!((v4(32_753), v4(32_754), v4(65_507)), (2, 1, 1));
        assert_eq!((v6(32_743), v6(32_744), v6(65_487)), (2, 1, 1));
    }
}
