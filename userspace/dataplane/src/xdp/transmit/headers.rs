//! Ethernet, IP, UDP, LB and RE header of a packet, with their checksums.
//!
//! Written once for an event; a fragment's copy differs in lengths, offset and
//! checksums, which follow from sums that are kept.
//!
//! ```text
//!  0          14        34 / 54   +8         +16          +20
//!  ├ Ethernet ┼ IPv4 / v6 ┼ UDP ───┼ LB (or none) ┼ RE ──────┤ payload
//!              lengths,     length,                 offset
//!              checksum     checksum
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use xdpsar_wire::{ReHeader, datagram::LB_RE_HEADER_LEN, re::RE_HEADER_LEN};
use zerocopy::IntoBytes;

use super::super::checksum::Sum;
use crate::{host::neighbour::Mac, send::EventHeader};

pub(super) const ETHERNET_LEN: usize = 14;
const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;
const UDP_LEN: usize = 8;
const IPPROTO_UDP: u8 = 17;
/// All headers at their longest.
pub(super) const MOST: usize = ETHERNET_LEN + IPV6_LEN + UDP_LEN + LB_RE_HEADER_LEN;

/// What the packets of one flow have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    pub(super) source_port: u16,
    /// The 20 bits that tell IPv6 flows apart (RFC 6437). Not used in IPv4.
    pub(super) label: u32,
}

/// What all packets of a sender have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) to_mac: Mac,
    pub(super) from_mac: Mac,
    pub(super) to: IpAddr,
    pub(super) from: IpAddr,
    /// Differentiated services code point, 6 bits.
    pub(super) dscp: u8,
    /// Time to live, or hop limit.
    pub(super) hops: u8,
}

/// The headers of one event's fragments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Headers {
    bytes: [u8; MOST],
    /// Where UDP's header starts.
    udp: usize,
    /// Where the RE header starts, which is the last.
    re: usize,
    /// IPv4 header without its length.
    ip_sum: Sum,
    /// Pseudo-header, UDP, LB and RE header without UDP length and RE offset.
    udp_sum: Sum,
}

impl Headers {
    pub(super) fn new(ends: &Ends, flow: &Flow, to_port: u16, event: &EventHeader) -> Self {
        let mut bytes = [0; MOST];
        bytes[..6].copy_from_slice(&ends.to_mac);
        bytes[6..12].copy_from_slice(&ends.from_mac);
        let (udp, mut udp_sum) = match (ends.from, ends.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => ipv4(&mut bytes, ends, from, to),
            (from, to) => ipv6(&mut bytes, ends, v6(from), v6(to), flow.label),
        };
        let ip_sum = if udp == ETHERNET_LEN + IPV4_LEN {
            sum(&bytes[ETHERNET_LEN..udp])
        } else {
            Sum::default()
        };
        bytes[udp..udp + 2].copy_from_slice(&flow.source_port.to_be_bytes());
        bytes[udp + 2..udp + 4].copy_from_slice(&to_port.to_be_bytes());
        let mut re = udp + UDP_LEN;
        if let Some(lb) = &event.lb {
            let lb = lb.as_bytes();
            bytes[re..re + lb.len()].copy_from_slice(lb);
            re += lb.len();
        }
        let header = ReHeader::new(event.data_id, 0, event.length, event.event_number);
        bytes[re..re + RE_HEADER_LEN].copy_from_slice(header.as_bytes());
        udp_sum.add(&bytes[udp..re + RE_HEADER_LEN]);
        Self { bytes, udp, re, ip_sum, udp_sum }
    }

    /// Bytes of all headers.
    pub(super) const fn len(&self) -> usize {
        self.re + RE_HEADER_LEN
    }

