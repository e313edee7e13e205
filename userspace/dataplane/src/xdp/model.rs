//! Tokens, rings, chains and loans in plain memory, against a kernel that is a
//! few lines long: any order of arrivals, batches, hand-backs, and events held
//! and dropped.

use std::{cell::RefCell, collections::VecDeque, rc::Rc, sync::Arc};

use proptest::prelude::*;
use xdpsar_reassembly::{Lender, Loan};
use xdpsar_wire::steering::LaneMode;

use super::{
    CHUNK,
    chain::{Chain, MAX_CHAIN},
    custody::Custody,
    frame::{Descriptor, FillRing, Frame, Free, RawFill, RawRx, Register, RxRing},
    handover::HandOver,
    lending::Desk,
    memory::Memory,
    packet::tests::{frame, judge},
};
use crate::source::{Datagram, Intake, SourceCounters};

#[derive(Clone, Copy, Debug, Default)]
struct Desc {
    address: usize,
    len: usize,
    continues: bool,
}

impl Descriptor for Desc {
    fn address(&self) -> usize {
        self.address
    }
    fn packet_len(&self) -> usize {
        self.len
    }
    fn continues(&self) -> bool {
        self.continues
    }
}

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

/// The kernel's side of one queue.
#[derive(Debug)]
struct Kernel {
    memory: Arc<Memory>,
    fill: VecDeque<usize>,
    fill_size: usize,
    rx: VecDeque<Desc>,
    rx_size: usize,
    lost: usize,
}

impl Kernel {
    /// Packet `id`, which takes `frames` frames.
    fn arrive(&mut self, id: usize, frames: usize) -> bool {
        if self.fill.len() < frames || self.rx_size - self.rx.len() < frames {
            self.lost += 1;
            return false;
        }
        let packet = frame(1, 0, &body(id, id % 50 + (frames - 1) * 10), 0);
        let (first, rest) = packet.split_at(FIRST_PIECE);
        for piece in 0..frames {
            let bytes = match piece {
                0 if frames == 1 => &packet[..],
                0 => first,
                last if last + 1 == frames => &rest[(last - 1) * 10..],
                middle => &rest[(middle - 1) * 10..middle * 10],
            };
            let chunk = self.fill.pop_front().expect("checked") / CHUNK * CHUNK;
            // Where the packet starts in its frame is the kernel's choice.
            let desc = Desc {
                address: chunk + 256 + piece,
                len: bytes.len(),
                continues: piece + 1 < frames,
            };
            // SAFETY: inside the memory; the frame was posted, so it is ours,
            // the kernel's. All of it, so that nobody else's bytes survive.
            unsafe {
                self.memory.at(chunk).write_bytes(0xdb, CHUNK);
                let to = self.memory.at(desc.address);
                to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            }
            self.rx.push_back(desc);
        }
        true
    }
}

struct MemoryFill(Rc<RefCell<Kernel>>);
struct MemoryRx(Rc<RefCell<Kernel>>);

impl RawFill for MemoryFill {
    type Desc = Desc;

    unsafe fn produce(&mut self, descs: &[Desc]) -> usize {
        if self.room() < descs.len() {
            return 0;
        }
        self.0.borrow_mut().fill.extend(descs.iter().map(|desc| desc.address));
        descs.len()
    }

    fn room(&mut self) -> usize {
        let kernel = self.0.borrow();
        kernel.fill_size - kernel.fill.len()
    }

    fn needs_wakeup(&self) -> bool {
        false
    }
}

impl RawRx for MemoryRx {
    type Desc = Desc;

    fn consume(&mut self, descs: &mut [Desc]) -> usize {
        let mut kernel = self.0.borrow_mut();
        let count = descs.len().min(kernel.rx.len());
        for (slot, desc) in descs.iter_mut().zip(kernel.rx.drain(..count)) {
            *slot = desc;
        }
        count
    }

