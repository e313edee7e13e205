//! Queued events: tickets, callbacks, and what a stop does.

use std::sync::{
    Arc, Barrier,
    atomic::{AtomicU64, Ordering},
    mpsc,
};

use bytes::Bytes;

use super::*;

const LONG: Duration = Duration::from_secs(10);
const PLAIN: EventOptions =
    EventOptions { event_number: None, data_id: None, entropy: None, tick: None };

/// A sender that takes 12 s and more for each datagram after the first.
fn slow(to: SocketAddr) -> SegmenterBuilder {
    Segmenter::builder(to).mtu(1500).rate_gbps(0.000_001)
}

#[test]
fn queued_events_leave_in_order_and_are_told() {
    let (socket, to) = receiver();
    let mut sender = Segmenter::builder(to).data_id(5).open().unwrap();
    let shared: Arc<[u8]> = vec![7; 10].into();
    let named = EventOptions { event_number: Some(100), data_id: Some(6), ..PLAIN };
    let tickets = [
        sender.submit(Arc::clone(&shared), PLAIN).unwrap(),
        sender.try_submit(Vec::new(), PLAIN).unwrap(),
        sender.submit(Bytes::from_static(b"abc"), named).unwrap(),
    ];
    let (send, told) = mpsc::channel();
    let callback = move |outcome: Outcome| send.send(outcome).unwrap();
    sender.submit_with(Buffer::owner(String::from("four")), PLAIN, callback).unwrap();
    assert_eq!(tickets.map(|ticket| ticket.wait().unwrap()), [0, 1, 100]);
    assert_eq!(Arc::strong_count(&shared), 1, "given back before the ticket is told");
    let outcome = told.recv_timeout(LONG).unwrap();
    assert_eq!(outcome.event_number, 101);
    outcome.result.unwrap();
    assert!(told.recv().is_err(), "told once");
    assert_eq!(sender.send(b"here").unwrap(), 102, "one line of numbers");
    let seen: Vec<_> = (0..5).map(|_| next(&socket)).collect();
    let seen: Vec<_> = seen.iter().map(|e| (e.event_number, e.data_id, e.length)).collect();
    assert_eq!(seen, [(0, 5, 10), (1, 5, 0), (100, 6, 3), (101, 5, 4), (102, 5, 4)]);
    let report = sender.stop(LONG);
    assert!(report.drained && report.dropped_events == 0 && report.stuck_workers == 0);
    let stats = report.stats;
    assert_eq!((stats.events_queued, stats.bytes_queued, stats.queue_depth), (4, 17, 0));
    assert_eq!((stats.events_sent, stats.bytes, stats.fragments), (5, 21, 5));
    assert!((1..=4).contains(&stats.queue_high_water), "{stats:?}");
}

#[test]
fn a_full_queue_gives_the_buffer_back_or_waits() {
    let (_socket, to) = receiver();
    let mut sender = slow(to).queue(1).open().unwrap();
    let sent = sender.submit(vec![0; 1400], PLAIN).unwrap();
    sent.wait().unwrap();
    // One is with the worker, which waits for its time, and one queued.
    let _with_the_worker = sender.submit(vec![1; 1400], PLAIN).unwrap();
    let _queued = sender.submit(vec![2; 1400], PLAIN).unwrap();
    let refused = sender.try_submit(vec![3; 1400], PLAIN).unwrap_err();
    assert!(refused.is_full() && refused.to_string().contains("1 events"), "{refused}");
    assert_eq!(refused.buffer.parts()[0], [3; 1400][..]);
    let stats = sender.stats();
    assert_eq!((stats.queue_full, stats.queue_depth, stats.queue_high_water), (1, 1, 1));
    // Who waits is refused by the stop, with the buffer.
    let submitter = sender.submitter().unwrap();
    let waiting = std::thread::spawn(move || submitter.submit(refused.buffer, PLAIN));
    std::thread::sleep(Duration::from_millis(50));
    sender.stop(Duration::ZERO);
    let refused = waiting.join().unwrap().unwrap_err();
    assert!(matches!(refused.error, Error::Stopped));
    assert_eq!(refused.buffer.len(), 1400);
}

#[test]
fn a_queued_event_can_be_cancelled_and_one_under_way_cannot() {
    let (socket, to) = receiver();
    let mut sender = slow(to).open().unwrap();
    sender.submit(vec![0; 1400], PLAIN).unwrap().wait().unwrap();
    // A worker waits with it for its time.
    let under_way = sender.submit(vec![1; 1400], PLAIN).unwrap();
    let queued = sender.submit(vec![2; 1400], PLAIN).unwrap();
    let (send, told) = mpsc::channel();
    assert!(queued.canceller().cancel());
    queued.then(move |outcome| send.send(outcome).unwrap());
    let report = sender.stop(Duration::ZERO);
    assert!(matches!(told.recv_timeout(LONG).unwrap().result, Err(Error::Cancelled)));
    assert!(matches!(under_way.wait(), Err(Error::Stopped)));
    assert_eq!((report.dropped_events, report.stats.events_cancelled), (1, 1));
    assert_eq!(report.stats.events_queued, 3);
    assert_eq!(next(&socket).length, 1400);
}

