//! The closed loop: never more datagrams on the way than fit where they
//! land, however slow the receiver is.

use std::{
    fs,
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use xdpsar::Pace;

use crate::args::demo::SideArgs;

/// The receiver has not acknowledged anything for this long: datagrams are
/// lost, and waiting will not bring them back.
const PATIENCE: Duration = Duration::from_secs(20);

/// Datagrams on the way at most, wherever they land.
///
/// * AF_XDP: a veth queue holds 256 frames (`VETH_RING_SIZE`, Linux 6.12
///   `drivers/net/veth.c`) until they are in the RX rings, which are larger.
/// * Sockets: a buffer holds twice what was asked for, as far as
///   `net.core.rmem_max` lets an ordinary user go, and the kernel charges
///   more than a datagram's own bytes: its memory is had in powers of two
///   (`socket(7)`). All may land in one socket, so half of it is used.
pub(super) fn limit(args: &SideArgs) -> u64 {
    if args.isolate {
        return 128;
    }
    let charged = u64::from(args.run.mtu.next_power_of_two()) + 1024;
    (socket_buffer() / charged).clamp(2, 512)
}

/// The receive buffer that an ordinary user may ask for.
pub(super) fn socket_buffer() -> u64 {
    fs::read_to_string("/proc/sys/net/core/rmem_max")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(212_992)
}

/// Datagrams sent and not yet placed.
#[derive(Debug)]
pub(super) struct Window {
    limit: u64,
    placed: Mutex<u64>,
    moved: Condvar,
}

/// Nothing has been acknowledged for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stalled;

impl Window {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, placed: Mutex::new(0), moved: Condvar::new() }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// The receiver has placed this many datagrams in all.
    pub(super) fn acknowledge(&self, placed: u64) {
        *self.placed.lock().unwrap_or_else(PoisonError::into_inner) = placed;
        self.moved.notify_all();
    }

    /// Waits until `sent` datagrams in all may have been sent.
    ///
    /// # Errors
    /// [`Stalled`] when the receiver makes no progress.
    fn admit(&self, sent: u64) -> Result<(), Stalled> {
        self.admit_within(sent, PATIENCE)
    }

    /// What the segmenter asks before each run of datagrams.
    pub(super) fn gate(&self, mtu: u32) -> Gate<'_> {
        Gate { window: self, mtu: u64::from(mtu), sent: 0, stalled: false }
    }

    fn admit_within(&self, sent: u64, patience: Duration) -> Result<(), Stalled> {
        let mut placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = *placed;
        let mut deadline = Instant::now() + patience;
        while sent > *placed + self.limit {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Stalled);
            }
            placed =
                self.moved.wait_timeout(placed, left).unwrap_or_else(PoisonError::into_inner).0;
            if *placed > before {
                before = *placed;
                deadline = Instant::now() + patience;
            }
        }
        Ok(())
    }
}

/// Lets datagrams through as the window allows.
pub(super) struct Gate<'a> {
    window: &'a Window,
    mtu: u64,
    sent: u64,
    stalled: bool,
}

impl Gate<'_> {
    /// The receiver makes no progress any more. What was being sent has been
    /// let through, so that it ends.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalled
    }
}

impl Pace for Gate<'_> {
    fn at_once(&self) -> u64 {
        // Half the window: one half fills while the other drains.
        (self.window.limit / 2).max(1) * self.mtu
    }

    fn wait_for(&mut self, ip_bytes: u64) {
        // All datagrams of a run but the last are full.
        self.sent += ip_bytes.div_ceil(self.mtu);
        if !self.stalled {
            self.stalled = self.window.admit(self.sent).is_err();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_window_waits_for_the_receiver() {
        let window = Window::new(10);
        let soon = Duration::from_millis(20);
        assert_eq!(window.admit_within(10, soon), Ok(()));
        assert_eq!(window.admit_within(11, soon), Err(Stalled));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| window.admit(15));
            window.acknowledge(4);
            window.acknowledge(5);
            assert_eq!(waiting.join().unwrap(), Ok(()));
        });
    }
}
