//! What a worker sees of either backend.

use std::{
    os::fd::BorrowedFd,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use xdpsar_reassembly::{Assembler, Lender, Sink};
use xdpsar_wire::Pieces;

use crate::error::ReceiveError;

/// One UDP payload, borrowed from the backend until [`Intake::take`] returns.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// The lane it came in on.
    pub lane: u16,
    /// The UDP payload: headers and event bytes. Headers lie in the first
    /// piece.
    pub bytes: Pieces<'a>,
}

/// Takes in what a [`Source`] has received.
pub trait Intake {
    /// A datagram whose turn in [`Self::take`] is a few datagrams away: the
    /// first piece of its UDP payload, time enough to fetch what its headers
    /// lead to. In the order of `take`, but a hint: not every datagram is
    /// foreseen.
    fn foresee(&mut self, first: &[u8]);

    /// A datagram. `lender` may leave its memory to the event that is whole
    /// in it.
    fn take(&mut self, datagram: Datagram<'_>, lender: &mut impl Lender);
}

/// A function takes datagrams without foresight and borrows nothing.
impl<F: FnMut(Datagram<'_>)> Intake for F {
    #[inline]
    fn foresee(&mut self, _first: &[u8]) {}

    #[inline]
    fn take(&mut self, datagram: Datagram<'_>, _lender: &mut impl Lender) {
        self(datagram);
    }
}

/// Datagrams by lane, counted by one worker and read by anybody.
#[derive(Debug)]
pub struct LaneCounters(Box<[AtomicU64]>);

impl LaneCounters {
    /// For lanes from 0 on.
    pub fn new(lanes: u16) -> Self {
        Self((0..lanes).map(|_| AtomicU64::new(0)).collect())
    }

    /// Counts a datagram. To be called by one thread.
    #[inline]
    pub fn count(&self, lane: u16) {
        if let Some(counter) = self.0.get(usize::from(lane)) {
            // No other thread writes to it.
            counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// The counts, from lane 0 on.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|counter| counter.load(Ordering::Relaxed))
    }
}

/// A batch on its way into an assembler.
pub struct Ingest<'a, S> {
    /// Where fragments become events.
    pub assembler: &'a mut Assembler,
    /// The time on the assembler's axis, in nanoseconds.
    pub now: u64,
    /// Counts datagrams.
    pub lanes: &'a LaneCounters,
    /// Takes whole events, and hears of lost ones.
    pub sink: &'a mut S,
}

impl<S: Sink> Intake for Ingest<'_, S> {
    #[inline]
    fn foresee(&mut self, first: &[u8]) {
        self.assembler.foresee(first);
    }

    #[inline]
    fn take(&mut self, datagram: Datagram<'_>, lender: &mut impl Lender) {
        let Datagram { lane, bytes } = datagram;
        self.lanes.count(lane);
        self.assembler.ingest_lent(lane, bytes, lender, self.now, self.sink);
    }
}

/// Datagrams between being foreseen and being taken. Main memory is about
/// 100 ns away, which is what eight small datagrams take.
pub(crate) const FORESIGHT: usize = 8;

/// Hands things on [`FORESIGHT`] places later.
#[derive(Debug)]
pub(crate) struct Delay<T> {
    waiting: [Option<T>; FORESIGHT],
    next: usize,
}

impl<T> Delay<T> {
    #[inline]
    pub(crate) fn new() -> Self {
        Self { waiting: [const { None }; FORESIGHT], next: 0 }
    }

    /// Puts `item` last, and returns the one whose turn it is.
    #[inline]
    pub(crate) fn push(&mut self, item: T) -> Option<T> {
        let due = self.waiting[self.next].replace(item);
        self.next = (self.next + 1) % FORESIGHT;
        due
    }

    /// What is still waiting, in order.
    #[inline]
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> {
        // From the oldest round to the youngest.
        let (late, early) = self.waiting.split_at_mut(self.next);
        early.iter_mut().chain(late).filter_map(Option::take)
    }
}

