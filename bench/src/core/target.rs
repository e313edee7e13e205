//! The targets, and who meets them.

use xdpsar_bench::{spread::spread, workload::Case};

use crate::measure::Result;

/// Fragments up to this size have the targets of small ones; in bytes.
const SMALL: u32 = 1400;
/// Fragments from this size on have the target of large ones; in bytes.
const LARGE: u32 = 8900;
/// The number of events in progress up to which a fragment is cheap.
const FEW: u32 = 1000;
/// The number of events in progress that must not be much slower.
const MANY: u32 = 100_000;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Of memcpy's bandwidth with large fragments.
    Bandwidth,
    /// Nanoseconds beyond the copy with small ones.
    Beyond,
    /// With many events in progress, the share of memcpy's speed, relative to
    /// the same share with few.
    FlatShare,
    /// The same of the speed beyond the copy: nanoseconds beyond it with few,
    /// by those with many.
    FlatBeyond,
    /// Nanoseconds beyond the copy with many in progress.
    BeyondMany,
    /// Times as fast as the baseline, with small fragments.
    Baseline,
}

impl Target {
    pub(crate) const ALL: [Self; 6] = [
        Self::Bandwidth,
        Self::Beyond,
        Self::FlatShare,
        Self::FlatBeyond,
        Self::BeyondMany,
        Self::Baseline,
    ];

    /// What is asked for, in words.
    pub(crate) const fn description(self) -> &'static str {
        match self {
            Self::Bandwidth => "8900 B: ≥ 85 % of memcpy's bandwidth",
            Self::Beyond => "≤ 1400 B, ≤ 1000 in progress: ≤ 40 ns per fragment beyond the copy",
            Self::FlatShare => {
                "≤ 1400 B, 100 000 in progress: share of memcpy's speed ≥ 80 % of the share at 1000"
            }
            Self::FlatBeyond => {
                "≤ 1400 B, 100 000 in progress: ns beyond the copy at 1000 ≥ 80 % of those at 100 000"
            }
            Self::BeyondMany => {
                "≤ 1400 B, 100 000 in progress: ≤ 50 ns beyond the copy (80 % of the speed of 40 ns)"
            }
            Self::Baseline => "≤ 1400 B: ≥ 10 × the baseline",
        }
    }

    /// The short name in the table.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Bandwidth => "85 %",
            Self::Beyond => "40 ns",
            Self::FlatShare => "flat share",
            Self::FlatBeyond => "flat ns",
            Self::BeyondMany => "50 ns",
            Self::Baseline => "10 ×",
        }
    }

    /// Whether a result meets it; `None` where it does not apply, or where
    /// the case it is compared with is not among `others`.
    pub(crate) fn is_met(self, result: &Result, others: &[Result]) -> Option<bool> {
        let Case { size, in_progress, .. } = result.case;
        let applies = match self {
            Self::Bandwidth => size >= LARGE,
            Self::Beyond => size <= SMALL && in_progress <= FEW,
            Self::FlatShare | Self::FlatBeyond | Self::BeyondMany => {
                size <= SMALL && in_progress == MANY
            }
            Self::Baseline => size <= SMALL,
        };
        if !applies {
            return None;
        }
        let few = || {
            let case = Case { in_progress: FEW, ..result.case };
            others.iter().find(|other| other.case == case)
        };
        Some(match self {
            Self::Bandwidth => result.share()[1] >= 0.85,
            Self::Beyond => result.beyond()[1] <= 40.0,
            Self::FlatShare => result.share()[1] >= 0.8 * few()?.share()[1],
            // Both may cost less than nothing where the copy waits for the
            // cache and we have fetched ahead.
            Self::FlatBeyond => 0.8 * result.beyond()[1] <= few()?.beyond()[1].max(0.0),
            Self::BeyondMany => result.beyond()[1] <= 50.0,
            Self::Baseline => result.times_baseline()[1] >= 10.0,
        })
    }
}

/// Lowest, median and highest over the rounds; each round's contestants are
/// compared with each other.
impl Result {
    /// Of memcpy's bandwidth.
    pub(crate) fn share(&self) -> [f64; 3] {
        self.by_round(|ours, memcpy, _| memcpy / ours)
    }

    /// Nanoseconds per fragment beyond the copy.
    pub(crate) fn beyond(&self) -> [f64; 3] {
        self.by_round(|ours, memcpy, _| ours - memcpy)
    }

    /// Times as fast as the baseline.
    pub(crate) fn times_baseline(&self) -> [f64; 3] {
        self.by_round(|ours, _, baseline| baseline / ours)
    }

    fn by_round(&self, value: impl Fn(f64, f64, f64) -> f64) -> [f64; 3] {
        let rounds = self.ours.iter().zip(&self.memcpy).zip(&self.baseline);
        spread(rounds.map(|((ours, memcpy), baseline)| value(*ours, *memcpy, *baseline)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xdpsar_bench::workload::Arrival;

    fn result(in_progress: u32, ours: f64, memcpy: f64) -> Result {
        let case = Case { size: 64, fragments: 8, in_progress, arrival: Arrival::InOrder };
        Result { case, ours: vec![ours], memcpy: vec![memcpy], baseline: vec![500.0] }
    }

    #[test]
    fn targets_are_met_by_what_is_fast_enough() {
        let few = result(1000, 40.0, 10.0);
        assert_eq!(Target::Beyond.is_met(&few, &[]), Some(true));
        assert_eq!(Target::Baseline.is_met(&few, &[]), Some(true));
        assert_eq!(Target::Bandwidth.is_met(&few, &[]), None);
        let many = result(100_000, 70.0, 30.0);
        assert_eq!(Target::FlatShare.is_met(&many, &[]), None, "nothing to compare with");
        let others = [few.clone(), many.clone()];
        assert_eq!(Target::FlatShare.is_met(&many, &others), Some(true));
        assert_eq!(Target::FlatBeyond.is_met(&many, &others), Some(false), "30 ns became 40");
        assert_eq!(Target::BeyondMany.is_met(&many, &others), Some(true));
        assert_eq!(Target::Baseline.is_met(&many, &others), Some(false));
    }
}
