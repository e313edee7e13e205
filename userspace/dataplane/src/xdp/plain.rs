//! A queue in plain memory, with a kernel that is a few lines long: the rings,
//! frames, chains and loans of one socket without a socket. For tests and the
//! fuzzer (feature `plain`).

use std::{cell::RefCell, collections::VecDeque, rc::Rc, sync::Arc};

use super::{
    CHUNK,
    chain::Chain,
    custody::Custody,
    frame::{Descriptor, FillRing, Frame, Free, RawFill, RawRx, Received, Register, RxRing},
    handover::HandOver,
    lending::Desk,
    memory::Memory,
    packet::Judge,
};
use crate::{
    config::ReceiveConfig,
    source::{Intake, SourceCounters},
};

/// Where the kernel puts a packet in its first frame; a byte further in each
/// that follows. It may put them anywhere.
const HEADROOM: usize = 256;

#[derive(Clone, Copy, Debug, Default)]
pub(in crate::xdp) struct Desc {
    pub(in crate::xdp) address: usize,
    pub(in crate::xdp) len: usize,
    pub(in crate::xdp) continues: bool,
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

/// The kernel's side.
#[derive(Debug)]
pub(super) struct Kernel {
    memory: Arc<Memory>,
    pub(super) fill: VecDeque<usize>,
    fill_size: usize,
    pub(super) rx: VecDeque<Desc>,
    rx_size: usize,
}

impl Kernel {
    /// A packet whose pieces take a frame each. Whether there was room.
    fn arrive(&mut self, pieces: &[&[u8]]) -> bool {
        if self.fill.len() < pieces.len() || self.rx_size - self.rx.len() < pieces.len() {
            return false;
        }
        for (nth, bytes) in pieces.iter().enumerate() {
            assert!(HEADROOM + nth + bytes.len() <= CHUNK, "a piece fits its frame");
            let chunk = self.fill.pop_front().expect("checked") / CHUNK * CHUNK;
            let desc = Desc {
                address: chunk + HEADROOM + nth,
                len: bytes.len(),
                continues: nth + 1 < pieces.len(),
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

#[derive(Debug)]
struct MemoryFill(Rc<RefCell<Kernel>>);
#[derive(Debug)]
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

/// How much of everything a [`Queue`] has.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Frames for receiving.
    pub frames: usize,
    /// Frames that stand in for those on loan; none: nothing is lent.
    pub reserve: usize,
    /// Shorter events are not lent.
    pub least: usize,
    /// Entries of the fill ring.
    pub fill: usize,
    /// Entries of the RX ring.
    pub rx: usize,
    /// Frames taken at once.
    pub batch: usize,
}

/// Both sides of one queue.
#[derive(Debug)]
pub struct Queue {
    pub(super) kernel: Rc<RefCell<Kernel>>,
    fill: FillRing<MemoryFill>,
    rx: RxRing<MemoryRx>,
    pub(super) memory: Arc<Memory>,
    pub(super) custody: Arc<Custody>,
    chain: Chain<Desc>,
    pub(super) spare: Vec<Frame<Free, Desc>>,
    desk: Option<Desk<Desc>>,
    judge: Judge,
    /// Frames as they were taken; empty between batches.
    batch: Vec<Frame<Received, Desc>>,
    /// Frames for receiving.
    frames: usize,
    counters: SourceCounters,
}

impl Queue {
    /// A queue that takes what `config` describes; all frames are posted that
    /// the fill ring has room for.
    pub fn new(config: &ReceiveConfig, sizes: Sizes) -> Self {
        Self::judged_by(Judge::new(config), sizes)
    }

    pub(super) fn judged_by(judge: Judge, sizes: Sizes) -> Self {
        let all = sizes.frames + sizes.reserve;
        let memory = Arc::new(Memory::heap(all * CHUNK));
        let kernel = Rc::new(RefCell::new(Kernel {
            memory: Arc::clone(&memory),
            fill: VecDeque::new(),
            fill_size: sizes.fill,
            rx: VecDeque::new(),
            rx_size: sizes.rx,
        }));
        let custody = Arc::new(Custody::new(all, CHUNK));
        let descs: Vec<_> =
            (0..all).map(|index| Desc { address: index * CHUNK, ..Desc::default() }).collect();
        let register = Arc::new(Register::new(&descs));
        // SAFETY: each frame once.
        let mut tokens: Vec<_> =
            descs.into_iter().map(|desc| unsafe { Frame::mint(desc) }).collect();
        let aside = tokens.split_off(sizes.frames);
        let desk = (sizes.reserve > 0).then(|| {
            Desk::new(aside, register, Arc::clone(&memory), Arc::clone(&custody), sizes.least)
        });
        let mut queue = Self {
            fill: FillRing::new(MemoryFill(Rc::clone(&kernel)), Arc::clone(&custody)),
            rx: RxRing::new(MemoryRx(Rc::clone(&kernel)), sizes.batch, Arc::clone(&custody)),
            kernel,
            memory,
            custody,
            chain: Chain::new(),
            spare: tokens,
            desk,
            judge,
            batch: Vec::new(),
            frames: sizes.frames,
            counters: SourceCounters::default(),
        };
        queue.post();
        queue
    }

    /// A packet arrives, in a frame per piece. Whether the kernel had room.
    ///
    /// # Panics
    /// Where a piece is longer than a frame has room for.
    pub fn arrive(&mut self, pieces: &[&[u8]]) -> bool {
        self.kernel.borrow_mut().arrive(pieces)
    }

    /// Takes one batch of at most `max` frames; returns how many that were.
    /// They are not posted again before [`Self::post`].
    pub fn receive(&mut self, max: usize, intake: &mut impl Intake) -> usize {
        let Self { rx, batch, .. } = self;
        let taken = rx.take(max, |frame| batch.push(frame));
        HandOver {
            chain: &mut self.chain,
            spare: &mut self.spare,
            memory: &self.memory,
            desk: &mut self.desk,
            judge: &self.judge,
            counters: &mut self.counters,
        }
        .run(&mut self.batch, intake);
        taken
    }

    /// Posts the frames that are done with.
    pub fn post(&mut self) {
        self.fill.post(&mut self.spare);
    }

    /// Whether frames have arrived that were not taken yet.
    pub fn has_arrived(&mut self) -> bool {
        !self.rx.is_empty()
    }

    /// Whether a packet has come in part.
    pub fn is_amid_packet(&self) -> bool {
        !self.chain.is_idle()
    }

    /// What became of the packets.
    pub fn counters(&self) -> SourceCounters {
        self.counters
    }

    /// Checks that no frame is lost and none is in two places: however many
    /// are lent, receiving has those it was given.
    ///
    /// # Panics
    /// Where that is not so.
    pub fn check(&self) {
        let ours = self.spare.len() + self.chain.frames().len();
        self.custody.check(ours);
        let kernel = self.kernel.borrow();
        assert_eq!(kernel.fill.len() + kernel.rx.len() + ours, self.frames);
    }
}
