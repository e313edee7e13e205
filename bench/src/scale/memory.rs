//! In memory: events in progress, and several assemblers on one core.

use std::{cell::RefCell, hint::black_box, rc::Rc};

use xdpsar_bench::{
    cpu,
    workload::{Arrival, BATCH, Case, Contestant, Memcpy, NS_PER_FRAGMENT, Ours, Ring, Stream},
};
use xdpsar_wire::re::RE_HEADER_LEN;

use crate::curve::{Key, Point, Sample};

/// Fragments that a sample has at least.
const FRAGMENTS: usize = 1 << 16;

/// The least timeout of those that forget: a thousand fragments.
const SHORT_TIMEOUT_NS: u64 = 1000 * NS_PER_FRAGMENT;

/// Who takes the fragments in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Ours,
    /// Ours, which remembers no finished event for longer than some turns of
    /// those in progress: its stragglers would open new events.
    Forgetful,
    /// The same bytes to as many places, and nothing else.
    Copy,
}

impl Name {
    const ALL: [Self; 3] = [Self::Ours, Self::Forgetful, Self::Copy];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "assembled",
            Self::Forgetful => "forgetful",
            Self::Copy => "copied only",
        }
    }
}

enum Taker {
    Ours(Box<Ours>),
    Copy(Memcpy),
}

impl Taker {
    fn batch(&mut self, ring: &Ring, stream: &Stream, first: usize) {
        match self {
            Self::Ours(ours) => ours.batch(ring, stream, first),
            Self::Copy(copy) => copy.batch(ring, stream, first),
        }
        black_box(self);
    }
}

/// Somebody with packets and a stream of events of his own.
struct Entrant {
    ring: Ring,
    stream: Stream,
    taker: Taker,
}

impl Entrant {
    /// In its steady state: all its memory has been touched, and it forgets as
    /// many finished events as it remembers new ones.
    fn new(name: Name, case: Case) -> anyhow::Result<Self> {
        let taker = match name {
            Name::Ours => Taker::Ours(Box::new(Ours::new(&case))),
            Name::Forgetful => {
                let timeout = (4 * case.turn_ns()).max(SHORT_TIMEOUT_NS);
                Taker::Ours(Box::new(Ours::with_timeout(&case, timeout)))
            }
            Name::Copy => Taker::Copy(Memcpy::new(&case)?),
        };
        let mut entrant = Self { ring: Ring::new(&case)?, stream: Stream::new(case), taker };
        let remembered = match name {
            Name::Ours => case.timeout_ns() / NS_PER_FRAGMENT,
            Name::Forgetful | Name::Copy => 0,
        };
        while !entrant.stream.is_steady() || entrant.stream.sent().fragments <= remembered {
            entrant.stream.compose(&mut entrant.ring);
            let Self { ring, stream, taker } = &mut entrant;
            (0..ring.slots()).step_by(BATCH).for_each(|first| taker.batch(ring, stream, first));
        }
        Ok(entrant)
    }

    /// Packets, as they lie on cache lines, and places of events.
    fn working_set(&self) -> usize {
        let case = self.stream.case();
        let packet = (RE_HEADER_LEN + case.size as usize).next_multiple_of(64);
        self.ring.slots() * packet + case.places() * case.stride()
    }

    fn batches(&mut self, firsts: impl Iterator<Item = usize>) {
        let Self { ring, stream, taker } = self;
        firsts.for_each(|first| taker.batch(ring, stream, first));
    }

    fn verify(&self) -> anyhow::Result<()> {
        match &self.taker {
            Taker::Ours(ours) => ours.verify(&self.stream),
            Taker::Copy(copy) => copy.verify(&self.stream),
        }
    }
}

/// Shared by the points that they take part in.
type Entrants = Rc<RefCell<Vec<Entrant>>>;

fn entrants(name: Name, case: Case, count: usize) -> anyhow::Result<Entrants> {
    let entrants: anyhow::Result<_> = (0..count).map(|_| Entrant::new(name, case)).collect();
    Ok(Rc::new(RefCell::new(entrants?)))
}

