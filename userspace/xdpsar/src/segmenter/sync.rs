//! Telling the control plane where the ticks are (`data-plane.md` §1.5,
//! §3.11).

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use xdpsar_dataplane::{SetupError, error::SetupErrorKind};
use xdpsar_wire::SyncMessage;
use zerocopy::IntoBytes;

use super::{Ticks, tick::TickAxis};

/// Ticks per second on the axis of [`Ticks::Clock`].
const MEGAHERTZ: u32 = 1_000_000;
/// The control plane forgets samples after a minute; six of them belong there.
const LONGEST_PERIOD: Duration = Duration::from_secs(10);
/// Closer together they say nothing new.
const SHORTEST_PERIOD: Duration = Duration::from_millis(1);
/// Messages that a measured rate looks back on: as many as the control plane
/// keeps.
const SAMPLES: usize = 10;

/// What Sync messages say about the rate of ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncRate {
    /// 1 000 000 per second: what [`Ticks::Clock`] are.
    #[default]
    Megahertz,
    /// How fast ticks have grown over the last ten messages; 0 in the first.
    Measured,
    /// 0: the control plane estimates it.
    Zero,
}

/// Sync messages: to whom, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncConfig {
    /// The control plane's sync address.
    pub to: SocketAddr,
    /// Which sender this is, among those of one load balancer.
    pub source_id: u32,
    /// From one message to the next: 10 s at most. Default 1 s.
    pub period: Duration,
    /// What the messages say about the rate of ticks.
    pub rate: SyncRate,
    /// How long messages are sent before the first event is; until then,
    /// sending waits. Default 1 s.
    pub warm_up: Duration,
}

impl SyncConfig {
    /// A message each second, from a second before the first event.
    pub const fn new(to: SocketAddr, source_id: u32) -> Self {
        Self {
            to,
            source_id,
            period: Duration::from_secs(1),
            rate: SyncRate::Megahertz,
            warm_up: Duration::from_secs(1),
        }
    }

    /// Refuses what cannot be meant.
    pub(super) fn check(&self, ticks: Ticks) -> Result<(), SetupError> {
        let usage = |asked: String, found: &str, remedy: String| {
            Err(SetupError::new(SetupErrorKind::Usage, asked, found, remedy))
        };
        if !(SHORTEST_PERIOD..=LONGEST_PERIOD).contains(&self.period) {
            return usage(
                format!("a Sync message every {:?}", self.period),
                "the control plane goes by those of the last minute",
                format!("choose from {SHORTEST_PERIOD:?} to {LONGEST_PERIOD:?}"),
            );
        }
        if ticks == Ticks::EventNumber && self.rate == SyncRate::Megahertz {
            return usage(
                "Sync messages at 1 000 000 ticks per second of event numbers".into(),
                "event numbers grow as fast as events are sent",
                "announce the measured rate, or 0".into(),
            );
        }
        if self.to.port() == 0 || self.to.ip().is_unspecified() {
            return usage(
                format!("send Sync messages to {}", self.to),
                "that is no address to send to",
                "name the sync address of the EJFAT URI".into(),
            );
        }
        Ok(())
    }
}

/// What was told to the control plane. Names are stable: this is also the
/// JSON form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SyncStats {
    /// Messages that the kernel has taken.
    pub sent: u64,
    /// Messages that it has not, each counted once; the next one is another
    /// try.
    pub errors: u64,
    /// What it said last.
    pub last_error: Option<String>,
}

/// The thread that sends them.
#[derive(Debug)]
pub(super) struct SyncThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    stopped: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stop: bool,
    stats: SyncStats,
}

impl SyncThread {
    /// Starts sending, the first message at once. From `source`, if named.
    pub(super) fn start(
        config: SyncConfig,
        source: Option<IpAddr>,
        axis: Arc<TickAxis>,
    ) -> Result<Self, SetupError> {
        let socket = open(config.to, source).map_err(|error| {
            SetupError::new(
                SetupErrorKind::System,
                format!("send Sync messages to {}", config.to),
                error.to_string(),
                "look for a route to it: `ip route get`",
            )
            .caused_by(error)
        })?;
        let shared = Arc::new(Shared::default());
        let there = Arc::clone(&shared);
        let run = move || there.run(&socket, &config, &axis);
        let thread = std::thread::Builder::new().name("xdpsar-sync".into()).spawn(run);
        let thread = thread.map_err(|error| super::no_thread("the Sync thread", error))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(super) fn stats(&self) -> SyncStats {
        self.shared.lock().stats.clone()
    }

    /// Ends it, now.
    pub(super) fn stop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.stopped.notify_all();
        if let Some(thread) = self.thread.take() {
            // It ends by itself, and its socket does not block.
            let _ = thread.join();
        }
    }
}

