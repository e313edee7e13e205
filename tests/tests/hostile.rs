//! A million datagrams that mean harm, through each backend.
//!
//! Two populations share the wire. *Clean* events are sent as a segmenter
//! would, with their fragments shuffled and duplicated; every one must arrive
//! with exactly its bytes. *Hostile* datagrams are clean ones of other events
//! after mutation of their headers, truncation, or replacement by noise; what
//! they do must be counted. The event numbers of the two differ in all 64
//! bits, so no mutation of a few bits turns one into the other.

use std::{
    collections::HashMap,
    net::{SocketAddr, UdpSocket},
    thread,
    time::Duration,
};

use xdpsar::{AttachMode, Backend, Checksum, LbFraming, Reassembler, Stats, XdpOptions};
use xdpsar_tests::{Lab, LabConfig, pace::until, privileged};
use xdpsar_wire::{LbHeader, ReHeader};
use zerocopy::IntoBytes;

const DATAGRAMS: usize = 1_000_000;
const PORT: u16 = 19522;
const PORTS: u16 = 4;
const CLEAN: u64 = 0xaaaa_aaaa_aaaa_0000;
const HOSTILE: u64 = 0x5555_5555_5555_0000;
const FRAGMENT: usize = 200;
const FRAGMENTS: usize = 5;
const EVENT: usize = FRAGMENT * FRAGMENTS - 57;

/// xorshift64*: all randomness of a run follows from its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// The byte at `at` of the event of that number.
fn byte(number: u64, at: usize) -> u8 {
    (number.wrapping_mul(0x9e37_79b9).wrapping_add(at as u64 * 31) >> 3) as u8
}

fn fragment(number: u64, index: usize) -> Vec<u8> {
    let start = index * FRAGMENT;
    let end = (start + FRAGMENT).min(EVENT);
    let mut datagram = LbHeader::v2(number as u16, number).as_bytes().to_vec();
    datagram.extend(ReHeader::new(7, start as u32, EVENT as u32, number).as_bytes());
    datagram.extend((start..end).map(|at| byte(number, at)));
    datagram
}

/// A clean event's fragments, out of order, some of them twice.
fn clean(number: u64, random: &mut Random) -> Vec<Vec<u8>> {
    let mut datagrams: Vec<_> = (0..FRAGMENTS).map(|index| fragment(number, index)).collect();
    for _ in 0..random.below(3) {
        datagrams.push(fragment(number, random.below(FRAGMENTS)));
    }
    for at in (1..datagrams.len()).rev() {
        datagrams.swap(at, random.below(at + 1));
    }
    datagrams
}

/// A datagram that no honest sender sends.
fn hostile(random: &mut Random) -> Vec<u8> {
    let mut datagram = fragment(HOSTILE + random.below(5000) as u64, random.below(FRAGMENTS));
    match random.below(5) {
        0 => datagram.truncate(random.below(datagram.len() + 1)),
        1 => datagram[..36].fill_with(|| random.next() as u8),
        2 => {
            // The fields of the RE header, each with a wild value.
            let at = [16, 17, 20, 21, 24, 25][random.below(6)];
            datagram[at] = random.next() as u8;
        }
        3 => {
            let bit = random.below(36 * 8);
            datagram[bit / 8] ^= 1 << (bit % 8);
        }
        // An honest fragment of an event that will never be whole.
        _ => {}
    }
    datagram
}

/// Sends, and says how many datagrams and which clean events those were.
fn send(to: SocketAddr, from: SocketAddr, seed: u64, received: impl Fn() -> u64) -> (u64, u64) {
    let mut random = Random(seed);
    let socket = UdpSocket::bind(from).expect("a socket");
    let (mut sent, mut events) = (0_u64, 0_u64);
    let mut send = |datagram: &[u8], lane: u64| {
        let mut to = to;
        to.set_port(PORT + (lane % u64::from(PORTS)) as u16);
        socket.send_to(datagram, to).expect("a datagram goes out");
        sent += 1;
        // Never more on the way than the receiver's buffers hold: what is
        // lost here shall be lost by the receiver's doing.
        if sent.is_multiple_of(256) {
            until("there is room on the way", || sent.saturating_sub(received()) <= 1024);
        }
    };
    for turn in 0.. {
        if turn * 10 >= DATAGRAMS {
            break;
        }
        let number = CLEAN + events;
        events += 1;
        for datagram in clean(number, &mut random) {
            send(&datagram, number);
        }
        for _ in 0..5 {
            let datagram = hostile(&mut random);
            send(&datagram, random.next());
        }
    }
    (sent, events)
}

