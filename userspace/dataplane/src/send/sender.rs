//! One thread's way out.

use std::{
    net::{IpAddr, SocketAddr},
    thread,
    time::{Duration, Instant},
};

use xdpsar_wire::{LbHeader, LbVersion};

use super::{
    KernelPacing, OutgoingEvent, Pace, Payload, SendBackend, SendConfig, SendCounters, SendError,
    Unpaced,
    afxdp::{Leaving, Transmitter},
    arena::{self, Arena, EventHeader},
    flows::Flow,
    lost, open,
    plan::Plan,
    run::{Stop, Way, send_run},
};
use crate::{
    error::SetupError,
    sys::{self, RawAddress},
};

/// From this many fragments on it pays to connect a socket to the event's
/// port: one call more, but the kernel looks up the route once.
const WORTH_CONNECTING: usize = 8;

/// Sends events, one at a time, for one thread.
pub struct Sender {
    pub(super) to: SocketAddr,
    pub(super) source: Option<IpAddr>,
    pub(super) interface: Option<String>,
    pub(super) port_mask: u16,
    pub(super) flows: Vec<Flow>,
    pub(super) next_flow: usize,
    pub(super) arena: Arena,
    /// Takes the sockets' place.
    pub(super) xdp: Option<Box<Transmitter>>,
    pub(super) lb: Option<LbVersion>,
    pub(super) mtu: u32,
    pub(super) max_payload: usize,
    pub(super) overhead: u64,
    pub(super) send_buffer: usize,
    pub(super) patience: Duration,
    pub(super) backend: SendBackend,
    pub(super) reason: String,
    pub(super) kernel_pacing: Option<KernelPacing>,
    pub(super) counters: SendCounters,
}

impl Sender {
    /// Opens the sockets, and chooses a backend where that was left open.
    ///
    /// # Errors
    /// [`SetupError`]: no route, an MTU that the route does not take or that
    /// leaves no room for a byte of the event, a backend that this system has
    /// not, values that cannot be meant.
    pub fn open(config: &SendConfig) -> Result<Self, SetupError> {
        open::open(config)
    }

    /// The backend in use; never `Auto`. Segmentation that turns out to be
    /// refused on the way is given up for `Mmsg`.
    pub const fn backend(&self) -> SendBackend {
        self.backend
    }

    /// Why it is that backend.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether the kernel keeps the rate that was asked for; `None` where none
    /// was.
    pub const fn kernel_pacing(&self) -> Option<&KernelPacing> {
        self.kernel_pacing.as_ref()
    }

    /// The interface that datagrams leave through, as it was on opening;
    /// `None` where the system does not say.
    pub fn interface(&self) -> Option<&str> {
        self.interface.as_deref()
    }

    /// Event bytes in one datagram.
    pub const fn max_payload(&self) -> usize {
        self.max_payload
    }

    /// Largest IP datagram in bytes.
    pub const fn mtu(&self) -> u32 {
        self.mtu
    }

    /// The smallest send buffer that the system granted, in bytes.
    pub const fn send_buffer(&self) -> usize {
        self.send_buffer
    }

    /// What was done up to now.
    pub const fn counters(&self) -> SendCounters {
        self.counters
    }

    /// Sends one event, and returns when the kernel has taken every fragment.
    /// An event without bytes is one datagram of headers.
    ///
    /// # Errors
    /// [`SendError`]; some fragments may have gone out.
    pub fn send(&mut self, event: &OutgoingEvent, payload: Payload<'_>) -> Result<(), SendError> {
        self.send_paced(event, payload, &mut Unpaced)
    }

