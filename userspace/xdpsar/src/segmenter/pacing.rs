//! No faster than so many bits per second: all threads of a segmenter
//! together.

mod bucket;

use std::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use xdpsar_dataplane::{SetupError, error::SetupErrorKind, send::Pace};

use self::bucket::{Bucket, FASTEST, SLOWEST};

/// Bytes that a frame adds on an Ethernet wire to its IP datagram: header 14,
/// check sequence 4, preamble 8, gap 12.
const ETHERNET: u64 = 14 + 4 + 8 + 12;
/// Default time's worth of bytes that may be made up for at once after a
/// pause or a late awakening. A quarter of it leaves in one go: what a late
/// thread adds to others' shall be small against the burst.
pub(super) const DEFAULT_BURST: Duration = Duration::from_micros(400);
/// Longest burst that is accepted.
const LONGEST_BURST: Duration = Duration::from_secs(1);
/// A sleep ends up to this much late (the kernel's timer slack is 50 µs), so
/// the last stretch is spun.
const SPIN: Duration = Duration::from_micros(80);
/// Longest sleep before a look at whether the sender is being stopped.
const NAP: Duration = Duration::from_millis(10);

/// How a rate is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pacing {
    /// In Gb/s.
    pub(super) rate: f64,
    /// How much may be made up for.
    pub(super) burst: Duration,
    /// Whether what Ethernet adds counts.
    pub(super) ethernet: bool,
    /// Whether an event is spread over its time, or leaves at once and the
    /// next one waits.
    pub(super) smooth: bool,
}

/// What all threads of a segmenter share of its pace.
#[derive(Debug)]
pub(super) struct Pacer {
    bucket: Bucket,
    start: Instant,
    at_once: u64,
    smooth: bool,
    mtu: u64,
    per_datagram: u64,
    lag_ns: AtomicU64,
}

impl Pacer {
    /// For datagrams of up to `mtu` bytes.
    ///
    /// # Errors
    /// [`SetupErrorKind::Usage`]: NaN, 0, negative, out of bounds.
    pub(super) fn new(pacing: &Pacing, mtu: u32) -> Result<Self, SetupError> {
        let usage = |asked, found: &str, remedy: String| {
            SetupError::new(SetupErrorKind::Usage, asked, found, remedy)
        };
        if pacing.burst.is_zero() || pacing.burst > LONGEST_BURST {
            return Err(usage(
                format!("make up for pauses of {:?}", pacing.burst),
                "a sleep never ends on time, and a longer burst is no pace",
                format!("choose up to {LONGEST_BURST:?} (default {DEFAULT_BURST:?})"),
            ));
        }
        // At most a second: it fits.
        let burst = pacing.burst.as_nanos() as u64;
        let bucket = Bucket::new(pacing.rate, burst).ok_or_else(|| {
            usage(
                format!("send at {} Gb/s", pacing.rate),
                "that is no rate to send at",
                format!("choose from {SLOWEST} (1 kb/s) to {FASTEST}, or no limit"),
            )
        })?;
        Ok(Self {
            at_once: if pacing.smooth { bucket.allowed(burst / 4) } else { u64::MAX },
            smooth: pacing.smooth,
            bucket,
            start: Instant::now(),
            mtu: u64::from(mtu),
            per_datagram: if pacing.ethernet { ETHERNET } else { 0 },
            lag_ns: AtomicU64::new(0),
        })
    }

    /// The longest that bytes left after they were due, because waiting for
    /// that time ended late.
    pub(super) fn lag(&self) -> Duration {
        Duration::from_nanos(self.lag_ns.load(Ordering::Relaxed))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Bytes on the wire of datagrams of one event that follow each other:
    /// all but the last are as long as may be.
    fn on_the_wire(&self, ip_bytes: u64) -> u64 {
        ip_bytes + ip_bytes.div_ceil(self.mtu) * self.per_datagram
    }

    /// Sleeps, and spins for the last bit; returns early once that is `over`.
    fn wait_until(&self, due: u64, over: impl Fn() -> bool) {
        let now = self.now();
        if due <= now {
            return;
        }
        let mut left = Duration::from_nanos(due - now);
        while let Some(sleep) = left.checked_sub(SPIN).filter(|sleep| !sleep.is_zero()) {
            std::thread::sleep(sleep.min(NAP));
            if over() {
                return;
            }
            left = Duration::from_nanos(due.saturating_sub(self.now()));
        }
        let mut now = self.now();
        while now < due {
            std::hint::spin_loop();
            now = self.now();
        }
        self.lag_ns.fetch_max(now - due, Ordering::Relaxed);
    }
}

/// The pace of one event: none, the rate, and an end when stopped.
pub(super) struct EventPace<'a> {
    pacer: Option<&'a Pacer>,
    halt: &'a AtomicBool,
    /// The caller's own reason to stop.
    given_up: Option<&'a dyn Fn() -> bool>,
    begun: bool,
}

impl fmt::Debug for EventPace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventPace").field("pacer", &self.pacer).finish_non_exhaustive()
    }
}

