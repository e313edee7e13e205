//! Options of a segmenter, their limits and defaults.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use xdpsar_dataplane::{
    SendBackend, SendConfig, Sender, SetupError, XdpTransmitOptions, error::SetupErrorKind, pin,
    random::SplitMix64,
};
use xdpsar_wire::LbVersion;

#[cfg(feature = "control-plane")]
use super::{Admission, admission::Admitted};
use super::{
    Segmenter, SyncConfig, Ticks,
    pacing::{DEFAULT_BURST, Pacer, Pacing},
    queue::Queue,
    shared::Shared,
    sync::SyncThread,
    tick::TickAxis,
    worker::Dropped,
};
use crate::{Error, builder::MAX_WORKERS};

/// Default capacity of the queue.
const DEFAULT_QUEUE: usize = 1024;
/// Default time that a dropped segmenter takes to send what is queued.
const DEFAULT_DRAIN: Duration = Duration::from_secs(5);

/// Options of a [`Segmenter`]. Those not named are E2SAR's: one port, four
/// sockets, the route's MTU, data id 0, LB header version 2, no rate limit.
#[derive(Clone, Debug)]
#[must_use = "nothing is opened before `open`"]
pub struct SegmenterBuilder {
    config: SendConfig,
    data_id: u16,
    first_event: u64,
    rate_gbps: Option<f64>,
    smooth: bool,
    burst: Duration,
    ethernet: bool,
    kernel_pacing: bool,
    workers: Option<usize>,
    cores: Vec<usize>,
    queue: usize,
    drain: Duration,
    ticks: Ticks,
    sync: Option<SyncConfig>,
    #[cfg(feature = "control-plane")]
    admission: Option<Admission>,
}

impl SegmenterBuilder {
    pub(super) const fn new(to: SocketAddr) -> Self {
        Self {
            config: SendConfig::new(to),
            data_id: 0,
            first_event: 0,
            rate_gbps: None,
            smooth: true,
            burst: DEFAULT_BURST,
            ethernet: false,
            kernel_pacing: false,
            workers: None,
            cores: Vec::new(),
            queue: DEFAULT_QUEUE,
            drain: DEFAULT_DRAIN,
            ticks: Ticks::Clock,
            sync: None,
            #[cfg(feature = "control-plane")]
            admission: None,
        }
    }

    /// Destination ports, a power of two: an event goes to port
    /// `to + (entropy & (ports − 1))`, as a load balancer would send it on.
    /// For receivers without one; towards a load balancer, leave it at 1.
    pub const fn ports(mut self, ports: u16) -> Self {
        self.config.ports = ports;
        self
    }

    /// Sockets, from 1 to 128. Each is one flow, from a source port of its
    /// own; events take turns.
    pub const fn sockets(mut self, sockets: usize) -> Self {
        self.config.sockets = sockets;
        self
    }

    /// How datagrams are handed to the system. Default: the fastest that works.
    pub const fn backend(mut self, backend: SendBackend) -> Self {
        self.config.backend = backend;
        self
    }

    /// Options of sending by AF_XDP. Where they name a queue, `send…` has that
    /// one, and each worker another, those that follow.
    pub const fn xdp(mut self, options: XdpTransmitOptions) -> Self {
        self.config.xdp = options;
        self
    }

