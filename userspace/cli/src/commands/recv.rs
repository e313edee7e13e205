//! `xdpsar recv`: events to files, to a pipe, or to nothing but a verdict.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use indicatif::ProgressBar;
use xdpsar::{DATA_PORT, Event, Reassembler, RecvTimeoutError, Stats, local_address_towards};

use super::via;
use crate::{
    args::recv::{Out, RecvArgs},
    output::{Arrived, Lost, Mismatched, Output, Ready, RecvSummary, Tick, Verified},
    payload::Payload,
    signals::StopFlag,
    sink::{DirSink, Item, Restored, Restorer, Sink, StreamSink},
    status::{Failure, Status, cpu_time},
    units::{gbps, per_second},
};

/// Longest sleep: how late a signal or the end of `--duration` is noticed.
const SLICE: Duration = Duration::from_millis(50);
/// Events taken between two looks at the clock.
const BATCH: usize = 256;

/// Receives until told to stop.
///
/// # Errors
/// Set-up failures, an output that takes no more, a backend that broke.
pub(crate) fn run(args: &RecvArgs) -> Result<Status, Failure> {
    let stop = StopFlag::install()
        .map_err(|error| Failure::system("handling SIGINT and SIGTERM", error, "report this"))?;
    let payload = if args.verify {
        Some(args.payload.load().map_err(|(path, error)| Failure::reading(&path, error))?)
    } else {
        None
    };
    let sink = sink(args)?;
    let output = match (args.json, args.out()) {
        (true, _) => Output::Json,
        (false, Out::Stdout) => Output::TextAside,
        (false, _) => Output::Text,
    };
    let receiver = start(args)?;
    let ready = Ready {
        workers: receiver.stats().workers.len(),
        registration: receiver.registration(),
        ..Ready::new(receiver.backend(), receiver.local_addr().to_string(), args.ports)
    };
    output.tell(&ready).map_err(Failure::telling)?;
    Session {
        args,
        receiver: &receiver,
        output,
        sink,
        payload,
        progress: output.progress(args.quiet, args.events),
        delivered: 0,
        delivered_bytes: 0,
        not_delivered: 0,
        buffered: (0, 0),
        verified: Verified::default(),
        active: None,
        failure: None,
    }
    .run(&stop)
}

/// Starts to receive, as a load balancer's worker if there is one.
fn start(args: &RecvArgs) -> Result<Reassembler, Failure> {
    let lb = via::find(&args.via, args.listen.is_some())?;
    let listen = match (args.listen, &lb) {
        (Some(listen), _) => listen,
        (None, Some(lb)) => {
            SocketAddr::new(local_address_towards(lb.uri.data_addr()?.ip())?, DATA_PORT)
        }
        (None, None) => return Err(via::nowhere("receive", "--listen")),
    };
    let mut builder = args.builder(listen);
    if let Some(lb) = lb {
        builder = builder.register(via::registration(lb, &args.worker));
    }
    Ok(builder.start()?)
}

fn sink(args: &RecvArgs) -> Result<Sink, Failure> {
    Ok(match args.out() {
        Out::Null => Sink::Null,
        Out::Stdout => Sink::Stream(StreamSink::new(io::stdout())),
        Out::Dir(dir) => {
            let prefix = args.prefix.clone().unwrap_or_else(|| "event".into());
            let extension = args.extension.as_deref().unwrap_or("bin");
            let asked = format!("writing events to {}", dir.display());
            let files = DirSink::new(dir, prefix, extension);
            let sink = files.and_then(|files| match args.manifest {
                Some(data_id) => Ok(Sink::Restoring(Box::new(Restorer::new(files, data_id)?))),
                None => Ok(Sink::Dir(files)),
            });
            sink.map_err(|error| {
                Failure::system(asked, error, "name a directory that may be written to")
            })?
        }
    })
}

