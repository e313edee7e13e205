//! Sending by AF_XDP: frames of our own making, past the kernel's stack, on a
//! TX queue that no other AF_XDP socket has.
//!
//! ```text
//!  event ──plan──▶ (offset, len) … ──write──▶ frame: Ethernet ‖ IP ‖ UDP ‖ LB ‖ RE ‖ fragment
//!                                               │ post, wake                     ▲ reclaim
//!                                               ▼                                │
//!                                            TX ring ──▶ kernel ──▶ NIC ──▶ completion ring
//! ```
//!
//! The fragment is copied once, and summed on the way. A packet longer than
//! one frame's room takes several (`XDP_PKT_CONTD`). No XDP program is needed,
//! nor touched if there is one. What the kernel does for a socket is done
//! here, by its tables: next hop and its Ethernet address, source address and
//! ports (each is bound by a UDP socket, so that nobody else has it), MTU.
//! Its filters, queueing disciplines and captures do not see these packets.
//!
//! | module | holds |
//! |---|---|
//! | `path` | next hop, interface, Ethernet addresses |
//! | `headers` | all headers, and their checksums |
//! | `outlet` | one queue's frames and rings |
//! | `bind`, `ring` | xsk-rs: memory, socket, rings; what was refused, and why |

mod bind;
mod headers;
#[cfg(all(test, not(loom)))]
mod model;
mod outlet;
mod path;
mod ring;

