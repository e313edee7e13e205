//! Who competes, and how it waits.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::Context;
use xdpsar::{Backend, Overflow, Reassembler, RecvTimeoutError, Wait};
use xdpsar_bench::incumbent::{self, Guard, Timeout};

use crate::clock::{Clock, STAMP};

/// A lost event is waited for no longer.
const PATIENCE: Duration = Duration::from_millis(100);

/// Names of receivers.
pub(crate) const XDP: &str = "xdp";
pub(crate) const SOCKET: &str = "socket";
pub(crate) const INCUMBENT: &str = "incumbent";

/// Where the consumer runs. The worker is on core 1, the sender on core 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consumer {
    /// On the worker's core.
    Shared,
    /// It is the sender's thread, once it has sent an event: nobody shares a
    /// core, and there is one event at a time.
    Apart,
}

/// A receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contestant {
    Ours { backend: Backend, worker: Wait, consumer: Wait, at: Consumer },
    Incumbent(Timeout),
}

impl Contestant {
    /// In the order of the table.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for backend in [Backend::Xdp, Backend::Socket] {
            let ours = |worker, consumer, at| Self::Ours { backend, worker, consumer, at };
            all.extend([
                ours(Wait::Spin, Wait::Spin, Consumer::Apart),
                ours(Wait::Spin, Wait::Spin, Consumer::Shared),
                ours(Wait::Spin, Wait::Sleep, Consumer::Shared),
                ours(Wait::Adaptive, Wait::Adaptive, Consumer::Shared),
                ours(Wait::Sleep, Wait::Sleep, Consumer::Shared),
            ]);
        }
        all.extend([Timeout::Renewed, Timeout::UsedUp].map(Self::Incumbent));
        all
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours { backend: Backend::Xdp, .. } => XDP,
            Self::Ours { .. } => SOCKET,
            Self::Incumbent(_) => INCUMBENT,
        }
    }

    /// How worker and consumer wait.
    pub(crate) const fn waits(self) -> [&'static str; 2] {
        const fn name(wait: Wait) -> &'static str {
            match wait {
                Wait::Adaptive => "adaptive",
                Wait::Spin => "spin",
                Wait::Sleep => "sleep",
            }
        }
        match self {
            Self::Ours { worker, consumer, .. } => [name(worker), name(consumer)],
            Self::Incumbent(Timeout::Renewed) => ["select", "10 ms slices"],
            Self::Incumbent(Timeout::UsedUp) => ["select, used up", "10 ms slices"],
        }
    }

    pub(crate) const fn consumer(self) -> Consumer {
        match self {
            Self::Ours { at, .. } => at,
            Self::Incumbent(_) => Consumer::Shared,
        }
    }

    /// Opens it on this thread's core and in its network namespace.
    pub(crate) fn open(self, listen: SocketAddr) -> anyhow::Result<Receiver> {
        match self {
            Self::Ours { backend, worker, consumer, .. } => {
                let builder = Reassembler::builder(listen)
                    .backend(backend)
                    .overflow(Overflow::Block)
                    .wait(worker)
                    .consumer_wait(consumer);
                Ok(Receiver::Ours(Box::new(builder.start()?)))
            }
            Self::Incumbent(timeout) => Ok(Receiver::Incumbent {
                receiver: Box::new(incumbent::Receiver::open(&[listen], timeout)?),
                stop: AtomicBool::new(false),
            }),
        }
    }
}

/// One that is open.
pub(crate) enum Receiver {
    Ours(Box<Reassembler>),
    Incumbent { receiver: Box<incumbent::Receiver>, stop: AtomicBool },
}

impl Receiver {
    /// Its work, if it has not started that on threads of its own.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Ours(_) => Ok(()),
            Self::Incumbent { receiver, stop } => Ok(receiver.run(stop)?),
        }
    }

    /// Waits for an event; how long ago it was whole on the wire, in
    /// nanoseconds. `None` when there are no more.
    pub(crate) fn take(&self, clock: Clock) -> Option<anyhow::Result<u64>> {
        match self {
            Self::Ours(receiver) => {
                let event = receiver.recv()?;
                let now = clock.now_ns();
                Some(since(now, &event))
            }
            Self::Incumbent { receiver, .. } => {
                let event = receiver.table().queue.take()?;
                let now = clock.now_ns();
                Some(event.with(|state| since(now, state.in_order())))
            }
        }
    }

    /// As [`Self::take`], for one that is about to come: `None` if it does not.
    pub(crate) fn take_soon(&self, clock: Clock) -> Option<anyhow::Result<u64>> {
        let Self::Ours(receiver) = self else { return self.take(clock) };
        match receiver.recv_timeout(PATIENCE) {
            Ok(event) => {
                let now = clock.now_ns();
                Some(since(now, &event))
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Has it end, once it has taken in what has come.
    pub(crate) fn stop(&self) {
        match self {
            Self::Ours(receiver) => receiver.stop(),
            Self::Incumbent { stop, .. } => stop.store(true, Ordering::Relaxed),
        }
    }
}

fn since(now: u64, event: &[u8]) -> anyhow::Result<u64> {
    let stamp = event.last_chunk::<STAMP>().context("an event without a clock")?;
    now.checked_sub(u64::from_ne_bytes(*stamp)).context("an event from the future")
}