    /// As [`Sender::send`], no faster than `pace` allows.
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub fn send_paced(
        &mut self,
        event: &OutgoingEvent,
        payload: Payload<'_>,
        pace: &mut impl Pace,
    ) -> Result<(), SendError> {
        let Ok(length) = u32::try_from(payload.len()) else {
            self.counters.failed += 1;
            return Err(SendError::TooLong { length: payload.len() });
        };
        let plan = Plan::new(length, self.max_payload);
        let mut way = Way {
            to: self.to,
            source: self.source,
            mtu: self.mtu,
            sent: 0,
            fragments: plan.fragments(),
            patience: self.patience,
        };
        // `open` made sure that no port of the range is past 65535.
        way.to.set_port(self.to.port() + (event.entropy & self.port_mask));
        let header = EventHeader {
            lb: self.lb.map(|version| LbHeader::new(version, event.entropy, event.tick)),
            data_id: event.data_id,
            length,
            event_number: event.event_number,
        };
        let result = self
            .send_fragments(&header, payload, plan, &mut way, pace)
            .map_err(|error| self.explain(error));
        match result {
            Ok(()) => self.counters.events += 1,
            Err(_) => {
                self.counters.failed += 1;
                self.counters.fragments_failed += (way.fragments - way.sent) as u64;
            }
        }
        result
    }

    /// Waits, `limit` at most, until what was sent has left: the queues of
    /// this host hold none of it any more. Returns whether that is so.
    /// Nothing is lost where it is not, unless by AF_XDP with zero-copy when
    /// this is dropped, which waits for a second on its own.
    pub fn settle(&mut self, limit: Duration) -> bool {
        if let Some(xdp) = &mut self.xdp {
            return xdp.settle(limit) == 0;
        }
        let end = Instant::now() + limit;
        loop {
            let has_left = |flow: &Flow| matches!(sys::unsent(flow.socket()), Ok(0));
            if self.flows.iter().all(has_left) {
                return true;
            }
            if Instant::now() >= end {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn send_fragments(
        &mut self,
        header: &EventHeader,
        payload: Payload<'_>,
        mut plan: Plan,
        way: &mut Way,
        pace: &mut impl Pace,
    ) -> Result<(), SendError> {
        self.next_flow = (self.next_flow + 1) % self.flows.len();
        if let Some(xdp) = &mut self.xdp {
            let bytes = payload.cursor();
            let (flows, flow) = (&self.flows[..], self.next_flow);
            let event = Leaving { header, bytes, plan, flows, flow };
            return xdp.send_fragments(event, way, pace, &mut self.counters);
        }
        let flow = &mut self.flows[self.next_flow];
        let mut named = None;
        if !flow.leads_to(way.to) {
            if !flow.is_connected() || way.fragments < WORTH_CONNECTING {
                named = Some(RawAddress::new(&way.to));
            } else {
                self.counters.syscalls += 1;
                flow.turn_to(way.to).map_err(|source| way.failed(source))?;
            }
        }
        let datagram = self.max_payload as u64 + self.overhead;
        let mut cursor = payload.cursor();
        while way.sent < way.fragments {
            let at_once = (pace.at_once() / datagram).clamp(1, arena::MESSAGES as u64) as usize;
            let run = self.arena.fill(header, &mut cursor, &mut plan, at_once, named.as_mut());
            let load = run.load(0, run.messages());
            pace.wait_for(load.bytes + load.fragments as u64 * self.overhead);
            if pace.gives_up() {
                return Err(way.given_up());
            }
            match send_run(run, flow, way, &mut self.counters, pace) {
                Ok(()) => {}
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::NoSegmentation(error)) => {
                    let source = flow.source();
                    if lost::what(self.interface.as_deref(), source, &way.to).is_some() {
                        return Err(way.failed(error));
                    }
                    self.reason =
                        format!("the way to {} took no segmented message ({error})", self.to);
                    tracing::warn!("{}: sending each fragment as a message", self.reason);
                    self.backend = SendBackend::Mmsg;
                    self.arena.stop_segmenting();
                    cursor = payload.cursor();
                    cursor.skip(plan.go_to(way.sent));
                }
            }
        }
        Ok(())
    }

    /// Says what is missing where the system found no way.
    fn explain(&self, error: SendError) -> SendError {
        match error {
            SendError::System { to, sent, fragments, source } if lost::may_be(&source) => {
                let from = self.flows[self.next_flow].source();
                match lost::what(self.interface(), from, &to) {
                    Some(lost) => SendError::WayLost { to, sent, fragments, lost, source },
                    None => SendError::System { to, sent, fragments, source },
                }
            }
            other => other,
        }
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender")
            .field("to", &self.to)
            .field("backend", &self.backend)
            .field("mtu", &self.mtu)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