/// Datagrams whose fate the receiver knows, wherever they met it.
fn accounted(stats: &Stats) -> u64 {
    let program: u64 = stats
        .program
        .iter()
        .flatten()
        .filter(|(name, _)| name.starts_with("drop_"))
        .map(|(_, count)| *count)
        .sum();
    stats.datagrams
        + program
        + stats.dropped.truncated
        + stats.dropped.bad_checksum
        + stats.dropped.bad_frame
        + stats.kernel_drops
}

fn storm(backend: Backend, attach: AttachMode, v6: bool) {
    let lab = Lab::new(LabConfig { queues: 1, mtu: 1500 });
    let listen = SocketAddr::new(lab.receiver.address(v6), PORT);
    let from = SocketAddr::new(lab.sender.address(v6), 0);
    let receiver = lab.receiver.run(|| {
        Reassembler::builder(listen)
            .ports(PORTS)
            .workers(2)
            .backend(backend)
            .lb_header(LbFraming::Auto)
            .xdp(XdpOptions { attach, checksum: Checksum::Auto, ..XdpOptions::default() })
            // Longer than a slow machine may keep a clean event waiting.
            .timeout(Duration::from_secs(2))
            // Wild claims are refused by length; what is left of them fits.
            .max_event(64 << 10)
            .memory(1 << 30)
            .queue(100_000)
            .start()
            .expect("the receiver starts")
    });
    let (sent, clean_events, delivered) = thread::scope(|scope| {
        let consumer = scope.spawn(|| {
            let mut delivered = HashMap::<u64, u32>::new();
            for event in &receiver {
                let number = event.event_number();
                if number >> 63 == 0 {
                    continue;
                }
                assert_eq!(event.len(), EVENT, "event {number:#x}");
                let wrong = (0..EVENT).find(|&at| event[at] != byte(number, at));
                assert_eq!(wrong, None, "event {number:#x} has a wrong byte");
                *delivered.entry(number).or_default() += 1;
            }
            delivered
        });
        let sender = lab
            .sender
            .run(|| send(listen, from, 0x1234_5678_9abc_def1, || accounted(&receiver.stats())));
        until("all datagrams are accounted for", || accounted(&receiver.stats()) >= sender.0);
        until("events time out", || receiver.stats().events_lost.timeout > 100);
        receiver.join();
        (sender.0, sender.1, consumer.join().expect("no wrong byte"))
    });
    let stats = receiver.stats();
    let case = format!("{backend:?} {attach:?} v6={v6}: {stats:#?}");
    assert!(sent >= DATAGRAMS as u64, "{case}");
    assert_eq!(accounted(&stats), sent, "every datagram is accounted for: {case}");
    assert_eq!(stats.unaccounted(), 0, "{case}");
    assert_eq!(stats.in_progress, 0, "{case}");
    assert!(stats.dropped.bad_lb_header > 1000 && stats.dropped.short > 1000, "{case}");
    assert!(stats.dropped.out_of_range + stats.dropped.length_mismatch > 1000, "{case}");
    assert!(stats.duplicates > 1000 && stats.events_lost.timeout > 100, "{case}");
    assert!(receiver.failure().is_none(), "{case}");
    let twice = delivered.values().filter(|&&times| times > 1).count();
    assert_eq!(twice, 0, "an event is delivered once: {case}");
    assert!(stats.events_lost.budget > 100, "claims beyond the limit are refused: {case}");
    if stats.kernel_drops == 0 && stats.events_lost.overflow == 0 {
        assert_eq!(delivered.len() as u64, clean_events, "every clean event arrives: {case}");
    }
    println!(
        "{backend:?} {attach:?} v6={v6}: {sent} datagrams, all accounted for; \
         {} of {clean_events} clean events; dropped {:?}; kernel drops {}",
        delivered.len(),
        stats.dropped,
        stats.kernel_drops
    );
}

#[test]
fn a_million_hostile_datagrams_through_native_xdp() {
    privileged!();
    storm(Backend::Xdp, AttachMode::Native, false);
}

#[test]
fn a_million_hostile_datagrams_through_generic_xdp() {
    privileged!();
    storm(Backend::Xdp, AttachMode::Generic, true);
}

#[test]
fn a_million_hostile_datagrams_through_sockets() {
    privileged!();
    storm(Backend::Socket, AttachMode::Auto, false);
}
