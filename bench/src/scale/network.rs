//! What is measured by [bursts](crate::burst): sockets, lanes, UDP ports.

use anyhow::Context;
use xdpsar_dataplane::{
    Layout, Lend, SocketSource, XdpOptions,
    xdp::{RX_ENTRIES, frame_len},
};
use xdpsar_tests::{Lab, LabConfig};

use crate::{
    burst::{Bench, config},
    curve::{Key, Point, Sample},
    partner::{Burst, MTU, PAYLOAD, Way},
};

/// 1024 datagrams: less than the smallest rings hold.
const EVENTS_OF_8: Burst = Burst { events: 128, fragments: 8, event: 8 * PAYLOAD };
/// As many, each an event.
const SINGLES: Burst = Burst { events: 1024, fragments: 1, event: 256 };

/// How sockets and queues belong together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arrangement {
    /// All sockets on one queue.
    FanOut,
    /// A socket, and packet memory, for each queue.
    Queues,
    /// The same, with as much packet memory in all as the fanned-out queue.
    SmallQueues,
}

impl Arrangement {
    const ALL: [Self; 3] = [Self::FanOut, Self::Queues, Self::SmallQueues];

    const fn as_str(self) -> &'static str {
        match self {
            Self::FanOut => "fan-out on one queue",
            Self::Queues => "a queue each",
            Self::SmallQueues => "a queue each, small rings",
        }
    }

    fn open(self, sockets: u16) -> anyhow::Result<Point<'static>> {
        let queues = if self == Self::FanOut { 1 } else { sockets.into() };
        let rx_ring =
            if self == Self::Queues { RX_ENTRIES } else { RX_ENTRIES / u32::from(sockets) };
        let lab = Lab::new(LabConfig { queues, mtu: MTU });
        let options = XdpOptions {
            layout: if self == Self::FanOut { Layout::FanOut } else { Layout::QueuePerCore },
            rx_ring: Some(rx_ring),
            lend: Lend::Off,
            ..XdpOptions::default()
        };
        let config = config(&lab, sockets, sockets.into(), options);
        let mut bench = Bench::xdp(lab, &config, EVENTS_OF_8, Way::Queues(queues))?;
        let key = Key {
            curve: "sockets",
            series: self.as_str().to_owned(),
            count: sockets.into(),
            of: "sockets",
            per: "datagram",
        };
        // Twice as many frames as entries.
        let memory = u32::from(sockets) as usize * 2 * rx_ring as usize * frame_len(MTU);
        let memory_mib = memory as f64 / f64::from(1 << 20);
        Ok(Point {
            key,
            measure: Box::new(move || {
                let mut sample = bench.sample()?;
                sample.also.push(("packet_memory_mib", memory_mib));
                Ok(sample)
            }),
        })
    }
}

/// What a datagram costs by how many AF_XDP sockets one thread drains.
pub(crate) fn sockets(quick: bool) -> anyhow::Result<Vec<Point<'static>>> {
    let counts: &[u16] = if quick { &[1, 8] } else { &[1, 2, 4, 8] };
    let all = Arrangement::ALL.into_iter();
    all.flat_map(|arrangement| counts.iter().map(move |count| arrangement.open(*count))).collect()
}

/// What a datagram costs by how many lanes a worker has.
pub(crate) fn lanes(quick: bool) -> anyhow::Result<Vec<Point<'static>>> {
    let counts: &[u16] = if quick { &[1, 1024] } else { &[1, 4, 16, 64, 256, 1024] };
    let open = |lanes: &u16| {
        let lab = Lab::new(LabConfig { queues: 1, mtu: MTU });
        let config =
            config(&lab, *lanes, 1, XdpOptions { lend: Lend::Off, ..XdpOptions::default() });
        let mut bench = Bench::xdp(lab, &config, SINGLES, Way::Queues(1))?;
        let key = Key {
            curve: "lanes",
            series: format!("AF_XDP, events of {} B", SINGLES.event),
            count: (*lanes).into(),
            of: "lanes",
            per: "datagram",
        };
        Ok(Point { key, measure: Box::new(move || bench.sample()) })
    };
    counts.iter().map(open).collect()
}

/// What a datagram costs by how many UDP sockets a worker has.
pub(crate) fn udp_ports(quick: bool) -> anyhow::Result<Vec<Point<'static>>> {
    let counts: &[u16] = if quick { &[1, 64] } else { &[1, 4, 16, 64] };
    let mut points = Vec::new();
    for each in [false, true] {
        for ports in counts {
            let events = if each { 8 * usize::from(*ports) } else { 128 };
            points.push(udp(*ports, Burst { events, ..EVENTS_OF_8 }, each)?);
        }
    }
    Ok(points)
}

fn udp(ports: u16, burst: Burst, each: bool) -> anyhow::Result<Point<'static>> {
    let lab = Lab::new(LabConfig { queues: 1, mtu: MTU });
    let config = config(&lab, ports, 1, XdpOptions::default());
    let (sources, _) = lab.receiver.run(|| SocketSource::open(&config)).context("UDP sockets")?;
    let mut bench = Bench::new(lab, &config, (sources, None), burst, Way::Kernel)?;
    let waiting = if each { "64 waiting in each" } else { "1024 waiting in all" };
    let key = Key {
        curve: "UDP ports",
        series: waiting.to_owned(),
        count: ports.into(),
        of: "sockets",
        per: "datagram",
    };
    let measure = move || -> anyhow::Result<Sample> { bench.sample() };
    Ok(Point { key, measure: Box::new(measure) })
}
