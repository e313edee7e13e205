//! The sender: events in, datagrams out.
//!
//! ```text
//!  send ───────────────────────────────────────▶ the caller's flows ─┐
//!  submit ─▶ bounded queue ─▶ workers, numbered ─▶ each its flows ───┼─▶ wire
//!    ◀───────── ticket or callback ◀─┘              one pace for all ┘
//!  Sync thread ──────────────────────────────────────────────────────▶ control plane
//! ```
//!
//! ```no_run
//! # fn main() -> Result<(), xdpsar::Error> {
//! use xdpsar::{EventOptions, Segmenter};
//!
//! let mut segmenter = Segmenter::builder("10.0.0.1:19522".parse().unwrap())
//!     .data_id(7)
//!     .rate_gbps(10.0)
//!     .workers(2)
//!     .open()?;
//! // In this thread; the bytes may be borrowed:
//! let event_number = segmenter.send(b"all the bytes of one event")?;
//! // Or by the workers; the bytes are owned or shared:
//! let ticket = segmenter.submit(vec![0; 1 << 20], EventOptions::default())?;
//! assert_eq!(ticket.wait()?, event_number + 1);
//! # Ok(())
//! # }
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `builder` | options, their limits and defaults |
//! | `buffer` | the bytes of a queued event: owned or shared |
//! | `queue` | numbers events and keeps them in order; flush |
//! | `submitter` | a producer's handle |
//! | `ticket` | what became of an event, told once |
//! | `worker` | the sender threads, and their end |
//! | `shared` | what all threads have in common |
//! | `pacing` | no faster than so many bits per second |
//! | `tick` | the LB event numbers |
//! | `sync` | telling the control plane where the ticks are |
//! | `admission` | the load balancer lets us in, as long as we send |
//! | `stats` | what became of every event |
//! | `stopper` | an end to sending, from elsewhere |

#[cfg(feature = "control-plane")]
mod admission;
mod buffer;
mod builder;
mod pacing;
mod queue;
mod shared;
mod stats;
mod stopper;
mod submitter;
mod sync;
mod tick;
mod ticket;
mod worker;

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use xdpsar_dataplane::{
    OutgoingEvent, Payload, SendBackend, SendConfig, SendCounters, Sender, SetupError,
    error::SetupErrorKind,
    random::SplitMix64,
    send::{KernelPacing, Pace},
};

#[cfg(feature = "control-plane")]
pub use self::admission::{Admission, AdmissionState, AdmissionStatus};
pub use self::{
    buffer::Buffer,
    builder::SegmenterBuilder,
    queue::Flush,
    stats::{SegmenterStats, StopReport},
    stopper::SegmenterStopper,
    submitter::{Refused, Submitter},
    sync::{SyncConfig, SyncRate, SyncStats},
    tick::Ticks,
    ticket::{Canceller, Outcome, Ticket},
};
use self::{
    shared::Shared,
    sync::SyncThread,
    worker::{Dropped, Workers},
};
use crate::{EjfatUri, Error, SendError};

/// What an event's headers say, where it is not to be the next in line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventOptions {
    /// Its number; later events count on from here. `None`: one more than
    /// the last.
    pub event_number: Option<u64>,
    /// Its data id. `None`: the segmenter's.
    pub data_id: Option<u16>,
    /// Its entropy. `None`: random.
    pub entropy: Option<u16>,
    /// Its tick. `None`: by [`Ticks`]. Whoever names ticks keeps them unique.
    pub tick: Option<u64>,
}

/// Sends events.
///
/// `send…` are blocking: they send in the caller's thread and return when
/// the kernel has taken every datagram, and not sooner than the rate allows.
/// `submit…` queue events for the workers. [`Segmenter::submitter`] is for
/// many producers.
///
/// Dropping it stops it, as [`Segmenter::stop`] does, after
/// [`SegmenterBuilder::drain`].
#[derive(Debug)]
pub struct Segmenter {
    config: SendConfig,
    count: usize,
    cores: Vec<usize>,
    drain: Duration,
    sender: Sender,
    random: SplitMix64,
    shared: Arc<Shared>,
    workers: Option<Workers>,
    sync: Option<SyncThread>,
    #[cfg(feature = "control-plane")]
    admitted: Option<admission::Admitted>,
    /// Events of `send…` that a stopper cut off.
    cut_off: Dropped,
    stopped: bool,
}

impl Segmenter {
    /// Options for sending to `to`: a load balancer, or a receiver's first
    /// port.
    pub const fn builder(to: SocketAddr) -> SegmenterBuilder {
        SegmenterBuilder::new(to)
    }

