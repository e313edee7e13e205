//! A packet as the verifier lets it be read.
//!
//! ```text
//!  data            data_end                      frame_len
//!   |  linear part  |  fragments (xdp.frags)        |
//!   [###############|===============================]
//!    Linear: direct loads, bounded by data_end
//!    Anywhere: bpf_xdp_load_bytes, bounded by the kernel
//! ```

use aya_ebpf::{EbpfContext, helpers::generated, programs::XdpContext};
use xdpsar_wire::bytes::Bytes;

/// Offsets beyond this are beyond any header that is walked over. It tells
/// the verifier that packet pointer + offset cannot overflow: packet offsets
/// end at 0xffff (Linux 6.18, `kernel/bpf/verifier.c`, `MAX_PACKET_OFF`).
const MAX_OFFSET: usize = 0x3fff;

/// The part of the packet between `data` and `data_end`.
pub struct Linear {
    start: usize,
    end: usize,
}

impl Linear {
    #[inline(always)]
    pub fn new(ctx: &XdpContext) -> Self {
        Self { start: ctx.data(), end: ctx.data_end() }
    }

    /// Bytes in the linear part.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.end - self.start
    }
}

impl Bytes for Linear {
    #[inline(always)]
    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        if at > MAX_OFFSET {
            return None;
        }
        let from = self.start + at;
        if from + N > self.end {
            return None;
        }
        // SAFETY: `from..from + N` lies between `data` and `data_end`, which
        // are readable while the program runs; the verifier has checked this
        // very comparison. Bytes have no alignment.
        Some(unsafe { *(from as *const [u8; N]) })
    }
}

/// The whole packet, fragments included, one helper call a read. For drivers
/// that leave fewer bytes in the linear part than the headers take.
pub struct Anywhere<'a> {
    ctx: &'a XdpContext,
}

impl<'a> Anywhere<'a> {
    #[inline(always)]
    pub fn new(ctx: &'a XdpContext) -> Self {
        Self { ctx }
    }
}

impl Bytes for Anywhere<'_> {
    #[inline(always)]
    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let mut bytes = [0_u8; N];
        // SAFETY: the context is the one the program was called with, and the
        // buffer has the `N` bytes that are announced. The helper refuses
        // what does not lie in the packet (Linux 5.18, `net/core/filter.c`).
        let refused = unsafe {
            generated::bpf_xdp_load_bytes(
                self.ctx.as_ptr().cast(),
                at as u32,
                bytes.as_mut_ptr().cast(),
                N as u32,
            )
        };
        (refused == 0).then_some(bytes)
    }
}

/// Length of the whole packet, fragments included.
#[inline(always)]
pub fn frame_len(ctx: &XdpContext) -> usize {
    // SAFETY: the context is the one the program was called with (helper
    // since Linux 5.18).
    unsafe { generated::bpf_xdp_get_buff_len(ctx.as_ptr().cast()) as usize }
}
