//! What can happen to an event, and what must become of it: scripts, each
//! with the exact totals that it adds to an assembler's counters.

use xdpsar_reassembly::Counters;
use xdpsar_wire::{lb::LB_HEADER_LEN, re::RE_HEADER_LEN};

/// Scripts there are; events take them in turn. A power of two, so that the
/// turns go on past the event number 2⁶⁴.
pub(crate) const SCRIPTS: usize = 256;
/// Longest event of any script, in bytes.
pub(crate) const MAX_EVENT: u32 = 65_536;

/// Payload bytes of most fragments.
const SIZES: [u32; 6] = [16, 32, 64, 100, 333, 1000];
/// Fragments of an event.
const FRAGMENTS: [u32; 10] = [1, 1, 2, 3, 5, 8, 20, 63, 64, 65];

/// How a datagram is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As it should be.
    Sound,
    /// Ends inside its RE header.
    Short,
    /// Of another RE version.
    BadHeader,
    /// Claims a length that it reaches beyond.
    OutOfRange,
    /// Claims another length than the fragments before it.
    Mismatch,
}

/// One datagram of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) kind: Kind,
    pub(crate) offset: u32,
    /// Payload bytes.
    pub(crate) size: u32,
    /// What it claims to be the event's length.
    pub(crate) length: u32,
}

/// The life of an event.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) steps: Vec<Step>,
    /// Whether datagrams carry the LB header.
    pub(crate) lb: bool,
    /// What all of it adds to the counters, once it has expired should it be
    /// torn.
    pub(crate) expected: Counters,
}

impl Script {
    /// Bytes before the payload.
    pub(crate) const fn header_len(&self) -> usize {
        if self.lb { LB_HEADER_LEN + RE_HEADER_LEN } else { RE_HEADER_LEN }
    }

    /// All scripts.
    pub(crate) fn all() -> Vec<Self> {
        let mut random = Random(1);
        (0..SCRIPTS as u32).map(|nth| Self::new(nth, &mut random)).collect()
    }

    fn new(nth: u32, random: &mut Random) -> Self {
        let lb = random.below(2) == 1;
        if nth == 0 {
            return Self::judged(lb, vec![sound(0, 0, 0), sound(0, 0, 0)]);
        }
        let mut pieces = cut(nth, random);
        let length: u32 = pieces.iter().map(|(_, size)| size).sum();
        match random.below(4) {
            0 => pieces.reverse(),
            1 => shuffle(&mut pieces, random),
            _ => {}
        }
        if nth % 16 == 5 {
            // Reaches back over bytes that others bring.
            for (offset, size) in &mut pieces {
                let back = random.below(20).min(*offset);
                (*offset, *size) = (*offset - back, *size + back);
            }
        }
        if nth % 32 == 7 && pieces.len() > 1 {
            pieces.remove(random.below(pieces.len() as u32) as usize);
        }
        let mut steps: Vec<_> =
            pieces.iter().map(|(offset, size)| sound(*offset, *size, length)).collect();
        if nth % 8 == 3 {
            // Once more, in its time or after the event's end.
            for _ in 0..=steps.len() / 8 {
                let from = random.below(steps.len() as u32) as usize;
                let to = from + 1 + random.below((steps.len() - from) as u32) as usize;
                steps.insert(to, steps[from]);
            }
        }
        if nth % 16 == 9 {
            let at = random.below(steps.len() as u32) as usize;
            let (offset, size) = (steps[at].offset, steps[at].size);
            for (kind, length) in [
                (Kind::Short, length),
                (Kind::BadHeader, length),
                (Kind::OutOfRange, offset + size - 1),
                (Kind::Mismatch, length + 1),
            ] {
                steps.insert(at + 1, Step { kind, offset, size, length });
            }
            steps.insert(at + 1, sound(offset, 0, length));
        }
        Self::judged(lb, steps)
    }

