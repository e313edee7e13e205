//! A day of events at full rate, by count: a thousand million fragments, and
//! at the end every counter is what it must be, and memory is what it was.
//!
//! ```text
//!   256 events take turns, each by a script:        consumer thread: checks every byte,
//!   any order, duplicates, overlaps, losses, lies      │ drops: memory comes home from afar
//!        │ 64 datagrams a batch                        ▲
//!        ▼                                             │ every other event
//!   Assembler ─────────────────────────────────────────┴─ the rest are checked and dropped here
//! ```
//!
//! Time alternates: a million datagrams at ten million a second, when finished
//! keys are pushed out by newer ones and torn events pile up, then a million
//! at 5800 a second, when all of that expires. A thousand million datagrams
//! are 24 hours.
//!
//! | module | holds |
//! |---|---|
//! | [`script`] | what can happen to an event, and what must become of it |
//! | [`traffic`] | the datagrams of all events, taking turns |
//! | [`memory`] | resident and held memory, sampled |
#![forbid(unsafe_code)]

mod memory;
mod script;
mod traffic;

use std::{
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    time::Instant,
};

use anyhow::{Context, ensure};
use clap::Parser;
use xdpsar_bench::machine;
use xdpsar_reassembly::{
    Assembler, AssemblerConfig, Counters, Event, LostEvent, Pool, PoolConfig, Sink,
};
use xdpsar_wire::Pieces;

use crate::{
    memory::Memory,
    traffic::{Pattern, Traffic, data_id},
};

/// Datagrams that a worker takes at once.
const BATCH: usize = 64;
/// Bytes of a frame of packet memory.
const FRAME: usize = 2048;
/// Datagrams until time changes its pace.
const PACE_CHANGES_AFTER: u64 = 1 << 20;
/// Nanoseconds per datagram, in turn. The second makes a thousand million
/// datagrams 24 hours.
const PACES: [u64; 2] = [100, 172_700];
/// Events on their way to the consumer at most.
const QUEUE: usize = 64;

/// Feeds a reassembly core with a day's events, and checks that nothing
/// drifts.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Datagrams to feed it with, at least.
    #[arg(long, default_value_t = 1_000_000_000)]
    fragments: u64,
}

/// Checks every event, here or at the consumer's.
struct Check<'a> {
    pattern: &'a Pattern,
    consumer: SyncSender<Event>,
    events: u64,
    lost: u64,
    wrong: u64,
}

impl Sink for Check<'_> {
    fn event(&mut self, event: Event) {
        self.events += 1;
        if self.events.is_multiple_of(2) {
            self.wrong += u64::from(!is_right(self.pattern, &event));
        } else if self.consumer.send(event).is_err() {
            // The consumer is gone: joining it will say why.
            self.wrong += 1;
        }
    }

    fn lost(&mut self, _: LostEvent) {
        self.lost += 1;
    }
}

/// When nothing can come out any more.
struct Nothing;

impl Sink for Nothing {
    fn event(&mut self, event: Event) {
        unreachable!("{event:?} after the end")
    }

    fn lost(&mut self, lost: LostEvent) {
        unreachable!("{lost:?} after the end")
    }
}

fn is_right(pattern: &Pattern, event: &Event) -> bool {
    event.data_id() == data_id(event.event_number())
        && event.as_slice() == pattern.part(event.event_number(), 0, event.len())
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let pattern = Pattern::new();
    let (to_consumer, events) = sync_channel::<Event>(QUEUE);
    std::thread::scope(|scope| {
        let pattern = &pattern;
        let consumer = scope
            .spawn(move || events.iter().filter(|event| !is_right(pattern, event)).count() as u64);
        let sink = Check { pattern, consumer: to_consumer, events: 0, lost: 0, wrong: 0 };
        let soak = Soak::run(arguments.fragments, sink)?;
        let wrong = consumer.join().ok().context("the consumer panicked")?;
        soak.judge(wrong)
    })
}

/// What a run has come to.
struct Soak {
    started: Instant,
    traffic: Traffic,
    assembler: Assembler,
    pool: Arc<Pool>,
    memory: Memory,
    now_ns: u64,
    events: u64,
    lost: u64,
    wrong: u64,
}

