//! Sending: an event is cut into datagrams, which leave in few system calls.
//!
//! ```text
//!  event ──plan──▶ (offset, len) … ──fill──▶ arena: header ‖ fragment ──sendmmsg──▶ flow k
//!                                            ≤ 1024 at a time, again from where the kernel stopped
//! ```
//!
//! All fragments of an event carry the same entropy and tick and leave
//! through one socket; the next event takes the next socket.
//!
//! | module | holds |
//! |---|---|
//! | [`plan`] | how an event is cut |
//! | `arena` | headers and message descriptors, reused for ever |
//! | `flows` | the sockets |
//! | `open` | checks, MTU, and the reasons when it cannot be |

mod arena;
mod flows;
mod open;
pub mod plan;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use xdpsar_wire::{LbHeader, LbVersion};

use self::{
    arena::{Arena, EventHeader, Filled},
    flows::Flow,
    plan::Plan,
};
use crate::{error::SetupError, host, sys, sys::RawAddress};

/// Where to send, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendConfig {
    /// Destination: the load balancer, or a worker's first port.
    pub to: SocketAddr,
    /// Destination ports, a power of two. With more than one, an event goes
    /// to port `to + (entropy & (ports − 1))`: what a load balancer would do.
    pub ports: u16,
    /// Sockets, and so source ports.
    pub sockets: usize,
    /// Largest IP datagram in bytes. `None`, or 0, asks the route, and takes
    /// 9000 at most.
    pub mtu: Option<u32>,
    /// Send buffer of each socket in bytes, as far as the system allows.
    pub send_buffer: usize,
    /// Version of the LB header. `None` sends the RE header only, as it
    /// arrives behind a load balancer.
    pub lb: Option<LbVersion>,
}

impl SendConfig {
    /// To one port, through four sockets with 3 MiB of buffer each, at the
    /// route's MTU, with LB header version 2: what E2SAR does by default.
    pub const fn new(to: SocketAddr) -> Self {
        Self { to, ports: 1, sockets: 4, mtu: None, send_buffer: 3 << 20, lb: Some(LbVersion::V2) }
    }
}

/// What an event's headers say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutgoingEvent {
    /// RE header: the event's number.
    pub event_number: u64,
    /// RE header: the source within the event.
    pub data_id: u16,
    /// LB header: its low bits choose the worker's port.
    pub entropy: u16,
    /// LB header: chooses the worker. Microseconds since the epoch where a
    /// control plane is in use.
    pub tick: u64,
}

/// Why an event did not go out, or not whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Longer than the 32 bits that the RE header has for it. Nothing was
    /// sent.
    #[error("event has {length} bytes; an RE header can say 4294967295 at most: split the event")]
    TooLong {
        /// Bytes of the event.
        length: usize,
    },
    /// The path takes shorter datagrams than were chosen when it was opened.
    #[error(
        "sending datagrams of {mtu} bytes: the route to {to} now takes {found} at most; \
         open a new sender, or one with that MTU"
    )]
    Mtu {
        /// Where to.
        to: SocketAddr,
        /// The MTU in use.
        mtu: u32,
        /// The route's MTU now.
        found: u32,
    },
    /// For five seconds the system has not taken a single datagram.
    #[error("sending to {to}: the interface has taken nothing for {waited:?} ({source})")]
    Stalled {
        /// Where to.
        to: SocketAddr,
        /// How long.
        waited: Duration,
        /// What the system says each time.
        #[source]
        source: io::Error,
    },
    /// Anything else that the system refused, after `sent` fragments.
    #[error("sending to {to} failed after {sent} of {fragments} fragments: {source}")]
    System {
        /// Where to.
        to: SocketAddr,
        /// Fragments that went out.
        sent: usize,
        /// Fragments of the event.
        fragments: usize,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

/// What a sender has done. All counts are totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendCounters {
    /// Events of which every fragment was handed to the kernel.
    pub events: u64,
    /// Events that [`MmsgSender::send`] returned an error for.
    pub failed: u64,
    /// Fragments handed to the kernel.
    pub fragments: u64,
    /// Event bytes in them.
    pub bytes: u64,
    /// Tries again because the send buffer was full (`EAGAIN`).
    pub retried_full: u64,
    /// Tries again because the interface's queue or memory was
    /// (`ENOBUFS`, `ENOMEM`).
    pub retried_no_buffers: u64,
    /// Tries again because the other side had answered an earlier datagram
    /// with "port unreachable" (`ECONNREFUSED`): nobody listens there.
    pub refused: u64,
    /// System calls made.
    pub syscalls: u64,
}

