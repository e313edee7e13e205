//! A producer's handle on the queue.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    Buffer, EventOptions, Flush, Outcome, Segmenter, Ticket, shared::Shared, ticket::Completion,
};
use crate::Error;

/// Queues events: one for each producer thread, by [`Clone`]. The events of
/// one producer are numbered in the order of its calls.
///
/// It outlives the [`Segmenter`], but after that is stopped
/// or dropped, everything is refused.
#[derive(Clone)]
pub struct Submitter {
    shared: Arc<Shared>,
}

impl Submitter {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Queues an event, and waits while the queue is full (inside a callback
    /// it does not wait). The event is sent by a worker; the ticket tells
    /// when the kernel has it all.
    ///
    /// # Errors
    /// [`Refused`], with the buffer: longer than 4294967295 bytes, or the
    /// segmenter was stopped.
    pub fn submit(
        &self,
        buffer: impl Into<Buffer>,
        options: EventOptions,
    ) -> Result<Ticket, Refused> {
        self.submit_timeout(buffer, options, Duration::MAX)
    }

    /// As [`Submitter::submit`], but it waits for room not longer than that.
    /// If it waited in vain, [`SegmenterStats::queue_full`] does not count it.
    ///
    /// [`SegmenterStats::queue_full`]: super::SegmenterStats::queue_full
    ///
    /// # Errors
    /// [`Refused`], with the buffer. No number was used.
    pub fn submit_timeout(
        &self,
        buffer: impl Into<Buffer>,
        options: EventOptions,
        timeout: Duration,
    ) -> Result<Ticket, Refused> {
        self.shared.queue.push(buffer.into(), options, timeout, Completion::ticket)
    }

    /// As [`Submitter::submit`], but a full queue refuses.
    ///
    /// # Errors
    /// [`Refused`], with the buffer. No number was used.
    pub fn try_submit(
        &self,
        buffer: impl Into<Buffer>,
        options: EventOptions,
    ) -> Result<Ticket, Refused> {
        self.submit_timeout(buffer, options, Duration::ZERO)
    }

    /// As [`Submitter::submit`], but `told` is called with what became of the
    /// event, once, on a worker's thread. It should be short: that worker
    /// sends nothing meanwhile. If it panics, that is counted.
    ///
    /// # Errors
    /// [`Refused`], with the buffer; `told` is dropped then, not called.
    pub fn submit_with(
        &self,
        buffer: impl Into<Buffer>,
        options: EventOptions,
        told: impl FnOnce(Outcome) + Send + 'static,
    ) -> Result<(), Refused> {
        let tell = Completion::callback(Box::new(told));
        self.shared.queue.push(buffer.into(), options, Duration::MAX, tell)
    }

    /// Waits until every event queued before, by whichever producer, has been
    /// sent or has failed, and its ticket or callback was told. Returns at
    /// once inside a callback, which would wait for itself.
    pub fn flush(&self) {
        self.begin_flush().wait();
    }

    /// As [`Submitter::flush`], for who waits for other things meanwhile.
    pub fn begin_flush(&self) -> Flush {
        self.shared.queue.flush()
    }
}

impl fmt::Debug for Submitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submitter").finish_non_exhaustive()
    }
}

/// An event that the queue did not take in. Nothing of it was sent, and no
/// number used.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Refused {
    /// The event's bytes, to try again.
    pub buffer: Buffer,
    /// Why.
    pub error: Error,
}

impl Refused {
    /// Whether the queue was full: later it may not be.
    pub fn is_full(&self) -> bool {
        matches!(self.error, Error::QueueFull { .. })
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

/// For the caller's own thread.
impl Segmenter {
    /// Queues an event for the workers, and waits while the queue is full.
    /// The ticket tells when the kernel has it all.
    ///
    /// # Errors
    /// [`Refused`], with the buffer: longer than 4294967295 bytes, or there
    /// can be no workers.
    pub fn submit(
        &mut self,
        buffer: impl Into<Buffer>,
        options: EventOptions,
    ) -> Result<Ticket, Refused> {
        match self.submitter() {
            Ok(submitter) => submitter.submit(buffer, options),
            Err(error) => Err(Refused { buffer: buffer.into(), error }),
        }
    }

    /// As [`Segmenter::submit`], but a full queue refuses.
    ///
    /// # Errors
    /// As [`Segmenter::submit`]. No number was used.
    pub fn try_submit(
        &mut self,
        buffer: impl Into<Buffer>,
        options: EventOptions,
    ) -> Result<Ticket, Refused> {
        match self.submitter() {
            Ok(submitter) => submitter.try_submit(buffer, options),
            Err(error) => Err(Refused { buffer: buffer.into(), error }),
        }
    }

    /// As [`Segmenter::submit`], but `told` is called with what became of the
    /// event, once, on a worker's thread: see [`Submitter::submit_with`].
    ///
    /// # Errors
    /// As [`Segmenter::submit`]; `told` is dropped then, not called.
    pub fn submit_with(
        &mut self,
        buffer: impl Into<Buffer>,
        options: EventOptions,
        told: impl FnOnce(Outcome) + Send + 'static,
    ) -> Result<(), Refused> {
        match self.submitter() {
            Ok(submitter) => submitter.submit_with(buffer, options, told),
            Err(error) => Err(Refused { buffer: buffer.into(), error }),
        }
    }
}
