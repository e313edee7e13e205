//! What users run: workers that put events together, and a consumer.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::ensure;
use xdpsar::{Backend, LaneMode, Lend, Overflow, Reassembler, RecvTimeoutError, SocketOptions};

use crate::role::{Consumer, Counts, Opened, Point, TO, Tally, needed};

/// Events that the consumer takes at a time.
const BATCH: usize = 64;
/// Touched before the first packet, as the memory of the bare loops is: this
/// is about packets on their way, not about a receiver's first second.
const PREFAULT: u64 = 256 << 20;
/// How long it waits for one before it looks whether it is to end.
const NAP: Duration = Duration::from_millis(20);

/// How datagrams come in.
pub(super) enum Path {
    /// By AF_XDP; several workers share the queue, an event belongs to one.
    Xdp { workers: usize, lend: Lend },
    /// By a socket.
    Socket { gro: bool },
}

impl Path {
    pub(super) const fn xdp(workers: usize, lend: Lend) -> Self {
        Self::Xdp { workers, lend }
    }
}

/// Starts the workers, on the core that this thread is on.
pub(super) fn open(
    path: Path,
    point: &Point,
    consumer: Option<Consumer>,
) -> anyhow::Result<Opened> {
    let consumer = needed(consumer)?;
    // Worker and consumer have one core between them: where the worker
    // dropped what the consumer has had no chance to take, it would be the
    // scheduler that is measured.
    let builder = Reassembler::builder(TO).overflow(Overflow::Block).prefault(PREFAULT);
    let builder = match path {
        Path::Xdp { workers, lend } => {
            let builder = builder.backend(Backend::Xdp).lend(lend).workers(workers);
            // One port is one lane: for more, by entropy.
            if workers > 1 { builder.lane_mode(LaneMode::Entropy) } else { builder }
        }
        Path::Socket { gro } => {
            let options = SocketOptions { gro, ..SocketOptions::default() };
            builder.backend(Backend::Socket).socket(options)
        }
    };
    let receiver = Arc::new(builder.start()?);
    let consumed = Arc::new(Tally::default());
    let (taker, tally) = (Arc::clone(&receiver), Arc::clone(&consumed));
    let run = move |stop: &std::sync::atomic::AtomicBool| {
        let (mut batch, mut counts) = (Vec::with_capacity(BATCH), Counts::default());
        loop {
            match taker.recv_batch_until(&mut batch, BATCH, Some(NAP), || false) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) if !stop.load(Ordering::Relaxed) => continue,
                // What has come already is still taken in.
                Err(RecvTimeoutError::Timeout) => taker.stop(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            for event in batch.drain(..) {
                consumer.consume(&event);
                counts.events += 1;
            }
            tally.set(counts);
        }
        taker.join();
        if let Some(error) = taker.failure() {
            anyhow::bail!("a worker ended: {error}");
        }
        let unaccounted = taker.stats().unaccounted();
        ensure!(unaccounted == 0, "{unaccounted} datagrams are not accounted for");
        Ok(())
    };
    let point = *point;
    let counts = move || {
        // Those of the lanes do not lag behind as those of the workers do.
        let datagrams = receiver.lane_datagrams().iter().sum();
        Counts {
            datagrams,
            bytes: point.bytes_in(datagrams),
            syscalls: receiver.stats().syscalls,
            ..consumed.get()
        }
    };
    Ok(Opened { run: Box::new(run), counts: Box::new(counts) })
}
