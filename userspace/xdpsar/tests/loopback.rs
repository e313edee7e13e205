//! A receiver on loopback, through the socket path: no privileges needed.

use std::{
    net::{SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use xdpsar::{
    Backend, BackendKind, Error, Event, Overflow, Reassembler, ReassemblerBuilder,
    RecvTimeoutError, SetupErrorKind, Wait,
};
use xdpsar_wire::{LbHeader, ReHeader};
use zerocopy::IntoBytes;

/// Nothing here takes this long unless it never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A port that was free a moment ago.
fn free_address() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn builder() -> ReassemblerBuilder {
    Reassembler::builder(free_address()).backend(Backend::Socket).timeout(PATIENCE)
}

fn datagram(number: u64, offset: usize, whole: &[u8], size: usize) -> Vec<u8> {
    let end = (offset + size).min(whole.len());
    let mut bytes = LbHeader::v2(number as u16, number).as_bytes().to_vec();
    bytes.extend(ReHeader::new(3, offset as u32, whole.len() as u32, number).as_bytes());
    bytes.extend(&whole[offset..end]);
    bytes
}

fn send(socket: &UdpSocket, to: SocketAddr, number: u64, whole: &[u8], size: usize) {
    for offset in (0..whole.len().max(1)).step_by(size) {
        socket.send_to(&datagram(number, offset, whole, size), to).unwrap();
    }
}

fn sender() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what} within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn events_arrive_whole_with_what_is_known_about_them() {
    let receiver = builder().start().unwrap();
    assert_eq!(receiver.backend().kind, BackendKind::Socket);
    let whole: Vec<u8> = (0..5000_u32).map(|n| (n % 251) as u8).collect();
    send(&sender(), receiver.local_addr(), 42, &whole, 1000);
    let event = receiver.recv_timeout(PATIENCE).unwrap();
    assert_eq!((event.event_number(), event.data_id(), event.fragments()), (42, 3, 5));
    assert_eq!((event.tick(), event.entropy()), (Some(42), Some(42)));
    assert_eq!(&*event, &whole[..]);
    receiver.join();
    drop(receiver);
    assert_eq!(&*event, &whole[..], "an event outlives its receiver");
}

#[test]
fn a_batch_is_what_is_waiting() {
    let receiver = builder().start().unwrap();
    let sender = sender();
    for number in 0..10 {
        send(&sender, receiver.local_addr(), number, b"abc", 3);
    }
    until("ten events", || receiver.stats().queued == 10);
    let mut batch = Vec::new();
    assert_eq!(receiver.recv_batch(&mut batch, 4, PATIENCE), 4);
    assert_eq!(receiver.recv_batch(&mut batch, 100, PATIENCE), 6);
    assert_eq!(receiver.recv_batch(&mut batch, 100, Duration::from_millis(5)), 0);
    assert_eq!(receiver.recv_batch(&mut batch, 0, PATIENCE), 0);
    let numbers: Vec<_> = batch.iter().map(Event::event_number).collect();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
}

#[test]
fn a_stop_drains_and_lets_consumers_finish() {
    let receiver = builder().queue(100).start().unwrap();
    let (sender, to) = (sender(), receiver.local_addr());
    for number in 0..50 {
        send(&sender, to, number, &[7; 3000], 1000);
    }
    // Half an event: lost at the stop, and said so.
    sender.send_to(&datagram(99, 0, &[1; 2000], 1000), to).unwrap();
    receiver.join();
    assert_eq!(receiver.iter().count(), 50);
    assert_eq!(receiver.recv_timeout(PATIENCE).unwrap_err(), RecvTimeoutError::Disconnected);
    let lost = receiver.lost().unwrap();
    assert_eq!((lost.event_number, lost.fragments, lost.bytes), (99, 1, 1000));
    let stats = receiver.stats();
    assert_eq!((stats.events_ok, stats.events_lost.stopped), (50, 1));
    assert_eq!((stats.datagrams, stats.fragments, stats.unaccounted()), (151, 151, 0));
    let elapsed = stats.elapsed_s;
    thread::sleep(Duration::from_millis(5));
    assert_eq!(receiver.stats().elapsed_s, elapsed, "the summary stands still");
}

#[test]
fn the_port_is_free_after_a_join() {
    let receiver = builder().start().unwrap();
    let address = receiver.local_addr();
    UdpSocket::bind(address).expect_err("the receiver has it");
    receiver.join();
    drop(receiver);
    UdpSocket::bind(address).unwrap();
}

#[test]
fn a_full_queue_drops_and_counts() {
    let receiver = builder().queue(3).start().unwrap();
    let sender = sender();
    for number in 0..10 {
        send(&sender, receiver.local_addr(), number, b"abcd", 4);
    }
    until("seven overflows", || receiver.stats().events_lost.overflow == 7);
    receiver.join();
    assert_eq!(receiver.iter().count(), 3);
    let stats = receiver.stats();
    assert_eq!((stats.events_ok, stats.event_bytes, stats.unaccounted()), (3, 12, 0));
    assert_eq!(std::iter::from_fn(|| receiver.lost()).count(), 7);
}

#[test]
fn a_blocking_queue_loses_nothing() {
    let receiver = builder().queue(3).overflow(Overflow::Block).start().unwrap();
    let sender = sender();
    for number in 0..100 {
        send(&sender, receiver.local_addr(), number, b"abcd", 4);
    }
    thread::sleep(Duration::from_millis(30));
    thread::scope(|scope| {
        // The consumer comes late, and the stop earlier still.
        receiver.stop();
        let consumer = scope.spawn(|| receiver.iter().count());
        receiver.join();
        assert_eq!(consumer.join().unwrap(), 100);
    });
    assert_eq!(receiver.stats().events_lost.total(), 0);
}

#[test]
fn a_blocked_worker_goes_on_when_there_is_room() {
    let receiver = builder().queue(4).overflow(Overflow::Block).start().unwrap();
    let sender = sender();
    for number in 0..20 {
        send(&sender, receiver.local_addr(), number, b"abcd", 4);
    }
    for taken in 0..4 {
        until("a full queue", || receiver.stats().queued == 4);
        thread::sleep(Duration::from_millis(25));
        let stats = receiver.stats();
        assert_eq!(
            (stats.queued, stats.events_lost.total()),
            (4, 0),
            "it waits, and drops nothing"
        );
        for number in 4 * taken..4 * (taken + 1) {
            assert_eq!(receiver.recv_timeout(PATIENCE).unwrap().event_number(), number);
        }
    }
    receiver.join();
    assert_eq!((receiver.iter().count(), receiver.stats().events_ok), (4, 20));
}

#[test]
fn a_stop_ends_a_worker_that_nobody_makes_room_for() {
    let receiver = builder().queue(3).overflow(Overflow::Block).start().unwrap();
    let sender = sender();
    for number in 0..10 {
        send(&sender, receiver.local_addr(), number, b"abcd", 4);
    }
    until("a full queue", || receiver.stats().queued == 3);
    let started = Instant::now();
    receiver.join();
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    let stats = receiver.stats();
    assert_eq!((stats.events_ok, stats.events_lost.overflow, stats.unaccounted()), (3, 7, 0));
    assert_eq!(std::iter::from_fn(|| receiver.lost()).count(), 7);
    assert_eq!(receiver.iter().count(), 3, "what is in the queue stays");
}

#[test]
fn consumers_share_the_events_however_they_wait() {
    for wait in [Wait::Adaptive, Wait::Sleep, Wait::Spin] {
        consumers_share_the_events(wait);
    }
}

fn consumers_share_the_events(consumer_wait: Wait) {
    let receiver =
        builder().ports(1).wait(Wait::Sleep).consumer_wait(consumer_wait).start().unwrap();
    let sender = sender();
    let counts = thread::scope(|scope| {
        let consumers: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| receiver.iter().map(|event| event.event_number()).sum::<u64>()))
            .collect();
        for number in 1..=300 {
            send(&sender, receiver.local_addr(), number, b"x", 1);
        }
        until("300 events", || receiver.stats().events_ok == 300);
        receiver.join();
        consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(counts.iter().sum::<u64>(), 300 * 301 / 2);
}

#[test]
fn an_incomplete_event_is_lost_after_the_timeout_and_reported() {
    let receiver = builder().timeout(Duration::from_millis(30)).start().unwrap();
    sender().send_to(&datagram(5, 0, &[1; 2000], 1000), receiver.local_addr()).unwrap();
    until("the loss", || receiver.stats().events_lost.timeout == 1);
    assert_eq!(receiver.lost().unwrap().event_number, 5);
    assert!(receiver.lost().is_none());
}

#[test]
fn automatic_choice_on_loopback_is_sockets_with_a_reason() {
    let receiver = Reassembler::builder(free_address()).start().unwrap();
    assert_eq!(receiver.backend().kind, BackendKind::Socket);
    assert!(!receiver.backend().reason.is_empty());
}

#[test]
fn what_cannot_be_meant_is_refused_with_a_remedy() {
    let high = SocketAddr::from(([127, 0, 0, 1], 65_535));
    let refused = [
        builder().workers(0),
        builder().workers(1000),
        builder().ports(3),
        builder().ports(0),
        Reassembler::builder(high).ports(2),
        Reassembler::builder(SocketAddr::from(([127, 0, 0, 1], 0))),
        builder().queue(0),
        builder().timeout(Duration::ZERO),
        builder().memory(10),
        builder().memory(1 << 20).max_event(1 << 30),
        builder().lanes(3),
        builder().cores(vec![0]).workers(2),
    ];
    for builder in refused {
        let text = format!("{builder:?}");
        match builder.start() {
            Err(Error::Setup(error)) => {
                assert_eq!(error.kind, SetupErrorKind::Usage, "{error}");
                assert!(!error.remedy.is_empty() && error.to_string().contains("; "), "{error}");
            }
            other => panic!("{text} is refused, not {other:?}"),
        }
    }
    match builder().cores(vec![100_000]).start() {
        Err(Error::Setup(error)) => assert_eq!(error.kind, SetupErrorKind::NoSuchCore, "{error}"),
        other => panic!("no such core, but {other:?}"),
    }
}

#[test]
fn statistics_have_stable_names() {
    let receiver = builder().start().unwrap();
    let json = serde_json::to_value(receiver.stats()).unwrap();
    for pointer in [
        "/events_ok",
        "/event_bytes",
        "/events_lost/timeout",
        "/events_lost/budget",
        "/events_lost/overflow",
        "/fragments",
        "/bytes",
        "/duplicates",
        "/dropped/short",
        "/dropped/bad_lb_header",
        "/dropped/bad_re_header",
        "/dropped/out_of_range",
        "/dropped/length_mismatch",
        "/dropped/truncated",
        "/kernel_drops",
        "/elapsed_s",
        "/workers/0/datagrams",
    ] {
        assert!(json.pointer(pointer).is_some(), "{pointer} in {json:#}");
    }
}
