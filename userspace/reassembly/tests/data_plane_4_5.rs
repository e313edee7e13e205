//! Every row of the table in data-plane.md §4.5, column NEW. Events of 5000
//! bytes in 5 fragments unless noted.

mod common;

use common::{MS, Rig, content, datagram, fragments, with_lb};
use xdpsar_reassembly::{
    AssemblerConfig, Counters, LossCause, LostEvent,
    Outcome::{self, Completed, Duplicate, Ignored, Late, Placed, Rejected},
    PoolConfig, Rejection,
};

const NUMBER: u64 = 0x0102_0304_0506_0708;
const DATA_ID: u16 = 0x0a0b;
const LENGTH: u32 = 5000;
const PAST_TIMEOUT: u64 = 500 * MS;

fn five() -> Vec<Vec<u8>> {
    fragments(NUMBER, DATA_ID, LENGTH, 1000)
}

/// Hands in fragments in this order.
fn feed(rig: &mut Rig, order: &[usize]) -> Vec<Outcome> {
    let five = five();
    order.iter().map(|n| rig.ingest(&five[*n])).collect()
}

/// One event, whole and right, and nothing else ever.
fn assert_delivered_once(rig: &mut Rig) {
    rig.pass(2 * PAST_TIMEOUT);
    assert_eq!(rig.sink.lost, []);
    let [event] = &rig.sink.events[..] else { panic!("{:?}", rig.sink.events) };
    assert_eq!((event.event_number(), event.data_id()), (NUMBER, DATA_ID));
    assert!(event.as_slice() == content(NUMBER, DATA_ID, LENGTH), "wrong bytes");
    assert_eq!(rig.assembler.in_progress(), (0, 0));
}

/// No event; one is reported as lost for want of progress.
fn assert_lost_once(rig: &mut Rig, fragments: u32, bytes: u64) {
    rig.pass(PAST_TIMEOUT);
    rig.pass(2 * PAST_TIMEOUT);
    assert!(rig.sink.events.is_empty());
    let lost = LostEvent {
        event_number: NUMBER,
        data_id: DATA_ID,
        length: LENGTH,
        fragments,
        bytes,
        cause: LossCause::Timeout,
    };
    assert_eq!(rig.sink.lost, [lost]);
    assert_eq!(rig.assembler.in_progress(), (0, 0));
    assert_eq!(rig.pool.in_use(), 0);
}

#[test]
fn in_order_is_delivered() {
    let mut rig = Rig::new();
    assert_eq!(feed(&mut rig, &[0, 1, 2, 3, 4]), [Placed, Placed, Placed, Placed, Completed]);
    assert_delivered_once(&mut rig);
    let expected = Counters {
        datagrams: 5,
        datagram_bytes: 5100,
        fragments: 5,
        bytes: 5000,
        events: 1,
        event_bytes: 5000,
        ..Counters::default()
    };
    assert_eq!(*rig.assembler.counters(), expected);
    assert_eq!(rig.sink.events[0].fragments(), 5);
}

#[test]
fn middle_fragments_swapped_is_delivered() {
    let mut rig = Rig::new();
    feed(&mut rig, &[0, 2, 1, 3, 4]);
    assert_delivered_once(&mut rig);
}

#[test]
fn first_two_swapped_is_delivered() {
    let mut rig = Rig::new();
    feed(&mut rig, &[1, 0, 2, 3, 4]);
    assert_delivered_once(&mut rig);
}

#[test]
fn reversed_is_delivered() {
    let mut rig = Rig::new();
    feed(&mut rig, &[4, 3, 2, 1, 0]);
    assert_delivered_once(&mut rig);
}

#[test]
fn every_order_is_delivered() {
    let mut orders = vec![vec![]];
    for n in 0..5 {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                (0..=n).map(move |at| {
                    let mut order = order.clone();
                    order.insert(at, n);
                    order
                })
            })
            .collect();
    }
    assert_eq!(orders.len(), 120);
    for order in orders.into_iter().step_by(if cfg!(miri) { 11 } else { 1 }) {
        let mut rig = Rig::new();
        feed(&mut rig, &order);
        assert_delivered_once(&mut rig);
    }
}

#[test]
fn middle_duplicated_and_last_missing_is_lost() {
    let mut rig = Rig::new();
    assert_eq!(feed(&mut rig, &[0, 1, 2, 2, 3]), [Placed, Placed, Placed, Duplicate, Placed]);
    assert_lost_once(&mut rig, 4, 4000);
    let counters = rig.assembler.counters();
    assert_eq!((counters.duplicates, counters.duplicate_bytes), (1, 1000));
    assert_eq!((counters.lost_timeout, counters.lost_bytes, counters.events), (1, 4000, 0));
}

