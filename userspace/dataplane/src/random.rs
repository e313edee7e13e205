//! Random numbers for spreading load: source ports, entropy, tick jitter.
//! Fast, not secret.

use std::hash::{BuildHasher, RandomState};

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): one addition and three
/// mixing steps per number, full period 2⁶⁴.
#[derive(Clone, Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// A generator with this seed: the same seed, the same numbers.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator that the operating system seeds, through the keys that
    /// `std` draws for its hash maps.
    pub fn from_os() -> Self {
        Self(RandomState::new().hash_one(std::process::id()))
    }

    /// 64 random bits.
    #[inline]
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, or 0 where `bound` is 0. Uniform up to
    /// `bound` / 2⁶⁴.
    #[inline]
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.next_u64() as u128 * bound as u128) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_stays_below_and_reaches_both_ends() {
        let mut random = SplitMix64::new(1);
        let drawn: Vec<u64> = (0..1000).map(|_| random.below(5)).collect();
        assert!(drawn.iter().all(|n| *n < 5));
        assert!((0..5).all(|n| drawn.contains(&n)));
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn the_operating_system_seeds_differently_each_time() {
        assert_ne!(SplitMix64::from_os().next_u64(), SplitMix64::from_os().next_u64());
    }
}
