//! Events sent over the loopback interface, no privileges.

use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

use xdpsar_wire::{Headers, LbFraming, LbHeader, LbVersion};

use super::*;

struct Seen {
    event_number: u64,
    data_id: u16,
    lb: Option<LbHeader>,
    length: u32,
}

fn receiver() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn next(socket: &UdpSocket) -> Seen {
    let mut bytes = [0; 9000];
    let len = socket.recv(&mut bytes).unwrap();
    let headers = Headers::parse(&bytes[..len], LbFraming::Auto).unwrap();
    Seen {
        event_number: headers.re.event_number(),
        data_id: headers.re.data_id(),
        lb: headers.lb.copied(),
        length: headers.re.length(),
    }
}

#[test]
fn numbers_count_up_from_the_first_or_from_the_one_named() {
    let (socket, to) = receiver();
    let mut sender = Segmenter::builder(to).data_id(5).open().unwrap();
    let named = |event_number| EventOptions { event_number, ..EventOptions::default() };
    assert_eq!(sender.send(b"a").unwrap(), 0);
    assert_eq!(sender.send(b"").unwrap(), 1);
    assert_eq!(sender.send_with(b"c", named(Some(1000))).unwrap(), 1000);
    assert_eq!(sender.send(b"d").unwrap(), 1001);
    // Zero is a number like any other.
    assert_eq!(sender.send_with(b"e", named(Some(0))).unwrap(), 0);
    assert_eq!(sender.send_with(b"f", named(None)).unwrap(), 1);
    assert_eq!(sender.send_with(b"g", named(Some(u64::MAX))).unwrap(), u64::MAX);
    assert_eq!(sender.send(b"h").unwrap(), 0);
    let seen: Vec<_> = (0..8).map(|_| next(&socket)).collect();
    let numbers: Vec<_> = seen.iter().map(|event| event.event_number).collect();
    assert_eq!(numbers, [0, 1, 1000, 1001, 0, 1, u64::MAX, 0]);
    assert!(seen.iter().all(|event| event.data_id == 5));
    assert_eq!(seen.iter().map(|event| event.length).collect::<Vec<_>>(), [1, 0, 1, 1, 1, 1, 1, 1]);
    assert_eq!(sender.counters().events, 8);

    let mut sender = Segmenter::builder(to).first_event(77).open().unwrap();
    assert_eq!((sender.send(b"").unwrap(), sender.send(b"").unwrap()), (77, 78));
}

#[test]
fn headers_are_drawn_or_named() {
    let (socket, to) = receiver();
    let mut sender = Segmenter::builder(to).lb(Some(LbVersion::V3)).open().unwrap();
    let all = EventOptions {
        event_number: Some(3),
        data_id: Some(0),
        entropy: Some(0),
        tick: Some(0x0123_4567_89ab_cdef),
    };
    sender.send_with(b"x", all).unwrap();
    let lb = next(&socket).lb.unwrap();
    assert_eq!((lb.entropy(), lb.tick(), lb.slot()), (0, 0x0123_4567_89ab_cdef, 0xcdef));

    let before = tick::now_us();
    let mut entropies = std::collections::BTreeSet::new();
    let mut last_tick = 0;
    for _ in 0..64 {
        sender.send(b"x").unwrap();
        let lb = next(&socket).lb.unwrap();
        assert!(
            lb.tick() > last_tick && lb.tick() + 1000 > before && lb.tick() < tick::now_us() + 1000
        );
        last_tick = lb.tick();
        entropies.insert(lb.entropy());
    }
    assert!(entropies.len() > 60, "{entropies:?}");

    assert!(sender.backend() != SendBackend::Auto && !sender.reason().is_empty());
    let bare = Segmenter::builder(to).lb(None).mtu(1500).dscp(10).connected(false);
    let mut bare = bare.source(to.ip()).open().unwrap();
    assert_eq!((bare.max_payload(), bare.mtu()), (1452, 1500));
    bare.send(b"x").unwrap();
    assert_eq!(next(&socket).lb, None);
}

#[test]
fn a_rate_holds_within_one_event_and_between_events() {
    // 0.1 Gb/s: 5 × 100 kB take 40 ms, of which 0.4 ms are a burst.
    let (_socket, to) = receiver();
    for (events, length) in [(1, 500_000), (50, 10_000)] {
        let mut sender = Segmenter::builder(to).mtu(9000).rate_gbps(Some(0.1)).open().unwrap();
        let start = Instant::now();
        for _ in 0..events {
            sender.send(&vec![1; length]).unwrap();
        }
        assert!(start.elapsed() > Duration::from_millis(37), "{:?}", start.elapsed());
    }
}