/// Decides when datagrams may leave.
pub trait Pace {
    /// IP bytes that may leave in one go; a datagram always may.
    fn at_once(&self) -> u64;

    /// Waits until `ip_bytes` more may leave.
    fn wait_for(&mut self, ip_bytes: u64);
}

/// As fast as the kernel takes them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unpaced;

impl Pace for Unpaced {
    fn at_once(&self) -> u64 {
        u64::MAX
    }

    fn wait_for(&mut self, _ip_bytes: u64) {}
}

/// How long a sender tries without any progress.
const PATIENCE: Duration = Duration::from_secs(5);
/// One sleep until the send buffer has room, or the interface's queue has.
const ROOM: Duration = Duration::from_millis(100);
const QUEUE: Duration = Duration::from_micros(100);
/// From this many fragments on it pays to connect a socket to the event's
/// port: one call more, but the kernel looks up the route once.
const WORTH_CONNECTING: usize = 8;

/// Sends events by `sendmmsg`.
pub struct MmsgSender {
    to: SocketAddr,
    port_mask: u16,
    flows: Vec<Flow>,
    next_flow: usize,
    arena: Arena,
    lb: Option<LbVersion>,
    mtu: u32,
    max_payload: usize,
    overhead: u64,
    send_buffer: usize,
    counters: SendCounters,
}

impl MmsgSender {
    /// Opens the sockets.
    ///
    /// # Errors
    /// [`SetupError`]: no route, an MTU that the route does not take or that
    /// leaves no room for a byte of the event, values that cannot be meant.
    pub fn open(config: &SendConfig) -> Result<Self, SetupError> {
        open::open(config)
    }

    /// Event bytes in one datagram.
    pub fn max_payload(&self) -> usize {
        self.max_payload
    }

    /// Largest IP datagram in bytes.
    pub fn mtu(&self) -> u32 {
        self.mtu
    }

    /// The smallest send buffer that the system granted, in bytes.
    pub fn send_buffer(&self) -> usize {
        self.send_buffer
    }

    /// What was done up to now.
    pub fn counters(&self) -> SendCounters {
        self.counters
    }

    /// Sends one event, and returns when the kernel has taken every fragment.
    /// An event without bytes is one datagram of headers.
    ///
    /// # Errors
    /// [`SendError`]; some fragments may have gone out.
    pub fn send(&mut self, event: &OutgoingEvent, payload: &[u8]) -> Result<(), SendError> {
        self.send_paced(event, payload, &mut Unpaced)
    }

    /// As [`MmsgSender::send`], no faster than `pace` allows.
    ///
    /// # Errors
    /// As [`MmsgSender::send`].
    pub fn send_paced(
        &mut self,
        event: &OutgoingEvent,
        payload: &[u8],
        pace: &mut impl Pace,
    ) -> Result<(), SendError> {
        let result = self.send_fragments(event, payload, pace);
        match result {
            Ok(()) => self.counters.events += 1,
            Err(_) => self.counters.failed += 1,
        }
        result
    }

