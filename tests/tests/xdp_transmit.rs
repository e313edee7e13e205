//! From AF_XDP to our own receiver, whole, in a closed loop.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use xdpsar::{Backend, Checksum, Reassembler, XdpOptions};
use xdpsar_dataplane::{OutgoingEvent, Payload, SendBackend, SendConfig, Sender, send::Pace};
use xdpsar_tests::{Lab, LabConfig, pace::PATIENCE, payload, privileged};

const PORT: u16 = 19522;
/// Datagrams on the way: what any buffer between the two holds.
const WINDOW: u64 = 192;

/// No more datagrams on the way than [`WINDOW`].
struct ClosedLoop<'a> {
    receiver: &'a Reassembler,
    datagram: u64,
    sent: u64,
}

impl Pace for ClosedLoop<'_> {
    fn at_once(&self) -> u64 {
        WINDOW / 3 * self.datagram
    }

    fn wait_for(&mut self, ip_bytes: u64) {
        self.sent += ip_bytes.div_ceil(self.datagram);
        let start = Instant::now();
        while self.sent > self.receiver.stats().datagrams + WINDOW {
            assert!(start.elapsed() < PATIENCE, "lost on the way: {:?}", self.receiver.stats());
            thread::sleep(Duration::from_micros(50));
        }
    }
}

/// Sends events of those lengths, and checks each as it comes out.
fn transfer(lab: &Lab, v6: bool, backend: Backend, lengths: &[usize]) {
    let to = SocketAddr::new(lab.receiver.address(v6), PORT);
    let receiver = lab.receiver.run(|| {
        // As the kernel does on the socket path.
        let checked = XdpOptions { checksum: Checksum::Strict, ..XdpOptions::default() };
        Reassembler::builder(to)
            .backend(backend)
            .timeout(PATIENCE)
            .xdp(checked)
            .start()
            .expect("a receiver")
    });
    let context = format!("{backend:?}, {to}, {lengths:?}");
    thread::scope(|scope| {
        scope.spawn(|| {
            lab.sender.run(|| {
                let config = SendConfig { backend: SendBackend::Xdp, ..SendConfig::new(to) };
                let mut sender = Sender::open(&config).expect("a sender");
                let datagram = sender.mtu().into();
                let mut pace = ClosedLoop { receiver: &receiver, datagram, sent: 0 };
                for (number, length) in (0u64..).zip(lengths) {
                    let event = OutgoingEvent {
                        event_number: number,
                        data_id: 7,
                        entropy: number as u16,
                        tick: number,
                    };
                    let bytes = payload::bytes(number, *length);
                    sender.send_paced(&event, Payload::whole(&bytes), &mut pace).expect("sent");
                }
                assert_eq!(sender.counters().dropped, 0, "{:?}", sender.counters());
            });
        });
        for _ in lengths {
            let event = receiver
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|_| panic!("{context}: {:?}", receiver.stats()));
            let number = event.event_number();
            let length = lengths[number as usize];
            assert_eq!(payload::first_difference(number, length, &event), None, "{context}");
        }
    });
    // What it counts is final only then.
    receiver.join();
    let stats = receiver.stats();
    assert!(stats.is_clean() && stats.duplicates == 0, "{context}: {stats:?}");
    assert_eq!(stats.events_ok, lengths.len() as u64, "{context}: {stats:?}");
}

#[test]
fn events_of_all_lengths_arrive_whole() {
    privileged!();
    for mtu in [1500, 9000] {
        let lab = Lab::new(LabConfig { queues: 1, mtu });
        for v6 in [false, true] {
            let longest = mtu as usize - if v6 { 84 } else { 64 };
            let lengths = [0, 1, 2, longest - 1, longest, longest + 1, 100_001, 3_000_000, 5];
            for backend in [Backend::Socket, Backend::Xdp] {
                transfer(&lab, v6, backend, &lengths);
            }
        }
    }
}

#[test]
fn an_event_of_100_megabytes_arrives_whole() {
    privileged!();
    let lab = Lab::new(LabConfig { queues: 1, mtu: 1500 });
    for backend in [Backend::Socket, Backend::Xdp] {
        transfer(&lab, false, backend, &[100_000_000]);
    }
}
