//! A worker on a fanned-out queue that does not come back for its packets
//! loses its own, and nobody else's.
//!
//! Who stalls, when, and for how long follows from the test and not from the
//! machine's load: sources are asked in turn by one thread, or are not, and
//! what is on the way never exceeds what the rings between surely hold.

use std::{
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use xdpsar::{
    Backend, Event, EventOptions, Layout, LostEvent, Overflow, Reassembler, Segmenter, SendBackend,
    XdpOptions,
};
use xdpsar_dataplane::{
    AttachMode, Checksum, Datagram, Ingest, Intake, LaneCounters, ReceiveConfig, SocketOptions,
    Source, Wait, XdpReceiver, XdpSource,
};
use xdpsar_reassembly::{Assembler, AssemblerConfig, Lender, Pool, PoolConfig, Sink};
use xdpsar_tests::{
    Lab, LabConfig,
    pace::{PATIENCE, until},
    payload, privileged,
};
use xdpsar_wire::{LbFraming, LbHeader, ReHeader, steering::LaneMode};
use zerocopy::IntoBytes;

const PORT: u16 = 19522;
/// Entries of each worker's RX ring.
const RING: u64 = 512;
/// Frames that a source takes in hand at once.
const BATCH: u64 = 256;

const WORKERS: u16 = 4;
/// Bytes of an event, and the datagrams that it takes at an MTU of 1500.
const EVENT: usize = 20_000;
const FRAGMENTS: u64 = 14;
/// Events on each lane while a worker is stalled: ten times as many
/// datagrams as the queue has frames, so that whatever stays with the stalled
/// one's would be missed.
const ROUNDS: u64 = 3000;

fn listen(lab: &Lab) -> SocketAddr {
    SocketAddr::new(lab.receiver.address(false), PORT)
}

fn options() -> XdpOptions {
    XdpOptions {
        interface: Some("vb".into()),
        layout: Layout::FanOut,
        rx_ring: Some(RING as u32),
        ..XdpOptions::default()
    }
}

/// Whole events, each byte looked at.
#[derive(Default)]
struct Whole(u64);

impl Sink for Whole {
    fn event(&mut self, event: Event) {
        let difference = payload::first_difference(event.event_number(), EVENT, &event);
        assert_eq!(difference, None, "event {}", event.event_number());
        self.0 += 1;
    }

    fn lost(&mut self, lost: LostEvent) {
        panic!("no time passes here: {lost:?}");
    }
}

/// A worker without a thread: it works when it is asked to.
struct Worker {
    source: XdpSource,
    assembler: Assembler,
    lanes: LaneCounters,
    whole: Whole,
}

impl Worker {
    fn new(source: XdpSource) -> Self {
        let pool = Pool::new(PoolConfig { budget: 64 << 20, max_event: EVENT as u32 });
        let assembler = Assembler::new(AssemblerConfig::default(), pool);
        Self { source, assembler, lanes: LaneCounters::new(WORKERS), whole: Whole::default() }
    }

    /// One batch. With the first datagram of it in hand, and the rest, it does
    /// something else `first`.
    fn receive(&mut self, first: impl FnOnce()) -> u64 {
        let Self { source, assembler, lanes, whole } = self;
        let ingest = Ingest { assembler, now: 0, lanes, sink: whole };
        let mut intake = Stalls { first: Some(first), ingest };
        source.receive(&mut intake).expect("receive") as u64
    }

    /// Receives until so many events are whole.
    fn receive_until(&mut self, whole: u64) {
        let patience = Instant::now() + PATIENCE;
        while self.whole.0 < whole {
            assert!(Instant::now() < patience, "{:?}", self.source.counters());
            self.receive(|| ());
        }
    }
}

struct Stalls<'a, F> {
    first: Option<F>,
    ingest: Ingest<'a, Whole>,
}

impl<F: FnOnce()> Intake for Stalls<'_, F> {
    fn foresee(&mut self, first: &[u8]) {
        self.ingest.foresee(first);
    }

    fn take(&mut self, datagram: Datagram<'_>, lender: &mut impl Lender) {
        if let Some(first) = self.first.take() {
            first();
        }
        self.ingest.take(datagram, lender);
    }
}

/// The sender, and the workers that do not stall.
struct Others {
    sender: Segmenter,
    workers: Vec<(u16, Worker)>,
    /// Events sent to each of them.
    sent: u64,
    next: u64,
}

