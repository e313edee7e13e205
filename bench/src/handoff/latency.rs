//! From the last fragment to the consumer's hands.
//!
//! ```text
//!  core 0, as a worker does                           core 1
//!  clock → into the last fragment's payload
//!  Assembler::ingest: placed, whole ─▶ outbox
//!  … the batch's other events
//!  outbox ─▶ queue                                    take → clock
//! ```

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use xdpsar_bench::spread::spread;
use xdpsar_dataplane::pin;
use xdpsar_handoff::Wait;
use xdpsar_reassembly::{
    Assembler, AssemblerConfig, Event, LostEvent, Outcome, Pool, PoolConfig, Sink,
};
use xdpsar_wire::{LbFraming, Pieces, ReHeader};
use zerocopy::IntoBytes;

use crate::{CAPACITY, calm::Calm, queue::Contestant};

const CONTESTANTS: [Contestant; 6] = [
    Contestant::Handoff(Wait::Spin),
    Contestant::Handoff(Wait::Adaptive),
    Contestant::Handoff(Wait::Sleep),
    Contestant::CrossbeamChannel,
    Contestant::Mutexed,
    Contestant::Incumbent,
];

/// Bytes of a fragment; an event has two, and the clock at the second's end.
const FRAGMENT: usize = 1000;
const CLOCK: usize = size_of::<u64>();

/// How events come.
#[derive(Clone, Copy)]
struct Pace {
    name: &'static str,
    batch: u64,
    every: Duration,
}

const PACES: [Pace; 3] = [
    Pace { name: "idle: 1 event per 100 µs", batch: 1, every: Duration::from_micros(100) },
    Pace { name: "busy: 1 event per 5 µs", batch: 1, every: Duration::from_micros(5) },
    Pace { name: "load: 16 events per 16 µs", batch: 16, every: Duration::from_micros(16) },
];

/// Of one run, in nanoseconds.
struct Figures {
    /// Of the time to the consumer: p50, p99.
    percentiles: [f64; 2],
    /// What putting a batch into the queue took the worker, in the mean.
    put: f64,
}

pub(crate) fn run(calm: &mut Calm, rounds: usize, events: u64) -> anyhow::Result<()> {
    let mut runs = PACES.map(|_| CONTESTANTS.map(|_| Vec::new()));
    for _ in 0..rounds {
        for (pace, runs) in PACES.into_iter().zip(&mut runs) {
            for (contestant, runs) in CONTESTANTS.into_iter().zip(runs) {
                runs.push(calm.run(|| measure(contestant, pace, events))?);
            }
        }
    }
    println!("| pace | queue | p50 | p99 | worker's time per batch |\n|---|---|---|---|---|");
    for (pace, runs) in PACES.into_iter().zip(runs) {
        for (contestant, runs) in CONTESTANTS.into_iter().zip(runs) {
            let of = |figure: &dyn Fn(&Figures) -> f64| {
                spread(runs.iter().map(|run| figure(run) / 1000.0).collect())
            };
            let [_, p50, _] = of(&|run| run.percentiles[0]);
            let [low, p99, high] = of(&|run| run.percentiles[1]);
            let [_, put, _] = of(&|run| run.put);
            println!(
                "| {} | {} | {p50:.2} | **{p99:.2}** ({low:.2}–{high:.0}) | {put:.2} |",
                pace.name,
                contestant.name(),
            );
        }
    }
    println!(
        "\nMicroseconds from just before an event's last fragment is ingested to the consumer that \
         has the event, clock included; {rounds} runs of {events} \
         events, of {} bytes in two fragments.\n",
        2 * FRAGMENT
    );
    Ok(())
}

#[derive(Default)]
struct Outbox(Vec<Event>);

impl Sink for Outbox {
    fn event(&mut self, event: Event) {
        self.0.push(event);
    }

    fn lost(&mut self, _lost: LostEvent) {}
}

fn measure(contestant: Contestant, pace: Pace, events: u64) -> anyhow::Result<Figures> {
    let (inputs, outputs) = contestant.open::<Event>(1, 1);
    let (input, output) =
        inputs.into_iter().next().zip(outputs.into_iter().next()).context("one of each")?;
    let epoch = Instant::now();
    thread::scope(|scope| {
        let consumer = scope.spawn(move || -> anyhow::Result<Vec<f64>> {
            pin::pin_current_thread(1)?;
            let mut latencies = Vec::with_capacity(events as usize);
            let mut taken = Vec::with_capacity(64);
            while output.take(&mut taken, 64) {
                let now = epoch.elapsed().as_nanos() as u64;
                for event in taken.drain(..) {
                    let clock = event.last_chunk::<CLOCK>().context("the clock is in it")?;
                    latencies.push((now - u64::from_ne_bytes(*clock)) as f64);
                }
            }
            Ok(latencies)
        });
        let worker = scope.spawn(move || -> anyhow::Result<f64> {
            pin::pin_current_thread(0)?;
            let pool = Pool::new(PoolConfig { budget: 64 << 20, max_event: 1 << 20 });
            let config = AssemblerConfig { framing: LbFraming::None, ..AssemblerConfig::default() };
            let mut assembler = Assembler::new(config, pool);
            let mut outbox = Outbox(Vec::with_capacity(CAPACITY));
            let (mut number, mut batches, mut putting) = (0, 0, Duration::ZERO);
            let mut due = epoch.elapsed() + Duration::from_millis(1);
            while number < events {
                let numbers = number..number + pace.batch;
                number = numbers.end;
                for number in numbers.clone() {
                    ingest(&mut assembler, &mut outbox, number, 0, 0);
                }
                while epoch.elapsed() < due {
                    std::hint::spin_loop();
                }
                due += pace.every;
                for number in numbers {
                    let now = epoch.elapsed().as_nanos() as u64;
                    ingest(&mut assembler, &mut outbox, number, FRAGMENT, now);
                }
                let before = Instant::now();
                input.put(&mut outbox.0);
                putting += before.elapsed();
                batches += 1;
            }
            Ok(putting.as_nanos() as f64 / f64::from(batches))
        });
        let put = worker.join().expect("a worker does not panic")?;
        let mut latencies = consumer.join().expect("a consumer does not panic")?;
        // The first ones warm up what is cold only once.
        latencies.drain(..latencies.len() / 10);
        latencies.sort_by(f64::total_cmp);
        let at = |share: f64| latencies[(latencies.len() as f64 * share) as usize];
        Ok(Figures { percentiles: [0.5, 0.99].map(at), put })
    })
}

/// One fragment of an event, the clock at its end.
fn ingest(assembler: &mut Assembler, outbox: &mut Outbox, number: u64, offset: usize, clock: u64) {
    let mut datagram = [0; size_of::<ReHeader>() + FRAGMENT];
    let header = ReHeader::new(1, offset as u32, 2 * FRAGMENT as u32, number);
    datagram[..size_of::<ReHeader>()].copy_from_slice(header.as_bytes());
    *datagram.last_chunk_mut().expect("it is longer") = clock.to_ne_bytes();
    let outcome = assembler.ingest(0, Pieces::from(&datagram[..]), clock, outbox);
    debug_assert!(matches!(outcome, Outcome::Placed | Outcome::Completed), "{outcome:?}");
}