impl Drop for SyncThread {
    fn drop(&mut self) {
        self.stop();
    }
}

fn open(to: SocketAddr, source: Option<IpAddr>) -> io::Result<UdpSocket> {
    let any = match to {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let source = source.filter(|source| source.is_ipv4() == to.is_ipv4());
    let socket = UdpSocket::bind((source.unwrap_or(any), 0))?;
    socket.connect(to)?;
    // A full interface costs a message, not the thread.
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, socket: &UdpSocket, config: &SyncConfig, axis: &TickAxis) {
        let mut rate = Rate::new(config.rate);
        let mut next = Instant::now();
        loop {
            // In this order, as the reference does: the time is not later
            // than the number that was current then.
            let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let time_ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            let position = axis.position();
            let hertz = rate.next(time_ns, position);
            let message = SyncMessage::new(config.source_id, position, hertz, time_ns);
            let sent = socket.send(message.as_bytes());
            let mut state = self.lock();
            match sent {
                Ok(_) => state.stats.sent += 1,
                Err(error) => {
                    state.stats.errors += 1;
                    state.stats.last_error = Some(error.to_string());
                }
            }
            next += config.period;
            let left = next.saturating_duration_since(Instant::now());
            let waited = self.stopped.wait_timeout_while(state, left, |state| !state.stop);
            if waited.unwrap_or_else(PoisonError::into_inner).0.stop {
                return;
            }
            // After a long pause of the machine, not all of them at once.
            next = next.max(Instant::now().checked_sub(config.period).unwrap_or(next));
        }
    }
}

/// What the next message says about the rate.
struct Rate {
    kind: SyncRate,
    samples: VecDeque<(u64, u64)>,
}

impl Rate {
    fn new(kind: SyncRate) -> Self {
        Self { kind, samples: VecDeque::with_capacity(SAMPLES) }
    }

    /// At this time in nanoseconds, ticks stand at `position`.
    fn next(&mut self, time_ns: u64, position: u64) -> u32 {
        match self.kind {
            SyncRate::Megahertz => return MEGAHERTZ,
            SyncRate::Zero => return 0,
            SyncRate::Measured => {}
        }
        // Numbers or a clock that went back: start anew.
        if self.samples.back().is_some_and(|last| last.0 >= time_ns || last.1 > position) {
            self.samples.clear();
        }
        let rate = self.samples.front().map_or(0, |first| {
            let ticks = u128::from(position - first.1) * 1_000_000_000;
            u32::try_from(ticks / u128::from(time_ns - first.0)).unwrap_or(u32::MAX)
        });
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back((time_ns, position));
        rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receiver() -> (UdpSocket, SyncConfig) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let config = SyncConfig::new(socket.local_addr().unwrap(), 0x1122_3344);
        (socket, config)
    }

    fn next(socket: &UdpSocket) -> (SyncMessage, [u8; 28]) {
        let mut bytes = [0; 100];
        let len = socket.recv(&mut bytes).unwrap();
        (SyncMessage::parse(&bytes[..len]).unwrap(), bytes[..len].try_into().unwrap())
    }

