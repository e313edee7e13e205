//! Once set up, nothing is allocated: not per item, not per batch, not to
//! sleep and not to wake.
#![cfg(not(loom))]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use xdpsar_handoff::{Wait, bounded};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The test's own threads: its harness allocates when it likes.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: everything is the system allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(u64::from(COUNTED.get()), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn none_after_the_start() {
    const BATCH: usize = 64;
    const ITEMS: usize = if cfg!(miri) { 1_000 } else { 1_000_000 };

    // Both sides sleep and are woken: the ring is narrow.
    let (sender, receiver) = bounded::<usize>(100);
    let receiver = receiver.waiting(Wait::Sleep);
    let started = Barrier::new(2);
    thread::scope(|scope| {
        let consumer = scope.spawn(|| {
            let mut items = Vec::with_capacity(BATCH);
            let (mut sum, mut sleeps) = (0, 0);
            COUNTED.set(true);
            started.wait();
            loop {
                sleeps += usize::from(receiver.is_empty());
                if receiver.recv_batch(&mut items, BATCH).is_err() {
                    break (sum, sleeps);
                }
                sum += items.drain(..).sum::<usize>();
            }
        });
        let mut items = Vec::with_capacity(BATCH);
        COUNTED.set(true);
        started.wait();
        for from in (0..ITEMS).step_by(BATCH) {
            items.extend(from..from + BATCH);
            sender.push_batch(&mut items).unwrap();
            sender.push(0).unwrap();
        }
        assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), 0);
        drop(sender);
        let (sum, sleeps) = consumer.join().unwrap();
        assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), 0);
        let count = ITEMS.div_ceil(BATCH) * BATCH;
        assert_eq!(sum, count * (count - 1) / 2, "all of it was done");
        assert!(sleeps > 0, "and not without sleeping");
        drop(std::hint::black_box(Box::new(sum)));
        assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), 1, "the counter counts");
    });
}
