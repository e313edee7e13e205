//! One event after the other, to the segmenter or to its workers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use xdpsar::{Error, Segmenter, Submitter};

use super::{
    control::Control,
    files::Mapped,
    gate::Gate,
    source::{Outgoing, Source},
};
use crate::{args::send::SendArgs, status::Failure};

/// How old the figures may be that the other thread reports.
const FRESH: Duration = Duration::from_millis(20);

/// The sending thread.
pub(super) struct Line<'a> {
    segmenter: &'a mut Segmenter,
    workers: Option<(Submitter, Arc<Gate>)>,
    control: Arc<Control>,
    published: Instant,
}

impl<'a> Line<'a> {
    pub(super) fn new(
        args: &SendArgs,
        segmenter: &'a mut Segmenter,
        control: &Arc<Control>,
    ) -> Result<Self, Failure> {
        let workers = match args.has_workers() {
            true => Some((segmenter.submitter()?, Arc::default())),
            false => None,
        };
        let control = Arc::clone(control);
        Ok(Self { segmenter, workers, control, published: Instant::now() })
    }

    /// Sends what the source has, until that ends or is to be stopped.
    ///
    /// # Errors
    /// The source's, or the first event's that did not go out. All that was
    /// sent before is out, or has failed.
    pub(super) fn feed(mut self, source: &mut Source<'_>) -> Result<(), Failure> {
        let fed = self.feed_all(source);
        if fed.is_err() {
            // What is on its way has its time to go out, and no more.
            self.control.stop();
        }
        let drained = self.drain();
        fed.and(drained.map_err(Failure::from))
    }

    fn feed_all(&mut self, source: &mut Source<'_>) -> Result<(), Failure> {
        while !self.control.is_stopping() {
            let Some(event) = source.next(self.segmenter.backend())? else { break };
            match self.send(event) {
                Ok(()) => {}
                Err(Error::Stopped) => break,
                Err(error) => return Err(error.into()),
            }
            self.publish();
        }
        Ok(())
    }

    fn send(&mut self, event: Outgoing) -> Result<(), Error> {
        let Outgoing { bytes, options, mapped } = event;
        let Some((submitter, gate)) = &self.workers else {
            let sent = self.segmenter.send_from(&bytes, options).map(drop);
            return judged(sent, mapped.as_ref(), &self.control);
        };
        let (submitter, gate) = (submitter.clone(), Arc::clone(gate));
        let length = bytes.len();
        while !gate.enter(length, FRESH)? {
            self.publish();
        }
        let (told, control) = (Arc::clone(&gate), Arc::clone(&self.control));
        let submitted = submitter.submit_with(bytes, options, move |outcome| {
            told.leave(length, judged(outcome.result, mapped.as_ref(), &control));
        });
        submitted.map_err(|refused| {
            gate.leave(length, Ok(()));
            refused.error
        })
    }

    /// Waits until the workers are done: by themselves, or cut off.
    fn drain(&mut self) -> Result<(), Error> {
        if let Some((_, gate)) = self.workers.take() {
            while !gate.is_empty(FRESH)? {
                self.publish();
            }
        }
        Ok(())
    }

    fn publish(&mut self) {
        let now = Instant::now();
        if now.duration_since(self.published) >= FRESH {
            self.published = now;
            self.control.publish(self.segmenter.stats());
        }
    }
}

/// What became of an event, considering the file that it was in.
fn judged(
    sent: Result<(), Error>,
    mapped: Option<&Mapped>,
    control: &Control,
) -> Result<(), Error> {
    let Some(mapped) = mapped else { return sent };
    if let (Ok(()), Some(path)) = (&sent, mapped.changed()) {
        control.changed(path);
    }
    sent.map_err(|error| mapped.explain(error))
}
