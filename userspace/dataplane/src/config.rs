//! What to receive, and how: one description for both backends.

use std::{net::IpAddr, time::Duration};

use xdpsar_wire::{LbFraming, steering::LaneMode};

/// Everything a receive backend needs to know.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceiveConfig {
    /// Address to receive on; unspecified (`0.0.0.0`, `::`) takes any of that
    /// IP version.
    pub listen: IpAddr,
    /// First UDP port.
    pub base_port: u16,
    /// UDP ports from `base_port` on: a power of two, at most 16384.
    pub ports: u16,
    /// How a datagram's lane is found.
    pub lane_mode: LaneMode,
    /// Lanes: a power of two. Equal to `ports` in [`LaneMode::Port`].
    pub lanes: u16,
    /// Whether datagrams carry the LB header.
    pub framing: LbFraming,
    /// Worker threads; lane `l` belongs to worker `l % workers`.
    pub workers: usize,
    /// How a worker waits for packets.
    pub wait: Wait,
    /// Options of the AF_XDP path.
    pub xdp: XdpOptions,
    /// Options of the socket path.
    pub socket: SocketOptions,
}

/// How a worker waits when there is nothing to receive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// Nap, so that a batch gathers, then sleep in the kernel until something
    /// comes. A datagram may wait for the length of a nap, 0.1 ms or so.
    #[default]
    Adaptive,
    /// Never sleep: for a core of one's own, that no NIC interrupt shares.
    Spin,
    /// Always sleep in the kernel: least CPU.
    Sleep,
}

/// Options of the AF_XDP path.
#[derive(Clone, Debug, PartialEq)]
pub struct XdpOptions {
    /// Network interface that carries `listen`; found by address when `None`.
    pub interface: Option<String>,
    /// Where the program is attached.
    pub attach: AttachMode,
    /// Whether the kernel copies packets into our memory.
    pub copy: CopyMode,
    /// How workers, queues and sockets belong together.
    pub layout: Layout,
    /// Entries in each socket's RX ring (a power of two); `None`: 8192
    /// ([`RX_ENTRIES`](crate::xdp::RX_ENTRIES)), shared out among the sockets
    /// of a queue. Twice as many frames as all of a queue's rings have entries
    /// are its packet memory: of 2 KiB up to an MTU of 1770, else of 4 KiB
    /// ([`frame_len`](crate::xdp::frame_len)). A packet beyond 3.8 KB takes
    /// several entries.
    pub rx_ring: Option<u32>,
    /// Ask the kernel to poll the NIC from the worker (`SO_PREFER_BUSY_POLL`)
    /// with this many packets per call. Has an effect with zero-copy only.
    pub busy_poll: Option<u16>,
    /// Which UDP checksums are verified in user space.
    pub checksum: Checksum,
    /// Whether an event that is whole in one packet may keep the packet's
    /// memory instead of being copied.
    pub lend: Lend,
    /// Frames of each queue that may be on loan at a time, beyond those that
    /// receiving needs, and as large. When none is left, events are copied.
    /// `None`: 2048.
    pub lend_frames: Option<u32>,
    /// How long to keep trying while the kernel still tears down the queue's
    /// former owner (`EBUSY`).
    pub bind_retry: Duration,
}

impl Default for XdpOptions {
    fn default() -> Self {
        Self {
            interface: None,
            attach: AttachMode::default(),
            copy: CopyMode::default(),
            layout: Layout::default(),
            rx_ring: None,
            busy_poll: None,
            checksum: Checksum::default(),
            lend: Lend::default(),
            lend_frames: None,
            bind_retry: Duration::from_secs(3),
        }
    }
}

/// Where the XDP program is attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttachMode {
    /// In the driver where it can, else in the generic hook, with a warning.
    #[default]
    Auto,
    /// In the driver or not at all.
    Native,
    /// In the generic hook: any interface, after the kernel built its skb.
    Generic,
}

