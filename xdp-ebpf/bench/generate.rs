//! The sender: a datagram of a stream of events out of every frame.
//!
//! The frame that the program is given is a full datagram, complete but for
//! what changes from one to the next. Frames come back, as whoever received
//! them has left them: what the kernel rewrites when it merges datagrams is
//! written anew, too.

use aya_ebpf::{
    EbpfContext as _,
    bindings::xdp_action::{XDP_ABORTED, XDP_DROP},
    btf_maps::Array,
    helpers::generated::{bpf_ktime_get_ns, bpf_redirect, bpf_xdp_adjust_tail},
    macros::{btf_map, xdp},
    programs::XdpContext,
};
use xdpsar_wire::{LbHeader, ReHeader};

use crate::{
    constant,
    frame::{Headers, UDP_LB_RE, start},
};

/// Where frames go.
#[unsafe(no_mangle)]
static INTERFACE: u32 = 0;
/// Bytes of an event.
#[unsafe(no_mangle)]
static EVENT: u32 = 0;
/// Bytes of it in a full datagram.
#[unsafe(no_mangle)]
static PAYLOAD: u32 = 0;
/// Of all events.
#[unsafe(no_mangle)]
static DATA_ID: u16 = 0;
/// What a byte of an event costs: nanoseconds × 2²⁴.
#[unsafe(no_mangle)]
static PRICE: u64 = 0;
/// Sum of the IPv4 header's words, but for length and checksum.
#[unsafe(no_mangle)]
static IP_SUM: u32 = 0;
/// Sum of what the UDP checksum covers, but for offset, entropy, event number
/// and tick: of a full datagram, and of an event's last. Of 0 there is none.
#[unsafe(no_mangle)]
static UDP_SUMS: [u32; 2] = [0; 2];

/// The stream, and how far it is.
#[repr(C)]
struct Stream {
    datagrams: u64,
    bytes: u64,
    /// Whole ones, and so the number of the one that is next.
    events: u64,
    /// It was asked to stop, and is between two events: nothing will follow.
    ended: u64,
    /// Bytes of the event at hand that have left.
    offset: u64,
    /// When the next datagram is due, in ns × 2⁸ of the monotonic clock.
    due: u64,
    /// When it may leave: later, where the stream is behind.
    next: u64,
}

#[btf_map]
static STREAM: Array<Stream, 1> = Array::new();

/// Not 0: the event at hand is the last.
#[btf_map]
static STOP: Array<u32, 1> = Array::new();

/// What a sender that was held up makes up for, by a rate that is a third
/// higher until it has.
const CATCH_UP: u64 = 100_000_000 << 8;
/// What of it may leave at once: more would be a burst that no receiver's ring
/// can hold.
const BURST: u64 = 200_000 << 8;

/// As fast as it goes.
#[xdp]
pub fn generate(ctx: XdpContext) -> u32 {
    next::<false>(&ctx).unwrap_or(XDP_ABORTED)
}

/// At a rate. What is not due is no datagram: the frame is dropped.
#[xdp]
pub fn generate_paced(ctx: XdpContext) -> u32 {
    next::<true>(&ctx).unwrap_or(XDP_ABORTED)
}

#[inline(always)]
fn next<const PACED: bool>(ctx: &XdpContext) -> Option<u32> {
    // SAFETY: a pointer into the map; one CPU runs the program, and others
    // only read what it counts.
    let stream = unsafe { &mut *STREAM.get_ptr_mut(0)? };
    if stream.offset == 0 && *STOP.get(0)? != 0 {
        stream.ended = 1;
        return Some(XDP_DROP);
    }
    let full = constant(&PAYLOAD);
    let left = constant(&EVENT) - stream.offset as u32;
    let payload = if left < full { left } else { full };
    if PACED {
        // SAFETY: no arguments.
        let now = unsafe { bpf_ktime_get_ns() } << 8;
        if now < stream.next {
            return Some(XDP_DROP);
        }
        let cost = (u64::from(payload) * constant(&PRICE)) >> 16;
        let due = if stream.due == 0 { now } else { stream.due };
        stream.due = due.max(now.saturating_sub(CATCH_UP)) + cost;
        let sooner = (stream.next + cost - cost / 4).max(now.saturating_sub(BURST));
        stream.next = if stream.due > now { stream.due } else { sooner };
    }
    if payload < full {
        let less = payload.wrapping_sub(full) as i32;
        // SAFETY: the context is the one the program was called with.
        if unsafe { bpf_xdp_adjust_tail(ctx.as_ptr().cast(), less) } != 0 {
            return None;
        }
    }
    // SAFETY: as long as a frame's headers, and writable.
    let headers = unsafe { &mut *start::<Headers>(ctx)? };
    write(headers, stream, payload as u16, payload < full);
    stream.datagrams += 1;
    stream.bytes += u64::from(payload);
    if left == payload {
        stream.offset = 0;
        stream.events += 1;
    } else {
        stream.offset += u64::from(payload);
    }
    // SAFETY: no pointers.
    Some(unsafe { bpf_redirect(constant(&INTERFACE), 0) } as u32)
}

#[inline(always)]
fn write(headers: &mut Headers, stream: &Stream, payload: u16, last: bool) {
    let carrier = &mut headers.carrier;
    let (number, offset) = (stream.events, stream.offset as u32);
    let entropy = number as u16;
    let udp_len = payload + UDP_LB_RE;
    let ip_len = udp_len + 20;
    carrier.ip_len.set(ip_len);
    carrier.ip_checksum.set(checksum(u64::from(constant(&IP_SUM)) + u64::from(ip_len)));
    carrier.udp_len.set(udp_len);
    let [full_sum, last_sum] = constant(&UDP_SUMS);
    let sum = if last { last_sum } else { full_sum };
    let udp_checksum = if sum == 0 {
        0
    } else {
        // The number is the tick, too.
        let numbers = 2 * ((number >> 32) + (number & 0xffff_ffff)) + u64::from(entropy);
        match checksum(u64::from(sum) + u64::from(offset) + numbers) {
            // 0 says that there is none.
            0 => 0xffff,
            sum => sum,
        }
    };
    carrier.udp_checksum.set(udp_checksum);
    headers.lb = LbHeader::v2(entropy, number);
    headers.re = ReHeader::new(constant(&DATA_ID), offset, constant(&EVENT), number);
}

/// The internet checksum of a sum of 16- or 32-bit words (RFC 1071: the carry
/// comes back in at the bottom, and 2¹⁶ words later is as good as now).
#[inline(always)]
fn checksum(sum: u64) -> u16 {
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    !sum as u16
}
