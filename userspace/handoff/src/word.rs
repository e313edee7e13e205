//! The two words that everything is decided on, and the arithmetic of
//! positions.
//!
//! ```text
//!  tail  63 ─────────────── 16 15 ──────────── 3   2      1 ─────────── 0
//!        next slot to fill     consumers asleep  watcher  receivers gone, senders gone
//!  head  next slot to empty    producers asleep           receivers gone
//!
//!  position = lap × 2^⌈log₂ capacity⌉ + index, index < capacity
//! ```
//!
//! Positions stay in the upper 48 bits, so that they wrap with the integer.

/// One position further, index permitting.
const ONE: u64 = 1 << 16;
/// All senders have been dropped (in `tail`).
pub(crate) const SENDERS_GONE: u64 = 1;
/// All receivers have been dropped (in both words).
pub(crate) const RECEIVERS_GONE: u64 = 2;
/// Somebody waits for a descriptor to become readable (in `tail`).
pub(crate) const WATCHER: u64 = 4;
/// One thread asleep.
pub(crate) const SLEEPER: u64 = 8;
/// All threads asleep.
const SLEEPERS: u64 = ONE - SLEEPER;
/// In a slot's stamp: the slot holds the item of this position.
pub(crate) const FULL: u64 = 1;

/// Most items a ring can hold.
pub(crate) const MAX_CAPACITY: usize = 1 << 31;

/// The position in a word.
pub(crate) const fn position(word: u64) -> u64 {
    word & !(ONE - 1)
}

/// All of a word but its position.
pub(crate) const fn rest(word: u64) -> u64 {
    word & (ONE - 1)
}

/// How many threads sleep on what this word shows.
pub(crate) const fn sleepers(word: u64) -> u32 {
    ((word & SLEEPERS) / SLEEPER) as u32
}

/// Whether another thread may be counted as asleep. 8191 are; the next one
/// naps instead.
pub(crate) const fn takes_a_sleeper(word: u64) -> bool {
    word & SLEEPERS != SLEEPERS
}

/// The word without its sleepers.
pub(crate) const fn without_sleepers(word: u64) -> u64 {
    word & !SLEEPERS
}

/// Whether anybody is to be woken by what changes the word.
pub(crate) const fn rouses(word: u64) -> bool {
    word & (SLEEPERS | WATCHER) != 0
}

/// Whether a watcher is among them.
pub(crate) const fn is_watched(word: u64) -> bool {
    word & WATCHER != 0
}

/// The word without its watcher.
pub(crate) const fn without_watcher(word: u64) -> u64 {
    word & !WATCHER
}

/// What positions mean in a ring of a certain capacity. A lap is a power of
/// two, so that an index needs no division; of its indices the first
/// `capacity` exist.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    capacity: u64,
    lap: u64,
}

impl Geometry {
    pub(crate) const fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a ring holds at least one item");
        assert!(capacity <= MAX_CAPACITY, "a ring holds at most 2^31 items");
        Self { capacity: capacity as u64, lap: (capacity as u64).next_power_of_two() }
    }

    pub(crate) const fn capacity(self) -> usize {
        self.capacity as usize
    }

    /// The first position of a lap; laps wrap.
    pub(crate) const fn lap_start(self, lap: u64) -> u64 {
        lap.wrapping_mul(self.lap).wrapping_mul(ONE)
    }

    /// The slot of a position.
    pub(crate) const fn index(self, position: u64) -> usize {
        ((position / ONE) & (self.lap - 1)) as usize
    }

    /// The position after this one.
    pub(crate) const fn next(self, position: u64) -> u64 {
        self.advance(position, 1)
    }

    /// The position `count` items on; `count` is at most the capacity.
    pub(crate) const fn advance(self, position: u64, count: usize) -> u64 {
        let count = count as u64;
        let unused = if self.index(position) as u64 + count < self.capacity {
            0
        } else {
            self.lap - self.capacity
        };
        position.wrapping_add((count + unused) * ONE)
    }

    /// The same slot one lap later.
    pub(crate) const fn one_lap_on(self, position: u64) -> u64 {
        position.wrapping_add(self.lap * ONE)
    }

    /// Items from one position to a later one. Positions that were not true
    /// at the same time give any number.
    pub(crate) const fn distance(self, from: u64, to: u64) -> usize {
        let in_lap = self.lap * ONE - 1;
        let laps = (to & !in_lap).wrapping_sub(from & !in_lap) / ONE / self.lap;
        laps.wrapping_mul(self.capacity)
            .wrapping_add(self.index(to) as u64)
            .wrapping_sub(self.index(from) as u64) as usize
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn positions_pass_through_every_slot_in_turn_and_wrap_with_the_integer() {
        for capacity in 1..=9 {
            let geometry = Geometry::new(capacity);
            let from = geometry.lap_start(0_u64.wrapping_sub(2));
            let mut position = from;
            for step in 0..4 * capacity {
                assert_eq!(geometry.index(position), step % capacity);
                assert_eq!(geometry.distance(from, position), step);
                for count in 0..=capacity {
                    let on = geometry.advance(position, count);
                    assert_eq!(geometry.distance(position, on), count);
                    assert_eq!(geometry.index(on), (step + count) % capacity);
                }
                assert_eq!(geometry.one_lap_on(position), geometry.advance(position, capacity));
                position = geometry.next(position);
            }
            assert!(position < from, "it has wrapped");
        }
    }

    #[test]
    fn sleepers_are_counted_beside_position_and_flags() {
        let word = geometry_word();
        assert_eq!(sleepers(word), 0);
        let two = word + 2 * SLEEPER;
        assert_eq!(
            (sleepers(two), position(two), without_sleepers(two)),
            (2, position(word), word)
        );
        assert!(takes_a_sleeper(two) && !takes_a_sleeper(word + 8191 * SLEEPER));
        assert_eq!(position(word) | rest(word), word);
        assert!(rouses(two) && !rouses(word) && rouses(word | WATCHER));
        let watched = two | WATCHER;
        assert!(is_watched(watched) && !is_watched(two));
        assert_eq!((sleepers(watched), without_watcher(watched)), (2, two));
    }

    fn geometry_word() -> u64 {
        Geometry::new(5).lap_start(77) | SENDERS_GONE | RECEIVERS_GONE
    }
}
