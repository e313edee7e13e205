//! Waiting by a descriptor, and being interrupted, with real threads. Miri has
//! no `poll`.
#![cfg(not(any(loom, miri)))]

use std::{
    os::fd::AsFd,
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use xdpsar_handoff::{Readiness, Receiver, RecvTimeoutError, TryRecvError, Wait, bounded};

/// For what must happen.
const PATIENCE: i64 = 60;

/// Whether it is readable within so many seconds.
fn is_readable(readiness: &Readiness, seconds: i64) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(readiness.as_fd(), PollFlags::IN)];
    poll(&mut fds, Some(&Timespec { tv_sec: seconds, tv_nsec: 0 })).unwrap() == 1
}

#[test]
fn a_descriptor_is_readable_while_something_is_there() {
    let (sender, receiver) = bounded(4);
    sender.push(1).unwrap();
    let readiness = receiver.readiness().unwrap();
    let same = receiver.clone().readiness().unwrap();
    assert!(is_readable(&readiness, 0) && is_readable(&same, 0));
    assert_eq!(receiver.recv(), Ok(1));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    assert!(!is_readable(&readiness, 0));
    sender.push_batch(&mut vec![2, 3]).unwrap();
    assert!(is_readable(&readiness, 0));
    assert_eq!(receiver.try_recv_batch(&mut vec![], 2), 2);
    assert_eq!(receiver.try_recv_batch(&mut vec![], 2), 0);
    assert!(!is_readable(&readiness, 0));
    readiness.signal();
    assert!(is_readable(&readiness, 0));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    assert!(!is_readable(&readiness, 0));
    drop(sender);
    for _ in 0..2 {
        assert!(is_readable(&readiness, 0), "the end, for good");
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    }
}

#[test]
fn a_descriptor_outlives_the_hand_off() {
    let (sender, receiver) = bounded::<u8>(1);
    let readiness = receiver.readiness().unwrap();
    drop((sender, receiver));
    assert!(is_readable(&readiness, 0));
}

fn watch(receiver: &Receiver<u64>, readiness: &Readiness, take: &AtomicU64) {
    loop {
        assert!(is_readable(readiness, PATIENCE), "an item that nobody is told of");
        loop {
            match receiver.try_recv() {
                Ok(item) => take.fetch_add(item, Ordering::Relaxed),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            };
        }
    }
}

/// Two watchers, and somebody who takes what he finds. A producer waits for
/// each batch to be taken: a wake-up that is lost is never made up for.
#[test]
fn no_item_stays_unnoticed() {
    for sleepers in [0, 2] {
        let (sender, receiver) = bounded(8);
        let readiness = receiver.readiness().unwrap();
        let taken = AtomicU64::new(0);
        let each = 50_000;
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| watch(&receiver, &readiness, &taken));
            }
            for _ in 0..sleepers {
                let receiver = receiver.clone().waiting(Wait::Sleep);
                let taken = &taken;
                scope.spawn(move || {
                    while let Ok(item) = receiver.recv() {
                        taken.fetch_add(item, Ordering::Relaxed);
                    }
                });
            }
            let mut sent = 0;
            for round in 0..each {
                let size = round % 3 + 1;
                sender.push_batch(&mut vec![1; size as usize]).unwrap();
                sent += size;
                while taken.load(Ordering::Relaxed) < sent {
                    thread::yield_now();
                }
            }
            drop(sender);
        });
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    }
}

#[test]
fn who_is_interrupted_returns_and_others_go_on() {
    for wait in [Wait::Adaptive, Wait::Sleep, Wait::Spin] {
        let (sender, receiver) = bounded(1);
        let receiver = receiver.waiting(wait);
        let flag = AtomicBool::new(false);
        let met = Barrier::new(2);
        thread::scope(|scope| {
            let other = scope.spawn(|| receiver.recv());
            let meant = scope.spawn(|| {
                for _ in 0..5_000 {
                    let is_over = || flag.load(Ordering::Relaxed);
                    let got = receiver.recv_batch_until(&mut vec![], 1, None, is_over);
                    assert_eq!(got, Err(RecvTimeoutError::Timeout));
                    flag.store(false, Ordering::Relaxed);
                    met.wait();
                }
            });
            for _ in 0..5_000 {
                flag.store(true, Ordering::Relaxed);
                receiver.interrupt();
                met.wait();
            }
            meant.join().unwrap();
            assert!(!other.is_finished());
            sender.push(5).unwrap();
            assert_eq!(other.join().unwrap(), Ok(5));
        });
        let none = receiver.recv_batch_until(&mut vec![], 0, None, || false);
        assert_eq!(none, Ok(0));
        let late = receiver.recv_batch_until(&mut vec![], 1, Some(Duration::ZERO), || false);
        assert_eq!(late, Err(RecvTimeoutError::Timeout));
    }
}
