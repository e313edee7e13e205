//! No faster than so many bits per second.

use std::time::{Duration, Instant};

use xdpsar_dataplane::send::Pace;

/// Slowest rate that is accepted, in Gb/s: 1 kb/s.
const SLOWEST: f64 = 1e-6;
/// Time's worth of bytes that may leave in one system call.
const AT_ONCE_NS: u64 = 200_000;
/// Time's worth of bytes that may be made up for after a pause or a late
/// awakening.
const BURST_NS: u64 = 400_000;
/// A sleep ends up to this much late (the kernel's timer slack is 50 µs), so
/// the last stretch is spun.
const SPIN: Duration = Duration::from_micros(80);

/// A time in units of 2⁻³² ns.
type Fine = u128;
const FINE_BITS: u32 = 32;

const fn fine(ns: u64) -> Fine {
    (ns as Fine) << FINE_BITS
}

/// A token bucket, kept as the time at which the next byte is due. Every byte
/// moves it on by exactly what it takes at the rate; no rounding adds up.
#[derive(Clone, Debug)]
struct Bucket {
    per_byte: Fine,
    due: Fine,
}

impl Bucket {
    /// `None` for what is not a rate.
    fn new(rate_gbps: f64) -> Option<Self> {
        if !rate_gbps.is_finite() || rate_gbps < SLOWEST {
            return None;
        }
        // A Gb/s is a bit per nanosecond.
        let per_byte = (8.0 / rate_gbps * f64::from(FINE_BITS).exp2()).round() as Fine;
        Some(Self { per_byte: per_byte.max(1), due: 0 })
    }

    /// Bytes that take `ns` at this rate.
    fn bytes_in(&self, ns: u64) -> u64 {
        u64::try_from(fine(ns) / self.per_byte).unwrap_or(u64::MAX)
    }

    /// Takes `bytes` out at `now`, and returns how many nanoseconds to wait
    /// before they may leave.
    fn take(&mut self, now_ns: u64, bytes: u64) -> u64 {
        let now = fine(now_ns);
        // What was not used is not saved up for ever.
        let due = self.due.max(now.saturating_sub(fine(BURST_NS)));
        self.due = due + Fine::from(bytes) * self.per_byte;
        let wait = due.saturating_sub(now).div_ceil(fine(1));
        u64::try_from(wait).unwrap_or(u64::MAX)
    }
}

/// Paces a sender by the monotonic clock: sleeps, and spins for the last bit.
#[derive(Clone, Debug)]
pub(super) struct Paced {
    bucket: Bucket,
    start: Instant,
    at_once: u64,
}

impl Paced {
    /// `None` for what is not a rate: NaN, infinite, less than 1 kb/s.
    pub(super) fn new(rate_gbps: f64) -> Option<Self> {
        let bucket = Bucket::new(rate_gbps)?;
        let at_once = bucket.bytes_in(AT_ONCE_NS);
        Some(Self { bucket, start: Instant::now(), at_once })
    }
}

impl Pace for Paced {
    fn at_once(&self) -> u64 {
        self.at_once
    }

    fn wait_for(&mut self, ip_bytes: u64) {
        let now = self.start.elapsed();
        let now_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let wait = Duration::from_nanos(self.bucket.take(now_ns, ip_bytes));
        if wait.is_zero() {
            return;
        }
        let due = now + wait;
        if let Some(sleep) = wait.checked_sub(SPIN) {
            std::thread::sleep(sleep);
        }
        while self.start.elapsed() < due {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: u64 = 1_000_000_000;

    /// Sends `count` times `bytes` on a clock that waits exactly, and returns
    /// how long that took, from when the saved-up burst is used.
    fn time_for(rate_gbps: f64, bytes: u64, count: u64) -> f64 {
        let mut bucket = Bucket::new(rate_gbps).unwrap();
        let mut now = LATE;
        bucket.due = fine(now);
        for _ in 0..count {
            now += bucket.take(now, bytes);
        }
        // The last of them is due then, and takes its own time still.
        (now - LATE) as f64 + bytes as f64 * 8.0 / rate_gbps
    }

    #[test]
    fn rates_are_exact_below_a_microsecond_and_over_hours() {
        for (rate, bytes, count) in [
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
            assert!(error < 2.0 + ideal * 1e-8, "{took} ns, not {ideal}, at {rate} Gb/s");
        }
    }

    #[test]
    fn one_event_takes_what_its_bytes_take() {
        let mut bucket = Bucket::new(1.0).unwrap();
        bucket.due = fine(LATE);
        assert_eq!(bucket.take(LATE, 1_048_576), 0);
        assert_eq!(bucket.take(LATE, 3000), 8_388_608);
        assert_eq!(bucket.take(LATE + 8_388_608, 1), 24_000);
        // 512 MiB and more do not overflow.
        bucket.due = fine(LATE);
        bucket.take(LATE, u64::from(u32::MAX));
        assert_eq!(bucket.take(LATE, 1), u64::from(u32::MAX) * 8);
    }

    #[test]
    fn a_pause_is_made_up_for_within_bounds_only() {
        let mut bucket = Bucket::new(8.0).unwrap(); // a byte per ns
        let mut at_once = 0;
        while bucket.take(LATE, 1000) == 0 {
            at_once += 1000;
        }
        assert!((BURST_NS..=BURST_NS + 1000).contains(&at_once), "{at_once}");
        // An oversleep of 50 µs costs nothing on the whole.
        let mut bucket = Bucket::new(8.0).unwrap();
        let (mut now, mut sent) = (LATE, 0u64);
        bucket.due = fine(now);
        while now < 2 * LATE {
            let wait = bucket.take(now, 10_000);
            now += if wait > 0 { wait + 50_000 } else { 0 };
            sent += 10_000;
        }
        assert!(sent.abs_diff(LATE) < 2 * BURST_NS, "{sent}");
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for rate in [f64::NAN, 0.0, -0.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, 1e-9] {
            assert!(Paced::new(rate).is_none(), "{rate}");
        }
        assert_eq!(Paced::new(8.0).unwrap().at_once(), 200_000);
        assert!(Paced::new(1e300).unwrap().at_once() > 0);
    }

    #[test]
    fn the_real_clock_keeps_the_rate() {
        let mut paced = Paced::new(1.0).unwrap();
        let start = Instant::now();
        for _ in 0..20 {
            paced.wait_for(125_000); // 1 ms each
        }
        let took = start.elapsed();
        // Never faster than the burst allows; slower only if the machine is.
        assert!(took >= Duration::from_micros(19_000 - 400), "{took:?}");
    }
}
