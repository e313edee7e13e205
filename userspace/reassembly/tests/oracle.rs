//! Random traffic against a model that is too simple to be wrong: a map of
//! events, each with a byte map.

mod common;
mod drive;
mod model;

use common::MS;
use drive::Op;
use model::Traffic;
use proptest::{prelude::*, sample::Index};
use xdpsar_reassembly::{AssemblerConfig, BudgetPolicy, PoolConfig};

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
        5 => any::<usize>().prop_map(Op::Release),
        1 => Just(Op::Finish),
    ]
}

fn config() -> impl Strategy<Value = (AssemblerConfig, PoolConfig)> {
    let policy = prop_oneof![Just(BudgetPolicy::RefuseNew), Just(BudgetPolicy::EvictOldest)];
    let budget = prop_oneof![Just(0u64), 1000u64..40_000, Just(64 << 20)];
    let few = prop_oneof![1u32..6, Just(1000)];
    let remembered = prop_oneof![0u32..6, Just(1000)];
    (
        policy,
        budget,
        few,
        remembered,
        any::<u64>(),
        (prop_oneof![Just(4096u32), 100u32..4096], any::<bool>()),
    )
        .prop_map(
            |(on_budget, budget, max_in_progress, remembered, seed, (max_event, stream))| {
                let config = AssemblerConfig {
                    worker: 5,
                    max_lifetime_ns: 1500 * MS,
                    max_in_progress,
                    remembered,
                    on_budget,
                    seed,
                    stream_from: if stream { 0 } else { u64::MAX },
                    ..Default::default()
                };
                (config, PoolConfig { budget, max_event })
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 768 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn agrees_with_the_model(
        (config, pool_config) in config(),
        ops in prop::collection::vec(op(), 1..if cfg!(miri) { 20 } else { 150 }),
    ) {
        drive::run(config, pool_config, ops);
    }
}
