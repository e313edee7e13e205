//! What the kernel makes arrives whole, and as it was meant.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use anyhow::{Context, ensure};
use xdpsar::{Backend, Checksum, Overflow, Reassembler, XdpOptions};
use xdpsar_bench::fragment::DATA_ID;
use xdpsar_tests::{Lab, LabConfig, pace::PATIENCE, privileged};

use super::{MTU, open};
use crate::role::{Counts, Opened, PORT, Point};

/// The last datagram of an event is shorter, by an odd number of bytes. Slow
/// enough for any machine.
const POINT: Point = Point { datagram: 1400, event: 3333, rate_gbps: Some(0.02) };
/// Of both kinds of datagrams, and with numbers that carry into all bytes of
/// a checksum's words.
const EVENTS: u64 = 300;

/// Sends until `seen` returns, and then to the event's end.
fn send_while(checksums: bool, lab: &Lab, seen: impl FnOnce() -> anyhow::Result<()>) -> Counts {
    let stop = AtomicBool::new(false);
    let send = || {
        let Opened { run, counts } = open(checksums, &POINT)?;
        run(&stop)?;
        anyhow::Ok(counts())
    };
    thread::scope(|scope| {
        let sender = scope.spawn(|| lab.sender.run(send));
        let seen = seen();
        stop.store(true, Ordering::Relaxed);
        let sent = sender.join().unwrap().unwrap();
        seen.unwrap();
        sent
    })
}

/// Takes the event of that number.
fn receive(receiver: &Reassembler, number: u64) -> anyhow::Result<()> {
    let event = receiver.recv_timeout(PATIENCE).with_context(|| format!("event {number}"))?;
    ensure!((event.event_number(), event.tick()) == (number, Some(number)), "{event:?}");
    ensure!((event.data_id(), event.len()) == (DATA_ID, POINT.event), "{event:?}");
    let as_sent = |datagram: &[u8]| (0..).zip(datagram).all(|(index, byte)| index as u8 == *byte);
    ensure!(event.chunks(POINT.share()).all(as_sent), "event {number} has other bytes");
    Ok(())
}

fn arrives_whole(checksums: bool, backend: Backend, checksum: Checksum) {
    let lab = Lab::new(LabConfig { queues: 1, mtu: MTU });
    lab.receiver.offload("gro", true);
    let listen = SocketAddr::new(lab.receiver.address(false), PORT);
    let builder = Reassembler::builder(listen)
        .backend(backend)
        .xdp(XdpOptions { checksum, ..XdpOptions::default() })
        .overflow(Overflow::Block);
    let receiver = lab.receiver.run(|| builder.start()).unwrap();
    let all = |mut numbers: std::ops::Range<u64>| numbers.try_for_each(|n| receive(&receiver, n));
    let sent = send_while(checksums, &lab, || all(0..EVENTS));
    assert!(sent.events >= EVENTS);
    all(EVENTS..sent.events).unwrap();
    receiver.stop();
    receiver.join();
    let stats = receiver.stats();
    assert!(stats.is_clean(), "{stats:?}");
    assert_eq!((stats.events_ok, stats.event_bytes), (sent.events, sent.bytes));
    assert_eq!(stats.fragments, sent.datagrams);
    assert_eq!(sent.datagrams, sent.events * POINT.fragments() as u64);
}

#[test]
fn without_checksums() {
    privileged!();
    arrives_whole(false, Backend::Xdp, Checksum::Auto);
}

#[test]
fn with_checksums_that_we_find_right() {
    privileged!();
    arrives_whole(true, Backend::Xdp, Checksum::Strict);
}

#[test]
fn with_checksums_that_the_kernel_finds_right() {
    privileged!();
    arrives_whole(true, Backend::Socket, Checksum::Auto);
}
