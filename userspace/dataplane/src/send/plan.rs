//! How an event is cut (`data-plane.md` §3.7).

use std::net::IpAddr;

use xdpsar_wire::{lb::LB_HEADER_LEN, re::RE_HEADER_LEN};

const IPV4_HEADER_LEN: usize = 20;
const IPV6_HEADER_LEN: usize = 40;
const UDP_HEADER_LEN: usize = 8;

/// Bytes of an IP datagram that are not the event's: IP (without options),
/// UDP, LB where it is sent, and RE header.
pub fn overhead(to: IpAddr, with_lb: bool) -> usize {
    ip_and_udp(to) + if with_lb { LB_HEADER_LEN } else { 0 } + RE_HEADER_LEN
}

/// Bytes of the IP (without options) and UDP header.
pub(crate) const fn ip_and_udp(to: IpAddr) -> usize {
    let ip = if to.is_ipv4() { IPV4_HEADER_LEN } else { IPV6_HEADER_LEN };
    ip + UDP_HEADER_LEN
}

/// Event bytes that one datagram carries at this MTU; `None` where not even
/// one fits.
pub fn max_payload(mtu: u32, to: IpAddr, with_lb: bool) -> Option<usize> {
    (mtu as usize).checked_sub(overhead(to, with_lb)).filter(|payload| *payload > 0)
}

/// The cuts through one event: consecutive fragments of equal length, but for
/// the last, which is what is left. An empty event is one fragment of 0 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    length: u32,
    each: usize,
    next: usize,
    fragments: usize,
}

impl Plan {
    /// Cuts an event of `length` bytes into fragments of at most `each`,
    /// which is not 0.
    pub fn new(length: u32, each: usize) -> Self {
        let fragments = (length as usize).div_ceil(each).max(1);
        Self { length, each, next: 0, fragments }
    }

    /// Fragments in all.
    pub fn fragments(&self) -> usize {
        self.fragments
    }

    /// Length of every fragment but the last.
    pub const fn each(&self) -> usize {
        self.each
    }

    /// Goes on with fragment `index`, and returns its offset in the event.
    pub fn go_to(&mut self, index: usize) -> usize {
        self.next = index.min(self.fragments);
        self.next * self.each
    }

    /// Length of fragment `index`.
    pub fn len(&self, index: usize) -> usize {
        (self.length as usize).saturating_sub(index * self.each).min(self.each)
    }
}

impl Iterator for Plan {
    /// Offset in the event, and length.
    type Item = (u32, usize);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.fragments {
            return None;
        }
        let index = self.next;
        self.next += 1;
        // No cut lies past `length`, which has 32 bits.
        Some(((index * self.each) as u32, self.len(index)))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    fn cuts(length: u32, mtu: u32, to: IpAddr) -> Vec<(u32, usize)> {
        Plan::new(length, max_payload(mtu, to, true).unwrap()).collect()
    }

    #[test]
    fn payload_by_mtu_is_the_specifications() {
        let table = [(9000, 8936, 8916), (1500, 1436, 1416), (104, 40, 20)];
        for (mtu, v4, v6) in table {
            assert_eq!(max_payload(mtu, V4, true), Some(v4));
            assert_eq!(max_payload(mtu, V6, true), Some(v6));
            assert_eq!(max_payload(mtu, V4, false), Some(v4 + 16));
            assert_eq!(max_payload(mtu, V6, false), Some(v6 + 16));
        }
        assert_eq!(max_payload(80, V4, true), Some(16));
        assert_eq!(max_payload(80, V6, true), None);
        assert_eq!((max_payload(65, V4, true), max_payload(85, V6, true)), (Some(1), Some(1)));
        assert_eq!((max_payload(64, V4, true), max_payload(84, V6, true)), (None, None));
        assert_eq!(max_payload(0, V4, false), None);
    }

    #[test]
    fn cuts_are_the_specifications() {
        assert_eq!(cuts(3000, 1500, V4), [(0, 1436), (1436, 1436), (2872, 128)]);
        assert_eq!(cuts(3000, 1500, V6), [(0, 1416), (1416, 1416), (2832, 168)]);
        assert_eq!(cuts(66, 104, V4), [(0, 40), (40, 26)]);
        assert_eq!(cuts(66, 80, V4), [(0, 16), (16, 16), (32, 16), (48, 16), (64, 2)]);
        let mebibyte = cuts(1 << 20, 1500, V4);
        assert_eq!((mebibyte.len(), mebibyte.last()), (731, Some(&(1_048_280, 296))));
        let jumbo = cuts(1 << 20, 9000, V4);
        assert_eq!((jumbo.len(), jumbo.last()), (118, Some(&(1_045_512, 3064))));
        assert_eq!(cuts(0, 1500, V4), [(0, 0)]);
        assert_eq!(cuts(1436, 1500, V4), [(0, 1436)]);
    }

    #[test]
    fn the_longest_event_does_not_overflow() {
        let plan = Plan::new(u32::MAX, 65_000);
        let last = plan.fragments() - 1;
        assert_eq!(last * 65_000 + plan.len(last), u32::MAX as usize);
    }

    proptest::proptest! {
        #[test]
        fn cuts_cover_the_event_without_gap_or_overlap(length in 0u32..200_000, each in 1usize..70_000) {
            let plan = Plan::new(length, each);
            let mut at = 0;
            for (offset, len) in plan {
                proptest::prop_assert_eq!(offset as usize, at);
                proptest::prop_assert!(len <= each && (len > 0 || length == 0));
                at += len;
            }
            proptest::prop_assert_eq!(at, length as usize);
            proptest::prop_assert_eq!(plan.count(), plan.fragments());
        }
    }
}
