//! Four producers, one segmenter, one receiver: nothing lost, nothing twice,
//! everything in order.

use std::{
    collections::VecDeque,
    net::UdpSocket,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use xdpsar::{Backend, EventOptions, Reassembler, Segmenter, Submitter};

const PRODUCERS: usize = 4;
const EACH: u64 = 100_000;
/// Events of a producer that may be on their way: together they fit the
/// smallest receive buffer that a host may grant.
const WINDOW: u64 = 16;
const PATIENCE: Duration = Duration::from_secs(20);

/// Who made an event, and as which of its own.
fn stamp(producer: usize, index: u64) -> Vec<u8> {
    // One datagram mostly, two now and then.
    let length = if index.is_multiple_of(100) { 1600 } else { 16 + (index % 900) as usize };
    let mut bytes = vec![index as u8; length];
    bytes[..8].copy_from_slice(&(producer as u64).to_le_bytes());
    bytes[8..16].copy_from_slice(&index.to_le_bytes());
    bytes
}

/// Sends all, never more ahead of the receiver than the window, and returns
/// the numbers that its tickets told.
fn produce(producer: usize, submitter: &Submitter, received: &AtomicU64) -> Vec<u64> {
    let mut tickets = VecDeque::new();
    let mut numbers = Vec::new();
    for index in 0..EACH {
        while index - received.load(Ordering::Acquire) >= WINDOW {
            std::thread::yield_now();
        }
        let ticket = submitter.submit(stamp(producer, index), EventOptions::default());
        tickets.push_back(ticket.expect("a place in the queue"));
        if tickets.len() as u64 > WINDOW {
            numbers.extend(tickets.pop_front().map(|ticket| ticket.wait().expect("sent")));
        }
    }
    numbers.extend(tickets.into_iter().map(|ticket| ticket.wait().expect("sent")));
    numbers
}

#[test]
fn four_producers_lose_nothing_and_keep_their_order() {
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let receiver = Reassembler::builder(free)
        .backend(Backend::Socket)
        .timeout(PATIENCE)
        .start()
        .expect("a receiver");
    let builder = Segmenter::builder(receiver.local_addr()).mtu(1500).workers(2).queue(32);
    let mut segmenter = builder.open().expect("a segmenter");
    let submitters = [(); PRODUCERS].map(|()| segmenter.submitter().expect("workers"));
    let received: [AtomicU64; PRODUCERS] = Default::default();
    let (told, seen) = std::thread::scope(|scope| {
        let received = &received;
        let producers: Vec<_> = submitters
            .iter()
            .enumerate()
            .map(|(who, submitter)| scope.spawn(move || produce(who, submitter, &received[who])))
            .collect();
        // Event number, and index with its producer.
        let mut seen: [Vec<(u64, u64)>; PRODUCERS] = Default::default();
        for _ in 0..PRODUCERS as u64 * EACH {
            let event = receiver.recv_timeout(PATIENCE);
            let event = event.unwrap_or_else(|error| panic!("{error}, {:?}", receiver.stats()));
            let word = |at: usize| u64::from_le_bytes(event[at..at + 8].try_into().unwrap());
            let (producer, index) = (word(0) as usize, word(8));
            assert!(*event == stamp(producer, index)[..], "event {index} of {producer} differs");
            seen[producer].push((event.event_number(), index));
            received[producer].fetch_add(1, Ordering::Release);
        }
        let told: Vec<_> = producers.into_iter().map(|thread| thread.join().unwrap()).collect();
        (told, seen)
    });
    let report = segmenter.stop(PATIENCE);
    assert!(report.drained && report.stuck_workers == 0);
    let all = PRODUCERS as u64 * EACH;
    assert_eq!((report.stats.events_queued, report.stats.events_sent), (all, all));
    assert_eq!((report.stats.events_failed, report.stats.queue_full), (0, 0));
    let mut numbers = Vec::new();
    for (told, mut seen) in told.into_iter().zip(seen) {
        assert!(told.is_sorted_by(|a, b| a < b), "a producer's numbers grow");
        // Two workers may overtake each other on the wire; by number the
        // producer's order comes back, each event once.
        seen.sort_unstable();
        assert!(seen.iter().map(|(_, index)| *index).eq(0..EACH));
        assert!(seen.iter().map(|(number, _)| *number).eq(told.iter().copied()));
        numbers.extend(told);
    }
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..all), "no number twice, none left out");
    // What it counts is final only then.
    receiver.join();
    assert_eq!(receiver.stats().events_ok, all);
}