#[test]
fn a_send_can_be_given_up_while_it_waits() {
    let (_socket, to) = receiver();
    let mut sender = Segmenter::builder(to).mtu(1500).rate_gbps(1e-6).open().unwrap();
    let event = vec![0; 1 << 20]; // hours, at this rate
    let asked = std::cell::Cell::new(0);
    let given_up = || asked.replace(asked.get() + 1) >= 2;
    let parts = [IoSlice::new(&event[..1000]), IoSlice::new(&event[1000..])];
    let error = sender.send_until(&parts, EventOptions::default(), &given_up).unwrap_err();
    assert!(matches!(error, Error::Stopped), "{error}");
    assert_eq!((sender.stats().events_dropped, sender.stats().events_failed), (1, 0));
    assert!(asked.get() >= 3, "{asked:?}");
}

#[test]
fn all_threads_together_keep_the_rate() {
    // 0.1 Gb/s: 4 × 100 kB by the workers and 100 kB here take 40 ms.
    let (_socket, to) = receiver();
    for smooth in [true, false] {
        let builder = Segmenter::builder(to).mtu(9000).rate_gbps(0.1).smooth(smooth).workers(3);
        let mut sender = builder.open().unwrap();
        let start = Instant::now();
        for _ in 0..40 {
            let _ = sender.submit(vec![1; 10_000], EventOptions::default()).unwrap();
        }
        for _ in 0..10 {
            sender.send(&[1; 10_000]).unwrap();
        }
        sender.flush();
        assert!(start.elapsed() > Duration::from_millis(37), "{:?}", start.elapsed());
        let stats = sender.stats();
        assert_eq!((stats.events_sent, stats.bytes), (50, 500_000));
        assert!(stats.pacing_lag_us > 0.0);
    }
}

#[test]
fn parts_are_gathered_into_one_event() {
    let (socket, to) = receiver();
    let mut sender = Segmenter::builder(to).lb(None).open().unwrap();
    let parts = [IoSlice::new(b"all "), IoSlice::new(b""), IoSlice::new(b"of one event")];
    sender.send_vectored(&parts, EventOptions::default()).unwrap();
    let queued = Buffer::gathered([&b"all "[..], b"", b"of one event"]);
    sender.submit(queued, EventOptions::default()).unwrap().wait().unwrap();
    for number in 0..2u8 {
        let mut bytes = [0; 100];
        let len = socket.recv(&mut bytes).unwrap();
        assert_eq!(bytes[19], number);
        assert_eq!(bytes[20..len], b"all of one event"[..]);
    }
    sender.send_vectored(&[], EventOptions::default()).unwrap();
    assert_eq!(next(&socket).length, 0);
}

#[test]
fn event_numbers_are_ticks_where_asked_for() {
    let (socket, to) = receiver();
    let builder = Segmenter::builder(to).first_event(41).ticks(Ticks::EventNumber);
    let mut sender = builder.open().unwrap();
    sender.send(b"x").unwrap();
    sender.submit(&b"y"[..], EventOptions::default()).unwrap().wait().unwrap();
    let named = EventOptions { tick: Some(7), ..EventOptions::default() };
    sender.send_with(b"z", named).unwrap();
    let ticks: Vec<u64> = (0..3).map(|_| next(&socket).lb.unwrap().tick()).collect();
    assert_eq!(ticks, [41, 42, 7]);
}

