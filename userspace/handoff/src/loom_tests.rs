//! Every interleaving of small hand-offs. A lost wake-up is a deadlock, which
//! loom finds by itself.

use std::time::Duration;

use loom::{model, thread};

use crate::{
    Receiver, RecvTimeoutError, Sender, TryRecvError, Wait,
    channel::on_ring,
    ring::{Enlisted, Ring, Sleeper},
    sync::{Arc, AtomicUsize, Ordering},
};

mod waiting;

const LONG: Duration = Duration::from_secs(1000);

/// Consumers sleep at once, positions are about to wrap.
fn handoff<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = on_ring(Ring::at_lap(capacity, u64::MAX));
    (sender, receiver.waiting(Wait::Sleep))
}

/// Does this in a thread of its own, which leaves the dropping to the model's:
/// dropping at once would be one more thing to interleave.
fn in_thread<E: Send + Sync + 'static, R: Send + 'static>(
    ends: &Arc<E>,
    work: impl FnOnce(&E) -> R + Send + 'static,
) -> thread::JoinHandle<(R, Arc<E>)> {
    let ends = Arc::clone(ends);
    thread::spawn(move || (work(&ends), ends))
}

/// Nobody is counted asleep, and no permit is left over.
fn assert_settled<T>(receiver: &Receiver<T>) {
    let shared = receiver.shared();
    assert_eq!(shared.ring.take_consumer(), Sleeper::None);
    assert_eq!(shared.ring.take_producer(), Sleeper::None);
    assert_eq!((shared.items.permits(), shared.room.permits()), (0, 0));
}

#[test]
fn what_goes_in_comes_out_once_and_in_order_across_the_wrap() {
    model(|| {
        let ring = Arc::new(Ring::at_lap(3, u64::MAX));
        let producer = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                let mut items = vec![Box::new(1), Box::new(2)];
                let (first, _) = ring.push_batch(&mut items).unwrap();
                assert_eq!(first, 2, "there was room for both");
                items.extend([Box::new(3), Box::new(4)]);
                first + ring.push_batch(&mut items).unwrap().0
            })
        };
        let mut out = Vec::with_capacity(4);
        for _ in 0..2 {
            let _ = ring.pop_batch(&mut out, 2);
        }
        let pushed = producer.join().unwrap();
        while ring.pop_batch(&mut out, 3).is_some() {}
        let expected: Vec<_> = (1..=pushed).map(Box::new).collect();
        assert_eq!(out, expected);
    });
}

#[test]
fn two_producers_and_two_consumers_share_a_ring() {
    model(|| {
        let ring = Arc::new(Ring::at_lap(2, u64::MAX));
        let producers = [1, 2].map(|item| {
            let ring = Arc::clone(&ring);
            thread::spawn(move || ring.push(Box::new(item)).map(|_| ()).is_ok())
        });
        let consumer = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || ring.pop().map_or(0, |(item, _)| *item))
        };
        let mut sum = ring.pop().map_or(0, |(item, _)| *item);
        for producer in producers {
            assert!(producer.join().unwrap());
        }
        sum += consumer.join().unwrap();
        sum += std::iter::from_fn(|| ring.pop()).map(|(item, _)| *item).sum::<i32>();
        assert_eq!(sum, 3);
    });
}

#[test]
fn no_wake_up_is_lost_between_two_producers_and_two_consumers() {
    model(|| {
        let (sender, receiver) = handoff(2);
        let ends = Arc::new((sender, receiver));
        let producer = in_thread(&ends, |(sender, _)| sender.try_push(1).unwrap());
        let consumers =
            [(), ()].map(|()| in_thread(&ends, |(_, receiver)| receiver.recv().unwrap()));
        ends.0.try_push(2).unwrap();
        producer.join().unwrap();
        assert_eq!(consumers.map(|consumer| consumer.join().unwrap().0).iter().sum::<i32>(), 3);
        assert_settled(&ends.1);
    });
}

#[test]
fn a_batch_wakes_one_and_that_one_wakes_the_next() {
    model(|| {
        let (sender, receiver) = handoff(2);
        let ends = Arc::new((sender, receiver));
        let consumers =
            [(), ()].map(|()| in_thread(&ends, |(_, receiver)| receiver.recv().unwrap()));
        assert_eq!(ends.0.try_push_batch(&mut vec![1, 2]), Ok(2));
        assert_eq!(consumers.map(|consumer| consumer.join().unwrap().0).iter().sum::<i32>(), 3);
        assert_settled(&ends.1);
    });
}

#[test]
fn of_two_asleep_exactly_one_is_woken() {
    model(|| {
        let ring = Arc::new(Ring::at_lap(4, u64::MAX));
        let sleepers = [(), ()].map(|()| {
            let ring = Arc::clone(&ring);
            thread::spawn(move || while ring.enlist_consumer() != Enlisted::Yes {})
        });
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
        let other = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || ring.push_batch(&mut vec![1, 2]).unwrap())
        };
        // Two batches at once take two, and a third finds nobody.
        assert_eq!(ring.push(3), Ok(Sleeper::Taken));
        assert_eq!(other.join().unwrap(), (2, Sleeper::Taken));
        assert_eq!(ring.push(4), Ok(Sleeper::None));
    });
}

