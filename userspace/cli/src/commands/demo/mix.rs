//! The demo's events: which sizes, and in which order.

use xdpsar_wire::datagram::LB_RE_HEADER_LEN;

/// Bytes of IPv4 and UDP headers in an IP datagram.
const IP_UDP: u32 = 28;
/// The largest event of the mix.
pub(super) const LARGEST: usize = 10_000_000;

/// The size of each event, the same for both sides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mix {
    /// Event bytes in a full datagram.
    pub(super) fragment: usize,
}

impl Mix {
    pub(super) fn new(mtu: u32) -> Self {
        Self { fragment: (mtu - IP_UDP) as usize - LB_RE_HEADER_LEN }
    }

    /// The size of one event: empty, one byte, around one fragment, up to
    /// 100 kB mostly; every hundredth has 1 MB, every five-hundredth 10 MB.
    pub(super) fn size(self, event_number: u64) -> usize {
        let p = self.fragment;
        match event_number {
            n if n % 500 == 499 => LARGEST,
            n if n % 100 == 49 => 1_000_000,
            n => [0, 1, p - 1, p, p + 1, 2 * p, 100, 1000, 10_000, 100_000][(n % 10) as usize],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_holds_what_is_promised() {
        let mix = Mix::new(1500);
        assert_eq!(mix.fragment, 1500 - 64);
        let sizes: Vec<_> = (0..10_000).map(|n| mix.size(n)).collect();
        for size in [0, 1, 1435, 1436, 1437, 2872, 100_000, 1_000_000, 10_000_000] {
            assert!(sizes.contains(&size), "{size}");
        }
        let total: usize = sizes.iter().sum();
        assert!((300_000_000..1_000_000_000).contains(&total), "{total}");
    }
}
