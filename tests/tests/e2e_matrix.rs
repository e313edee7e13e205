//! Every way in × every framing × every width: events are cut up in one host,
//! cross a cable, and come out whole in the other, each byte compared, none
//! lost.

use std::{fmt, net::SocketAddr, sync::Mutex};

use xdpsar::{
    AttachMode, Backend, BackendKind, Event, EventOptions, LbFraming, LbVersion, Pace, Reassembler,
    Segmenter, Stats, XdpOptions,
};
use xdpsar_tests::{
    Lab, LabConfig,
    pace::{PATIENCE, eventually},
    payload, privileged,
};

const BASE_PORT: u16 = 19522;
/// Lanes, that is UDP ports.
const LANES: u16 = 4;
const DATA_ID: u16 = 0x0505;
const LARGE: usize = 10_000_000;
/// Datagrams on the way: a veth queue holds twice as many, and the smallest
/// RX ring four times as many.
const ON_THE_WAY: u64 = 128;

/// One at a time: each has workers enough for all the cores there are.
static TURN: Mutex<()> = Mutex::new(());

/// One point of the matrix.
#[derive(Clone, Copy)]
struct Combination {
    way: Way,
    v6: bool,
    framing: Framing,
    workers: usize,
    lab: LabConfig,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    XdpNative,
    XdpGeneric,
    Socket,
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    LbV2,
    LbV3,
    /// As behind a load balancer.
    Stripped,
}

#[test]
fn xdp_native() {
    matrix(Way::XdpNative);
}

#[test]
fn xdp_generic() {
    matrix(Way::XdpGeneric);
}

#[test]
fn socket() {
    matrix(Way::Socket);
}

