//! What is asked for, and who meets it.

use crate::{contestant::Contestant, course::Case, report::Row};

/// Bytes of the events that the incumbent is compared at.
const COMPARED_AT: usize = 100_000;

/// What is asked of segmentation offload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Of the bare loop's rate.
    Rate,
    /// Events per second, in times the incumbent's.
    Events,
    /// CPU time, of the incumbent's.
    Cpu,
}

impl Target {
    pub(crate) const ALL: [Self; 3] = [Self::Rate, Self::Events, Self::Cpu];

    pub(crate) const fn description(self) -> &'static str {
        match self {
            Self::Rate => "gso: ≥ 90 % of bare GSO's rate",
            Self::Events => "gso, 100 KB: ≥ 5 × the events/s of the incumbent's loop",
            Self::Cpu => "gso, 100 KB: ≤ 1/4 of its CPU time",
        }
    }

    /// What `case` has of it, and whether that is enough; `None` where it is
    /// not asked.
    pub(crate) fn judge(self, case: Case, rows: &[Row]) -> Option<(f64, bool)> {
        let of = |contestant| rows.iter().find(|row| row.contestant == contestant);
        let ours = of(Contestant::Gso)?;
        match self {
            Self::Rate => {
                let share = ours.gbps[1] / of(Contestant::Blaster)?.gbps[1];
                Some((share, share >= 0.9))
            }
            _ if case.event != COMPARED_AT => None,
            Self::Events => {
                let times = ours.events_per_s / of(Contestant::Incumbent)?.events_per_s;
                Some((times, times >= 5.0))
            }
            Self::Cpu => {
                let share = ours.cpu_s_per_gb / of(Contestant::Incumbent)?.cpu_s_per_gb;
                Some((share, share <= 0.25))
            }
        }
    }
}
