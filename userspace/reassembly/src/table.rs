//! From key to place: open addressing over one array.
//!
//! ```text
//! entry (8 bytes) = hash (32) | value + 1 (32)      0 = vacant
//!
//! index  =  place in line (3 bits) | line          hash  =  … line | place (3 bits)
//! memory:   line 0: index 0, n, 2n, … 7n    line 1: index 1, n + 1, …
//! ```
//!
//! Eight consecutive event numbers share a cache line: they tend to be in
//! progress together, and to be forgotten together. Probing goes from line to
//! line at the same place, so that they are not in each other's way.
//!
//! One table serves events in progress and finished keys, so that a fragment
//! is looked up once. It is sized for the most that both can hold, at a load
//! of one half at most: it never grows and never rehashes. Removal shifts back what was displaced;
//! there are no tombstones.

use crate::{pages::ZeroedWords, prefetch};

/// A key's hash. The lowest three bits tell eight consecutive event numbers of
/// a data id apart, the others are the same for all of them.
#[inline]
pub(crate) fn hash(event_number: u64, data_id: u16, seed: u64) -> u32 {
    // Multipliers of PCG and SplitMix64; any odd numbers of high entropy do.
    const A: u64 = 0x5851_f42d_4c95_7f2d;
    const B: u64 = 0xbf58_476d_1ce4_e5b9;
    let group = fold((event_number >> 3) ^ seed, A ^ u64::from(data_id).rotate_right(16));
    let mixed = fold(group ^ seed.rotate_left(32), B);
    // Not the number's own bits: many are multiples of eight.
    (mixed as u32) & !7 | (mixed as u32).wrapping_add(event_number as u32) & 7
}

/// Both halves of the product.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

/// What a value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Slot in the slab.
    InProgress(u32),
    /// Position in the ring of finished keys.
    Finished(u32),
}

/// The largest index that a [`Place`] may carry.
pub(crate) const MAX_INDEX: u32 = (1 << 31) - 2;
const FINISHED: u32 = 1 << 31;

impl Place {
    #[inline]
    fn pack(self) -> u32 {
        1 + match self {
            Self::InProgress(index) => index,
            Self::Finished(index) => index | FINISHED,
        }
    }

    #[inline]
    fn unpack(word: u32) -> Self {
        let value = word - 1;
        if value & FINISHED == 0 {
            Self::InProgress(value)
        } else {
            Self::Finished(value & !FINISHED)
        }
    }
}

#[derive(Debug)]
pub(crate) struct Table {
    entries: ZeroedWords,
    len: usize,
    /// log₂ of the number of lines.
    lines_shift: u32,
}

impl Table {
    /// For `most` entries.
    pub(crate) fn new(most: usize) -> Self {
        let slots = (most.max(8) * 2).next_power_of_two();
        Self { entries: ZeroedWords::new(slots), len: 0, lines_shift: slots.ilog2() - 3 }
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The index that `hash` leads to.
    #[inline]
    fn home(&self, hash: u32) -> usize {
        let (place, line) = (hash as usize & 7, hash as usize >> 3);
        place << self.lines_shift | line & ((1 << self.lines_shift) - 1)
    }

    /// Where the entry with this index is in memory.
    #[inline]
    fn cell(&self, index: usize) -> usize {
        let (place, line) = (index >> self.lines_shift, index & ((1 << self.lines_shift) - 1));
        line << 3 | place
    }

    #[inline]
    fn get(&self, index: usize) -> u64 {
        self.entries[self.cell(index)]
    }

    #[inline]
    fn set(&mut self, index: usize, entry: u64) {
        let cell = self.cell(index);
        self.entries[cell] = entry;
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.entries.len() - 1)
    }

    /// The place under `hash` that `is_it`.
    #[inline]
    pub(crate) fn find(&self, hash: u32, mut is_it: impl FnMut(Place) -> bool) -> Option<Place> {
        let mut at = self.home(hash);
        loop {
            let entry = self.get(at);
            if entry == 0 {
                return None;
            }
            if (entry >> 32) as u32 == hash {
                let place = Place::unpack(entry as u32);
                if is_it(place) {
                    return Some(place);
                }
            }
            at = self.after(at);
        }
    }