/// A worker's own stream of datagrams. Nothing in it is shared with another
/// worker but the fill ring of a fanned-out queue.
pub trait Source: Send + 'static {
    /// Hands over what has arrived, at most one batch, without waiting, and
    /// returns how many datagrams that was.
    ///
    /// # Errors
    /// [`ReceiveError`] when the socket or the interface is gone. A datagram
    /// that is truncated or unsound is counted, not an error.
    fn receive(&mut self, intake: &mut impl Intake) -> Result<usize, ReceiveError>;

    /// Sleeps until something arrives, `wake` becomes readable (someone
    /// signalled its eventfd), or `timeout` is over.
    ///
    /// # Errors
    /// As [`Source::receive`].
    fn wait(&mut self, wake: BorrowedFd<'_>, timeout: Duration) -> Result<(), ReceiveError>;

    /// Counters up to now. May ask the kernel: not for every batch.
    fn counters(&mut self) -> SourceCounters;

    /// `SO_RXQ_OVFL`-like and ring statistics aside, what this source is, for
    /// people: `queue 0 (native, copy)`, `3 ports`.
    fn describe(&self) -> String;
}

/// What became of the datagrams that a source took in or lost. All counts
/// are totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCounters {
    /// Datagrams handed over.
    pub datagrams: u64,
    /// UDP payload bytes handed over, headers included.
    pub bytes: u64,
    /// Dropped: longer than the buffer it was received into.
    pub truncated: u64,
    /// Dropped: wrong UDP checksum (AF_XDP; the kernel's own are in
    /// `kernel_drops` or invisible).
    pub bad_checksum: u64,
    /// Dropped: a frame that the steering program should not have let
    /// through (AF_XDP), so unsound that it has no lane.
    pub bad_frame: u64,
    /// Dropped: sound, but without the LB header whose entropy would have
    /// been its lane (socket path; the steering program counts its own).
    pub no_entropy: u64,
    /// Lost in the kernel because we were too slow: socket buffer overflow,
    /// or RX ring full, fill ring empty and allocation failures of AF_XDP.
    pub kernel_drops: u64,
    /// AF_XDP: RX ring was full.
    pub rx_ring_full: u64,
    /// AF_XDP: fill ring was empty (shared by the sockets of a queue).
    pub fill_ring_empty: u64,
    /// AF_XDP: datagrams whose memory was lent to the event in them.
    pub lent: u64,
    /// AF_XDP: datagrams that held a whole event which was copied although
    /// lending is on: too short to gain from it, or too much was lent.
    pub copied: u64,
    /// Those of `copied` for which there was no frame left to lend.
    pub lend_exhausted: u64,
    /// System calls made.
    pub syscalls: u64,
}

impl SourceCounters {
    /// Adds another source's counters.
    pub fn add(&mut self, other: &Self) {
        self.datagrams += other.datagrams;
        self.bytes += other.bytes;
        self.truncated += other.truncated;
        self.bad_checksum += other.bad_checksum;
        self.bad_frame += other.bad_frame;
        self.no_entropy += other.no_entropy;
        self.kernel_drops += other.kernel_drops;
        self.rx_ring_full += other.rx_ring_full;
        self.fill_ring_empty += other.fill_ring_empty;
        self.lent += other.lent;
        self.copied += other.copied;
        self.lend_exhausted += other.lend_exhausted;
        self.syscalls += other.syscalls;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_keeps_the_order() {
        for count in [0, 1, FORESIGHT - 1, FORESIGHT, FORESIGHT + 1, 3 * FORESIGHT + 2] {
            let mut delay = Delay::new();
            let mut got: Vec<usize> = (0..count).filter_map(|item| delay.push(item)).collect();
            assert_eq!(got.len(), count.saturating_sub(FORESIGHT));
            got.extend(delay.drain());
            assert!(got.iter().copied().eq(0..count), "{got:?}");
            assert_eq!(delay.drain().count(), 0);
            assert_eq!(delay.push(7), None, "and it may be used again");
        }
    }
}
