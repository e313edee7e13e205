//! Memory stays within its bounds, whatever comes in and whoever holds on to
//! events.

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
    mpsc,
};

use common::{Kept, MS, Rig, content, datagram, fragments};
use xdpsar_reassembly::{
    Assembler, AssemblerConfig, BudgetPolicy, Event, LossCause, LostEvent, Outcome, Pool,
    PoolConfig, Rejection, Sink,
};
use xdpsar_wire::Pieces;

/// Bytes of budget that a buffer takes.
const fn buffer(size: u64) -> u64 {
    size + 64
}

#[test]
fn refused_events_are_reported_once_and_room_is_used_again() {
    let pool = PoolConfig { budget: 10 * buffer(1024), max_event: 1 << 20 };
    let mut rig = Rig::with(AssemblerConfig::default(), pool);
    for number in 0..12 {
        let event = fragments(number, 0, 1000, 500);
        let outcome =
            if number < 10 { Outcome::Placed } else { Outcome::Rejected(Rejection::Budget) };
        assert_eq!(rig.ingest(&event[0]), outcome, "{number}");
    }
    assert_eq!(rig.ingest(&fragments(10, 0, 1000, 500)[1]), Outcome::Rejected(Rejection::Budget));
    assert_eq!(rig.sink.lost.len(), 2);
    assert_eq!(rig.assembler.counters().over_budget, 3);
    assert_eq!(rig.ingest(&fragments(0, 0, 1000, 500)[1]), Outcome::Completed);
    // The consumer still holds the event; the memory is not free yet.
    assert_eq!(rig.ingest(&fragments(20, 0, 1000, 500)[0]), Outcome::Rejected(Rejection::Budget));
    rig.sink.events.clear();
    assert_eq!(rig.ingest(&fragments(21, 0, 1000, 500)[0]), Outcome::Placed);
    // Refused keys are forgotten after a timeout like others.
    rig.pass(500 * MS);
    assert_eq!(rig.ingest(&fragments(10, 0, 1000, 500)[0]), Outcome::Placed);
}

#[test]
fn evict_oldest_gives_up_the_event_with_the_oldest_progress() {
    let pool = PoolConfig { budget: 3 * buffer(1024), max_event: 1 << 20 };
    let config = AssemblerConfig { on_budget: BudgetPolicy::EvictOldest, ..Default::default() };
    let mut rig = Rig::with(config, pool);
    for number in 0..3 {
        rig.now_ns += 63 * MS;
        assert_eq!(rig.ingest(&fragments(number, 0, 1000, 400)[0]), Outcome::Placed);
    }
    rig.now_ns += 63 * MS;
    // Progress makes the first event the youngest; a duplicate does not.
    assert_eq!(rig.ingest(&fragments(0, 0, 1000, 400)[1]), Outcome::Placed);
    assert_eq!(rig.ingest(&fragments(1, 0, 1000, 400)[0]), Outcome::Duplicate);
    assert_eq!(rig.ingest(&fragments(3, 0, 1000, 400)[0]), Outcome::Placed);
    let evicted = LostEvent {
        event_number: 1,
        data_id: 0,
        length: 1000,
        fragments: 1,
        bytes: 400,
        cause: LossCause::Evicted,
    };
    assert_eq!(rig.sink.lost, [evicted]);
    assert_eq!(rig.ingest(&fragments(1, 0, 1000, 400)[1]), Outcome::Late);
    // What cannot fit evicts nobody: longer than the budget …
    assert_eq!(rig.ingest(&fragments(4, 0, 4000, 400)[0]), Outcome::Rejected(Rejection::Budget));
    assert_eq!(rig.assembler.in_progress().0, 3);
    // … or held by the consumer.
    assert_eq!(rig.ingest(&fragments(0, 0, 1000, 400)[2]), Outcome::Completed);
    assert_eq!(rig.ingest(&fragments(5, 0, 2500, 400)[0]), Outcome::Rejected(Rejection::Budget));
    assert_eq!(rig.assembler.in_progress().0, 2);
    assert_eq!(rig.ingest(&fragments(6, 0, 2000, 400)[0]), Outcome::Placed);
    assert_eq!(rig.assembler.counters().lost_evicted, 3);
}

#[test]
fn the_number_of_events_in_progress_is_bounded() {
    for on_budget in [BudgetPolicy::RefuseNew, BudgetPolicy::EvictOldest] {
        let config = AssemblerConfig { max_in_progress: 3, on_budget, ..Default::default() };
        let mut rig = Rig::with(config, PoolConfig { budget: 1 << 20, max_event: 1 << 20 });
        for number in 0..5 {
            rig.ingest(&fragments(number, 0, 1000, 400)[0]);
        }
        // An event in one datagram needs no place.
        assert_eq!(rig.ingest(&fragments(9, 0, 400, 400)[0]), Outcome::Completed);
        assert_eq!(rig.assembler.in_progress(), (3, 1200));
        let (numbers, cause) = match on_budget {
            BudgetPolicy::RefuseNew => ([3, 4], LossCause::Budget),
            BudgetPolicy::EvictOldest => ([0, 1], LossCause::Evicted),
        };
        let lost: Vec<_> =
            rig.sink.lost.iter().map(|lost| (lost.event_number, lost.cause)).collect();
        assert_eq!(lost, numbers.map(|number| (number, cause)));
    }
}

