//! Which bytes of an event have been placed.
//!
//! ```text
//!   Run ──a gap, fragments of equal size──▶ Bits ──more than 64──▶ (Paged from the start)
//!    │  ▲                                    │
//!    │  └───────────── one run left ───────┐ │ a fragment that does not fit the grid
//!    └──a gap, anything else──▶ Scattered ◀──┘
//! ```
//!
//! * `Run`: one run of bytes, grown at either end. In order, or in reverse,
//!   nothing else is ever needed.
//! * `Bits`, `Paged`: a bit per fragment of a known size. The size is that of
//!   the first fragment that is not the event's last.
//! * `Scattered`: a sorted list of disjoint runs, at most [`MAX_RUNS`].
//!
//! Bitmaps and lists are pool memory, and count in its budget.

use std::ops::Range;

use crate::{block::Words, heap::Heap};

/// Separate runs of bytes that an odd layout may have at a time.
pub(crate) const MAX_RUNS: usize = 256;
/// The largest piece of pool memory that coverage needs for an event that is
/// shorter than it: the list of runs.
pub(crate) const SCRATCH_BYTES: u64 = (MAX_RUNS * size_of::<u64>()) as u64;

/// A bitmap has at most this many bits …
const MAX_BITS: u32 = 1 << 16;
/// … unless a bit stands for at least this many bytes: one datagram must not
/// make us clear memory in proportion to a length that it merely claims.
const MIN_BYTES_PER_BIT: u32 = 512;

/// Why a fragment could not be recorded. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The pool's budget is exhausted.
    NoMemory,
    /// An odd layout with more than [`MAX_RUNS`] runs.
    TooScattered,
}

/// The bytes placed of an event whose length is not 0.
#[derive(Debug)]
pub(crate) struct Coverage {
    length: u32,
    /// Bytes per fragment; 0 until a fragment that is not the last has come.
    stride: u32,
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    /// Never empty.
    Run(Range<u32>),
    Bits {
        missing: u32,
        bits: u64,
    },
    Paged {
        missing: u32,
        words: Words,
    },
    /// `runs` words of `start << 32 | end`, ascending, never touching.
    Scattered {
        runs: u32,
        words: Words,
    },
}

impl Coverage {
    /// `range` (not empty, within the length) is covered.
    #[inline]
    pub(crate) fn new(length: u32, range: Range<u32>) -> Self {
        debug_assert!(range.start < range.end && range.end <= length);
        let stride = if range.end < length { range.end - range.start } else { 0 };
        Self { length, stride, shape: Shape::Run(range) }
    }

    /// The event's length in bytes.
    #[inline]
    pub(crate) fn length(&self) -> u32 {
        self.length
    }

    /// Whether every byte is covered.
    #[inline]
    pub(crate) fn is_complete(&self) -> bool {
        match &self.shape {
            Shape::Run(run) => run.start == 0 && run.end == self.length,
            Shape::Bits { missing, .. } | Shape::Paged { missing, .. } => *missing == 0,
            // A single run is turned back into `Run`.
            Shape::Scattered { .. } => false,
        }
    }

    /// Covers `start..end` if that takes few instructions and none of it is
    /// covered: the run of bytes so far goes on, or a bit is still missing.
    /// Whether every byte is covered now; `None`, and nothing has changed,
    /// when it takes more, or it is empty or not within the length.
    #[inline(always)]
    pub(crate) fn append(&mut self, start: u32, end: u32) -> Option<bool> {
        if end <= start || end > self.length {
            return None;
        }
        match &mut self.shape {
            // The run does not end with the event's last fragment, so the
            // stride is known.
            Shape::Run(run) if run.end == start => {
                run.end = end;
                Some(end == self.length && run.start == 0)
            }
            Shape::Bits { missing, bits } => {
                let index = grid_index(&(start..end), self.stride, self.length)?;
                set_missing_bit(std::slice::from_mut(bits), index, missing)
            }
            Shape::Paged { missing, words } => {
                let index = grid_index(&(start..end), self.stride, self.length)?;
                set_missing_bit(words, index, missing)
            }
            Shape::Run(_) | Shape::Scattered { .. } => None,
        }
    }

    /// Covers `range` (not empty, within the length). Each part of it that
    /// was not covered is reported to `gap` exactly once, in ascending order;
    /// the sum of their lengths is returned, 0 for a duplicate.
    #[inline]
    pub(crate) fn insert(
        &mut self,
        range: Range<u32>,
        heap: &mut Heap,
        mut gap: impl FnMut(Range<u32>),
    ) -> Result<u32, Refusal> {
        debug_assert!(range.start < range.end && range.end <= self.length);
        if self.stride == 0 && range.end < self.length {
            self.stride = range.end - range.start;
        }
        if let Shape::Run(run) = &mut self.shape {
            if let Some(new) = extend(run, &range, &mut gap) {
                return Ok(new);
            }
            self.leave_run(&range, heap)?;
        }
        match &mut self.shape {
            Shape::Run(_) => unreachable!("left above"),
            Shape::Bits { missing, bits } => {
                if let Some(index) = grid_index(&range, self.stride, self.length) {
                    let words = std::slice::from_mut(bits);
                    return Ok(set_bit(words, index, missing, range, &mut gap));
                }
            }
            Shape::Paged { missing, words } => {
                if let Some(index) = grid_index(&range, self.stride, self.length) {
                    return Ok(set_bit(words, index, missing, range, &mut gap));
                }
            }
            Shape::Scattered { .. } => return self.insert_scattered(range, &mut gap),
        }
        if self.covers_on_grid(&range) {
            return Ok(0);
        }
        self.scatter(heap)?;
        self.insert_scattered(range, &mut gap)
    }

