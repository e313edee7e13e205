//! What a sender on the same machine leaves to be cut on the way.
//!
//! A veth pair takes a message of many fragments whole, and no wire is there
//! to cut it for. Native XDP has the kernel cut it before it crosses, a socket
//! with GRO knows where; only generic XDP meets it as one long datagram.

use std::net::SocketAddr;

use xdpsar::{AttachMode, Backend, Reassembler, Segmenter, SendBackend, XdpOptions};
use xdpsar_tests::{
    Lab, LabConfig,
    pace::{PATIENCE, until},
    payload, privileged,
};

const PORT: u16 = 19522;
/// Two messages at an MTU of 1500.
const EVENT: usize = 100_000;

fn receiver(lab: &Lab, attach: AttachMode) -> Reassembler {
    let listen = SocketAddr::new(lab.receiver.v4.into(), PORT);
    let options = XdpOptions { attach, ..XdpOptions::default() };
    let builder = Reassembler::builder(listen).backend(Backend::Xdp).xdp(options);
    lab.receiver.run(|| builder.timeout(PATIENCE).start()).expect("a receiver")
}

/// An event in messages of many fragments, and how many fragments those are.
fn send(lab: &Lab, receiver: &Reassembler, number: u64) -> u64 {
    let sender =
        Segmenter::builder(receiver.local_addr()).backend(SendBackend::Gso).first_event(number);
    let mut sender = lab.sender.run(|| sender.open()).expect("a sender");
    sender.send(&payload::bytes(number, EVENT)).expect("an event goes out");
    sender.counters().fragments
}

fn arrives(receiver: &Reassembler, number: u64) {
    let event = receiver
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|error| panic!("no event: {error}, {:#?}", receiver.stats()));
    assert_eq!(event.event_number(), number);
    assert_eq!(payload::first_difference(number, EVENT, &event), None);
}

#[test]
fn native_xdp_meets_single_datagrams() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    let receiver = receiver(&lab, AttachMode::Native);
    let fragments = send(&lab, &receiver, 1);
    arrives(&receiver, 1);
    receiver.join();
    assert_eq!(receiver.stats().datagrams, fragments);
    assert_eq!(receiver.stats().dropped.total(), 0);
}

#[test]
fn generic_xdp_drops_and_counts_them_until_the_sender_cuts() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    let receiver = receiver(&lab, AttachMode::Generic);
    let fragments = send(&lab, &receiver, 1);
    until("the event's messages are counted", || receiver.stats().dropped.oversized > 0);
    // What the warning says.
    lab.sender.offload("tx-udp-segmentation", false);
    send(&lab, &receiver, 2);
    arrives(&receiver, 2);
    receiver.join();
    let stats = receiver.stats();
    assert_eq!((stats.events_ok, stats.datagrams, stats.kernel_drops), (1, fragments, 0));
    assert_eq!(stats.dropped.total(), stats.dropped.oversized);
    assert!(stats.dropped.oversized < fragments / 10, "{stats:?}");
}