    /// Writes the headers of the fragment at `offset` in the event, of `len`
    /// bytes with the sum `payload`, to the front of `to`.
    #[inline]
    pub(super) fn write(&self, to: &mut [u8], offset: u32, len: usize, payload: Sum) {
        let (udp, re) = (self.udp, self.re);
        let to = &mut to[..self.len()];
        to.copy_from_slice(&self.bytes[..self.len()]);
        // No packet is longer than an MTU, of 16 bits.
        let udp_len = ((self.len() - udp + len) as u16).to_be_bytes();
        if udp == ETHERNET_LEN + IPV4_LEN {
            let ip_len = ((self.len() - ETHERNET_LEN + len) as u16).to_be_bytes();
            let mut ip_sum = self.ip_sum;
            ip_sum.add(&ip_len);
            to[ETHERNET_LEN + 2..ETHERNET_LEN + 4].copy_from_slice(&ip_len);
            to[ETHERNET_LEN + 10..ETHERNET_LEN + 12]
                .copy_from_slice(&ip_sum.complement().to_ne_bytes());
        } else {
            to[ETHERNET_LEN + 4..ETHERNET_LEN + 6].copy_from_slice(&udp_len);
        }
        let offset = offset.to_be_bytes();
        to[re + 4..re + 8].copy_from_slice(&offset);
        let mut sum = self.udp_sum;
        sum.add(&offset);
        // In the pseudo-header, and in UDP's.
        sum.add(&udp_len);
        sum.add(&udp_len);
        // 0 would say that there is no checksum (RFC 768).
        let checksum = match sum.plus(payload).complement() {
            0 => 0xffff,
            checksum => checksum,
        };
        to[udp + 4..udp + 6].copy_from_slice(&udp_len);
        to[udp + 6..udp + 8].copy_from_slice(&checksum.to_ne_bytes());
    }
}

/// Returns where UDP's header starts, and the sum of the pseudo-header
/// without the length.
fn ipv4(bytes: &mut [u8; MOST], ends: &Ends, from: Ipv4Addr, to: Ipv4Addr) -> (usize, Sum) {
    const DO_NOT_FRAGMENT: u8 = 0x40;
    bytes[12..14].copy_from_slice(&[0x08, 0x00]);
    let ip = &mut bytes[ETHERNET_LEN..][..IPV4_LEN];
    ip[0] = 0x45;
    ip[1] = ends.dscp << 2;
    // No fragments, so no identification (RFC 6864 §4.1).
    ip[6] = DO_NOT_FRAGMENT;
    ip[8] = ends.hops;
    ip[9] = IPPROTO_UDP;
    ip[12..16].copy_from_slice(&from.octets());
    ip[16..20].copy_from_slice(&to.octets());
    let mut pseudo = sum(&ip[12..20]);
    pseudo.add(&[0, IPPROTO_UDP]);
    (ETHERNET_LEN + IPV4_LEN, pseudo)
}

fn ipv6(
    bytes: &mut [u8; MOST],
    ends: &Ends,
    from: Ipv6Addr,
    to: Ipv6Addr,
    label: u32,
) -> (usize, Sum) {
    bytes[12..14].copy_from_slice(&[0x86, 0xdd]);
    let ip = &mut bytes[ETHERNET_LEN..][..IPV6_LEN];
    let first = 6 << 28 | u32::from(ends.dscp) << 22 | (label & 0xf_ffff);
    ip[..4].copy_from_slice(&first.to_be_bytes());
    ip[6] = IPPROTO_UDP;
    ip[7] = ends.hops;
    ip[8..24].copy_from_slice(&from.octets());
    ip[24..40].copy_from_slice(&to.octets());
    let mut pseudo = sum(&ip[8..40]);
    pseudo.add(&[0, IPPROTO_UDP]);
    (ETHERNET_LEN + IPV6_LEN, pseudo)
}

/// Both ends have the same IP version: `open` sees to it.
const fn v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

