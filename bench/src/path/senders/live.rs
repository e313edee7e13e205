//! The kernel itself: a program makes every datagram out of a frame that the
//! kernel puts before it, and sends it on into the cable.
//!
//! ```text
//!  BPF_PROG_TEST_RUN with live frames (Linux 5.18, net/bpf/test_run.c): core 0, no socket, no skb
//!
//!  page ─▶ generate ─▶ redirect ─▶ va ══ vb: NAPI, XDP program or GRO ─▶ whoever receives
//!   ▲      STREAM STOP                              │
//!   └─────── │ ─── ▲ ── when it is free again ──────┘
//!   counts ◀─┘     └── stop, and a signal: the call would go on, dropping frames
//! ```
//!
//! A page that was used comes back as it is: a datagram costs its headers, and
//! its payload is the same as all others'. The rate is kept by the program,
//! frame by frame: what is not due is dropped.

mod template;

use std::{
    io::ErrorKind,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Context;
use aya::{
    maps::{Array, MapData},
    programs::{ProgramError, TestRun as _, TestRunAttrs, TestRunOptions},
    sys::SyscallError,
};
use nix::sys::{
    pthread::{pthread_kill, pthread_self},
    signal::Signal,
};
use xdpsar_bench::fragment::DATA_ID;
use xdpsar_dataplane::host;

use self::template::Template;
use crate::{
    programs::Programs,
    role::{Counts, Opened, Point},
};

/// Of the cable. Frames end at 3402 bytes, with Ethernet's header.
pub(super) const MTU: u32 = 3500;
const INTERFACE: &str = "va";
/// Frames that the kernel makes before it delivers what was redirected.
const BATCH: u32 = 64;
/// Frames of one call: more than it gets to. To begin one takes milliseconds.
const REPEAT: u32 = 1 << 30;
/// How often a run looks whether it is to end.
const LOOK: Duration = Duration::from_millis(10);
/// Ends the call.
const SIGNAL: Signal = Signal::SIGUSR1;

/// How far the stream is: `Stream` in `xdp-ebpf/bench/generate.rs`.
#[derive(Clone)]
struct Stream(Arc<Array<MapData, [u64; 7]>>);

impl Stream {
    fn counts(&self) -> anyhow::Result<Counts> {
        let [datagrams, bytes, events, ..] = self.0.get(&0, 0)?;
        Ok(Counts { datagrams, bytes, events, syscalls: 0 })
    }

    fn has_ended(&self) -> anyhow::Result<bool> {
        let [_, _, _, ended, ..] = self.0.get(&0, 0)?;
        Ok(ended != 0)
    }
}

/// With `checksums`, datagrams have one: GRO merges no others.
pub(super) fn open(checksums: bool, point: &Point) -> anyhow::Result<Opened> {
    let template = Template::new(INTERFACE, point)?;
    let interface = host::interface_by_name(INTERFACE)?.context(INTERFACE)?.index;
    let (event, payload) = (u32::try_from(point.event)?, u32::try_from(point.share())?);
    let sums = if checksums { template.udp_sums() } else { [0; 2] };
    let ip_sum = template.ip_sum();
    // Nanoseconds a byte, × 2²⁴.
    let price = point.rate_gbps.map_or(0, |rate| (8.0 / rate * f64::from(1 << 24)).round() as u64);
    let name = if point.rate_gbps.is_some() { "generate_paced" } else { "generate" };
    let mut programs = Programs::load(name, |loader| {
        loader
            .override_global("INTERFACE", &interface, true)
            .override_global("EVENT", &event, true)
            .override_global("PAYLOAD", &payload, true)
            .override_global("DATA_ID", &DATA_ID, true)
            .override_global("PRICE", &price, true)
            .override_global("IP_SUM", &ip_sum, true)
            .override_global("UDP_SUMS", &sums[..], true);
    })?;
    let stream = Stream(Arc::new(programs.map("STREAM")?));
    let mut stop_flag: Array<MapData, u32> = programs.map("STOP")?;
    let calls = Arc::new(AtomicU64::new(0));
    let (told, counted) = (stream.clone(), Arc::clone(&calls));
    let run = move |stop: &AtomicBool| {
        // So that the signal ends the call, not the process.
        signal_hook::flag::register(SIGNAL as i32, Arc::default())?;
        let (runner, over) = (pthread_self(), AtomicBool::new(false));
        thread::scope(|scope| {
            let stopper = scope.spawn(|| -> anyhow::Result<()> {
                while !over.load(Ordering::Relaxed) {
                    thread::sleep(LOOK);
                    if !stop.load(Ordering::Relaxed) {
                        continue;
                    }
                    stop_flag.set(0, 1, 0)?;
                    // Again and again: the call may not have begun.
                    if told.has_ended()? {
                        pthread_kill(runner, SIGNAL)?;
                    }
                }
                Ok(())
            });
            let sent = send(&mut programs, template.frame(), &told, &counted);
            over.store(true, Ordering::Relaxed);
            stopper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            sent
        })
    };
    let counts = move || {
        let syscalls = calls.load(Ordering::Relaxed);
        // A map that is open can be read.
        stream.counts().map_or_else(|_| Counts::default(), |counts| Counts { syscalls, ..counts })
    };
    Ok(Opened { run: Box::new(run), counts: Box::new(counts) })
}

/// Makes the kernel run the program until that has ended its stream.
fn send(
    programs: &mut Programs,
    frame: &[u8],
    stream: &Stream,
    calls: &AtomicU64,
) -> anyhow::Result<()> {
    let program = programs.program()?;
    while !stream.has_ended()? {
        let attrs = TestRunAttrs::new().xdp_live_frames(BATCH);
        let options =
            TestRunOptions { data_in: Some(frame), repeat: REPEAT, attrs, ..Default::default() };
        calls.fetch_add(1, Ordering::Relaxed);
        match program.test_run(options) {
            Err(ProgramError::SyscallError(SyscallError { io_error, .. }))
                if io_error.kind() == ErrorKind::Interrupted => {}
            result => _ = result.context("live frames take Linux 5.18 and at most 3402 bytes")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