impl Others {
    fn send(&mut self, lane: u16) {
        let options = EventOptions {
            event_number: Some(self.next),
            entropy: Some(lane),
            ..EventOptions::default()
        };
        self.sender.send_with(&payload::bytes(self.next, EVENT), options).expect("sent");
        self.next += 1;
    }

    /// An event to each, in whole, and before it one to those that are
    /// `stalled`.
    fn round(&mut self, stalled: &[u16]) {
        stalled.iter().for_each(|lane| self.send(*lane));
        for nth in 0..self.workers.len() {
            self.send(self.workers[nth].0);
        }
        self.sent += 1;
        for (_, worker) in &mut self.workers {
            worker.receive_until(self.sent);
        }
    }

    /// Returns when what was sent before is in its ring: packets of a queue
    /// stay in order, and the driver passes on what it has at the end of its
    /// turn, which comes before the turn for the second round.
    fn settle(&mut self) {
        self.round(&[]);
        self.round(&[]);
    }
}

#[test]
fn the_others_lose_nothing() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    for attach in [AttachMode::Native, AttachMode::Generic] {
        stall(&lab, attach, &[2], 0);
        stall(&lab, attach, &[2], BATCH);
        // All but one, with all that they can hold.
        stall(&lab, attach, &[1, 2, 3], BATCH);
    }
}

/// A batch in the hands of each of these, one after the other, the others go
/// through all their rounds.
fn rounds_in_hand(lanes: &[u16], stalled: &mut [Worker], others: &mut Others) {
    match stalled {
        [] => (0..ROUNDS).for_each(|_| others.round(lanes)),
        [first, rest @ ..] => {
            let taken = first.receive(|| rounds_in_hand(lanes, rest, others));
            assert_eq!(taken, BATCH);
        }
    }
}

/// The workers of some `lanes` stall with so many frames in hand, and go on in
/// the end.
fn stall(lab: &Lab, attach: AttachMode, lanes: &[u16], in_hand: u64) {
    let config = ReceiveConfig {
        listen: lab.receiver.address(false),
        base_port: PORT,
        ports: WORKERS,
        lane_mode: LaneMode::Port,
        lanes: WORKERS,
        framing: LbFraming::Keep,
        workers: WORKERS.into(),
        wait: Wait::Adaptive,
        xdp: XdpOptions { attach, checksum: Checksum::Auto, ..options() },
        socket: SocketOptions::default(),
    };
    let (receiver, sources) = lab.receiver.run(|| XdpReceiver::open(&config).expect("opened"));
    let sender = lab.sender.run(|| {
        // One datagram, one packet, in either hook.
        let builder = Segmenter::builder(listen(lab)).backend(SendBackend::Mmsg);
        builder.ports(WORKERS).mtu(1500).sockets(1).open().expect("a sender")
    });
    let workers = (0..WORKERS).zip(sources.into_iter().map(Worker::new));
    let (stalled, workers): (Vec<_>, Vec<_>) = workers.partition(|(lane, _)| lanes.contains(lane));
    let mut stalled: Vec<_> = stalled.into_iter().map(|(_, worker)| worker).collect();
    let mut others = Others { sender, workers, sent: 0, next: 0 };

    let mut sent = ROUNDS * FRAGMENTS;
    if in_hand > 0 {
        let first = in_hand.div_ceil(FRAGMENTS);
        for lane in lanes {
            (0..first).for_each(|_| others.send(*lane));
        }
        sent += first * FRAGMENTS;
        others.settle();
        rounds_in_hand(lanes, &mut stalled, &mut others);
    } else {
        (0..ROUNDS).for_each(|_| others.round(lanes));
    }
    others.settle();

    // They go on with what they have in hand and what their rings had room
    // for.
    let kept = in_hand + RING;
    for worker in &mut stalled {
        while worker.receive(|| ()) > 0 {}
        let counters = worker.source.counters();
        assert_eq!(counters.datagrams, kept, "{counters:?}");
        assert_eq!(counters.rx_ring_full, sent - kept, "{counters:?}");
        assert_eq!(counters.kernel_drops, counters.rx_ring_full, "{counters:?}");
        assert_eq!(worker.whole.0, kept / FRAGMENTS, "the first that were sent");
    }

    // And lose nothing more.
    for round in 1..=50 {
        others.round(lanes);
        stalled.iter_mut().for_each(|worker| worker.receive_until(kept / FRAGMENTS + round));
    }
    for worker in &mut stalled {
        assert_eq!(worker.source.counters().rx_ring_full, sent - kept);
    }

    for (_, worker) in &mut others.workers {
        let counters = worker.source.counters();
        assert_eq!(worker.whole.0, others.sent, "{counters:?}");
        assert_eq!(counters.datagrams, others.sent * FRAGMENTS, "{counters:?}");
        let lost = [counters.kernel_drops, counters.rx_ring_full, counters.fill_ring_empty];
        assert_eq!(lost, [0; 3], "{counters:?}");
    }
    let program = receiver.program_counters().expect("counters");
    assert_eq!(program[0], others.next * FRAGMENTS, "redirected");
}