    /// Options for sending to the load balancer that the URI names: to its
    /// data address, with Sync messages to its sync address, if it has one.
    /// One lets in who is on its list of senders: see
    /// [`SegmenterBuilder::admit`].
    ///
    /// # Errors
    /// [`Error::Uri`]: it names no data address, or one on an unknown link.
    pub fn for_load_balancer(uri: &EjfatUri) -> Result<SegmenterBuilder, Error> {
        let builder = Self::builder(uri.data_addr()?);
        let Some(sync) = uri.sync() else { return Ok(builder) };
        let source_id = SplitMix64::from_os().next_u64() as u32;
        Ok(builder.sync(SyncConfig::new(sync.socket_addr()?, source_id)))
    }

    /// Sends the next event, of up to 4294967295 bytes, and returns its
    /// number. An event may be empty.
    ///
    /// # Errors
    /// [`Error::Send`]; some datagrams may have gone out. The number counts
    /// as used unless nothing could have. [`Error::Stopped`]: by a
    /// [`SegmenterStopper`].
    pub fn send(&mut self, event: &[u8]) -> Result<u64, Error> {
        self.send_with(event, EventOptions::default())
    }

    /// As [`Segmenter::send`], with headers of one's own choice.
    ///
    /// # Errors
    /// As [`Segmenter::send`].
    pub fn send_with(&mut self, event: &[u8], options: EventOptions) -> Result<u64, Error> {
        self.send_payload(Payload::whole(event), options, &|| false)
    }