#[test]
fn a_stop_keeps_its_deadline_and_says_what_it_dropped() {
    let (socket, to) = receiver();
    for workers in [1, 2] {
        let mut sender = slow(to).workers(workers).open().unwrap();
        let first = sender.submit(vec![0; 1400], PLAIN).unwrap();
        first.wait().unwrap();
        let tickets: Vec<_> =
            (0..10).map(|_| sender.submit(vec![1; 10_000], PLAIN).unwrap()).collect();
        let (send, told) = mpsc::channel();
        sender.submit_with(vec![2; 5], PLAIN, move |outcome| send.send(outcome).unwrap()).unwrap();
        let start = Instant::now();
        let report = sender.stop(Duration::from_millis(100));
        assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
        assert!(!report.drained && report.stuck_workers == 0);
        assert_eq!((report.dropped_events, report.dropped_bytes), (11, 100_005));
        assert_eq!((report.stats.events_queued, report.stats.events_sent), (12, 1));
        assert_eq!((report.stats.events_failed, report.stats.queue_depth), (0, 0));
        for ticket in tickets {
            assert!(matches!(ticket.try_wait().unwrap(), Err(Error::Stopped)));
        }
        assert!(matches!(told.try_recv().unwrap().result, Err(Error::Stopped)));
        // What was cut off did not leave after all.
        assert_eq!(next(&socket).length, 1400);
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(socket.recv(&mut [0; 10]).is_err());
        socket.set_read_timeout(Some(LONG)).unwrap();
    }
}

#[test]
fn dropping_sends_what_is_queued_and_ends_in_time() {
    let (_socket, to) = receiver();
    let mut sender = Segmenter::builder(to).open().unwrap();
    let tickets: Vec<_> = (0..100).map(|_| sender.submit(vec![0; 10], PLAIN).unwrap()).collect();
    let left_over = sender.submitter().unwrap();
    drop(sender);
    assert!(tickets.into_iter().all(|ticket| ticket.try_wait().unwrap().is_ok()));
    assert!(matches!(left_over.submit(vec![], PLAIN).unwrap_err().error, Error::Stopped));
    left_over.flush();

    let mut sender = slow(to).drain(Duration::from_millis(10)).open().unwrap();
    sender.submit(vec![0; 1400], PLAIN).unwrap().wait().unwrap();
    let tickets = [(); 2].map(|()| sender.submit(vec![0; 1400], PLAIN).unwrap());
    let start = Instant::now();
    drop(sender);
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    for ticket in tickets {
        assert!(matches!(ticket.try_wait().unwrap(), Err(Error::Stopped)));
    }
}

#[test]
fn a_stop_during_the_warm_up_does_not_wait_for_it() {
    let (_socket, to) = receiver();
    let (_control_plane, at) = receiver();
    let sync = SyncConfig { warm_up: Duration::from_secs(600), ..SyncConfig::new(at, 5) };
    let mut sender = Segmenter::builder(to).sync(sync).open().unwrap();
    let ticket = sender.submit(vec![], PLAIN).unwrap();
    let start = Instant::now();
    assert_eq!(sender.stop(Duration::ZERO).dropped_events, 1);
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert!(matches!(ticket.wait(), Err(Error::Stopped)));
}

#[test]
fn a_receiver_that_is_gone_stops_nothing_and_is_counted() {
    let (socket, to) = receiver();
    drop(socket);
    let mut sender = Segmenter::builder(to).workers(2).open().unwrap();
    let tickets: Vec<_> = (0..200).map(|_| sender.submit(vec![0; 5000], PLAIN).unwrap()).collect();
    for ticket in tickets {
        ticket.wait().unwrap();
    }
    let report = sender.stop(LONG);
    assert!(report.drained && report.stats.refused > 0, "{report:?}");
    assert_eq!((report.stats.events_sent, report.stats.events_failed), (200, 0));
}