/// Of each lane's datagrams on the way: no more than the driver's own ring
/// (256 packets) surely holds.
const STEP: u64 = 64;
const STEPS: u64 = 40;
/// Events that the hand-off has room for.
const QUEUE: usize = 64;

/// Finished events of all workers wait in one queue. One whose events find it
/// full stalls, if that is the policy; one whose events are not yet whole has
/// no need of it, and must get every fragment.
#[test]
fn a_worker_that_waits_for_its_consumer_stalls_no_other() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    let receiver = lab.receiver.run(|| {
        let builder = Reassembler::builder(listen(&lab)).backend(Backend::Xdp).xdp(options());
        let builder = builder.ports(2).workers(2).queue(QUEUE).overflow(Overflow::Block);
        // No event in progress ends for want of time.
        builder.timeout(2 * PATIENCE).start().expect("started")
    });
    let socket = lab.sender.run(|| UdpSocket::bind("0.0.0.0:0").expect("a UDP socket"));
    let fragment = |lane: u16, number: u64, at: usize, len: usize, of: &[u8]| {
        let mut bytes = LbHeader::v2(lane, number).as_bytes().to_vec();
        bytes.extend(ReHeader::new(0, at as u32, of.len() as u32, number).as_bytes());
        bytes.extend(&of[at..at + len]);
        let to = SocketAddr::new(lab.receiver.address(false), PORT + lane);
        assert_eq!(socket.send_to(&bytes, to).expect("sent"), bytes.len());
    };

    // Lane 0: whole events. Lane 1: all of one event, but for its end.
    let large = payload::bytes(u64::MAX, 1400 * (STEP * STEPS + 1) as usize);
    for step in 1..=STEPS {
        for number in (step - 1) * STEP..step * STEP {
            fragment(0, number, 0, 100, &payload::bytes(number, 100));
            fragment(1, u64::MAX, 1400 * number as usize, 1400, &large);
        }
        until("the other worker has what is its own", || {
            receiver.stats().workers[1].datagrams == step * STEP
        });
    }
    assert_eq!(receiver.stats().queued, QUEUE as u64, "nobody takes what is whole");
    fragment(1, u64::MAX, large.len() - 1400, 1400, &large);

    // Somebody takes it after all.
    let is_over = || {
        let [first, second] = &receiver.stats().workers[..] else { panic!("two workers") };
        first.datagrams + first.rx_ring_full == STEPS * STEP && second.events == 1
    };
    let (mut whole, patience) = (0, Instant::now() + PATIENCE);
    loop {
        let over = is_over();
        match receiver.recv_timeout(Duration::from_millis(20)) {
            Ok(event) => {
                let len = if event.lane() == 0 { 100 } else { large.len() };
                let difference = payload::first_difference(event.event_number(), len, &event);
                assert_eq!(difference, None, "event {}", event.event_number());
                whole += 1;
            }
            Err(_) if over => break,
            Err(_) => assert!(Instant::now() < patience, "{:?}", receiver.stats()),
        }
    }
    receiver.join();
    let stats = receiver.stats();
    let [stalled, other] = &stats.workers[..] else { panic!("two workers") };
    // At most this much was taken: queued, in an outbox, in hand, in its ring.
    let kept = QUEUE as u64 + 2 * BATCH + RING;
    assert!(stalled.rx_ring_full >= STEPS * STEP - kept, "{stats:?}");
    assert_eq!(stalled.events + stalled.rx_ring_full, STEPS * STEP, "{stats:?}");
    assert_eq!((other.datagrams, other.events), (STEPS * STEP + 1, 1), "{stats:?}");
    let lost = [other.kernel_drops, other.rx_ring_full];
    assert_eq!((lost, stalled.fill_ring_empty), ([0; 2], 0), "{stats:?}");
    assert_eq!(stats.events_ok, whole, "{stats:?}");
    assert_eq!((stats.events_lost.total(), stats.dropped.total()), (0, 0), "{stats:?}");
}
