//! Nothing but the arrival: datagrams are counted in the driver, and dropped.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use aya::maps::{MapData, PerCpuArray};

use crate::{
    programs::Programs,
    receivers::INTERFACE,
    role::{Counts, Opened, PORT},
};

/// How often the run looks whether it is to end.
const LOOK: Duration = Duration::from_millis(10);

/// Attaches the program.
pub(super) fn open() -> anyhow::Result<Opened> {
    let mut programs = Programs::load("count", |loader| {
        loader.override_global("PORT", &PORT, true);
    })?;
    // Datagrams and bytes: `Count` in `xdp-ebpf/bench/receive.rs`.
    let count: PerCpuArray<MapData, [u64; 2]> = programs.map("COUNT")?;
    programs.attach(INTERFACE)?;
    let run = move |stop: &AtomicBool| {
        let _attached = programs;
        while !stop.load(Ordering::Relaxed) {
            thread::sleep(LOOK);
        }
        Ok(())
    };
    let counts = move || {
        let mut counts = Counts::default();
        // A map that is open can be read.
        for [datagrams, bytes] in count.get(&0, 0).iter().flat_map(|cores| cores.iter()) {
            counts.datagrams += datagrams;
            counts.bytes += bytes;
        }
        counts
    };
    Ok(Opened { run: Box::new(run), counts: Box::new(counts) })
}
