//! Receiving through UDP sockets: no privileges, and the fastest way where
//! the kernel hands over runs of datagrams in one piece (`UDP_GRO`).
//!
//! ```text
//!  port base+0 ─▶ socket ─┐            ┌─ recvmmsg ─▶ [≤ 64 KiB]──cut──▶ datagram, datagram, …
//!  port base+2 ─▶ socket ─┼─▶ epoll ─▶ │              [≤ 64 KiB]──cut──▶ datagram
//!  port base+4 ─▶ socket ─┘  (who is   └─ one batch per receive(), one socket after the other
//!                             readable)
//! ```
//!
//! Each worker has an epoll instance, sockets and buffers of its own. Lane
//! `l` belongs to worker `l % workers`; where several workers share a port,
//! the kernel chooses the socket by entropy ([`LaneMode::Entropy`]).
//!
//! Two limits that the kernel sets. It counts what overflows a receive buffer
//! in the pieces it queues: a lost super-packet is one in `kernel_drops`. And
//! where workers share a port, it chooses the socket of a super-packet by its
//! first datagram: a local sender that puts datagrams of several events into
//! one `UDP_SEGMENT` call splits events between workers. Ours does not.
//!
//! | module | holds |
//! |---|---|
//! | `batch` | one `recvmmsg` and what came of it |
//! | `open` | checks, sockets, options, and the reasons when it cannot be |
//! | `steer` | the classic BPF program for ports that workers share |
//! | `turns` | which socket is next |
//!
//! [`LaneMode::Entropy`]: xdpsar_wire::steering::LaneMode::Entropy

mod batch;
mod open;
mod steer;
#[cfg(test)]
mod tests;
mod turns;

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use xdpsar_reassembly::NoLender;
use xdpsar_wire::{LbFraming, datagram};

use self::{batch::Batch, turns::Turns};
use crate::{
    config::{ReceiveConfig, Wait},
    error::{ReceiveError, SetupError},
    source::{Datagram, Delay, Intake, Source, SourceCounters},
    sys,
};

/// Messages per call. Where each is a super-packet, fewer: sixteen of 64 KiB
/// fill a second-level cache.
const MESSAGES: usize = 64;
const SUPER_PACKETS: usize = 16;
/// Mean message length from which on messages count as super-packets.
const SUPER_PACKET_LEN: usize = 16 << 10;
/// No UDP datagram and no super-packet is longer.
const BUFFER_LEN: usize = 64 << 10;

/// How long an adaptive wait naps, once, before it sleeps until woken: a batch
/// gathers. Looking for datagrams as they come would take one at a time, with
/// three system calls each.
const NAP: Duration = Duration::from_micros(50);

/// Sockets whose losses are asked for in one [`Source::counters`].
const ASKED_AT_ONCE: usize = 1024;
/// Index of the drop counter in `SO_MEMINFO` (`include/uapi/linux/sock_diag.h`,
/// since Linux 4.12).
const SK_MEMINFO_DROPS: usize = 8;

/// A worker's sockets: one for each port that has lanes of this worker.
pub struct SocketSource {
    sockets: Vec<Socket>,
    turns: Turns,
    batch: Batch,
    at_most: usize,
    lanes: Lanes,
    wait: Wait,
    counters: SourceCounters,
    /// The next socket to be asked about its losses.
    asked: usize,
    about: String,
}

struct Socket {
    fd: OwnedFd,
    port: u16,
    lane: u16,
    /// The last value of its drop counter.
    drops: u32,
}

/// How a datagram's lane is found.
#[derive(Clone, Copy)]
enum Lanes {
    /// It is its socket's.
    OfSocket,
    /// The header says.
    Entropy { mask: u16, framing: LbFraming },
}

impl SocketSource {
    /// Opens the sockets of all workers: one source per worker, and warnings
    /// for people, such as a receive buffer smaller than asked for.
    ///
    /// With `base_port` 0 (and one port) the kernel chooses the port.
    ///
    /// # Errors
    /// [`SetupError`] says what was asked, what is there, and what to do:
    /// values that cannot be meant, an address that is not local, a port that
    /// is taken, too few file descriptors. No socket stays open then.
    pub fn open(config: &ReceiveConfig) -> Result<(Vec<SocketSource>, Vec<String>), SetupError> {
        open::open(config)
    }

