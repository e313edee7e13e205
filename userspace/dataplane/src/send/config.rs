//! What to send where, and what was done.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use xdpsar_wire::LbVersion;

use crate::config::XdpTransmitOptions;

/// How datagrams are handed to the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SendBackend {
    /// The fastest that works here.
    #[default]
    Auto,
    /// Many fragments in one message, which the kernel or the NIC cuts up
    /// (`UDP_SEGMENT`, since Linux 4.18).
    Gso,
    /// One message per fragment, up to 1024 in one call (`sendmmsg`).
    Mmsg,
    /// Frames of our own making, on a queue of our own (AF_XDP, Linux 5.4).
    /// `Auto` takes it only where [`SendConfig::xdp`] names a queue.
    Xdp,
}

impl fmt::Display for SendBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Auto => "auto",
            Self::Gso => "gso",
            Self::Mmsg => "mmsg",
            Self::Xdp => "xdp",
        })
    }
}

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
    /// Address that datagrams leave from: the one that is registered with the
    /// load balancer. `None` leaves it to the route.
    pub source: Option<IpAddr>,
    /// Differentiated services code point, from 0 to 63 (RFC 2474), that
    /// routers may sort datagrams by. `None` leaves it at the system's.
    pub dscp: Option<u8>,
    /// Whether sockets are connected to the destination, so that the route is
    /// looked up once; otherwise each message names it, and is routed anew.
    pub connected: bool,
    /// Bytes a second, Ethernet headers included, that the kernel is to let
    /// out of each socket at most (`SO_MAX_PACING_RATE`). Only the queueing
    /// discipline `fq` keeps it: see [`Sender::kernel_pacing`]. Events take
    /// turns at the sockets, so several may send at this rate at a time;
    /// choose one socket where the sum counts.
    ///
    /// [`Sender::kernel_pacing`]: super::Sender::kernel_pacing
    pub kernel_pacing: Option<u64>,
    /// How datagrams are handed to the system.
    pub backend: SendBackend,
    /// How long to try again while the system takes nothing, before the event
    /// is given up.
    pub patience: Duration,
    /// Options of the AF_XDP backend.
    pub xdp: XdpTransmitOptions,
}

impl SendConfig {
    /// To one port, through four sockets with 3 MiB of buffer each, at the
    /// route's MTU, with LB header version 2: what E2SAR does by default. The
    /// backend is chosen by itself, and five seconds without any progress are
    /// too long.
    pub const fn new(to: SocketAddr) -> Self {
        Self {
            to,
            ports: 1,
            sockets: 4,
            mtu: None,
            send_buffer: 3 << 20,
            lb: Some(LbVersion::V2),
            source: None,
            dscp: None,
            connected: true,
            kernel_pacing: None,
            backend: SendBackend::Auto,
            patience: Duration::from_secs(5),
            xdp: XdpTransmitOptions::new(),
        }
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

/// What a sender has done. All counts are totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendCounters {
    /// Events of which every fragment was handed to the kernel.
    pub events: u64,
    /// Events that [`Sender::send`](super::Sender::send) returned an error for.
    pub failed: u64,
    /// Fragments handed to the kernel.
    pub fragments: u64,
    /// Fragments of failed events that were not.
    pub fragments_failed: u64,
    /// Event bytes in the fragments handed over.
    pub bytes: u64,
    /// Tries again because the send buffer was full (`EAGAIN`).
    pub retried_full: u64,
    /// Tries again because the interface's queue was full, or memory short
    /// (`ENOBUFS`, `ENOMEM`).
    pub retried_no_buffers: u64,
    /// Tries again because the other side had answered an earlier datagram
    /// with "port unreachable" (`ECONNREFUSED`): nobody listens there.
    pub refused: u64,
    /// Tries again because an earlier datagram had been answered otherwise:
    /// host or network unreachable, prohibited, no such protocol.
    pub unreachable: u64,
    /// Fragments that the interface took and dropped at once, for want of room
    /// or of a carrier. Known of the AF_XDP backend only.
    pub dropped: u64,
    /// System calls made.
    pub syscalls: u64,
}