    /// As [`Segmenter::send_with`], of an event that is gathered from parts
    /// where they are, without a copy.
    ///
    /// # Errors
    /// As [`Segmenter::send`].
    pub fn send_vectored(
        &mut self,
        parts: &[IoSlice<'_>],
        options: EventOptions,
    ) -> Result<u64, Error> {
        self.send_until(parts, options, &|| false)
    }

    /// As [`Segmenter::send_with`], of what [`Segmenter::submit`] takes: a
    /// mapped file, for one.
    ///
    /// # Errors
    /// As [`Segmenter::send`].
    pub fn send_from(&mut self, buffer: &Buffer, options: EventOptions) -> Result<u64, Error> {
        buffer.with_payload(|payload| self.send_payload(payload, options, &|| false))
    }

    fn send_payload(
        &mut self,
        event: Payload<'_>,
        options: EventOptions,
        given_up: &dyn Fn() -> bool,
    ) -> Result<u64, Error> {
        let headers = self.headers(event.len(), &options);
        let mut pace = self.shared.pace().until(given_up);
        match self.sender.send_paced(&headers, event, &mut pace) {
            Ok(()) => Ok(headers.event_number),
            Err(SendError::Stopped { .. }) => {
                self.cut_off.add(event.len());
                Err(Error::Stopped)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// As [`Segmenter::send_with`], but `pace` alone decides when datagrams
    /// leave, instead of the rate: for senders that hear from their receiver.
    ///
    /// # Errors
    /// As [`Segmenter::send`].
    pub fn send_paced(
        &mut self,
        event: &[u8],
        options: EventOptions,
        pace: &mut impl Pace,
    ) -> Result<u64, Error> {
        let event = Payload::whole(event);
        let headers = self.headers(event.len(), &options);
        self.sender.send_paced(&headers, event, pace)?;
        Ok(headers.event_number)
    }

    /// As [`Segmenter::send_vectored`], but asks now and then, while it waits
    /// for the pace or for the system, whether the event shall be `given_up`.
    ///
    /// # Errors
    /// As [`Segmenter::send`]; [`Error::Stopped`], and counted as dropped, if
    /// it was given up.
    pub fn send_until(
        &mut self,
        parts: &[IoSlice<'_>],
        options: EventOptions,
        given_up: &dyn Fn() -> bool,
    ) -> Result<u64, Error> {
        self.send_payload(Payload::parts(parts), options, given_up)
    }

    /// What the headers of an event say. Uses up its number if it can be sent.
    fn headers(&mut self, length: u64, options: &EventOptions) -> OutgoingEvent {
        self.shared.wait_for_warm_up();
        let event_number = match u32::try_from(length) {
            Ok(_) => self.shared.queue.number(options.event_number),
            Err(_) => 0,
        };
        self.shared.headers(event_number, options, &mut self.random)
    }

    /// A handle for a producer on another thread. Starts the workers, unless
    /// they run.
    ///
    /// # Errors
    /// [`Error::Setup`]: the workers could not be started.
    pub fn submitter(&mut self) -> Result<Submitter, Error> {
        self.start_workers()?;
        Ok(Submitter::new(Arc::clone(&self.shared)))
    }

    fn start_workers(&mut self) -> Result<(), SetupError> {
        if self.workers.is_none() {
            let started = Workers::start(self.count, &self.cores, &self.config, &self.shared);
            self.workers = Some(started?);
        }
        Ok(())
    }

    /// Waits until every event queued before, by whichever producer, has been
    /// sent or has failed, and its ticket or callback was told.
    pub fn flush(&self) {
        self.shared.queue.flush().wait();
    }

    /// Takes no more events in, goes on sending for up to `drain`, cuts off
    /// what is left, tells every ticket and callback, and ends all threads.
    /// Sync messages go on until the last event is sent. Then the load
    /// balancer need not let us in any more.
    ///
    /// It returns a second after that time at the latest, unless a callback
    /// does not return; four seconds later than that, if a control plane does
    /// not answer.
    pub fn stop(mut self, drain: Duration) -> StopReport {
        self.shut_down(drain)
    }

    fn shut_down(&mut self, drain: Duration) -> StopReport {
        self.stopped = true;
        self.shared.queue.close();
        let (mut stuck_workers, mut left) = (0, Dropped::default());
        if let Some(workers) = &mut self.workers {
            (stuck_workers, left) = workers.stop(drain, &self.shared);
        }
        if let Some(sync) = &mut self.sync {
            sync.stop();
        }
        #[cfg(feature = "control-plane")]
        if let Some(admitted) = &mut self.admitted {
            admitted.leave();
        }
        let mut stats = self.stats();
        stats.events_dropped += left.events;
        stats.bytes_dropped += left.bytes;
        stats.events_cancelled += left.cancelled;
        StopReport {
            drained: stats.events_dropped == 0 && stuck_workers == 0,
            dropped_events: stats.events_dropped,
            dropped_bytes: stats.bytes_dropped,
            stuck_workers,
            stats,
        }
    }

    /// A handle that cuts off all sending from elsewhere: a thread that waits
    /// for signals.
    pub fn stopper(&self) -> SegmenterStopper {
        SegmenterStopper::new(Arc::clone(&self.shared))
    }

    /// What was done up to now, by all threads.
    pub fn stats(&self) -> SegmenterStats {
        let mut stats = SegmenterStats::default();
        stats.add_queue(&self.shared.queue.counters());
        stats.add_sender(&self.sender.counters());
        stats.events_failed = self.sender.counters().failed - self.cut_off.events;
        stats.events_dropped = self.cut_off.events;
        stats.bytes_dropped = self.cut_off.bytes;
        if let Some(workers) = &self.workers {
            stats.queue_depth = workers.queue_depth();
            for published in &workers.published {
                let worker = published.load();
                stats.add_sender(&worker.sender);
                stats.events_failed += worker.failed;
                stats.events_dropped += worker.dropped.events;
                stats.bytes_dropped += worker.dropped.bytes;
                stats.events_cancelled += worker.dropped.cancelled;
            }
        }
        stats.callback_panics = self.shared.queue.panics();
        let lag = self.shared.pacer.as_ref().map_or(Duration::ZERO, |pacer| pacer.lag());
        stats.pacing_lag_us = lag.as_secs_f64() * 1e6;
        stats.sync = self.sync.as_ref().map(SyncThread::stats);
        #[cfg(feature = "control-plane")]
        {
            stats.admission = self.admission();
        }
        stats
    }

    /// Whether the load balancer lets us in; `None` unless
    /// [`SegmenterBuilder::admit`] asked for it.
    #[cfg(feature = "control-plane")]
    pub fn admission(&self) -> Option<AdmissionStatus> {
        self.admitted.as_ref().map(admission::Admitted::status)
    }

    /// What `send…` have done up to now, without the workers: those are in
    /// [`Segmenter::stats`].
    pub fn counters(&self) -> SendCounters {
        self.sender.counters()
    }

    /// How datagrams are handed to the system; never `Auto`.
    pub fn backend(&self) -> SendBackend {
        self.sender.backend()
    }

    /// Why it is that backend.
    pub fn reason(&self) -> &str {
        self.sender.reason()
    }

    /// Whether the kernel keeps the rate, and why not; `None` unless
    /// [`SegmenterBuilder::kernel_pacing`] asked for it.
    pub fn kernel_pacing(&self) -> Option<&KernelPacing> {
        self.sender.kernel_pacing()
    }

    /// Event bytes in one datagram.
    pub fn max_payload(&self) -> usize {
        self.sender.max_payload()
    }

    /// Largest IP datagram in bytes.
    pub fn mtu(&self) -> u32 {
        self.sender.mtu()
    }

    /// The smallest send buffer that the system granted, in bytes.
    pub fn send_buffer(&self) -> usize {
        self.sender.send_buffer()
    }
}

impl Drop for Segmenter {
    fn drop(&mut self) {
        if !self.stopped {
            self.shut_down(self.drain);
        }
    }
}

/// The system gives us no thread.
fn no_thread(what: &str, error: io::Error) -> SetupError {
    SetupError::new(
        SetupErrorKind::System,
        format!("start {what}"),
        error.to_string(),
        "look at the limits on threads: `ulimit -u`, the cgroup's `pids.max`",
    )
    .caused_by(error)
}

#[cfg(test)]
mod tests;
