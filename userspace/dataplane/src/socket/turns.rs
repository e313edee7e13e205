//! Which socket is next: a busy one must not starve the others.

use std::{
    collections::VecDeque,
    io, mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use crate::sys;

/// Sockets that epoll names at once.
const EVENTS: usize = 64;
/// After epoll has named the readable sockets, each gets this many turns on
/// average before it is asked again: one more system call for four batches
/// when a single socket is busy, and no socket waits for more than four
/// batches of each of the others.
const TURNS_PER_SOCKET: usize = 4;

/// The order in which the sockets of a worker are read. One socket alone
/// needs no epoll: it is always next.
pub(super) struct Turns {
    epoll: Option<OwnedFd>,
    events: Vec<libc::epoll_event>,
    ready: VecDeque<usize>,
    left: usize,
}

impl Turns {
    /// The order of these sockets; `next` and `may_have_more` name them by
    /// their position.
    pub(super) fn new<'a>(
        sockets: impl ExactSizeIterator<Item = BorrowedFd<'a>>,
    ) -> io::Result<Self> {
        let mut turns = Self { epoll: None, events: Vec::new(), ready: VecDeque::new(), left: 0 };
        if sockets.len() < 2 {
            return Ok(turns);
        }
        // SAFETY: no pointers.
        let fd = sys::check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the kernel just gave us this descriptor.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        for (index, socket) in sockets.enumerate() {
            let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: index as u64 };
            // SAFETY: both descriptors are open, `event` is valid.
            sys::check(unsafe {
                libc::epoll_ctl(
                    epoll.as_raw_fd(),
                    libc::EPOLL_CTL_ADD,
                    socket.as_raw_fd(),
                    &mut event,
                )
            })?;
        }
        turns.epoll = Some(epoll);
        // SAFETY: all-zero is a valid event: two integers.
        turns.events = vec![unsafe { mem::zeroed() }; EVENTS];
        turns.ready.reserve(EVENTS);
        Ok(turns)
    }

    /// What is readable when one of the sockets is; `None` with fewer than two.
    pub(super) fn epoll(&self) -> Option<BorrowedFd<'_>> {
        self.epoll.as_ref().map(|epoll| epoll.as_fd())
    }

    /// Whether a socket is known to be next, without asking.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The socket to read now; `None` when none is readable. Adds its system
    /// calls to `syscalls`.
    pub(super) fn next(&mut self, sockets: usize, syscalls: &mut u64) -> io::Result<Option<usize>> {
        let Some(epoll) = &self.epoll else { return Ok((sockets > 0).then_some(0)) };
        if self.left == 0 || self.ready.is_empty() {
            // What is still listed stays readable, and epoll names it again,
            // after those it has not named: it keeps its own list in turn.
            self.ready.clear();
            *syscalls += 1;
            // SAFETY: `events` has the length passed.
            let found = sys::check(unsafe {
                libc::epoll_wait(
                    epoll.as_raw_fd(),
                    self.events.as_mut_ptr(),
                    self.events.len() as i32,
                    0,
                )
            });
            let found = match found {
                Ok(n) => n as usize,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                Err(error) => return Err(error),
            };
            self.ready.extend(self.events[..found].iter().map(|event| event.u64 as usize));
            self.left = found * TURNS_PER_SOCKET;
        }
        self.left = self.left.saturating_sub(1);
        Ok(self.ready.pop_front())
    }

    /// Says that the socket was not emptied: it gets another turn, after all
    /// that are waiting for one.
    pub(super) fn may_have_more(&mut self, index: usize) {
        if self.epoll.is_some() {
            self.ready.push_back(index);
        }
    }
}
