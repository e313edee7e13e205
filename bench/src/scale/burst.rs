//! A burst that waits in the rings, or in the sockets' buffers, before the
//! clock starts: what is timed is the receiver alone.
//!
//! ```text
//!  core 0: partner                       core 1: this thread
//!  sends 1024 datagrams ──veth──▶ rings ──▶ then receives them all, timed
//! ```

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use xdpsar_bench::{cpu, spread::spread};
use xdpsar_dataplane::{
    CopyMode, Datagram, Ingest, LaneCounters, ReceiveConfig, SocketOptions, Source, Wait,
    XdpOptions, XdpReceiver, XdpSource,
};
use xdpsar_reassembly::{Assembler, AssemblerConfig, Event, LostEvent, Pool, PoolConfig, Sink};
use xdpsar_tests::Lab;
use xdpsar_wire::{LbFraming, steering::LaneMode};

use crate::{
    curve::Sample,
    partner::{Burst, PORT, Partner, Way},
};

/// Bursts of a sample, after one that warms up.
const BURSTS: usize = 8;
/// Within this time a burst has arrived.
const PATIENCE: Duration = Duration::from_secs(5);
/// As a worker does after each batch.
const EXPIRE_PER_BATCH: usize = 16;

/// What to receive on so many ports, each a lane, with so many workers.
pub(crate) fn config(lab: &Lab, ports: u16, workers: usize, xdp: XdpOptions) -> ReceiveConfig {
    ReceiveConfig {
        listen: lab.receiver.address(false),
        base_port: PORT,
        ports,
        lane_mode: LaneMode::Port,
        lanes: ports,
        framing: LbFraming::Auto,
        workers,
        wait: Wait::Spin,
        xdp: XdpOptions {
            interface: Some(lab.receiver.interface.clone()),
            copy: CopyMode::Copy,
            ..xdp
        },
        socket: SocketOptions::default(),
    }
}

struct Worker<S> {
    source: S,
    assembler: Assembler,
    lanes: LaneCounters,
}

/// Workers without threads of their own, and who sends to them.
pub(crate) struct Bench<S> {
    partner: Partner,
    workers: Vec<Worker<S>>,
    /// Counts what is in the rings; none: what is sent is there.
    program: Option<XdpReceiver>,
    burst: Burst,
    started: Instant,
    // After all that lives in it.
    _lab: Lab,
}

impl Bench<XdpSource> {
    pub(crate) fn xdp(
        lab: Lab,
        config: &ReceiveConfig,
        burst: Burst,
        way: Way,
    ) -> anyhow::Result<Self> {
        let (program, sources) = lab.receiver.run(|| XdpReceiver::open(config))?;
        Self::new(lab, config, (sources, Some(program)), burst, way)
    }
}

impl<S: Source> Bench<S> {
    pub(crate) fn new(
        lab: Lab,
        config: &ReceiveConfig,
        (sources, program): (Vec<S>, Option<XdpReceiver>),
        burst: Burst,
        way: Way,
    ) -> anyhow::Result<Self> {
        let worker = |source| {
            let pool = Pool::new(PoolConfig { budget: 256 << 20, max_event: 1 << 20 });
            let assembler = Assembler::new(AssemblerConfig::default(), pool);
            Worker { source, assembler, lanes: LaneCounters::new(config.lanes) }
        };
        Ok(Self {
            partner: Partner::start(&lab, config.ports, burst, way)?,
            workers: sources.into_iter().map(worker).collect(),
            program,
            burst,
            started: Instant::now(),
            _lab: lab,
        })
    }

    /// CPU nanoseconds per datagram that is received, put into its event, and
    /// the event counted; and what it takes only to receive and release it.
    pub(crate) fn sample(&mut self) -> anyhow::Result<Sample> {
        let before = self.syscalls();
        let mut whole = Vec::with_capacity(BURSTS);
        let mut bare = Vec::with_capacity(BURSTS);
        for round in 0..=BURSTS {
            let costs = [self.receive(true)?, self.receive(false)?];
            if round > 0 {
                whole.push(costs[0]);
                bare.push(costs[1]);
            }
        }
        let datagrams = self.burst.datagrams();
        let calls = (self.syscalls() - before) as f64 / (2 * (BURSTS + 1) * datagrams) as f64;
        let also = vec![
            ("released_only_ns", spread(bare)[1]),
            ("syscalls_per_1000", 1000.0 * calls),
            ("waiting_kib", (self.burst.events * self.burst.event) as f64 / 1024.0),
        ];
        Ok(Sample { ns: spread(whole)[1], also })
    }

    fn syscalls(&mut self) -> u64 {
        self.workers.iter_mut().map(|worker| worker.source.counters().syscalls).sum()
    }

    /// One burst; nanoseconds per datagram.
    fn receive(&mut self, assemble: bool) -> anyhow::Result<f64> {
        let redirected = self.redirected()?;
        self.partner.burst()?;
        let count = self.burst.datagrams();
        let deadline = Instant::now() + PATIENCE;
        while self.program.is_some() && self.redirected()? < redirected + count as u64 {
            ensure!(Instant::now() < deadline, "not all of {:?} was redirected", self.burst);
        }
        let now = self.started.elapsed().as_nanos() as u64;
        let mut sink = Count(0);
        let mut received = 0;
        let before = cpu::thread();
        while received < count {
            let so_far = received;
            for Worker { source, assembler, lanes } in &mut self.workers {
                if assemble {
                    let mut intake = Ingest { assembler, now, lanes, sink: &mut sink };
                    received += source.receive(&mut intake)?;
                    assembler.expire(now, EXPIRE_PER_BATCH, &mut sink);
                } else {
                    received += source.receive(&mut |datagram: Datagram<'_>| {
                        black_box(datagram.bytes.len());
                    })?;
                }
            }
            ensure!(
                received > so_far || Instant::now() < deadline,
                "{received} of {:?} came",
                self.burst
            );
        }
        let ns = cpu::ns_since(before);
        let events = if assemble { self.burst.events } else { 0 };
        ensure!(sink.0 == events, "{} events of {:?}", sink.0, self.burst);
        Ok(ns / count as f64)
    }

    fn redirected(&self) -> anyhow::Result<u64> {
        let counters = self.program.as_ref().map(XdpReceiver::program_counters).transpose();
        Ok(counters.context("the program's counters")?.map_or(0, |counters| counters[0]))
    }
}

struct Count(usize);

impl Sink for Count {
    #[inline]
    fn event(&mut self, event: Event) {
        self.0 += 1;
        black_box(event.len());
    }

    fn lost(&mut self, _lost: LostEvent) {}
}