#[test]
fn duplicated_and_all_present_is_delivered_once() {
    for order in [[0, 1, 1, 2, 3, 4], [0, 0, 1, 2, 3, 4], [4, 4, 3, 2, 1, 0], [0, 2, 4, 2, 1, 3]] {
        let mut rig = Rig::new();
        let outcomes = feed(&mut rig, &order);
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Duplicate).count(), 1);
        assert_delivered_once(&mut rig);
        assert_eq!(rig.assembler.counters().duplicates, 1);
        assert_eq!(rig.sink.events[0].fragments(), 5, "duplicates are not fragments");
    }
}

#[test]
fn late_duplicate_after_completion_is_counted() {
    let mut rig = Rig::new();
    feed(&mut rig, &[0, 1, 2, 3, 4]);
    rig.pass(499 * MS);
    assert_eq!(feed(&mut rig, &[2, 4]), [Late, Late]);
    assert_delivered_once(&mut rig);
    let counters = rig.assembler.counters();
    assert_eq!((counters.late, counters.late_bytes), (2, 2000));
}

#[test]
fn one_missing_is_lost_after_the_timeout() {
    for missing in 0..5 {
        let mut rig = Rig::new();
        let order: Vec<_> = (0..5).filter(|n| *n != missing).collect();
        feed(&mut rig, &order);
        rig.pass(PAST_TIMEOUT - 1);
        assert_eq!(rig.sink.lost, [], "before the timeout");
        assert_lost_once(&mut rig, 4, 4000);
    }
}

#[test]
fn straggler_of_a_lost_event_is_late() {
    let mut rig = Rig::new();
    feed(&mut rig, &[0, 1, 2, 3]);
    rig.pass(PAST_TIMEOUT);
    assert_eq!(feed(&mut rig, &[4]), [Late]);
    assert_lost_once(&mut rig, 4, 4000);
}

#[test]
fn empty_event_is_delivered() {
    let mut rig = Rig::new();
    assert_eq!(rig.ingest(&datagram(7, 1, 0, 0, b"")), Completed);
    assert_eq!(rig.ingest(&datagram(7, 1, 0, 0, b"")), Late);
    rig.pass(2 * PAST_TIMEOUT);
    let [event] = &rig.sink.events[..] else { panic!("{:?}", rig.sink) };
    assert_eq!((event.event_number(), event.data_id(), event.len()), (7, 1, 0));
    assert!(event.is_empty() && event.as_slice().is_empty());
    assert_eq!(event.fragments(), 1);
    let counters = rig.assembler.counters();
    assert_eq!((counters.events, counters.empty_events, counters.fragments), (1, 1, 0));
    // The smallest buffer: for what is known of it.
    assert_eq!(rig.pool.held(), 256 + 64);
}

#[test]
fn header_only_fragment_is_counted_and_the_real_one_delivered() {
    for offset in [0, 2000, LENGTH] {
        let mut rig = Rig::new();
        assert_eq!(rig.ingest(&datagram(NUMBER, DATA_ID, offset, LENGTH, b"")), Ignored);
        assert_eq!(rig.assembler.in_progress(), (0, 0), "opens nothing");
        feed(&mut rig, &[0, 1]);
        assert_eq!(rig.ingest(&datagram(NUMBER, DATA_ID, offset, LENGTH, b"")), Ignored);
        feed(&mut rig, &[2, 3, 4]);
        assert_delivered_once(&mut rig);
        assert_eq!(rig.assembler.counters().header_only, 2);
        assert_eq!(rig.sink.events[0].fragments(), 5);
    }
}

#[test]
fn second_fragment_that_claims_another_length_is_rejected() {
    for claimed in [LENGTH - 1, LENGTH + 1, 2000, u32::MAX] {
        let mut rig = Rig::new();
        feed(&mut rig, &[0]);
        let lie = datagram(NUMBER, DATA_ID, 1000, claimed, &[0xee; 1000]);
        assert_eq!(rig.ingest(&lie), Rejected(Rejection::LengthMismatch));
        feed(&mut rig, &[1, 2, 3, 4]);
        assert_delivered_once(&mut rig);
        let counters = rig.assembler.counters();
        assert_eq!((counters.length_mismatch, counters.rejected_bytes), (1, 1000));
    }
}

#[test]
fn offset_beyond_the_length_is_rejected() {
    for offset in [LENGTH, LENGTH + 1, u32::MAX - 500, u32::MAX] {
        let mut rig = Rig::new();
        let wild = datagram(NUMBER, DATA_ID, offset, LENGTH, &[0xee; 1000]);
        assert_eq!(rig.ingest(&wild), Rejected(Rejection::OutOfRange));
        feed(&mut rig, &[0, 1]);
        assert_eq!(rig.ingest(&wild), Rejected(Rejection::OutOfRange));
        feed(&mut rig, &[2, 3, 4]);
        assert_delivered_once(&mut rig);
        assert_eq!(rig.assembler.counters().out_of_range, 2);
    }
}

