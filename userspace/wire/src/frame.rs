//! From the Ethernet header to the UDP payload.
//!
//! Up to two VLAN tags, IPv4 with options, IPv6 with the extension headers a
//! host may meet. What cannot be read to the end of its UDP header is
//! [`NotUdp`] with a reason: such a frame is the kernel's business.

use crate::bytes::Bytes;

/// Bytes of an Ethernet header without tags.
pub const ETH_HEADER_LEN: usize = 14;
/// Bytes of a UDP header.
pub const UDP_HEADER_LEN: usize = 8;
/// VLAN tags that are walked over.
pub const MAX_VLAN_TAGS: usize = 2;
/// IPv6 extension headers that are walked over.
pub const MAX_IPV6_EXTENSIONS: usize = 4;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
// IEEE 802.1Q, 802.1ad, and the value QinQ switches used before 802.1ad.
const ETHERTYPE_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];

const IPPROTO_HOP_BY_HOP: u8 = 0;
const IPPROTO_UDP: u8 = 17;
const IPPROTO_ROUTING: u8 = 43;
const IPPROTO_FRAGMENT: u8 = 44;
const IPPROTO_DESTINATION_OPTIONS: u8 = 60;

/// IP version of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Why a frame is not a UDP datagram that we could judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotUdp {
    /// Neither IPv4 nor IPv6, or under more tags than we walk.
    NotIp,
    /// IP, but not UDP (or under extension headers that we do not walk).
    NotUdp,
    /// A fragment of an IP datagram: only the kernel can put it together.
    IpFragment,
    /// Ends before the end of its UDP header, or its IP header is unsound.
    Unreadable,
}

/// A UDP datagram found in a frame. Nothing about its length has been
/// believed yet: see [`UdpDatagram::payload_len`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpDatagram {
    /// IP version.
    pub ip: IpVersion,
    /// Where the IP header starts in the frame.
    pub ip_offset: usize,
    /// Bytes from the IP header's start to the datagram's end, as the IP
    /// header says.
    pub ip_len: usize,
    /// Where the UDP header starts in the frame.
    pub udp_offset: usize,
    /// Destination port.
    pub dst_port: u16,
    /// The UDP header's length field: header and payload.
    pub udp_len: u16,
}

impl UdpDatagram {
    /// Where the payload starts in the frame.
    #[inline(always)]
    pub const fn payload_offset(&self) -> usize {
        self.udp_offset + UDP_HEADER_LEN
    }

    /// Bytes of payload; `None` where the UDP length is less than its own
    /// header, reaches beyond the IP datagram, or the IP datagram beyond the
    /// frame of `frame_len` bytes.
    #[inline(always)]
    pub const fn payload_len(&self, frame_len: usize) -> Option<usize> {
        let ip_end = self.ip_offset + self.ip_len;
        let udp_end = self.udp_offset + self.udp_len as usize;
        if (self.udp_len as usize) < UDP_HEADER_LEN || udp_end > ip_end || ip_end > frame_len {
            None
        } else {
            Some(self.udp_len as usize - UDP_HEADER_LEN)
        }
    }
}

/// Walks a frame from its Ethernet header to its UDP header.
///
/// # Errors
/// [`NotUdp`] says why there is no UDP header to be had.
#[inline(always)]
pub fn walk<B: Bytes + ?Sized>(frame: &B) -> Result<UdpDatagram, NotUdp> {
    let mut ethertype = frame.be16(12).ok_or(NotUdp::Unreadable)?;
    let mut at = ETH_HEADER_LEN;
    // Written out twice: a loop here costs the verifier more than it saves.
    if is_vlan(ethertype) {
        ethertype = frame.be16(at + 2).ok_or(NotUdp::Unreadable)?;
        at += 4;
        if is_vlan(ethertype) {
            ethertype = frame.be16(at + 2).ok_or(NotUdp::Unreadable)?;
            at += 4;
        }
    }
    match ethertype {
        ETHERTYPE_IPV4 => walk_ipv4(frame, at),
        ETHERTYPE_IPV6 => walk_ipv6(frame, at),
        _ => Err(NotUdp::NotIp),
    }
}

#[inline(always)]
const fn is_vlan(ethertype: u16) -> bool {
    ethertype == ETHERTYPE_VLAN[0]
        || ethertype == ETHERTYPE_VLAN[1]
        || ethertype == ETHERTYPE_VLAN[2]
}

#[inline(always)]
fn walk_ipv4<B: Bytes + ?Sized>(frame: &B, at: usize) -> Result<UdpDatagram, NotUdp> {
    let header: [u8; 20] = frame.array(at).ok_or(NotUdp::Unreadable)?;
    let header_len = (header[0] & 0x0f) as usize * 4;
    let ip_len = u16::from_be_bytes([header[2], header[3]]) as usize;
    if header[0] >> 4 != 4 || header_len < 20 || ip_len < header_len {
        return Err(NotUdp::Unreadable);
    }
    // More-fragments flag or a fragment offset.
    if u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0 {
        return Err(NotUdp::IpFragment);
    }
    if header[9] != IPPROTO_UDP {
        return Err(NotUdp::NotUdp);
    }
    udp(frame, IpVersion::V4, at, ip_len, at + header_len)
}

#[inline(always)]
fn walk_ipv6<B: Bytes + ?Sized>(frame: &B, at: usize) -> Result<UdpDatagram, NotUdp> {
    let header: [u8; 8] = frame.array(at).ok_or(NotUdp::Unreadable)?;
    if header[0] >> 4 != 6 {
        return Err(NotUdp::Unreadable);
    }
    let ip_len = 40 + u16::from_be_bytes([header[4], header[5]]) as usize;
    let mut next = header[6];
    let mut udp_at = at + 40;
    for _ in 0..MAX_IPV6_EXTENSIONS {
        match next {
            IPPROTO_UDP => break,
            // RFC 8200 §4.2: next header, then the length in units of 8
            // bytes beyond the first 8.
            IPPROTO_HOP_BY_HOP | IPPROTO_ROUTING | IPPROTO_DESTINATION_OPTIONS => {
                let extension: [u8; 2] = frame.array(udp_at).ok_or(NotUdp::Unreadable)?;
                next = extension[0];
                udp_at += (extension[1] as usize + 1) * 8;
            }
            IPPROTO_FRAGMENT => return Err(NotUdp::IpFragment),
            _ => return Err(NotUdp::NotUdp),
        }
    }
    if next != IPPROTO_UDP {
        return Err(NotUdp::NotUdp);
    }
    udp(frame, IpVersion::V6, at, ip_len, udp_at)
}

#[inline(always)]
fn udp<B: Bytes + ?Sized>(
    frame: &B,
    ip: IpVersion,
    ip_offset: usize,
    ip_len: usize,
    udp_offset: usize,
) -> Result<UdpDatagram, NotUdp> {
    let header: [u8; UDP_HEADER_LEN] = frame.array(udp_offset).ok_or(NotUdp::Unreadable)?;
    Ok(UdpDatagram {
        ip,
        ip_offset,
        ip_len,
        udp_offset,
        dst_port: u16::from_be_bytes([header[2], header[3]]),
        udp_len: u16::from_be_bytes([header[4], header[5]]),
    })
}
