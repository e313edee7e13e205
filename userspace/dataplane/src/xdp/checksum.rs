//! The UDP checksum (RFC 768, RFC 1071, RFC 8200 §8.1): verified over pieces,
//! and made while they are copied.

use xdpsar_wire::{
    Pieces,
    frame::{IpVersion, UDP_HEADER_LEN, UdpDatagram},
};

use crate::config::Checksum;

const IPPROTO_UDP: u8 = 17;

/// A one's-complement sum of 16-bit words, kept in the machine's byte order:
/// the sum of swapped words is the swapped sum (RFC 1071 §2 (B)).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    total: u64,
    /// An odd number of bytes so far: the next byte is the second of a word.
    odd: bool,
}

impl Sum {
    #[inline]
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.add_sum(sum_words(bytes), bytes.len());
    }

    /// Adds the bytes of `from` on their way to `to`, which is as long.
    #[inline]
    pub(crate) fn copy(&mut self, from: &[u8], to: &mut [u8]) {
        self.add_sum(copy_words(from, to), from.len());
    }

    #[inline]
    fn add_sum(&mut self, sum: u64, len: usize) {
        let sum = fold(sum);
        self.total += u64::from(if self.odd { sum.swap_bytes() } else { sum });
        self.odd ^= len % 2 == 1;
    }

    /// Both sums in one; `self` is of an even number of bytes.
    #[inline]
    #[must_use]
    pub(crate) fn plus(mut self, other: Self) -> Self {
        debug_assert!(!self.odd);
        self.total += other.total;
        self.odd = other.odd;
        self
    }

    #[inline]
    const fn folded(self) -> u16 {
        fold(self.total)
    }

    /// What stands in a header so that the sum with it passes, in the
    /// machine's byte order.
    #[inline]
    pub(crate) const fn complement(self) -> u16 {
        !self.folded()
    }
}

/// Sums 32-bit words in 64-bit lanes: no carry to look after (2³² words would
/// have to be added), and the compiler makes vectors of it.
#[inline]
fn sum_words(bytes: &[u8]) -> u64 {
    let mut lanes = [0u64; 16];
    let (blocks, rest) = bytes.as_chunks::<64>();
    for block in blocks {
        for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<4>().0) {
            *lane += u64::from(u32::from_ne_bytes(*word));
        }
    }
    let (words, last) = rest.as_chunks::<2>();
    let mut sum: u64 = lanes.iter().sum();
    for word in words {
        sum += u64::from(u16::from_ne_bytes(*word));
    }
    if let [byte] = last {
        sum += u64::from(u16::from_ne_bytes([*byte, 0]));
    }
    sum
}

/// [`sum_words`] of what is copied, in one pass over it.
#[inline]
fn copy_words(from: &[u8], to: &mut [u8]) -> u64 {
    let mut lanes = [0u64; 16];
    let (blocks, rest) = from.as_chunks::<64>();
    let (places, last) = to[..from.len()].as_chunks_mut::<64>();
    for (block, place) in blocks.iter().zip(places) {
        *place = *block;
        for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<4>().0) {
            *lane += u64::from(u32::from_ne_bytes(*word));
        }
    }
    last.copy_from_slice(rest);
    lanes.iter().sum::<u64>() + sum_words(rest)
}