impl Soak {
    fn run(fragments: u64, mut sink: Check<'_>) -> anyhow::Result<Self> {
        let started = Instant::now();
        let pool = Pool::new(PoolConfig { budget: 256 << 20, max_event: script::MAX_EVENT });
        let config = AssemblerConfig { seed: 0x50a4, ..AssemblerConfig::default() };
        let timeout_ns = config.timeout_ns;
        let mut assembler = Assembler::new(config, Arc::clone(&pool));
        let mut traffic = Traffic::new();
        let mut memory = Memory::new(fragments);
        let mut frames = vec![[0; FRAME]; BATCH];
        let mut lens = Vec::with_capacity(BATCH);
        let (mut sent, mut now_ns) = (0, 0);
        loop {
            lens.clear();
            for frame in &mut frames {
                lens.extend(traffic.next(sink.pattern, frame));
            }
            let datagrams = || frames.iter().zip(&lens).map(|(frame, len)| &frame[..*len]);
            let mut ahead = datagrams();
            ahead.by_ref().take(Assembler::LOOKAHEAD).for_each(|first| assembler.foresee(first));
            for datagram in datagrams() {
                ahead.next().into_iter().for_each(|first| assembler.foresee(first));
                assembler.ingest(0, Pieces::whole(datagram), now_ns, &mut sink);
            }
            assembler.expire(now_ns, 16, &mut sink);
            let pace = PACES[(sent / PACE_CHANGES_AFTER % 2) as usize];
            now_ns += pace * lens.len() as u64;
            sent += lens.len() as u64;
            memory.sample(sent, &pool)?;
            if sent >= fragments {
                traffic.close();
            }
            if lens.len() < BATCH {
                break;
            }
        }
        // The end: all that is torn expires.
        now_ns += 2 * timeout_ns;
        while assembler.expire(now_ns, 1024, &mut sink) > 0 {}
        let Check { events, lost, wrong, .. } = sink;
        Ok(Self { started, traffic, assembler, pool, memory, now_ns, events, lost, wrong })
    }

    /// Prints what has come of it.
    ///
    /// # Errors
    /// Says what is not as it must be.
    fn judge(mut self, wrong_at_consumer: u64) -> anyhow::Result<()> {
        // Whatever the consumer dropped last is noticed with the next batch.
        self.assembler.expire(self.now_ns, 1, &mut Nothing);
        let Self { traffic, assembler, pool, memory, .. } = &self;
        let counters = assembler.counters();
        let (begun, wrapped) = traffic.events();
        let seconds = self.started.elapsed().as_secs_f64();
        println!("{}", machine::description());
        println!("commit       {}", machine::commit());
        println!(
            "fed          {} datagrams, {} bytes, of {begun} events, in {seconds:.0} s",
            counters.datagrams, counters.datagram_bytes
        );
        println!("time         {:.2} hours on the core's axis", self.now_ns as f64 / 3.6e12);
        println!("numbers      passed 2⁶⁴: {}", if wrapped { "yes" } else { "no" });
        println!("{memory}");
        println!("\n{:18} {:>16} {:>16}", "counter", "expected", "counted");
        let expected = traffic.expected();
        let mut differing = 0;
        for ((name, wanted), got) in Counters::NAMES.iter().zip(&expected).zip(counters.values()) {
            let mark = if *wanted == got { "" } else { "  ✗" };
            differing += usize::from(*wanted != got);
            println!("{name:18} {wanted:>16} {got:>16}{mark}");
        }
        assembler.check_structure();
        let wrong = self.wrong + wrong_at_consumer;
        println!("\nevents delivered {}, wrong {wrong}; lost {}", self.events, self.lost);
        ensure!(differing == 0, "{differing} counters are not what they must be");
        ensure!(wrong == 0, "{wrong} events have wrong bytes");
        ensure!(self.events == counters.events, "{} events came out", self.events);
        ensure!(self.lost == counters.lost(), "{} losses were reported", self.lost);
        ensure!(assembler.in_progress() == (0, 0), "{:?} in progress", assembler.in_progress());
        ensure!(pool.in_use() == 0, "{} bytes of the pool are in use", pool.in_use());
        memory.judge()?;
        println!("All good: every counter exact, memory flat.");
        Ok(())
    }
}