fn matrix(way: Way) {
    privileged!();
    let _turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut failures = Vec::new();
    let mut tried = 0;
    // One queue for four workers (fan-out), and a queue for each.
    for lab in [LabConfig { queues: 1, mtu: 1500 }, LabConfig { queues: 4, mtu: 9000 }] {
        let network = Lab::new(lab);
        // It drops messages that nobody has cut: see `super_packets.rs`.
        if matches!(way, Way::XdpGeneric) {
            network.sender.offload("tx-udp-segmentation", false);
        }
        for v6 in [false, true] {
            for framing in [Framing::LbV2, Framing::LbV3, Framing::Stripped] {
                for workers in [1, 2, 4] {
                    let combination = Combination { way, v6, framing, workers, lab };
                    tried += 1;
                    if let Err(failure) = combination.run(&network) {
                        failures.push(format!("{combination}: {failure}"));
                    }
                }
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {tried} combinations failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

impl fmt::Display for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { way, v6, framing, workers, lab } = self;
        let ip = if *v6 { "IPv6" } else { "IPv4" };
        write!(
            f,
            "{way:?}, {ip}, {framing:?}, {workers} worker(s), {} queue(s), MTU {}",
            lab.queues, lab.mtu
        )
    }
}

impl Combination {
    fn run(self, network: &Lab) -> Result<(), String> {
        let to = SocketAddr::new(network.receiver.address(self.v6), BASE_PORT);
        let receiver = network.receiver.run(|| self.receiver(to))?;
        let mut sender = network.sender.run(|| self.sender(to))?;
        let sent = self.events(sender.max_payload());
        let mut gate = Gate::new(&receiver, sender.mtu());
        for event in &sent {
            let bytes = payload::bytes(event.number, event.len);
            let options = EventOptions {
                event_number: Some(event.number),
                entropy: Some(event.entropy),
                tick: Some(event.tick()),
                ..EventOptions::default()
            };
            sender
                .send_paced(&bytes, options, &mut gate)
                .map_err(|error| format!("{event:?}: {error}"))?;
            if gate.stalled {
                return Err(format!("lost on the way, {event:?}: {:?}", receiver.stats()));
            }
        }
        let mut received = Vec::new();
        while received.len() < sent.len() {
            match receiver.recv_timeout(PATIENCE) {
                Ok(event) => received.push(event),
                Err(_) => break,
            }
        }
        receiver.join();
        // An event too many would be waiting now.
        received.extend(receiver.iter());
        let stats = receiver.stats();
        let datagrams = sender.counters().fragments;
        self.check(&sent, &received, &stats, datagrams).map_err(|failure| {
            format!("{failure}\n  {}\n  {stats:?}", receiver.backend().detail)
        })?;
        let left = network.receiver.xdp_programs();
        if left.is_empty() { Ok(()) } else { Err(format!("still attached: {left:?}")) }
    }

    fn receiver(self, listen: SocketAddr) -> Result<Reassembler, String> {
        let attach = match self.way {
            Way::XdpNative => AttachMode::Native,
            Way::XdpGeneric => AttachMode::Generic,
            Way::Socket => AttachMode::Auto,
        };
        let (backend, kind) = match self.way {
            Way::Socket => (Backend::Socket, BackendKind::Socket),
            Way::XdpNative | Way::XdpGeneric => (Backend::Xdp, BackendKind::Xdp),
        };
        let framing = match self.framing {
            // Told apart by content, and as announced.
            Framing::LbV2 => LbFraming::Auto,
            Framing::LbV3 => LbFraming::Keep,
            Framing::Stripped => LbFraming::None,
        };
        let receiver = Reassembler::builder(listen)
            .ports(LANES)
            .backend(backend)
            .xdp(XdpOptions { attach, ..XdpOptions::default() })
            .workers(self.workers)
            .lb_header(framing)
            .timeout(PATIENCE)
            .start()
            .map_err(|error| format!("the receiver does not start: {error}"))?;
        if receiver.backend().kind != kind {
            return Err(format!("runs on {:?}", receiver.backend()));
        }
        Ok(receiver)
    }

    fn sender(self, to: SocketAddr) -> Result<Segmenter, String> {
        let version = match self.framing {
            Framing::LbV2 => Some(LbVersion::V2),
            Framing::LbV3 => Some(LbVersion::V3),
            Framing::Stripped => None,
        };
        Segmenter::builder(to)
            .ports(LANES)
            .data_id(DATA_ID)
            .lb(version)
            .open()
            .map_err(|error| format!("the sender does not open: {error}"))
    }

    /// Every size on every lane, but the largest on one, that changes with
    /// the combination.
    fn events(self, one_fragment: usize) -> Vec<Outgoing> {
        let sizes = [0, 1, one_fragment - 1, one_fragment, one_fragment + 1, 100_000];
        let lanes = 0..LANES;
        let mut events: Vec<Outgoing> = sizes
            .iter()
            .flat_map(|&len| lanes.clone().map(move |lane| (len, lane)))
            // Entropy bits above the lane's must not matter.
            .map(|(len, lane)| (len, lane | 0xabc0))
            .zip(0x0123_4567_89ab_cd00..)
            .map(|((len, entropy), number)| Outgoing { number, entropy, len })
            .collect();
        let lane = (self.workers as u16 + u16::from(self.v6)) % LANES;
        events.push(Outgoing { number: 7, entropy: lane, len: LARGE });
        events
    }

    fn check(
        self,
        sent: &[Outgoing],
        received: &[Event],
        stats: &Stats,
        datagrams: u64,
    ) -> Result<(), String> {
        for expected in sent {
            let mut same = received.iter().filter(|event| event.event_number() == expected.number);
            let event = same.next().ok_or_else(|| format!("{expected:?} did not arrive"))?;
            if same.next().is_some() {
                return Err(format!("{expected:?} arrived twice"));
            }
            if let Some(at) = payload::first_difference(expected.number, expected.len, event) {
                return Err(format!("{expected:?} of {} bytes differs at {at}", event.len()));
            }
            let stripped = matches!(self.framing, Framing::Stripped);
            let about = (event.data_id(), event.lane(), event.entropy(), event.tick());
            let lane = expected.entropy % LANES;
            let (entropy, tick) = if stripped {
                (None, None)
            } else {
                (Some(expected.entropy), Some(expected.tick()))
            };
            if about != (DATA_ID, lane, entropy, tick) {
                return Err(format!("{expected:?}: data id, lane, entropy, tick are {about:?}"));
            }
            if usize::from(event.worker()) >= self.workers {
                return Err(format!("{expected:?} is from worker {}", event.worker()));
            }
        }
        if received.len() != sent.len() {
            return Err(format!("{} events arrived, {} were sent", received.len(), sent.len()));
        }
        let bytes: usize = sent.iter().map(|event| event.len).sum();
        let found = [
            ("events", stats.events_ok, sent.len() as u64),
            ("event bytes", stats.event_bytes, bytes as u64),
            ("datagrams", stats.datagrams, datagrams),
            ("fragments", stats.fragments, datagrams),
            ("bytes", stats.bytes, bytes as u64),
            ("duplicates", stats.duplicates, 0),
            ("late", stats.late, 0),
            ("lost", stats.events_lost.total(), 0),
            ("dropped", stats.dropped.total(), 0),
            ("kernel drops", stats.kernel_drops, 0),
            ("in progress", stats.in_progress, 0),
        ];
        match found.iter().find(|(_, counted, expected)| counted != expected) {
            Some((what, counted, expected)) => {
                Err(format!("{what}: {counted} counted, {expected} expected"))
            }
            None => Ok(()),
        }
    }
}

/// Lets datagrams leave as those before them have been received: a slow
/// machine is no loss.
struct Gate<'a> {
    receiver: &'a Reassembler,
    mtu: u64,
    sent: u64,
    /// What is on the way does not arrive; the rest is let through.
    stalled: bool,
}

impl<'a> Gate<'a> {
    fn new(receiver: &'a Reassembler, mtu: u32) -> Self {
        Self { receiver, mtu: mtu.into(), sent: 0, stalled: false }
    }
}

impl Pace for Gate<'_> {
    fn at_once(&self) -> u64 {
        ON_THE_WAY / 2 * self.mtu
    }

    fn wait_for(&mut self, ip_bytes: u64) {
        // All datagrams of a run but the last are full.
        self.sent += ip_bytes.div_ceil(self.mtu);
        let room = || self.sent <= self.receiver.stats().datagrams + ON_THE_WAY;
        self.stalled = self.stalled || !eventually(room);
    }
}

/// An event that is sent.
#[derive(Clone, Copy, Debug)]
struct Outgoing {
    number: u64,
    entropy: u16,
    len: usize,
}

impl Outgoing {
    const fn tick(&self) -> u64 {
        1_795_244_939_378_405 ^ self.number
    }
}
