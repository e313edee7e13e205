//! The lines of the table.

use xdpsar_bench::workload::{Arrival, Case};

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

/// Every case there is, those that need too much memory included. An event
/// of a single fragment is never in progress and has no arrival, so there
/// is one case of that for each size.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for arrival in Arrival::ALL {
        for size in SIZES {
            for fragments in FRAGMENTS {
                for in_progress in IN_PROGRESS {
                    let single = in_progress == 1 && arrival == Arrival::InOrder;
                    if fragments > 1 || single {
                        cases.push(Case { size, fragments, in_progress, arrival });
                    }
                }
            }
        }
    }
    cases
}

/// Whether it is in the subset of `--quick`.
pub(crate) fn is_quick(case: &Case) -> bool {
    QUICK.contains(&case.to_string().as_str())
}

/// Whether memory for all places of a case stays below [`MEMORY_CAP`].
pub(crate) fn fits(case: &Case) -> bool {
    case.places() as u64 * case.stride() as u64 <= MEMORY_CAP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_the_quick_ones_exist() {
        let mut names: Vec<_> = all().iter().map(Case::to_string).collect();
        assert!(QUICK.iter().all(|quick| names.iter().any(|name| name == quick)));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        assert_eq!(count, 3 * (3 * 3 * 4) + 3);
    }

    #[test]
    fn what_does_not_fit_is_only_what_is_large_and_many() {
        let left_out: Vec<_> = all().into_iter().filter(|case| !fits(case)).collect();
        assert!(left_out.iter().all(|case| case.in_progress >= 1000));
        assert!(left_out.iter().any(|case| case.in_progress == 1000 && case.size == 8900));
        assert!(!left_out.iter().any(|case| case.size == 64 && case.fragments <= 100));
    }
}
