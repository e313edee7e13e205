//! The assembler and the model, driven side by side. The random
//! traffic of `oracle.rs` drives them, and the fuzzer's.

use xdpsar_reassembly::{Assembler, AssemblerConfig, Pool, PoolConfig};
use xdpsar_wire::{Headers, Pieces};

use crate::{
    common::Kept,
    model::{Model, Traffic},
};

/// What is done to the assembler.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// One datagram.
    Datagram(Traffic),
    /// All fragments of an event, shuffled, some of them twice.
    Burst { key: (u64, u16), length: u32, size: u32, seed: u64, skip: bool, lb: bool },
    /// Bytes that are no datagram of ours; cut short if they happen to be one.
    Noise(Vec<u8>),
    /// Time passes; expiry may or may not be called.
    Pass { ns: u64, at_most: usize },
    /// The consumer drops events: all but this many, modulo one more than it
    /// has.
    Release(usize),
    /// The end, and a new start.
    Finish,
}

/// Does all of `ops` to a new assembler and to a new model.
///
/// # Panics
/// If they disagree on a delivered byte, a counter or a lost report, if the
/// assembler's structure is unsound after any of them, or if memory is missing
/// in the end.
pub(crate) fn run(
    config: AssemblerConfig,
    pool_config: PoolConfig,
    ops: impl IntoIterator<Item = Op>,
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
            Op::Noise(mut bytes) => {
                // Once in some ten thousand times it is a datagram after all.
                if Headers::parse(&bytes, config.framing).is_ok() {
                    bytes.truncate(19);
                }
                let outcome = assembler.ingest(0, Pieces::whole(&bytes), now, &mut sink);
                model.noise(&bytes, outcome);
            }
            Op::Pass { ns, at_most } => {
                now += ns;
                let before = sink.lost.len();
                let expired = assembler.expire(now, at_most, &mut sink);
                assert_eq!(expired, sink.lost.len() - before);
                model.expire(now, at_most, &sink.lost[before..]);
            }
            Op::Release(keep) => sink.events.truncate(keep % (sink.events.len() + 1)),
            Op::Finish => {
                let before = sink.lost.len();
                assembler.finish(&mut sink);
                model.finish(now, &sink.lost[before..]);
            }
        }
        assembler.check_structure();
        assert_eq!(assembler.counters(), &model.counters);
        assert_eq!(assembler.in_progress(), model.in_progress());
    }
    drop((sink, assembler));
    assert_eq!(pool.in_use(), 0);
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
