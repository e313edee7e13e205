//! What a fragment costs beyond a plain copy of the same bytes, measured in
//! the same run:
//!
//! ```text
//! cargo run --release -p xdpsar-reassembly --example ns_per_fragment
//! ```
//!
//! Datagrams lie in a ring of 2048 frames. Both loops write each header, then
//! move the payload to where it belongs among the events in progress, which
//! take turns. The best of several rounds counts, for both.

use std::{hint::black_box, time::Instant};

use xdpsar_reassembly::{Assembler, AssemblerConfig, Event, LostEvent, Pool, PoolConfig, Sink};
use xdpsar_wire::Pieces;

const FRAMES: usize = 2048;
const HEADER: usize = 20;
const ROUNDS: usize = 7;

struct Case {
    /// Payload bytes of a fragment.
    size: usize,
    /// Fragments of an event.
    fragments: usize,
    in_progress: usize,
}

#[derive(Default)]
struct Count(usize);

impl Sink for Count {
    fn event(&mut self, event: Event) {
        self.0 += black_box(&event).len();
    }

    fn lost(&mut self, lost: LostEvent) {
        panic!("{lost:?}");
    }
}

/// Calls `each` with (position among the events in progress, offset,
/// datagram) for one generation of events, fragment by fragment.
fn generation(case: &Case, ring: &mut [u8], base: u64, mut each: impl FnMut(usize, usize, &[u8])) {
    let frame_size = HEADER + case.size;
    let length = ((case.size * case.fragments) as u32).to_be_bytes();
    let mut frame = 0;
    for nth in 0..case.fragments {
        let offset = nth * case.size;
        for event in 0..case.in_progress {
            let bytes = &mut ring[frame * frame_size..(frame + 1) * frame_size];
            bytes[4..8].copy_from_slice(&(offset as u32).to_be_bytes());
            bytes[8..12].copy_from_slice(&length);
            bytes[12..20].copy_from_slice(&(base + event as u64).to_be_bytes());
            each(event, offset, bytes);
            frame = (frame + 1) % FRAMES;
        }
    }
}

/// Nanoseconds per fragment: the best of several rounds.
fn measure(case: &Case, mut round: impl FnMut(u64)) -> f64 {
    let generations = (400_000 / (case.fragments * case.in_progress)).max(2) as u64;
    let mut best = f64::INFINITY;
    for nth in 0..ROUNDS as u64 {
        let start = Instant::now();
        for generation in 0..generations {
            round((nth * generations + generation) * case.in_progress as u64);
        }
        let fragments = generations as usize * case.fragments * case.in_progress;
        best = best.min(start.elapsed().as_nanos() as f64 / fragments as f64);
    }
    best
}

fn main() {
    println!(
        "{:>8} {:>6} {:>8} {:>9} {:>9} {:>8} {:>8}",
        "payload", "parts", "events", "copy ns", "ingest ns", "beyond", "of copy"
    );
    let case = |size, fragments, in_progress| Case { size, fragments, in_progress };
    for case in [
        case(64, 1, 1),
        case(1400, 1, 1),
        case(64, 100, 1),
        case(1400, 100, 1),
        case(8900, 100, 1),
        case(1400, 4, 10),
        case(1400, 4, 1000),
        case(1400, 4, 100_000),
        case(8900, 4, 10),
        case(8900, 4, 10_000),
    ] {
        let mut ring = vec![0; FRAMES * (HEADER + case.size)];
        ring.chunks_mut(HEADER + case.size).for_each(|frame| frame[0] = 0x10);
        let event_size = case.size * case.fragments;

        let mut to = vec![0; event_size * case.in_progress];
        let copy = measure(&case, |base| {
            generation(&case, &mut ring, base, |event, offset, datagram| {
                let at = event * event_size + offset;
                to[at..at + case.size].copy_from_slice(black_box(&datagram[HEADER..]));
            });
            black_box(&mut to);
        });
        drop(to);

        let pool = Pool::new(PoolConfig { budget: 4 << 30, max_event: 16 << 20 });
        let config = AssemblerConfig { max_in_progress: 1 << 17, seed: 42, ..Default::default() };
        let (mut assembler, mut sink, mut now_ns) =
            (Assembler::new(config, pool), Count::default(), 0);
        let ingest = measure(&case, |base| {
            generation(&case, &mut ring, base, |_, _, datagram| {
                now_ns += 100;
                black_box(assembler.ingest(0, Pieces::whole(datagram), now_ns, &mut sink));
            });
        });
        assert_eq!(sink.0 as u64, assembler.counters().bytes);
        println!(
            "{:>8} {:>6} {:>8} {copy:>9.1} {ingest:>9.1} {:>8.1} {:>7.0}%",
            case.size,
            case.fragments,
            case.in_progress,
            ingest - copy,
            100.0 * copy / ingest
        );
    }
}
