//! The mere cost of lending against that of copying: a queue in plain memory,
//! one core, packets in its second-level cache, no reassembly.

use std::{
    hint::black_box,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use anyhow::ensure;
use xdpsar_bench::spread::spread;
use xdpsar_dataplane::{
    Checksum, Datagram, Intake, ReceiveConfig, SocketOptions, Wait, XdpOptions,
    xdp::plain::{Queue, Sizes},
};
use xdpsar_reassembly::Lender;
use xdpsar_wire::{LbFraming, steering::LaneMode};

use crate::round::{Contestant, PORT};

/// Bytes before the payload: Ethernet, IPv4 and UDP header.
const HEADERS: usize = 14 + 20 + 8;
const BATCH: usize = 64;
const ROUNDS: usize = 2000;

/// Nanoseconds per datagram of `size` bytes.
pub(crate) fn measure(contestant: Contestant, size: usize) -> anyhow::Result<f64> {
    let config = ReceiveConfig {
        listen: Ipv4Addr::UNSPECIFIED.into(),
        base_port: PORT,
        ports: 1,
        lane_mode: LaneMode::Port,
        lanes: 1,
        framing: LbFraming::None,
        workers: 1,
        wait: Wait::Spin,
        xdp: XdpOptions { checksum: Checksum::Off, ..XdpOptions::default() },
        socket: SocketOptions::default(),
    };
    let sizes =
        Sizes { frames: BATCH, reserve: BATCH, least: 0, fill: BATCH, rx: BATCH, batch: BATCH };
    let mut queue = Queue::new(&config, sizes);
    let packet = packet(size);
    let mut worker = Worker { contestant, buffer: vec![0; 1 << 16], at: 0 };
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        for _ in 0..BATCH {
            ensure!(queue.arrive(&[&packet]), "no room for {size} bytes");
        }
        let start = Instant::now();
        let taken = queue.receive(BATCH, &mut worker);
        queue.post();
        times.push(nanoseconds(start.elapsed()));
        ensure!(taken == BATCH, "{taken} of {BATCH} datagrams came");
    }
    Ok(spread(times)[1] / BATCH as f64)
}

fn nanoseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}

fn packet(size: usize) -> Vec<u8> {
    let (ip_len, udp_len) = ((28 + size) as u16, (8 + size) as u16);
    let mut packet = vec![0; 12];
    packet.extend([0x08, 0x00, 0x45, 0]);
    packet.extend(ip_len.to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x12, 0x34]);
    packet.extend(PORT.to_be_bytes());
    packet.extend(udp_len.to_be_bytes());
    packet.extend([0, 0]);
    packet.resize(HEADERS + size, 0x5a);
    packet
}

struct Worker {
    contestant: Contestant,
    buffer: Vec<u8>,
    at: usize,
}

impl Intake for Worker {
    fn foresee(&mut self, _first: &[u8]) {}

    #[inline]
    fn take(&mut self, datagram: Datagram<'_>, lender: &mut impl Lender) {
        let bytes = datagram.bytes.first();
        match self.contestant {
            Contestant::Bare => _ = black_box(bytes.len()),
            Contestant::Copied => {
                // Buffers come from a pool that fits the cache.
                if self.at + bytes.len() > self.buffer.len() {
                    self.at = 0;
                }
                let to = &mut self.buffer[self.at..self.at + bytes.len()];
                to.copy_from_slice(bytes);
                self.at += bytes.len();
                black_box(to);
            }
            Contestant::Lent => drop(black_box(lender.lend(0..bytes.len()))),
        }
    }
}
