//! Options of a receiver, their limits and defaults.

use std::{net::SocketAddr, time::Duration};

use xdpsar_dataplane::{
    Lend, ReceiveConfig, SetupError, SocketOptions, Wait, XdpOptions, error::SetupErrorKind, pin,
};
use xdpsar_reassembly::{AssemblerConfig, BudgetPolicy, PoolConfig};
use xdpsar_wire::{
    LbFraming,
    steering::{LaneMode, MAX_LANES},
};

use crate::{Error, Overflow, Reassembler, backend::Backend};

/// Default memory budget of the events in progress and queued.
pub const DEFAULT_MEMORY: u64 = 1 << 30;
/// Default of the memory that is touched beforehand.
pub const DEFAULT_PREFAULT: u64 = 64 << 20;
/// It is at most this share of the budget, unless asked otherwise.
const PREFAULT_SHARE: u64 = 4;
/// Default capacity of the queue of finished events (`data-plane.md` §4.7).
pub const DEFAULT_QUEUE: usize = 1000;
/// Default time without progress after which an event is lost.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_millis(500);
/// An event in progress for this many time-outs is lost in any case.
const LIFETIME_IN_TIMEOUTS: u32 = 20;
/// Most workers one receiver can have.
pub const MAX_WORKERS: usize = 128;

/// A receiver to be: see [`Reassembler::builder`].
#[derive(Clone, Debug)]
#[must_use = "nothing happens before `start`"]
pub struct ReassemblerBuilder {
    pub(crate) backend: Backend,
    pub(crate) receive: ReceiveConfig,
    pub(crate) cores: Vec<usize>,
    pub(crate) timeout: Duration,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) memory: u64,
    prefault: Option<u64>,
    pub(crate) max_event: Option<u32>,
    pub(crate) on_budget: BudgetPolicy,
    pub(crate) queue: usize,
    pub(crate) overflow: Overflow,
    pub(crate) consumer_wait: xdpsar_handoff::Wait,
    #[cfg(feature = "control-plane")]
    pub(crate) registration: Option<crate::Registration>,
    workers: Option<usize>,
    lanes: Option<u16>,
}

impl ReassemblerBuilder {
    pub(crate) fn new(listen: SocketAddr) -> Self {
        Self {
            backend: Backend::default(),
            receive: ReceiveConfig {
                listen: listen.ip(),
                base_port: listen.port(),
                ports: 1,
                lane_mode: LaneMode::default(),
                lanes: 1,
                framing: LbFraming::default(),
                workers: 1,
                wait: Wait::default(),
                xdp: XdpOptions::default(),
                socket: SocketOptions::default(),
            },
            cores: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
            lifetime: None,
            memory: DEFAULT_MEMORY,
            prefault: None,
            max_event: None,
            on_budget: BudgetPolicy::default(),
            queue: DEFAULT_QUEUE,
            overflow: Overflow::default(),
            consumer_wait: xdpsar_handoff::Wait::default(),
            #[cfg(feature = "control-plane")]
            registration: None,
            workers: None,
            lanes: None,
        }
    }

    /// AF_XDP, sockets, or what suits (default).
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// UDP ports from the first one on: a power of two, at most 16384.
    /// Default 1.
    pub fn ports(mut self, ports: u16) -> Self {
        self.receive.ports = ports;
        self
    }

    /// How a datagram's lane is found. Default by destination port.
    pub fn lane_mode(mut self, mode: LaneMode) -> Self {
        self.receive.lane_mode = mode;
        self
    }

    /// Lanes of [`LaneMode::Entropy`]: a power of two. Default: the least that
    /// gives every worker one.
    pub fn lanes(mut self, lanes: u16) -> Self {
        self.lanes = Some(lanes);
        self
    }

    /// Whether datagrams carry the LB header. Default: told apart by content.
    pub fn lb_header(mut self, framing: LbFraming) -> Self {
        self.receive.framing = framing;
        self
    }

    /// The interface to take packets from by AF_XDP. Default: the one that
    /// carries the listening address.
    pub fn interface(mut self, name: impl Into<String>) -> Self {
        self.receive.xdp.interface = Some(name.into());
        self
    }

    /// Worker threads; each owns some lanes. Default: one per core given to
    /// [`Self::cores`], else 1.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Cores to pin the workers to, in turn. Default: not pinned.
    pub fn cores(mut self, cores: Vec<usize>) -> Self {
        self.cores = cores;
        self
    }

