//! How workers, RX queues and sockets belong together, and how large the
//! rings are: pure arithmetic.

use super::{BATCH, CHUNK, LEAST_CHUNK, chain::MAX_CHAIN};
use crate::{
    config::{LEND_FROM, Layout, Lend, ReceiveConfig},
    error::{SetupError, SetupErrorKind},
};

/// Bytes of a chunk that the kernel keeps free before the packet
/// (`XDP_PACKET_HEADROOM`, `include/uapi/linux/bpf.h`).
const HEADROOM: usize = 256;
/// Ethernet header and two VLAN tags: what a frame has beyond the MTU.
const LINK_HEADERS: usize = 14 + 2 * 4;
/// RX ring entries of all the sockets of a queue together, unless asked
/// otherwise. A worker that something else keeps from its core for some
/// milliseconds loses nothing yet; smaller ones lost every tenth event on a
/// core shared with the consumer, and were not faster (docs/PERFORMANCE.md).
pub const RX_ENTRIES: u32 = 8192;
/// Frames of a queue that may be on loan, unless asked otherwise.
const LENT: u32 = 2048;
/// The least that one socket gets.
const LEAST_RX_RING: u32 = 256;
/// The kernel's own limit is memory; this keeps the arithmetic honest.
const LARGEST_RX_RING: u32 = 1 << 16;

/// The plan by which queues, sockets and memory are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Every worker has a socket on every queue.
    pub(crate) fan_out: bool,
    pub(crate) queues: u32,
    pub(crate) workers: usize,
    /// Entries of each socket's RX ring.
    pub(crate) rx_ring: u32,
    /// Frames of each queue that receiving needs, all of them posted at the
    /// start.
    pub(crate) frames: u32,
    /// Frames of each socket beyond those: what stands in for frames that are
    /// lent to events.
    pub(crate) reserve: u32,
    /// Entries of the fill ring: room for every frame.
    pub(crate) fill_ring: u32,
    /// Bytes of a frame.
    pub(crate) chunk: usize,
}

impl Plan {
    /// # Errors
    /// Where the options cannot be had: see the texts.
    pub(crate) fn new(config: &ReceiveConfig, queues: u32, mtu: u32) -> Result<Self, SetupError> {
        let workers = config.workers;
        if queues == 0 || workers == 0 || workers > usize::from(u16::MAX) {
            return Err(SetupError::new(
                SetupErrorKind::Usage,
                format!("receive with {workers} workers"),
                format!("{queues} RX queues"),
                "use at least one of each, and at most 65535 workers",
            ));
        }
        let fan_out = match config.xdp.layout {
            Layout::Auto => (queues as usize) < workers,
            Layout::QueuePerCore => false,
            Layout::FanOut => true,
        };
        let per_packet = frames_per_packet(mtu);
        if per_packet > MAX_CHAIN {
            return Err(SetupError::new(
                SetupErrorKind::Mtu,
                format!("receive packets of MTU {mtu}"),
                format!("a packet may take {MAX_CHAIN} frames of {}", CHUNK - HEADROOM),
                format!("set an MTU of at most {}", MAX_CHAIN * (CHUNK - HEADROOM) - LINK_HEADERS),
            ));
        }
        let sharers = if fan_out { workers as u32 } else { 1 };
        let rx_ring = match config.xdp.rx_ring {
            Some(asked) => check_rx_ring(asked)?,
            None => (RX_ENTRIES / sharers.next_power_of_two()).max(LEAST_RX_RING),
        };
        let frames = posted_frames(rx_ring, sharers).ok_or_else(|| {
            SetupError::new(
                SetupErrorKind::Memory,
                format!("share a queue among {sharers} workers with RX rings of {rx_ring}"),
                "more frames than a fill ring can hold".to_string(),
                "use fewer workers or smaller rings",
            )
        })?;
        let fill_ring = frames.next_power_of_two();
        let reserve = match config.xdp.lend {
            Lend::Off => 0,
            // No packet holds an event that would be lent; and memory of
            // which none is lent may be on huge pages.
            Lend::Auto if (mtu as usize) < LEND_FROM => 0,
            Lend::Auto | Lend::On => {
                let lend = config.xdp.lend_frames.unwrap_or(LENT);
                lend.min(LARGEST_RX_RING).div_ceil(sharers)
            }
        };
        let chunk = frame_len(mtu);
        Ok(Self { fan_out, queues, workers, rx_ring, frames, reserve, fill_ring, chunk })
    }

