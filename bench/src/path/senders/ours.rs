//! What users run: one event after the other from the caller's thread.

use std::sync::{Arc, atomic::Ordering};

use anyhow::Context;
use xdpsar::{Segmenter, SendBackend, Ticks};
use xdpsar_bench::fragment::DATA_ID;
use xdpsar_wire::datagram::LB_RE_HEADER_LEN;

use crate::role::{Counts, IP_UDP, Opened, Point, TO, Tally};

/// By `backend` and no other.
pub(super) fn open(backend: SendBackend, point: &Point) -> anyhow::Result<Opened> {
    // The segmenter's rate counts IP datagrams.
    let headers = (LB_RE_HEADER_LEN + IP_UDP) * point.fragments();
    let on_wire = (point.event + headers) as f64 / point.event as f64;
    let mut segmenter = Segmenter::builder(TO)
        .mtu(u32::try_from(point.datagram + IP_UDP)?)
        .data_id(DATA_ID)
        .ticks(Ticks::EventNumber)
        .backend(backend)
        .rate_gbps(point.rate_gbps.map(|rate| rate * on_wire))
        .open()?;
    let event: Vec<u8> = (0..point.event).map(|index| index as u8).collect();
    let tally = Arc::new(Tally::default());
    let kept = Arc::clone(&tally);
    let run = move |stop: &std::sync::atomic::AtomicBool| {
        while !stop.load(Ordering::Relaxed) {
            segmenter.send(&event)?;
            let sent = segmenter.counters();
            kept.set(Counts {
                datagrams: sent.fragments,
                bytes: sent.bytes,
                events: sent.events,
                syscalls: sent.syscalls,
            });
        }
        // It would go on by another one.
        let same = segmenter.backend() == backend;
        same.then_some(()).with_context(|| segmenter.reason().to_owned())
    };
    Ok(Opened { run: Box::new(run), counts: Box::new(move || tally.get()) })
}
