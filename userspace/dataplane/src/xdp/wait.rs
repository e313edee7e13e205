//! How a worker waits for packets.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    time::{Duration, Instant},
};

use crate::{config::Wait, sys};

/// A nap lets a batch gather; the timer slack makes it about twice as long.
/// Looking for packets as they come would take one at a time, and all of the
/// core. Where nothing comes meanwhile, packets are so rare that it is no more
/// work to be woken for each, and it is sooner.
const NAP: Duration = Duration::from_micros(50);
/// Looks at the rings between two looks at the clock and the descriptors,
/// when only spinning.
const SPIN_ROUND: u32 = 4096;

/// What ended the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// There are packets.
    Ready,
    /// Someone wrote to the wake descriptor.
    Called,
    /// The time is over.
    TimedOut,
}

/// The state of one worker's waiting.
#[derive(Debug)]
pub(crate) struct Waiter {
    policy: Wait,
    /// The sockets, and the wake descriptor in the last place.
    fds: Vec<libc::pollfd>,
    /// The last wait was in vain: do not nap before the next.
    idle: bool,
    pub(crate) syscalls: u64,
}

impl Waiter {
    /// A waiter on `sockets`, which stay open for as long as it is used.
    pub(crate) fn new<'a>(policy: Wait, sockets: impl Iterator<Item = BorrowedFd<'a>>) -> Self {
        let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut fds: Vec<_> = sockets.map(|socket| entry(socket.as_raw_fd())).collect();
        fds.push(entry(-1));
        Self { policy, fds, idle: false, syscalls: 0 }
    }

    /// Waits until `ready`, which looks at the rings, `wake` is readable, or
    /// `timeout` is over.
    pub(crate) fn wait(
        &mut self,
        wake: BorrowedFd<'_>,
        timeout: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> io::Result<Woken> {
        if let Some(entry) = self.fds.last_mut() {
            entry.fd = wake.as_raw_fd();
        }
        if ready() {
            self.idle = false;
            return Ok(Woken::Ready);
        }
        let woken = match self.policy {
            Wait::Spin => self.spin(timeout, ready)?,
            Wait::Sleep => self.sleep(timeout)?,
            Wait::Adaptive if self.idle => self.sleep(timeout)?,
            Wait::Adaptive => {
                let start = Instant::now();
                self.syscalls += 1;
                std::thread::sleep(NAP.min(timeout));
                if ready() {
                    return Ok(Woken::Ready);
                }
                self.sleep(timeout.saturating_sub(start.elapsed()))?
            }
        };
        self.idle = woken != Woken::Ready;
        Ok(woken)
    }

    fn spin(&mut self, timeout: Duration, mut ready: impl FnMut() -> bool) -> io::Result<Woken> {
        let end = Instant::now() + timeout;
        loop {
            let looks = |_| {
                std::hint::spin_loop();
                ready()
            };
            if (0..SPIN_ROUND).any(looks) {
                return Ok(Woken::Ready);
            }
            let woken = self.sleep(Duration::ZERO)?;
            if woken != Woken::TimedOut || Instant::now() >= end {
                return Ok(woken);
            }
        }
    }

    fn sleep(&mut self, timeout: Duration) -> io::Result<Woken> {
        self.syscalls += 1;
        match sys::poll_list(&mut self.fds, timeout) {
            Ok(true) => {}
            Ok(false) => return Ok(Woken::TimedOut),
            // A signal: whoever sent it wants us to look around.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Woken::Called),
            Err(error) => return Err(error),
        }
        let Some((wake, sockets)) = self.fds.split_last() else { return Ok(Woken::TimedOut) };
        Ok(if sockets.iter().any(|socket| socket.revents & libc::POLLIN != 0) {
            Woken::Ready
        } else if wake.revents != 0 {
            Woken::Called
        } else {
            Woken::TimedOut
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::fd::AsFd, os::unix::net::UnixStream};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const POLICIES: [Wait; 3] = [Wait::Adaptive, Wait::Spin, Wait::Sleep];

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no ppoll on sockets")]
    fn every_policy_ends_by_time_call_and_packets() {
        for policy in POLICIES {
            let (wake, mut waker) = UnixStream::pair().expect("pair");
            let (socket, mut peer) = UnixStream::pair().expect("pair");
            let mut waiter = Waiter::new(policy, [socket.as_fd()].into_iter());
            let start = Instant::now();
            let nap = Duration::from_millis(20);
            assert_eq!(waiter.wait(wake.as_fd(), nap, || false).expect("wait"), Woken::TimedOut);
            assert!(start.elapsed() >= nap, "{policy:?}");
            waker.write_all(&[1]).expect("write");
            assert_eq!(waiter.wait(wake.as_fd(), LONG, || false).expect("wait"), Woken::Called);
            peer.write_all(&[1]).expect("write");
            assert_eq!(waiter.wait(wake.as_fd(), LONG, || false).expect("wait"), Woken::Ready);
            assert_eq!(waiter.wait(wake.as_fd(), LONG, || true).expect("wait"), Woken::Ready);
        }
    }
}
