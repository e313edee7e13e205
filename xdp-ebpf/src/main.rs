//! The steering program: is this frame ours, and whose is it?
//!
//! ```text
//! frame ─▶ decide(frame, CONFIG) ─┬─ Pass ─▶ XDP_PASS      the kernel never notices us
//!          (crate xdpsar-wire)    ├─ Drop ─▶ XDP_DROP      ours and malformed
//!                                 └─ Lane ─▶ XSKS[rx_queue × workers + lane % workers]
//!          each verdict is counted in COUNTERS, one slot a cause
//! ```
//!
//! User space compiles the same `decide`; nothing is judged here.
#![no_std]
#![no_main]

mod packet;

use core::hint::black_box;

use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_REDIRECT},
    btf_maps::{PerCpuArray, XskMap},
    macros::{btf_map, xdp},
    programs::XdpContext,
};
use xdpsar_wire::steering::{DropCause, PassReason, SteerConfig, Verdict, decide};

use crate::packet::{Anywhere, Linear, frame_len};

/// The sockets; slot = RX queue × workers + worker. Resized at load.
#[btf_map]
static XSKS: XskMap<64> = XskMap::new();

/// One count per [`Verdict::COUNTER_NAMES`].
#[btf_map]
static COUNTERS: PerCpuArray<u64, { Verdict::COUNTERS }> = PerCpuArray::new();

/// What is ours; written into the read-only data before the program is
/// loaded, so that the verifier and the JIT see constants. As it stands here
/// no port is ours.
#[unsafe(no_mangle)]
static CONFIG: SteerConfig = SteerConfig {
    address: [0; 16],
    max_ip_len: 0,
    ip_version: 0,
    any_address: 0,
    lane_mode: 0,
    framing: 0,
    base_port: 0,
    ports: 0,
    lanes: 0,
    workers: 1,
};

/// The kernel lets programs call its GPL helpers only if they say this.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Entry point, in section `xdp.frags`.
#[xdp(frags)]
pub fn xdpsar_steer(ctx: XdpContext) -> u32 {
    // The loader changes the value after compilation: hide where it comes
    // from. (A volatile read of the whole struct would load all of it, byte by
    // byte, for every frame.)
    let config: &SteerConfig = black_box(&CONFIG);
    let len = frame_len(&ctx);
    let linear = Linear::new(&ctx);
    let mut judgement = Judgement::of(decide(&linear, len, config));
    // The two verdicts that may mean "could not read that far" are final only
    // if there was nothing more to read.
    if (judgement.counter == UNREADABLE || judgement.counter == SHORT) && linear.len() < len {
        judgement = Judgement::of(decide(&Anywhere::new(&ctx), len, config));
    }
    if let Some(counter) = COUNTERS.get_ptr_mut(judgement.counter) {
        // SAFETY: a pointer from the map to this CPU's own value; XDP runs in
        // softirq, where nothing else on this CPU touches it.
        unsafe { *counter += 1 };
    }
    if judgement.action != XDP_REDIRECT {
        return judgement.action;
    }
    let slot = config.slot(ctx.rx_queue_index(), judgement.lane);
    // No socket in the slot: the kernel's, as if we were not there.
    match XSKS.redirect(slot, u64::from(XDP_PASS)) {
        Ok(action) | Err(action) => action,
    }
}

const UNREADABLE: u32 = Verdict::Pass(PassReason::Unreadable).counter() as u32;
const SHORT: u32 = Verdict::Drop(DropCause::Short).counter() as u32;

/// A [`Verdict`] whose every part is set in every case. The verifier refuses
/// to move what an enum leaves unset in the variants that have no lane.
struct Judgement {
    counter: u32,
    action: u32,
    lane: u16,
}

impl Judgement {
    #[inline(always)]
    fn of(verdict: Verdict) -> Self {
        let (action, lane) = match verdict {
            Verdict::Pass(_) => (XDP_PASS, 0),
            Verdict::Drop(_) => (XDP_DROP, 0),
            Verdict::Lane(lane) => (XDP_REDIRECT, lane),
        };
        Self { counter: verdict.counter() as u32, action, lane }
    }
}

/// Never reached: nothing in the program can panic, and what could would not
/// get past the verifier.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
