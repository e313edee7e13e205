//! A token bucket that threads share without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// Slowest rate that is accepted, in Gb/s: 1 kb/s.
pub(super) const SLOWEST: f64 = 1e-6;
/// Fastest, in Gb/s. No link is as fast.
pub(super) const FASTEST: f64 = 8000.0;

/// Bits behind the point of a rate in bytes per nanosecond. The slowest rate
/// still has 29 of them, and the fastest, times 290 years, fits 128 bits.
const FRACTION: u32 = 52;

/// How much faster than the rate what was missed is made up for.
const MAKING_UP: f64 = 1.03;
/// Nanoseconds' worth of bytes that are made up for so.
const MADE_UP_FOR: u64 = 20_000_000;

/// Two token buckets, and bytes leave when both allow them: the steady one is
/// asked first, and the peak one when that time has come.
///
/// | bucket | rate | saved up | so that |
/// |---|---|---|---|
/// | steady | as asked | 20 ms | a thread that was kept from running costs nothing on the whole |
/// | peak | 3 % more | a burst | no short time sees much more than the rate |
#[derive(Debug)]
pub(super) struct Bucket {
    steady: Tokens,
    peak: Tokens,
}

impl Bucket {
    /// With up to `burst_ns` worth of bytes that may leave at once. `None`
    /// for what is not a rate.
    pub(super) fn new(rate_gbps: f64, burst_ns: u64) -> Option<Self> {
        // NaN lies in no range.
        if !(SLOWEST..=FASTEST).contains(&rate_gbps) {
            return None;
        }
        let steady = Tokens::new(rate_gbps, burst_ns.max(MADE_UP_FOR));
        let mut peak = Tokens::new(rate_gbps * MAKING_UP, 0);
        peak.burst = steady.allowed(burst_ns);
        Some(Self { steady, peak })
    }

    /// Bytes that may leave within `ns` at the rate.
    pub(super) fn allowed(&self, ns: u64) -> u64 {
        self.steady.allowed(ns)
    }

    /// Takes `bytes` out of the steady bucket at `now_ns`, and returns when
    /// they are due: in the past, if not later than now. Both are nanoseconds
    /// since the start.
    pub(super) fn reserve(&self, now_ns: u64, bytes: u64) -> u64 {
        self.steady.take(now_ns, bytes)
    }

    /// Takes them out of the peak bucket, when they are about to leave, and
    /// returns when they may: who leaves late does not leave together with
    /// others that are late.
    pub(super) fn pass(&self, now_ns: u64, bytes: u64) -> u64 {
        self.peak.take(now_ns, bytes)
    }
}

/// A token bucket, kept as the number of bytes promised since the start.
///
/// ```text
///            allowed(now) − burst        allowed(now)
///  bytes ────────┬────────────────────────────┬─────────────▶
///   promised here│: what was saved up         │promised here: wait
///   before is    │  is used, no wait          │until the rate has come
///   forfeited    │                            │so far
/// ```
///
/// A byte is the unit, so adding is exact; only the rate is rounded, to a
/// part in 10⁹. All threads add to one number: the sum keeps the rate.
#[derive(Debug)]
struct Tokens {
    rate: u128,
    burst: u64,
    promised: AtomicU64,
}

impl Tokens {
    fn new(rate_gbps: f64, burst_ns: u64) -> Self {
        // A Gb/s is a bit per nanosecond.
        let rate = (rate_gbps / 8.0 * f64::from(FRACTION).exp2()).round() as u128;
        let mut tokens = Self { rate, burst: 0, promised: AtomicU64::new(0) };
        tokens.burst = tokens.allowed(burst_ns);
        tokens
    }

    fn allowed(&self, ns: u64) -> u64 {
        u64::try_from((u128::from(ns) * self.rate) >> FRACTION).unwrap_or(u64::MAX)
    }

    /// When the rate has allowed that many bytes.
    fn when(&self, bytes: u64) -> u64 {
        let ns = (u128::from(bytes) << FRACTION).div_ceil(self.rate);
        u64::try_from(ns).unwrap_or(u64::MAX)
    }

