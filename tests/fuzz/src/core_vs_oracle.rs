//! The assembler against its model, which is that of
//! `userspace/reassembly/tests/oracle.rs`: the same operations, chosen by the
//! fuzzer.
//!
//! Input: 8 bytes of settings (`settings`), then operations: a byte that
//! says which, and what it takes (`Ops::decode`).

use xdpsar_reassembly::{AssemblerConfig, BudgetPolicy, PoolConfig};

use crate::{
    common::MS,
    decode::Bytes,
    drive::{self, Op},
    model::Traffic,
};

/// What one input may cost the model, in bytes that it looks at: keeps every
/// input within a millisecond.
const MOST_WORK: u64 = 100_000;

/// Runs both.
///
/// # Panics
/// As `drive::run`.
pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (config, pool_config) = settings(&mut bytes);
    drive::run(config, pool_config, Ops { bytes, comb: Vec::new(), work: 0 });
}

/// Byte 0: bit 0 policy, bits 1-2 kind of budget, bits 3-5 whether few events
/// and keys are allowed and events must be short. Then that budget (2), those
/// numbers (1) and that length (2), and the seed (2).
fn settings(bytes: &mut Bytes<'_>) -> (AssemblerConfig, PoolConfig) {
    let (flags, small) = (bytes.u8(), bytes.u16());
    let budget = match flags >> 1 & 3 {
        0 => 0,
        1 => 1 << 20,
        _ => 1000 + u64::from(small) % 39_000,
    };
    let few = bytes.u8();
    let max_event = 100 + u32::from(bytes.u16()) % 3996;
    let config = AssemblerConfig {
        worker: 5,
        max_lifetime_ns: 1500 * MS,
        max_in_progress: if flags & 8 == 0 { 64 } else { 1 + u32::from(few % 5) },
        remembered: if flags & 16 == 0 { 64 } else { u32::from(few / 5 % 6) },
        on_budget: if flags & 1 == 0 { BudgetPolicy::RefuseNew } else { BudgetPolicy::EvictOldest },
        seed: u64::from(bytes.u16()),
        ..Default::default()
    };
    (config, PoolConfig { budget, max_event: if flags & 32 == 0 { 4096 } else { max_event } })
}

struct Ops<'a> {
    bytes: Bytes<'a>,
    /// Datagrams of a comb, last first.
    comb: Vec<Op>,
    work: u64,
}

impl Iterator for Ops<'_> {
    type Item = Op;

    fn next(&mut self) -> Option<Op> {
        let op = match self.comb.pop() {
            Some(op) => op,
            None if self.bytes.is_empty() => return None,
            None => self.decode(),
        };
        let (datagrams, length) = match &op {
            Op::Datagram(one) => (1, one.length.min(one.offset.saturating_add(4096))),
            Op::Burst { length, size, .. } => (u64::from(length.div_ceil(*size)) + 2, *length),
            _ => (0, 0),
        };
        // Longer ones than the pool accepts are not placed.
        self.work += 200 + datagrams * u64::from(length.min(4096));
        (self.work <= MOST_WORK).then_some(op)
    }
}

impl Ops<'_> {
    fn decode(&mut self) -> Op {
        match self.bytes.u8() % 16 {
            0..8 => self.on_grid(),
            8 | 9 => self.odd(),
            10 => self.burst(),
            11 => self.noise(),
            12 | 13 => self.pass(),
            14 => Op::Release(usize::from(self.bytes.u8())),
            _ => match self.bytes.u8() % 8 {
                0 => Op::Finish,
                1 | 2 => self.comb(),
                3 => self.empty(),
                _ => self.wild(),
            },
        }
    }

    /// Few keys, so that they are used again; some far apart. And whether the
    /// LB header is there.
    fn key(&mut self) -> ((u64, u16), bool) {
        let byte = self.bytes.u8();
        let number = match byte >> 4 & 3 {
            2 => 1 << 40,
            3 => u64::MAX,
            _ => u64::from(byte & 7),
        };
        ((number, u16::from(byte >> 3 & 1)), byte & 0x40 != 0)
    }

    fn on_grid(&mut self) -> Op {
        let ((key, lb), length, size) = (self.key(), self.bytes.length(), self.bytes.size());
        let nth = u32::from(self.bytes.u8()) % length.div_ceil(size);
        let offset = nth * size;
        let size = size.min(length - offset);
        Op::Datagram(Traffic { key, length, offset, size, fill: self.bytes.u8(), lb })
    }

    /// Anywhere, also beyond the length; also nothing.
    fn odd(&mut self) -> Op {
        let ((key, lb), length) = (self.key(), self.bytes.length());
        let (offset, size) = (u32::from(self.bytes.u16() % 4200), u32::from(self.bytes.u8()));
        // Three of four within the length.
        let offset = if size & 3 == 3 { offset } else { offset % length };
        let size = if size & 3 == 0 { size } else { size.min(length.saturating_sub(offset)) };
        Op::Datagram(Traffic { key, length, offset, size, fill: self.bytes.u8(), lb })
    }

    /// Claims of any length and offset.
    fn wild(&mut self) -> Op {
        let ((key, lb), length) = (self.key(), self.bytes.u32());
        let (offset, size) = (self.bytes.u32(), u32::from(self.bytes.u8()));
        Op::Datagram(Traffic { key, length, offset, size, fill: self.bytes.u8(), lb })
    }

    fn empty(&mut self) -> Op {
        let (key, lb) = self.key();
        Op::Datagram(Traffic { key, length: 0, offset: 0, size: 0, fill: 0, lb })
    }

    fn burst(&mut self) -> Op {
        let ((key, lb), length, size) = (self.key(), self.bytes.length(), self.bytes.size());
        let (seed, flags) = (u64::from(self.bytes.u8()), self.bytes.u8());
        let size = size.max(length.div_ceil(100));
        Op::Burst { key, length, size, seed, skip: flags & 1 != 0, lb }
    }

    /// Many runs with gaps between them: `size` bytes every `step`.
    fn comb(&mut self) -> Op {
        let ((key, lb), length) = (self.key(), self.bytes.length().max(2));
        let size = u32::from(self.bytes.u8() % 4) + 1;
        let step = size + 1 + u32::from(self.bytes.u8() % 4);
        let fill = self.bytes.u8();
        let tooth = |offset: u32| {
            let size = size.min(length - offset);
            Op::Datagram(Traffic { key, length, offset, size, fill, lb })
        };
        // The second half of it first: runs are not met in their order.
        let all: Vec<u32> = (1..length).step_by(step as usize).take(300).collect();
        let (front, back) = all.split_at(all.len() / 2);
        self.comb.extend(front.iter().chain(back).copied().map(tooth));
        self.comb.pop().expect("one at least")
    }

    fn noise(&mut self) -> Op {
        let len = usize::from(self.bytes.u8() % 60);
        Op::Noise(self.bytes.take(len).to_vec())
    }

    /// Often just before, at and after what ends an event.
    fn pass(&mut self) -> Op {
        let kind = self.bytes.u8();
        let ns = match kind % 8 {
            0 => u64::from(self.bytes.u16()),
            1 => 100 * MS,
            2 => 500 * MS - 1,
            3 => 500 * MS,
            4 => 63 * MS,
            5 => u64::from(self.bytes.u16()) * 20_000,
            6 => u64::from(self.bytes.u8()) * MS,
            _ => 1500 * MS,
        };
        Op::Pass { ns, at_most: if kind & 0x80 == 0 { 1000 } else { usize::from(kind >> 4 & 3) } }
    }
}
