//! Tokens, rings, chains and loans in plain memory: any order of arrivals,
//! batches, hand-backs, and events held and dropped.

use std::collections::VecDeque;

use proptest::prelude::*;
use xdpsar_reassembly::{Lender, Loan};
use xdpsar_wire::steering::LaneMode;

use super::{
    CHUNK,
    chain::MAX_CHAIN,
    packet::tests::{frame, judge},
    plain::{Queue, Sizes},
};
use crate::source::{Datagram, Intake, SourceCounters};

/// Where the event's bytes start in a datagram, and the least the first frame
/// of a packet holds: all headers.
const HEADERS: usize = 36;
const FIRST_PIECE: usize = 42 + HEADERS + 8;

/// The event in packet `id`; `longer` bytes more than its number takes.
fn body(id: usize, longer: usize) -> Vec<u8> {
    let mut body = (id as u64).to_le_bytes().to_vec();
    body.extend((0..longer).map(|at| (id * 31 + at * 7) as u8));
    body
}

/// Packet `id`, which takes `frames` frames, arrives.
fn arrive(queue: &mut Queue, id: usize, frames: usize) -> bool {
    let packet = frame(1, 0, &body(id, id % 50 + (frames - 1) * 10), 0);
    if frames == 1 {
        return queue.arrive(&[&packet]);
    }
    let (first, rest) = packet.split_at(FIRST_PIECE);
    let (middle, last) = rest.split_at((frames - 2) * 10);
    let mut pieces = vec![first];
    pieces.extend(middle.chunks(10));
    pieces.push(last);
    queue.arrive(&pieces)
}

/// An event that was lent, and what it must read as.
struct Held {
    loan: Loan,
    id: usize,
    length: usize,
}

impl Held {
    fn check(&self) {
        assert_eq!(self.loan.as_slice(), body(self.id, self.length - 8), "event {}", self.id);
    }
}

/// A worker that borrows where it can, or never does.
struct Worker {
    borrows: bool,
    foreseen: VecDeque<Vec<u8>>,
    /// Numbers, and in how many pieces they came.
    got: Vec<(usize, usize)>,
    held: Vec<Held>,
}

impl Intake for Worker {
    fn foresee(&mut self, first: &[u8]) {
        self.foreseen.push_back(first.to_vec());
    }

    fn take(&mut self, datagram: Datagram<'_>, lender: &mut impl Lender) {
        let pieces = datagram.bytes.iter().count();
        if pieces == 1 {
            assert_eq!(self.foreseen.pop_front().expect("foreseen"), datagram.bytes.first());
        }
        let mut bytes = vec![0; datagram.bytes.len()];
        datagram.bytes.copy_to(&mut bytes);
        let event = &bytes[HEADERS..];
        let id = u64::from_le_bytes(event[..8].try_into().expect("eight")) as usize;
        assert_eq!(event, body(id, event.len() - 8), "packet {id}");
        self.got.push((id, pieces));
        if self.borrows
            && let Some(loan) = lender.lend(HEADERS..bytes.len())
        {
            assert!(lender.lend(HEADERS..bytes.len()).is_none(), "lent twice");
            self.held.push(Held { loan, id, length: event.len() });
        }
    }
}

const BATCH: usize = 12;

/// `frames` for receiving, and `reserve` for lending events of `least` bytes
/// or more.
fn queue(frames: usize, reserve: usize, least: usize, fill: usize, rx: usize) -> Queue {
    let sizes = Sizes { frames, reserve, least, fill, rx, batch: BATCH };
    Queue::judged_by(judge(LaneMode::Port), sizes)
}