#[test]
fn coverage_that_finds_no_memory_loses_its_event_once() {
    // Room for the buffer, not for a list of runs.
    let pool = PoolConfig { budget: buffer(2048), max_event: 2048 };
    let mut rig = Rig::with(AssemblerConfig::default(), pool);
    assert_eq!(rig.ingest(&datagram(1, 0, 100, 2000, &[1; 10])), Outcome::Placed);
    let odd = datagram(1, 0, 500, 2000, &[1; 33]);
    assert_eq!(rig.ingest(&odd), Outcome::Rejected(Rejection::Budget));
    assert_eq!(rig.ingest(&odd), Outcome::Rejected(Rejection::Budget));
    let lost = LostEvent {
        event_number: 1,
        data_id: 0,
        length: 2000,
        fragments: 1,
        bytes: 10,
        cause: LossCause::Budget,
    };
    assert_eq!(rig.sink.lost, [lost]);
    rig.pass(0);
    assert_eq!(rig.pool.in_use(), 0);
}

#[test]
fn a_hundred_thousand_events_in_progress() {
    let (events, size) = if cfg!(miri) { (100, 4) } else { (100_000, 4) };
    let config = AssemblerConfig {
        max_in_progress: events as u32,
        remembered: events as u32 / 2,
        seed: 0x5eed,
        ..Default::default()
    };
    let pool = Pool::new(PoolConfig { budget: 1 << 30, max_event: 1 << 20 });
    let mut assembler = Assembler::new(config, Arc::clone(&pool));
    let mut sink = Kept::default();
    for nth in [1, 0, 3, 2] {
        for number in 0..events {
            let datagram = &fragments(number * 1000, 0, 4 * size, size as usize)[nth];
            assembler.ingest(0, Pieces::whole(datagram), MS, &mut sink);
        }
        if nth != 2 {
            assert_eq!(assembler.in_progress().0 as u64, events);
        }
        assembler.check_structure();
    }
    assert_eq!((sink.events.len() as u64, sink.lost.len()), (events, 0));
    for event in &sink.events {
        assert!(event.as_slice() == content(event.event_number(), 0, 4 * size));
    }
    assert_eq!(assembler.in_progress(), (0, 0));
    drop(sink);
    assembler.expire(MS, 0, &mut Kept::default());
    assert_eq!(pool.in_use(), 0);
}

/// Passes events on to other threads.
struct Hand(mpsc::Sender<Event>);

impl Sink for Hand {
    fn event(&mut self, event: Event) {
        self.0.send(event).expect("consumers outlive workers");
    }

    fn lost(&mut self, _: LostEvent) {}
}

#[test]
fn buffers_come_back_from_other_threads() {
    let (events, longest) = if cfg!(miri) { (20, 3000) } else { (5000, 30_000) };
    let (workers, consumers) = (2, 2);
    // Tight, so that workers meet trimming, stand-ins and refusals.
    let pool = Pool::new(PoolConfig { budget: 256 << 10, max_event: 64 << 10 });
    let done = AtomicBool::new(false);
    let counters = std::thread::scope(|scope| {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..consumers).map(|_| mpsc::channel::<Event>()).unzip();
        for receiver in receivers {
            scope.spawn(move || {
                for event in receiver {
                    let expected =
                        content(event.event_number(), event.data_id(), event.len() as u32);
                    assert!(event.as_slice() == expected, "{event:?}");
                }
            });
        }
        let watched = (&pool, &done);
        scope.spawn(move || {
            let (pool, done) = watched;
            while !done.load(Ordering::Relaxed) {
                assert!(pool.held() <= pool.budget());
                assert!(pool.in_use() <= pool.budget());
                std::thread::yield_now();
            }
        });
        let workers: Vec<_> = (0..workers)
            .map(|worker: u16| {
                let pool = Arc::clone(&pool);
                let sender = senders[usize::from(worker) % senders.len()].clone();
                scope.spawn(move || {
                    let config = AssemblerConfig { worker, ..Default::default() };
                    let (mut assembler, mut sink) = (Assembler::new(config, pool), Hand(sender));
                    for number in 0..events {
                        let length = 100 + (number * 7919 % longest) as u32;
                        let mut parts = fragments(number, worker, length, 1400);
                        parts.reverse();
                        parts.rotate_left(number as usize % 3 % length.div_ceil(1400) as usize);
                        for part in &parts {
                            assembler.ingest(0, Pieces::whole(part), number * MS, &mut sink);
                        }
                    }
                    assembler.finish(&mut sink);
                    assembler.check_structure();
                    *assembler.counters()
                })
            })
            .collect();
        drop(senders);
        let counters: Vec<_> = workers.into_iter().map(|w| w.join().expect("worker")).collect();
        done.store(true, Ordering::Relaxed);
        counters
    });
    for counters in counters {
        assert_eq!(counters.events + counters.lost(), events);
        assert!(counters.events > 0);
    }
    assert_eq!(pool.in_use(), 0);
    assert!(pool.held() <= pool.budget());
}

#[test]
fn dropping_an_assembler_gives_everything_back() {
    let mut rig = Rig::new();
    for number in 0..50 {
        // With a gap: bitmaps come back as well.
        for offset in [0, 70_000] {
            rig.ingest(&datagram(number, 0, offset, 100_000, &[1; 1000]));
        }
    }
    assert!(rig.pool.in_use() > 50 * 100_000);
    let Rig { assembler, pool, .. } = rig;
    drop(assembler);
    assert_eq!(pool.in_use(), 0);
}