#[inline]
const fn fold(mut sum: u64) -> u16 {
    sum = (sum & 0xffff_ffff) + (sum >> 32);
    sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// Whether the datagram's checksum passes. `head` is the frame's first piece,
/// which holds all headers up to UDP's; `payload` is the UDP payload.
#[inline]
pub(crate) fn passes(
    policy: Checksum,
    head: &[u8],
    udp: &UdpDatagram,
    payload: &Pieces<'_>,
) -> bool {
    if policy == Checksum::Off {
        return true;
    }
    let header = &head[udp.udp_offset..udp.udp_offset + UDP_HEADER_LEN];
    let stored = u16::from_ne_bytes([header[6], header[7]]);
    if stored == 0 {
        return policy == Checksum::Auto;
    }
    let mut sum = pseudo_header(head, udp);
    if policy == Checksum::Auto {
        // What `CHECKSUM_PARTIAL` leaves for the hardware to finish is the
        // folded pseudo-header sum, not complemented (`udp4_hwcsum`,
        // net/ipv4/udp.c); in one's complement, 0 is also 0xffff.
        let bare = sum.folded();
        if stored == bare || (stored == 0xffff && bare == 0) {
            return true;
        }
    }
    sum.add(header);
    for piece in payload.iter() {
        sum.add(piece);
    }
    sum.folded() == 0xffff
}

#[inline]
fn pseudo_header(head: &[u8], udp: &UdpDatagram) -> Sum {
    let addresses = match udp.ip {
        IpVersion::V4 => udp.ip_offset + 12..udp.ip_offset + 20,
        IpVersion::V6 => udp.ip_offset + 8..udp.ip_offset + 40,
    };
    let mut sum = Sum::default();
    sum.add(&head[addresses]);
    sum.add(&[0, IPPROTO_UDP]);
    sum.add(&udp.udp_len.to_be_bytes());
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 1071, word by word.
    fn naive(bytes: &[u8]) -> u16 {
        let mut sum: u32 = 0;
        for pair in bytes.chunks(2) {
            let word = u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
            sum += u32::from(word);
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    /// The two zeros of one's complement are one number.
    fn number(sum: u16) -> u16 {
        if sum == 0xffff { 0 } else { sum }
    }

    /// A datagram from `from` to `to`, as a frame, with this checksum field.
    fn frame(v6: bool, addresses: [u8; 32], payload: &[u8], stored: u16) -> (Vec<u8>, usize) {
        let udp_len = (UDP_HEADER_LEN + payload.len()) as u16;
        let mut frame = vec![0; 12];
        if v6 {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(udp_len.to_be_bytes());
            frame.extend([IPPROTO_UDP, 64]);
            frame.extend(addresses);
        } else {
            frame.extend([0x08, 0x00, 0x45, 0]);
            frame.extend((20 + udp_len).to_be_bytes());
            frame.extend([0, 0, 0, 0, 64, IPPROTO_UDP, 0, 0]);
            frame.extend(&addresses[..8]);
        }
        frame.extend([0x12, 0x34, 0x56, 0x78]);
        frame.extend(udp_len.to_be_bytes());
        frame.extend(stored.to_be_bytes());
        let head = frame.len();
        frame.extend(payload);
        (frame, head)
    }

    fn naive_udp(v6: bool, addresses: &[u8; 32], payload: &[u8]) -> (u16, u16) {
        let udp_len = (UDP_HEADER_LEN + payload.len()) as u16;
        let mut pseudo = if v6 { addresses.to_vec() } else { addresses[..8].to_vec() };
        pseudo.extend([0, IPPROTO_UDP]);
        pseudo.extend(udp_len.to_be_bytes());
        let bare = naive(&pseudo);
        pseudo.extend([0x12, 0x34, 0x56, 0x78]);
        pseudo.extend(udp_len.to_be_bytes());
        pseudo.extend([0, 0]);
        pseudo.extend(payload);
        let full = !naive(&pseudo);
        (bare, if full == 0 { 0xffff } else { full })
    }

    fn verdict(policy: Checksum, frame: &[u8], head: usize, cuts: &[usize]) -> bool {
        let udp = xdpsar_wire::frame::walk(frame).expect("UDP");
        let mut rest = Vec::new();
        let mut at = head;
        for cut in cuts {
            let next = (at + cut).min(frame.len());
            rest.push(&frame[at..next]);
            at = next;
        }
        rest.push(&frame[at..]);
        let payload = Pieces::chained(rest[0], &rest[1..]);
        passes(policy, &frame[..head], &udp, &payload)
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 8 } else { 512 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn the_sum_of_pieces_is_the_naive_sum(
            bytes in proptest::collection::vec(any::<u8>(), 0..700),
            cuts in proptest::collection::vec(0usize..300, 0..6),
        ) {
            let mut sum = Sum::default();
            let mut at = 0;
            for cut in cuts {
                let next = (at + cut).min(bytes.len());
                sum.add(&bytes[at..next]);
                at = next;
            }
            sum.add(&bytes[at..]);
            prop_assert_eq!(number(u16::from_be(sum.folded())), number(naive(&bytes)));
        }

        #[test]
        fn each_policy_accepts_what_it_says(
            v6: bool,
            addresses: [u8; 32],
            payload in proptest::collection::vec(any::<u8>(), 0..600),
            cuts in proptest::collection::vec(0usize..300, 0..4),
            wrong: u16,
        ) {
            let (bare, full) = naive_udp(v6, &addresses, &payload);
            let judge = |policy, stored| {
                let (frame, head) = frame(v6, addresses, &payload, stored);
                verdict(policy, &frame, head, &cuts)
            };
            for policy in [Checksum::Off, Checksum::Auto, Checksum::Strict] {
                prop_assert!(judge(policy, full));
                prop_assert_eq!(judge(policy, 0), policy != Checksum::Strict);
                prop_assert_eq!(judge(policy, wrong), policy == Checksum::Off
                    || (wrong == 0 && policy == Checksum::Auto)
                    || (wrong != 0 && number(wrong) == number(full))
                    || (policy == Checksum::Auto && number(wrong) == number(bare)));
            }
            prop_assert!(judge(Checksum::Auto, bare));
        }
    }

    #[test]
    fn the_largest_values_do_not_overflow() {
        let bytes = vec![0xff; 65_535];
        let mut sum = Sum::default();
        sum.add(&bytes);
        assert_eq!(number(u16::from_be(sum.folded())), number(naive(&bytes)));
        assert_eq!(fold(u64::MAX), 0xffff);
    }
}
