//! Waiting by a descriptor, and being interrupted.

use super::*;
use crate::readiness::Readiness;

/// As a program with an event loop does it.
fn poll(receiver: &Receiver<i32>, readiness: &Readiness) -> Result<i32, TryRecvError> {
    loop {
        match receiver.try_recv() {
            Err(TryRecvError::Empty) => readiness.wait_readable(),
            taken => return taken,
        }
        // Readable without need is allowed, and for as long as a producer is
        // between its claim and its item.
        thread::yield_now();
    }
}

#[test]
fn a_descriptor_shows_every_item() {
    model(|| {
        let (sender, receiver) = handoff(2);
        let readiness = receiver.readiness().unwrap();
        let ends = Arc::new(sender);
        let producer = in_thread(&ends, |sender| sender.try_push(2).unwrap());
        ends.try_push(1).unwrap();
        let taken = [(), ()].map(|()| poll(&receiver, &readiness).unwrap());
        assert_eq!(taken.iter().sum::<i32>(), 3);
        producer.join().unwrap();
        assert_settled(&receiver);
    });
}

#[test]
fn a_descriptor_shows_what_another_consumer_leaves() {
    model(|| {
        let (sender, receiver) = handoff(2);
        let readiness = receiver.readiness().unwrap();
        let ends = Arc::new(receiver);
        // It may find nothing just before the items come, or between them.
        let other = in_thread(&ends, |receiver| receiver.try_recv().is_ok());
        let producer = thread::spawn(move || {
            sender.try_push(1).unwrap();
            sender.try_push(1).unwrap();
            sender
        });
        poll(&ends, &readiness).unwrap();
        let sender = producer.join().unwrap();
        if !other.join().unwrap().0 {
            poll(&ends, &readiness).unwrap();
        }
        drop(sender);
        assert_settled(&ends);
    });
}

#[test]
fn a_descriptor_shows_the_end() {
    model(|| {
        let (sender, receiver) = handoff::<i32>(1);
        let readiness = receiver.readiness().unwrap();
        let dropping = thread::spawn(move || drop(sender));
        assert_eq!(poll(&receiver, &readiness), Err(TryRecvError::Disconnected));
        dropping.join().unwrap();
        readiness.wait_readable();
    });
}

/// One waits by the descriptor and one asleep: each gets its item.
#[test]
fn a_descriptor_takes_no_wake_up_away() {
    model(|| {
        let (sender, receiver) = handoff(2);
        let readiness = receiver.readiness().unwrap();
        let ends = Arc::new(receiver);
        let asleep = in_thread(&ends, |receiver| receiver.recv().unwrap());
        let producer = thread::spawn(move || {
            sender.try_push_batch(&mut vec![1, 2]).unwrap();
            sender
        });
        let mut sum = poll(&ends, &readiness).unwrap();
        sum += asleep.join().unwrap().0;
        assert_eq!(sum, 3);
        drop(producer.join().unwrap());
        assert_settled(&ends);
    });
}

/// Returns what is there, or nothing once the flag is set.
fn recv_until(receiver: &Receiver<i32>, flag: &AtomicUsize) -> Option<i32> {
    let mut into = Vec::with_capacity(1);
    let is_over = || flag.load(Ordering::Relaxed) == 1;
    match receiver.recv_batch_until(&mut into, 1, None, is_over) {
        Ok(_) => into.pop(),
        Err(error) => {
            assert_eq!(error, RecvTimeoutError::Timeout);
            None
        }
    }
}

#[test]
fn who_is_interrupted_returns() {
    model(|| {
        let (sender, receiver) = handoff(1);
        let ends = Arc::new((receiver, AtomicUsize::new(0)));
        let waiting = in_thread(&ends, |(receiver, flag)| recv_until(receiver, flag));
        ends.1.store(1, Ordering::Relaxed);
        ends.0.interrupt();
        assert_eq!(waiting.join().unwrap().0, None);
        assert_settled(&ends.0);
        drop(sender);
    });
}

/// An item that comes at the same time is received, now or later; who was
/// woken without being meant goes on waiting.
#[test]
fn an_interruption_takes_no_item_away() {
    model(|| {
        let (sender, receiver) = handoff(1);
        let ends = Arc::new((receiver, AtomicUsize::new(0)));
        let meant = in_thread(&ends, |(receiver, flag)| recv_until(receiver, flag));
        let other = in_thread(&ends, |(receiver, _)| receiver.recv().ok());
        ends.1.store(1, Ordering::Relaxed);
        ends.0.interrupt();
        sender.try_push(1).unwrap();
        match meant.join().unwrap().0 {
            None => assert_eq!(other.join().unwrap().0, Some(1)),
            Some(_) => {
                drop(sender);
                assert_eq!(other.join().unwrap().0, None);
            }
        }
        assert_settled(&ends.0);
    });
}
