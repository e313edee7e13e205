//! Steady state allocates nothing: not per fragment, not per event.

mod common;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::Arc,
};

use common::{MS, datagram, fragments};
use xdpsar_reassembly::{Assembler, AssemblerConfig, Event, LostEvent, Pool, PoolConfig, Sink};
use xdpsar_wire::Pieces;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Fails only while the thread is being torn down.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // Counted as well: what is freed was allocated.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(start, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Drops what it gets, as a quick consumer would.
#[derive(Default)]
struct Count {
    events: u64,
    lost: u64,
}

impl Sink for Count {
    fn event(&mut self, event: Event) {
        self.events += u64::from(event.len() == event.as_slice().len());
    }

    fn lost(&mut self, _: LostEvent) {
        self.lost += 1;
    }
}

/// Rewrites the event number of a datagram without an LB header.
fn renumber(datagram: &mut [u8], number: u64) {
    datagram[12..20].copy_from_slice(&number.to_be_bytes());
}

#[test]
fn steady_state_allocates_nothing() {
    let pool = Pool::new(PoolConfig { budget: 64 << 20, max_event: 1 << 20 });
    let config = AssemblerConfig { max_in_progress: 64, remembered: 128, ..Default::default() };
    let mut assembler = Assembler::new(config, Arc::clone(&pool));
    let mut sink = Count::default();

    let in_order = fragments(0, 1, 14_000, 1400);
    let mut reversed = in_order.clone();
    reversed.reverse();
    reversed.iter_mut().for_each(|datagram| datagram[3] = 10);
    let mut shuffled = fragments(0, 2, 60_000, 1000);
    shuffled.rotate_left(7);
    shuffled.swap(3, 40);
    // A bitmap of more than 64 bits.
    let mut paged = fragments(0, 3, 100_000, 1000);
    paged.reverse();
    paged.rotate_left(33);
    let single = fragments(0, 4, 64, 64);
    let empty = vec![datagram(0, 5, 0, 0, b"")];
    // A list of runs: no two of the same size.
    let odd: Vec<_> = [(0, 10), (500, 20), (30, 40), (10, 20), (520, 80), (70, 430)]
        .map(|(offset, size)| datagram(0, 6, offset, 600, &vec![1; size]))
        .into();
    let mut duplicated = in_order.clone();
    duplicated.insert(5, in_order[2].clone());
    duplicated.iter_mut().for_each(|datagram| datagram[3] = 7);
    let mut incomplete = fragments(0, 8, 5000, 1000);
    incomplete.pop();
    let refused = vec![datagram(0, 9, 0, u32::MAX, b"much")];
    let mut workload =
        [in_order, reversed, shuffled, paged, single, empty, odd, duplicated, incomplete, refused];
    let complete = 8;

    let mut before = 0;
    let (warm_up, rounds) = if cfg!(miri) { (20, 10) } else { (50, 500) };
    for number in 0..warm_up + rounds {
        if number == warm_up {
            before = ALLOCATIONS.get();
            sink = Count::default();
        }
        for event in &mut workload {
            for datagram in event {
                renumber(datagram, number);
                assembler.ingest(0, Pieces::whole(datagram), number * 40 * MS, &mut sink);
            }
        }
        assembler.expire(number * 40 * MS, 16, &mut sink);
    }
    assert_eq!(ALLOCATIONS.get() - before, 0, "allocations in steady state");
    assert_eq!(sink.events, rounds * complete);
    // One incomplete and one refused event a round.
    assert_eq!(sink.lost, rounds * 2);
    assembler.check_structure();
}
