use super::Heap;
use crate::{
    block::{Buffer, footprint},
    copy::Copier,
    event::Facts,
    pool::{Pool, PoolConfig},
    size_class::{HUGE, class_of},
};

fn heap(budget: u64, max_event: u32) -> Heap {
    Heap::new(Pool::new(PoolConfig { budget, max_event }))
}

/// Lent, and held, as the pool knows.
fn used(heap: &mut Heap) -> (u64, u64) {
    heap.tend();
    (heap.pool().in_use(), heap.pool().held())
}

const KIB: u64 = footprint(1024);

const FACTS: Facts =
    Facts { event_number: 0, data_id: 0, lane: 0, worker: 0, fragments: 1, lb: None };

/// Writes an event that is all of `text`, and reads it back.
fn write<'a>(buffer: &'a mut Buffer, text: &[u8]) -> &'a [u8] {
    buffer.label(&FACTS, text.len() as u32);
    // SAFETY: labelled with this length.
    unsafe { buffer.write(0, text, text.len() as u32, &mut Copier::default()) };
    // SAFETY: all of it has been written.
    unsafe { buffer.written() }
}

#[test]
fn a_returned_buffer_is_used_again() {
    let mut heap = heap(1 << 20, 1 << 20);
    let first = heap.take(1000).expect("fits");
    assert_eq!(used(&mut heap), (KIB, KIB));
    drop(first);
    assert_eq!(used(&mut heap), (0, KIB));
    let again = heap.take(900).expect("fits");
    assert_eq!(used(&mut heap), (KIB, KIB));
    assert!(again.capacity() >= 900);
}

#[test]
fn the_budget_is_kept_to_the_byte() {
    let mut heap = heap(4 * KIB, 1 << 20);
    let all: Vec<_> = std::iter::from_fn(|| heap.take(1024)).collect();
    assert_eq!((all.len(), heap.pool().held()), (4, 4 * KIB));
    assert!(heap.take(1).is_none());
    drop(all);
    assert_eq!(used(&mut heap), (0, 4 * KIB));
}

#[test]
fn free_buffers_of_other_classes_make_room() {
    let mut heap = heap(64 * 1024, 1 << 20);
    drop((0..15).map(|_| heap.take(4096).expect("fits")).collect::<Vec<_>>());
    assert_eq!(used(&mut heap), (0, 15 * footprint(4096)));
    // A large one takes the place of several small ones …
    let large = heap.take(32 * 1024).expect("trims");
    assert_eq!(used(&mut heap).0, footprint(32 * 1024));
    drop(large);
    // … and a small one that of a much larger one.
    let small: Vec<_> = std::iter::from_fn(|| heap.take(256)).take(180).collect();
    assert_eq!(small.len(), 180);
    assert!(heap.pool().held() <= heap.pool().budget());
}

#[test]
fn a_slightly_larger_buffer_stands_in() {
    for size in [2048, 128 << 10] {
        let mut heap = heap(footprint(size), 1 << 20);
        drop(heap.take(size).expect("fits"));
        let buffer = heap.take(size * 3 / 4).expect("stands in");
        assert_eq!(buffer.capacity() as u64, size);
        assert_eq!(used(&mut heap), (footprint(size), footprint(size)));
        drop(buffer);
        assert_eq!(used(&mut heap).0, 0);
    }
}

#[test]
fn an_event_as_long_as_the_budget_fits() {
    let length = 900_000;
    let budget = footprint(u64::from(length).next_multiple_of(64));
    let mut heap = heap(budget, length);
    let buffer = heap.take(u64::from(length)).expect("the last class is cut to fit");
    assert!(buffer.capacity() >= length as usize);
    drop(buffer);
    assert!(heap.take(u64::from(length)).is_some());
    assert!(heap.take(u64::from(length) + 64).is_none());
}

