//! A worker's stream of datagrams from AF_XDP sockets.

use std::{fmt, os::fd::BorrowedFd, sync::Arc, time::Duration};

use super::{
    BATCH,
    inlet::Inlet,
    packet::Judge,
    receiver::Attachment,
    wait::{Waiter, Woken},
};
use crate::{
    error::ReceiveError,
    source::{Intake, Source, SourceCounters},
};

/// One worker's sockets; see the [module](super).
pub struct XdpSource {
    /// Before the sockets: if we are the last to hold it, the program goes
    /// first.
    attachment: Arc<Attachment>,
    inlets: Vec<Inlet>,
    /// The inlet whose turn it is to be first.
    next: usize,
    judge: Judge,
    counters: SourceCounters,
    waiter: Waiter,
}

impl XdpSource {
    pub(crate) fn new(
        attachment: Arc<Attachment>,
        inlets: Vec<Inlet>,
        judge: Judge,
        wait: crate::config::Wait,
    ) -> Self {
        let waiter = Waiter::new(wait, inlets.iter().map(Inlet::socket));
        Self { attachment, inlets, next: 0, judge, counters: SourceCounters::default(), waiter }
    }
}

impl fmt::Debug for XdpSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "XdpSource({})", self.describe())
    }
}

impl Source for XdpSource {
    #[inline]
    fn receive(&mut self, intake: &mut impl Intake) -> Result<usize, ReceiveError> {
        let before = self.counters.datagrams;
        let mut left = BATCH;
        let (late, early) = self.inlets.split_at_mut(self.next);
        for inlet in early.iter_mut().chain(late) {
            left -= inlet.receive(left, &self.judge, &mut self.counters, intake);
            if left == 0 {
                break;
            }
        }
        // Another one is first the next time: none is starved.
        self.next += 1;
        if self.next >= self.inlets.len() {
            self.next = 0;
        }
        Ok((self.counters.datagrams - before) as usize)
    }

    fn wait(&mut self, wake: BorrowedFd<'_>, timeout: Duration) -> Result<(), ReceiveError> {
        let Self { inlets, counters, waiter, .. } = self;
        for inlet in inlets.iter_mut() {
            inlet.settle(counters);
        }
        let failed = |source| ReceiveError { what: "AF_XDP sockets".into(), source };
        let woken = waiter
            .wait(wake, timeout, || inlets.iter_mut().any(|inlet| !inlet.is_empty()))
            .map_err(failed)?;
        if woken == Woken::TimedOut {
            for inlet in inlets.iter() {
                counters.syscalls += 1;
                // An interface that is gone leaves the socket unbound, and
                // its error here (`xsk_notifier`, net/xdp/xsk.c).
                if let Some(source) = inlet.error() {
                    let what = format!("queue {} of {}", inlet.queue, self.attachment.interface);
                    return Err(ReceiveError { what, source });
                }
            }
        }
        Ok(())
    }

    fn counters(&mut self) -> SourceCounters {
        let mut counters = self.counters;
        counters.syscalls += self.waiter.syscalls;
        for inlet in &self.inlets {
            inlet.add_statistics(&mut counters);
        }
        self.counters.syscalls += self.inlets.len() as u64;
        counters
    }

    fn describe(&self) -> String {
        use fmt::Write as _;

        let mut text = String::from(if self.inlets.len() == 1 { "queue " } else { "queues " });
        for (index, inlet) in self.inlets.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(text, "{comma}{}", inlet.queue);
        }
        if self.inlets.is_empty() {
            return "no queue".into();
        }
        let copy =
            if self.inlets.iter().all(|inlet| inlet.zero_copy) { "zero-copy" } else { "copy" };
        format!("{text} of {} ({}, {copy})", self.attachment.interface, self.attachment.mode)
    }
}
