//! From sockets: `data-plane.md` §4.4, a receiver of one thread.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    os::fd::{AsFd, AsRawFd},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::{
        select::{FdSet, select},
        socket::{setsockopt, sockopt},
        time::{TimeVal, TimeValLike},
    },
};
use rustix::net::{RecvFlags, recv};
use xdpsar_wire::lb::LB_HEADER_LEN;

use super::{Collector, State, Table, receive_buffer};

/// As everybody's in the same run.
const SOCKET_BUFFER: usize = 32 << 20;
/// What `select` waits for a datagram.
const SELECT_MS: i64 = 10;
/// From its first fragment on: an event's time.
const EVENT_TIMEOUT: Duration = Duration::from_millis(500);
/// After a stop, sockets that never run dry are left at this point.
const DRAIN_DEADLINE: Duration = Duration::from_secs(2);

/// What becomes of the time that `select` is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// As specified: Linux subtracts what was waited, nobody puts it back.
    /// After 10 ms without datagrams, in all, the thread never sleeps again
    /// (W57).
    UsedUp,
    /// Put back before each wait, as it was meant.
    Renewed,
}

/// An event that was received.
pub type Event = Arc<Mutex<State>>;

/// The incumbent's receiver.
#[derive(Debug)]
pub struct Receiver {
    sockets: Vec<UdpSocket>,
    table: Table<Mutex<State>>,
    timeout: Timeout,
    calls: AtomicU64,
}

impl Receiver {
    /// Opens a socket on each address.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(addresses: &[SocketAddr], timeout: Timeout) -> io::Result<Self> {
        let open = |address| {
            let socket = UdpSocket::bind(address)?;
            setsockopt(&socket, sockopt::RcvBufForce, &SOCKET_BUFFER)?;
            Ok(socket)
        };
        let sockets = addresses.iter().map(open).collect::<io::Result<_>>()?;
        Ok(Self { sockets, table: Table::default(), timeout, calls: AtomicU64::new(0) })
    }

    /// Its events and totals.
    pub fn table(&self) -> &Table<Mutex<State>> {
        &self.table
    }

    /// System calls made to receive.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Receives on this thread until `stop` is set and the sockets are empty.
    /// Then there will be no more events.
    ///
    /// # Errors
    /// The kernel's.
    pub fn run(&self, stop: &AtomicBool) -> io::Result<()> {
        let started = Instant::now();
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            let collector = scope.spawn(|| self.collect(started, &ended));
            let received = self.receive(started, stop);
            ended.store(true, Ordering::Release);
            collector.thread().unpark();
            self.table.queue.close();
            received
        })
    }

    fn receive(&self, started: Instant, stop: &AtomicBool) -> io::Result<()> {
        let highest = self.sockets.iter().map(AsRawFd::as_raw_fd).max().unwrap_or(-1);
        let mut patience = TimeVal::milliseconds(SELECT_MS);
        let mut calls = 0;
        let mut leave_at = None;
        loop {
            if self.timeout == Timeout::Renewed {
                patience = TimeVal::milliseconds(SELECT_MS);
            }
            let mut ready = FdSet::new();
            self.sockets.iter().for_each(|socket| ready.insert(socket.as_fd()));
            let found = select(highest + 1, &mut ready, None, None, &mut patience);
            calls += 1;
            let found = match found {
                Err(Errno::EINTR) => continue,
                found => found?,
            };
            for socket in self.sockets.iter().filter(|socket| ready.contains(socket.as_fd())) {
                let mut buffer = receive_buffer();
                calls += 1;
                match recv(socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                    Ok(((datagram, _), _)) => {
                        let now_ns = || started.elapsed().as_nanos() as u64;
                        self.table.take_in(datagram, LB_HEADER_LEN, now_ns);
                    }
                    Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            self.calls.store(calls, Ordering::Relaxed);
            if stop.load(Ordering::Relaxed) {
                let now = Instant::now();
                if found == 0 || now >= *leave_at.get_or_insert(now + DRAIN_DEADLINE) {
                    return Ok(());
                }
            }
        }
    }

    /// The collector's thread.
    fn collect(&self, started: Instant, ended: &AtomicBool) {
        let mut collector = Collector::default();
        while !ended.load(Ordering::Acquire) {
            thread::park_timeout(EVENT_TIMEOUT);
            let oldest = started.elapsed().saturating_sub(EVENT_TIMEOUT);
            collector.scan(&self.table, oldest.as_nanos() as u64);
        }
    }
}
