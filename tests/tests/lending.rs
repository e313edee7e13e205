//! Events that keep the memory of their packets: held for long, in great
//! numbers, beyond their receiver's end.

use std::{
    net::SocketAddr,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
};

use xdpsar::{
    Backend, Event, EventOptions, Lend, Overflow, Reassembler, Segmenter, Stats, XdpOptions,
};
use xdpsar_tests::{
    Lab, LabConfig,
    pace::{PATIENCE, Window, until},
    privileged,
};

const PORT: u16 = 19522;
/// What fits in one frame of packet memory, and events on both sides of the
/// length from which on they are lent.
const MTU: u32 = 3500;
/// Longest event in one datagram.
const LONGEST: usize = MTU as usize - 28 - 36;
/// Datagrams on the way: less than the smallest RX ring that a worker here has
/// (8192 entries, shared by three), so that none is lost for want of speed.
const ON_THE_WAY: u64 = 256;

fn pattern(number: u64) -> Vec<u8> {
    let length = 1 + (number as usize * 7919) % LONGEST;
    let seed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..length as u64)
        .map(|i| ((i ^ seed).wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8)
        .collect()
}

fn check(event: &Event) {
    assert!(**event == *pattern(event.event_number()), "event {}", event.event_number());
}

fn listen(lab: &Lab) -> SocketAddr {
    SocketAddr::new(lab.receiver.address(false), PORT)
}

/// A receiver on eight ports that may lend `frames` of each queue.
fn start(lab: &Lab, workers: usize, frames: u32) -> Reassembler {
    let xdp = XdpOptions { lend: Lend::On, lend_frames: Some(frames), ..XdpOptions::default() };
    lab.receiver.run(|| {
        Reassembler::builder(listen(lab))
            .backend(Backend::Xdp)
            .ports(8)
            .workers(workers)
            .queue(100_000)
            .overflow(Overflow::Block)
            .xdp(xdp)
            .start()
            .expect("started")
    })
}

/// Sends those events, each in one datagram, as `window` lets them.
fn send(lab: &Lab, window: &Window, numbers: std::ops::Range<u64>) {
    lab.sender.run(|| {
        let mut sender =
            Segmenter::builder(listen(lab)).ports(8).mtu(MTU).open().expect("a sender");
        for (sent, number) in (0..).zip(numbers) {
            window.admit(sent);
            let options = EventOptions {
                event_number: Some(number),
                entropy: Some(number as u16),
                ..EventOptions::default()
            };
            sender.send_with(&pattern(number), options).expect("sent");
        }
    });
}

/// Sends those events, and takes each from `receiver` and hands it on.
fn transfer(
    lab: &Lab,
    receiver: &Reassembler,
    numbers: std::ops::Range<u64>,
    mut take: impl FnMut(u64, Event),
) {
    let window = Window::new(ON_THE_WAY);
    thread::scope(|scope| {
        scope.spawn(|| send(lab, &window, numbers.clone()));
        for count in 1..=numbers.end - numbers.start {
            let event = receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| {
                panic!("no event {count} of {numbers:?}, {:?}", receiver.stats());
            });
            window.arrived();
            check(&event);
            take(count, event);
        }
    });
}

/// Nothing was lost, and every event was either lent or copied.
fn assert_clean(stats: &Stats, events: u64) {
    assert_eq!(stats.events_ok, events, "{stats:?}");
    assert!(stats.is_clean(), "{stats:?}");
    assert_eq!(stats.events_lent + stats.events_copied, events, "{stats:?}");
    for worker in &stats.workers {
        assert_eq!((worker.fill_ring_empty, worker.rx_ring_full), (0, 0), "{stats:?}");
    }
}