    /// Works out byte by byte what must come of the steps.
    fn judged(lb: bool, steps: Vec<Step>) -> Self {
        let mut script = Self { steps, lb, expected: Counters::default() };
        let header = script.header_len() as u64;
        let length = script.steps.first().map_or(0, |first| first.length);
        let (mut covered, mut opened, mut over) = (vec![false; length as usize], false, false);
        let totals = &mut script.expected;
        for step in &script.steps {
            let size = u64::from(step.size);
            totals.datagrams += 1;
            totals.datagram_bytes +=
                if step.kind == Kind::Short { header - 1 } else { header + size };
            match step.kind {
                Kind::Short => totals.short += 1,
                Kind::BadHeader => totals.bad_re_header += 1,
                Kind::OutOfRange => {
                    totals.out_of_range += 1;
                    totals.rejected_bytes += size;
                }
                Kind::Sound | Kind::Mismatch if over => {
                    totals.late += 1;
                    totals.late_bytes += size;
                }
                Kind::Mismatch => {
                    assert!(opened, "nothing to be at odds with");
                    totals.length_mismatch += 1;
                    totals.rejected_bytes += size;
                }
                Kind::Sound if length == 0 => {
                    (opened, over) = (true, true);
                    totals.events += 1;
                    totals.empty_events += 1;
                }
                Kind::Sound if size == 0 => totals.header_only += 1,
                Kind::Sound => {
                    opened = true;
                    let part = &mut covered[step.offset as usize..][..step.size as usize];
                    let new = part.iter().filter(|covered| !**covered).count() as u64;
                    part.fill(true);
                    totals.duplicate_bytes += size - new;
                    totals.bytes += new;
                    *(if new > 0 { &mut totals.fragments } else { &mut totals.duplicates }) += 1;
                    over = covered.iter().all(|covered| *covered);
                    if over {
                        totals.events += 1;
                        totals.event_bytes += u64::from(length);
                    }
                }
            }
        }
        if opened && !over {
            totals.lost_timeout += 1;
            totals.lost_bytes += totals.bytes;
        }
        script
    }
}

fn sound(offset: u32, size: u32, length: u32) -> Step {
    Step { kind: Kind::Sound, offset, size, length }
}

/// Offsets and sizes of an event's fragments: all of a size but for the last,
/// or of odd sizes.
fn cut(nth: u32, random: &mut Random) -> Vec<(u32, u32)> {
    let size = SIZES[random.below(SIZES.len() as u32) as usize];
    let fragments = FRAGMENTS[random.below(FRAGMENTS.len() as u32) as usize];
    let odd = nth % 8 == 6;
    let mut offset = 0;
    let pieces = (0..fragments).map(|fragment| {
        let last = fragment + 1 == fragments;
        let size = if odd || last { 1 + random.below(size) } else { size };
        offset += size;
        (offset - size, size)
    });
    pieces.collect()
}

fn shuffle(pieces: &mut [(u32, u32)], random: &mut Random) {
    for i in (1..pieces.len()).rev() {
        pieces.swap(i, random.below(i as u32 + 1) as usize);
    }
}

/// Numbers of chance, the same in every run (Knuth's MMIX constants).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 33) % u64::from(bound)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn together_the_scripts_show_everything_that_they_are_for() {
        let scripts = Script::all();
        let mut totals = Counters::default();
        scripts.iter().for_each(|script| totals.add(&script.expected));
        assert_eq!(totals.accounted(), totals.datagrams);
        assert_eq!(totals.bytes, totals.event_bytes + totals.lost_bytes);
        let never = [
            "bad_lb_header",
            "over_budget",
            "too_scattered",
            "lost_lifetime",
            "lost_budget",
            "lost_evicted",
            "lost_stopped",
        ];
        for (name, total) in Counters::NAMES.iter().zip(totals.values()) {
            assert_eq!(total == 0, never.contains(name), "{name} is {total}");
        }
        let steps: usize = scripts.iter().map(|script| script.steps.len()).sum();
        assert_eq!(steps as u64, totals.datagrams);
    }

    #[test]
    fn no_script_stands_still_for_ten_turns() {
        for script in Script::all() {
            let mut standing = 0;
            let mut steps = script.steps.clone();
            while let Some(last) = steps.pop() {
                let all = Script::judged(script.lb, [steps.clone(), vec![last]].concat());
                let before = Script::judged(script.lb, steps.clone());
                standing =
                    if all.expected.bytes > before.expected.bytes { 0 } else { standing + 1 };
                assert!(standing < 10 || before.expected.events > 0, "{script:?}");
            }
        }
    }

    #[test]
    fn a_torn_event_is_lost_with_what_it_had() {
        let script =
            Script::judged(false, vec![sound(0, 10, 30), sound(0, 10, 30), sound(15, 15, 30)]);
        let expected = script.expected;
        assert_eq!((expected.fragments, expected.duplicates, expected.lost_bytes), (2, 1, 25));
        assert_eq!((expected.events, expected.lost_timeout), (0, 1));
    }
}
