//! Frames of every shape that a host may meet on our ports, and near them.

use std::net::{Ipv4Addr, Ipv6Addr};

use xdpsar_wire::{LbHeader, LbVersion, ReHeader};
use zerocopy::IntoBytes as _;

/// Addresses and ports that `configs` calls ours.
pub(crate) const OUR_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
pub(crate) const OUR_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2);
pub(crate) const FOREIGN_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 2);
pub(crate) const FOREIGN_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 1, 2);
pub(crate) const BASE_PORT: u16 = 19_522;
pub(crate) const PORTS: u16 = 16;

const UDP: u8 = 17;

/// EtherTypes of the VLAN tags, outermost first.
pub(crate) const TAGS: [&[u16]; 6] =
    [&[], &[0x8100], &[0x9100], &[0x88a8, 0x8100], &[0x9100, 0x8100], &[0x88a8, 0x8100, 0x8100]];

/// The IP layer of a frame.
#[derive(Clone, Debug)]
pub(crate) enum Ip {
    /// IPv4 with so many bytes of options, and the flags and fragment offset
    /// field.
    V4 { options: usize, fragment: u16 },
    /// IPv6 with these extension headers: type and length in units of 8
    /// bytes beyond the first 8.
    V6(Vec<(u8, u8)>),
}

impl Ip {
    pub(crate) fn is_v6(&self) -> bool {
        matches!(self, Self::V6(_))
    }

    /// All the layers that the corpus has.
    pub(crate) fn all() -> Vec<Self> {
        const HOP: u8 = 0;
        const ROUTING: u8 = 43;
        const FRAGMENT: u8 = 44;
        const ESP: u8 = 50;
        const AUTHENTICATION: u8 = 51;
        const OPTIONS: u8 = 60;
        let v4 = |options, fragment| Self::V4 { options, fragment };
        let v6 = |extensions: &[(u8, u8)]| Self::V6(extensions.to_vec());
        vec![
            v4(0, 0),
            v4(0, 0x4000), // "don't fragment", which most senders set
            v4(0, 0x8000), // the reserved bit
            v4(4, 0),
            v4(40, 0),
            v4(0, 0x2000),  // first fragment
            v4(0, 185),     // last fragment
            v4(20, 0x2007), // one in the middle, with options
            v6(&[]),
            v6(&[(HOP, 0)]),
            v6(&[(ROUTING, 2)]),
            v6(&[(OPTIONS, 1)]),
            v6(&[(HOP, 0), (OPTIONS, 0), (ROUTING, 1)]),
            v6(&[(HOP, 0), (OPTIONS, 0), (ROUTING, 1), (OPTIONS, 0)]),
            v6(&[(HOP, 0), (OPTIONS, 0), (OPTIONS, 0), (ROUTING, 0), (OPTIONS, 0)]), // one too many
            v6(&[(OPTIONS, 100)]),
            v6(&[(FRAGMENT, 0)]),
            v6(&[(HOP, 0), (FRAGMENT, 0)]),
            v6(&[(ESP, 0)]),
            v6(&[(HOP, 1), (AUTHENTICATION, 1)]),
        ]
    }
}

/// What a frame is made of.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) tags: &'static [u16],
    pub(crate) ip: Ip,
    /// IP protocol number.
    pub(crate) protocol: u8,
    pub(crate) ours: bool,
    pub(crate) port: u16,
    /// The UDP payload.
    pub(crate) payload: Vec<u8>,
}

impl Recipe {
    /// Plain UDP over IP to our first port.
    pub(crate) fn new(tags: &'static [u16], ip: Ip, payload: Vec<u8>) -> Self {
        Self { tags, ip, protocol: UDP, ours: true, port: BASE_PORT, payload }
    }

    /// The frame on the wire; all lengths right, no checksums (steering looks
    /// at none).
    pub(crate) fn frame(&self) -> Vec<u8> {
        let mut frame = vec![0x02; 12];
        for tag in self.tags {
            frame.extend(tag.to_be_bytes());
            frame.extend([0x00, 0x64]); // VLAN 100
        }
        frame.extend(if self.ip.is_v6() { [0x86, 0xdd] } else { [0x08, 0x00] });
        let udp_len = (8 + self.payload.len()) as u16;
        match &self.ip {
            Ip::V4 { options, fragment } => {
                let header_len = 20 + options;
                frame.extend([0x40 | (header_len / 4) as u8, 0]);
                frame.extend((header_len as u16 + udp_len).to_be_bytes());
                frame.extend([0x12, 0x34]);
                frame.extend(fragment.to_be_bytes());
                frame.extend([64, self.protocol, 0, 0, 10, 77, 0, 1]);
                frame.extend(if self.ours { OUR_V4 } else { FOREIGN_V4 }.octets());
                frame.extend(std::iter::repeat_n(1, *options)); // "no operation"
            }
            Ip::V6(extensions) => {
                let extended: u16 =
                    extensions.iter().map(|(_, units)| (u16::from(*units) + 1) * 8).sum();
                let mut types = extensions.iter().map(|(kind, _)| *kind).chain([self.protocol]);
                let mut next = || types.next().unwrap_or(self.protocol);
                frame.extend([0x60, 0, 0, 0]);
                frame.extend((extended + udp_len).to_be_bytes());
                frame.extend([next(), 64]);
                frame.extend(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1).octets());
                frame.extend(if self.ours { OUR_V6 } else { FOREIGN_V6 }.octets());
                for (_, units) in extensions {
                    frame.extend([next(), *units]);
                    frame.extend(std::iter::repeat_n(0, (usize::from(*units) + 1) * 8 - 2));
                }
            }
        }
        frame.extend(40_000_u16.to_be_bytes());
        frame.extend(self.port.to_be_bytes());
        frame.extend(udp_len.to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(&self.payload);
        frame
    }
}