#[test]
fn the_last_class_is_cut_also_where_a_heap_keeps_it() {
    let mut heap = heap(1 << 20, 3000);
    let longest = heap.take(3000).expect("fits");
    assert_eq!(longest.capacity(), 3008);
    drop(longest);
    heap.tend();
    assert!(heap.take(3009).is_none(), "of the same class, but longer");
    assert_eq!(heap.take(3008).expect("fits").capacity(), 3008);
}

#[test]
fn buffers_start_on_a_line_and_large_ones_at_the_start_of_a_huge_page() {
    let mut heap = heap(64 << 20, 32 << 20);
    for (size, align) in [(1, 64), (300, 64), (100_000, 64), (HUGE as u64, HUGE), (5 << 20, HUGE)] {
        let mut buffer = heap.take(size).expect("fits");
        let start = write(&mut buffer, &[7]).as_ptr().addr();
        assert_eq!((start - 64) % align, 0, "{size}");
    }
}

#[test]
#[should_panic(expected = "write beyond the event")]
fn a_write_beyond_the_event_is_stopped() {
    let mut buffer = heap(1 << 20, 1 << 20).take(256).expect("fits");
    buffer.label(&FACTS, 255);
    // SAFETY: labelled with this length.
    unsafe { buffer.write(250, &[0; 6], 255, &mut Copier::default()) };
}

#[test]
#[should_panic(expected = "an event beyond the buffer")]
fn an_event_beyond_the_buffer_is_stopped() {
    heap(1 << 20, 1 << 20).take(256).expect("fits").label(&FACTS, 257);
}

#[test]
fn a_buffer_outlives_heap_and_pool() {
    for size in [100, 100_000] {
        let mut heap = heap(1 << 20, 1 << 20);
        let mut buffer = heap.take(size).expect("fits");
        let pool = heap.pool().clone();
        drop(heap);
        assert!(pool.in_use() >= size);
        drop(pool);
        assert_eq!(write(&mut buffer, b"still there"), b"still there");
    }
}

#[test]
fn a_heap_leaves_nothing_behind() {
    let mut heap = heap(1 << 20, 1 << 20);
    let (kept, lent) = (heap.take(5000), heap.take(5000));
    drop(kept);
    heap.tend();
    let pool = heap.pool().clone();
    drop(heap);
    assert_eq!(pool.held(), footprint(5120), "what is lent");
    drop(lent);
    assert_eq!((pool.held(), pool.in_use()), (0, 0), "freed where it was dropped");
}

#[test]
fn what_is_idle_in_one_heap_is_there_for_another() {
    let pool = Pool::new(PoolConfig { budget: 8 * KIB, max_event: 4096 });
    let (mut idle, mut needy) = (Heap::new(pool.clone()), Heap::new(pool.clone()));
    drop((0..8).map(|_| idle.take(1024).expect("fits")).collect::<Vec<_>>());
    idle.tend();
    assert!(needy.take(1024).is_none(), "all of it is idle elsewhere");
    assert_eq!(pool.in_use(), 0);
    idle.tend();
    let all: Vec<_> = std::iter::from_fn(|| needy.take(1024)).collect();
    assert_eq!(all.len(), 8);
    // They come home to who lent them.
    drop(all);
    assert_eq!(used(&mut needy), (0, 8 * KIB));
    assert!(needy.take(1024).is_some());
}

#[test]
fn a_heap_keeps_only_so_much() {
    let pool = Pool::new(PoolConfig { budget: 64 << 20, max_event: 1 << 20 });
    let (mut one, mut other) = (Heap::new(pool.clone()), Heap::new(pool.clone()));
    drop((0..125).map(|_| one.take(16 << 10).expect("fits")).collect::<Vec<_>>());
    one.tend();
    let held = pool.held();
    drop((0..56).map(|_| other.take(16 << 10).expect("fits")).collect::<Vec<_>>());
    assert_eq!(pool.held(), held, "taken over from the pool, not allocated");
}