    /// How long to try again while the system takes nothing, before an event
    /// has failed. Default 5 s.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.config.patience = patience;
        self
    }

    /// Address to send from: the one that a load balancer knows this sender
    /// by. Default: the route's. Sync messages come from it as well.
    pub fn source(mut self, source: impl Into<Option<IpAddr>>) -> Self {
        self.config.source = source.into();
        self
    }

    /// Differentiated-services code point of the datagrams, up to 63.
    /// Default: the system's.
    pub fn dscp(mut self, dscp: impl Into<Option<u8>>) -> Self {
        self.config.dscp = dscp.into();
        self
    }

    /// Whether sockets are connected (default): the kernel looks up the route
    /// once, and tells when nobody listens.
    pub const fn connected(mut self, connected: bool) -> Self {
        self.config.connected = connected;
        self
    }

    /// Largest IP datagram in bytes. `None` or 0: the route's, 9000 at most.
    pub fn mtu(mut self, mtu: impl Into<Option<u32>>) -> Self {
        self.config.mtu = mtu.into();
        self
    }

    /// Data id of events that name no other.
    pub const fn data_id(mut self, data_id: u16) -> Self {
        self.data_id = data_id;
        self
    }

    /// Number of the first event; each further one counts up.
    pub const fn first_event(mut self, event_number: u64) -> Self {
        self.first_event = event_number;
        self
    }

    /// Version of the LB header; `None` sends none, as behind a load
    /// balancer.
    pub const fn lb(mut self, version: Option<LbVersion>) -> Self {
        self.config.lb = version;
        self
    }

    /// Limit of the rate in 10⁹ bits per second of IP datagrams, headers
    /// included, of all threads together; `None` for no limit.
    pub fn rate_gbps(mut self, rate: impl Into<Option<f64>>) -> Self {
        self.rate_gbps = rate.into();
        self
    }

    /// Whether the rate counts what a frame adds on an Ethernet wire: 38
    /// bytes per datagram. Default: no.
    pub const fn count_ethernet(mut self, count: bool) -> Self {
        self.ethernet = count;
        self
    }

    /// Whether an event is spread evenly over the time that it takes at the
    /// rate (default), or leaves at once and the next one waits for that
    /// time: a burst of an event's length, in the fewest system calls.
    pub const fn smooth(mut self, smooth: bool) -> Self {
        self.smooth = smooth;
        self
    }

    /// How much of a pause, or of a late awakening, may be made up for at
    /// once: up to a second. A quarter of it leaves in one go. Beyond that, up
    /// to 20 ms are made up for at 3 % above the rate. Default 400 µs.
    pub const fn burst(mut self, burst: Duration) -> Self {
        self.burst = burst;
        self
    }

    /// Whether the kernel is asked to space each socket's datagrams at the
    /// rate as well (`SO_MAX_PACING_RATE`): finer than any thread can, where
    /// the interface's queueing discipline is `fq`. Default: no.
    pub const fn kernel_pacing(mut self, asked: bool) -> Self {
        self.kernel_pacing = asked;
        self
    }

    /// Send buffer of each socket in bytes, as far as the system allows.
    pub const fn send_buffer(mut self, bytes: usize) -> Self {
        self.config.send_buffer = bytes;
        self
    }

    /// Threads that send queued events, from 1 to 128, each through
    /// [`Self::sockets`] of its own; an event is sent wholly by one. They are
    /// started by [`Self::open`]. Default: one for each of [`Self::cores`];
    /// without those one, started by the first event that is queued.
    pub const fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Cores to pin the workers to, in turn. Default: not pinned.
    pub fn cores(mut self, cores: Vec<usize>) -> Self {
        self.cores = cores;
        self
    }

    /// Capacity of the queue, in events. Default 1024.
    pub const fn queue(mut self, events: usize) -> Self {
        self.queue = events;
        self
    }

    /// How long a segmenter that is dropped goes on sending what is queued;
    /// [`Segmenter::stop`] takes a time of its own. Default 5 s.
    pub const fn drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// What the ticks of events are that name none. Default: the clock.
    pub const fn ticks(mut self, ticks: Ticks) -> Self {
        self.ticks = ticks;
        self
    }

    /// Sync messages to a control plane, from [`Self::open`] on. Default:
    /// none.
    pub fn sync(mut self, sync: impl Into<Option<SyncConfig>>) -> Self {
        self.sync = sync.into();
        self
    }

    /// Has a load balancer let us in, from [`Self::open`] until all was sent;
    /// the first event waits until that has taken effect. Default: it is not
    /// asked.
    #[cfg(feature = "control-plane")]
    pub fn admit(mut self, admission: impl Into<Option<Admission>>) -> Self {
        self.admission = admission.into();
        self
    }

    /// Opens the sockets, has the load balancer let us in, and starts the
    /// threads that were asked for, in this order.
    ///
    /// # Errors
    /// [`Error::Setup`]: values that cannot be meant, no route, an MTU that
    /// does not fit, a core that is not there. With [`Self::admit`] also
    /// `Error::ControlPlane`. Nothing is left behind.
    pub fn open(mut self) -> Result<Segmenter, Error> {
        let workers = self.checked_workers()?;
        if self.kernel_pacing {
            // No rate that is refused below gets through: it becomes 0 or the
            // most.
            let bytes_per_second = |gbps: f64| (gbps * 1e9 / 8.0) as u64;
            self.config.kernel_pacing = self.rate_gbps.map(bytes_per_second);
        }
        let sender = Sender::open(&self.config)?;
        let pacer = self.rate_gbps.map(|rate| {
            let Self { smooth, burst, ethernet, .. } = self;
            Pacer::new(&Pacing { rate, burst, ethernet, smooth }, sender.mtu())
        });
        let pacer = pacer.transpose()?;
        #[allow(unused_mut, reason = "a control plane adds to it")]
        let mut warm_up = self.sync.map_or(Duration::ZERO, |sync| sync.warm_up);
        #[cfg(feature = "control-plane")]
        let admitted = match self.admission {
            None => None,
            Some(admission) => {
                warm_up = warm_up.max(admission.takes_effect);
                Some(Admitted::ask(admission, self.config.to, self.config.source)?)
            }
        };
        let axis = Arc::new(TickAxis::new(self.ticks, self.first_event));
        let shared = Arc::new(Shared {
            queue: Queue::new(self.first_event, self.queue),
            axis: Arc::clone(&axis),
            pacer,
            data_id: self.data_id,
            warm_at: Instant::now().checked_add(warm_up).filter(|_| !warm_up.is_zero()),
            halt: AtomicBool::new(false),
        });
        let sync =
            self.sync.map(|sync| SyncThread::start(sync, self.config.source, axis)).transpose()?;
        let mut segmenter = Segmenter {
            config: self.config,
            count: workers,
            drain: self.drain,
            sender,
            random: SplitMix64::from_os(),
            shared,
            workers: None,
            sync,
            #[cfg(feature = "control-plane")]
            admitted,
            cores: self.cores,
            cut_off: Dropped::default(),
            stopped: false,
        };
        if self.workers.is_some() || !segmenter.cores.is_empty() {
            segmenter.start_workers()?;
        }
        Ok(segmenter)
    }

    /// How many workers there are to be.
    fn checked_workers(&self) -> Result<usize, SetupError> {
        let usage = |asked: String, found: &str, remedy: String| {
            Err(SetupError::new(SetupErrorKind::Usage, asked, found, remedy))
        };
        let workers = self.workers.unwrap_or(self.cores.len().max(1));
        if workers == 0 || workers > MAX_WORKERS {
            return usage(
                format!("{workers} workers to send"),
                "queued events need one at least",
                format!("ask for 1 to {MAX_WORKERS}"),
            );
        }
        if !self.cores.is_empty() && self.cores.len() < workers {
            return usage(
                format!("{workers} workers on {} cores", self.cores.len()),
                "each has a core of its own",
                format!("name {workers} cores, or fewer workers"),
            );
        }
        pin::check_cores(&self.cores)?;
        if self.queue == 0 {
            return usage(
                "a queue of 0 events".into(),
                "queued events wait there for a worker",
                format!("ask for 1 or more (default {DEFAULT_QUEUE})"),
            );
        }
        if let Some(sync) = &self.sync {
            sync.check(self.ticks)?;
        }
        Ok(workers)
    }
}
