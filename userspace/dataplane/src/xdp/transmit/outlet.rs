//! One socket's frames and rings: write packets, post them, get the kernel to
//! take them, and have the frames back.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{super::checksum::Sum, headers::Headers};
use crate::{
    send::{Cursor, SendCounters},
    xdp::{
        CHUNK,
        custody::Custody,
        frame::{CompletionRing, Frame, Free, RawCompletion, RawTx, Ready, TxRing},
        memory::Memory,
    },
};

/// Bytes of a frame in front of the packet that xsk-rs keeps free, on the way
/// out as well (`XDP_PACKET_HEADROOM`).
const HEADROOM: usize = 256;
/// Bytes of packet in a frame.
pub(super) const ROOM: usize = CHUNK - HEADROOM;
/// One look for frames that come back, when there is nothing else to do.
const LOOK_EVERY: Duration = Duration::from_micros(100);

/// One socket's way out; see the module.
///
/// ```text
///   free ──write──▶ ready ──post──▶ TX ring ──wake──▶ kernel ──▶ completion ring ──reclaim──▶ free
/// ```
#[derive(Debug)]
pub(super) struct Outlet<T: RawTx, C: RawCompletion<Desc = T::Desc>> {
    tx: TxRing<T>,
    completion: CompletionRing<C>,
    /// The last to come back is the first to be used: it is still in the
    /// cache.
    free: Vec<Frame<Free, T::Desc>>,
    /// Whole packets.
    ready: Vec<Frame<Ready, T::Desc>>,
    /// The pieces of a packet after the first; empty between packets.
    rest: Vec<Frame<Ready, T::Desc>>,
    memory: Arc<Memory>,
    custody: Arc<Custody>,
    frames: usize,
    /// Packets are copied out of the frames, by the very call that wakes the
    /// kernel. Otherwise the driver takes them in its own time.
    copies: bool,
}

impl<T: RawTx, C: RawCompletion<Desc = T::Desc>> Outlet<T, C> {
    /// `free` are all the frames of `memory`.
    pub(super) fn new(
        tx: T,
        completion: C,
        free: Vec<Frame<Free, T::Desc>>,
        memory: Arc<Memory>,
        copies: bool,
    ) -> Self {
        let frames = free.len();
        let custody = Arc::new(Custody::new(frames, CHUNK));
        Self {
            tx: TxRing::new(tx, Arc::clone(&custody)),
            completion: CompletionRing::new(completion, frames, Arc::clone(&custody)),
            ready: Vec::with_capacity(frames),
            rest: Vec::with_capacity(frames),
            free,
            memory,
            custody,
            frames,
            copies,
        }
    }

    /// Takes back the frames that were sent, and returns how many are free.
    #[inline]
    pub(super) fn reclaim(&mut self) -> usize {
        let Self { completion, free, .. } = self;
        completion.take(|frame| free.push(frame));
        free.len()
    }

    /// Writes a packet: `headers` for the fragment at `offset`, and the next
    /// `len` bytes of the event. False where there are too few free frames;
    /// then nothing is written, and nothing read.
    #[inline]
    pub(super) fn write(
        &mut self,
        headers: &Headers,
        event: &mut Cursor<'_>,
        offset: u32,
        len: usize,
    ) -> bool {
        let head = headers.len();
        if self.free.len() < frames_for(head + len) {
            return false;
        }
        let Some(mut first) = self.free.pop() else { return false };
        let mut sum = Sum::default();
        let here = len.min(ROOM - head);
        gather(event, &mut self.memory.room(&mut first)[head..][..here], &mut sum);
        let mut left = len - here;
        while left > 0 {
            let Some(mut frame) = self.free.pop() else { break };
            let here = left.min(ROOM);
            gather(event, &mut self.memory.room(&mut frame)[..here], &mut sum);
            left -= here;
            self.rest.push(self.tx.ready(frame, here, left > 0));
        }
        // Last, as the checksum is only now known.
        headers.write(self.memory.room(&mut first), offset, len, sum);
        self.ready.push(self.tx.ready(first, head + here, len > here));
        self.ready.append(&mut self.rest);
        true
    }

