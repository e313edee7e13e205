//! The hand-off: how many consumers, and how large a queue.

use xdpsar_bench::{
    cpu,
    exchange::{self, Cost, ends},
};
use xdpsar_handoff::Wait;

use crate::curve::{Key, Point, Sample};

const CONSUMERS: [u64; 4] = [1, 2, 4, 8];
const CAPACITIES: [u64; 5] = [64, 1024, 16_384, 262_144, 1 << 20];
/// The queue of a `Reassembler`, unless asked otherwise.
const USUAL: u64 = 1000;

/// What an event costs to be handed over, both ends together, by how many
/// consumers there are.
pub(crate) fn consumers(items: u64) -> Vec<Point<'static>> {
    let mut points = Vec::new();
    for batch in [64, 1] {
        for count in CONSUMERS {
            let series = format!("batches of {batch}");
            let key = Key { curve: "consumers", series, count, of: "consumers", per: "event" };
            points.push(point(key, USUAL, count, batch, items));
        }
    }
    points
}

/// The same by the queue's capacity.
pub(crate) fn capacities(items: u64) -> Vec<Point<'static>> {
    let point = |count| {
        let series = "1 consumer, batches of 64".to_owned();
        let key = Key { curve: "queue", series, count, of: "places", per: "event" };
        point(key, count, 1, 64, items)
    };
    CAPACITIES.into_iter().map(point).collect()
}

fn point(key: Key, capacity: u64, consumers: u64, batch: usize, items: u64) -> Point<'static> {
    Point {
        key,
        measure: Box::new(move || {
            let (sender, receiver) = xdpsar_handoff::bounded::<u64>(capacity as usize);
            let receiver = receiver.waiting(Wait::Adaptive);
            let ends = ends(&sender, 1, &receiver, consumers as usize);
            drop((sender, receiver));
            let before = cpu::sleeps();
            let Cost { wall_ns, cpu_ns } = exchange::measure(ends, batch, items)?;
            let sleeps = (cpu::sleeps() - before) as f64 / items as f64;
            Ok(Sample {
                ns: cpu_ns,
                also: vec![("wall_ns", wall_ns), ("sleeps_per_1000", 1000.0 * sleeps)],
            })
        }),
    }
}