#[test]
fn thousands_of_events_held_cost_no_packet_and_outlive_their_receiver() {
    privileged!();
    const HELD: usize = 6000;
    const ALL: u64 = 20_000;
    const FRAMES: u32 = 1024;
    for workers in [1, 3] {
        let lab = Lab::new(LabConfig { queues: 1, mtu: MTU });
        let receiver = start(&lab, workers, FRAMES);
        let (to_dropper, dropped_there) = mpsc::sync_channel::<Vec<Event>>(4);
        let dropper = thread::spawn(move || {
            for events in dropped_there {
                events.iter().for_each(check);
            }
        });
        let mut held = Vec::new();
        let mut batch = Vec::new();
        transfer(&lab, &receiver, 0..ALL, |count, event| {
            match held.len() {
                // The first of them have all that may be lent.
                0..HELD => held.push(event),
                // These go at once, or on another thread.
                _ if count % 2 == 0 => drop(event),
                _ => batch.push(event),
            }
            // A slow consumer lets go of some, elsewhere, later on.
            if held.len() == HELD && count % 16 == 0 && count > ALL / 2 {
                batch.extend(held.drain(..8));
                held.extend(batch.drain(..8));
            }
            if batch.len() >= 64 {
                to_dropper.send(std::mem::take(&mut batch)).expect("the dropper lives");
            }
        });
        drop(to_dropper);
        dropper.join().expect("every event was right");
        receiver.join();
        let stats = receiver.stats();
        assert_clean(&stats, ALL);
        assert!(stats.lend_exhausted > 0, "more were held than may be lent: {stats:?}");
        assert!(stats.events_lent >= u64::from(FRAMES), "{stats:?}");
        drop(receiver);
        assert!(lab.receiver.xdp_programs().is_empty());
        held.iter().for_each(check);

        // Their memory is theirs: the queue is free for the next receiver,
        // and what that one receives ends up elsewhere.
        let receiver = start(&lab, workers, FRAMES);
        transfer(&lab, &receiver, ALL..ALL + 3000, |_, event| drop(event));
        receiver.join();
        assert_clean(&receiver.stats(), 3000);
        held.iter().for_each(check);
        thread::spawn(move || drop(held)).join().expect("dropped");
    }
}

#[test]
fn short_events_are_copied_and_off_means_off() {
    privileged!();
    let lab = Lab::new(LabConfig { queues: 1, mtu: MTU });
    for (lend, from) in [(Lend::Auto, xdpsar::LEND_FROM), (Lend::Off, usize::MAX)] {
        let receiver = lab.receiver.run(|| {
            let builder = Reassembler::builder(listen(&lab)).backend(Backend::Xdp).ports(8);
            builder.lend(lend).start().expect("started")
        });
        transfer(&lab, &receiver, 0..500, |_, event| drop(event));
        receiver.join();
        let stats = receiver.stats();
        let lent = (0..500).filter(|number| pattern(*number).len() >= from).count() as u64;
        let copied = if lend == Lend::Off { 0 } else { 500 - lent };
        assert_eq!((stats.events_lent, stats.events_copied), (lent, copied), "{stats:?}");
        assert!(stats.is_clean(), "{stats:?}");
    }
}

#[test]
fn a_receiver_killed_with_its_memory_lent_leaves_the_queue_to_the_next() {
    privileged!();
    let lab = Lab::new(LabConfig { queues: 1, mtu: MTU });
    let listen_on = listen(&lab).to_string();
    let mut killed: Command = lab.receiver.command(xdpsar_tests::binary());
    let mut killed = killed
        .args(["recv", "--listen", &listen_on, "--ports", "8", "--backend", "xdp"])
        .args(["--lend", "on", "--out", "-", "--quiet"])
        // Nobody reads it: the events stay where they are.
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    until("the program is attached", || !lab.receiver.xdp_programs().is_empty());
    // Whether they fit is all the same.
    send(&lab, &Window::new(1000), 0..1000);
    killed.kill().expect("killed");
    killed.wait().expect("gone");

    let receiver = start(&lab, 1, 1024);
    transfer(&lab, &receiver, 0..3000, |_, event| drop(event));
    receiver.join();
    assert_clean(&receiver.stats(), 3000);
}