#[test]
fn sync_goes_before_data_until_the_end() {
    let (socket, to) = receiver();
    let (control_plane, at) = receiver();
    let warm_up = Duration::from_millis(300);
    let period = Duration::from_millis(100);
    let sync = SyncConfig { warm_up, period, ..SyncConfig::new(at, 5) };
    let start = Instant::now();
    let mut sender = Segmenter::builder(to).sync(sync).open().unwrap();
    // The constructor does not wait; the first event does, here and there.
    let ticket = sender.submit(&b"queued"[..], EventOptions::default()).unwrap();
    let early = ticket.try_wait().is_ok() && start.elapsed() < warm_up;
    assert!(!early, "data before the warm-up is over");
    sender.send(b"x").unwrap();
    assert!(start.elapsed() >= warm_up);
    let mut bytes = [0; 100];
    for _ in 0..3 {
        assert_eq!(control_plane.recv(&mut bytes).unwrap(), 28);
    }
    sender.flush();
    let first = next(&socket).lb.unwrap().tick();
    let message = xdpsar_wire::SyncMessage::parse(&bytes[..28]).unwrap();
    assert!(message.event_number().abs_diff(first) < 10_000_000, "one axis for both");
    let report = sender.stop(Duration::from_secs(10));
    let sync = report.stats.sync.unwrap();
    assert!(sync.sent >= 3 && sync.errors == 0, "{sync:?}");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let (_socket, to) = receiver();
    let usage = |builder: SegmenterBuilder| match builder.open().unwrap_err() {
        Error::Setup(error) if error.kind == SetupErrorKind::Usage => error.to_string(),
        other => panic!("{other}"),
    };
    let builder = || Segmenter::builder(to);
    assert!(usage(builder().workers(0)).contains("0 workers"));
    assert!(usage(builder().workers(129)).contains("1 to 128"));
    assert!(usage(builder().queue(0)).contains("queue of 0"));
    let core = xdpsar_dataplane::pin::allowed_cores()[0];
    assert!(usage(builder().cores(vec![core]).workers(2)).contains("on 1 cores"));
    let nowhere = SyncConfig::new("127.0.0.1:0".parse().unwrap(), 1);
    assert!(usage(builder().sync(nowhere)).contains("Sync"));
    match builder().cores(vec![100_000]).open().unwrap_err() {
        Error::Setup(error) => assert_eq!(error.kind, SetupErrorKind::NoSuchCore),
        other => panic!("{other}"),
    }
    let pinned = builder().cores(vec![core]).open().unwrap();
    assert_eq!(pinned.workers.as_ref().unwrap().published.len(), 1);
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = Segmenter::builder(to).rate_gbps(Some(rate)).open().unwrap_err();
        assert!(matches!(error, Error::Setup(e) if e.kind == SetupErrorKind::Usage));
    }
    let error = Segmenter::builder(to).mtu(60).open().unwrap_err();
    assert!(matches!(error, Error::Setup(e) if e.kind == SetupErrorKind::Mtu));
    let error = Segmenter::builder(to).sockets(0).open().unwrap_err();
    assert!(error.to_string().contains("0 sockets"), "{error}");
}

/// Only address space is taken: the pages are never touched.
#[test]
fn an_event_past_32_bits_is_refused_and_uses_no_number() {
    let (_socket, to) = receiver();
    let mut sender = Segmenter::builder(to).open().unwrap();
    let event = vec![0; u32::MAX as usize + 1];
    let error = sender.send(&event).unwrap_err();
    assert!(error.to_string().contains("4294967296"), "{error}");
    assert_eq!((sender.send(b"").unwrap(), sender.counters().failed), (0, 1));
}

mod queued;

#[test]
fn a_stopper_ends_a_send_that_would_take_hours() {
    let (socket, to) = receiver();
    let mut sender = Segmenter::builder(to).rate_gbps(1e-6).open().unwrap();
    let stopper = sender.stopper();
    let stopped = std::thread::spawn(move || {
        next(&socket);
        stopper.stop();
    });
    let event = vec![0; 1_000_000];
    assert!(matches!(sender.send(&event), Err(Error::Stopped)));
    stopped.join().unwrap();
    assert!(matches!(sender.send(b"later"), Err(Error::Stopped)));
    let ticket = sender.submit(&b"queued"[..], EventOptions::default()).unwrap();
    assert!(matches!(ticket.wait(), Err(Error::Stopped)));
    let stats = sender.stats();
    assert_eq!((stats.events_failed, stats.events_dropped), (0, 3));
    assert_eq!(stats.bytes_dropped, 1_000_011);
    assert!(stats.fragments > 0 && stats.fragments_failed > 0, "{stats:?}");
}

#[test]
fn a_mapped_file_that_is_cut_short_fails_its_event() {
    let (socket, to) = receiver();
    // At the smaller MTU, fragments would be put together if they were not
    // a file's.
    for (backend, mtu) in
        [(SendBackend::Mmsg, 9000), (SendBackend::Gso, 9000), (SendBackend::Gso, 1500)]
    {
        let mut sender = Segmenter::builder(to).backend(backend).mtu(mtu).open().unwrap();
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        let event = Buffer::map_file(&file, 1 << 20).unwrap();
        file.set_len(0).unwrap();
        let error = sender.send_from(&event, EventOptions::default()).unwrap_err();
        assert!(matches!(error, Error::Send(SendError::System { .. })), "{error}");
        let event = Buffer::gathered([Buffer::from(&b"text"[..]), event]);
        let ticket = sender.submit(event, EventOptions::default()).unwrap();
        let error = ticket.wait().unwrap_err();
        assert!(matches!(error, Error::Send(SendError::System { .. })), "{error}");
        sender.send(b"the next one").unwrap();
        assert_eq!(next(&socket).length, 12);
    }
}