fn sum(bytes: &[u8]) -> Sum {
    let mut sum = Sum::default();
    sum.add(bytes);
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xdpsar_wire::{
        LbFraming, LbHeader, Pieces,
        frame::{IpVersion, walk},
    };

    use super::*;
    use crate::{config::Checksum, xdp::checksum};

    fn ends(v6: bool, addresses: [u8; 32], dscp: u8) -> Ends {
        let ip = |bytes: &[u8]| -> IpAddr {
            if v6 {
                Ipv6Addr::from(*bytes.first_chunk::<16>().expect("16")).into()
            } else {
                Ipv4Addr::from(*bytes.first_chunk::<4>().expect("4")).into()
            }
        };
        Ends {
            to_mac: [1, 2, 3, 4, 5, 6],
            from_mac: [7, 8, 9, 10, 11, 12],
            to: ip(&addresses[16..]),
            from: ip(&addresses[..16]),
            dscp,
            hops: 63,
        }
    }

    /// A packet as it is sent.
    fn packet(headers: &Headers, offset: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; headers.len() + payload.len()];
        let mut sum = Sum::default();
        sum.copy(payload, &mut bytes[headers.len()..]);
        headers.write(&mut bytes, offset, payload.len(), sum);
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 8 } else { 512 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_packet_reads_as_it_was_meant(
            v6: bool,
            with_lb: bool,
            addresses: [u8; 32],
            (source_port, to_port) in any::<(u16, u16)>(),
            label in 0u32..1 << 20,
            (dscp, entropy, data_id) in (0u8..64, any::<u16>(), any::<u16>()),
            (tick, event_number) in any::<(u64, u64)>(),
            (offset, length) in any::<(u32, u32)>(),
            payload in proptest::collection::vec(any::<u8>(), 0..3000),
        ) {
            let lb = with_lb.then(|| LbHeader::v2(entropy, tick));
            let event = EventHeader { lb, data_id, length, event_number };
            let ends = ends(v6, addresses, dscp);
            let headers = Headers::new(&ends, &Flow { source_port, label }, to_port, &event);
            let bytes = packet(&headers, offset, &payload);

            prop_assert_eq!(&bytes[..12], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
            let udp = walk(&bytes[..]).expect("UDP");
            prop_assert_eq!(udp.ip == IpVersion::V6, v6);
            prop_assert_eq!(udp.dst_port, to_port);
            let at = udp.payload_offset();
            prop_assert_eq!(udp.payload_len(bytes.len()), Some(bytes.len() - at));
            prop_assert_eq!(&bytes[udp.udp_offset..][..2], &source_port.to_be_bytes());
            let ip = &bytes[ETHERNET_LEN..udp.udp_offset];
            if v6 {
                let first = u32::from_be_bytes(*ip.first_chunk().expect("4"));
                prop_assert_eq!(first, 6 << 28 | u32::from(dscp) << 22 | label);
                prop_assert_eq!((ip[7], &ip[8..40]), (63, &addresses[..]));
            } else {
                prop_assert_eq!((ip[1], &ip[4..8], ip[8]), (dscp << 2, &[0, 0, 0x40, 0][..], 63));
                prop_assert_eq!(&ip[12..16], &addresses[..4]);
                prop_assert_eq!(&ip[16..20], &addresses[16..20]);
                // It passes if all of it sums up to "minus zero" (RFC 1071).
                prop_assert_eq!(sum(ip).complement(), 0);
            }
            let udp_payload = Pieces::from(&bytes[at..]);
            prop_assert!(checksum::passes(Checksum::Strict, &bytes[..at], &udp, &udp_payload));

            let framing = if with_lb { LbFraming::Keep } else { LbFraming::None };
            let read = xdpsar_wire::Headers::parse(&bytes[at..], framing).expect("EJFAT");
            prop_assert_eq!(read.lb.is_some(), with_lb);
            let re = read.re;
            prop_assert_eq!(
                (re.data_id(), re.offset(), re.length(), re.event_number()),
                (data_id, offset, length, event_number)
            );
            prop_assert_eq!(&bytes[at + read.len..], &payload[..]);
        }
    }

    #[test]
    fn no_checksum_says_that_there_is_none() {
        let ends = ends(false, [0; 32], 0);
        let event = EventHeader { lb: None, data_id: 0, length: 2, event_number: 0 };
        let headers = Headers::new(&ends, &Flow { source_port: 1, label: 0 }, 2, &event);
        let zeros = packet(&headers, 0, &[0, 0]);
        let at = ETHERNET_LEN + IPV4_LEN + 6;
        let checksum = [zeros[at], zeros[at + 1]];
        // With its own complement's complement in it, it sums up to all ones.
        let all_ones = packet(&headers, 0, &checksum);
        assert_eq!(all_ones[at..at + 2], [0xff, 0xff]);
    }
}