#[test]
fn callbacks_may_panic_and_submit_but_do_not_wait_for_themselves() {
    let (_socket, to) = receiver();
    let mut sender = Segmenter::builder(to).queue(1).open().unwrap();
    let again = sender.submitter().unwrap();
    let (send, told) = mpsc::channel();
    sender
        .submit_with(vec![], PLAIN, move |_| {
            again.flush();
            let _ = again.submit(vec![1], PLAIN).unwrap();
            // Only this thread could make room.
            send.send(again.submit(vec![2], PLAIN).unwrap_err().is_full()).unwrap();
            panic!("deliberate: a callback's own defect");
        })
        .unwrap();
    assert!(told.recv_timeout(LONG).unwrap());
    sender.flush();
    let stats = sender.stop(LONG).stats;
    assert_eq!((stats.callback_panics, stats.events_sent, stats.queue_full), (1, 2, 1));
}

#[test]
fn a_callback_that_does_not_return_does_not_hold_up_a_stop() {
    let (_socket, to) = receiver();
    let mut sender = Segmenter::builder(to).drain(Duration::from_secs(3600)).open().unwrap();
    let (release, held) = mpsc::channel::<()>();
    let (send, begun) = mpsc::channel();
    let hold = move |_| {
        send.send(()).unwrap();
        let _ = held.recv();
    };
    sender.submit_with(vec![], PLAIN, hold).unwrap();
    begun.recv_timeout(LONG).unwrap();
    let behind = sender.submit(vec![1; 3], PLAIN).unwrap();
    let start = Instant::now();
    let report = sender.stop(Duration::ZERO);
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
    assert_eq!((report.stuck_workers, report.drained), (1, false));
    assert_eq!((report.dropped_events, report.dropped_bytes), (1, 3));
    assert!(matches!(behind.try_wait().unwrap(), Err(Error::Stopped)));
    drop(release);
}

/// Only address space is taken: the pages are never touched.
#[test]
fn an_event_past_32_bits_is_not_queued() {
    let (_socket, to) = receiver();
    let mut sender = Segmenter::builder(to).open().unwrap();
    let quarter = Bytes::from(vec![0; 1 << 30]);
    let refused = sender.submit(Buffer::gathered(vec![quarter; 4]), PLAIN).unwrap_err();
    assert_eq!(refused.buffer.len(), 1 << 32);
    let error = Error::from(refused).to_string();
    assert!(error.contains("4294967296") && error.contains("split"), "{error}");
    assert_eq!(sender.submit(vec![], PLAIN).unwrap().event_number(), 0, "no number was used");
}

/// Producers, flushes and a stop at any moment: whatever was taken in is told
/// exactly once, and the totals agree.
#[test]
fn submitting_flushing_and_stopping_race_without_loss() {
    let (_socket, to) = receiver();
    for round in 0..60 {
        let mut sender = Segmenter::builder(to).sockets(1).queue(4).workers(2).open().unwrap();
        let told = Arc::new(AtomicU64::new(0));
        let gate = Arc::new(Barrier::new(4));
        let producers: Vec<_> = (0..3)
            .map(|producer| {
                let submitter = sender.submitter().unwrap();
                let (told, gate) = (Arc::clone(&told), Arc::clone(&gate));
                std::thread::spawn(move || {
                    gate.wait();
                    let (mut taken_in, mut tickets) = (0, Vec::new());
                    for number in 0..1000 {
                        let bytes = vec![0; number % 50];
                        let pushed = if (number + producer) % 2 == 0 {
                            submitter.submit(bytes, PLAIN).map(|ticket| tickets.push(ticket))
                        } else {
                            let told = Arc::clone(&told);
                            let tell = move |_| {
                                told.fetch_add(1, Ordering::Relaxed);
                            };
                            submitter.submit_with(bytes, PLAIN, tell)
                        };
                        match pushed {
                            Ok(()) => taken_in += 1,
                            Err(refused) => {
                                assert!(matches!(refused.error, Error::Stopped));
                                break;
                            }
                        }
                        if number % 97 == 0 {
                            submitter.flush();
                        }
                    }
                    let told = tickets.into_iter().map(|ticket| match ticket.wait() {
                        Ok(_) | Err(Error::Stopped) => 1,
                        Err(error) => panic!("{error}"),
                    });
                    (taken_in, told.sum::<u64>())
                })
            })
            .collect();
        gate.wait();
        std::thread::sleep(Duration::from_micros(round * 50));
        let drain = if round % 2 == 0 { LONG } else { Duration::ZERO };
        let report = sender.stop(drain);
        let mut sums = (0, 0);
        for producer in producers {
            let (taken_in, told) = producer.join().unwrap();
            sums = (sums.0 + taken_in, sums.1 + told);
        }
        let stats = &report.stats;
        assert_eq!(stats.events_queued, sums.0);
        assert_eq!(sums.1 + told.load(Ordering::Relaxed), sums.0, "each told once");
        assert_eq!(stats.events_sent + report.dropped_events, sums.0, "{stats:?}");
        assert!(report.drained || drain.is_zero(), "{report:?}");
    }
}
