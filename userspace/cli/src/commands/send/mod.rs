//! `xdpsar send`: made-up events, files or a stream, cut into datagrams.
//!
//! ```text
//!  source ─▶ line ─▶ segmenter ─▶ wire          a thread of its own
//!              └─ how far ─▶ reports, signals, --duration, the end      this thread
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`source`] | where events come from |
//! | [`files`] | files and directories |
//! | [`frames`] | standard input |
//! | [`line`] | one event after the other to the segmenter or its workers |
//! | [`gate`] | no more on the way to the workers than memory allows |
//! | [`pool`] | buffers, used again |
//! | [`control`] | what both threads know of each other |

mod control;
mod files;
mod frames;
mod gate;
mod line;
mod pool;
mod source;

use std::{
    panic::resume_unwind,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use indicatif::ProgressBar;
use xdpsar::{Admission, Segmenter, SegmenterStats, SegmenterStopper, StopReport};

use self::{control::Control, line::Line, source::Source};
use super::via;
use crate::{
    args::send::SendArgs,
    output::{Output, SendReady, SendSummary, Sending},
    signals::StopFlag,
    status::{Failure, Status, cpu_time},
    units::{gbps, per_second},
};

/// How late a signal or the end of `--duration` is noticed.
const SLICE: Duration = Duration::from_millis(20);

/// Sends all there is to send, or until told to stop.
///
/// # Errors
/// Set-up failures, input that cannot be read, a network that is gone.
pub(crate) fn run(args: &SendArgs) -> Result<Status, Failure> {
    let signals = StopFlag::install()
        .map_err(|error| Failure::system("handling SIGINT and SIGTERM", error, "report this"))?;
    let control = Arc::<Control>::default();
    let lb = via::find(&args.via, args.to.is_some())?;
    let to = match (&lb, args.to) {
        (Some(lb), _) => lb.uri.data_addr()?,
        (None, Some(to)) => to,
        (None, None) => return Err(via::nowhere("send", "--to")),
    };
    let mut source = Source::new(args, &control)?;
    let total = source.total();
    let builder = args.builder(to, lb.as_ref().map(|lb| &lb.uri))?;
    let admission = lb
        .filter(|_| !args.no_add_sender)
        .map(|lb| Admission { options: lb.options, ..Admission::new(lb.uri) });
    let mut segmenter = builder.admit(admission).open()?;
    let output = if args.json { Output::Json } else { Output::Text };
    for skipped in source.skipped() {
        output.tell(skipped).map_err(Failure::telling)?;
    }
    output.tell(&SendReady::new(args, to, &segmenter)).map_err(Failure::telling)?;
    let mut watch = Watch {
        args,
        output,
        progress: output.progress(args.quiet, total),
        stopper: segmenter.stopper(),
        meter: Meter::new(args),
        cut_at: None,
    };
    let (fed, told) = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let _ending = control.ending();
            Line::new(args, &mut segmenter, &control).and_then(|line| line.feed(&mut source))
        });
        let told = watch.until_the_end(&control, &signals);
        (sender.join().unwrap_or_else(|panic| resume_unwind(panic)), told)
    });
    watch.finish(total, &control, segmenter, fed.and(told))
}

/// Reports while the other thread sends, and has it stop.
struct Watch<'a> {
    args: &'a SendArgs,
    output: Output,
    progress: Option<ProgressBar>,
    stopper: SegmenterStopper,
    meter: Meter,
    /// When what is still on its way is cut off.
    cut_at: Option<Instant>,
}

impl Watch<'_> {
    /// # Errors
    /// Nobody reads the reports any more.
    fn until_the_end(&mut self, control: &Control, signals: &StopFlag) -> Result<(), Failure> {
        let until = self.args.duration.and_then(|after| self.meter.started.checked_add(after));
        let mut told = Ok(());
        while !control.wait_for_the_end(SLICE) {
            let now = Instant::now();
            if self.meter.is_due(now) && told.is_ok() {
                told = self.report(now, &control.stats());
            }
            if signals.asked() || told.is_err() || until.is_some_and(|until| now >= until) {
                control.stop();
            }
            if control.is_stopping() && self.cut_at.is_none() {
                let drain = if told.is_err() { Duration::ZERO } else { self.args.drain };
                self.cut_at = Some(now.checked_add(drain).unwrap_or(now));
            }
            if self.cut_at.is_some_and(|cut_at| now >= cut_at) {
                self.stopper.stop();
            }
        }
        told.map_err(Failure::telling)
    }

    fn report(&mut self, now: Instant, stats: &SegmenterStats) -> std::io::Result<()> {
        let (gbps, events_per_s) = self.meter.rates(now, stats);
        let elapsed_s = now.duration_since(self.meter.started).as_secs_f64();
        let sending = Sending { elapsed_s, gbps, events_per_s, stats };
        match &self.progress {
            None => self.output.tell(&sending),
            Some(progress) => {
                progress.set_position(stats.events_sent);
                progress.set_message(sending.line());
                Ok(())
            }
        }
    }

    fn finish(
        self,
        total: Option<u64>,
        control: &Control,
        segmenter: Segmenter,
        sent: Result<(), Failure>,
    ) -> Result<Status, Failure> {
        if let Some(progress) = self.progress {
            progress.finish_and_clear();
        }
        let elapsed_s = control.ended().duration_since(self.meter.started).as_secs_f64();
        let (mtu, backend) = (segmenter.mtu(), segmenter.backend().to_string());
        // All that was queued is told already: this ends the threads.
        let StopReport { stats, .. } = segmenter.stop(Duration::ZERO);
        let changed = control.take_changed();
        let missing = total.is_some_and(|total| stats.events_sent < total)
            || stats.events_failed + stats.events_dropped + stats.fragments_dropped > 0
            || !changed.is_empty();
        let status = match sent {
            Err(_) => Status::Failed,
            Ok(()) if missing => Status::Lossy,
            Ok(()) => Status::Good,
        };
        let told = self.output.tell(&SendSummary {
            status: status as u8,
            elapsed_s,
            gbps: gbps(stats.bytes, elapsed_s),
            events_per_s: per_second(stats.events_sent, elapsed_s),
            cpu_s: cpu_time().as_secs_f64(),
            backend,
            mtu,
            changed,
            stats,
        });
        sent?;
        told.map_err(Failure::telling)?;
        Ok(status)
    }
}

/// When to report, and what happened since the last time.
struct Meter {
    started: Instant,
    interval: Option<Duration>,
    last: Instant,
    events: u64,
    bytes: u64,
}

impl Meter {
    fn new(args: &SendArgs) -> Self {
        let started = Instant::now();
        let interval = (!args.quiet && !args.interval.is_zero()).then_some(args.interval);
        Self { started, interval, last: started, events: 0, bytes: 0 }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.interval.is_some_and(|interval| now.duration_since(self.last) >= interval)
    }

    /// Gb/s and events a second since the last call.
    fn rates(&mut self, now: Instant, stats: &SegmenterStats) -> (f64, f64) {
        let seconds = now.duration_since(self.last).as_secs_f64();
        let rates = (
            gbps(stats.bytes - self.bytes, seconds),
            per_second(stats.events_sent - self.events, seconds),
        );
        (self.last, self.events, self.bytes) = (now, stats.events_sent, stats.bytes);
        rates
    }
}
