//! One AF_XDP socket by xsk-rs, with rings as large as our receiver has them:
//! all that is unsafe of the loops.

use std::{
    num::NonZeroU32,
    os::fd::{AsRawFd, RawFd},
    time::Duration,
};

use anyhow::{Context, ensure};
use xdpsar_dataplane::xdp::{RX_ENTRIES, frame_len};
use xsk_rs::{
    FillQueue, FrameDesc, RxQueue, Socket, Umem,
    config::{BindFlags, FrameSize, LibxdpFlags, QueueSize, SocketConfig, UmemConfig},
};

const BATCH: usize = 64;
/// Nothing is sent, but xsk-rs makes the rings.
const UNUSED_RING: u32 = 64;

pub(super) struct Queue {
    rx: RxQueue,
    fill: FillQueue,
    umem: Umem,
    batch: [FrameDesc; BATCH],
}

/// One that was received, and is about to be given back.
pub(super) struct Frame<'a> {
    frame: &'a FrameDesc,
    umem: &'a Umem,
}

impl Frame<'_> {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.frame.lengths().data()
    }

    /// Whether its datagram ends in it.
    #[inline]
    pub(super) fn is_last(&self) -> bool {
        !self.frame.has_more_frames()
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: a frame of this UMEM, which `Queue::turn` has taken from the
        // RX ring and not yet put into the fill ring: nobody writes to it.
        unsafe { self.umem.data(self.frame) }.contents()
    }
}

impl Queue {
    /// The socket of the first RX queue of `interface`, which has no other.
    /// Packets are of this MTU at most.
    pub(super) fn open(interface: &str, mtu: u32) -> anyhow::Result<Self> {
        let frames = 2 * RX_ENTRIES;
        let config = UmemConfig::builder()
            .frame_size(FrameSize::new(u32::try_from(frame_len(mtu))?)?)
            .fill_queue_size(QueueSize::new(frames)?)
            .comp_queue_size(QueueSize::new(UNUSED_RING)?)
            .build()?;
        let count = NonZeroU32::new(frames).context("no frames")?;
        let (umem, frames) = Umem::new(config, count, false).context("making packet memory")?;
        let config = SocketConfig::builder()
            .rx_queue_size(QueueSize::new(RX_ENTRIES)?)
            .tx_queue_size(QueueSize::new(UNUSED_RING)?)
            .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD)
            .bind_flags(
                BindFlags::XDP_COPY | BindFlags::XDP_USE_NEED_WAKEUP | BindFlags::XDP_USE_SG,
            )
            .build();
        // SAFETY: libxdp's own program is not loaded, and no other socket is
        // on this queue of this UMEM.
        let made = unsafe { Socket::new(config, &umem, &interface.parse()?, 0) };
        let (_, rx, rings) = made.with_context(|| format!("an AF_XDP socket on {interface}"))?;
        let (mut fill, _) = rings.context("libxdp gave the queue's first socket no fill ring")?;
        // SAFETY: all frames of this UMEM, each once.
        let posted = unsafe { fill.produce(&frames) };
        ensure!(posted == frames.len(), "the fill ring has no room for all frames");
        Ok(Self { rx, fill, umem, batch: [FrameDesc::default(); BATCH] })
    }

    pub(super) fn socket(&self) -> RawFd {
        self.rx.fd().as_raw_fd()
    }

    /// Takes the frames that are there, up to 64, shows them around, and gives
    /// them back. Returns how many.
    #[inline]
    pub(super) fn turn(&mut self, mut show: impl FnMut(Frame<'_>)) -> usize {
        let Self { rx, fill, umem, batch } = self;
        // SAFETY: the ring overwrites the descriptors, with ones of this UMEM.
        let taken = unsafe { rx.consume(batch) };
        let taken = &batch[..taken];
        for frame in taken {
            show(Frame { frame, umem });
        }
        // SAFETY: frames that the RX ring has just given us, each once. There
        // is room for all frames.
        unsafe { fill.produce(taken) };
        taken.len()
    }

    #[inline]
    pub(super) fn is_empty(&mut self) -> bool {
        self.rx.nb_avail(1) == 0
    }

    /// Waits for frames.
    pub(super) fn sleep(&mut self, at_most: Duration) -> anyhow::Result<()> {
        self.rx.poll(i32::try_from(at_most.as_millis())?)?;
        Ok(())
    }
}