#[test]
fn the_last_sender_wakes_all() {
    model(|| {
        let (sender, receiver) = handoff::<i32>(1);
        let ends = Arc::new(receiver);
        let consumers = [(), ()].map(|()| in_thread(&ends, Receiver::recv));
        let other = sender.clone();
        let dropping = thread::spawn(move || drop(other));
        drop(sender);
        dropping.join().unwrap();
        for consumer in consumers {
            consumer.join().unwrap().0.unwrap_err();
        }
        assert_settled(&ends);
    });
}

#[test]
fn what_was_pushed_before_the_last_sender_went_is_received() {
    model(|| {
        let (sender, receiver) = handoff(2);
        let producer = thread::spawn(move || sender.try_push(1).unwrap());
        let item = loop {
            match receiver.try_recv() {
                Ok(item) => break item,
                Err(TryRecvError::Empty) => thread::yield_now(),
                Err(TryRecvError::Disconnected) => panic!("an item was lost"),
            }
        };
        assert_eq!(item, 1);
        receiver.recv().unwrap_err();
        producer.join().unwrap();
    });
}

/// Of every sender, not only of the last one; asleep or looking.
#[test]
fn who_learns_of_the_end_sees_what_the_senders_did_before() {
    for sleeping in [false, true] {
        model(move || {
            let done = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
            let (sender, receiver) = handoff::<i32>(1);
            let senders = [(0, sender.clone()), (1, sender)].map(|(index, sender)| {
                let done = Arc::clone(&done);
                thread::spawn(move || {
                    done[index].store(1, Ordering::Relaxed);
                    drop(sender);
                })
            });
            if sleeping {
                receiver.recv().unwrap_err();
            } else {
                while receiver.try_recv() != Err(TryRecvError::Disconnected) {
                    thread::yield_now();
                }
            }
            let done = [0, 1].map(|index| done[index].load(Ordering::Relaxed));
            assert_eq!(done, [1, 1]);
            for sender in senders {
                sender.join().unwrap();
            }
        });
    }
}

#[test]
fn a_timeout_takes_no_wake_up_away() {
    model(|| {
        let (sender, receiver) = handoff(1);
        let ends = Arc::new(receiver);
        let timer = in_thread(&ends, |receiver| receiver.shared().items.time_is_up());
        let impatient = in_thread(&ends, |receiver| receiver.recv_timeout(LONG));
        let patient = in_thread(&ends, Receiver::recv);
        sender.try_push(1).unwrap();
        timer.join().unwrap();
        match impatient.join().unwrap().0 {
            // Who stayed must get it.
            Err(RecvTimeoutError::Timeout) => assert_eq!(patient.join().unwrap().0, Ok(1)),
            Ok(1) => {
                drop(sender);
                patient.join().unwrap().0.unwrap_err();
            }
            other => panic!("{other:?}"),
        }
        assert_settled(&ends);
    });
}

#[test]
fn a_blocked_producer_is_woken_by_room() {
    model(|| {
        let (sender, receiver) = handoff(2);
        let ends = Arc::new((sender, receiver));
        let producer =
            in_thread(&ends, |(sender, _)| sender.push_batch(&mut vec![1, 2, 3]).unwrap());
        assert_eq!([(), (), ()].map(|()| ends.1.recv().unwrap()), [1, 2, 3]);
        producer.join().unwrap();
        assert_settled(&ends.1);
    });
}

#[test]
fn two_blocked_producers_are_woken_by_room() {
    model(|| {
        let (sender, receiver) = handoff(1);
        sender.try_push(1).unwrap();
        let ends = Arc::new((sender, receiver));
        let producers = [(), ()].map(|()| in_thread(&ends, |(sender, _)| sender.push(1).unwrap()));
        for _ in 0..3 {
            while ends.1.try_recv().is_err() {
                thread::yield_now();
            }
        }
        for producer in producers {
            producer.join().unwrap();
        }
        assert_settled(&ends.1);
    });
}

#[test]
fn one_batch_taken_lets_two_blocked_producers_in() {
    model(|| {
        let (sender, receiver) = handoff(2);
        assert_eq!(sender.try_push_batch(&mut vec![1, 2]), Ok(2));
        let ends = Arc::new((sender, receiver));
        let producers = [(), ()].map(|()| in_thread(&ends, |(sender, _)| sender.push(3).unwrap()));
        // One claim wakes one producer, and nothing is taken after it.
        assert_eq!(ends.1.try_recv_batch(&mut vec![], 2), 2);
        for producer in producers {
            producer.join().unwrap();
        }
        assert_settled(&ends.1);
    });
}

#[test]
fn the_last_receiver_releases_blocked_producers_and_drops_what_is_left() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    model(|| {
        let alive = Arc::new(AtomicUsize::new(2));
        let (sender, receiver) = handoff(1);
        let producer = {
            let items = [Counted(Arc::clone(&alive)), Counted(Arc::clone(&alive))];
            thread::spawn(move || {
                for item in items {
                    let _ = sender.push(item);
                }
                sender
            })
        };
        drop(receiver);
        let sender = producer.join().unwrap();
        assert_eq!(alive.load(Ordering::Relaxed), 0, "dropped while a sender is still there");
        drop(sender);
    });
}