    /// From one run to a bitmap if `next` and the run lie on a grid, to a
    /// list of runs otherwise.
    #[cold]
    fn leave_run(&mut self, next: &Range<u32>, heap: &mut Heap) -> Result<(), Refusal> {
        let Shape::Run(run) = &self.shape else { return Ok(()) };
        let (run, stride, length) = (run.clone(), self.stride, self.length);
        // A gap lies between the run and `next`, so one of them is not the
        // event's last fragment, and the stride is known.
        let on_grid = grid_index(next, stride, length).is_some()
            && run.start.is_multiple_of(stride)
            && (run.end.is_multiple_of(stride) || run.end == length);
        let fragments = length.div_ceil(stride);
        if on_grid && (fragments <= MAX_BITS || stride >= MIN_BYTES_PER_BIT) {
            let covered = run.start / stride..run.end.div_ceil(stride);
            let missing = fragments - (covered.end - covered.start);
            self.shape = if fragments <= u64::BITS {
                let mut bits = 0;
                set_bits(std::slice::from_mut(&mut bits), covered);
                Shape::Bits { missing, bits }
            } else {
                let len = fragments.div_ceil(u64::BITS) as usize;
                let mut words = Words::zeroed(heap, len).ok_or(Refusal::NoMemory)?;
                set_bits(&mut words, covered);
                Shape::Paged { missing, words }
            };
        } else {
            let mut words = Words::zeroed(heap, MAX_RUNS).ok_or(Refusal::NoMemory)?;
            words[0] = pack(&run);
            self.shape = Shape::Scattered { runs: 1, words };
        }
        Ok(())
    }

    /// From a bitmap to a list of runs with room for one more.
    #[cold]
    fn scatter(&mut self, heap: &mut Heap) -> Result<(), Refusal> {
        if self.runs().nth(MAX_RUNS - 1).is_some() {
            return Err(Refusal::TooScattered);
        }
        let mut words = Words::zeroed(heap, MAX_RUNS).ok_or(Refusal::NoMemory)?;
        let mut runs = 0;
        for (word, run) in words.iter_mut().zip(self.runs()) {
            *word = pack(&run);
            runs += 1;
        }
        self.shape = Shape::Scattered { runs, words };
        Ok(())
    }

    fn insert_scattered(
        &mut self,
        range: Range<u32>,
        gap: &mut impl FnMut(Range<u32>),
    ) -> Result<u32, Refusal> {
        let Shape::Scattered { runs, words } = &mut self.shape else { return Ok(0) };
        let list = &words[..*runs as usize];
        // The runs that `range` overlaps or touches.
        let first = list.partition_point(|run| unpack(*run).end < range.start);
        let touched = list[first..].partition_point(|run| unpack(*run).start <= range.end);
        if touched == 0 {
            if *runs == MAX_RUNS as u32 {
                return Err(Refusal::TooScattered);
            }
            gap(range.clone());
            words.copy_within(first..*runs as usize, first + 1);
            words[first] = pack(&range);
            *runs += 1;
            return Ok(range.end - range.start);
        }
        let (mut at, mut new) = (range.start, 0);
        for run in list[first..first + touched].iter().map(|run| unpack(*run)) {
            if at < run.start {
                gap(at..run.start);
                new += run.start - at;
            }
            at = run.end;
        }
        if at < range.end {
            gap(at..range.end);
            new += range.end - at;
        }
        let merged = unpack(list[first]).start.min(range.start)..at.max(range.end);
        words[first] = pack(&merged);
        words.copy_within(first + touched..*runs as usize, first + 1);
        *runs -= touched as u32 - 1;
        if *runs == 1 {
            self.shape = Shape::Run(merged);
        }
        Ok(new)
    }

    /// Whether all of `range`, which is not on the grid, is covered by whole
    /// fragments.
    fn covers_on_grid(&self, range: &Range<u32>) -> bool {
        let words = match &self.shape {
            Shape::Bits { bits, .. } => std::slice::from_ref(bits),
            Shape::Paged { words, .. } => words,
            Shape::Run(_) | Shape::Scattered { .. } => return false,
        };
        (range.start / self.stride..=(range.end - 1) / self.stride)
            .all(|index| words[(index / 64) as usize] >> (index % 64) & 1 == 1)
    }

