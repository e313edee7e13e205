//! The slots of events that had a fragment lately.
//!
//! A small table of guesses, in the cache whole: fragments come in runs, or in
//! turn for some thousand events. Whoever guesses looks at the slot's key,
//! so that a guess may be wrong, and nothing need be taken back.

/// Guesses; 4 bytes each.
pub(crate) const LEN: usize = 1 << 12;

#[derive(Debug)]
pub(crate) struct Recent {
    slots: Box<[u32; LEN]>,
}

impl Recent {
    pub(crate) fn new() -> Self {
        Self { slots: Box::new([0; LEN]) }
    }

    /// Where the event may be.
    #[inline]
    pub(crate) fn guess(&self, event_number: u64, data_id: u16) -> u32 {
        self.slots[index(event_number, data_id)]
    }

    /// It is in `slot`.
    #[inline]
    pub(crate) fn note(&mut self, event_number: u64, data_id: u16, slot: u32) {
        self.slots[index(event_number, data_id)] = slot;
    }
}

/// Event numbers count up, or in steps: neighbours must not meet, and neither
/// must the sources of one event.
#[inline]
fn index(event_number: u64, data_id: u16) -> usize {
    const { assert!(LEN.is_power_of_two()) };
    let folded = event_number ^ (event_number >> LEN.ilog2()) ^ (u64::from(data_id) << 7);
    folded as usize & (LEN - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_do_not_meet() {
        for step in [1, 3, 4, 1000, 1024] {
            let mut recent = Recent::new();
            let number = |nth: u32| u64::from(nth) * step;
            (1..=500).for_each(|nth| recent.note(number(nth), 7, nth));
            let right = (1..=500).filter(|nth| recent.guess(number(*nth), 7) == *nth).count();
            assert!(right >= 250, "{right} of 500 in steps of {step}");
        }
    }
}
