//! A worker thread: one core, one source, one table, no locks.

use std::{
    os::fd::AsFd,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crossbeam_utils::atomic::AtomicCell;
use xdpsar_dataplane::{Ingest, LaneCounters, ReceiveError, Source, SourceCounters};
use xdpsar_reassembly::Assembler;

use crate::{
    handoff::{Outlet, WorkerSink},
    stats::Snapshot,
    stop::Control,
};

/// How often counters are published while busy.
const PUBLISH_EVERY: u64 = 10_000_000;
/// How often the kernel is asked for its drop counters.
const ASK_KERNEL_EVERY: u64 = 100_000_000;
/// Longest sleep: events expire and counters appear at least this often.
const NAP: Duration = Duration::from_millis(20);
/// Events expired per batch, so that a burst of losses never delays packets.
const EXPIRE_PER_BATCH: usize = 16;
/// After a stop, a source that stays empty for this long is drained.
const DRAINED_AFTER: Duration = Duration::from_millis(20);
/// After a stop, a source that never runs dry is left at this point.
const DRAIN_DEADLINE: Duration = Duration::from_secs(2);

/// How far UNIX time is ahead of this clock, in nanoseconds: to within the
/// quickest of three looks at both, for a thread may have to wait between
/// them.
fn unix_epoch(clock: impl Fn() -> u64) -> u64 {
    let look = |_| {
        let before = clock();
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // It fits until the year 2554.
        (clock() - before, (unix.as_nanos() as u64).wrapping_sub(before))
    };
    (0..3).map(look).min().map_or(0, |(_, ahead)| ahead)
}

/// Everything a worker thread owns. `source_counters` is the source's last
/// answer: asking it may be a system call.
pub(crate) struct Worker<S> {
    pub(crate) source: S,
    pub(crate) assembler: Assembler,
    pub(crate) outlet: Outlet,
    pub(crate) control: Arc<Control>,
    pub(crate) published: Arc<AtomicCell<Snapshot>>,
    pub(crate) lanes: Arc<LaneCounters>,
    pub(crate) source_counters: SourceCounters,
}

impl<S: Source> Worker<S> {
    /// Receives until stopped, then until the source is drained.
    pub(crate) fn run(&mut self) -> Result<(), ReceiveError> {
        let result = self.receive_until_stopped();
        let Self { assembler, outlet, control, .. } = self;
        assembler.finish(&mut WorkerSink { outlet, stopping: &control.stopping });
        self.flush();
        self.publish(true);
        result
    }

    /// Hands over what is still collected: events that are whole are not lost
    /// by what happens to their worker.
    pub(crate) fn flush(&mut self) {
        let Self { outlet, control, .. } = self;
        WorkerSink { outlet, stopping: &control.stopping }.flush();
    }

    fn receive_until_stopped(&mut self) -> Result<(), ReceiveError> {
        let started = Instant::now();
        // One clock read a batch; fragments of a batch share it.
        let clock = || started.elapsed().as_nanos() as u64;
        let mut now = clock();
        self.assembler.set_epoch(unix_epoch(clock));
        let mut next_publish = 0;
        let mut next_kernel = 0;
        let mut stop = None::<Drain>;
        loop {
            let Self { source, assembler, outlet, control, lanes, .. } = self;
            let mut sink = WorkerSink { outlet, stopping: &control.stopping };
            let received =
                source.receive(&mut Ingest { assembler, now, lanes, sink: &mut sink })?;
            // Before the counters are published and before any sleep: what is
            // counted as put together can be received.
            sink.flush();
            now = clock();
            assembler.expire(now, EXPIRE_PER_BATCH, &mut sink);
            if now >= next_publish || received == 0 {
                let ask_kernel = now >= next_kernel;
                if ask_kernel {
                    next_kernel = now + ASK_KERNEL_EVERY;
                }
                next_publish = now + PUBLISH_EVERY;
                // Clocks are set, and drift.
                assembler.set_epoch(unix_epoch(clock));
                self.publish(ask_kernel);
            }
            if self.control.stopping.load(Ordering::Acquire)
                && stop.get_or_insert_with(Drain::start).is_over(received)
            {
                return Ok(());
            }
            if received == 0 {
                if stop.is_some() {
                    // The wake-up stays readable: waiting on it would spin.
                    std::thread::sleep(Duration::from_millis(1));
                } else {
                    self.source.wait(self.control.wake.as_fd(), NAP)?;
                }
                now = clock();
            }
        }
    }

    fn publish(&mut self, ask_kernel: bool) {
        if ask_kernel {
            self.source_counters = self.source.counters();
        }
        let (events, bytes) = self.assembler.in_progress();
        self.published.store(Snapshot {
            core: *self.assembler.counters(),
            source: self.source_counters,
            overflow: self.outlet.overflow,
            in_progress: events as u64,
            in_progress_bytes: bytes,
        });
    }
}

/// The end of a stopped worker: what has already arrived still counts.
struct Drain {
    deadline: Instant,
    empty_since: Option<Instant>,
}

impl Drain {
    fn start() -> Self {
        Self { deadline: Instant::now() + DRAIN_DEADLINE, empty_since: None }
    }

    fn is_over(&mut self, received: usize) -> bool {
        let now = Instant::now();
        if received > 0 {
            self.empty_since = None;
        }
        let drained = received == 0
            && now.duration_since(*self.empty_since.get_or_insert(now)) >= DRAINED_AFTER;
        drained || now >= self.deadline
    }
}
