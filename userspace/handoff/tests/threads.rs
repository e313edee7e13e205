//! Real threads, all ways of waiting.
#![cfg(not(loom))]

use std::{
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use xdpsar_handoff::{
    PushError, PushTimeoutError, Receiver, RecvError, RecvTimeoutError, TryPushError, TryRecvError,
    Wait, bounded,
};

const PATIENCE: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_millis(5);

fn scaled(count: u64) -> u64 {
    if cfg!(miri) { count / 1000 } else { count }
}

/// Producer in the upper half, its sequence number in the lower.
fn item(producer: u64, sequence: u64) -> Box<u64> {
    Box::new(producer << 32 | sequence)
}

/// Producers push batches of all sizes, waiting for room; consumers take one
/// by one or in batches. Every item comes once, each producer's in order.
fn crowd(capacity: usize, producers: u64, waits: &[Wait], each: u64) {
    let (sender, receiver) = bounded(capacity);
    let taken: Vec<Vec<Box<u64>>> = thread::scope(|scope| {
        for producer in 0..producers {
            let sender = sender.clone();
            scope.spawn(move || {
                let mut batch = Vec::new();
                let mut sequence = 0;
                while sequence < each {
                    let size = (1 + (sequence * 7 + producer) % 70).min(each - sequence);
                    if size == 1 {
                        sender.push(item(producer, sequence)).unwrap();
                    } else {
                        batch.extend((sequence..sequence + size).map(|n| item(producer, n)));
                        sender.push_batch(&mut batch).unwrap();
                        assert!(batch.is_empty());
                    }
                    sequence += size;
                }
            });
        }
        drop(sender);
        let consumers: Vec<_> = waits
            .iter()
            .enumerate()
            .map(|(index, wait)| {
                let receiver = receiver.clone().waiting(*wait);
                scope.spawn(move || consume(&receiver, index))
            })
            .collect();
        consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect()
    });
    for taken in &taken {
        let mut expected = vec![0; producers as usize];
        for item in taken {
            let (producer, sequence) = ((**item >> 32) as usize, **item & 0xFFFF_FFFF);
            assert!(sequence >= expected[producer], "in order");
            expected[producer] = sequence + 1;
        }
    }
    let mut all: Vec<_> = taken.into_iter().flatten().collect();
    all.sort_unstable();
    let expected = (0..producers).flat_map(|p| (0..each).map(move |n| item(p, n)));
    assert!(all.into_iter().eq(expected), "every item once");
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}

#[expect(clippy::vec_box, reason = "an item given twice is a double free")]
fn consume(receiver: &Receiver<Box<u64>>, index: usize) -> Vec<Box<u64>> {
    let mut taken = Vec::new();
    loop {
        let end = match (index + taken.len()) % 3 {
            0 => receiver.recv().map(|item| taken.push(item)).is_err(),
            1 => receiver.recv_batch(&mut taken, 1 + index * 13).is_err(),
            _ => match receiver.recv_timeout(Duration::from_micros(50)) {
                Ok(item) => {
                    taken.push(item);
                    false
                }
                Err(error) => error == RecvTimeoutError::Disconnected,
            },
        };
        if end {
            return taken;
        }
    }
}

#[test]
fn one_to_one() {
    for wait in [Wait::Adaptive, Wait::Sleep, Wait::Spin] {
        crowd(1000, 1, &[wait], scaled(200_000));
    }
}

#[test]
fn many_to_many_through_a_wide_ring() {
    crowd(1024, 3, &[Wait::Adaptive, Wait::Sleep, Wait::Sleep], scaled(100_000));
}

#[test]
fn many_to_many_through_a_narrow_ring() {
    for capacity in [1, 2, 3] {
        crowd(capacity, 2, &[Wait::Sleep, Wait::Adaptive], scaled(20_000));
    }
}

#[test]
fn more_sleepers_than_items_all_end() {
    crowd(64, 1, &[Wait::Sleep; 8], scaled(2_000));
}

#[test]
fn one_batch_reaches_consumers_that_take_one_each_and_do_not_return() {
    let (sender, receiver) = bounded(8);
    let consumers = 4;
    let all_have_one = Barrier::new(consumers + 1);
    thread::scope(|scope| {
        for _ in 0..consumers {
            let receiver = receiver.clone().waiting(Wait::Sleep);
            let all_have_one = &all_have_one;
            scope.spawn(move || {
                receiver.recv().unwrap();
                // Holds its item until everybody has one: a wake-up that is
                // not passed on would be waited for here for ever.
                all_have_one.wait();
            });
        }
        thread::sleep(MOMENT);
        assert_eq!(sender.try_push_batch(&mut vec![0; consumers]), Ok(consumers));
        all_have_one.wait();
    });
}

#[test]
fn what_is_there_is_drained_before_disconnection_shows() {
    let (sender, receiver) = bounded(10);
    let other = sender.clone();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    sender.push(1).unwrap();
    drop(sender);
    other.push(2).unwrap();
    drop(other);
    assert_eq!((receiver.len(), receiver.is_empty()), (2, false));
    assert_eq!(receiver.recv(), Ok(1));
    assert_eq!(receiver.recv_timeout(PATIENCE), Ok(2));
    assert_eq!(receiver.recv(), Err(RecvError));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    for timeout in [PATIENCE, Duration::ZERO] {
        assert_eq!(receiver.recv_timeout(timeout), Err(RecvTimeoutError::Disconnected));
    }
    assert_eq!(receiver.recv_batch(&mut vec![], 3), Err(RecvError));
    let spinning = receiver.waiting(Wait::Spin);
    assert_eq!(spinning.recv(), Err(RecvError));
}

#[test]
fn a_batch_is_what_is_there() {
    let (sender, receiver) = bounded(10);
    assert_eq!(sender.try_push_batch(&mut (0..7).collect()), Ok(7));
    let mut batch = vec![99];
    assert_eq!(receiver.recv_batch(&mut batch, 0), Ok(0));
    assert_eq!(receiver.recv_batch_timeout(&mut batch, 3, PATIENCE), Ok(3));
    assert_eq!(receiver.try_recv_batch(&mut batch, 100), 4);
    assert_eq!(receiver.try_recv_batch(&mut batch, 100), 0);
    assert_eq!(receiver.recv_batch_timeout(&mut batch, 3, MOMENT), Err(RecvTimeoutError::Timeout));
    assert_eq!(batch, [99, 0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn what_finds_no_room_stays() {
    let (sender, receiver) = bounded(3);
    let mut items: Vec<_> = (0..5).collect();
    assert_eq!(sender.try_push_batch(&mut items), Ok(3));
    assert_eq!(sender.try_push(9), Err(TryPushError::Full(9)));
    assert_eq!(sender.push_batch_timeout(&mut items, MOMENT), Err(PushTimeoutError::Timeout));
    assert_eq!(items, [3, 4]);
    assert_eq!(receiver.recv(), Ok(0));
    assert_eq!(sender.push_batch_timeout(&mut items, MOMENT), Err(PushTimeoutError::Timeout));
    assert_eq!((items, sender.len(), sender.capacity()), (vec![4], 3, 3));
}

#[test]
fn a_timeout_is_kept() {
    for wait in [Wait::Adaptive, Wait::Sleep, Wait::Spin] {
        let (_sender, receiver) = bounded::<u8>(1);
        let receiver = receiver.waiting(wait);
        let started = Instant::now();
        assert_eq!(receiver.recv_timeout(MOMENT), Err(RecvTimeoutError::Timeout));
        assert!(started.elapsed() >= MOMENT);
        assert_eq!(receiver.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
    }
}

#[test]
fn the_last_sender_wakes_every_sleeper() {
    let (sender, receiver) = bounded::<u8>(4);
    thread::scope(|scope| {
        for _ in 0..3 {
            let receiver = receiver.clone().waiting(Wait::Sleep);
            scope.spawn(move || assert_eq!(receiver.recv(), Err(RecvError)));
        }
        thread::sleep(MOMENT);
        drop(sender);
    });
}

#[test]
fn a_blocked_producer_goes_on_when_half_is_free() {
    let (sender, receiver) = bounded(4);
    sender.push_batch(&mut (0..4).collect()).unwrap();
    thread::scope(|scope| {
        let blocked = scope.spawn(|| sender.push_batch(&mut (4..6).collect()));
        thread::sleep(MOMENT);
        assert!(!blocked.is_finished() && receiver.len() == 4, "it waits");
        assert_eq!([receiver.recv(), receiver.recv()], [Ok(0), Ok(1)]);
        blocked.join().unwrap().unwrap();
    });
    drop(sender);
    assert_eq!(std::iter::from_fn(|| receiver.recv().ok()).collect::<Vec<_>>(), [2, 3, 4, 5]);
}

/// A consumer that goes away may be the one that was woken for what is left.
#[test]
fn consumers_come_and_go_and_nothing_is_lost() {
    let each = scaled(50_000);
    let (sender, receiver) = bounded(16);
    let consume = |patient: bool| {
        let mut taken = Vec::new();
        loop {
            let receiver = receiver.clone().waiting(Wait::Sleep);
            // A few, and it is dropped; the impatient one may go without any.
            for turn in 0..taken.len() % 5 + 1 {
                let end = if patient || turn % 2 == 0 {
                    receiver.recv_batch(&mut taken, 1 + turn).is_err()
                } else {
                    let timeout = Duration::from_micros(10);
                    receiver.recv_batch_timeout(&mut taken, 3, timeout)
                        == Err(RecvTimeoutError::Disconnected)
                };
                if end {
                    return taken;
                }
            }
        }
    };
    let mut all: Vec<Box<u64>> = thread::scope(|scope| {
        let consumers: Vec<_> =
            [true, false, false].map(|patient| scope.spawn(move || consume(patient))).into();
        for sequence in 0..each {
            sender.push(item(0, sequence)).unwrap();
        }
        drop(sender);
        consumers.into_iter().flat_map(|consumer| consumer.join().unwrap()).collect()
    });
    all.sort_unstable();
    assert!(all.into_iter().eq((0..each).map(|sequence| item(0, sequence))), "every item once");
}

#[test]
fn without_receivers_items_are_dropped_and_producers_told() {
    let (sender, receiver) = bounded(1);
    let item = Arc::new(());
    sender.push(Arc::clone(&item)).unwrap();
    thread::scope(|scope| {
        let (blocked, mine) = (sender.clone(), Arc::clone(&item));
        let blocked = scope.spawn(move || blocked.push(mine).is_err());
        thread::sleep(MOMENT);
        drop(receiver);
        assert!(blocked.join().unwrap());
    });
    assert_eq!(Arc::strong_count(&item), 1, "the one inside is dropped, too");
    assert_eq!(sender.push_batch(&mut vec![Arc::clone(&item)]), Err(PushError(())));
    assert!(matches!(sender.try_push(item), Err(TryPushError::Disconnected(_))));
}
