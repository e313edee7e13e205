//! What a worker sees of either backend.

use std::{os::fd::BorrowedFd, time::Duration};

use xdpsar_wire::Pieces;

use crate::error::ReceiveError;

/// One UDP payload, borrowed from the backend until the callback returns.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// The lane it came in on.
    pub lane: u16,
    /// The UDP payload: headers and event bytes. Headers lie in the first
    /// piece.
    pub bytes: Pieces<'a>,
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
    fn receive(&mut self, each: impl FnMut(Datagram<'_>)) -> Result<usize, ReceiveError>;

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
        self.syscalls += other.syscalls;
    }
}
