//! From senders to workers: who gets which events (`control-plane.md` §9,
//! §10, §22).

mod common;

use std::{
    net::{Ipv4Addr, UdpSocket},
    time::{Duration, Instant},
};

use common::{PATIENCE, address, client, state};
use xdpsar_control::{
    Reserve,
    blocking::LoadBalancer,
    client::{
        reservation::Strategy,
        worker::{PortRange, Register, Session, SlotRange, State},
    },
};
use xdpsar_lb_server::{Config, Server};

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

fn server() -> Server {
    let plane = Some(HERE.into());
    Server::start(Config { plane, v6: false, ..Config::default() }).expect("a server")
}

struct Worker {
    socket: UdpSocket,
    session: Session,
    got: Vec<u64>,
}

impl Worker {
    fn new(lb: &LoadBalancer, name: &str, weight: f32) -> Self {
        let socket = UdpSocket::bind((HERE, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let port = socket.local_addr().unwrap().port();
        let node = Register::new(name, HERE.into(), port);
        let node = Register { weight, min_factor: 0.1, max_factor: 4.0, ..node };
        Self { socket, session: lb.register(None, &node).unwrap(), got: Vec::new() }
    }

    /// The event number stands in the payload, too.
    fn drain(&mut self) {
        let mut packet = [0; 64];
        while let Ok(length) = self.socket.recv(&mut packet) {
            assert_eq!(length, 8, "the load balancer's header is gone");
            self.got.push(u64::from_be_bytes(packet[..8].try_into().unwrap()));
        }
    }
}

fn packet(version: u8, select: u16, entropy: u16, event: u64) -> Vec<u8> {
    let mut packet = vec![b'L', b'B', version, 1];
    packet.extend(select.to_be_bytes());
    packet.extend(entropy.to_be_bytes());
    packet.extend(event.to_be_bytes());
    packet.extend(event.to_be_bytes());
    packet
}

struct Sender {
    socket: UdpSocket,
    lb_id: String,
}

impl Sender {
    fn new(lb: &LoadBalancer) -> Self {
        let socket = UdpSocket::bind((HERE, 0)).unwrap();
        socket.connect(lb.uri().data_addr().unwrap()).unwrap();
        Self { socket, lb_id: lb.uri().lb_id().to_owned() }
    }

    /// One packet, once the load balancer has dealt with it: no buffer
    /// overflows.
    fn send(&self, server: &Server, packet: &[u8]) {
        let before = self.count(server, "rx_packets");
        self.socket.send(packet).unwrap();
        let begin = Instant::now();
        while self.count(server, "rx_packets") == before {
            assert!(begin.elapsed() < PATIENCE, "a packet was lost");
            std::thread::yield_now();
        }
    }

    fn count(&self, server: &Server, counter: &str) -> u64 {
        server.counters(&self.lb_id).get(counter).copied().unwrap_or(0)
    }
}

/// Events from the newest epoch's beginning on; who got how many.
fn run(server: &Server, lb: &LoadBalancer, workers: &mut [Worker], events: u64) -> Vec<usize> {
    let sender = Sender::new(lb);
    let first = lb.status(None).unwrap().predicted_event_number;
    for event in first..first + events {
        sender.send(server, &packet(2, 0, 0, event));
        workers.iter_mut().for_each(Worker::drain);
    }
    let counts = workers.iter().map(|worker| worker.got.len()).collect();
    workers.iter_mut().for_each(|worker| worker.got.clear());
    counts
}

fn reserved(server: &Server) -> LoadBalancer {
    let lb = client(server);
    lb.reserve(&Reserve::new("plane").from([HERE.into()])).unwrap();
    lb
}

/// By weights 1:1:2; then one sheds load by its signal, one is no longer
/// ready, and one dies.
#[test]
fn events_go_where_they_should() {
    const EVENTS: u64 = 1024;
    let server = server();
    let lb = reserved(&server);
    let mut workers =
        [("a", 1.0), ("b", 1.0), ("c", 2.0)].map(|(name, weight)| Worker::new(&lb, name, weight));
    server.tick();
    let shares = run(&server, &lb, &mut workers, EVENTS);
    for (share, ideal) in shares.iter().zip([256, 256, 512]) {
        assert!(share.abs_diff(ideal) * 20 <= ideal, "5 %: {shares:?}");
    }
    assert_eq!(shares.iter().sum::<usize>(), EVENTS as usize, "none is lost");

    let tell = |worker: &Worker, control_signal, ready| {
        let state = State { ready, ..state(&server, 0.9, control_signal) };
        lb.send_state(Some(&worker.session.id), &state).unwrap();
    };
    workers.iter().for_each(|worker| tell(worker, 0.0, true));
    tell(&workers[2], -400.0, true);
    server.advance(Duration::from_secs(1));
    let shed = run(&server, &lb, &mut workers, EVENTS);
    assert!(shed[2] < shares[2] * 9 / 10, "within a second: {shed:?}");

    workers.iter().for_each(|worker| tell(worker, 0.0, true));
    tell(&workers[1], 0.0, false);
    server.advance(Duration::from_secs(1));
    let paused = run(&server, &lb, &mut workers, EVENTS);
    assert_eq!((paused[1], paused.iter().sum::<usize>()), (0, EVENTS as usize));

    // The first one falls silent; the others go on.
    let mut left = 0;
    for second in 1..=8 {
        tell(&workers[1], 0.0, true);
        tell(&workers[2], 0.0, true);
        server.advance(Duration::from_secs(1));
        left = second;
        if run(&server, &lb, &mut workers, EVENTS)[0] == 0 {
            break;
        }
    }
    assert!(left <= 5, "its slots were gone after {left} s");
}

/// All 512 slots, in both versions, whatever the higher bits are.
#[test]
fn slots_and_ports() {
    let server = server();
    let lb = client(&server);
    let wish = Reserve { strategy: Some(Strategy::Explicit), ..Reserve::new("explicit") };
    lb.reserve(&wish.from([HERE.into()])).unwrap();
    let socket = UdpSocket::bind((HERE, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let base = port & !1;
    let node = Register {
        keep_lb_header: true,
        ports: PortRange::at_least(2),
        slot_demands: vec![SlotRange { first: Some(5), length: 1 }],
        ..Register::new("node", HERE.into(), base)
    };
    lb.register(None, &node).unwrap();
    server.tick();
    let sender = Sender::new(&lb);
    let entropy = 0xfff0 | (port & 1);
    for sent in [packet(2, 9, entropy, 0xabcd_0005), packet(3, 0xfe05, entropy, 77)] {
        sender.send(&server, &sent);
        let mut got = [0; 64];
        let length = socket.recv(&mut got).expect("a packet");
        assert_eq!(got[..length], sent, "with the header, on its port");
    }
    for slot in (0..512).filter(|slot| *slot != 5) {
        sender.send(&server, &packet(3, slot, 0, 5));
    }
    assert_eq!(sender.count(&server, "drop_lb_calendar_miss"), 511);
}

#[test]
fn what_nobody_gets() {
    let server = server();
    let lb = reserved(&server);
    let sender = Sender::new(&lb);
    sender.send(&server, &packet(2, 0, 0, 1));
    assert_eq!(sender.count(&server, "drop_epoch_assign_miss"), 1, "before the first epoch");
    let worker = Worker::new(&lb, "a", 1.0);
    server.tick();
    for (bad, counter) in [
        (packet(1, 0, 0, 1), "drop_bad_udplb_version"),
        (packet(4, 0, 0, 1), "drop_bad_udplb_version"),
        (b"XX34567890123456".to_vec(), "drop_no_udplb_hdr"),
        (b"LB".to_vec(), "drop_no_udplb_hdr"),
        (Vec::new(), "drop_no_udplb_hdr"),
    ] {
        let before = sender.count(&server, counter);
        sender.send(&server, &bad);
        assert_eq!(sender.count(&server, counter), before + 1, "{counter}");
    }
    lb.deregister(Some(&worker.session.id)).unwrap();
    sender.send(&server, &packet(2, 0, 0, 1));
    assert_eq!(sender.count(&server, "drop_mbr_info_miss"), 1, "it is still in the calendar");
    lb.remove_senders(None, &[address("127.0.0.1")]).unwrap();
    sender.send(&server, &packet(2, 0, 0, 1));
    assert_eq!(sender.count(&server, "drop_blocked_src"), 1);
    let path = format!("/lb/{}/drop_blocked_src", lb.uri().lb_id());
    assert_eq!(lb.timeseries(&[&path], None).unwrap().len(), 1);
}

/// A worker that comes later gets events from its epoch's beginning on, and
/// none before; senders say with which event number that is.
#[test]
fn epochs_begin_where_senders_say() {
    let server = server();
    let lb = reserved(&server);
    let mut old = Worker::new(&lb, "old", 1.0);
    let sync = UdpSocket::bind((HERE, 0)).unwrap();
    let to = lb.uri().sync_addr().unwrap();
    let mut message = [0; 28];
    message[..3].copy_from_slice(&[b'L', b'C', 2]);
    message[8..16].copy_from_slice(&1_000_000_u64.to_be_bytes());
    message[16..20].copy_from_slice(&1000_u32.to_be_bytes());
    // Until it is heard: from now on, a thousand events a second.
    let boundary = || lb.status(None).unwrap().predicted_event_number;
    let begin = Instant::now();
    let known = || (1_000_000..2_000_000).contains(&boundary());
    while !known() {
        assert!(begin.elapsed() < PATIENCE, "{}", boundary());
        sync.send_to(&message, to).unwrap();
        server.tick();
    }
    let mut new = Worker::new(&lb, "new", 1.0);
    server.advance(Duration::from_secs(1));
    let first = boundary();
    let sender = Sender::new(&lb);
    for event in first - 512..first + 512 {
        sender.send(&server, &packet(2, 0, 0, event));
        old.drain();
        new.drain();
    }
    assert!(new.got.iter().all(|event| *event >= first), "{first}: {:?}", new.got);
    assert!((200..=312).contains(&new.got.len()), "half of its epoch: {}", new.got.len());
    assert_eq!(old.got.len() + new.got.len(), 1024, "none is lost");
}