    fn take(&self, now_ns: u64, bytes: u64) -> u64 {
        // What was not used is not saved up for ever.
        let saved_up = self.allowed(now_ns).saturating_sub(self.burst);
        // Nothing else is handed over with this number: no ordering needed.
        let mut promised = self.promised.load(Ordering::Relaxed);
        loop {
            let from = promised.max(saved_up);
            match self.promised.compare_exchange_weak(
                promised,
                from.saturating_add(bytes),
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return self.when(from),
                Err(other) => promised = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BURST: u64 = 400_000;
    const LATE: u64 = 1_000_000_000;

    /// A bucket that nothing is saved up in at `now`.
    fn dry(rate_gbps: f64, now: u64) -> Bucket {
        let bucket = Bucket::new(rate_gbps, BURST).unwrap();
        for tokens in [&bucket.steady, &bucket.peak] {
            tokens.promised.store(tokens.allowed(now), Ordering::Relaxed);
        }
        bucket
    }

    /// When bytes leave that are asked for at `now`, on a clock that waits
    /// exactly: in the past, if not later than now.
    fn leaves(bucket: &Bucket, now: u64, bytes: u64) -> u64 {
        let due = bucket.reserve(now, bytes);
        due.max(bucket.pass(due.max(now), bytes))
    }

    /// Sends `count` times `bytes` on a clock that waits exactly, and returns
    /// how long that took.
    fn time_for(rate_gbps: f64, bytes: u64, count: u64) -> f64 {
        let bucket = dry(rate_gbps, LATE);
        let mut now = LATE;
        for _ in 0..count {
            now = now.max(leaves(&bucket, now, bytes));
        }
        // The last of them is due then, and takes its own time still.
        (now - LATE) as f64 + bytes as f64 * 8.0 / rate_gbps
    }

    #[test]
    fn rates_are_exact_below_a_microsecond_and_over_hours() {
        for (rate, bytes, count) in [
            (0.01, 1500, 1_000_000),
            (1.0, 1_048_576, 10_000),
            (10.0, 1000, 1_000_000),
            (10.0, 64, 1_000_000),
            (100.0, 64, 3_000_000),
            (400.0, 9000, 1_000_000),
            (3.3, 1499, 1_000_000),
            (0.000_001, 1500, 100_000),
        ] {
            let ideal = bytes as f64 * count as f64 * 8.0 / rate;
            let took = time_for(rate, bytes, count);
            let error = (took - ideal).abs();
            // A byte at the start, which takes 8 ms at 1 kb/s, and the rate's
            // own rounding.
            let allowed = 2.0 + 8.0 / rate + ideal * 1e-8;
            assert!(error < allowed, "{took} ns, not {ideal}, at {rate} Gb/s");
        }
    }

    #[test]
    fn one_event_takes_what_its_bytes_take() {
        let bucket = dry(1.0, LATE);
        assert_eq!(leaves(&bucket, LATE, 1_048_576), LATE);
        assert_eq!(leaves(&bucket, LATE, 3000), LATE + 8_388_608);
        assert_eq!(leaves(&bucket, LATE + 8_388_608, 1), LATE + 8_388_608 + 24_000);
        // 512 MiB and more do not overflow.
        let bucket = dry(1.0, LATE);
        leaves(&bucket, LATE, u64::from(u32::MAX));
        assert_eq!(leaves(&bucket, LATE, 1), LATE + u64::from(u32::MAX) * 8);
    }

    #[test]
    fn a_pause_is_made_up_for_within_bounds_only() {
        let bucket = Bucket::new(8.0, BURST).unwrap(); // a byte per ns
        let mut at_once = 0;
        while leaves(&bucket, LATE, 1000) <= LATE {
            at_once += 1000;
        }
        assert!((BURST..=BURST + 1000).contains(&at_once), "{at_once}");
        // An oversleep of 50 µs costs nothing on the whole.
        let bucket = dry(8.0, LATE);
        let (mut now, mut sent) = (LATE, 0u64);
        while now < 2 * LATE {
            let due = leaves(&bucket, now, 10_000);
            now = if due > now { due + 50_000 } else { now };
            sent += 10_000;
        }
        assert!(sent.abs_diff(LATE) < 2 * BURST, "{sent}");
    }

    /// A thread that does not run for 10 ms costs nothing on the whole, and no
    /// window of 10 ms shows it by more than the 3 %.
    #[test]
    fn what_a_late_thread_missed_is_made_up_for_slowly() {
        let bucket = dry(8.0, LATE);
        let (mut now, mut sent, mut last) = (LATE, 0u64, LATE);
        let mut per_window = [0u64; 101];
        while now < 2 * LATE {
            now = now.max(leaves(&bucket, now, 10_000));
            if now - last > 500_000_000 {
                now += 10_000_000;
                last = now;
            }
            sent += 10_000;
            if let Some(window) = per_window.get_mut(((now - LATE) / 10_000_000) as usize) {
                *window += 10_000;
            }
        }
        assert!(sent.abs_diff(LATE) < LATE / 100, "{sent}");
        let most = per_window.iter().max().unwrap();
        assert!(*most <= 10_300_000 + BURST + 20_000, "{most}");
        // A longer pause is not made up for.
        let before = now;
        now += LATE;
        let start = now;
        while now < start + LATE {
            now = now.max(leaves(&bucket, now, 10_000));
            sent += 10_000;
        }
        let missed = (now - before) - (sent - (before - LATE));
        assert!(missed.abs_diff(LATE - MADE_UP_FOR) < LATE / 100, "{missed}");
    }

    /// Whatever is asked when, no window of 10 ms gets more than the peak
    /// rate, one burst and one portion.
    #[test]
    fn no_window_exceeds_the_rate_and_the_burst() {
        const WINDOW: u64 = 10_000_000;
        const PORTION: u64 = 100_000;
        let bucket = Bucket::new(8.0, BURST).unwrap();
        let mut random = xdpsar_dataplane::random::SplitMix64::new(3);
        let mut now = 0;
        let mut left: std::collections::VecDeque<(u64, u64)> = Default::default();
        let mut within = 0;
        for _ in 0..200_000 {
            if random.below(100) == 0 {
                now += random.below(3_000_000);
            }
            let bytes = 1 + random.below(PORTION);
            now = now.max(leaves(&bucket, now, bytes)) + random.below(60_000);
            left.push_back((now, bytes));
            within += bytes;
            while left.front().is_some_and(|(at, _)| now - at >= WINDOW) {
                within -= left.pop_front().map_or(0, |(_, bytes)| bytes);
            }
            // What slept too long leaves 60 µs late at most.
            let most = WINDOW + WINDOW * 3 / 100 + BURST + PORTION + 62_000;
            assert!(within <= most, "{within}");
        }
    }

    #[test]
    fn threads_together_keep_the_rate() {
        let bucket = dry(8.0, LATE);
        let latest = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..50_000).map(|_| leaves(&bucket, LATE, 100)).max()))
                .collect();
            senders.into_iter().filter_map(|sender| sender.join().unwrap()).max()
        });
        assert_eq!(latest, Some(LATE + 4 * 50_000 * 100 - 100));
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        let odd = [f64::NAN, 0.0, -0.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, 1e-9, 1e300];
        for rate in odd {
            assert!(Bucket::new(rate, BURST).is_none(), "{rate}");
        }
        assert!(Bucket::new(SLOWEST, BURST).is_some() && Bucket::new(FASTEST, BURST).is_some());
    }

    /// Two threads that wake up at the same time, both late, do not leave
    /// together.
    #[test]
    fn late_threads_leave_one_after_the_other() {
        const DATAGRAM: u64 = 1500;
        // A datagram takes 1.2 ms.
        let bucket = dry(0.01, LATE);
        let due = [(); 2].map(|()| bucket.reserve(LATE, DATAGRAM));
        let late = LATE + 5_000_000;
        assert!(due[0] <= LATE && (LATE + 1_000_000..late).contains(&due[1]), "{due:?}");
        assert!(bucket.pass(late, DATAGRAM) <= late);
        let apart = bucket.pass(late, DATAGRAM) - late;
        // All but the burst, at the peak rate.
        assert!((700_000..=800_000).contains(&apart), "{apart}");
    }
}
