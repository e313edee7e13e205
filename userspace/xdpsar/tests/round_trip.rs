//! What a segmenter sends, a reassembler hands out: over the loopback
//! interface, through the socket path, without privileges.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use xdpsar::{
    Backend, Error, EventOptions, LaneMode, LbFraming, LbVersion, Pace, Reassembler,
    ReassemblerBuilder, Segmenter, SegmenterBuilder, SetupErrorKind,
};

/// Nothing here takes this long unless it never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes that tell event and position.
fn pattern(event_number: u64, length: usize) -> Vec<u8> {
    let seed = event_number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..length as u64)
        .map(|i| ((i ^ seed).wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8)
        .collect()
}

/// Starts a receiver on `ports` free ports.
fn start(
    ip: &str,
    ports: u16,
    set: impl Fn(ReassemblerBuilder) -> ReassemblerBuilder,
) -> Reassembler {
    for _ in 0..100 {
        let free = UdpSocket::bind((ip, 0)).unwrap().local_addr().unwrap();
        let builder =
            Reassembler::builder(free).backend(Backend::Socket).ports(ports).timeout(PATIENCE);
        match set(builder).start() {
            Ok(receiver) => return receiver,
            Err(Error::Setup(error)) if taken(error.kind, free, ports) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no {ports} free ports in a row");
}

fn taken(kind: SetupErrorKind, first: SocketAddr, ports: u16) -> bool {
    kind == SetupErrorKind::PortInUse || first.port().checked_add(ports - 1).is_none()
}

/// Datagrams on the way: half of what the smallest receive buffer that a host
/// may grant (212 kB, twice) has room for.
const fn on_the_way(mtu: u32) -> u64 {
    match 212_992 / (mtu.next_power_of_two() as u64 + 1024) {
        0..2 => 2,
        fits => fits,
    }
}

/// Lets datagrams leave as those before them have been received: a slow
/// machine is no loss.
struct Gate<'a> {
    receiver: &'a Reassembler,
    mtu: u32,
    sent: u64,
}

impl Pace for Gate<'_> {
    fn at_once(&self) -> u64 {
        on_the_way(self.mtu) / 2 * u64::from(self.mtu)
    }

    fn wait_for(&mut self, ip_bytes: u64) {
        // All datagrams of a run but the last are full.
        self.sent += ip_bytes.div_ceil(self.mtu.into());
        let start = Instant::now();
        while self.sent > self.receiver.stats().datagrams + on_the_way(self.mtu) {
            let stats = || self.receiver.stats();
            assert!(start.elapsed() < PATIENCE, "lost of {} sent, {:?}", self.sent, stats());
            thread::sleep(Duration::from_micros(200));
        }
    }
}

/// Sends events of many lengths and expects each back, whole and once.
fn round_trip(receiver: &Reassembler, sender: SegmenterBuilder) {
    let mut sender = sender.data_id(9).open().unwrap();
    let before = receiver.stats().datagrams;
    let mut gate = Gate { receiver, mtu: sender.mtu(), sent: before };
    let payload = sender.max_payload();
    let lengths = [0, 1, 66, payload - 1, payload, payload + 1, 3000, 100_000, 1 << 20];
    let mut expected = BTreeMap::new();
    for length in lengths {
        for _ in 0..4 {
            let number = 100 + expected.len() as u64;
            let options = EventOptions {
                event_number: Some(number),
                // Every residue comes up: which workers are busy is no chance.
                entropy: Some(number as u16),
                ..EventOptions::default()
            };
            let event = pattern(number, length);
            assert_eq!(sender.send_paced(&event, options, &mut gate).unwrap(), number);
            expected.insert(number, event);
        }
    }
    while !expected.is_empty() {
        let event = match receiver.recv_timeout(PATIENCE) {
            Ok(event) => event,
            Err(_) => panic!("{} events missing, {:?}", expected.len(), receiver.stats()),
        };
        assert_eq!(event.data_id(), 9);
        let sent = expected.remove(&event.event_number()).expect("an event that was sent, once");
        assert!(*event == *sent, "event {} differs", event.event_number());
    }
    assert_eq!(sender.counters().failed, 0);
}

#[test]
fn one_port_both_ip_versions_and_every_header() {
    for ip in ["127.0.0.1", "::1"] {
        for lb in [Some(LbVersion::V2), Some(LbVersion::V3), None] {
            for mtu in [1500, 9000] {
                let receiver = start(ip, 1, |builder| builder);
                let sender = Segmenter::builder(receiver.local_addr()).lb(lb).mtu(mtu);
                round_trip(&receiver, sender);
            }
        }
    }
}

#[test]
fn many_ports_are_spread_over_workers() {
    let receiver = start("127.0.0.1", 8, |builder| builder.workers(3));
    let to = receiver.local_addr();
    round_trip(&receiver, Segmenter::builder(to).ports(8).sockets(3).mtu(1500));
    receiver.stop();
    receiver.join();
    let busy = receiver.stats().workers.iter().filter(|worker| worker.datagrams > 0).count();
    assert_eq!(busy, 3, "36 entropies in a row reach all workers");
}

#[test]
fn one_port_is_spread_over_workers_by_entropy() {
    let receiver = start("127.0.0.1", 1, |builder| {
        builder.lane_mode(LaneMode::Entropy).lanes(8).lb_header(LbFraming::Keep).workers(4)
    });
    round_trip(&receiver, Segmenter::builder(receiver.local_addr()).mtu(1500));
    receiver.stop();
    receiver.join();
    let busy = receiver.stats().workers.iter().filter(|worker| worker.datagrams > 0).count();
    assert_eq!(busy, 4, "36 entropies in a row reach all workers");
}