    fn send_fragments(
        &mut self,
        event: &OutgoingEvent,
        payload: &[u8],
        pace: &mut impl Pace,
    ) -> Result<(), SendError> {
        let Ok(length) = u32::try_from(payload.len()) else {
            return Err(SendError::TooLong { length: payload.len() });
        };
        let header = EventHeader {
            lb: self.lb.map(|version| LbHeader::new(version, event.entropy, event.tick)),
            data_id: event.data_id,
            length,
            event_number: event.event_number,
        };
        let mut plan = Plan::new(length, self.max_payload);
        let mut way = Way { to: self.to, mtu: self.mtu, sent: 0, fragments: plan.fragments() };
        // `open` made sure that no port of the range is past 65535.
        way.to.set_port(self.to.port() + (event.entropy & self.port_mask));

        self.next_flow = (self.next_flow + 1) % self.flows.len();
        let flow = &mut self.flows[self.next_flow];
        let mut named = None;
        if !flow.leads_to(way.to.port()) {
            if way.fragments < WORTH_CONNECTING {
                named = Some(RawAddress::new(&way.to));
            } else {
                self.counters.syscalls += 1;
                flow.turn_to(way.to.port()).map_err(|source| way.failed(source))?;
            }
        }
        let datagram = (self.max_payload as u64) + self.overhead;
        while way.sent < way.fragments {
            let at_once = (pace.at_once() / datagram).max(1).min(arena::MESSAGES as u64) as usize;
            let run = plan.by_ref().take(at_once);
            let run = self.arena.fill(&header, payload, run, named.as_mut());
            pace.wait_for(run.payload(0, run.len()) + run.len() as u64 * self.overhead);
            send_run(run, flow, &mut way, &mut self.counters)?;
        }
        Ok(())
    }
}

/// Where an event goes, and how far it has got.
struct Way {
    to: SocketAddr,
    mtu: u32,
    sent: usize,
    fragments: usize,
}

impl Way {
    fn failed(&self, source: io::Error) -> SendError {
        SendError::System { to: self.to, sent: self.sent, fragments: self.fragments, source }
    }
}

/// Sends all of `run`, in as many calls as it takes.
fn send_run(
    mut run: Filled<'_>,
    flow: &Flow,
    way: &mut Way,
    counters: &mut SendCounters,
) -> Result<(), SendError> {
    let mut done = 0;
    let mut waiting_since: Option<Instant> = None;
    while done < run.len() {
        counters.syscalls += 1;
        let source = match run.send(flow.socket(), done) {
            Ok(sent) => {
                counters.fragments += sent as u64;
                counters.bytes += run.payload(done, done + sent);
                done += sent;
                way.sent += sent;
                waiting_since = None;
                continue;
            }
            Err(source) => source,
        };
        let waited = waiting_since.get_or_insert_with(Instant::now).elapsed();
        let passes = match source.raw_os_error() {
            Some(libc::EAGAIN) => {
                counters.retried_full += 1;
                counters.syscalls += 1;
                sys::poll([(flow.socket(), libc::POLLOUT)], ROOM).is_ok()
            }
            // Such a queue cannot be polled.
            Some(libc::ENOBUFS | libc::ENOMEM) => {
                counters.retried_no_buffers += 1;
                std::thread::sleep(QUEUE);
                true
            }
            // The answer to an earlier datagram; this one was not sent. The
            // kernel forgets it once told.
            Some(libc::ECONNREFUSED) => {
                counters.refused += 1;
                true
            }
            Some(libc::EINTR) => true,
            Some(libc::EMSGSIZE) => {
                let found = host::route_to(&way.to).map_or(0, |route| route.mtu);
                return Err(SendError::Mtu { to: way.to, mtu: way.mtu, found });
            }
            _ => false,
        };
        if !passes {
            return Err(way.failed(source));
        }
        if waited > PATIENCE {
            return Err(SendError::Stalled { to: way.to, waited, source });
        }
    }
    Ok(())
}

impl std::fmt::Debug for MmsgSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MmsgSender")
            .field("to", &self.to)
            .field("mtu", &self.mtu)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