    /// Time without progress after which an event is lost. Default 500 ms.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Time after which an event in progress is lost even if it still grows.
    /// Default: 20 time-outs.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Memory for events, in bytes: in progress, queued, and not yet dropped
    /// by the consumer. Default 1 GiB. Packet memory is not counted, nor are
    /// the events that keep theirs: see [`Self::lend`].
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// So many bytes of [`Self::memory`] are touched before the first packet is
    /// taken in, for events of less than 2 MiB. The first touch of a page costs
    /// more than filling it, in which time packets are lost; in a virtual
    /// machine up to forty times as much. Default 64 MiB, and no more than a
    /// quarter of the memory; none where that is below 128 MiB. What exceeds
    /// the memory is left out. As much as events take at the most is best: then
    /// none is touched later.
    pub fn prefault(mut self, bytes: u64) -> Self {
        self.prefault = Some(bytes);
        self
    }

    /// Longest event accepted, in bytes. Default: what the memory holds.
    pub fn max_event(mut self, bytes: u32) -> Self {
        self.max_event = Some(bytes);
        self
    }

    /// What happens to a new event when the memory is used up. Default: it is
    /// refused.
    pub fn on_budget(mut self, policy: BudgetPolicy) -> Self {
        self.on_budget = policy;
        self
    }

    /// Capacity of the queue of finished events. Default 1000.
    pub fn queue(mut self, events: usize) -> Self {
        self.queue = events;
        self
    }

    /// What happens to a finished event when the queue is full. Default: it
    /// is dropped and counted.
    pub fn overflow(mut self, policy: Overflow) -> Self {
        self.overflow = policy;
        self
    }

    /// How workers wait for packets. Default: adaptive.
    pub fn wait(mut self, wait: Wait) -> Self {
        self.receive.wait = wait;
        self
    }

    /// Whether events that are whole in one packet keep the packet's memory
    /// instead of a copy (AF_XDP). Default: where that was measured to cost
    /// less. Memory for it is set aside beyond the packet memory that
    /// receiving needs (by default 2048 frames per queue) and beyond
    /// [`Self::memory`]; when consumers hold all of it, events are copied.
    pub fn lend(mut self, lend: Lend) -> Self {
        self.receive.xdp.lend = lend;
        self
    }

    /// How consumers wait for events. Default: adaptive. A consumer that
    /// spins gets its event sooner, and occupies a core of its own.
    pub fn consumer_wait(mut self, wait: Wait) -> Self {
        self.consumer_wait = match wait {
            Wait::Adaptive => xdpsar_handoff::Wait::Adaptive,
            Wait::Spin => xdpsar_handoff::Wait::Spin,
            Wait::Sleep => xdpsar_handoff::Wait::Sleep,
        };
        self
    }

    /// Options of the AF_XDP path. An interface given to
    /// [`Self::interface`] before is kept where these name none.
    pub fn xdp(mut self, options: XdpOptions) -> Self {
        let interface = self.receive.xdp.interface.take();
        self.receive.xdp = options;
        self.receive.xdp.interface = self.receive.xdp.interface.take().or(interface);
        self
    }

    /// Options of the socket path.
    pub fn socket(mut self, options: SocketOptions) -> Self {
        self.receive.socket = options;
        self
    }

    /// Makes it a load balancer's worker while it receives: see
    /// [`registration`](crate::registration). What the load balancer is told
    /// of ports and of its header follows from the other options.
    #[cfg(feature = "control-plane")]
    pub fn register(mut self, registration: crate::Registration) -> Self {
        self.registration = Some(registration);
        self
    }

    /// Sets everything up and starts the workers; when this returns, datagrams
    /// that arrive are received.
    ///
    /// # Errors
    /// [`Error::Setup`]; [`Error::ControlPlane`](Error) if the receiver is to
    /// be registered. Nothing stays attached, bound, running or registered.
    pub fn start(mut self) -> Result<Reassembler, Error> {
        self.settle()?;
        #[cfg(feature = "control-plane")]
        self.registration.as_ref().map_or(Ok(()), crate::Registration::check)?;
        Reassembler::start(self)
    }

