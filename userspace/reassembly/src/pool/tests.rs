use std::sync::Arc;

use super::{Pool, PoolConfig};
use crate::size_class::HUGE;

fn pool(budget: u64, max_event: u32) -> Arc<Pool> {
    Pool::new(PoolConfig { budget, max_event })
}

#[test]
fn a_returned_buffer_is_used_again() {
    let pool = pool(1 << 20, 1 << 20);
    let first = pool.take(1000).expect("fits");
    assert_eq!((pool.in_use(), pool.held()), (1024, 1024));
    drop(first);
    assert_eq!((pool.in_use(), pool.held()), (0, 1024));
    let again = pool.take(900).expect("fits");
    assert_eq!((pool.in_use(), pool.held()), (1024, 1024));
    assert!(again.capacity() >= 900);
}

#[test]
fn the_budget_is_kept_to_the_byte() {
    let pool = pool(4 * 1024, 1 << 20);
    let all: Vec<_> = std::iter::from_fn(|| pool.take(1024)).collect();
    assert_eq!((all.len(), pool.held()), (4, 4096));
    assert!(pool.take(1).is_none());
    drop(all);
    assert_eq!((pool.in_use(), pool.held()), (0, 4096));
}

#[test]
fn free_buffers_of_other_classes_make_room() {
    let pool = pool(64 * 1024, 1 << 20);
    drop((0..16).map(|_| pool.take(4096).expect("fits")).collect::<Vec<_>>());
    assert_eq!((pool.in_use(), pool.held()), (0, 65_536));
    // A large one takes the place of several small ones …
    let large = pool.take(32 * 1024).expect("trims");
    assert_eq!(pool.in_use(), 32 * 1024);
    drop(large);
    // … and a small one that of a much larger one.
    let small: Vec<_> = std::iter::from_fn(|| pool.take(256)).take(200).collect();
    assert_eq!(small.len(), 200);
    assert!(pool.held() <= pool.budget());
}

#[test]
fn a_slightly_larger_buffer_stands_in() {
    let pool = pool(2048, 1 << 20);
    drop(pool.take(2048).expect("fits"));
    let buffer = pool.take(1500).expect("stands in");
    assert_eq!(buffer.capacity(), 2048);
    assert_eq!((pool.in_use(), pool.held()), (2048, 2048));
    drop(buffer);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn an_event_as_long_as_the_budget_fits() {
    let length = 900_000;
    let pool = pool(u64::from(length).next_multiple_of(64), length);
    let buffer = pool.take(u64::from(length)).expect("the last class is cut to fit");
    assert!(buffer.capacity() >= length as usize);
    drop(buffer);
    assert!(pool.take(u64::from(length)).is_some());
    assert!(pool.take(u64::from(length) + 64).is_none());
}

#[test]
fn buffers_start_on_a_line_and_large_ones_on_a_huge_page() {
    let pool = pool(64 << 20, 32 << 20);
    for (bytes, align) in [(1, 64), (300, 64), (100_000, 64), (HUGE as u64, HUGE), (5 << 20, HUGE)]
    {
        let mut buffer = pool.take(bytes).expect("fits");
        buffer.write(0, &[7]);
        // SAFETY: the first byte has just been written.
        let start = unsafe { buffer.written(1) };
        assert_eq!(start.as_ptr().addr() % align, 0, "{bytes}");
    }
}

#[test]
#[should_panic(expected = "write beyond the buffer")]
fn a_write_beyond_the_buffer_is_stopped() {
    let mut buffer = pool(1 << 20, 1 << 20).take(256).expect("fits");
    buffer.write(250, &[0; 7]);
}

#[test]
fn the_pool_outlives_its_owner_while_a_buffer_is_out() {
    let pool = pool(1 << 20, 1 << 20);
    let mut buffer = pool.take(100).expect("fits");
    drop(pool);
    buffer.write(0, b"still there");
    // SAFETY: just written.
    assert_eq!(unsafe { buffer.written(11) }, b"still there");
}
