//! `xdpsar send`: made-up events or files, cut into datagrams.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use xdpsar::{EventOptions, Segmenter};

use crate::{
    args::{send::SendArgs, values::Sizes},
    output::{Output, SendSummary, Sending},
    payload::Payload,
    signals::StopFlag,
    status::{Failure, Status, cpu_time},
    units::{gbps, per_second},
};

/// Sends all there is to send, or until told to stop.
///
/// # Errors
/// Set-up failures, files that cannot be read, a network that is gone.
pub(crate) fn run(args: &SendArgs) -> Result<Status, Failure> {
    let stop = StopFlag::install()
        .map_err(|error| Failure::system("handling SIGINT and SIGTERM", error, "report this"))?;
    let mut events = Events::new(args)?;
    let mut builder = Segmenter::builder(args.to)
        .ports(args.ports)
        .sockets(args.sockets)
        .data_id(args.data_id)
        .lb(args.lb_version.version())
        .rate_gbps(args.rate);
    if let Some(mtu) = args.mtu {
        builder = builder.mtu(mtu);
    }
    if let Some(bytes) = args.socket_buffer {
        builder = builder.send_buffer(bytes as usize);
    }
    let mut segmenter = builder.open()?;
    let output = if args.json { Output::Json } else { Output::Text };
    let mut meter = Meter::new(args);
    let progress = output.progress(args.quiet, events.total());
    while let Some((index, event)) = events.next(args.event_start, args.data_id)? {
        if stop.asked() {
            break;
        }
        let options = EventOptions {
            event_number: Some(args.event_start.wrapping_add(index)),
            data_id: Some(args.data_id),
            entropy: args.entropy,
            tick: None,
        };
        segmenter.send_with(event, options)?;
        meter.sent(event.len());
        if let Some(now) = meter.due() {
            let report = meter.report(now, &segmenter);
            if let Some(progress) = &progress {
                progress.set_position(report.events);
                progress.set_message(format!("{:.2} Gb/s", report.gbps));
            } else {
                output.tell(&report).map_err(Failure::telling)?;
            }
        }
    }
    if let Some(progress) = progress {
        progress.finish_and_clear();
    }
    let status = if events.total().is_none_or(|total| meter.events >= total) {
        Status::Good
    } else {
        Status::Lossy
    };
    output.tell(&meter.summary(status, &segmenter)).map_err(Failure::telling)?;
    Ok(status)
}

/// Where events come from.
enum Events<'a> {
    Made { sizes: &'a Sizes, payload: Payload, next: u64, total: Option<u64>, buffer: Vec<u8> },
    Files { paths: &'a [PathBuf], next: usize, buffer: Vec<u8> },
}

impl<'a> Events<'a> {
    fn new(args: &'a SendArgs) -> Result<Self, Failure> {
        if !args.input.is_empty() {
            // All of them, before the first datagram: a typing mistake must
            // not end a run half-way.
            for path in &args.input {
                fs::File::open(path).map_err(|error| Failure::reading(path, error))?;
            }
            return Ok(Self::Files { paths: &args.input, next: 0, buffer: Vec::new() });
        }
        Ok(Self::Made {
            sizes: &args.size,
            payload: args.payload.load().map_err(|(path, error)| Failure::reading(&path, error))?,
            next: 0,
            total: (args.events > 0).then_some(args.events),
            buffer: vec![0; args.size.largest()],
        })
    }

    /// How many there are; `None`: no end.
    fn total(&self) -> Option<u64> {
        match self {
            Self::Made { total, .. } => *total,
            Self::Files { paths, .. } => Some(paths.len() as u64),
        }
    }

    /// The next one and its index.
    fn next(&mut self, start: u64, data_id: u16) -> Result<Option<(u64, &[u8])>, Failure> {
        match self {
            Self::Made { sizes, payload, next, total, buffer } => {
                let index = *next;
                if total.is_some_and(|total| index >= total) {
                    return Ok(None);
                }
                *next += 1;
                let event = &mut buffer[..sizes.of(index)];
                payload.fill(start.wrapping_add(index), data_id, event);
                Ok(Some((index, event)))
            }
            Self::Files { paths, next, buffer } => {
                let Some(path) = paths.get(*next) else { return Ok(None) };
                *buffer = fs::read(path).map_err(|error| Failure::reading(path, error))?;
                *next += 1;
                Ok(Some((*next as u64 - 1, buffer)))
            }
        }
    }
}

/// What has been sent, and how fast.
struct Meter {
    started: Instant,
    interval: Option<Duration>,
    events: u64,
    bytes: u64,
    last: Instant,
    last_bytes: u64,
}

impl Meter {
    fn new(args: &SendArgs) -> Self {
        let now = Instant::now();
        let interval = (!args.quiet && !args.interval.is_zero()).then_some(args.interval);
        Self { started: now, interval, events: 0, bytes: 0, last: now, last_bytes: 0 }
    }

    fn sent(&mut self, bytes: usize) {
        self.events += 1;
        self.bytes += bytes as u64;
    }

    fn due(&self) -> Option<Instant> {
        let interval = self.interval?;
        let now = Instant::now();
        (now.duration_since(self.last) >= interval).then_some(now)
    }

    fn report(&mut self, now: Instant, segmenter: &Segmenter) -> Sending {
        let counters = segmenter.counters();
        let seconds = now.duration_since(self.last).as_secs_f64();
        let report = Sending {
            events: self.events,
            bytes: self.bytes,
            fragments: counters.fragments,
            elapsed_s: now.duration_since(self.started).as_secs_f64(),
            gbps: gbps(self.bytes - self.last_bytes, seconds),
        };
        (self.last, self.last_bytes) = (now, self.bytes);
        report
    }

    fn summary(&self, status: Status, segmenter: &Segmenter) -> SendSummary {
        let counters = segmenter.counters();
        let elapsed_s = self.started.elapsed().as_secs_f64();
        SendSummary {
            kind: "summary",
            status: status as u8,
            events: self.events,
            bytes: self.bytes,
            fragments: counters.fragments,
            elapsed_s,
            gbps: gbps(self.bytes, elapsed_s),
            events_per_s: per_second(self.events, elapsed_s),
            cpu_s: cpu_time().as_secs_f64(),
            mtu: segmenter.mtu(),
            syscalls: counters.syscalls,
            retried: counters.retried_full + counters.retried_no_buffers,
            refused: counters.refused,
        }
    }
}
