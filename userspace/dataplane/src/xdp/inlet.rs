//! One socket on one RX queue: takes frames, finds the packets in them, and
//! gives the frames back.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    sync::Arc,
};

use xsk_rs::{FillQueue, FrameDesc, RxQueue};

use super::{
    BATCH,
    chain::{Chain, MAX_CHAIN},
    custody::Custody,
    frame::{FillRing, Frame, Free, Received, Register, RxRing},
    handback::{HandBack, Room},
    handover::HandOver,
    layout::Plan,
    lending::Desk,
    memory::Memory,
    packet::Judge,
    returns::Returns,
    rings,
    setup::QueueParts,
};
use crate::{
    source::{Intake, SourceCounters},
    sys,
};

/// One worker's socket on one queue.
#[derive(Debug)]
pub(crate) struct Inlet {
    rx: RxRing<RxQueue>,
    /// Frames as they were taken; empty between batches.
    batch: Vec<Frame<Received>>,
    chain: Chain<FrameDesc>,
    /// Frames on their way back; empty between batches.
    spare: Vec<Frame<Free>>,
    fill: Fill,
    memory: Arc<Memory>,
    /// Where lending is on.
    desk: Option<Desk<FrameDesc>>,
    pub(crate) queue: u32,
    pub(crate) zero_copy: bool,
    busy_poll: bool,
    /// The one inlet of its queue that reports on the fill ring.
    first: bool,
}

/// Where the frames go back to.
#[derive(Debug)]
enum Fill {
    /// A queue of one's own.
    Own { ring: FillRing<FillQueue>, custody: Arc<Custody> },
    /// A queue that several workers have sockets on.
    Shared(Arc<SharedFill>),
}

#[derive(Debug)]
struct SharedFill {
    hand_back: HandBack<Poster>,
    custody: Arc<Custody>,
}

#[derive(Debug)]
struct Poster {
    ring: FillRing<FillQueue>,
    /// What is on its way from the returns into the ring; empty in between.
    batch: Vec<Frame<Free>>,
    register: Arc<Register<FrameDesc>>,
}

/// Makes the inlets of a queue, in the order of its sockets, and posts the
/// frames that receiving needs. Events of `lend_from` bytes or more are lent.
pub(crate) fn inlets(queue: u32, parts: QueueParts, plan: &Plan, lend_from: usize) -> Vec<Inlet> {
    let QueueParts { memory, frames, fill, sockets, zero_copy, busy_poll } = parts;
    let total = frames.len();
    let custody = Arc::new(Custody::new(total, plan.chunk));
    let register = Arc::new(Register::new(&frames));
    let mut ring = FillRing::new(fill, Arc::clone(&custody));
    // SAFETY: these are the descriptors of all frames of a new UMEM, each
    // once; xsk-rs gives them out only there.
    let mut mint = frames.into_iter().map(|desc| unsafe { Frame::mint(desc) });
    let mut tokens = mint.by_ref().take(plan.frames as usize).collect();
    ring.post(&mut tokens);
    assert!(tokens.is_empty(), "the fill ring has room for every frame");
    let reserves: Vec<Vec<_>> =
        sockets.iter().map(|_| mint.by_ref().take(plan.reserve as usize).collect()).collect();

    let mut ring = Some(ring);
    let shared = (sockets.len() > 1).then(|| {
        let ring = ring.take().expect("not taken yet");
        let batch = Vec::with_capacity(total);
        let poster = Poster { ring, batch, register: Arc::clone(&register) };
        let hand_back = HandBack::new(register.numbers(), poster);
        Arc::new(SharedFill { hand_back, custody: Arc::clone(&custody) })
    });
    let desk = |reserve: Vec<_>| {
        let (register, memory) = (Arc::clone(&register), Arc::clone(&memory));
        (!reserve.is_empty())
            .then(|| Desk::new(reserve, register, memory, Arc::clone(&custody), lend_from))
    };
    let inlet = |(index, (rx, reserve))| Inlet {
        rx: RxRing::new(rx, BATCH, Arc::clone(&custody)),
        batch: Vec::with_capacity(BATCH),
        chain: Chain::new(),
        spare: Vec::with_capacity(BATCH + MAX_CHAIN),
        fill: match &shared {
            Some(shared) => Fill::Shared(Arc::clone(shared)),
            None => {
                Fill::Own { ring: ring.take().expect("one socket"), custody: Arc::clone(&custody) }
            }
        },
        memory: Arc::clone(&memory),
        desk: desk(reserve),
        queue,
        zero_copy,
        busy_poll,
        first: index == 0,
    };
    sockets.into_iter().zip(reserves).enumerate().map(inlet).collect()
}

