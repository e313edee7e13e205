//! The interface, our assembler, and the plain copy.

use std::{hint::black_box, sync::Arc};

use anyhow::ensure;
use memmap2::MmapMut;
use xdpsar_reassembly::{Assembler, AssemblerConfig, Event, LostEvent, Pool, PoolConfig, Sink};
use xdpsar_wire::{Pieces, re::RE_HEADER_LEN};

use super::{
    case::{BATCH, Case},
    ring::{Ring, memory},
    stream::Stream,
};

/// Events that a worker expires after a batch at most.
const EXPIRE_PER_BATCH: usize = 16;

/// Somebody who takes in a lap's datagrams.
pub trait Contestant {
    /// Takes in all datagrams of the ring. This is what is timed.
    fn lap(&mut self, ring: &Ring, stream: &Stream);

    /// Whether what came out is what was sent.
    ///
    /// # Errors
    /// Says what is amiss.
    fn verify(&self, stream: &Stream) -> anyhow::Result<()>;
}

/// What a consumer does who has no use for the events.
#[derive(Default)]
struct Discard {
    bytes: u64,
    lost: u64,
}

impl Sink for Discard {
    #[inline]
    fn event(&mut self, event: Event) {
        self.bytes += black_box(&event).len() as u64;
    }

    #[inline]
    fn lost(&mut self, lost: LostEvent) {
        self.lost += u64::from(black_box(&lost).length > 0);
    }
}

/// Our assembler, fed as a worker feeds it: batch by batch, headers fetched and
/// datagrams foreseen some others ahead, the time told once a batch, a few
/// events expired after it. It is charged for all of that. As by default it
/// remembers finished events for a timeout, so that stragglers are told from
/// new events.
pub struct Ours {
    assembler: Assembler,
    sink: Discard,
}

impl Ours {
    /// Ready for a case.
    pub fn new(case: &Case) -> Self {
        Self::with_timeout(case, case.timeout_ns())
    }

    /// With another timeout, which is also how long finished events are
    /// remembered.
    pub fn with_timeout(case: &Case, timeout_ns: u64) -> Self {
        let memory = case.places() as u64 * case.stride() as u64;
        let pool = Pool::new(PoolConfig {
            budget: (3 * memory).max(256 << 20),
            max_event: case.event_bytes().max(1 << 16),
        });
        let defaults = AssemblerConfig::default();
        let config = AssemblerConfig {
            timeout_ns,
            max_lifetime_ns: defaults.max_lifetime_ns.max(4 * case.life_ns()),
            max_in_progress: defaults.max_in_progress.max(case.places() as u32),
            seed: 0x5eed,
            ..defaults
        };
        Self { assembler: Assembler::new(config, Arc::clone(&pool)), sink: Discard::default() }
    }

    /// Takes in a batch of the ring's datagrams.
    #[inline(always)]
    pub fn batch(&mut self, ring: &Ring, stream: &Stream, first: usize) {
        let now_ns = stream.now_ns(first);
        ring.hand_over(
            first,
            self,
            |ours, datagram| ours.assembler.foresee(datagram),
            |Self { assembler, sink }, datagram| {
                black_box(assembler.ingest(0, Pieces::whole(datagram), now_ns, sink));
            },
        );
        self.assembler.expire(now_ns, EXPIRE_PER_BATCH, &mut self.sink);
    }
}

impl Contestant for Ours {
    #[inline(never)]
    fn lap(&mut self, ring: &Ring, stream: &Stream) {
        for first in (0..ring.slots()).step_by(BATCH) {
            self.batch(ring, stream, first);
        }
    }

    fn verify(&self, stream: &Stream) -> anyhow::Result<()> {
        let (counters, sent) = (self.assembler.counters(), stream.sent());
        let (in_progress, _) = self.assembler.in_progress();
        ensure!(counters.fragments == sent.fragments, "ours: {counters:?} of {sent:?}");
        ensure!(counters.events == sent.whole, "ours: {counters:?} of {sent:?}");
        ensure!(self.sink.bytes == counters.event_bytes, "ours: {} delivered", self.sink.bytes);
        ensure!(self.sink.lost == counters.lost_timeout, "ours: {} lost", self.sink.lost);
        ensure!(
            in_progress <= stream.case().places() && counters.lost() <= sent.torn,
            "ours: {in_progress} in progress, {} lost of {}",
            counters.lost(),
            sent.torn
        );
        Ok(())
    }
}

/// The least that anybody does: each payload goes from packet memory to its
/// place in its event. It is told the places, and that headers have 20 bytes.
///
/// What is fair. It moves the same bytes from the same packets in the same
/// order. There are as many places as events are in progress (and torn ones
/// wait for their end), each on cache lines of its own, and one that comes
/// free is used again at once: that is the least memory anybody can do with,
/// so what misses the cache here misses it for everybody. The places lie side
/// by side in huge pages, the best layout there is; ours is not granted that.
/// The list of places is read in order, 8 bytes a datagram. What ours needs
/// besides (its table, its coverage, its finished keys) is what it costs
/// beyond the copy.
pub struct Memcpy {
    events: MmapMut,
    size: usize,
}

impl Memcpy {
    /// With places for a case's events.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn new(case: &Case) -> anyhow::Result<Self> {
        Ok(Self { events: memory(case.places() * case.stride())?, size: case.size as usize })
    }

    /// Takes in a batch of the ring's datagrams.
    #[inline(always)]
    pub fn batch(&mut self, ring: &Ring, stream: &Stream, first: usize) {
        for (slot, place) in (first..).zip(&stream.places()[first..first + BATCH]) {
            let payload = &ring.datagram(slot)[RE_HEADER_LEN..];
            self.events[*place..*place + self.size].copy_from_slice(payload);
        }
        black_box(&mut self.events);
    }
}

impl Contestant for Memcpy {
    #[inline(never)]
    fn lap(&mut self, ring: &Ring, stream: &Stream) {
        for first in (0..ring.slots()).step_by(BATCH) {
            self.batch(ring, stream, first);
        }
    }

    fn verify(&self, _: &Stream) -> anyhow::Result<()> {
        Ok(())
    }
}
