//! Packet memory, as a worker finds it.

use memmap2::{Advice, MmapMut};
use xdpsar_wire::re::{RE_HEADER_LEN, ReHeader};
use zerocopy::IntoBytes;

use crate::case::{BATCH, Case};

/// Frames of packet memory: as many as an RX ring has entries.
const FRAMES: usize = 2048;
/// Bytes of a frame.
const FRAME: usize = 4096;
/// Where in its frame a datagram starts: behind XDP's headroom and the
/// headers of Ethernet, IPv4 and UDP.
const START: usize = 256 + 14 + 20 + 8;

/// Zeroed memory in huge pages, where the kernel gives them.
pub(crate) fn memory(bytes: usize) -> anyhow::Result<MmapMut> {
    let memory = MmapMut::map_anon(bytes)?;
    // A kernel without huge pages refuses: then all do without.
    let _ = memory.advise(Advice::HugePage);
    Ok(memory)
}

/// A ring of frames like AF_XDP's: page by page, each datagram at the same
/// place in its page, 8 MiB in all. A datagram too long for one frame takes
/// several that follow each other, as one piece.
pub(crate) struct Ring {
    memory: MmapMut,
    /// Bytes from one datagram to the next.
    stride: usize,
    /// Bytes of a datagram.
    len: usize,
    slots: usize,
}

impl Ring {
    pub(crate) fn new(case: &Case) -> anyhow::Result<Self> {
        let mut memory = memory(FRAMES * FRAME)?;
        let mut state = 1_u64;
        for byte in memory.iter_mut() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (state >> 56) as u8;
        }
        let len = RE_HEADER_LEN + case.size as usize;
        let frames = (START + len).div_ceil(FRAME);
        let slots = FRAMES / frames / BATCH * BATCH;
        Ok(Self { memory, stride: frames * FRAME, len, slots })
    }

    /// Datagrams that it holds: whole batches.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// A datagram: RE header and payload.
    #[inline]
    pub(crate) fn datagram(&self, slot: usize) -> &[u8] {
        let start = slot * self.stride + START;
        &self.memory[start..start + self.len]
    }

    /// Puts another header before the payload that is there.
    pub(crate) fn set_header(&mut self, slot: usize, header: &ReHeader) {
        let start = slot * self.stride + START;
        self.memory[start..start + RE_HEADER_LEN].copy_from_slice(header.as_bytes());
    }

    /// Stamps the first bytes of a payload, so that a test can tell it.
    #[cfg(test)]
    pub(crate) fn stamp(&mut self, slot: usize, stamp: [u8; 8]) {
        let start = slot * self.stride + START + RE_HEADER_LEN;
        self.memory[start..start + 8].copy_from_slice(&stamp);
    }
}