#[test]
fn small_buffers_of_a_large_pool_share_huge_pages() {
    let pool = Pool::new(PoolConfig { budget: 256 << 20, max_event: 1 << 20 });
    let mut heap = Heap::new(pool.clone());
    let count = if cfg!(miri) { 5 } else { 5000 };
    let mut all: Vec<_> = (0..count).map(|_| heap.take(1024).expect("fits")).collect();
    for (nth, buffer) in (0u32..).zip(&mut all) {
        assert_eq!(write(buffer, &nth.to_le_bytes()), nth.to_le_bytes());
    }
    let mut pages: Vec<_> =
        all.iter_mut().map(|buffer| write(buffer, &[1]).as_ptr().addr() / HUGE).collect();
    pages.dedup();
    assert_eq!(pages.len(), (count * KIB as usize).div_ceil(HUGE - 64));
    assert_eq!(pool.in_use(), count as u64 * KIB);
    assert_eq!(pool.held(), (pages.len() * HUGE) as u64);
    // Chunks go with the last of their blocks, heap or no heap.
    let last = all.pop();
    drop(all);
    drop(heap);
    assert_eq!(pool.held(), HUGE as u64);
    drop(last);
    assert_eq!((pool.held(), pool.in_use()), (0, 0));
}

#[test]
fn chunks_of_one_class_make_room_for_another() {
    let budget = 128 << 20;
    let pool = Pool::new(PoolConfig { budget, max_event: 1 << 20 });
    let mut heap = Heap::new(pool.clone());
    let size = if cfg!(miri) { 256 << 10 } else { 32 << 10 };
    let all: Vec<_> = std::iter::from_fn(|| heap.take(size)).collect();
    assert!(pool.held() <= budget && pool.held() + footprint(size) > budget);
    drop(all);
    heap.tend();
    let large: Vec<_> = std::iter::from_fn(|| heap.take(1 << 20)).collect();
    assert_eq!(large.len() as u64, budget / footprint(1 << 20));
    drop(large);
    assert_eq!(used(&mut heap).0, 0);
}

#[test]
fn what_was_touched_beforehand_is_used_first_and_is_in_nobodys_way() {
    let (chunk, large) = (HUGE as u64, 56 << 20);
    let budget = 3 * footprint(large) + 4 * chunk;
    let pool = Pool::new(PoolConfig { budget, max_event: 64 << 20 });
    let mut heap = Heap::new(pool.clone());
    assert_eq!(heap.prefault(8 * chunk + 1), 8 * chunk);
    assert_eq!((pool.held(), pool.in_use(), heap.in_use()), (8 * chunk, 0, 0));
    let small: Vec<_> = (0..3).map(|class| heap.take(1000 << class).expect("fits")).collect();
    assert_eq!(pool.held(), 8 * chunk, "nothing was allocated");
    // What is no chunk takes its room …
    let all: Vec<_> = (0..3).map(|_| heap.take(large).expect("fits")).collect();
    assert!(pool.held() <= budget);
    drop((small, all, heap));
    // … also for others, who ask for it.
    let (mut heap, mut needy) = (Heap::new(pool.clone()), Heap::new(pool.clone()));
    let mut trimmed: Vec<_> = std::iter::from_fn(|| pool.pop(class_of(large))).collect();
    trimmed.drain(..).for_each(|block| pool.discard(block));
    assert_eq!(pool.held(), 0);
    assert_eq!(heap.prefault(budget), budget / chunk * chunk);
    assert!(needy.take(large).is_none());
    heap.tend();
    let all: Vec<_> = (0..3).map(|_| needy.take(large).expect("fits")).collect();
    drop((all, heap, needy));
    assert_eq!((pool.in_use(), pool.held()), (0, pool.free()));
}

#[test]
fn nothing_is_touched_where_there_are_no_chunks() {
    let mut heap = heap(127 << 20, 1 << 20);
    assert_eq!(heap.prefault(64 << 20), 0);
    assert_eq!(used(&mut heap), (0, 0));
}