    /// Fills in what was left to us and refuses what cannot be meant.
    fn settle(&mut self) -> Result<(), SetupError> {
        let usage = |asked: String, found: &str, remedy: String| {
            Err(SetupError::new(SetupErrorKind::Usage, asked, found, remedy))
        };
        let workers = self.workers.unwrap_or(self.cores.len().max(1));
        if workers == 0 || workers > MAX_WORKERS {
            return usage(
                format!("{workers} workers"),
                "a receiver has at least one",
                format!("ask for 1 to {MAX_WORKERS} workers"),
            );
        }
        if !self.cores.is_empty() && self.cores.len() < workers {
            return usage(
                format!("{workers} workers on {} cores", self.cores.len()),
                "two spinning workers on one core starve each other",
                format!("name {workers} cores, or fewer workers"),
            );
        }
        pin::check_cores(&self.cores)?;
        let receive = &mut self.receive;
        receive.workers = workers;
        if !receive.ports.is_power_of_two() || receive.ports > MAX_LANES {
            return usage(
                format!("{} ports", receive.ports),
                "EJFAT port ranges are powers of two",
                format!("ask for 1, 2, 4 … {MAX_LANES} ports"),
            );
        }
        if receive.base_port == 0 {
            return usage(
                "UDP port 0".into(),
                "senders need to know the port",
                "name a port from 1024 on".into(),
            );
        }
        let last = u32::from(receive.base_port) + u32::from(receive.ports) - 1;
        if last > u32::from(u16::MAX) {
            return usage(
                format!("{} ports from {} on", receive.ports, receive.base_port),
                &format!("the last would be {last}, and UDP ports end at 65535"),
                format!("start at {} or below", 65536 - u32::from(receive.ports)),
            );
        }
        receive.lanes = match (receive.lane_mode, self.lanes) {
            (LaneMode::Port, None) => receive.ports,
            (LaneMode::Port, Some(lanes)) if lanes == receive.ports => lanes,
            (LaneMode::Port, Some(lanes)) => {
                return usage(
                    format!("{lanes} lanes on {} ports", receive.ports),
                    "by destination port, each port is one lane",
                    "leave the lanes out, or choose them by entropy".into(),
                );
            }
            // At most 128 workers: no overflow.
            (LaneMode::Entropy, None) => (workers as u16).next_power_of_two(),
            (LaneMode::Entropy, Some(lanes)) => lanes,
        };
        if !receive.lanes.is_power_of_two() || receive.lanes > MAX_LANES {
            return usage(
                format!("{} lanes", receive.lanes),
                "lanes are the low bits of the entropy",
                format!("ask for 1, 2, 4 … {MAX_LANES} lanes"),
            );
        }
        if receive.lane_mode == LaneMode::Entropy && receive.framing == LbFraming::None {
            return usage(
                "lanes by entropy without an LB header".into(),
                "the entropy stands in the LB header",
                "keep the LB header, or choose lanes by port".into(),
            );
        }
        if self.timeout.is_zero() || self.lifetime.is_some_and(|lifetime| lifetime < self.timeout) {
            return usage(
                format!("a time-out of {:?}, lifetime {:?}", self.timeout, self.lifetime),
                "events need time to arrive",
                "ask for a time-out above 0 and a lifetime not below it".into(),
            );
        }
        if self.queue == 0 {
            return usage(
                "a queue of 0 events".into(),
                "finished events wait there for the consumer",
                format!("ask for 1 or more (default {DEFAULT_QUEUE})"),
            );
        }
        let max_event = u64::from(self.max_event.unwrap_or(0));
        if self.memory < 1 << 20 || self.memory < max_event {
            return usage(
                format!("{} bytes of memory for events of up to {max_event}", self.memory),
                "not one such event would fit",
                "ask for at least 1 MiB and room for several of the longest events".into(),
            );
        }
        Ok(())
    }

    /// Bytes to be touched, by all workers together.
    pub(crate) fn prefaulted(&self) -> u64 {
        self.prefault.unwrap_or(DEFAULT_PREFAULT.min(self.memory / PREFAULT_SHARE))
    }

    pub(crate) fn pool(&self) -> PoolConfig {
        PoolConfig {
            budget: self.memory,
            max_event: self
                .max_event
                .unwrap_or_else(|| u32::try_from(self.memory).unwrap_or(u32::MAX)),
        }
    }

    pub(crate) fn assembler(&self, worker: usize) -> AssemblerConfig {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        AssemblerConfig {
            framing: self.receive.framing,
            worker: worker as u16,
            timeout_ns: nanos(self.timeout),
            max_lifetime_ns: nanos(self.lifetime.unwrap_or(self.timeout * LIFETIME_IN_TIMEOUTS)),
            on_budget: self.on_budget,
            ..AssemblerConfig::default()
        }
    }
}