struct Session<'a> {
    args: &'a RecvArgs,
    receiver: &'a Reassembler,
    output: Output,
    sink: Sink,
    payload: Option<Payload>,
    progress: Option<ProgressBar>,
    delivered: u64,
    delivered_bytes: u64,
    not_delivered: u64,
    /// Events and bytes of `delivered` that the sink still buffers.
    buffered: (u64, u64),
    verified: Verified,
    /// First and last delivery.
    active: Option<(Instant, Instant)>,
    /// Why events no longer go anywhere.
    failure: Option<Failure>,
}

impl Session<'_> {
    fn run(mut self, stop: &StopFlag) -> Result<Status, Failure> {
        let started = Instant::now();
        let deadline = self.args.duration.map(|duration| started + duration);
        let mut ticker = Ticker::new(self.args, started);
        let mut stopping = false;
        loop {
            let until_deadline = deadline
                .filter(|_| !stopping)
                .map_or(SLICE, |deadline| deadline.saturating_duration_since(Instant::now()));
            match self.receiver.recv_timeout(SLICE.min(until_deadline)) {
                Ok(event) => self.take_batch(event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.flush();
            self.report_losses();
            let now = Instant::now();
            if ticker.is_due(now) {
                self.tick(&mut ticker, now);
            }
            if !stopping
                && (stop.asked()
                    || self.enough()
                    || self.failure.is_some()
                    || deadline.is_some_and(|deadline| now >= deadline))
            {
                stopping = true;
                self.receiver.stop();
            }
        }
        self.receiver.join();
        self.report_losses();
        self.finish()
    }

    fn take_batch(&mut self, first: Event) {
        self.take(&first);
        for _ in 1..BATCH {
            match self.receiver.try_recv() {
                Ok(event) => self.take(&event),
                Err(_) => break,
            }
        }
        let now = Instant::now();
        if self.delivered > 0 {
            self.active = Some((self.active.map_or(now, |(first, _)| first), now));
        }
    }

    /// Hands on what the sink buffers; if that fails, it has not arrived.
    fn flush(&mut self) {
        let flushed = self.sink.flush();
        let (events, bytes) = std::mem::take(&mut self.buffered);
        if flushed.is_err() {
            self.delivered -= events;
            self.delivered_bytes -= bytes;
            self.not_delivered += events;
        }
        self.output_result(flushed);
    }

    fn enough(&self) -> bool {
        self.args.events.is_some_and(|events| self.delivered >= events)
            || self.args.until_complete
                && matches!(&self.sink, Sink::Restoring(restorer) if restorer.is_complete())
    }

    fn take(&mut self, event: &Event) {
        if self.enough() || self.failure.is_some() {
            self.not_delivered += 1;
            return;
        }
        let (event_number, data_id) = (event.event_number(), event.data_id());
        if let Some(payload) = &self.payload {
            match payload.verify(event_number, data_id, event) {
                Ok(()) => {
                    self.verified.events += 1;
                    self.verified.bytes += event.len() as u64;
                }
                Err(mismatch) => {
                    self.verified.mismatched += 1;
                    let told = self.output.tell(&Mismatched::new(event, mismatch));
                    self.told(told);
                }
            }
        }
        let put = self.sink.put(Item { event_number, data_id, bytes: event });
        if put.is_ok() {
            self.delivered += 1;
            self.delivered_bytes += event.len() as u64;
            self.buffered.0 += 1;
            self.buffered.1 += event.len() as u64;
            if self.args.per_event {
                let told = self.output.tell(&Arrived::from(event));
                self.told(told);
            }
        } else {
            self.not_delivered += 1;
        }
        self.output_result(put);
    }

    /// Keeps the first reason why events go nowhere: it ends the session.
    fn output_result(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.failure.get_or_insert_with(|| {
                let asked = match self.args.out() {
                    Out::Dir(dir) => format!("writing events to {}", dir.display()),
                    Out::Stdout | Out::Null => "writing events to standard output".into(),
                };
                Failure::system(asked, error, "make room, or give it another place")
            });
        }
    }

    fn told(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.failure.get_or_insert_with(|| Failure::telling(error));
        }
    }

    fn report_losses(&mut self) {
        while let Some(lost) = self.receiver.lost() {
            let told = self.output.tell(&Lost::from(lost));
            self.told(told);
        }
    }

    fn tick(&mut self, ticker: &mut Ticker, now: Instant) {
        let stats = self.receiver.stats();
        let (gbps, events_per_s) = ticker.rates(now, &stats);
        let tick = Tick {
            delivered: self.delivered,
            gbps,
            events_per_s,
            registration: self.receiver.registration(),
            stats: &stats,
        };
        if let Some(progress) = &self.progress {
            progress.set_position(self.delivered);
            progress.set_message(tick.line());
        } else {
            let told = self.output.tell(&tick);
            self.told(told);
        }
    }

    fn finish(mut self) -> Result<Status, Failure> {
        if let Some(progress) = self.progress.take() {
            progress.finish_and_clear();
        }
        let restored = self.restored();
        let stats = self.receiver.stats();
        let broken = self.receiver.failure().is_some();
        let status = if broken || self.failure.is_some() {
            Status::Failed
        } else if self.lossy(&stats) || restored.as_ref().is_some_and(|all| !all.is_clean()) {
            Status::Lossy
        } else {
            Status::Good
        };
        let active_s =
            self.active.map_or(0.0, |(first, last)| last.duration_since(first).as_secs_f64());
        let told = self.output.tell(&RecvSummary {
            status: status as u8,
            delivered: self.delivered,
            delivered_bytes: self.delivered_bytes,
            not_delivered: self.not_delivered,
            verified: self.payload.is_some().then_some(self.verified),
            restored,
            active_s,
            gbps: gbps(self.delivered_bytes, active_s),
            cpu_s: cpu_time().as_secs_f64(),
            registration: self.receiver.registration(),
            stats: &stats,
        });
        self.told(told);
        if let Some(error) = self.receiver.failure() {
            // The library keeps its error; its text goes on.
            let text = error.to_string();
            return Err(Failure::system(
                "receiving until told to stop",
                io::Error::other(text),
                "see the log",
            ));
        }
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(status),
        }
    }

    /// What became of the files that manifests name; tells which are not in
    /// their places.
    fn restored(&mut self) -> Option<Restored> {
        let Sink::Restoring(restorer) = &mut self.sink else { return None };
        let (totals, unrestored) = restorer.finish();
        for file in &unrestored {
            let told = self.output.tell(file);
            self.told(told);
        }
        Some(totals)
    }

    /// Whether anything is missing that should be there.
    fn lossy(&self, stats: &Stats) -> bool {
        let mut judged = stats.clone();
        if self.enough() {
            // Ours: we stopped in the middle of the stream, as asked.
            judged.events_lost.stopped = 0;
        }
        !judged.is_clean()
            || self.verified.mismatched > 0
            || self.args.events.is_some_and(|events| self.delivered < events)
    }
}

/// When to report, and what happened since the last time.
struct Ticker {
    interval: Option<Duration>,
    last: Instant,
    events: u64,
    bytes: u64,
}

impl Ticker {
    fn new(args: &RecvArgs, now: Instant) -> Self {
        let interval = (!args.quiet && !args.interval.is_zero()).then_some(args.interval);
        Self { interval, last: now, events: 0, bytes: 0 }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.interval.is_some_and(|interval| now.duration_since(self.last) >= interval)
    }

    /// Gb/s and events a second since the last call.
    fn rates(&mut self, now: Instant, stats: &Stats) -> (f64, f64) {
        let seconds = now.duration_since(self.last).as_secs_f64();
        let rates = (
            gbps(stats.event_bytes - self.bytes, seconds),
            per_second(stats.events_ok - self.events, seconds),
        );
        (self.last, self.events, self.bytes) = (now, stats.events_ok, stats.event_bytes);
        rates
    }
}