    /// Posts what was written. False where the ring has no room for it.
    #[inline]
    pub(super) fn post(&mut self) -> bool {
        self.tx.post(&mut self.ready)
    }

    /// Takes back what was written and not posted.
    pub(super) fn withdraw(&mut self) {
        self.free.extend(self.ready.drain(..).map(Frame::withdraw));
    }

    /// Wakes the kernel until it has taken all that was posted, or has been
    /// told where it takes packets in its own time. Returns what it said if
    /// it took nothing at last, though trying again may help.
    ///
    /// # Errors
    /// The kernel's, where trying again does not help.
    pub(super) fn push(&mut self, counters: &mut SendCounters) -> io::Result<Option<io::Error>> {
        let ring = self.tx.raw();
        let mut before = ring.pending();
        while before > 0 && ring.needs_wakeup() {
            counters.syscalls += 1;
            let said = match ring.wake() {
                Ok(()) if !self.copies => return Ok(None),
                Ok(()) => io::ErrorKind::WouldBlock.into(),
                Err(error) => error,
            };
            let after = ring.pending();
            match said.raw_os_error() {
                // One packet was taken, and dropped (`__xsk_generic_xmit`,
                // net/xdp/xsk.c); the next call goes on with the next one.
                Some(libc::EBUSY) if self.copies => counters.dropped += 1,
                // It takes a few packets with each call.
                None | Some(libc::EAGAIN | libc::EINTR) if after < before => {}
                None | Some(libc::EAGAIN | libc::EINTR | libc::EBUSY) => {
                    counters.retried_full += 1;
                    return Ok(Some(said));
                }
                Some(libc::ENOBUFS | libc::ENOMEM) => {
                    counters.retried_no_buffers += 1;
                    return Ok(Some(said));
                }
                Some(_) => return Err(said),
            }
            before = after;
        }
        Ok(None)
    }

    /// Whether the kernel has taken all that was posted.
    pub(super) fn is_pushed(&mut self) -> bool {
        self.tx.raw().pending() == 0
    }

    /// Whether packets are copied out of the frames.
    pub(super) const fn copies(&self) -> bool {
        self.copies
    }

    /// Waits until all frames are back, `limit` at most; returns how many are
    /// not.
    pub(super) fn settle(&mut self, limit: Duration) -> usize {
        let end = Instant::now() + limit;
        self.withdraw();
        loop {
            let free = self.reclaim();
            let pushed = self.push(&mut SendCounters::default());
            if free == self.frames || pushed.is_err() || Instant::now() >= end {
                self.check();
                return self.frames - free;
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Checks that no frame is lost and none is in two places.
    pub(super) fn check(&self) {
        self.custody.check(self.free.len() + self.ready.len());
    }
}

/// Frames that `bytes` of packet take.
pub(super) const fn frames_for(bytes: usize) -> usize {
    bytes.div_ceil(ROOM)
}

/// Fills `to` with the next bytes of the event, and adds them to `sum`.
#[inline]
fn gather(event: &mut Cursor<'_>, mut to: &mut [u8], sum: &mut Sum) {
    while !to.is_empty() {
        let piece = event.next_piece(to.len());
        if piece.is_empty() {
            // The plan never goes past the event's end.
            return;
        }
        let (here, rest) = to.split_at_mut(piece.len());
        sum.copy(piece, here);
        to = rest;
    }
}

/// How long the kernel has taken nothing.
#[derive(Debug)]
pub(super) struct Waiting {
    since: Option<Instant>,
    patience: Duration,
}

impl Waiting {
    pub(super) const fn new(patience: Duration) -> Self {
        Self { since: None, patience }
    }

    /// It has taken something.
    #[inline]
    pub(super) const fn ends(&mut self) {
        self.since = None;
    }

    /// A moment's pause.
    ///
    /// # Errors
    /// How long it has been, once that is longer than patience has it.
    pub(super) fn pause(&mut self) -> Result<(), Duration> {
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        if waited > self.patience {
            return Err(waited);
        }
        thread::sleep(LOOK_EVERY);
        Ok(())
    }
}
