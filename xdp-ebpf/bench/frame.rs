//! The only frame there is: Ethernet, IPv4 without options, UDP, LB header,
//! RE header.

use aya_ebpf::programs::XdpContext;
use xdpsar_wire::{LbHeader, ReHeader};
use zerocopy::byteorder::big_endian::U16;

/// Ethernet, IPv4 and UDP header.
#[repr(C)]
pub struct Carrier {
    _addresses: [u8; 12],
    pub ether_type: U16,
    pub version: u8,
    _service: u8,
    pub ip_len: U16,
    _identification: U16,
    pub fragment: U16,
    _time_to_live: u8,
    pub protocol: u8,
    pub ip_checksum: U16,
    _from_and_to: [u8; 8],
    _source: U16,
    pub port: U16,
    pub udp_len: U16,
    pub udp_checksum: U16,
}

/// All headers.
#[repr(C)]
pub struct Headers {
    pub carrier: Carrier,
    pub lb: LbHeader,
    pub re: ReHeader,
}

/// Bytes of an UDP datagram that are no event's.
pub const UDP_LB_RE: u16 = (size_of::<Headers>() - 34) as u16;

/// The start of the frame as a `T`, which has no alignment and takes any
/// bytes; `None` of a shorter one.
#[inline(always)]
pub fn start<T>(ctx: &XdpContext) -> Option<*mut T> {
    let start = ctx.data();
    (start + size_of::<T>() <= ctx.data_end()).then_some(start as *mut T)
}
