//! Packet memory, as a worker finds it.

use memmap2::{Advice, MmapMut};
use xdpsar_reassembly::Assembler;
use xdpsar_wire::re::{RE_HEADER_LEN, ReHeader};
use zerocopy::IntoBytes;

use super::{
    case::{BATCH, Case},
    prefetch,
};

/// Frames of packet memory: as many as an RX ring has entries.
const FRAMES: usize = 2048;
/// Bytes of a frame.
const FRAME: usize = 4096;
/// Bytes of the headers of Ethernet, IPv4 and UDP.
const LINK_HEADERS: usize = 14 + 20 + 8;
/// Where in its frame a datagram starts: behind XDP's headroom and those.
const START: usize = 256 + LINK_HEADERS;
/// How many packets ahead a source fetches, and then shows, a packet.
const AHEAD: usize = Assembler::LOOKAHEAD;

/// Zeroed memory in huge pages, where the kernel gives them.
pub fn memory(bytes: usize) -> anyhow::Result<MmapMut> {
    let memory = MmapMut::map_anon(bytes)?;
    // A kernel without huge pages refuses: then all do without.
    let _ = memory.advise(Advice::HugePage);
    Ok(memory)
}

/// A ring of frames like AF_XDP's: page by page, each datagram at the same
/// place in its page, 8 MiB in all. A datagram too long for one frame takes
/// several that follow each other, as one piece.
pub struct Ring {
    memory: MmapMut,
    /// Bytes from one datagram to the next.
    stride: usize,
    /// Bytes of a datagram.
    len: usize,
    slots: usize,
}

impl Ring {
    /// Packets whose payload is noise, for a case's headers to be put before.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn new(case: &Case) -> anyhow::Result<Self> {
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
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// A datagram: RE header and payload.
    #[inline]
    pub fn datagram(&self, slot: usize) -> &[u8] {
        let start = slot * self.stride + START;
        &self.memory[start..start + self.len]
    }

    /// Hands over a batch as an AF_XDP source does: the headers of each packet
    /// are fetched ahead, it is then shown, and some packets later, in its
    /// turn, taken.
    #[inline(always)]
    pub fn hand_over<T>(
        &self,
        first: usize,
        to: &mut T,
        show: impl Fn(&mut T, &[u8]),
        take: impl Fn(&mut T, &[u8]),
    ) {
        let end = first + BATCH;
        for slot in first..first + AHEAD {
            self.prefetch(slot);
        }
        for slot in first..end {
            if slot + AHEAD < end {
                self.prefetch(slot + AHEAD);
            }
            show(to, self.datagram(slot));
            if slot >= first + AHEAD {
                take(to, self.datagram(slot - AHEAD));
            }
        }
        for slot in end - AHEAD..end {
            take(to, self.datagram(slot));
        }
    }

    #[inline(always)]
    fn prefetch(&self, slot: usize) {
        let start = slot * self.stride + START;
        prefetch::ends(&self.memory[start - LINK_HEADERS..start + RE_HEADER_LEN]);
    }

    /// Puts another header before the payload that is there.
    pub fn set_header(&mut self, slot: usize, header: &ReHeader) {
        let start = slot * self.stride + START;
        self.memory[start..start + RE_HEADER_LEN].copy_from_slice(header.as_bytes());
    }

    /// Stamps the first bytes of a payload, so that a test can tell it.
    pub fn stamp(&mut self, slot: usize, stamp: [u8; 8]) {
        let start = slot * self.stride + START + RE_HEADER_LEN;
        self.memory[start..start + 8].copy_from_slice(&stamp);
    }
}
