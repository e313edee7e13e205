//! Workloads that are not other benchmarks': a step does one fragment or item.

use std::{hint::black_box, net::UdpSocket};

use anyhow::ensure;
use clap::ValueEnum;
use xdpsar_dataplane::{OutgoingEvent, Payload, SendBackend, SendConfig, Sender};
use xdpsar_wire::{Headers, LbFraming, LbHeader, LbVersion, ReHeader};
use zerocopy::IntoBytes as _;

/// Bytes of an event that is cut at an MTU of 1500.
const EVENT: usize = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Steps {
    /// The headers of a datagram, checked.
    Parse,
    /// An item through the hand-off, by itself.
    Handoff1,
    /// An item through the hand-off, one of 64 in a batch.
    Handoff64,
    /// A fragment cut, headed and handed to the kernel, some dozens at a time.
    SegmentGso,
    /// The same, each a message.
    SegmentMmsg,
}

impl Steps {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Handoff1 => "handoff1",
            Self::Handoff64 => "handoff64",
            Self::SegmentGso => "segment-gso",
            Self::SegmentMmsg => "segment-mmsg",
        }
    }

    /// Does so many of them, at least.
    ///
    /// # Errors
    /// What comes out is not what should.
    pub(crate) fn run(self, count: u64) -> anyhow::Result<()> {
        match self {
            Self::Parse => parse(count),
            Self::Handoff1 => handoff(count, 1),
            Self::Handoff64 => handoff(count, 64),
            Self::SegmentGso => segment(count, SendBackend::Gso),
            Self::SegmentMmsg => segment(count, SendBackend::Mmsg),
        }
    }
}

fn parse(count: u64) -> anyhow::Result<()> {
    let mut datagram = LbHeader::new(LbVersion::V2, 7, 8).as_bytes().to_vec();
    datagram.extend_from_slice(ReHeader::new(1, 0, 1000, 2).as_bytes());
    datagram.resize(datagram.len() + 1000, 3);
    let mut lengths = 0;
    for _ in 0..count {
        let headers = Headers::parse(black_box(&datagram), LbFraming::Auto)?;
        lengths += u64::from(black_box(headers).re.length());
    }
    ensure!(lengths == 1000 * count, "{lengths}");
    Ok(())
}

fn handoff(count: u64, batch: usize) -> anyhow::Result<()> {
    let (sender, receiver) = xdpsar_handoff::bounded(1024);
    let (mut items, mut taken) = (Vec::with_capacity(batch), Vec::with_capacity(batch));
    let (mut next, mut sum) = (0, 0);
    while next < count {
        items.extend(next..next + batch as u64);
        next += batch as u64;
        sender.push_batch(&mut items)?;
        ensure!(receiver.recv_batch(&mut taken, batch)? == batch, "a batch that is not whole");
        sum += taken.drain(..).sum::<u64>();
    }
    ensure!(sum == next * (next - 1) / 2, "{sum} of {next} items");
    Ok(())
}

/// To a socket that nobody reads: what the kernel does with the datagrams is
/// not counted.
fn segment(count: u64, backend: SendBackend) -> anyhow::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let config = SendConfig { mtu: Some(1500), backend, ..SendConfig::new(socket.local_addr()?) };
    let mut sender = Sender::open(&config)?;
    let event = vec![1; EVENT];
    let mut event_number = 0;
    while sender.counters().fragments < count {
        sender
            .send(&OutgoingEvent { event_number, ..Default::default() }, Payload::whole(&event))?;
        event_number += 1;
    }
    ensure!(sender.counters().events == event_number, "{:?}", sender.counters());
    Ok(())
}
