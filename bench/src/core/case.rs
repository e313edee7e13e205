//! What is measured: which fragments, of how many events at once, in which
//! order.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Datagrams that a worker takes from its source at once.
pub(crate) const BATCH: usize = 64;
/// Time that passes per fragment on the axis that the contestants are told,
/// in nanoseconds: ten million fragments a second.
pub(crate) const NS_PER_FRAGMENT: u64 = 100;
/// Cases whose events in progress take more memory than this are left out.
pub(crate) const MEMORY_CAP: u64 = 2 << 30;

/// Payload bytes of a fragment.
const SIZES: [u32; 3] = [64, 1400, 8900];
/// Fragments of an event.
const FRAGMENTS: [u32; 4] = [1, 8, 100, 1000];
/// Events in progress.
const IN_PROGRESS: [u32; 4] = [1, 10, 1000, 100_000];
/// The subset of `--quick`: enough to see where a change leads.
const QUICK: [&str; 14] = [
    "64x1@1:in-order",
    "1400x1@1:in-order",
    "8900x1@1:in-order",
    "64x8@10:in-order",
    "64x8@1000:in-order",
    "64x8@100000:in-order",
    "64x100@1000:in-order",
    "64x100@1000:shuffled",
    "64x100@1000:loss",
    "1400x8@1000:in-order",
    "1400x8@100000:in-order",
    "1400x100@1000:in-order",
    "8900x100@10:in-order",
    "8900x8@1000:in-order",
];

/// In which order fragments come, and whether all do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Arrival {
    /// The events in progress take turns, each one's fragments from first to
    /// last.
    InOrder,
    /// The events take turns in an order of chance, and so do each one's
    /// fragments.
    Shuffled,
    /// In order, but one fragment in a hundred never comes.
    Loss,
}

impl Arrival {
    pub(crate) const ALL: [Self; 3] = [Self::InOrder, Self::Shuffled, Self::Loss];

    const fn as_str(self) -> &'static str {
        match self {
            Self::InOrder => "in-order",
            Self::Shuffled => "shuffled",
            Self::Loss => "loss",
        }
    }
}

/// One line of the table. Written `64x8@1000:shuffled`: fragments of 64 bytes,
/// 8 to an event, 1000 events in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Case {
    /// Payload bytes of a fragment.
    pub(crate) size: u32,
    /// Fragments of an event.
    pub(crate) fragments: u32,
    /// Events in progress at any time.
    pub(crate) in_progress: u32,
    /// In which order fragments come.
    pub(crate) arrival: Arrival,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, fragments, in_progress, arrival } = self;
        write!(f, "{size}x{fragments}@{in_progress}:{}", arrival.as_str())
    }
}

impl Case {
    /// Every case there is, those that need too much memory included. An event
    /// of a single fragment is never in progress and has no arrival, so there
    /// is one case of that for each size.
    pub(crate) fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for arrival in Arrival::ALL {
            for size in SIZES {
                for fragments in FRAGMENTS {
                    for in_progress in IN_PROGRESS {
                        let single = in_progress == 1 && arrival == Arrival::InOrder;
                        if fragments > 1 || single {
                            cases.push(Self { size, fragments, in_progress, arrival });
                        }
                    }
                }
            }
        }
        cases
    }

    pub(crate) fn is_quick(&self) -> bool {
        QUICK.contains(&self.to_string().as_str())
    }

    /// Bytes of an event.
    pub(crate) const fn event_bytes(&self) -> u32 {
        self.size * self.fragments
    }

    /// Bytes from one event's place to the next, where they lie side by side
    /// on cache lines of their own.
    pub(crate) const fn stride(&self) -> usize {
        (self.event_bytes() as usize).next_multiple_of(64)
    }

    /// How long an event may be without progress, in nanoseconds. The default
    /// of 500 ms; but where fragments are lost it is eight turns, so that
    /// events in progress remain the number they are said to be and are not
    /// swamped by those that wait for their end.
    pub(crate) fn timeout_ns(&self) -> u64 {
        match self.arrival {
            Arrival::InOrder | Arrival::Shuffled => 500_000_000,
            Arrival::Loss => (8 * self.turn_ns()).max(1_000_000),
        }
    }

    /// How long it takes until every event in progress has had its turn, in
    /// nanoseconds.
    pub(crate) fn turn_ns(&self) -> u64 {
        u64::from(self.in_progress) * NS_PER_FRAGMENT
    }

    /// From an event's first fragment to its last, in nanoseconds.
    pub(crate) fn life_ns(&self) -> u64 {
        u64::from(self.fragments) * self.turn_ns()
    }

    /// Places for events that are enough: one for each in progress, and what
    /// those take that lack a fragment and wait for their end.
    pub(crate) fn places(&self) -> usize {
        let waiting = match self.arrival {
            Arrival::InOrder | Arrival::Shuffled => 0.0,
            Arrival::Loss => {
                let incomplete = 1.0 - 0.99_f64.powi(self.fragments as i32);
                let lives = 1.5 * self.timeout_ns() as f64 / self.life_ns() as f64;
                64.0 + f64::from(self.in_progress) * incomplete * lives
            }
        };
        self.in_progress as usize + waiting as usize
    }

    /// Whether memory for all its places stays below [`MEMORY_CAP`].
    pub(crate) fn fits(&self) -> bool {
        self.places() as u64 * self.stride() as u64 <= MEMORY_CAP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_the_quick_ones_exist() {
        let mut names: Vec<_> = Case::all().iter().map(Case::to_string).collect();
        assert!(QUICK.iter().all(|quick| names.iter().any(|name| name == quick)));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        assert_eq!(count, 3 * (3 * 3 * 4) + 3);
    }

    #[test]
    fn what_does_not_fit_is_only_what_is_large_and_many() {
        let left_out: Vec<_> = Case::all().into_iter().filter(|case| !case.fits()).collect();
        assert!(left_out.iter().all(|case| case.in_progress >= 1000));
        assert!(left_out.iter().any(|case| case.in_progress == 1000 && case.size == 8900));
        assert!(!left_out.iter().any(|case| case.size == 64 && case.fragments <= 100));
    }
}