    fn unix_ns() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
    }

    /// `data-plane.md` §1.9, SY-a, but for what only the clock can say.
    #[test]
    fn the_first_message_leaves_at_once_with_the_specified_bytes() {
        const SY_A: &str = "4c4302001122334400060a2418202240000f424017979cfe3d85cd15";
        let (socket, config) = receiver();
        let before = unix_ns();
        let axis = Arc::new(TickAxis::new(Ticks::Clock, 0));
        let mut thread = SyncThread::start(config, None, axis).unwrap();
        let (message, bytes) = next(&socket);
        let (number, time) = (message.event_number(), message.unix_time_ns());
        assert!((before..=unix_ns()).contains(&time));
        assert!((time / 1000..=unix_ns() / 1000).contains(&number));
        let known = SyncMessage::new(0x1122_3344, 1_700_000_000_123_456, 1_000_000, {
            1_700_000_000_123_456_789
        });
        let hex: String = known.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, SY_A);
        let mut expected: [u8; 28] = known.as_bytes().try_into().unwrap();
        expected[8..16].copy_from_slice(&number.to_be_bytes());
        expected[20..].copy_from_slice(&time.to_be_bytes());
        assert_eq!(bytes, expected);
        thread.stop();
        let stats = thread.stats();
        assert!(stats.sent >= 1 && stats.errors == 0, "{stats:?}");
    }

    #[test]
    fn messages_keep_the_period_and_a_stop_does_not_wait_for_it() {
        let (socket, config) = receiver();
        let axis = Arc::new(TickAxis::new(Ticks::EventNumber, 7));
        let period = Duration::from_millis(20);
        let fast = SyncConfig { period, rate: SyncRate::Measured, ..config };
        let mut thread = SyncThread::start(fast, None, Arc::clone(&axis)).unwrap();
        let first = next(&socket).0;
        assert_eq!((first.event_number(), first.rate_hz()), (7, 0));
        axis.next(100_007);
        let later: Vec<SyncMessage> = (0..10).map(|_| next(&socket).0).collect();
        let last = &later[9];
        assert_eq!(last.event_number(), 100_007);
        let elapsed = last.unix_time_ns() - first.unix_time_ns();
        assert!(elapsed + 1_000_000 >= 200_000_000, "10 periods of 20 ms in {elapsed} ns");
        let rate = 100_000 * 1_000_000_000 / elapsed;
        assert!(u64::from(last.rate_hz()).abs_diff(rate) <= rate / 50 + 1, "{last:?}, {rate}");
        thread.stop();

        let slow = SyncConfig { period: LONGEST_PERIOD, rate: SyncRate::Zero, ..config };
        let mut thread = SyncThread::start(slow, None, axis).unwrap();
        while next(&socket).0.rate_hz() != 0 {}
        let start = Instant::now();
        thread.stop();
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }

    #[test]
    fn a_control_plane_that_is_gone_is_counted_and_tried_again() {
        let (socket, config) = receiver();
        drop(socket);
        let fast = SyncConfig { period: Duration::from_millis(2), ..config };
        let axis = Arc::new(TickAxis::new(Ticks::Clock, 0));
        let thread = SyncThread::start(fast, None, axis).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let stats = thread.stats();
            if stats.sent >= 2 && stats.errors >= 2 {
                assert!(stats.last_error.unwrap().contains("refused"));
                break;
            }
            assert!(Instant::now() < deadline, "{stats:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let (_socket, config) = receiver();
        let refused = |config: SyncConfig, ticks| config.check(ticks).unwrap_err().to_string();
        for period in [Duration::ZERO, Duration::from_secs(11)] {
            let text = refused(SyncConfig { period, ..config }, Ticks::Clock);
            assert!(text.contains("Sync message every"), "{text}");
        }
        assert!(refused(config, Ticks::EventNumber).contains("measured"));
        let nowhere = SyncConfig { to: "0.0.0.0:0".parse().unwrap(), ..config };
        assert!(refused(nowhere, Ticks::Clock).contains("no address"));
        config.check(Ticks::Clock).unwrap();
        SyncConfig { rate: SyncRate::Zero, ..config }.check(Ticks::EventNumber).unwrap();
    }

    #[test]
    fn a_measured_rate_is_the_slope_and_survives_steps_back() {
        let mut rate = Rate::new(SyncRate::Measured);
        assert_eq!(rate.next(1_000_000_000, 5), 0);
        assert_eq!(rate.next(2_000_000_000, 1005), 1000);
        for second in 3..40 {
            assert_eq!(rate.next(second * 1_000_000_000, 1005 + (second - 2) * 1000), 1000);
        }
        assert_eq!(rate.next(41_000_000_000, 0), 0, "numbers went back");
        assert_eq!(rate.next(40_000_000_000, 10), 0, "the clock went back");
        assert_eq!(rate.next(41_000_000_000, u64::MAX), u32::MAX);
    }
}