    fn is_empty(&mut self) -> bool {
        self.0.borrow().rx.is_empty()
    }
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

/// Both sides of one queue.
struct Queue {
    kernel: Rc<RefCell<Kernel>>,
    fill: FillRing<MemoryFill>,
    rx: RxRing<MemoryRx>,
    memory: Arc<Memory>,
    custody: Arc<Custody>,
    chain: Chain<Desc>,
    spare: Vec<Frame<Free, Desc>>,
    desk: Option<Desk<Desc>>,
    /// Frames for receiving.
    frames: usize,
    counters: SourceCounters,
}

const BATCH: usize = 12;

impl Queue {
    /// `frames` for receiving, and `reserve` for lending events of `least`
    /// bytes or more.
    fn new(frames: usize, reserve: usize, least: usize, fill_size: usize, rx_size: usize) -> Self {
        let all = frames + reserve;
        let memory = Arc::new(Memory::heap(all * CHUNK));
        let kernel = Rc::new(RefCell::new(Kernel {
            memory: Arc::clone(&memory),
            fill: VecDeque::new(),
            fill_size,
            rx: VecDeque::new(),
            rx_size,
            lost: 0,
        }));
        let custody = Arc::new(Custody::new(all));
        let descs: Vec<_> =
            (0..all).map(|index| Desc { address: index * CHUNK, ..Desc::default() }).collect();
        let register = Arc::new(Register::new(&descs));
        // SAFETY: each frame once.
        let mut tokens: Vec<_> =
            descs.into_iter().map(|desc| unsafe { Frame::mint(desc) }).collect();
        let aside = tokens.split_off(frames);
        let desk = (reserve > 0)
            .then(|| Desk::new(aside, register, Arc::clone(&memory), Arc::clone(&custody), least));
        let mut queue = Self {
            fill: FillRing::new(MemoryFill(Rc::clone(&kernel)), Arc::clone(&custody)),
            rx: RxRing::new(MemoryRx(Rc::clone(&kernel)), BATCH, Arc::clone(&custody)),
            kernel,
            memory,
            custody,
            chain: Chain::new(),
            spare: tokens,
            desk,
            frames,
            counters: SourceCounters::default(),
        };
        queue.fill.post(&mut queue.spare);
        queue
    }

    /// One batch: numbers and pieces of the packets in it, and the events that
    /// were lent.
    fn receive(&mut self, max: usize, borrows: bool) -> (Vec<(usize, usize)>, Vec<Held>) {
        let mut batch = Vec::new();
        self.rx.take(max, |frame| batch.push(frame));
        let mut worker =
            Worker { borrows, foreseen: VecDeque::new(), got: Vec::new(), held: Vec::new() };
        HandOver {
            chain: &mut self.chain,
            spare: &mut self.spare,
            memory: &self.memory,
            desk: &mut self.desk,
            judge: &judge(LaneMode::Port),
            counters: &mut self.counters,
        }
        .run(&mut batch, &mut worker);
        assert!(worker.foreseen.is_empty(), "foreseen, but not taken");
        (worker.got, worker.held)
    }