impl<'a> EventPace<'a> {
    pub(super) fn new(pacer: Option<&'a Pacer>, halt: &'a AtomicBool) -> Self {
        Self { pacer, halt, given_up: None, begun: false }
    }

    /// The same, until that is so.
    pub(super) fn until(self, given_up: &'a dyn Fn() -> bool) -> Self {
        Self { given_up: Some(given_up), ..self }
    }
}

impl Pace for EventPace<'_> {
    fn at_once(&self) -> u64 {
        self.pacer.map_or(u64::MAX, |pacer| pacer.at_once)
    }

    fn wait_for(&mut self, ip_bytes: u64) {
        let Some(pacer) = self.pacer else { return };
        let bytes = pacer.on_the_wire(ip_bytes);
        // An event that leaves at once is waited for as a whole.
        let waits = pacer.smooth || !self.begun;
        let due = pacer.bucket.reserve(pacer.now(), bytes);
        if waits {
            pacer.wait_until(due, || self.gives_up());
        }
        let due = pacer.bucket.pass(pacer.now(), bytes);
        if waits {
            pacer.wait_until(due, || self.gives_up());
        }
        self.begun = true;
    }

    fn gives_up(&self) -> bool {
        self.halt.load(Ordering::Relaxed) || self.given_up.is_some_and(|given_up| given_up())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACING: Pacing =
        Pacing { rate: 1.0, burst: DEFAULT_BURST, ethernet: false, smooth: true };
    static GO: AtomicBool = AtomicBool::new(false);

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for rate in [f64::NAN, 0.0, -1.0, f64::INFINITY] {
            let error = Pacer::new(&Pacing { rate, ..PACING }, 1500).unwrap_err();
            assert_eq!(error.kind, SetupErrorKind::Usage);
            assert!(error.to_string().contains("no rate to send at"), "{error}");
        }
        for burst in [Duration::ZERO, Duration::from_secs(2)] {
            let error = Pacer::new(&Pacing { burst, ..PACING }, 1500).unwrap_err();
            assert!(error.to_string().contains("burst"), "{error}");
        }
    }

    #[test]
    fn ethernet_counts_by_the_frame() {
        let of = |ethernet, ip_bytes| {
            Pacer::new(&Pacing { ethernet, ..PACING }, 1500).unwrap().on_the_wire(ip_bytes)
        };
        assert_eq!([of(false, 0), of(false, 64), of(false, 3001)], [0, 64, 3001]);
        assert_eq!([of(true, 64), of(true, 1500)], [102, 1538]);
        assert_eq!([of(true, 1501), of(true, 3000)], [1501 + 76, 3000 + 76]);
    }

    #[test]
    fn a_quarter_of_a_burst_leaves_at_once_or_the_whole_event() {
        let pacer = Pacer::new(&Pacing { rate: 8.0, ..PACING }, 1500).unwrap();
        assert_eq!(EventPace::new(Some(&pacer), &GO).at_once(), 100_000);
        let pacer = Pacer::new(&Pacing { smooth: false, ..PACING }, 1500).unwrap();
        assert_eq!(EventPace::new(Some(&pacer), &GO).at_once(), u64::MAX);
        assert_eq!(EventPace::new(None, &GO).at_once(), u64::MAX);
    }

    #[test]
    fn the_real_clock_keeps_the_rate() {
        let pacer = Pacer::new(&PACING, 9000).unwrap();
        let mut pace = EventPace::new(Some(&pacer), &GO);
        let start = Instant::now();
        for _ in 0..20 {
            pace.wait_for(125_000); // 1 ms each
        }
        let took = start.elapsed();
        // Never faster than the burst allows; slower only if the machine is.
        assert!(took >= Duration::from_micros(19_000 - 400), "{took:?}");
        assert!(pacer.lag() > Duration::ZERO, "no clock wakes up to the nanosecond");
    }

    #[test]
    fn between_events_the_first_portion_waits_for_all_before() {
        let pacer = Pacer::new(&Pacing { rate: 0.02, smooth: false, ..PACING }, 9000).unwrap();
        let start = Instant::now();
        let mut first = EventPace::new(Some(&pacer), &GO);
        for _ in 0..20 {
            first.wait_for(125_000); // 50 ms each
        }
        // A machine that pauses for most of a second is not expected.
        assert!(start.elapsed() < Duration::from_millis(900), "the event itself is not spread");
        EventPace::new(Some(&pacer), &GO).wait_for(1);
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(1000 - 1), "{took:?}");
    }

    #[test]
    fn a_stop_ends_the_wait() {
        let pacer = Pacer::new(&Pacing { rate: SLOWEST, ..PACING }, 9000).unwrap();
        let halt = AtomicBool::new(true);
        let start = Instant::now();
        let mut pace = EventPace::new(Some(&pacer), &halt);
        pace.wait_for(1_000_000);
        pace.wait_for(1); // due in 8000 s
        let halt = AtomicBool::new(false);
        let mut pace = EventPace::new(Some(&pacer), &halt).until(&|| true);
        pace.wait_for(1);
        assert!(pace.gives_up());
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