/// One batch: numbers and pieces of the packets in it, and the events that
/// were lent.
fn receive(queue: &mut Queue, max: usize, borrows: bool) -> (Vec<(usize, usize)>, Vec<Held>) {
    let mut worker =
        Worker { borrows, foreseen: VecDeque::new(), got: Vec::new(), held: Vec::new() };
    queue.receive(max, &mut worker);
    assert!(worker.foreseen.is_empty(), "foreseen, but not taken");
    (worker.got, worker.held)
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Arrive(usize),
    /// At most so many frames; whether events are borrowed.
    Receive(usize, bool),
    Post,
    /// One of the events held, here or on another thread.
    Drop(usize, bool),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => Just(Op::Arrive(1)),
        2 => (2usize..5).prop_map(Op::Arrive),
        1 => (MAX_CHAIN - 1..MAX_CHAIN + 3).prop_map(Op::Arrive),
        5 => (0usize..BATCH + 2, any::<bool>()).prop_map(|(max, lend)| Op::Receive(max, lend)),
        3 => Just(Op::Post),
        4 => (any::<usize>(), proptest::bool::weighted(0.1))
            .prop_map(|(which, elsewhere)| Op::Drop(which, elsewhere)),
    ];
    proptest::collection::vec(op, 0..if cfg!(miri) { 30 } else { 300 })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 6 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn packets_come_whole_in_order_and_no_frame_is_lost(
        ops in ops(),
        frames in MAX_CHAIN + 3..80,
        reserve in 0usize..20,
        least in 0usize..40,
        fill_size in 16usize..100,
        rx_size in MAX_CHAIN + 3..60,
    ) {
        let mut queue = queue(frames, reserve, least, fill_size, rx_size);
        let (mut expected, mut got) = (Vec::new(), Vec::new());
        let (mut too_long, mut asked) = (0, 0);
        let mut held: Vec<Held> = Vec::new();
        let all = ops.into_iter().chain([Op::Receive(BATCH, false), Op::Post].repeat(rx_size));
        for (id, op) in all.enumerate() {
            match op {
                Op::Arrive(frames) => {
                    if arrive(&mut queue, id, frames) {
                        if frames > MAX_CHAIN {
                            too_long += 1;
                        } else {
                            expected.push((id, frames));
                        }
                    }
                }
                Op::Receive(max, borrows) => {
                    let (packets, lent) = receive(&mut queue, max, borrows);
                    if borrows && reserve > 0 {
                        asked += packets.iter().filter(|(_, pieces)| *pieces == 1).count();
                    }
                    got.extend(packets);
                    held.extend(lent);
                    prop_assert!(held.len() <= reserve);
                    prop_assert!(held.iter().all(|held| held.length >= least));
                }
                Op::Post => queue.post(),
                Op::Drop(_, _) if held.is_empty() => {}
                Op::Drop(which, elsewhere) => {
                    let held = held.swap_remove(which % held.len());
                    held.check();
                    if elsewhere {
                        std::thread::spawn(move || drop(held)).join().expect("dropped");
                    }
                }
            }
            queue.check();
        }
        prop_assert_eq!(got, expected);
        prop_assert_eq!(queue.counters().truncated, too_long);
        let SourceCounters { lent, copied, lend_exhausted, .. } = queue.counters();
        prop_assert_eq!(lent + copied, asked as u64);
        prop_assert!(lend_exhausted <= copied);
        // Events may outlive what they came from.
        drop(queue);
        held.iter().for_each(Held::check);
    }
}

#[test]
fn a_full_ring_gives_the_rest_back() {
    let mut queue = queue(10, 0, 0, 8, 8);
    assert_eq!(queue.spare.len(), 2, "two frames stay with us");
    queue.check();
    assert!(arrive(&mut queue, 60, 1));
    assert_eq!(receive(&mut queue, 1, true).0, [(60, 1)]);
    assert_eq!(queue.spare.len(), 3);
    queue.post();
    assert_eq!(queue.spare.len(), 2);
    queue.check();
}

#[test]
fn the_longest_chain_passes_and_one_more_does_not() {
    let mut queue = queue(64, 0, 0, 64, 64);
    assert!(arrive(&mut queue, 100, MAX_CHAIN));
    assert!(arrive(&mut queue, 200, MAX_CHAIN + 1));
    assert!(arrive(&mut queue, 300, 1));
    let mut packets = Vec::new();
    while queue.has_arrived() {
        packets.extend(receive(&mut queue, BATCH, true).0);
    }
    assert_eq!(packets, [(100, MAX_CHAIN), (300, 1)]);
    assert_eq!(queue.counters().truncated, 1);
    queue.check();
}

#[test]
fn what_came_back_first_stands_in_first_and_an_empty_reserve_lends_nothing() {
    let mut queue = queue(8, 2, 0, 8, 8);
    let lend = |queue: &mut Queue, id| {
        assert!(arrive(queue, id, 1));
        let (got, held) = receive(queue, 1, true);
        assert_eq!(got, [(id, 1)]);
        queue.post();
        queue.check();
        held.into_iter().next()
    };
    let (first, second) = (lend(&mut queue, 1).expect("lent"), lend(&mut queue, 2).expect("lent"));
    assert!(lend(&mut queue, 3).is_none(), "both are lent");
    assert_eq!((queue.counters().lent, queue.counters().lend_exhausted), (2, 1));
    let start = queue.memory.at(0) as usize;
    let numbers =
        [&second, &first].map(|held| (held.loan.as_slice().as_ptr() as usize - start) / CHUNK);
    drop(second);
    drop(first);
    for (id, number) in (4..).zip(numbers) {
        let held = lend(&mut queue, id);
        let posted = *queue.kernel.borrow().fill.back().expect("posted");
        assert_eq!(posted / CHUNK, number);
        // Given back while the other is in reserve still: its turn comes after.
        drop(held);
    }
}

#[cfg(debug_assertions)]
mod custody {
    use super::*;

    #[test]
    #[should_panic(expected = "received, but not posted")]
    fn a_frame_handed_out_twice_is_noticed() {
        let mut queue = queue(8, 0, 0, 8, 8);
        assert!(arrive(&mut queue, 60, 1));
        let again = queue.kernel.borrow().rx[0];
        queue.kernel.borrow_mut().rx.push_back(again);
        receive(&mut queue, BATCH, false);
    }

    #[test]
    #[should_panic(expected = "frames with the worker")]
    fn a_lost_frame_is_noticed() {
        let mut queue = queue(8, 0, 0, 8, 8);
        assert!(arrive(&mut queue, 60, 1));
        receive(&mut queue, BATCH, false);
        queue.spare.clear();
        queue.custody.check(0);
    }
}