    /// The address that this worker's first socket is bound to; `None` for a
    /// worker without lanes.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        sys::local_address(self.sockets.first()?.fd.as_fd()).ok()
    }

    /// What to wait for: the sockets, by whichever descriptor stands for them.
    fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.turns.epoll().or_else(|| Some(self.sockets.first()?.fd.as_fd()))
    }

    /// Sleeps in the kernel; true if woken.
    fn sleep(&self, wake: BorrowedFd<'_>, timeout: Duration) -> Result<bool, ReceiveError> {
        let woken = match self.readable() {
            Some(fd) => sys::poll([(fd, libc::POLLIN), (wake, libc::POLLIN)], timeout),
            None => sys::poll([(wake, libc::POLLIN)], timeout),
        };
        woken.map_err(|source| ReceiveError { what: self.about.clone(), source })
    }

    fn failed(&self, index: usize, source: io::Error) -> ReceiveError {
        ReceiveError { what: format!("UDP port {}", self.sockets[index].port), source }
    }

    /// Hands over the `messages` of the batch that came through `index`.
    fn hand_over(&mut self, index: usize, messages: usize, intake: &mut impl Intake) -> usize {
        let socket = &mut self.sockets[index];
        let counters = &mut self.counters;
        let before = counters.datagrams;
        let mut received = 0;
        let mut delay = Delay::new();
        for message in (0..messages).map(|i| self.batch.message(i)) {
            received += message.bytes.len();
            if let Some(drops) = message.drops {
                counters.kernel_drops += socket.note_drops(drops);
            }
            if message.truncated {
                counters.truncated += 1;
                continue;
            }
            let mut rest = message.bytes;
            loop {
                let (bytes, next) = rest.split_at(message.segment.min(rest.len()));
                match self.lanes.of(socket.lane, bytes) {
                    Some(lane) => {
                        counters.datagrams += 1;
                        counters.bytes += bytes.len() as u64;
                        intake.foresee(bytes);
                        if let Some(due) = delay.push(Datagram { lane, bytes: bytes.into() }) {
                            intake.take(due, &mut NoLender);
                        }
                    }
                    None => counters.no_entropy += 1,
                }
                if next.is_empty() {
                    break;
                }
                rest = next;
            }
        }
        for due in delay.drain() {
            intake.take(due, &mut NoLender);
        }
        self.at_most =
            if received > messages * SUPER_PACKET_LEN { SUPER_PACKETS } else { MESSAGES };
        (counters.datagrams - before) as usize
    }
}

impl Lanes {
    /// The datagram's lane; `None` if it should have entropy and has none.
    /// Unsound headers are left to the reassembler, which knows the causes.
    #[inline]
    fn of(self, socket: u16, bytes: &[u8]) -> Option<u16> {
        match self {
            Self::OfSocket => Some(socket),
            Self::Entropy { mask, framing } => {
                match datagram::check(bytes, 0, bytes.len(), framing) {
                    Ok(shape) => shape.entropy().map(|entropy| entropy & mask),
                    Err(_) => Some(0),
                }
            }
        }
    }
}

impl Socket {
    /// How many drops a new value of the cumulative 32-bit counter adds. An
    /// older value than the last, from a datagram that was queued before we
    /// asked, adds none.
    fn note_drops(&mut self, total: u32) -> u64 {
        let new = total.wrapping_sub(self.drops);
        if new > u32::MAX / 2 {
            return 0;
        }
        self.drops = total;
        u64::from(new)
    }

    /// Asks the kernel for the drop counter.
    fn drops_now(&self) -> Option<u32> {
        let info = [self.drops; SK_MEMINFO_DROPS + 1];
        let info = sys::get_option(self.fd.as_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO, info);
        info.ok().map(|info| info[SK_MEMINFO_DROPS])
    }
}

impl Source for SocketSource {
    fn receive(&mut self, intake: &mut impl Intake) -> Result<usize, ReceiveError> {
        // A socket may turn out to be empty (its datagram had a wrong
        // checksum): then the next one, a few times.
        for _ in 0..4 {
            let next = self.turns.next(self.sockets.len(), &mut self.counters.syscalls);
            let next = next.map_err(|source| ReceiveError { what: self.about.clone(), source })?;
            let Some(index) = next else { return Ok(0) };
            let asked = self.at_most.min(self.batch.capacity());
            self.counters.syscalls += 1;
            let messages = self
                .batch
                .receive(self.sockets[index].fd.as_fd(), asked)
                .map_err(|source| self.failed(index, source))?;
            if messages == asked {
                self.turns.may_have_more(index);
            }
            if messages > 0 {
                return Ok(self.hand_over(index, messages, intake));
            }
            if self.sockets.len() == 1 {
                break;
            }
        }
        Ok(0)
    }

    fn wait(&mut self, wake: BorrowedFd<'_>, timeout: Duration) -> Result<(), ReceiveError> {
        if self.turns.has_ready() {
            return Ok(());
        }
        match self.wait {
            Wait::Spin => {
                std::hint::spin_loop();
                return Ok(());
            }
            Wait::Adaptive => {
                self.counters.syscalls += 1;
                std::thread::sleep(NAP.min(timeout));
            }
            Wait::Sleep => {}
        }
        self.counters.syscalls += 1;
        self.sleep(wake, timeout)?;
        Ok(())
    }

    fn counters(&mut self) -> SourceCounters {
        let count = self.sockets.len();
        for _ in 0..count.min(ASKED_AT_ONCE) {
            self.asked = (self.asked + 1) % count;
            self.counters.syscalls += 1;
            let socket = &mut self.sockets[self.asked];
            if let Some(total) = socket.drops_now() {
                self.counters.kernel_drops += socket.note_drops(total);
            }
        }
        self.counters
    }

    fn describe(&self) -> String {
        self.about.clone()
    }
}

impl std::fmt::Debug for SocketSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SocketSource")
            .field("about", &self.about)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