#[test]
fn offset_plus_size_beyond_the_length_is_rejected() {
    let mut rig = Rig::new();
    feed(&mut rig, &[0, 1, 2, 3]);
    let long = datagram(NUMBER, DATA_ID, 4000, LENGTH, &[0xee; 1001]);
    assert_eq!(rig.ingest(&long), Rejected(Rejection::OutOfRange));
    feed(&mut rig, &[4]);
    assert_delivered_once(&mut rig);
    let counters = rig.assembler.counters();
    assert_eq!((counters.out_of_range, counters.rejected_bytes), (1, 1001));
}

#[test]
fn length_0_with_payload_or_offset_is_rejected() {
    let mut rig = Rig::new();
    for (offset, payload) in [(0, &b"x"[..]), (1, b""), (1, b"x"), (u32::MAX, b"")] {
        let lie = datagram(NUMBER, DATA_ID, offset, 0, payload);
        assert_eq!(rig.ingest(&lie), Rejected(Rejection::OutOfRange));
    }
    feed(&mut rig, &[0, 1, 2, 3, 4]);
    assert_delivered_once(&mut rig);
}

#[test]
fn datagram_shorter_than_its_headers_is_rejected() {
    let plain = datagram(NUMBER, DATA_ID, 0, LENGTH, b"");
    let combined = with_lb(1, 2, &plain);
    let mut rig = Rig::new();
    let mut count = 0;
    for whole in [&plain, &combined] {
        for cut in 0..whole.len() {
            assert_eq!(rig.ingest(&whole[..cut]), Rejected(Rejection::Short), "{cut} bytes");
            count += 1;
        }
    }
    assert_eq!(rig.assembler.counters().short, count);
    assert_eq!(rig.assembler.counters().rejected_bytes, 0);
    feed(&mut rig, &[0, 1, 2, 3, 4]);
    assert_delivered_once(&mut rig);
}

#[test]
fn claimed_length_of_4_gib_is_bounded_by_the_budget() {
    // Longer than accepted, then longer than the budget.
    for max_event in [16 << 20, u32::MAX] {
        let mut rig =
            Rig::with(AssemblerConfig::default(), PoolConfig { budget: 64 << 20, max_event });
        let claim = datagram(NUMBER, DATA_ID, 0, u32::MAX, &[0xee; 1000]);
        assert_eq!(rig.ingest(&claim), Rejected(Rejection::Budget));
        assert_eq!(rig.ingest(&claim), Rejected(Rejection::Budget));
        let lost = LostEvent {
            event_number: NUMBER,
            data_id: DATA_ID,
            length: u32::MAX,
            fragments: 0,
            bytes: 0,
            cause: LossCause::Budget,
        };
        assert_eq!(rig.sink.lost, [lost], "reported once");
        assert_eq!(rig.pool.held(), 0);
        let counters = rig.assembler.counters();
        assert_eq!((counters.over_budget, counters.rejected_bytes), (2, 2000));
        assert_eq!(counters.lost_budget, 1);
    }
}

#[test]
fn reserved_bit_or_another_version_is_rejected() {
    let mut rig = Rig::new();
    let good = &five()[0];
    for (first, second) in [(0x00, 0), (0x20, 0), (0x11, 0), (0x18, 0), (0x10, 1), (0x10, 0x80)] {
        let mut bad = good.clone();
        (bad[0], bad[1]) = (first, second);
        assert_eq!(rig.ingest(&bad), Rejected(Rejection::BadReHeader));
        assert_eq!(rig.ingest(&with_lb(0, 0, &bad)), Rejected(Rejection::BadReHeader));
    }
    assert_eq!(rig.assembler.counters().bad_re_header, 12);
    for at in [2, 3] {
        let mut bad = with_lb(0, 0, good);
        bad[at] ^= 0x40;
        assert_eq!(rig.ingest(&bad), Rejected(Rejection::BadLbHeader));
    }
    assert_eq!(rig.assembler.counters().bad_lb_header, 2);
    feed(&mut rig, &[0, 1, 2, 3, 4]);
    assert_delivered_once(&mut rig);
}

#[test]
fn same_event_number_with_another_data_id_is_another_event() {
    let mut rig = Rig::new();
    let other = fragments(NUMBER, DATA_ID + 1, LENGTH, 1000);
    for (one, two) in five().iter().zip(&other) {
        rig.ingest(one);
        rig.ingest(two);
    }
    let [one, two] = &rig.sink.events[..] else { panic!("{:?}", rig.sink) };
    assert_eq!((one.event_number(), one.data_id()), (NUMBER, DATA_ID));
    assert_eq!((two.event_number(), two.data_id()), (NUMBER, DATA_ID + 1));
    assert!(one.as_slice() == content(NUMBER, DATA_ID, LENGTH));
    assert!(two.as_slice() == content(NUMBER, DATA_ID + 1, LENGTH));
}