/// UDP payloads: sound ones of each framing, and one for each thing that can
/// be wrong with them.
pub(crate) fn payloads() -> Vec<Vec<u8>> {
    let re = ReHeader::new(7, 0, 64, 99);
    let event = [0xe7_u8; 64];
    let with = |lb: &[u8], re: &[u8]| [lb, re, &event].concat();
    let v2 = LbHeader::new(LbVersion::V2, 0xbeef, 12_345);
    let v3 = LbHeader::new(LbVersion::V3, 0x0105, 12_345);
    let (v2, v3, re) = (v2.as_bytes(), v3.as_bytes(), re.as_bytes());
    let changed = |bytes: &[u8], at: usize, to: u8| {
        let mut bytes = bytes.to_vec();
        bytes[at] = to;
        bytes
    };
    vec![
        with(v2, re),
        with(v3, re),
        with(&[], re),
        [v2, re].concat(), // an empty event
        re.to_vec(),
        // LB header: magic, version, next protocol.
        with(&changed(v2, 0, b'M'), re),
        with(&changed(v2, 1, b'C'), re),
        with(&changed(v2, 2, 1), re),
        with(&changed(v2, 2, 4), re),
        with(&changed(v3, 3, 0), re),
        // RE header: version, reserved bits.
        with(v2, &changed(re, 0, 0x20)),
        with(v2, &changed(re, 0, 0x11)),
        with(v3, &changed(re, 1, 0x01)),
        with(&[], &changed(re, 0, 0x00)),
        with(&[], &changed(re, 1, 0x80)),
        // Too short for what they begin.
        vec![],
        b"L".to_vec(),
        b"LB".to_vec(),
        v2.to_vec(),
        [v2, &re[..19]].concat(),
        re[..19].to_vec(),
        [v2, &re[..4]].concat(),
    ]
}

/// Frames that are nothing like ours.
pub(crate) fn foreign() -> Vec<Vec<u8>> {
    let with_type = |ethertype: u16, rest: &[u8]| {
        let mut frame = vec![0xff; 12];
        frame.extend(ethertype.to_be_bytes());
        frame.extend(rest);
        frame
    };
    let arp = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &[0x0a; 20]].concat();
    let payload = payloads().swap_remove(0);
    let mut frames = vec![
        with_type(0x0806, &arp),
        with_type(0x88cc, &[2; 46]),    // LLDP
        with_type(0x002e, &[0x42; 46]), // 802.3 with a length
        with_type(0x0800, &[]),
        with_type(0x86dd, &[]),
        with_type(0x8100, &[]),
        vec![0; 14],
        vec![0xff; 1514],
    ];
    // TCP, ICMP, ICMPv6, UDP-Lite, SCTP, tunnels.
    for protocol in [6, 1, 58, 136, 132, 4, 41, 47] {
        for ip in [Ip::V4 { options: 0, fragment: 0 }, Ip::V6(vec![])] {
            frames.push(Recipe { protocol, ..Recipe::new(&[], ip, payload.clone()) }.frame());
        }
    }
    frames
}

/// The same frame with lies in its length fields, and bytes behind its end
/// (as the padding of short frames).
pub(crate) fn lies(recipe: &Recipe) -> Vec<Vec<u8>> {
    let frame = recipe.frame();
    let ip = 14 + 4 * recipe.tags.len();
    let ip_len_at = if recipe.ip.is_v6() { ip + 4 } else { ip + 2 };
    let udp_len_at = frame.len() - recipe.payload.len() - 4;
    let mut lies = Vec::new();
    for at in [ip_len_at, udp_len_at] {
        let right = u16::from_be_bytes([frame[at], frame[at + 1]]);
        let near = [right - 1, right + 1, right - 8, right + 8, right - 20, right - 36, right - 64];
        for lie in near.into_iter().chain([0, 1, 7, 8, 9, 19, 20, 28, 0x7fff, 0x8000, 0xffff]) {
            let mut frame = frame.clone();
            frame[at..at + 2].copy_from_slice(&lie.to_be_bytes());
            lies.push(frame);
        }
    }
    // The IP version, and for IPv4 the header's length.
    for first in [0x00, 0x40, 0x44, 0x45, 0x46, 0x4f, 0x50, 0x60, 0x65, 0xf5] {
        let mut frame = frame.clone();
        frame[ip] = first;
        lies.push(frame);
    }
    for more in [1, 4, 18, 600] {
        lies.push([&frame[..], &vec![0; more]].concat());
    }
    lies
}
