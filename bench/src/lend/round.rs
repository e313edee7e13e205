//! Who competes, and one burst received by one of them.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use crossbeam_queue::ArrayQueue;
use xdpsar_bench::reading;
use xdpsar_dataplane::{
    CopyMode, Datagram, Ingest, LaneCounters, Lend, ReceiveConfig, SocketOptions, Source, Wait,
    XdpOptions, XdpReceiver, XdpSource,
};
use xdpsar_reassembly::{Assembler, AssemblerConfig, Event, LostEvent, Pool, PoolConfig, Sink};
use xdpsar_tests::Lab;
use xdpsar_wire::{LbFraming, steering::LaneMode};

use crate::partner::Partner;

pub(crate) const PORT: u16 = 19522;
/// Events in a burst: less than an RX ring holds.
pub(crate) const BURST: usize = 1024;

/// What happens to a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contestant {
    /// It is received and released.
    Bare,
    /// Its event is copied into a buffer.
    Copied,
    /// Its event keeps the packet's memory.
    Lent,
}

impl Contestant {
    pub(crate) const ALL: [Self; 3] = [Self::Bare, Self::Copied, Self::Lent];

    /// Who gets its events. There are none where there is nothing but
    /// datagrams.
    pub(crate) fn consumers(self) -> impl Iterator<Item = Consumer> {
        let count = if self == Self::Bare { 1 } else { Consumer::ALL.len() };
        Consumer::ALL.into_iter().take(count)
    }
}

/// What is done with an event before it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Count,
    Read,
}

impl Work {
    #[inline]
    pub(crate) fn on(self, event: Event) {
        match self {
            Self::Count => _ = black_box(event.len()),
            Self::Read => _ = black_box(reading::sum(&event)),
        }
    }
}

/// Who gets the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Consumer {
    elsewhere: bool,
    work: Work,
}

impl Consumer {
    pub(crate) const ALL: [Self; 4] = [
        Self { elsewhere: false, work: Work::Count },
        Self { elsewhere: false, work: Work::Read },
        Self { elsewhere: true, work: Work::Count },
        Self { elsewhere: true, work: Work::Read },
    ];

    pub(crate) const fn is_elsewhere(self) -> bool {
        self.elsewhere
    }

    pub(crate) const fn name(self) -> &'static str {
        match (self.elsewhere, self.work) {
            (false, Work::Count) => "same thread, counts",
            (false, Work::Read) => "same thread, reads",
            (true, Work::Count) => "other core, counts",
            (true, Work::Read) => "other core, reads",
        }
    }
}

/// One cell of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) contestant: Contestant,
    pub(crate) consumer: Consumer,
    pub(crate) size: usize,
}

/// Per event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) worker_ns: f64,
    /// On the other core; 0 where there is none.
    pub(crate) consumer_ns: f64,
}

impl Cost {
    pub(crate) fn total(&self) -> f64 {
        self.worker_ns + self.consumer_ns
    }
}

/// A receiver without threads of its own.
pub(crate) struct Receiver {
    // Before the program goes.
    source: XdpSource,
    _program: XdpReceiver,
    assembler: Assembler,
    lanes: LaneCounters,
}

impl Receiver {
    pub(crate) fn open(lab: &Lab, contestant: Contestant) -> anyhow::Result<Self> {
        let lend = if contestant == Contestant::Lent { Lend::On } else { Lend::Off };
        let config = ReceiveConfig {
            listen: lab.receiver.address(false),
            base_port: PORT,
            ports: 1,
            lane_mode: LaneMode::Port,
            lanes: 1,
            framing: LbFraming::Auto,
            workers: 1,
            wait: Wait::Spin,
            xdp: XdpOptions {
                interface: Some(lab.receiver.interface.clone()),
                copy: CopyMode::Copy,
                lend,
                ..XdpOptions::default()
            },
            socket: SocketOptions::default(),
        };
        let (program, mut sources) = lab.receiver.run(|| XdpReceiver::open(&config))?;
        let source = sources.pop().context("one worker, one source")?;
        let pool = Pool::new(PoolConfig { budget: 256 << 20, max_event: 1 << 20 });
        let assembler = Assembler::new(AssemblerConfig::default(), pool);
        Ok(Self { source, _program: program, assembler, lanes: LaneCounters::new(1) })
    }

    /// Receives bursts, and says what each cost per event.
    pub(crate) fn measure(
        &mut self,
        case: Case,
        bursts: usize,
        partner: &Partner,
    ) -> anyhow::Result<Vec<Cost>> {
        // The first one warms up.
        let all = (0..=bursts).map(|_| self.burst(case, partner)).skip(1);
        all.collect::<anyhow::Result<_>>().with_context(|| format!("{case:?}"))
    }

    fn burst(&mut self, case: Case, partner: &Partner) -> anyhow::Result<Cost> {
        let Case { contestant, consumer: Consumer { elsewhere, work }, size } = case;
        let elsewhere = elsewhere && contestant != Contestant::Bare;
        partner.burst(size, elsewhere.then_some(work))?;
        let mut outlet =
            Outlet { work, queue: elsewhere.then(|| Arc::clone(&partner.events)), events: 0 };
        let start = Instant::now();
        let mut received = 0;
        while received < BURST && start.elapsed() < Duration::from_secs(1) {
            received += if contestant == Contestant::Bare {
                self.source.receive(&mut |datagram: Datagram<'_>| {
                    black_box(datagram.bytes.len());
                })?
            } else {
                let mut intake = Ingest {
                    assembler: &mut self.assembler,
                    now: 0,
                    lanes: &self.lanes,
                    sink: &mut outlet,
                };
                self.source.receive(&mut intake)?
            };
        }
        let worker_ns = start.elapsed().as_nanos() as f64 / BURST as f64;
        ensure!(received == BURST, "{received} of {BURST} datagrams came");
        ensure!(contestant == Contestant::Bare || outlet.events == BURST, "not all were events");
        let consumer_ns = if elsewhere { partner.consumed()? / BURST as f64 } else { 0.0 };
        Ok(Cost { worker_ns, consumer_ns })
    }
}

struct Outlet {
    work: Work,
    queue: Option<Arc<ArrayQueue<Event>>>,
    events: usize,
}

impl Sink for Outlet {
    #[inline]
    fn event(&mut self, event: Event) {
        self.events += 1;
        match &self.queue {
            None => self.work.on(event),
            // There is room for two bursts.
            Some(queue) => _ = queue.push(event),
        }
    }

    fn lost(&mut self, _lost: LostEvent) {}
}
