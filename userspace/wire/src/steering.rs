//! The verdict on a frame, and the map layouts that user space and the eBPF
//! program share.
//!
//! ```text
//! frame ─▶ UDP to our address and port? ──no──▶ Pass(reason)   the kernel's, untouched
//!               │ yes
//!               ▼
//!          lengths and headers sound? ──no──▶ Drop(cause)      counted, ours to judge
//!               │ yes
//!               ▼
//!          Lane(destination port − base, or LB entropy & mask)
//! ```

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{
    bytes::Bytes,
    datagram::{self, DatagramError, LbFraming},
    frame::{self, IpVersion, NotUdp},
};

/// Largest port range: 2¹⁴ ports (`data-plane.md` §1.1).
pub const MAX_LANES: u16 = 1 << 14;

/// How a datagram's lane is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum LaneMode {
    /// Destination port − base: the load balancer has put the entropy there.
    #[default]
    Port = 0,
    /// The LB header's entropy, masked: one destination port still spreads
    /// over all workers (back-to-back, or workers that keep the LB header).
    Entropy = 1,
}

/// What is ours, and how it is steered. Written into the program's read-only
/// data before it is loaded, so that the verifier and the JIT see constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SteerConfig {
    /// Destination address in network order; IPv4 in the first four bytes.
    pub address: [u8; 16],
    /// Largest IP datagram that is taken, in bytes (the interface's MTU).
    /// Longer ones are coalesced super-packets, which must not reach user
    /// space as one datagram.
    pub max_ip_len: u32,
    /// 4 or 6.
    pub ip_version: u8,
    /// 1: any destination address of that IP version is ours.
    pub any_address: u8,
    /// [`LaneMode`] as a number.
    pub lane_mode: u8,
    /// [`LbFraming`] as a number.
    pub framing: u8,
    /// First destination port.
    pub base_port: u16,
    /// Destination ports from `base_port` on.
    pub ports: u16,
    /// Lanes: a power of two. Equal to `ports` in [`LaneMode::Port`].
    pub lanes: u16,
    /// Workers; lane `l` belongs to worker `l % workers`.
    pub workers: u16,
}

impl SteerConfig {
    /// The bytes that take the place of the program's global `CONFIG`.
    pub fn as_data(&self) -> &[u8] {
        self.as_bytes()
    }

    /// Slot in the socket map of what comes in on `rx_queue` for `lane`.
    ///
    /// (Zero workers count as one.)
    #[inline(always)]
    pub const fn slot(&self, rx_queue: u32, lane: u16) -> u32 {
        match (lane as u32).checked_rem(self.workers as u32) {
            Some(worker) => rx_queue.wrapping_mul(self.workers as u32).wrapping_add(worker),
            None => rx_queue,
        }
    }
}

/// Why a frame is left to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PassReason {
    /// Not IP.
    NotIp,
    /// IP, not UDP.
    NotUdp,
    /// A fragment of an IP datagram.
    IpFragment,
    /// Ends inside its headers, or the IP header is unsound.
    Unreadable,
    /// UDP to another address or IP version.
    OtherAddress,
    /// UDP to our address, but another port.
    OtherPort,
}

/// Why a datagram of ours is dropped before it reaches a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DropCause {
    /// UDP length, IP length and frame length contradict each other.
    LengthMismatch,
    /// Longer than the MTU: a coalesced super-packet.
    Oversized,
    /// Ends inside its EJFAT headers.
    Short,
    /// LB header with a wrong magic, version or next protocol.
    BadLbHeader,
    /// RE header with a wrong version or a reserved bit set.
    BadReHeader,
    /// Lanes are chosen by entropy, but the LB header is not there.
    NoEntropy,
}

/// What happens to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Left to the kernel.
    Pass(PassReason),
    /// Ours and malformed.
    Drop(DropCause),
    /// Ours: goes to the worker that owns this lane.
    Lane(u16),
}

impl Verdict {
    /// Number of counters: the length of the program's per-CPU array.
    pub const COUNTERS: usize = 13;

    /// The names of the counters, in order.
    pub const COUNTER_NAMES: [&'static str; Self::COUNTERS] = [
        "redirected",
        "pass_not_ip",
        "pass_not_udp",
        "pass_ip_fragment",
        "pass_unreadable",
        "pass_other_address",
        "pass_other_port",
        "drop_length_mismatch",
        "drop_oversized",
        "drop_short",
        "drop_bad_lb_header",
        "drop_bad_re_header",
        "drop_no_entropy",
    ];

    /// Which counter this verdict is counted in.
    #[inline(always)]
    pub const fn counter(self) -> usize {
        match self {
            Self::Lane(_) => 0,
            Self::Pass(reason) => 1 + reason as usize,
            Self::Drop(cause) => 7 + cause as usize,
        }
    }
}

/// Decides what happens to a frame of `frame_len` bytes in all, of which
/// `frame` gives access to at least the headers.
#[inline(always)]
pub fn decide<B: Bytes + ?Sized>(frame: &B, frame_len: usize, config: &SteerConfig) -> Verdict {
    let udp = match frame::walk(frame) {
        Ok(udp) => udp,
        Err(reason) => {
            return Verdict::Pass(match reason {
                NotUdp::NotIp => PassReason::NotIp,
                NotUdp::NotUdp => PassReason::NotUdp,
                NotUdp::IpFragment => PassReason::IpFragment,
                NotUdp::Unreadable => PassReason::Unreadable,
            });
        }
    };
    if !address_is_ours(frame, &udp, config) {
        return Verdict::Pass(PassReason::OtherAddress);
    }
    let port_lane = udp.dst_port.wrapping_sub(config.base_port);
    if port_lane >= config.ports {
        return Verdict::Pass(PassReason::OtherPort);
    }
    // From here on the datagram is ours, and so is the judgement.
    let Some(payload_len) = udp.payload_len(frame_len) else {
        return Verdict::Drop(DropCause::LengthMismatch);
    };
    if udp.ip_len > config.max_ip_len as usize {
        return Verdict::Drop(DropCause::Oversized);
    }
    let framing = LbFraming::from_u8(config.framing);
    let shape = match datagram::check(frame, udp.payload_offset(), payload_len, framing) {
        Ok(shape) => shape,
        Err(error) => {
            return Verdict::Drop(match error {
                DatagramError::Short => DropCause::Short,
                DatagramError::BadLbHeader => DropCause::BadLbHeader,
                DatagramError::BadReHeader => DropCause::BadReHeader,
            });
        }
    };
    if config.lane_mode == LaneMode::Port as u8 {
        return Verdict::Lane(port_lane);
    }
    match shape.entropy() {
        Some(entropy) => Verdict::Lane(entropy & config.lanes.wrapping_sub(1)),
        None => Verdict::Drop(DropCause::NoEntropy),
    }
}

#[inline(always)]
fn address_is_ours<B: Bytes + ?Sized>(
    frame: &B,
    udp: &frame::UdpDatagram,
    config: &SteerConfig,
) -> bool {
    match udp.ip {
        IpVersion::V4 => {
            config.ip_version == 4
                && (config.any_address != 0
                    || frame.array::<4>(udp.ip_offset + 16).is_some_and(|found| {
                        u32::from_ne_bytes(found)
                            == u32::from_ne_bytes([
                                config.address[0],
                                config.address[1],
                                config.address[2],
                                config.address[3],
                            ])
                    }))
        }
        IpVersion::V6 => {
            config.ip_version == 6
                && (config.any_address != 0
                    || frame
                        .array::<16>(udp.ip_offset + 24)
                        .is_some_and(|found| found == config.address))
        }
    }
}
