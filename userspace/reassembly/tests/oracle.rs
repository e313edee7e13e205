//! Random traffic against a model that is too simple to be wrong: a map of
//! events, each with a byte map.

mod common;
mod model;

use common::{Kept, MS};
use model::{Model, Traffic};
use proptest::{prelude::*, sample::Index};
use xdpsar_reassembly::{Assembler, AssemblerConfig, BudgetPolicy, Pool, PoolConfig};
use xdpsar_wire::Pieces;

/// What is done to the assembler.
#[derive(Clone, Debug)]
enum Op {
    /// One datagram.
    Datagram(Traffic),
    /// All fragments of an event, shuffled, some of them twice.
    Burst { key: (u64, u16), length: u32, size: u32, seed: u64, skip: bool, lb: bool },
    /// Bytes that are no datagram of ours.
    Noise(Vec<u8>),
    /// Time passes; expiry may or may not be called.
    Pass { ns: u64, at_most: usize },
    /// The consumer drops events.
    Release(Index),
    /// The end, and a new start.
    Finish,
}

fn key() -> impl Strategy<Value = (u64, u16)> {
    // Few keys, so that they are used again; some far apart.
    (prop_oneof![4 => 0u64..8, 1 => Just(u64::MAX), 1 => Just(1 << 40)], 0u16..2)
}

fn length() -> impl Strategy<Value = u32> {
    prop_oneof![Just(1u32), Just(500), Just(1000), Just(4000), 1u32..4096]
}

fn size() -> impl Strategy<Value = u32> {
    prop_oneof![Just(100u32), Just(40), Just(1000), 1u32..300]
}

fn op() -> impl Strategy<Value = Op> {
    let on_grid = (key(), length(), size(), any::<Index>(), any::<u8>(), any::<bool>()).prop_map(
        |(key, length, size, index, fill, lb)| {
            let offset = index.index(length.div_ceil(size) as usize) as u32 * size;
            let size = size.min(length - offset);
            Op::Datagram(Traffic { key, length, offset, size, fill, lb })
        },
    );
    // Also beyond the length, empty, of length 0, and claims of any length.
    let any_length = prop_oneof![4 => length(), 1 => Just(0u32), 1 => any::<u32>()];
    let anywhere = prop_oneof![8 => 0u32..4100, 1 => any::<u32>()];
    let odd = (key(), any_length, anywhere, 0u32..600, any::<u8>(), any::<bool>()).prop_map(
        |(key, length, offset, size, fill, lb)| {
            Op::Datagram(Traffic { key, length, offset, size, fill, lb })
        },
    );
    let empty = (key(), any::<bool>()).prop_map(|(key, lb)| {
        Op::Datagram(Traffic { key, length: 0, offset: 0, size: 0, fill: 0, lb })
    });
    let burst = (key(), length(), size(), any::<u64>(), any::<bool>(), any::<bool>()).prop_map(
        |(key, length, size, seed, skip, lb)| Op::Burst { key, length, size, seed, skip, lb },
    );
    let pass = (
        prop_oneof![0..MS, Just(100 * MS), Just(499_999_999), Just(500 * MS), 0..1200 * MS],
        prop_oneof![0usize..3, Just(1000)],
    )
        .prop_map(|(ns, at_most)| Op::Pass { ns, at_most });
    prop_oneof![
        30 => on_grid,
        10 => odd,
        2 => empty,
        10 => burst,
        2 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Op::Noise),
        8 => pass,
        5 => any::<Index>().prop_map(Op::Release),
        1 => Just(Op::Finish),
    ]
}

fn config() -> impl Strategy<Value = (AssemblerConfig, PoolConfig)> {
    let policy = prop_oneof![Just(BudgetPolicy::RefuseNew), Just(BudgetPolicy::EvictOldest)];
    let budget = prop_oneof![Just(0u64), 1000u64..40_000, Just(64 << 20)];
    let few = prop_oneof![1u32..6, Just(1000)];
    let remembered = prop_oneof![0u32..6, Just(1000)];
    (policy, budget, few, remembered, any::<u64>(), prop_oneof![Just(4096u32), 100u32..4096])
        .prop_map(|(on_budget, budget, max_in_progress, remembered, seed, max_event)| {
            let config = AssemblerConfig {
                worker: 5,
                max_lifetime_ns: 1500 * MS,
                max_in_progress,
                remembered,
                on_budget,
                seed,
                ..Default::default()
            };
            (config, PoolConfig { budget, max_event })
        })
}