/// Whether the kernel copies packets into our memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyMode {
    /// Zero-copy where the driver has it, else copy.
    #[default]
    Auto,
    /// Copy.
    Copy,
    /// Zero-copy or not at all.
    ZeroCopy,
}

/// How workers, RX queues and AF_XDP sockets belong together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Queue-per-core where there are at least as many RX queues as workers,
    /// else fan-out.
    #[default]
    Auto,
    /// Queue `q` belongs to worker `q % workers`: nothing is shared. All
    /// fragments of an event must reach one queue (one flow per event does).
    QueuePerCore,
    /// Every worker has a socket on every queue, the lane decides: the
    /// sockets of a queue share its memory and its fill ring.
    FanOut,
}

/// Which UDP checksums the AF_XDP path verifies. (On the socket path the
/// kernel verifies them all.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// None.
    Off,
    /// Those that are there: 0 (none) passes, and so does the bare
    /// pseudo-header sum that a local sender's unfinished checksum is.
    #[default]
    Auto,
    /// Every datagram must carry a correct one.
    Strict,
}

/// Whether the AF_XDP path lends the memory of packets to the events in them.
///
/// Frames for that are extra: what is lent, receiving does not miss. This
/// memory is no part of the memory budget for events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lend {
    /// Where it was measured to cost less than copying: events from
    /// [`LEND_FROM`] bytes on. On interfaces that pass no such packet nothing
    /// is set aside.
    #[default]
    Auto,
    /// Every event that is whole in one frame.
    On,
    /// Never: all are copied.
    Off,
}

/// Bytes of an event from which on [`Lend::Auto`] lends: where it costs less
/// for events that are consumed on another core, whether they are read or only
/// counted, and where an event fills half of its frame: that is what it keeps.
/// Worker and consumer together, in nanoseconds per event (medians of
/// four invocations of `make bench-lend`, Linux 6.18, veth pair, 2 cores of a
/// shared AMD EPYC):
///
/// | event | counted: copied | lent | read: copied | lent |
/// |---|---|---|---|---|
/// | 64 B | 290 | 339 | 288 | 334 |
/// | 256 B | 342 | 311 | 347 | 357 |
/// | 512 B | 416 | 339 | 416 | 394 |
/// | 1024 B | 456 | 346 | 523 | 438 |
/// | 1400 B | 519 | 346 | 604 | 475 |
/// | 2048 B | 590 | 348 | 711 | 562 |
/// | 3400 B | 631 | 351 | 843 | 632 |
///
/// An event that is read in full on the very thread that receives it costs
/// more when lent, at every size: it has to wait for the packet's memory
/// either way, and a copy leaves it in the cache.
pub const LEND_FROM: usize = 2048;

/// Options of sending by AF_XDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XdpTransmitOptions {
    /// TX queue to send through: no other AF_XDP socket may have it, be it for
    /// sending or for receiving. `None` takes the last one that is free.
    ///
    /// A queue that is named here is a queue that is there for the purpose:
    /// [`SendBackend::Auto`](crate::SendBackend::Auto) tries AF_XDP first,
    /// which it otherwise does not.
    pub queue: Option<u32>,
    /// Whether the kernel copies packets out of our memory.
    pub copy: CopyMode,
    /// How long to keep trying while the kernel still tears down the queue's
    /// former owner (`EBUSY`).
    pub bind_retry: Duration,
}

impl XdpTransmitOptions {
    /// Frames of 4 KiB, and so packets on their way: with each queue come
    /// 4 MiB of packet memory.
    pub const FRAMES: u32 = 1024;

    /// Any free queue, zero-copy where the driver has it.
    pub const fn new() -> Self {
        Self { queue: None, copy: CopyMode::Auto, bind_retry: Duration::from_secs(3) }
    }
}

impl Default for XdpTransmitOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Options of the socket path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// Receive buffer of each socket in bytes (`SO_RCVBUF`, read back).
    pub buffer: usize,
    /// Let the kernel hand over runs of datagrams in one piece (`UDP_GRO`).
    pub gro: bool,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self { buffer: 32 << 20, gro: true }
    }
}