    /// The covered runs, ascending. Costs a look at the whole bitmap.
    fn runs(&self) -> Runs<'_> {
        let (words, fragments) = match &self.shape {
            Shape::Bits { bits, .. } => {
                (std::slice::from_ref(bits), self.length.div_ceil(self.stride))
            }
            Shape::Paged { words, .. } => (&words[..], self.length.div_ceil(self.stride)),
            Shape::Run(_) | Shape::Scattered { .. } => (&[][..], 0),
        };
        Runs { words, fragments, next: 0, stride: self.stride, length: self.length }
    }

    /// Bytes covered, counted anew; checks the shape on the way.
    pub(crate) fn recount(&self) -> u64 {
        let len = |run: Range<u32>| u64::from(run.end - run.start);
        match &self.shape {
            Shape::Run(run) => len(run.clone()),
            Shape::Bits { missing, .. } | Shape::Paged { missing, .. } => {
                let covered: u64 = self.runs().map(len).sum();
                assert_eq!(*missing == 0, covered == u64::from(self.length));
                covered
            }
            Shape::Scattered { runs, words } => {
                let runs = *runs as usize;
                assert!(runs > 1 && words[runs - 1] as u32 <= self.length);
                for pair in words[..runs].windows(2) {
                    assert!(unpack(pair[0]).end < unpack(pair[1]).start, "runs touch");
                }
                words[..runs].iter().map(|run| len(unpack(*run))).sum()
            }
        }
    }
}

/// Grows `run` by `range` where they touch or overlap.
#[inline]
fn extend(
    run: &mut Range<u32>,
    range: &Range<u32>,
    gap: &mut impl FnMut(Range<u32>),
) -> Option<u32> {
    if range.start > run.end || range.end < run.start {
        return None;
    }
    let mut new = 0;
    if range.start < run.start {
        gap(range.start..run.start);
        new += run.start - range.start;
        run.start = range.start;
    }
    if range.end > run.end {
        gap(run.end..range.end);
        new += range.end - run.end;
        run.end = range.end;
    }
    Some(new)
}

/// Which fragment of the grid `range` is, if it is one.
#[inline]
fn grid_index(range: &Range<u32>, stride: u32, length: u32) -> Option<u32> {
    let size = range.end - range.start;
    let (index, off_grid) = (range.start / stride, range.start % stride);
    let whole = size == stride || (range.end == length && size < stride);
    (off_grid == 0 && whole).then_some(index)
}

/// Sets a bit that is not set yet, and returns whether it was the last one
/// missing; `None` if it is set.
#[inline]
fn set_missing_bit(words: &mut [u64], index: u32, missing: &mut u32) -> Option<bool> {
    let (word, bit) = (&mut words[(index / 64) as usize], 1 << (index % 64));
    if *word & bit != 0 {
        return None;
    }
    *word |= bit;
    *missing -= 1;
    Some(*missing == 0)
}

#[inline]
fn set_bit(
    words: &mut [u64],
    index: u32,
    missing: &mut u32,
    range: Range<u32>,
    gap: &mut impl FnMut(Range<u32>),
) -> u32 {
    if words[(index / 64) as usize] >> (index % 64) & 1 == 1 {
        return 0;
    }
    let new = range.end - range.start;
    // Written first: what is covered has been.
    gap(range);
    set_missing_bit(words, index, missing);
    new
}

fn set_bits(words: &mut [u64], bits: Range<u32>) {
    let mut at = bits.start;
    while at < bits.end {
        let count = (64 - at % 64).min(bits.end - at);
        words[(at / 64) as usize] |= (u64::MAX >> (64 - count)) << (at % 64);
        at += count;
    }
}

#[inline]
fn pack(run: &Range<u32>) -> u64 {
    u64::from(run.start) << 32 | u64::from(run.end)
}

#[inline]
fn unpack(word: u64) -> Range<u32> {
    (word >> 32) as u32..word as u32
}

/// Runs of set bits, as bytes.
struct Runs<'a> {
    words: &'a [u64],
    fragments: u32,
    next: u32,
    stride: u32,
    length: u32,
}

impl Runs<'_> {
    /// The first bit from `at` on that is `set`, or the number of bits.
    fn seek(&self, mut at: u32, set: bool) -> u32 {
        while at < self.fragments {
            let word = self.words[(at / 64) as usize];
            let wanted = (if set { word } else { !word }) >> (at % 64);
            if wanted != 0 {
                return (at + wanted.trailing_zeros()).min(self.fragments);
            }
            at += 64 - at % 64;
        }
        self.fragments
    }

    /// Where fragment `index` starts. The last one ends with the event.
    fn offset(&self, index: u32) -> u32 {
        index.checked_mul(self.stride).map_or(self.length, |at| at.min(self.length))
    }
}

impl Iterator for Runs<'_> {
    type Item = Range<u32>;

    fn next(&mut self) -> Option<Range<u32>> {
        let start = self.seek(self.next, true);
        if start == self.fragments {
            return None;
        }
        self.next = self.seek(start, false);
        Some(self.offset(start)..self.offset(self.next))
    }
}

#[cfg(test)]
mod tests;
