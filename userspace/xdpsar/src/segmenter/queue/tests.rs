//! The queue and its barriers, with workers played by the tests.

use std::time::Duration;

use super::{super::Ticket, *};

fn job_of(queue: &Queue, bytes: &'static [u8]) -> Result<Ticket, Refused> {
    queue.push(bytes.into(), EventOptions::default(), Duration::ZERO, Completion::ticket)
}

#[test]
fn numbers_have_no_gap_where_the_queue_was_full() {
    let queue = Queue::new(10, 2);
    let jobs = queue.open();
    let tickets = [job_of(&queue, b"a").unwrap(), job_of(&queue, b"b").unwrap()];
    let refused = job_of(&queue, b"c").unwrap_err();
    assert!(matches!(refused.error, Error::QueueFull { capacity: 2 }));
    assert_eq!(refused.buffer.parts()[0], b"c"[..], "the buffer comes back");
    jobs.recv().unwrap().finish(Ok(()));
    let third = job_of(&queue, b"d").unwrap();
    assert_eq!(tickets.map(|ticket| ticket.event_number()), [10, 11]);
    assert_eq!(third.event_number(), 12);
    assert_eq!(queue.number(None), 13);
    assert_eq!((queue.number(Some(u64::MAX)), queue.number(None)), (u64::MAX, 0));
    let counters = queue.counters();
    assert_eq!((counters.events, counters.bytes), (3, 3));
    assert_eq!((counters.refused_full, counters.high_water), (1, 2));
}

#[test]
fn a_wait_for_room_ends_and_the_buffer_comes_back() {
    let queue = Queue::new(0, 1);
    let _jobs = queue.open();
    let _first = job_of(&queue, b"a").unwrap();
    let wait = Duration::from_millis(20);
    let begun = Instant::now();
    let refused = queue.push(b"b".into(), EventOptions::default(), wait, Completion::ticket);
    assert!(begun.elapsed() >= wait, "{:?}", begun.elapsed());
    let refused = refused.unwrap_err();
    assert!(refused.is_full());
    assert_eq!(refused.buffer.parts()[0], b"b"[..]);
    assert_eq!(queue.counters().refused_full, 0, "it may try again");
    assert_eq!(queue.number(None), 1, "no number was used");
}

#[test]
fn a_closed_queue_takes_nothing_and_hands_out_what_it_has() {
    let queue = Queue::new(0, 4);
    assert!(matches!(job_of(&queue, b"").unwrap_err().error, Error::Stopped));
    let jobs = queue.open();
    let ticket = job_of(&queue, b"a").unwrap();
    queue.close();
    assert!(matches!(job_of(&queue, b"b").unwrap_err().error, Error::Stopped));
    jobs.recv().unwrap().finish(Ok(()));
    assert_eq!(ticket.wait().unwrap(), 0);
    assert!(jobs.recv().is_err());
}

#[test]
fn producers_that_wait_go_on_with_room_and_are_refused_at_the_end() {
    let queue = Queue::new(0, 1);
    let jobs = queue.open();
    std::thread::scope(|scope| {
        let submit = || {
            let options = EventOptions::default();
            queue.push(Buffer::default(), options, Duration::MAX, Completion::ticket).map(drop)
        };
        submit().unwrap();
        let waiting = scope.spawn(submit);
        while queue.waiting.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        drop(jobs.recv().unwrap());
        queue.made_room(jobs.len());
        waiting.join().unwrap().unwrap();
        let waiting = scope.spawn(submit);
        while queue.waiting.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        queue.close();
        assert!(matches!(waiting.join().unwrap().unwrap_err().error, Error::Stopped));
    });
}

#[test]
fn a_flush_waits_for_all_that_was_before_and_for_nothing_later() {
    let queue = Queue::new(0, 8);
    let jobs = queue.open();
    let until_flushing = |before: &Job| {
        while Arc::ptr_eq(&before._barrier, &queue.line().barrier) {
            std::thread::yield_now();
        }
    };
    queue.flush().wait(); // nothing to wait for
    std::thread::scope(|scope| {
        let _first = job_of(&queue, b"a").unwrap();
        let first = jobs.recv().unwrap();
        let early = scope.spawn(|| queue.flush().wait());
        until_flushing(&first);
        let _second = job_of(&queue, b"b").unwrap();
        let second = jobs.recv().unwrap();
        let late = scope.spawn(|| queue.flush().wait());
        until_flushing(&second);
        let _third = job_of(&queue, b"c").unwrap();
        second.finish(Ok(()));
        assert!(!queue.flush().wait_timeout(Duration::from_millis(20)));
        assert!(!early.is_finished() && !late.is_finished(), "the first is not told yet");
        first.finish(Ok(()));
        early.join().unwrap();
        late.join().unwrap();
        assert_eq!(jobs.len(), 1, "the third was not waited for");
    });
}
