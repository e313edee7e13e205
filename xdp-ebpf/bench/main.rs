//! What the benchmarks have the kernel do: make a stream of events, and take
//! one in as no receiver could do with less.
//!
//! ```text
//!  BPF_PROG_TEST_RUN, live frames ─▶ generate ──▶ redirect into a veth ─▶ ┌ count:   count, XDP_DROP
//!  (a template, again and again)     generate_paced                       └ forward: XSKS[rx_queue]
//! ```
//!
//! An object of its own: what is measured stays as it is.
#![no_std]
#![no_main]

mod frame;
mod generate;
mod receive;

use core::ptr::read_volatile;

/// The kernel lets programs call its GPL helpers only if they say this.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// A constant that the loader sets before the program is compiled on.
#[inline(always)]
fn constant<T: Copy>(of: &'static T) -> T {
    // SAFETY: a reference to a value that nothing writes. The compiler must
    // not take the one it sees here for the one that will be there.
    unsafe { read_volatile(of) }
}

/// Never reached: nothing in the programs can panic, and what could would not
/// get past the verifier.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