use std::{
    fmt, io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tracing::info;

use self::{
    bind::{Bound, XskOutlet},
    headers::{ETHERNET_LEN, Ends, Headers},
    outlet::{ROOM, Waiting, frames_for},
    path::Path,
};
use crate::{
    config::XdpTransmitOptions,
    error::{SetupError, SetupErrorKind},
    host,
    random::SplitMix64,
    send::{Flow, Leaving, Pace, SendConfig, SendCounters, SendError, Way, hear},
    sys,
};

/// Packets that are written before the kernel is woken.
const BATCH: usize = 64;
/// Frames of one packet: a linear part and 16 fragments, one less than
/// `MAX_SKB_FRAGS` (include/linux/skbuff.h).
const MAX_FRAMES: usize = 17;
/// Between two looks at routes, neighbours and errors.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long frames are waited for at the end, so that what the driver still
/// has of an event goes out.
const SETTLE: Duration = Duration::from_secs(1);

/// The longest IP datagram that so many frames hold.
const fn largest_mtu_of(frames: usize) -> usize {
    frames * ROOM - ETHERNET_LEN
}

/// Sends through one TX queue.
pub(crate) struct XdpTransmitter {
    outlet: XskOutlet,
    path: Path,
    ends: Ends,
    /// In the order of the sender's sockets.
    flows: Vec<headers::Flow>,
    per_packet: usize,
    looked: Instant,
    description: String,
    send_buffer: usize,
}

impl XdpTransmitter {
    /// Finds the way, and binds a queue of the interface that it leads
    /// through. `flows` are bound, and connected to the destination.
    ///
    /// # Errors
    /// [`SetupError`]: see the texts.
    pub(crate) fn open(config: &SendConfig, mtu: u32, flows: &[Flow]) -> Result<Self, SetupError> {
        let to = config.to;
        let per_packet = frames_for(mtu as usize + ETHERNET_LEN);
        if per_packet > MAX_FRAMES {
            let most = largest_mtu_of(MAX_FRAMES);
            return Err(SetupError::new(
                SetupErrorKind::Mtu,
                format!("send to {to} through AF_XDP with an MTU of {mtu} bytes"),
                format!("a packet may take {MAX_FRAMES} frames of {ROOM} bytes"),
                format!("choose {most} or less"),
            ));
        }
        let unusable = |error: io::Error| {
            SetupError::new(
                SetupErrorKind::System,
                format!("send to {to} through AF_XDP"),
                format!("the kernel does not tell about route, interface and sockets: {error}"),
                "use backend `gso` or `mmsg`",
            )
            .caused_by(error)
        };
        let source = host::route_from(config.source, &to).map_err(unusable)?.source;
        let path = Path::find(to, source)?;
        let interface = host::interface_by_name(&path.interface)
            .and_then(|found| found.ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV)))
            .map_err(unusable)?;
        let bound = bind::bind(&interface, &config.xdp, per_packet, config.send_buffer)?;
        let Bound { outlet, queue, mode, send_buffer } = bound;
        let mut random = SplitMix64::from_os();
        let (mut dscp, mut hops) = (0, 0);
        let mut named = Vec::with_capacity(flows.len());
        for flow in flows {
            let source_port = sys::local_address(flow.socket()).map_err(unusable)?.port();
            (dscp, hops) = class_of(flow, to).map_err(unusable)?;
            let label = random.below(1 << 20) as u32;
            named.push(headers::Flow { source_port, label });
        }
        let ends = Ends {
            to_mac: path.to_mac,
            from_mac: path.from_mac,
            to: to.ip(),
            from: source,
            dscp,
            hops,
        };
        let description = format!("queue {queue} of {} ({mode})", path.interface);
        info!("sending to {to} through {description}");
        Ok(Self {
            outlet,
            path,
            ends,
            flows: named,
            per_packet,
            looked: Instant::now(),
            description,
            send_buffer,
        })
    }

    /// For people: `queue 3 of eth0 (zero-copy)`.
    pub(crate) fn describe(&self) -> &str {
        &self.description
    }

    /// The send buffer that was granted, in bytes.
    pub(crate) const fn send_buffer(&self) -> usize {
        self.send_buffer
    }

    /// Sends an event, and returns when the kernel has taken it, or the driver
    /// was told of it.
    ///
    /// # Errors
    /// [`SendError`]; `way` says how far it got.
    pub(crate) fn send_fragments(
        &mut self,
        event: Leaving<'_>,
        way: &mut Way,
        pace: &mut impl Pace,
        counters: &mut SendCounters,
    ) -> Result<(), SendError> {
        let Leaving { header, mut bytes, mut plan, flows, flow } = event;
        if self.looked.elapsed() >= LOOK_EVERY {
            self.looked = Instant::now();
            self.look(flows, way, counters)?;
        }
        let headers = Headers::new(&self.ends, &self.flows[flow], way.to.port(), header);
        let overhead = headers.len() - ETHERNET_LEN;
        let datagram = (plan.len(0) + overhead) as u64;
        let mut waiting = Waiting::new(way.patience);
        while way.sent < way.fragments {
            let room = self.outlet.reclaim() / self.per_packet;
            if room == 0 {
                self.advance(way, pace, counters, &mut waiting)?;
                continue;
            }
            let at_once = (pace.at_once() / datagram).clamp(1, BATCH as u64) as usize;
            let (mut fragments, mut load) = (0, 0);
            for (offset, len) in plan.by_ref().take(at_once.min(room)) {
                let written = self.outlet.write(&headers, &mut bytes, offset, len);
                debug_assert!(written, "there was room");
                fragments += 1;
                load += len;
            }
            pace.wait_for((load + fragments * overhead) as u64);
            if pace.gives_up() {
                self.outlet.withdraw();
                return Err(way.given_up());
            }
            while !self.outlet.post() {
                self.advance(way, pace, counters, &mut waiting)?;
            }
            waiting.ends();
            way.sent += fragments;
            counters.fragments += fragments as u64;
            counters.bytes += load as u64;
            self.outlet.push(counters).map_err(|source| way.failed(source))?;
        }
        // In copy mode nobody else makes the kernel take the rest.
        while self.outlet.copies() && !self.outlet.is_pushed() {
            self.advance(way, pace, counters, &mut waiting)?;
        }
        self.outlet.check();
        Ok(())
    }

    /// Wakes the kernel, and pauses where that does not help.
    fn advance(
        &mut self,
        way: &Way,
        pace: &impl Pace,
        counters: &mut SendCounters,
        waiting: &mut Waiting,
    ) -> Result<(), SendError> {
        if pace.gives_up() {
            self.outlet.withdraw();
            return Err(way.given_up());
        }
        let full = || io::Error::from_raw_os_error(libc::EAGAIN);
        match self.outlet.push(counters) {
            Ok(said) => waiting.pause().map_err(|waited| {
                self.outlet.withdraw();
                SendError::Stalled { to: way.to, waited, source: said.unwrap_or_else(full) }
            }),
            Err(source) => {
                self.outlet.withdraw();
                Err(way.failed(source))
            }
        }
    }

    /// Whether the way still is what it was: next hop, MTU, somebody there.
    fn look(
        &mut self,
        flows: &[Flow],
        way: &Way,
        counters: &mut SendCounters,
    ) -> Result<(), SendError> {
        self.path.refresh().map_err(|source| way.failed(source))?;
        self.ends.to_mac = self.path.to_mac;
        for flow in flows {
            hear(flow, counters).map_err(|source| way.failed(source))?;
        }
        match way.route_mtu() {
            found if found < way.mtu => Err(way.too_long(found)),
            _ => Ok(()),
        }
    }

    /// Waits until the kernel has given back all frames, `limit` at most;
    /// returns how many it has not.
    pub(crate) fn settle(&mut self, limit: Duration) -> usize {
        self.outlet.settle(limit)
    }
}

impl Drop for XdpTransmitter {
    /// Closing the socket stops the queue: what the driver has not sent yet
    /// would be lost.
    fn drop(&mut self) {
        let left = self.settle(SETTLE);
        if left > 0 {
            tracing::warn!("{}: {left} frames were not sent", self.description);
        }
    }
}

impl fmt::Debug for XdpTransmitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "XdpTransmitter({})", self.description)
    }
}

/// Differentiated services code point, and time to live or hop limit, of a
/// socket's datagrams.
fn class_of(flow: &Flow, to: SocketAddr) -> io::Result<(u8, u8)> {
    let (level, class, hops) = match to {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TOS, libc::IP_TTL),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS, libc::IPV6_UNICAST_HOPS),
    };
    let class = sys::get_option(flow.socket(), level, class, 0)?;
    let hops = sys::get_option(flow.socket(), level, hops, 0)?;
    // The other two bits of the class are for congestion (RFC 3168).
    Ok(((class >> 2) as u8 & 0x3f, u8::try_from(hops).unwrap_or(64)))
}
