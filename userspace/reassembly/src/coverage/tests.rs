use std::ops::Range;

use proptest::{prelude::*, sample::Index};

use super::{Coverage, MAX_RUNS, Refusal, Shape};
use crate::{
    heap::Heap,
    pool::{Pool, PoolConfig},
};

fn heap() -> Heap {
    Heap::new(Pool::new(PoolConfig { budget: 8 << 20, max_event: u32::MAX }))
}

/// Inserts, by the short way if `append` and it can be gone, and checks gaps,
/// sum and completeness against a byte map.
fn insert(
    coverage: &mut Coverage,
    bytes: &mut [bool],
    range: Range<u32>,
    append: bool,
    heap: &mut Heap,
) {
    let mut gaps = Vec::new();
    let appended = if append { coverage.append(range.start, range.end) } else { None };
    let new = match appended {
        Some(complete) => {
            assert_eq!(complete, coverage.is_complete());
            gaps.push(range.clone());
            range.end - range.start
        }
        None => coverage.insert(range.clone(), heap, |gap| gaps.push(gap)).expect("has room"),
    };
    let mut expected = Vec::new();
    for at in range {
        if !std::mem::replace(&mut bytes[at as usize], true) {
            expected.push(at);
        }
    }
    assert_eq!(new as usize, expected.len());
    assert_eq!(gaps.iter().cloned().flatten().collect::<Vec<_>>(), expected);
    assert!(gaps.windows(2).all(|pair| pair[0].end < pair[1].start), "{gaps:?}");
    assert_eq!(coverage.recount(), bytes.iter().filter(|byte| **byte).count() as u64);
    assert_eq!(coverage.is_complete(), bytes.iter().all(|byte| *byte));
}

/// A fragment of an event of `length`: `Ok` on the grid, `Err` anywhere.
fn fragment(length: u32, stride: u32, pick: &Result<Index, (Index, Index)>) -> Range<u32> {
    match pick {
        Ok(index) => {
            let start = index.index(length.div_ceil(stride) as usize) as u32 * stride;
            start..(start + stride).min(length)
        }
        Err((one, two)) => {
            let (one, two) = (one.index(length as usize) as u32, two.index(length as usize) as u32);
            one.min(two)..one.max(two) + 1
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 3 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn agrees_with_a_byte_map(
        length in 1u32..if cfg!(miri) { 100 } else { 600 },
        stride in prop_oneof![1u32..8, 8u32..200],
        first in any::<Index>(),
        picks in prop::collection::vec(
            (
                any::<bool>(),
                prop_oneof![
                    20 => any::<Index>().prop_map(Ok),
                    1 => any::<(Index, Index)>().prop_map(Err),
                ],
            ),
            1..if cfg!(miri) { 12 } else { 120 },
        ),
    ) {
        let (mut heap, mut bytes) = (heap(), vec![false; length as usize]);
        let first = fragment(length, stride, &Ok(first));
        bytes[first.start as usize..first.end as usize].fill(true);
        let mut coverage = Coverage::new(length, first);
        for (append, pick) in &picks {
            // At most 120 runs: never too many.
            insert(&mut coverage, &mut bytes, fragment(length, stride, pick), *append, &mut heap);
        }
        drop(coverage);
        heap.tend();
        prop_assert_eq!(heap.pool().in_use(), 0);
    }
}

#[test]
fn in_order_and_in_reverse_need_no_memory() {
    let (mut heap, length) = (heap(), 1_000_003);
    for reverse in [false, true] {
        let mut parts: Vec<_> =
            (0..length).step_by(1000).map(|at| at..(at + 1000).min(length)).collect();
        if reverse {
            parts.reverse();
        }
        let mut coverage = Coverage::new(length, parts.remove(0));
        for part in parts {
            assert!(!coverage.is_complete());
            coverage.insert(part, &mut heap, |_| ()).expect("has room");
        }
        assert!(coverage.is_complete());
    }
    assert_eq!(heap.pool().held(), 0);
}

#[test]
fn the_largest_event_is_covered_without_overflow() {
    let (mut heap, length) = (heap(), u32::MAX);
    let stride = 8952 << if cfg!(miri) { 9 } else { 0 };
    let mut coverage = Coverage::new(length, 0..stride);
    let count = length.div_ceil(stride);
    for nth in (2..count).step_by(2).chain((1..count).step_by(2)) {
        let start = nth * stride;
        let end = start.checked_add(stride).unwrap_or(length);
        let new = coverage.insert(start..end, &mut heap, |_| ()).expect("has room");
        assert_eq!(new, end - start);
    }
    assert!(coverage.is_complete());
    assert_eq!(coverage.recount(), u64::from(length));
}

#[test]
fn a_claim_clears_little_memory() {
    // One byte of 4 GiB, then another: no bitmap of 4 Gbit.
    let (mut heap, mut coverage) = (heap(), Coverage::new(u32::MAX, 5..6));
    assert_eq!(coverage.insert(1000..1001, &mut heap, |_| ()), Ok(1));
    assert!(matches!(coverage.shape, Shape::Scattered { runs: 2, .. }));
    assert!(heap.pool().held() <= 2048 + 64, "{}", heap.pool().held());
}

#[test]
fn too_many_runs_are_refused_and_nothing_changes() {
    let mut heap = heap();
    // From a list of runs …
    let mut coverage = Coverage::new(u32::MAX, 1..3);
    for nth in 1..MAX_RUNS as u32 {
        assert_eq!(coverage.insert(nth * 10 + 1..nth * 10 + 3, &mut heap, |_| ()), Ok(2));
    }
    let beyond = 9000..9002;
    let refused = coverage.insert(beyond, &mut heap, |_| panic!("nothing may be placed"));
    assert_eq!(refused, Err(Refusal::TooScattered));
    assert_eq!(coverage.recount(), 2 * MAX_RUNS as u64);
    assert_eq!(coverage.insert(3..11, &mut heap, |_| ()), Ok(8), "joins two runs");
    assert_eq!(coverage.insert(9000..9002, &mut heap, |_| ()), Ok(2), "so there is room for one");
    // … and from a bitmap, which goes on as one.
    let (length, mut coverage) = (100_000, Coverage::new(100_000, 0..100));
    for nth in 1..400 {
        assert_eq!(coverage.insert(nth * 200..nth * 200 + 100, &mut heap, |_| ()), Ok(100));
    }
    let odd = coverage.insert(150..160, &mut heap, |_| panic!("nothing may be placed"));
    assert_eq!(odd, Err(Refusal::TooScattered));
    assert_eq!(coverage.insert(210..220, &mut heap, |_| ()), Ok(0), "covered is a duplicate");
    for nth in 0..length / 100 {
        coverage.insert(nth * 100..nth * 100 + 100, &mut heap, |_| ()).expect("on the grid");
    }
    assert!(coverage.is_complete());
}

#[test]
fn no_memory_is_refused_and_nothing_changes() {
    let mut heap = Heap::new(Pool::new(PoolConfig { budget: 0, max_event: 1 << 20 }));
    let mut coverage = Coverage::new(100_000, 0..100);
    for range in [500..600, 333..345] {
        let refused = coverage.insert(range, &mut heap, |_| panic!("nothing may be placed"));
        assert_eq!(refused, Err(Refusal::NoMemory));
    }
    assert_eq!(coverage.insert(100..200, &mut heap, |_| ()), Ok(100), "a run needs none");
    assert_eq!(coverage.recount(), 200);
}