/// The datagrams of a burst.
fn burst(key: (u64, u16), length: u32, size: u32, seed: u64, skip: bool, lb: bool) -> Vec<Traffic> {
    let mut all: Vec<_> = (0..length)
        .step_by(size as usize)
        .map(|offset| {
            let fill = (offset / size) as u8 ^ seed as u8;
            Traffic { key, length, offset, size: size.min(length - offset), fill, lb }
        })
        .collect();
    let mut random = seed;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) as usize % below
    };
    for _ in 0..next(3) {
        all.push(all[next(all.len())].clone());
    }
    for at in (1..all.len()).rev() {
        all.swap(at, next(at + 1));
    }
    if skip {
        all.truncate(all.len() - 1);
    }
    all
}

/// The datagram, in one to three pieces, headers in the first.
fn ingest(assembler: &mut Assembler, model: &mut Model, sink: &mut Kept, now: u64, one: &Traffic) {
    let bytes = one.datagram();
    let cut = |at: usize| at.clamp(36.min(bytes.len()), bytes.len());
    let (first, rest) = bytes.split_at(cut(36 + usize::from(one.fill)));
    let (second, third) = rest.split_at(rest.len() / 3);
    let rest = [second, third];
    let pieces = if one.fill.is_multiple_of(2) {
        Pieces::whole(&bytes)
    } else {
        Pieces::chained(first, &rest)
    };
    let before = (sink.events.len(), sink.lost.len());
    let outcome = assembler.ingest(one.key.1 + 9, pieces, now, sink);
    model.ingest(one, now, outcome, &sink.events[before.0..], &sink.lost[before.1..]);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 8 } else { 768 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn agrees_with_the_model(
        (config, pool_config) in config(),
        ops in prop::collection::vec(op(), 1..if cfg!(miri) { 20 } else { 150 }),
    ) {
        let pool = Pool::new(pool_config);
        let mut assembler = Assembler::new(config, pool.clone());
        let mut model = Model::new(config, pool.clone());
        let (mut sink, mut now) = (Kept::default(), 0);
        for op in ops {
            match op {
                Op::Datagram(one) => ingest(&mut assembler, &mut model, &mut sink, now, &one),
                Op::Burst { key, length, size, seed, skip, lb } => {
                    for one in burst(key, length, size, seed, skip, lb) {
                        // Before, so that the assembler has seen the time at
                        // which `finish`, which is not told, ends its events.
                        now += 1000;
                        ingest(&mut assembler, &mut model, &mut sink, now, &one);
                    }
                }
                Op::Noise(bytes) => {
                    let outcome = assembler.ingest(0, Pieces::whole(&bytes), now, &mut sink);
                    model.noise(&bytes, outcome);
                }
                Op::Pass { ns, at_most } => {
                    now += ns;
                    let before = sink.lost.len();
                    let expired = assembler.expire(now, at_most, &mut sink);
                    prop_assert_eq!(expired, sink.lost.len() - before);
                    model.expire(now, at_most, &sink.lost[before..]);
                }
                Op::Release(index) => {
                    let keep = index.index(sink.events.len() + 1);
                    sink.events.truncate(keep);
                }
                Op::Finish => {
                    let before = sink.lost.len();
                    assembler.finish(&mut sink);
                    model.finish(now, &sink.lost[before..]);
                }
            }
            assembler.check_structure();
            prop_assert_eq!(assembler.counters(), &model.counters);
            prop_assert_eq!(assembler.in_progress(), model.in_progress());
        }
        drop((sink, assembler));
        prop_assert_eq!(pool.in_use(), 0);
    }
}
