//! The least that a receiver can do in the kernel.

use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS},
    btf_maps::{PerCpuArray, XskMap},
    macros::{btf_map, xdp},
    programs::XdpContext,
};

use crate::{
    constant,
    frame::{Carrier, UDP_LB_RE, start},
};

/// The datagrams that are meant.
#[unsafe(no_mangle)]
static PORT: u16 = 0;

/// What was dropped.
#[repr(C)]
struct Count {
    datagrams: u64,
    /// Of events.
    bytes: u64,
}

#[btf_map]
static COUNT: PerCpuArray<Count, 1> = PerCpuArray::new();

/// The sockets, by RX queue.
#[btf_map]
static XSKS: XskMap<64> = XskMap::new();

/// Counts datagrams, and drops them.
#[xdp(frags)]
pub fn count(ctx: XdpContext) -> u32 {
    let Some(udp_len) = datagram(&ctx) else { return XDP_PASS };
    let Some(count) = COUNT.get_ptr_mut(0) else { return XDP_PASS };
    // SAFETY: a pointer from the map to this CPU's own value; XDP runs in
    // softirq, where nothing else on this CPU touches it.
    let count = unsafe { &mut *count };
    count.datagrams += 1;
    count.bytes += u64::from(udp_len.saturating_sub(UDP_LB_RE));
    XDP_DROP
}

/// Puts datagrams into the queue's socket, whatever is in them.
#[xdp(frags)]
pub fn forward(ctx: XdpContext) -> u32 {
    if datagram(&ctx).is_none() {
        return XDP_PASS;
    }
    match XSKS.redirect(ctx.rx_queue_index(), u64::from(XDP_PASS)) {
        Ok(action) | Err(action) => action,
    }
}

/// The length in the UDP header of a datagram to our port.
#[inline(always)]
fn datagram(ctx: &XdpContext) -> Option<u16> {
    // SAFETY: as long as a frame's headers.
    let carrier = unsafe { &*start::<Carrier>(ctx)? };
    let ours = carrier.ether_type.get() == 0x0800
        && carrier.version == 0x45
        && carrier.protocol == 17
        // Neither an offset nor "more to come".
        && carrier.fragment.get() & 0x3fff == 0
        && carrier.port.get() == constant(&PORT);
    ours.then(|| carrier.udp_len.get())
}
