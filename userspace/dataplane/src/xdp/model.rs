//! Tokens, rings and chains in plain memory, against a kernel that is a few
//! lines long: any order of arrivals, batches and hand-backs.

use std::{cell::RefCell, collections::VecDeque, rc::Rc, sync::Arc};

use proptest::prelude::*;

use super::{
    CHUNK,
    chain::{Chain, MAX_CHAIN, Step},
    custody::Custody,
    frame::{Descriptor, FillRing, Frame, Free, RawFill, RawRx, RxRing},
};

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

/// The kernel's side of one queue.
#[derive(Debug)]
struct Kernel {
    fill: VecDeque<usize>,
    fill_size: usize,
    rx: VecDeque<Desc>,
    rx_size: usize,
    lost: usize,
}

impl Kernel {
    /// A packet that takes `frames` frames; its pieces are `id` bytes long.
    fn arrive(&mut self, id: usize, frames: usize) -> bool {
        if self.fill.len() < frames || self.rx_size - self.rx.len() < frames {
            self.lost += 1;
            return false;
        }
        for piece in 0..frames {
            let address = self.fill.pop_front().expect("checked");
            // Where the packet starts in its frame is the kernel's choice.
            let address = address / CHUNK * CHUNK + 256 + piece;
            self.rx.push_back(Desc { address, len: id, continues: piece + 1 < frames });
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

/// Both sides of one queue.
struct Queue {
    kernel: Rc<RefCell<Kernel>>,
    fill: FillRing<MemoryFill>,
    rx: RxRing<MemoryRx>,
    custody: Arc<Custody>,
    chain: Chain<Desc>,
    spare: Vec<Frame<Free, Desc>>,
}

const BATCH: usize = 8;

impl Queue {
    fn new(frames: usize, fill_size: usize, rx_size: usize) -> Self {
        let kernel = Rc::new(RefCell::new(Kernel {
            fill: VecDeque::new(),
            fill_size,
            rx: VecDeque::new(),
            rx_size,
            lost: 0,
        }));
        let custody = Arc::new(Custody::new(frames));
        let mint = |index| {
            // SAFETY: each frame once.
            unsafe { Frame::mint(Desc { address: index * CHUNK, ..Desc::default() }) }
        };
        let mut queue = Self {
            fill: FillRing::new(MemoryFill(Rc::clone(&kernel)), Arc::clone(&custody)),
            rx: RxRing::new(MemoryRx(Rc::clone(&kernel)), BATCH, Arc::clone(&custody)),
            kernel,
            custody,
            chain: Chain::new(),
            spare: (0..frames).map(mint).collect(),
        };
        queue.fill.post(&mut queue.spare);
        queue
    }

    /// One batch; the ids and lengths of the packets in it, and how many were
    /// too long.
    fn receive(&mut self, max: usize) -> (Vec<(usize, usize)>, usize) {
        let (mut packets, mut too_long) = (Vec::new(), 0);
        let Self { rx, chain, spare, .. } = self;
        rx.take(max, |frame| match chain.push(frame, spare) {
            Step::More => {}
            Step::TooLong => too_long += 1,
            Step::Whole => {
                let frames = chain.frames();
                packets.push((frames[0].len(), frames.len()));
                assert!(frames.iter().all(|frame| frame.len() == frames[0].len()));
                chain.release(spare);
                assert!(chain.is_idle());
            }
        });
        (packets, too_long)
    }

    fn check(&self) {
        self.custody.check(self.spare.len() + self.chain.frames().len());
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Arrive(usize),
    Receive(usize),
    Post,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        3 => (1usize..5).prop_map(Op::Arrive),
        1 => (MAX_CHAIN - 1..MAX_CHAIN + 3).prop_map(Op::Arrive),
        4 => (0usize..BATCH + 2).prop_map(Op::Receive),
        3 => Just(Op::Post),
    ];
    proptest::collection::vec(op, 0..if cfg!(miri) { 20 } else { 200 })
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
        fill_size in 16usize..100,
        rx_size in MAX_CHAIN + 3..60,
    ) {
        let mut queue = Queue::new(frames, fill_size, rx_size);
        let (mut expected, mut got) = (Vec::new(), Vec::new());
        let (mut too_long, mut dropped) = (0, 0);
        let all = ops.into_iter().chain([Op::Receive(BATCH), Op::Post].repeat(rx_size));
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
                Op::Receive(max) => {
                    let (packets, too_long) = queue.receive(max);
                    got.extend(packets);
                    dropped += too_long;
                }
                Op::Post => queue.fill.post(&mut queue.spare),
            }
            queue.check();
        }
        prop_assert_eq!(got, expected);
        prop_assert_eq!(dropped, too_long);
    }
}

#[test]
fn a_full_ring_gives_the_rest_back() {
    let mut queue = Queue::new(10, 8, 8);
    assert_eq!(queue.spare.len(), 2, "two frames stay with us");
    queue.check();
    assert!(queue.kernel.borrow_mut().arrive(60, 1));
    assert_eq!(queue.receive(1).0, [(60, 1)]);
    assert_eq!(queue.spare.len(), 3);
    queue.fill.post(&mut queue.spare);
    assert_eq!(queue.spare.len(), 2);
    queue.check();
}

#[test]
fn the_longest_chain_passes_and_one_more_does_not() {
    let mut queue = Queue::new(64, 64, 64);
    assert!(queue.kernel.borrow_mut().arrive(100, MAX_CHAIN));
    assert!(queue.kernel.borrow_mut().arrive(200, MAX_CHAIN + 1));
    assert!(queue.kernel.borrow_mut().arrive(300, 1));
    let (mut packets, mut too_long) = (Vec::new(), 0);
    while !queue.rx.is_empty() {
        let (more, long) = queue.receive(BATCH);
        packets.extend(more);
        too_long += long;
    }
    assert_eq!(packets, [(100, MAX_CHAIN), (300, 1)]);
    assert_eq!(too_long, 1);
    queue.check();
}

#[cfg(debug_assertions)]
mod custody {
    use super::*;

    #[test]
    #[should_panic(expected = "received, but not posted")]
    fn a_frame_handed_out_twice_is_noticed() {
        let mut queue = Queue::new(8, 8, 8);
        assert!(queue.kernel.borrow_mut().arrive(60, 1));
        let again = queue.kernel.borrow().rx[0];
        queue.kernel.borrow_mut().rx.push_back(again);
        queue.receive(BATCH);
    }

    #[test]
    #[should_panic(expected = "frames posted")]
    fn a_lost_frame_is_noticed() {
        let mut queue = Queue::new(8, 8, 8);
        assert!(queue.kernel.borrow_mut().arrive(60, 1));
        queue.receive(BATCH);
        queue.spare.clear();
        queue.check();
    }
}
