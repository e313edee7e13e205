//! Bounded reads from a packet.

/// Read access to the bytes of a packet, bounded on every call.
///
/// User space implements it for slices. The eBPF program implements it for
/// its context, where the bound is the comparison with `data_end` that the
/// verifier asks for.
pub trait Bytes {
    /// The `N` bytes that start at `at`, or `None` where the packet ends
    /// before them.
    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]>;

    /// One byte.
    #[inline(always)]
    fn u8(&self, at: usize) -> Option<u8> {
        self.array::<1>(at).map(|[byte]| byte)
    }

    /// A big-endian 16-bit number.
    #[inline(always)]
    fn be16(&self, at: usize) -> Option<u16> {
        self.array::<2>(at).map(u16::from_be_bytes)
    }
}

impl Bytes for [u8] {
    #[inline(always)]
    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.get(at..)?.first_chunk::<N>().copied()
    }
}
