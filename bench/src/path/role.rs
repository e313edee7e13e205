//! What a contestant is, on either side of the cable.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use xdpsar_bench::reading;
use xdpsar_wire::datagram::LB_RE_HEADER_LEN;

/// Addresses of the two hosts of a lab.
pub(crate) const SENDER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
pub(crate) const RECEIVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// The receiver's port.
pub(crate) const PORT: u16 = 19522;
/// Where every datagram goes.
pub(crate) const TO: SocketAddr = SocketAddr::V4(SocketAddrV4::new(RECEIVER, PORT));

/// IPv4 and UDP header.
pub(crate) const IP_UDP: usize = 28;

/// Totals since a contestant was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// UDP datagrams.
    pub(crate) datagrams: u64,
    /// Bytes of events in them: headers are not counted.
    pub(crate) bytes: u64,
    /// Whole events; 0 of a contestant that knows none.
    pub(crate) events: u64,
    /// System calls.
    pub(crate) syscalls: u64,
}

/// Counts that one thread keeps and another one reads.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    datagrams: AtomicU64,
    bytes: AtomicU64,
    events: AtomicU64,
    syscalls: AtomicU64,
}

impl Tally {
    /// Keeps new totals. For one thread only.
    pub(crate) fn set(&self, counts: Counts) {
        let Counts { datagrams, bytes, events, syscalls } = counts;
        let pairs = [
            (&self.datagrams, datagrams),
            (&self.bytes, bytes),
            (&self.events, events),
            (&self.syscalls, syscalls),
        ];
        for (place, value) in pairs {
            place.store(value, Ordering::Relaxed);
        }
    }

    /// What was kept last.
    pub(crate) fn get(&self) -> Counts {
        Counts {
            datagrams: self.datagrams.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            events: self.events.load(Ordering::Relaxed),
            syscalls: self.syscalls.load(Ordering::Relaxed),
        }
    }
}

/// Works until the flag is set; a sender ends with an event's end.
pub(crate) type Run = Box<dyn FnOnce(&AtomicBool) -> anyhow::Result<()> + Send>;

/// A contestant that is open: the receiver's ports are bound, the sender is
/// ready to go.
pub(crate) struct Opened {
    /// Its work.
    pub(crate) run: Run,
    /// Asked from another thread; final once `run` has returned.
    pub(crate) counts: Box<dyn Fn() -> Counts + Send>,
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// UDP payload of a full datagram in bytes, both headers included.
    pub(crate) datagram: usize,
    /// Bytes of each event.
    pub(crate) event: usize,
    /// Event bytes in 10⁹ bits per second; `None`: as fast as it goes.
    pub(crate) rate_gbps: Option<f64>,
}

impl Point {
    /// Bytes of an event in a full datagram.
    pub(crate) const fn share(&self) -> usize {
        self.datagram - LB_RE_HEADER_LEN
    }

    /// Datagrams of an event.
    pub(crate) const fn fragments(&self) -> usize {
        self.event.div_ceil(self.share())
    }

    /// MTU of the cable: what most have, where that is enough.
    pub(crate) fn mtu(&self) -> u32 {
        if self.datagram + IP_UDP <= 1500 { 1500 } else { 9000 }
    }

    /// Event bytes in so many datagrams: of all events alike.
    pub(crate) fn bytes_in(&self, datagrams: u64) -> u64 {
        // In 128 bits: 10⁹ datagrams of events of 10⁸ bytes do not fit 64.
        (u128::from(datagrams) * self.event as u128 / self.fragments() as u128) as u64
    }
}

/// What is done with an event before it is dropped.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Consumer {
    /// It is counted.
    Count,
    /// All of its bytes are summed up, as 64-bit words.
    Read,
}

impl Consumer {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Read => "read",
        }
    }

    /// Does it.
    #[inline]
    pub(crate) fn consume(self, event: &[u8]) {
        match self {
            Self::Count => _ = std::hint::black_box(event.len()),
            Self::Read => _ = std::hint::black_box(reading::sum(event)),
        }
    }
}

/// The one of `all` that is called `name`.
///
/// # Errors
/// There is none; which there are, each a `what`.
pub(crate) fn named<'a, T>(
    all: &'a [T],
    name_of: impl Fn(&T) -> &str,
    what: &str,
    name: &str,
) -> anyhow::Result<&'a T> {
    all.iter().find(|one| name_of(one) == name).with_context(|| {
        let names: Vec<_> = all.iter().map(name_of).collect();
        format!("no {what} is called {name:?}; there are {}", names.join(", "))
    })
}

/// The consumer of a receiver of events.
pub(crate) fn needed(consumer: Option<Consumer>) -> anyhow::Result<Consumer> {
    consumer.context("events need a consumer: name one with --consumer")
}
