//! The running receiver.

use std::{
    fmt, io,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        mpsc::{self, SyncSender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam_utils::atomic::AtomicCell;
use xdpsar_dataplane::{
    LaneCounters, SetupError, Source, SourceCounters, error::SetupErrorKind, pin,
};
use xdpsar_reassembly::{Assembler, AssemblerConfig, Event, LostEvent, Pool};

pub use xdpsar_handoff::{Readiness, RecvTimeoutError, TryRecvError};

#[cfg(feature = "control-plane")]
use crate::registration::{Gauges, Membership, Place, Registration, RegistrationStatus};
use crate::{
    Error, Stats, WorkerStats,
    backend::{self, BackendInfo, Program, Sources},
    builder::ReassemblerBuilder,
    error::panic_message,
    handoff::{self, Inlets, Outlet},
    stats::Snapshot,
    stop::Control,
    worker::Worker,
};

/// Receives events until stopped or dropped.
///
/// All methods take `&self`: several threads may receive from one
/// `Reassembler`, and each event goes to exactly one of them. Events may
/// outlive it.
pub struct Reassembler {
    inlets: Inlets,
    control: Arc<Control>,
    workers: Vec<RunningWorker>,
    failure: Arc<OnceLock<Error>>,
    backend: BackendInfo,
    listen: SocketAddr,
    pool: Arc<Pool>,
    started: Instant,
    end: Mutex<End>,
    #[cfg(feature = "control-plane")]
    membership: Membership,
}

/// What there is to do at the end, and what is left after it.
struct End {
    threads: Vec<JoinHandle<()>>,
    program: Program,
    elapsed: Option<Duration>,
}

struct RunningWorker {
    core: Option<usize>,
    source: String,
    published: Arc<AtomicCell<Snapshot>>,
    lanes: Arc<LaneCounters>,
}

/// Stops a [`Reassembler`] from elsewhere: a signal handler's thread, another
/// owner.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<Control>);

impl Stopper {
    /// As [`Reassembler::stop`].
    pub fn stop(&self) {
        self.0.stop();
    }
}

impl Reassembler {
    /// A receiver on this address and, unless told otherwise, this one port.
    pub fn builder(listen: SocketAddr) -> ReassemblerBuilder {
        ReassemblerBuilder::new(listen)
    }

    pub(crate) fn start(builder: ReassemblerBuilder) -> Result<Self, Error> {
        let control = Arc::new(Control::new().map_err(|error| {
            SetupError::new(
                SetupErrorKind::System,
                "an eventfd to stop the workers by",
                error.to_string(),
                "raise the limit on open files (ulimit -n)",
            )
            .caused_by(error)
        })?);
        let opened = backend::open(builder.backend, &builder.receive)?;
        for warning in &opened.info.warnings {
            tracing::warn!("{warning}");
        }
        tracing::info!(
            backend = %opened.info.kind, reason = opened.info.reason, "{}", opened.info.detail
        );
        let pool = Pool::new(builder.pool());
        let (outlet, inlets) =
            handoff::queue(builder.queue, builder.overflow, builder.consumer_wait);
        let mut reassembler = Self {
            inlets,
            control,
            workers: Vec::new(),
            failure: Arc::new(OnceLock::new()),
            backend: opened.info,
            listen: SocketAddr::new(builder.receive.listen, builder.receive.base_port),
            pool,
            started: Instant::now(),
            end: Mutex::new(End { threads: Vec::new(), program: Program::None, elapsed: None }),
            #[cfg(feature = "control-plane")]
            membership: Membership::none(Place::of(&builder.receive)),
        };
        // From here on an early return drops `reassembler`, which stops and
        // joins what has been started.
        match opened.sources {
            #[cfg(feature = "xdp")]
            Sources::Xdp(program, sources) => {
                reassembler.end().program = Program::Attached(program);
                reassembler.spawn_all(sources, &builder, &outlet)?;
            }
            Sources::Socket(sources) => reassembler.spawn_all(sources, &builder, &outlet)?,
        }
        #[cfg(feature = "control-plane")]
        if let Some(registration) = builder.registration {
            // Sockets are bound: nothing is sent to nobody.
            reassembler.register(registration)?;
        }
        Ok(reassembler)
    }

    fn spawn_all<S: Source>(
        &mut self,
        sources: Vec<S>,
        builder: &ReassemblerBuilder,
        outlet: &Outlet,
    ) -> Result<(), SetupError> {
        let (report, reports) = mpsc::sync_channel(sources.len());
        let count = sources.len();
        for (index, source) in sources.into_iter().enumerate() {
            let core = builder.cores.get(index).copied();
            let (assembler, lanes) = (builder.assembler(index), builder.receive.lanes);
            let prefault = builder.prefaulted() / count as u64;
            let seat = Seat { index, core, assembler, prefault, lanes };
            self.spawn(source, seat, outlet.another(), report.clone())?;
        }
        for _ in 0..count {
            // A worker that dies before it reports shows up as a failure.
            if let Ok(result) = reports.recv() {
                result?;
            }
        }
        Ok(())
    }

    fn spawn<S: Source>(
        &mut self,
        source: S,
        seat: Seat,
        outlet: Outlet,
        report: SyncSender<Result<(), SetupError>>,
    ) -> Result<(), SetupError> {
        let Seat { index, core, assembler, prefault, lanes } = seat;
        let lanes = Arc::new(LaneCounters::new(lanes));
        let published = Arc::new(AtomicCell::new(Snapshot::default()));
        self.workers.push(RunningWorker {
            core,
            source: source.describe(),
            published: Arc::clone(&published),
            lanes: Arc::clone(&lanes),
        });
        let pool = Arc::clone(&self.pool);
        let control = Arc::clone(&self.control);
        let failure = Arc::clone(&self.failure);
        let thread = thread::Builder::new().name(format!("xdpsar-{index}")).spawn(move || {
            if let Some(core) = core
                && let Err(error) = pin::pin_current_thread(core)
            {
                let _ = report.send(Err(error));
                return;
            }
            let stop_all = Arc::clone(&control);
            // Made here, so that its memory is local to the core.
            let mut assembler = Assembler::new(assembler, pool);
            assembler.prefault(prefault);
            let mut worker = Worker {
                source,
                assembler,
                outlet,
                control,
                published,
                lanes,
                source_counters: SourceCounters::default(),
            };
            let _ = report.send(Ok(()));
            drop(report);
            let error = match catch_unwind(AssertUnwindSafe(|| worker.run())) {
                Ok(Ok(())) => return,
                Ok(Err(error)) => Error::Receive(error),
                Err(panic) => Error::Worker { worker: index, message: panic_message(&*panic) },
            };
            tracing::error!(%error, "worker {index} ended");
            let _ = failure.set(error);
            // A receiver that has silently lost some of its lanes is worse
            // than one that ends.
            stop_all.stop();
            // What was whole before a panic still goes out.
            worker.flush();
        });
        match thread {
            Ok(thread) => {
                self.end().threads.push(thread);
                Ok(())
            }
            Err(error) => Err(SetupError::new(
                SetupErrorKind::System,
                format!("a thread for worker {index}"),
                error.to_string(),
                "raise the limit on processes (ulimit -u), or ask for fewer workers",
            )
            .caused_by(error)),
        }
    }

    /// Waits for the next event. `None` after a stop, once the queue is empty.
    pub fn recv(&self) -> Option<Event> {
        self.inlets.events.recv().ok()
    }

    /// Waits for the next event, `timeout` at most.
    ///
    /// # Errors
    /// `Timeout`; `Disconnected` after a stop, once the queue is empty.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Event, RecvTimeoutError> {
        self.inlets.events.recv_timeout(timeout)
    }

    /// The next event if one is waiting.
    ///
    /// # Errors
    /// `Empty`; `Disconnected` after a stop, once the queue is empty.
    pub fn try_recv(&self) -> Result<Event, TryRecvError> {
        self.inlets.events.try_recv()
    }

    /// Waits up to `timeout` for an event, then appends it and what else is
    /// waiting, `at_most` in all, to `into`. Returns how many that were: 0
    /// after the time-out or a stop.
    pub fn recv_batch(&self, into: &mut Vec<Event>, at_most: usize, timeout: Duration) -> usize {
        self.inlets.events.recv_batch_timeout(into, at_most, timeout).unwrap_or(0)
    }

    /// As [`Reassembler::recv_batch`], waiting `timeout` at most, if there is
    /// one, and no longer than until `is_over`; it is asked before each sleep,
    /// and after each [`Reassembler::interrupt`].
    ///
    /// # Errors
    /// `Timeout`, also for what `is_over`; `Disconnected` after a stop, once
    /// the queue is empty.
    pub fn recv_batch_until(
        &self,
        into: &mut Vec<Event>,
        at_most: usize,
        timeout: Option<Duration>,
        is_over: impl Fn() -> bool,
    ) -> Result<usize, RecvTimeoutError> {
        self.inlets.events.recv_batch_until(into, at_most, timeout, is_over)
    }

    /// Has all who wait in [`Reassembler::recv_batch_until`] look whether they
    /// are to return. Who waits otherwise goes on.
    pub fn interrupt(&self) {
        self.inlets.events.interrupt();
    }

    /// A file descriptor to wait by, in a loop that waits for other things as
    /// well: readable while an event is queued, and after a stop. When it is,
    /// call [`Reassembler::try_recv`] until nothing is left.
    ///
    /// # Errors
    /// What the system returns: there are no more descriptors, or no memory.
    pub fn readiness(&self) -> io::Result<Readiness> {
        self.inlets.events.readiness()
    }

    /// Events until the end: see [`Reassembler::recv`].
    pub fn iter(&self) -> Events<'_> {
        Events(self)
    }

    /// The next report of a lost event, if one is waiting.
    pub fn lost(&self) -> Option<LostEvent> {
        self.inlets.lost.try_recv().ok()
    }

    /// The backend in use and why.
    pub const fn backend(&self) -> &BackendInfo {
        &self.backend
    }

    /// The address and first port.
    pub const fn local_addr(&self) -> SocketAddr {
        self.listen
    }

    /// What has become of everything received. Live values lag by up to
    /// 100 ms; after [`Reassembler::join`] they are final.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats { queued: self.inlets.events.len() as u64, ..Stats::default() };
        for (index, worker) in self.workers.iter().enumerate() {
            let own = WorkerStats {
                worker: index,
                core: worker.core,
                source: worker.source.clone(),
                ..WorkerStats::default()
            };
            stats.add_worker(own, &worker.published.load());
        }
        stats.pool_bytes = self.pool.held();
        let end = self.end();
        if let Some(counters) = end.program.counters() {
            stats.add_program(&counters);
        }
        stats.elapsed_s = end.elapsed.unwrap_or_else(|| self.started.elapsed()).as_secs_f64();
        stats
    }

    /// Datagrams by lane, so far: by port, from the first one on, or by what
    /// the entropy says. Their sum is [`Stats::datagrams`], which lags behind.
    pub fn lane_datagrams(&self) -> Vec<u64> {
        let mut all = Vec::new();
        for worker in &self.workers {
            all.resize(all.len().max(worker.lanes.iter().count()), 0);
            all.iter_mut().zip(worker.lanes.iter()).for_each(|(sum, own)| *sum += own);
        }
        all
    }

    /// Why the workers ended by themselves, if they did.
    pub fn failure(&self) -> Option<&Error> {
        self.failure.get()
    }

    /// Registers this receiver with a load balancer, as
    /// [`ReassemblerBuilder::register`] does at the start. Returns once it is
    /// registered.
    ///
    /// # Errors
    /// [`Error::Setup`]: what cannot be meant, it is registered, or it was
    /// stopped. [`Error::ControlPlane`]: refused, or nobody answers. It goes
    /// on receiving.
    #[cfg(feature = "control-plane")]
    pub fn register(&self, registration: Registration) -> Result<(), Error> {
        let gauges = Gauges {
            queue: self.inlets.events.clone(),
            pool: Arc::clone(&self.pool),
            workers: self.workers.iter().map(|worker| Arc::clone(&worker.published)).collect(),
        };
        self.membership.begin(registration, gauges, &self.control)
    }

    /// Deregisters this receiver, if it is registered, and goes on receiving:
    /// also what the load balancer still has for it. Returns once that is
    /// done, [`Registration::linger`] and some 2 s later at most.
    #[cfg(feature = "control-plane")]
    pub fn deregister(&self) {
        self.membership.end(&self.control);
    }

    /// How it stands with the load balancer that it was to be registered
    /// with, at its start or, since then, [later](Self::register).
    #[cfg(feature = "control-plane")]
    pub fn registration(&self) -> Option<RegistrationStatus> {
        self.membership.status()
    }

    /// Begins an orderly end and returns at once: the receiver is
    /// deregistered, which takes 2 s at most, and its
    /// [linger](crate::Registration::linger); then workers take in what has
    /// already arrived, give up what is still incomplete, and end. Events in
    /// the queue can still be received.
    pub fn stop(&self) {
        self.control.stop();
    }

    /// A handle that stops this receiver from elsewhere.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.control))
    }

    /// Stops, waits for the workers to end, and frees the interface and the
    /// ports. Events in the queue can still be received afterwards.
    pub fn join(&self) {
        self.stop();
        #[cfg(feature = "control-plane")]
        self.membership.end(&self.control);
        let mut end = self.end();
        for thread in end.threads.drain(..) {
            // Panics are caught and kept in `failure`.
            let _ = thread.join();
        }
        // Only now: while the rings were being drained, packets would have
        // been answered with "port unreachable".
        end.program.detach();
        end.elapsed.get_or_insert_with(|| self.started.elapsed());
    }

    fn end(&self) -> std::sync::MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Reassembler {
    fn drop(&mut self) {
        self.join();
    }
}

impl fmt::Debug for Reassembler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reassembler")
            .field("listen", &self.listen)
            .field("backend", &self.backend)
            .field("workers", &self.workers.len())
            .finish_non_exhaustive()
    }
}

/// Iterator over events; ends after a stop, once the queue is empty.
#[derive(Debug)]
pub struct Events<'a>(&'a Reassembler);

impl Iterator for Events<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.0.recv()
    }
}

impl<'a> IntoIterator for &'a Reassembler {
    type Item = Event;
    type IntoIter = Events<'a>;

    fn into_iter(self) -> Events<'a> {
        self.iter()
    }
}

/// Where a worker sits and what it works with.
struct Seat {
    index: usize,
    core: Option<usize>,
    assembler: AssemblerConfig,
    prefault: u64,
    lanes: u16,
}
