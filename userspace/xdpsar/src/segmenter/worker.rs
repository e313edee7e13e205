//! The sender threads: each takes whole events from the queue and sends them
//! through flows of its own.

use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender as ChannelSender};
use crossbeam_utils::atomic::AtomicCell;
use xdpsar_dataplane::{
    Payload, SendConfig, SendCounters, Sender, SetupError, pin, random::SplitMix64,
};

use super::{queue::Job, shared::Shared};
use crate::{Error, SendError};

/// How long a stopped worker may take beyond the deadline to notice it: a
/// wait for room in a send buffer lasts up to 100 ms.
const GRACE: Duration = Duration::from_secs(1);

/// What a worker has done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Published {
    pub(super) sender: SendCounters,
    pub(super) failed: u64,
    pub(super) dropped: Dropped,
}

/// Events that a stop cut off, and those that were withdrawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) cancelled: u64,
}

impl Dropped {
    pub(super) fn add(&mut self, bytes: u64) {
        self.events += 1;
        self.bytes += bytes;
    }

    /// An event that was not sent because of one of the two. Whether it was.
    fn count(&mut self, error: &Error, bytes: u64) -> bool {
        match error {
            Error::Stopped => self.add(bytes),
            Error::Cancelled => self.cancelled += 1,
            _ => return false,
        }
        true
    }
}

/// The running threads.
#[derive(Debug)]
pub(super) struct Workers {
    threads: Vec<JoinHandle<()>>,
    jobs: Receiver<Job>,
    /// Disconnected once all have ended.
    ended: Receiver<Infallible>,
    pub(super) published: Vec<Arc<AtomicCell<Published>>>,
}

impl Workers {
    /// Starts as many, on those cores, if any are named. Returns when each is
    /// on its core.
    pub(super) fn start(
        count: usize,
        cores: &[usize],
        config: &SendConfig,
        shared: &Arc<Shared>,
    ) -> Result<Self, SetupError> {
        // Here, not in the threads: in the caller's network namespace.
        let mut config = config.clone();
        let open = |_| {
            // An AF_XDP queue has one owner; the caller's thread has the first.
            config.xdp.queue = config.xdp.queue.map(|queue| queue.saturating_add(1));
            Sender::open(&config)
        };
        let senders: Vec<Sender> = (0..count).map(open).collect::<Result<_, _>>()?;
        let jobs = shared.queue.open();
        let (ending, ended) = crossbeam_channel::bounded(0);
        let mut workers = Self { threads: Vec::new(), jobs, ended, published: Vec::new() };
        let (ready, started) = crossbeam_channel::bounded(count);
        for (index, sender) in senders.into_iter().enumerate() {
            let published = Arc::new(AtomicCell::default());
            let worker = Worker {
                index,
                sender,
                shared: Arc::clone(shared),
                random: SplitMix64::from_os(),
                totals: Published::default(),
                published: Arc::clone(&published),
                defect: None,
            };
            let core = cores.get(index).copied();
            let (jobs, ready, ending) = (workers.jobs.clone(), ready.clone(), ending.clone());
            let run = move || worker.run(core, &jobs, ready, ending);
            let thread = std::thread::Builder::new().name(format!("xdpsar-send{index}")).spawn(run);
            match thread {
                Ok(thread) => workers.threads.push(thread),
                Err(error) => {
                    shared.queue.close();
                    return Err(super::no_thread("a sender thread", error));
                }
            }
            workers.published.push(published);
        }
        drop(ready);
        match started.into_iter().find_map(Result::err) {
            None => Ok(workers),
            Some(error) => {
                shared.queue.close();
                Err(error)
            }
        }
    }

    /// Events that wait.
    pub(super) fn queue_depth(&self) -> usize {
        self.jobs.len()
    }

    /// Lets the workers send what is queued, for so long; then cuts off the
    /// rest. The queue is closed already. Returns how many threads have not
    /// ended, and what they left in the queue.
    pub(super) fn stop(&mut self, drain: Duration, shared: &Shared) -> (usize, Dropped) {
        let mut all_ended = self.have_ended(drain);
        if !all_ended {
            shared.halt.store(true, Ordering::Relaxed);
            all_ended = self.have_ended(GRACE);
        }
        let mut stuck = 0;
        for thread in self.threads.drain(..) {
            if all_ended || thread.is_finished() {
                // A worker catches its panics.
                let _ = thread.join();
            } else {
                stuck += 1;
            }
        }
        let mut left = Dropped::default();
        for job in self.jobs.try_iter() {
            let error = if job.completion.begin() { Error::Stopped } else { Error::Cancelled };
            left.count(&error, job.buffer.len());
            job.finish(Err(error));
        }
        (stuck, left)
    }

    fn have_ended(&self, timeout: Duration) -> bool {
        matches!(self.ended.recv_timeout(timeout), Err(RecvTimeoutError::Disconnected))
    }
}

struct Worker {
    index: usize,
    sender: Sender,
    shared: Arc<Shared>,
    random: SplitMix64,
    totals: Published,
    published: Arc<AtomicCell<Published>>,
    /// What it panicked with: its sender is in an unknown state since.
    defect: Option<String>,
}

impl Worker {
    fn run(
        mut self,
        core: Option<usize>,
        jobs: &Receiver<Job>,
        ready: ChannelSender<Result<(), SetupError>>,
        _ending: ChannelSender<Infallible>,
    ) {
        // Who started us waits for this.
        let _ = ready.send(core.map_or(Ok(()), pin::pin_current_thread));
        drop(ready);
        while let Ok(job) = jobs.recv() {
            self.shared.queue.made_room(jobs.len());
            let result = self.serve(&job);
            if let Err(error) = &result
                && !self.totals.dropped.count(error, job.buffer.len())
            {
                self.totals.failed += 1;
            }
            self.totals.sender = self.sender.counters();
            // Before the ticket: who was told finds it counted.
            self.published.store(self.totals);
            job.finish(result);
        }
    }

    fn serve(&mut self, job: &Job) -> Result<(), Error> {
        if let Some(message) = &self.defect {
            return Err(Error::Worker { worker: self.index, message: message.clone() });
        }
        self.shared.wait_for_warm_up();
        if !job.completion.begin() {
            return Err(Error::Cancelled);
        }
        if self.shared.halt.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        let sent = catch_unwind(AssertUnwindSafe(|| self.send(job)));
        sent.unwrap_or_else(|panic| {
            let message = crate::error::panic_message(&*panic);
            self.defect = Some(message.clone());
            Err(Error::Worker { worker: self.index, message })
        })
    }

    fn send(&mut self, job: &Job) -> Result<(), Error> {
        let headers = self.shared.headers(job.event_number, &job.options, &mut self.random);
        let mut pace = self.shared.pace();
        let send = |payload: Payload<'_>| self.sender.send_paced(&headers, payload, &mut pace);
        match job.buffer.with_payload(send) {
            Err(SendError::Stopped { .. }) => Err(Error::Stopped),
            sent => Ok(sent?),
        }
    }
}