    /// Sockets on each queue.
    pub(crate) const fn sockets(&self) -> usize {
        if self.fan_out { self.workers } else { 1 }
    }

    /// Frames of each queue's memory.
    pub(crate) const fn all_frames(&self) -> usize {
        self.frames as usize + self.reserve as usize * self.sockets()
    }

    /// Bytes of each queue's memory.
    pub(crate) const fn memory(&self) -> usize {
        self.all_frames() * self.chunk
    }

    /// Workers that have a socket on `queue`.
    pub(crate) fn owners(&self, queue: u32) -> impl Iterator<Item = usize> + use<> {
        if self.fan_out {
            0..self.workers
        } else {
            let owner = queue as usize % self.workers;
            owner..owner + 1
        }
    }

    /// XSKMAP slots that lead to the socket of `worker` on `queue`.
    pub(crate) fn slots(&self, queue: u32, worker: usize) -> impl Iterator<Item = u32> + use<> {
        let workers = self.workers as u32;
        let lanes = if self.fan_out { worker as u32..worker as u32 + 1 } else { 0..workers };
        lanes.map(move |lane| queue * workers + lane)
    }

    /// All slots.
    pub(crate) const fn slot_count(&self) -> u32 {
        self.queues * self.workers as u32
    }
}

/// Bytes of a frame on an interface of this MTU: 2 KiB where a packet fits
/// into that beside the kernel's headroom, else 4 KiB, of which a packet may
/// take several. Small frames take half the memory, and the kernel fills them
/// sooner (docs/PERFORMANCE.md).
pub const fn frame_len(mtu: u32) -> usize {
    if mtu as usize + LINK_HEADERS <= LEAST_CHUNK - HEADROOM { LEAST_CHUNK } else { CHUNK }
}

/// Frames that the longest packet of this MTU takes.
const fn frames_per_packet(mtu: u32) -> usize {
    (mtu as usize + LINK_HEADERS).div_ceil(frame_len(mtu) - HEADROOM)
}

fn check_rx_ring(asked: u32) -> Result<u32, SetupError> {
    // A batch must fit, and so must the longest chain.
    if asked.is_power_of_two() && (BATCH as u32..=LARGEST_RX_RING).contains(&asked) {
        return Ok(asked);
    }
    Err(SetupError::new(
        SetupErrorKind::Usage,
        format!("an RX ring of {asked} entries"),
        "rings have a power of two of entries".to_string(),
        format!("choose one from {BATCH} to {LARGEST_RX_RING}"),
    ))
}