    /// Asks for the cache line that `hash` leads to.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u32) {
        prefetch::line(&raw const self.entries[self.cell(self.home(hash))]);
    }

    /// Adds an entry; the key must not be there yet.
    #[inline]
    pub(crate) fn insert(&mut self, hash: u32, place: Place) {
        debug_assert!(self.len < self.entries.len() / 2 + 1, "sized for less");
        let mut at = self.home(hash);
        while self.get(at) != 0 {
            at = self.after(at);
        }
        self.set(at, entry(hash, place));
        self.len += 1;
    }

    /// Where the entry is.
    #[inline]
    fn position(&self, hash: u32, place: Place) -> Option<usize> {
        let (wanted, mut at) = (entry(hash, place), self.home(hash));
        while self.get(at) != wanted {
            if self.get(at) == 0 {
                debug_assert!(false, "{place:?} is not in the table");
                return None;
            }
            at = self.after(at);
        }
        Some(at)
    }

    /// Lets the key that led to `old` lead to `new`.
    #[inline]
    pub(crate) fn replace(&mut self, hash: u32, old: Place, new: Place) {
        if let Some(at) = self.position(hash, old) {
            self.set(at, entry(hash, new));
        }
    }

    /// Removes the entry.
    #[inline]
    pub(crate) fn remove(&mut self, hash: u32, place: Place) {
        let Some(mut hole) = self.position(hash, place) else { return };
        self.len -= 1;
        let mask = self.entries.len() - 1;
        let mut at = hole;
        loop {
            at = self.after(at);
            let entry = self.get(at);
            if entry == 0 {
                break;
            }
            // An entry may move back to the hole unless its home lies behind
            // the hole.
            let home = self.home((entry >> 32) as u32);
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.set(hole, entry);
                hole = at;
            }
        }
        self.set(hole, 0);
    }
}

#[inline]
fn entry(hash: u32, place: Place) -> u64 {
    u64::from(hash) << 32 | u64::from(place.pack())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 3 } else { 256 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Few hashes, so that most entries are displaced, also around the end.
        #[test]
        fn agrees_with_a_map(ops in prop::collection::vec(
            (0u8..3, 0u32..16, 0u32..8),
            0..if cfg!(miri) { 40 } else { 300 },
        )) {
            let mut table = Table::new(8);
            let mut map: HashMap<u32, Place> = HashMap::new();
            for (op, hash, index) in ops {
                // Two lines of eight: around the end, and from place to place.
                let hash = hash % 5 + 12;
                let key = |place| matches!(place, Place::InProgress(n) | Place::Finished(n) if n == index);
                let found = table.find(hash, key);
                prop_assert_eq!(found, map.get(&(hash * 100 + index)).copied());
                match (op, found) {
                    (0, None) if map.len() < 8 => {
                        table.insert(hash, Place::InProgress(index));
                        map.insert(hash * 100 + index, Place::InProgress(index));
                    }
                    (1, Some(place)) => {
                        table.remove(hash, place);
                        map.remove(&(hash * 100 + index));
                    }
                    (2, Some(place)) => {
                        table.replace(hash, place, Place::Finished(index));
                        map.insert(hash * 100 + index, Place::Finished(index));
                    }
                    _ => {}
                }
                prop_assert_eq!(table.len(), map.len());
            }
        }
    }

    #[test]
    fn hash_spreads_event_numbers_and_data_ids() {
        for step in [1u64, 8, 256, 1000, 1 << 32] {
            let table_size = 1 << 12;
            let mut homes = vec![0u32; table_size];
            for n in 0..table_size as u64 / 2 {
                let hash = hash(n * step, (n % 3) as u16, 42);
                homes[hash as usize & (table_size - 1)] += 1;
            }
            // A mean of one half; a poor mix piles up dozens.
            let fullest = homes.iter().max();
            assert!(fullest.is_some_and(|n| *n <= 9), "step {step}: {fullest:?}");
        }
    }
}