impl Inlet {
    /// Takes at most `max` frames, hands over the datagrams that end in them,
    /// and gives the frames back. Returns how many frames it took.
    #[inline]
    pub(crate) fn receive(
        &mut self,
        max: usize,
        judge: &Judge,
        counters: &mut SourceCounters,
        intake: &mut impl Intake,
    ) -> usize {
        let Self { rx, batch, .. } = self;
        let mut taken = rx.take(max, |frame| batch.push(frame));
        if taken == 0 && self.busy_poll {
            counters.syscalls += 1;
            self.wake_driver();
            let Self { rx, batch, .. } = self;
            taken = rx.take(max, |frame| batch.push(frame));
        }
        if taken > 0 {
            let Self { batch, chain, spare, memory, desk, .. } = self;
            HandOver { chain, spare, memory, desk, judge, counters }.run(batch, intake);
            self.settle(counters);
        }
        taken
    }

    /// Sees to it that the frames in hand get posted, and wakes the driver if
    /// it sleeps for want of them.
    pub(crate) fn settle(&mut self, counters: &mut SourceCounters) {
        let needs_wakeup = match &mut self.fill {
            Fill::Own { ring, .. } => {
                ring.post(&mut self.spare);
                ring.needs_wakeup()
            }
            Fill::Shared(shared) => shared.give(&mut self.spare),
        };
        if needs_wakeup {
            counters.syscalls += 1;
            self.wake_driver();
        }
    }

    /// Whether there is nothing to take.
    #[inline]
    pub(crate) fn is_empty(&mut self) -> bool {
        self.rx.is_empty()
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        rings::socket(self.rx.raw())
    }

    /// Adds what the kernel has counted for this socket.
    pub(crate) fn add_statistics(&self, counters: &mut SourceCounters) {
        counters.syscalls += 1;
        // An interface that is gone has no more to say.
        let Ok(kernel) = self.rx.raw().fd().xdp_statistics() else { return };
        counters.kernel_drops += kernel.rx_dropped() + kernel.rx_ring_full();
        counters.rx_ring_full += kernel.rx_ring_full();
        if self.first {
            // Counted by the ring, that is by all its sockets alike
            // (`xsk_getsockopt`, net/xdp/xsk.c).
            counters.fill_ring_empty += kernel.rx_fill_ring_empty_descs();
        }
    }

    /// The error that the kernel left on the socket: the interface is gone.
    pub(crate) fn error(&self) -> Option<io::Error> {
        match sys::get_option(self.socket(), libc::SOL_SOCKET, libc::SO_ERROR, 0) {
            Ok(0) => None,
            Ok(code) => Some(io::Error::from_raw_os_error(code)),
            Err(error) => Some(error),
        }
    }

    fn wake_driver(&self) {
        // SAFETY: no buffer is passed. What it returns says nothing that the
        // next look at the ring does not (`xsk_recvmsg`, net/xdp/xsk.c).
        unsafe {
            libc::recvfrom(
                self.socket().as_raw_fd(),
                std::ptr::null_mut(),
                0,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            );
        }
    }
}

impl SharedFill {
    /// Whether the driver must be woken; false where another worker posts.
    fn give(&self, frames: &mut Vec<Frame<Free>>) -> bool {
        let mut needs_wakeup = false;
        self.hand_back.give(frames, |poster, own, returns| {
            let room = poster.post(own, returns);
            needs_wakeup = poster.ring.needs_wakeup();
            room
        });
        needs_wakeup
    }
}

impl Poster {
    fn post(&mut self, own: &mut Vec<Frame<Free>>, returns: &Returns) -> Room {
        let Self { ring, batch, register } = self;
        ring.post(own);
        if !own.is_empty() {
            return Room::None;
        }
        // SAFETY: the numbers of frames that were given up to be put there.
        batch.extend(returns.take().map(|number| unsafe { register.redeem(number) }));
        ring.post(batch);
        if batch.is_empty() {
            return Room::Left;
        }
        // The next to own the ring tries again.
        returns.put_all(batch.drain(..));
        Room::None
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.chain.release(&mut self.spare);
        match &self.fill {
            Fill::Own { custody, .. } => custody.check(self.spare.len()),
            // The others go on with our frames.
            Fill::Shared(shared) => _ = shared.give(&mut self.spare),
        }
    }
}

impl Drop for SharedFill {
    fn drop(&mut self) {
        self.custody.check(self.hand_back.waiting());
    }
}