/// More frames than all the RX rings of a queue and all batches in hand can
/// hold at once. Else a worker that does not drain its ring ends up with all
/// frames there are, and its siblings get none.
fn posted_frames(rx_ring: u32, sharers: u32) -> Option<u32> {
    let in_rings = rx_ring.checked_mul(sharers)?;
    let in_hand = (BATCH + MAX_CHAIN) as u32 * sharers;
    // As many again: what is left for the packets that arrive meanwhile.
    let frames = in_rings.checked_mul(2)?.checked_add(in_hand)?;
    // Powers of two waste no fill ring; the rule holds with what is below.
    let below = 1 << frames.ilog2();
    Some(if below > in_rings + in_hand { below } else { frames })
        .filter(|frames| frames.checked_next_power_of_two().is_some())
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use proptest::prelude::*;
    use xdpsar_wire::{LbFraming, steering::LaneMode};

    use super::*;
    use crate::config::{SocketOptions, Wait, XdpOptions};

    fn config(workers: usize, layout: Layout, rx_ring: Option<u32>) -> ReceiveConfig {
        ReceiveConfig {
            listen: Ipv4Addr::UNSPECIFIED.into(),
            base_port: 1,
            ports: 1,
            lane_mode: LaneMode::Port,
            lanes: 1,
            framing: LbFraming::Auto,
            workers,
            wait: Wait::Adaptive,
            xdp: XdpOptions { layout, rx_ring, bind_retry: Duration::ZERO, ..Default::default() },
            socket: SocketOptions::default(),
        }
    }

    #[test]
    fn one_socket_gets_the_measured_sizes() {
        let plan = Plan::new(&config(1, Layout::Auto, None), 1, 1500).expect("plan");
        assert_eq!((plan.fan_out, plan.rx_ring, plan.frames), (false, 8192, 16_384));
        assert_eq!((plan.reserve, plan.all_frames()), (0, 16_384), "nothing to lend");
        assert_eq!(plan.memory(), 32 << 20);
        let plan = Plan::new(&config(1, Layout::Auto, None), 1, 9000).expect("plan");
        assert_eq!((plan.reserve, plan.all_frames()), (2048, 18_432));
        assert_eq!(plan.memory(), 72 << 20);
    }

    #[test]
    fn a_queues_loans_are_divided_among_its_sockets() {
        for (workers, lend, asked, reserve, all) in [
            (1, Lend::Off, Some(100), 0, 16_384),
            (1, Lend::On, Some(100), 100, 16_484),
            (4, Lend::Auto, None, 512, 18_432),
            (4, Lend::Auto, Some(10), 3, 16_396),
            (4, Lend::On, Some(0), 0, 16_384),
        ] {
            let mut config = config(workers, Layout::Auto, None);
            config.xdp.lend = lend;
            config.xdp.lend_frames = asked;
            let plan = Plan::new(&config, 1, 9000).expect("plan");
            assert_eq!((plan.frames, plan.reserve, plan.all_frames()), (16_384, reserve, all));
        }
    }

    #[test]
    fn auto_fans_out_only_where_queues_are_few() {
        for (queues, workers, fan_out) in [(1, 1, false), (1, 2, true), (4, 4, false), (4, 5, true)]
        {
            let plan = Plan::new(&config(workers, Layout::Auto, None), queues, 1500).expect("plan");
            assert_eq!(plan.fan_out, fan_out, "{queues} queues, {workers} workers");
        }
    }

    #[test]
    fn every_ip_datagram_fits_and_anything_longer_is_refused() {
        assert!(Plan::new(&config(1, Layout::Auto, None), 1, 65_535).is_ok());
        let error = Plan::new(&config(1, Layout::Auto, None), 1, 70_000).expect_err("too long");
        assert_eq!(error.kind, SetupErrorKind::Mtu);
        assert!(error.to_string().contains("70000"), "{error}");
    }

    #[test]
    fn odd_rings_are_refused() {
        for asked in [0, 1, 32, 1000, 1 << 17] {
            let error = Plan::new(&config(1, Layout::Auto, Some(asked)), 1, 1500);
            assert_eq!(error.expect_err("refused").kind, SetupErrorKind::Usage);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 256 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn frames_exceed_what_rings_and_hands_can_hold(
            workers in 1usize..if cfg!(miri) { 9 } else { 200 },
            queues in 1u32..if cfg!(miri) { 5 } else { 70 },
            mtu in 68u32..65_536,
            ring in proptest::option::of(8u32..13),
            layout in proptest::sample::select(
                vec![Layout::Auto, Layout::QueuePerCore, Layout::FanOut]),
        ) {
            let plan = Plan::new(&config(workers, layout, ring.map(|log| 1 << log)), queues, mtu)
                .expect("plan");
            let sharers = plan.owners(0).count() as u32;
            prop_assert!(
                plan.frames > sharers * (plan.rx_ring + (BATCH + MAX_CHAIN) as u32)
            );
            prop_assert!(plan.fill_ring >= plan.frames && plan.fill_ring.is_power_of_two());
            // Every slot leads to exactly one socket.
            let mut slots: Vec<u32> = (0..queues)
                .flat_map(|queue| {
                    plan.owners(queue).flat_map(move |worker| plan.slots(queue, worker))
                })
                .collect();
            slots.sort_unstable();
            prop_assert!(slots.into_iter().eq(0..plan.slot_count()));
        }
    }
}
