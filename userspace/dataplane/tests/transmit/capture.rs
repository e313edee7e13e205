//! Frames as they arrive at the receiving host, read from the interface.

use std::{
    io, mem,
    net::IpAddr,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use xdpsar_tests::Lab;

pub(crate) const PORT: u16 = 19522;
const ETHERNET: usize = 14;

/// A packet socket on the lab's `vb`.
pub(crate) struct Capture(OwnedFd);

impl Capture {
    pub(crate) fn open(lab: &Lab) -> Self {
        lab.receiver.run(|| {
            let index: i32 = std::fs::read_to_string("/sys/class/net/vb/ifindex")
                .unwrap()
                .trim()
                .parse()
                .unwrap();
            let protocol = (libc::ETH_P_ALL as u16).to_be();
            // SAFETY: no pointers.
            let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, protocol.into()) };
            assert!(fd >= 0, "{}", io::Error::last_os_error());
            // SAFETY: just opened.
            let socket = unsafe { OwnedFd::from_raw_fd(fd) };
            // SAFETY: all-zero is a valid address.
            let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_protocol = protocol;
            address.sll_ifindex = index;
            let pointer: *const libc::sockaddr_ll = &address;
            // SAFETY: a whole address of the length passed.
            let bound = unsafe {
                libc::bind(fd, pointer.cast(), mem::size_of::<libc::sockaddr_ll>() as u32)
            };
            assert_eq!(bound, 0, "{}", io::Error::last_os_error());
            let timeout = libc::timeval { tv_sec: 20, tv_usec: 0 };
            let buffer: libc::c_int = 64 << 20;
            for (option, value, len) in [
                (libc::SO_RCVTIMEO, (&raw const timeout).cast(), mem::size_of_val(&timeout)),
                (libc::SO_RCVBUFFORCE, (&raw const buffer).cast::<libc::c_void>(), 4),
            ] {
                // SAFETY: each value is as long as it says.
                let set =
                    unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, value, len as u32) };
                assert_eq!(set, 0, "{}", io::Error::last_os_error());
            }
            Self(socket)
        })
    }

    /// The next of our packets, whole.
    pub(crate) fn next(&self) -> Packet {
        loop {
            let mut bytes = vec![0; 65_536];
            // SAFETY: writes to `bytes`, as far as they go.
            let len = unsafe {
                libc::recv(self.0.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), 0)
            };
            assert!(len > 0, "no packet came: {}", io::Error::last_os_error());
            bytes.truncate(len as usize);
            if let Some(packet) = Packet::read(bytes) {
                return packet;
            }
        }
    }
}

/// A UDP packet to our ports.
pub(crate) struct Packet {
    pub(crate) bytes: Vec<u8>,
    pub(crate) v6: bool,
    udp: usize,
}

impl Packet {
    fn read(bytes: Vec<u8>) -> Option<Self> {
        let (v6, udp, protocol) = match bytes.get(12..14)? {
            [0x08, 0x00] => (false, ETHERNET + 20, *bytes.get(ETHERNET + 9)?),
            [0x86, 0xdd] => (true, ETHERNET + 40, *bytes.get(ETHERNET + 6)?),
            _ => return None,
        };
        let packet = Self { bytes, v6, udp };
        let ours = protocol == 17
            && packet.bytes.len() >= udp + 8
            && (PORT..PORT + 8).contains(&packet.destination_port());
        ours.then_some(packet)
    }

    fn be16(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    pub(crate) fn source_port(&self) -> u16 {
        self.be16(self.udp)
    }

    pub(crate) fn destination_port(&self) -> u16 {
        self.be16(self.udp + 2)
    }

    pub(crate) fn ip(&self) -> &[u8] {
        &self.bytes[ETHERNET..self.udp]
    }

    /// Bytes of the IP datagram.
    pub(crate) fn ip_len(&self) -> usize {
        self.bytes.len() - ETHERNET
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[self.udp + 8..]
    }

    pub(crate) fn addresses(&self) -> (IpAddr, IpAddr) {
        let read = |bytes: &[u8]| -> IpAddr {
            if self.v6 {
                <[u8; 16]>::try_from(bytes).unwrap().into()
            } else {
                <[u8; 4]>::try_from(bytes).unwrap().into()
            }
        };
        let (at, len) = if self.v6 { (8, 16) } else { (12, 4) };
        (read(&self.ip()[at..at + len]), read(&self.ip()[at + len..at + 2 * len]))
    }

    /// Lengths and checksums, word by word as RFC 1071 and 768 have it.
    pub(crate) fn assert_sound(&self) {
        let udp_len = (self.bytes.len() - self.udp) as u16;
        assert_eq!(self.be16(self.udp + 4), udp_len);
        if self.v6 {
            assert_eq!(self.be16(ETHERNET + 4), udp_len);
        } else {
            assert_eq!(usize::from(self.be16(ETHERNET + 2)), self.ip_len());
            assert_eq!(sum(self.ip()), 0xffff, "IPv4 header checksum");
        }
        let addresses = if self.v6 { 8..40 } else { 12..20 };
        let mut summed = self.ip()[addresses].to_vec();
        summed.extend([0, 17]);
        summed.extend(udp_len.to_be_bytes());
        summed.extend(&self.bytes[self.udp..]);
        assert_ne!(self.be16(self.udp + 6), 0, "there is a UDP checksum");
        assert_eq!(sum(&summed), 0xffff, "UDP checksum");
    }
}

fn sum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
