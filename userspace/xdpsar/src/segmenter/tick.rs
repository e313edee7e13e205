//! Ticks: the LB event numbers of automatic events.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use xdpsar_dataplane::random::SplitMix64;

/// What the ticks of events are that name none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ticks {
    /// Microseconds since the epoch when the event is sent: strictly growing
    /// and unique in this segmenter, with evenly spread low bits.
    #[default]
    Clock,
    /// The event's number, whatever its low bits. Sync, if any, announces the
    /// numbers then, and their measured rate or none.
    EventNumber,
}

/// The ticks of all threads of a segmenter.
#[derive(Debug)]
pub(super) enum TickAxis {
    Clock(Mutex<TickClock>),
    /// The last number that was sent.
    EventNumber(AtomicU64),
}

impl TickAxis {
    /// `first_event`: what an axis of event numbers starts at.
    pub(super) fn new(ticks: Ticks, first_event: u64) -> Self {
        match ticks {
            Ticks::Clock => {
                let seed = SplitMix64::from_os().next_u64();
                Self::Clock(Mutex::new(TickClock::new(seed)))
            }
            Ticks::EventNumber => Self::EventNumber(AtomicU64::new(first_event)),
        }
    }

    /// The tick of an event that is about to be sent.
    pub(super) fn next(&self, event_number: u64) -> u64 {
        match self {
            // The clock stays whole whatever happens to who holds it.
            Self::Clock(clock) => {
                clock.lock().unwrap_or_else(PoisonError::into_inner).next(now_us())
            }
            Self::EventNumber(last) => {
                last.store(event_number, Ordering::Relaxed);
                event_number
            }
        }
    }

    /// Where the axis stands now.
    pub(super) fn position(&self) -> u64 {
        match self {
            Self::Clock(_) => now_us(),
            Self::EventNumber(last) => last.load(Ordering::Relaxed),
        }
    }
}

/// Microseconds since the epoch; 0 on a clock before it.
pub(super) fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

/// The load balancer chooses the worker by the low 9 bits of a tick
/// (`data-plane.md` §1.7).
const SLOTS: u64 = 512;

/// Makes ticks that grow strictly, keep to the microsecond axis that Sync
/// announces, and spread evenly over the slots however regular the events.
///
/// ```text
///        last call                now
///  ──────────┬─────────────────────┬──▶ µs      a tick is drawn from the time since
///            └────── drawn ────────┘            the last call, but the last 512 µs at most
/// ```
///
/// The intervals of successive calls do not overlap, so ticks grow; together
/// they tile the axis, so ticks are even over any 512 in a row. From a clock
/// taken as it is, events once a millisecond would reach 64 slots of 512.
///
/// Where events come faster than one per microsecond, or the clock steps
/// back, a tick is one more than the last.
#[derive(Clone, Debug)]
pub(super) struct TickClock {
    last_tick: u64,
    last_call: u64,
    random: SplitMix64,
}

impl TickClock {
    pub(super) const fn new(seed: u64) -> Self {
        Self { last_tick: 0, last_call: 0, random: SplitMix64::new(seed) }
    }

    /// A tick for an event at `now`, in microseconds since the epoch.
    #[inline]
    pub(super) fn next(&mut self, now: u64) -> u64 {
        // All up to `taken` is used or belongs to the calls before.
        let mut taken = self.last_tick.max(now.saturating_sub(SLOTS));
        if self.last_call < now {
            taken = taken.max(self.last_call);
        }
        self.last_call = now;
        self.last_tick = taken + 1 + self.random.below(now.saturating_sub(taken));
        self.last_tick
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_795_244_877_222_629;

    /// Ticks of events that far apart, of which `at_once` share a time.
    fn ticks(apart: impl Iterator<Item = u64>, at_once: u64) -> Vec<u64> {
        let mut clock = TickClock::new(42);
        let mut now = START;
        apart
            .take(100_000)
            .map(|step| {
                now += step;
                let tick = clock.next(now);
                assert!(tick < now + at_once, "{tick} is ahead of {now}");
                assert!(tick + SLOTS > now, "{tick} lags behind {now}");
                tick
            })
            .collect()
    }

    /// χ² of the low 9 bits; 511 expected, standard deviation 32.
    fn chi_square(ticks: &[u64]) -> f64 {
        let mut counts = [0u32; SLOTS as usize];
        for tick in ticks {
            counts[(tick % SLOTS) as usize] += 1;
        }
        let expected = ticks.len() as f64 / SLOTS as f64;
        counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
    }

    #[test]
    fn ticks_grow_and_reach_all_slots_evenly_at_any_interval() {
        for step in [0, 1, 2, 7, 100, 256, 384, 511, 512, 513, 1000, 1024, 8192, 1_000_000] {
            let ticks = ticks(std::iter::repeat(step), if step == 0 { 100_000 } else { 1 });
            assert!(ticks.is_sorted_by(|a, b| a < b), "at {step} µs");
            let chi_square = chi_square(&ticks);
            assert!(chi_square < 511.0 + 6.0 * 32.0, "χ² {chi_square} at {step} µs");
        }
        // Bursts: a hundred at once, every 10 ms.
        let bursts = (0u64..).map(|n| if n % 100 == 0 { 10_000 } else { 0 });
        let ticks = ticks(bursts, 100);
        assert!(ticks.is_sorted_by(|a, b| a < b));
        assert!(chi_square(&ticks) < 3.0 * 511.0, "χ² {}", chi_square(&ticks));
    }

    #[test]
    fn ten_million_ticks_of_four_threads_are_unique_and_even() {
        const THREADS: usize = 4;
        const EACH: usize = 2_500_000;
        let axis = TickAxis::new(Ticks::Clock, 0);
        let before = now_us();
        let mut all: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| scope.spawn(|| (0..EACH).map(|_| axis.next(0)).collect::<Vec<_>>()))
                .collect();
            threads
                .into_iter()
                .flat_map(|thread| {
                    let own = thread.join().unwrap();
                    assert!(own.is_sorted_by(|a, b| a < b), "each thread's ticks grow");
                    own
                })
                .collect()
        });
        all.sort_unstable();
        assert!(all.is_sorted_by(|a, b| a < b), "no tick twice");
        assert!(all[0] + SLOTS > before);
        // Faster than one per microsecond they count on, and may run ahead by
        // as many as there are.
        assert!(all[all.len() - 1] < now_us() + all.len() as u64);
        let chi_square = chi_square(&all);
        assert!(chi_square < 511.0 + 6.0 * 32.0, "χ² {chi_square}");
    }

    #[test]
    fn event_numbers_are_ticks_where_asked_for() {
        let axis = TickAxis::new(Ticks::EventNumber, 100);
        assert_eq!(axis.position(), 100);
        assert_eq!((axis.next(7), axis.next(u64::MAX), axis.next(0)), (7, u64::MAX, 0));
        axis.next(12);
        assert_eq!(axis.position(), 12);
    }

    #[test]
    fn a_clock_that_steps_back_makes_no_tick_twice() {
        let mut clock = TickClock::new(1);
        let before = clock.next(START);
        assert_eq!(clock.next(START - 1_000_000), before + 1);
        assert_eq!(clock.next(START - 999_999), before + 2);
        assert!(clock.next(START + 5000) > before + 2);
        assert!(clock.next(0) > START + 4000);
        assert_eq!(TickClock::new(1).next(0), 1);
    }
}
