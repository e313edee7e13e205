//! One socket on one RX queue: takes frames, finds the packets in them, and
//! gives the frames back.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    sync::Arc,
};

use crossbeam_queue::ArrayQueue;
use xsk_rs::{FillQueue, FrameDesc, RxQueue};

use super::{
    BATCH,
    chain::{Chain, MAX_CHAIN, Step},
    custody::Custody,
    frame::{FillRing, Frame, Free, Received, RxRing},
    handback::{HandBack, Room},
    packet::{Judge, Unsound},
    rings::{self, Memory},
    setup::QueueParts,
};
use crate::{
    source::{Datagram, SourceCounters},
    sys,
};

/// One worker's socket on one queue.
#[derive(Debug)]
pub(crate) struct Inlet {
    rx: RxRing<RxQueue>,
    chain: Chain<FrameDesc>,
    /// Frames on their way back; empty between batches.
    spare: Vec<Frame<Free>>,
    fill: Fill,
    memory: Memory,
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
    hand_back: HandBack<Frame<Free>, Poster>,
    custody: Arc<Custody>,
}

#[derive(Debug)]
struct Poster {
    ring: FillRing<FillQueue>,
    /// What is on its way from the returns into the ring.
    batch: Vec<Frame<Free>>,
}

/// Makes the inlets of a queue, in the order of its sockets, and posts all
/// of its frames.
pub(crate) fn inlets(queue: u32, parts: QueueParts) -> Vec<Inlet> {
    let QueueParts { memory, frames, fill, sockets, zero_copy, busy_poll } = parts;
    let total = frames.len();
    let custody = Arc::new(Custody::new(total));
    let mut ring = FillRing::new(fill, Arc::clone(&custody));
    // SAFETY: these are the descriptors of all frames of a new UMEM, each
    // once; xsk-rs gives them out only there.
    let mut tokens = frames.into_iter().map(|desc| unsafe { Frame::mint(desc) }).collect();
    ring.post(&mut tokens);
    assert!(tokens.is_empty(), "the fill ring has room for every frame");

    let mut ring = Some(ring);
    let shared = (sockets.len() > 1).then(|| {
        let ring = ring.take().expect("not taken yet");
        let poster = Poster { ring, batch: Vec::with_capacity(BATCH) };
        let hand_back = HandBack::new(total, poster);
        Arc::new(SharedFill { hand_back, custody: Arc::clone(&custody) })
    });
    let inlet = |(index, rx)| Inlet {
        rx: RxRing::new(rx, BATCH, Arc::clone(&custody)),
        chain: Chain::new(),
        spare: Vec::with_capacity(BATCH + MAX_CHAIN),
        fill: match &shared {
            Some(shared) => Fill::Shared(Arc::clone(shared)),
            None => {
                Fill::Own { ring: ring.take().expect("one socket"), custody: Arc::clone(&custody) }
            }
        },
        memory: memory.clone(),
        queue,
        zero_copy,
        busy_poll,
        first: index == 0,
    };
    sockets.into_iter().enumerate().map(inlet).collect()
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
        mut each: impl FnMut(Datagram<'_>),
    ) -> usize {
        let Self { rx, chain, spare, memory, .. } = self;
        let mut taken = rx.take(max, |frame| {
            accept(frame, chain, spare, memory, judge, counters, &mut each);
        });
        if taken == 0 && self.busy_poll {
            counters.syscalls += 1;
            self.wake_driver();
            let Self { rx, chain, spare, memory, .. } = self;
            taken = rx.take(max, |frame| {
                accept(frame, chain, spare, memory, judge, counters, &mut each);
            });
        }
        if taken > 0 {
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

/// One frame: most are a whole packet.
#[inline]
fn accept(
    frame: Frame<Received>,
    chain: &mut Chain<FrameDesc>,
    spare: &mut Vec<Frame<Free>>,
    memory: &Memory,
    judge: &Judge,
    counters: &mut SourceCounters,
    each: &mut impl FnMut(Datagram<'_>),
) {
    if chain.is_idle() && !frame.continues() {
        hand_over(memory.bytes(&frame), &mut [], judge, counters, each);
        spare.push(frame.release());
        return;
    }
    match chain.push(frame, spare) {
        Step::More => {}
        Step::TooLong => counters.truncated += 1,
        Step::Whole => {
            let mut pieces: [&[u8]; MAX_CHAIN] = [&[]; MAX_CHAIN];
            let frames = chain.frames();
            for (piece, frame) in pieces.iter_mut().zip(frames) {
                *piece = memory.bytes(frame);
            }
            let (first, rest) = pieces[..frames.len()].split_at_mut(1);
            hand_over(first[0], rest, judge, counters, each);
            chain.release(spare);
        }
    }
}

#[inline]
fn hand_over<'a>(
    first: &'a [u8],
    rest: &'a mut [&'a [u8]],
    judge: &Judge,
    counters: &mut SourceCounters,
    each: &mut impl FnMut(Datagram<'_>),
) {
    match judge.datagram(first, rest) {
        Ok(datagram) => {
            counters.datagrams += 1;
            counters.bytes += datagram.bytes.len() as u64;
            each(datagram);
        }
        Err(Unsound::Frame) => counters.bad_frame += 1,
        Err(Unsound::Checksum) => counters.bad_checksum += 1,
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
    fn post(&mut self, own: &mut Vec<Frame<Free>>, returns: &ArrayQueue<Frame<Free>>) -> Room {
        self.ring.post(own);
        while own.is_empty() {
            // What the ring refused the last time comes first.
            let wanted = BATCH - self.batch.len();
            self.batch.extend(std::iter::from_fn(|| returns.pop()).take(wanted));
            if self.batch.is_empty() {
                return Room::Left;
            }
            self.ring.post(&mut self.batch);
            if !self.batch.is_empty() {
                break;
            }
        }
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
