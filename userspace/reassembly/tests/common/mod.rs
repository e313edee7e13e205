//! Datagrams made by hand, and a sink that keeps everything.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::sync::Arc;

use xdpsar_reassembly::{
    Assembler, AssemblerConfig, Event, LostEvent, Outcome, Pool, PoolConfig, Sink,
};
use xdpsar_wire::Pieces;

/// One millisecond in nanoseconds.
pub(crate) const MS: u64 = 1_000_000;

/// A datagram with an RE header only.
pub(crate) fn datagram(
    number: u64,
    data_id: u16,
    offset: u32,
    length: u32,
    payload: &[u8],
) -> Vec<u8> {
    let mut bytes = vec![0x10, 0x00];
    bytes.extend(data_id.to_be_bytes());
    bytes.extend(offset.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend(number.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The same behind an LB header of version 2.
pub(crate) fn with_lb(entropy: u16, tick: u64, datagram: &[u8]) -> Vec<u8> {
    let mut bytes = b"LB\x02\x01\x00\x00".to_vec();
    bytes.extend(entropy.to_be_bytes());
    bytes.extend(tick.to_be_bytes());
    bytes.extend(datagram);
    bytes
}

/// Bytes of an event: different for every event, no two fragments alike.
pub(crate) fn content(number: u64, data_id: u16, length: u32) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(data_id) << 32;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect()
}

/// The datagrams of an event, cut into fragments of `size` bytes, in order.
pub(crate) fn fragments(number: u64, data_id: u16, length: u32, size: usize) -> Vec<Vec<u8>> {
    content(number, data_id, length)
        .chunks(size)
        .enumerate()
        .map(|(n, part)| datagram(number, data_id, (n * size) as u32, length, part))
        .collect()
}

/// Keeps what it is given.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) events: Vec<Event>,
    pub(crate) lost: Vec<LostEvent>,
}

impl Sink for Kept {
    fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    fn lost(&mut self, lost: LostEvent) {
        self.lost.push(lost);
    }
}

/// An assembler with its sink and clock.
pub(crate) struct Rig {
    pub(crate) assembler: Assembler,
    pub(crate) pool: Arc<Pool>,
    pub(crate) sink: Kept,
    pub(crate) now_ns: u64,
}

impl Rig {
    /// With 64 MiB and default settings; but for miri, which would spend
    /// minutes on tables of that size.
    pub(crate) fn new() -> Self {
        let few = |many| if cfg!(miri) { 64 } else { many };
        let default = AssemblerConfig::default();
        let config = AssemblerConfig {
            max_in_progress: few(default.max_in_progress),
            remembered: few(default.remembered),
            ..default
        };
        Self::with(config, PoolConfig { budget: 64 << 20, max_event: 16 << 20 })
    }

    pub(crate) fn with(config: AssemblerConfig, pool: PoolConfig) -> Self {
        let pool = Pool::new(pool);
        Self {
            assembler: Assembler::new(config, Arc::clone(&pool)),
            pool,
            sink: Kept::default(),
            now_ns: MS,
        }
    }

    /// Hands a datagram in.
    pub(crate) fn ingest(&mut self, datagram: &[u8]) -> Outcome {
        let outcome =
            self.assembler.ingest(3, Pieces::whole(datagram), self.now_ns, &mut self.sink);
        self.assembler.check_structure();
        outcome
    }

    /// Lets time pass, and everything expire that is due.
    pub(crate) fn pass(&mut self, ns: u64) {
        self.now_ns += ns;
        self.assembler.expire(self.now_ns, usize::MAX, &mut self.sink);
        self.assembler.check_structure();
    }
}