/// How long one of several assemblers goes on before it is the next one's
/// turn.
#[derive(Clone, Copy)]
enum Turn {
    Batch,
    Ring,
}

impl Turn {
    const ALL: [Self; 2] = [Self::Batch, Self::Ring];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Batch => "turns of 64",
            Self::Ring => "turns of 2048",
        }
    }

    /// CPU nanoseconds per fragment.
    fn measure(self, entrants: &mut [Entrant]) -> anyhow::Result<Sample> {
        let slots = entrants.iter().map(|entrant| entrant.ring.slots()).sum::<usize>();
        let laps = FRAGMENTS.div_ceil(slots);
        let mut ns = 0.0;
        for _ in 0..laps {
            // Headers are written before the clock starts.
            entrants.iter_mut().for_each(|entrant| entrant.stream.compose(&mut entrant.ring));
            let each = entrants[0].ring.slots();
            let before = cpu::thread();
            match self {
                Self::Batch => {
                    for first in (0..each).step_by(BATCH) {
                        entrants.iter_mut().for_each(|one| one.batches([first].into_iter()));
                    }
                }
                Self::Ring => {
                    entrants.iter_mut().for_each(|one| one.batches((0..each).step_by(BATCH)));
                }
            }
            ns += cpu::ns_since(before);
        }
        entrants.iter().try_for_each(Entrant::verify)?;
        Ok((ns / (laps * slots) as f64).into())
    }
}

/// What a fragment costs by how many events are in progress.
pub(crate) fn in_progress(quick: bool) -> anyhow::Result<Vec<Point<'static>>> {
    let counts: &[u32] =
        if quick { &[1, 1000, 100_000] } else { &[1, 10, 100, 1000, 10_000, 100_000] };
    let mut points = Vec::new();
    for size in if quick { &[64][..] } else { &[64, 1400] } {
        for name in Name::ALL {
            for in_progress in counts {
                let case = case(*size, *in_progress);
                let series = format!("{}: {size} B x 8", name.as_str());
                let key = Key {
                    curve: "in progress",
                    series,
                    count: (*in_progress).into(),
                    of: "events",
                    per: "fragment",
                };
                points.push(point(key, &entrants(name, case, 1)?, 1, Turn::Ring));
            }
        }
    }
    Ok(points)
}

/// What a fragment costs by how many assemblers share one core, each with its
/// own packets and its own events.
pub(crate) fn assemblers(quick: bool) -> anyhow::Result<Vec<Point<'static>>> {
    let mut points = Vec::new();
    let cases = [case(64, 10), case(1400, 100)];
    for case in if quick { &cases[..1] } else { &cases } {
        for name in Name::ALL {
            let entrants = entrants(name, *case, 8)?;
            for turn in Turn::ALL {
                for count in [1, 2, 4, 8] {
                    let Case { size, fragments, in_progress, .. } = case;
                    let series = format!(
                        "{}: {size} B x {fragments}, {in_progress} in progress, {}",
                        name.as_str(),
                        turn.as_str()
                    );
                    let key = Key {
                        curve: "assemblers",
                        series,
                        count,
                        of: "assemblers",
                        per: "fragment",
                    };
                    points.push(point(key, &entrants, count as usize, turn));
                }
            }
        }
    }
    Ok(points)
}

fn case(size: u32, in_progress: u32) -> Case {
    Case { size, fragments: 8, in_progress, arrival: Arrival::InOrder }
}

/// The first `count` of those who wait for their turn.
fn point(key: Key, entrants: &Entrants, count: usize, turn: Turn) -> Point<'static> {
    let entrants = Rc::clone(entrants);
    Point {
        key,
        measure: Box::new(move || {
            let entrants = &mut entrants.borrow_mut()[..count];
            let bytes: usize = entrants.iter().map(Entrant::working_set).sum();
            let mut sample = turn.measure(entrants)?;
            sample.also.push(("working_set_kib", bytes as f64 / 1024.0));
            Ok(sample)
        }),
    }
}