    /// However many are lent, receiving has the frames it was given.
    fn check(&self) {
        let ours = self.spare.len() + self.chain.frames().len();
        self.custody.check(ours);
        let kernel = self.kernel.borrow();
        assert_eq!(kernel.fill.len() + kernel.rx.len() + ours, self.frames);
    }
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
        let mut queue = Queue::new(frames, reserve, least, fill_size, rx_size);
        let (mut expected, mut got) = (Vec::new(), Vec::new());
        let (mut too_long, mut asked) = (0, 0);
        let mut held: Vec<Held> = Vec::new();
        let all = ops.into_iter().chain([Op::Receive(BATCH, false), Op::Post].repeat(rx_size));
        for (id, op) in all.enumerate() {
            match op {
                Op::Arrive(frames) => {
                    if queue.kernel.borrow_mut().arrive(id, frames) {
                        if frames > MAX_CHAIN {
                            too_long += 1;
                        } else {
                            expected.push((id, frames));
                        }
                    }
                }
                Op::Receive(max, borrows) => {
                    let (packets, lent) = queue.receive(max, borrows);
                    if borrows && reserve > 0 {
                        asked += packets.iter().filter(|(_, pieces)| *pieces == 1).count();
                    }
                    got.extend(packets);
                    held.extend(lent);
                    prop_assert!(held.len() <= reserve);
                    prop_assert!(held.iter().all(|held| held.length >= least));
                }
                Op::Post => queue.fill.post(&mut queue.spare),
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
        prop_assert_eq!(queue.counters.truncated, too_long);
        let SourceCounters { lent, copied, lend_exhausted, .. } = queue.counters;
        prop_assert_eq!(lent + copied, asked as u64);
        prop_assert!(lend_exhausted <= copied);
        // Events may outlive what they came from.
        drop(queue);
        held.iter().for_each(Held::check);
    }
}

#[test]
fn a_full_ring_gives_the_rest_back() {
    let mut queue = Queue::new(10, 0, 0, 8, 8);
    assert_eq!(queue.spare.len(), 2, "two frames stay with us");
    queue.check();
    assert!(queue.kernel.borrow_mut().arrive(60, 1));
    assert_eq!(queue.receive(1, true).0, [(60, 1)]);
    assert_eq!(queue.spare.len(), 3);
    queue.fill.post(&mut queue.spare);
    assert_eq!(queue.spare.len(), 2);
    queue.check();
}

#[test]
fn the_longest_chain_passes_and_one_more_does_not() {
    let mut queue = Queue::new(64, 0, 0, 64, 64);
    assert!(queue.kernel.borrow_mut().arrive(100, MAX_CHAIN));
    assert!(queue.kernel.borrow_mut().arrive(200, MAX_CHAIN + 1));
    assert!(queue.kernel.borrow_mut().arrive(300, 1));
    let mut packets = Vec::new();
    while !queue.rx.is_empty() {
        packets.extend(queue.receive(BATCH, true).0);
    }
    assert_eq!(packets, [(100, MAX_CHAIN), (300, 1)]);
    assert_eq!(queue.counters.truncated, 1);
    queue.check();
}

#[test]
fn what_came_back_last_stands_in_first_and_an_empty_reserve_lends_nothing() {
    let mut queue = Queue::new(8, 2, 0, 8, 8);
    let lend = |queue: &mut Queue, id| {
        assert!(queue.kernel.borrow_mut().arrive(id, 1));
        let (got, held) = queue.receive(1, true);
        assert_eq!(got, [(id, 1)]);
        queue.fill.post(&mut queue.spare);
        queue.check();
        held.into_iter().next()
    };
    let (first, second) = (lend(&mut queue, 1).expect("lent"), lend(&mut queue, 2).expect("lent"));
    assert!(lend(&mut queue, 3).is_none(), "both are lent");
    assert_eq!((queue.counters.lent, queue.counters.lend_exhausted), (2, 1));
    let start = queue.memory.at(0) as usize;
    let came_last = (first.loan.as_slice().as_ptr() as usize - start) / CHUNK;
    drop(second);
    drop(first);
    let _third = lend(&mut queue, 4).expect("lent");
    let posted = *queue.kernel.borrow().fill.back().expect("posted");
    assert_eq!(posted / CHUNK, came_last);
}

#[cfg(debug_assertions)]
mod custody {
    use super::*;

    #[test]
    #[should_panic(expected = "received, but not posted")]
    fn a_frame_handed_out_twice_is_noticed() {
        let mut queue = Queue::new(8, 0, 0, 8, 8);
        assert!(queue.kernel.borrow_mut().arrive(60, 1));
        let again = queue.kernel.borrow().rx[0];
        queue.kernel.borrow_mut().rx.push_back(again);
        queue.receive(BATCH, false);
    }

    #[test]
    #[should_panic(expected = "frames with the worker")]
    fn a_lost_frame_is_noticed() {
        let mut queue = Queue::new(8, 0, 0, 8, 8);
        assert!(queue.kernel.borrow_mut().arrive(60, 1));
        queue.receive(BATCH, false);
        queue.spare.clear();
        queue.custody.check(0);
    }
}
