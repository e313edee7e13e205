//! Resident and held memory over a run.

use std::fmt;

use anyhow::{Context, ensure};
use xdpsar_reassembly::Pool;

/// Samples that are taken in a run.
const SAMPLES: u64 = 1000;
/// The first of ten parts of a run, in which memory may grow.
const WARM_UP: u64 = SAMPLES / 10;
/// The most there was in a part of the run.
#[derive(Clone, Copy, Debug, Default)]
struct Most {
    resident_pages: u64,
    held: u64,
    in_use: u64,
}

/// Memory, sampled.
pub(crate) struct Memory {
    every: u64,
    next: u64,
    taken: u64,
    warm_up: Most,
    first_half: Most,
    second_half: Most,
}

impl Memory {
    pub(crate) fn new(fragments: u64) -> Self {
        let every = (fragments / SAMPLES).max(1);
        let none = Most::default();
        Self { every, next: every, taken: 0, warm_up: none, first_half: none, second_half: none }
    }

    /// Looks, if it is time to.
    pub(crate) fn sample(&mut self, sent: u64, pool: &Pool) -> anyhow::Result<()> {
        if sent < self.next {
            return Ok(());
        }
        self.next += self.every;
        self.taken += 1;
        let most = match self.taken {
            0..WARM_UP => &mut self.warm_up,
            taken if taken < (SAMPLES + WARM_UP) / 2 => &mut self.first_half,
            _ => &mut self.second_half,
        };
        most.resident_pages = most.resident_pages.max(resident_pages()?);
        most.held = most.held.max(pool.held());
        most.in_use = most.in_use.max(pool.in_use());
        Ok(())
    }

    /// Whether memory stayed as it was after the warm-up: its most in the
    /// second half may be 1 % more than in the first, because chance decides
    /// how many of the large events are in progress together.
    ///
    /// # Errors
    /// Says what grew.
    pub(crate) fn judge(&self) -> anyhow::Result<()> {
        let (before, after) = (self.first_half, self.second_half);
        for (what, before, after) in [
            ("resident memory", before.resident_pages, after.resident_pages),
            ("the pool", before.held, after.held),
        ] {
            ensure!(after * 100 <= before * 101, "{what} grew from {before} to {after}");
        }
        Ok(())
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory       {:>22} {:>16} {:>16}", "resident (4 KiB pages)", "held", "in use")?;
        let parts =
            [("warm-up", self.warm_up), ("then", self.first_half), ("later", self.second_half)];
        for (name, most) in parts {
            let Most { resident_pages, held, in_use } = most;
            write!(f, "\n  most, {name:8} {resident_pages:>19} {held:>16} {in_use:>16}")?;
        }
        Ok(())
    }
}

fn resident_pages() -> anyhow::Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split(' ').nth(1).context("the second field is the resident set")?;
    Ok(pages.parse()?)
}
