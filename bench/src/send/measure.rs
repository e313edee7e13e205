//! One run, and what it cost.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use xdpsar_bench::cpu;

use crate::{
    contestant::{Contestant, Sends},
    course::Case,
};

/// What one run cost.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) events_per_s: f64,
    /// Event bytes, in 10⁹ bits per second.
    pub(crate) gbps: f64,
    /// CPU time of the sending thread, the kernel's on its behalf included,
    /// per 10⁹ event bytes.
    pub(crate) cpu_s_per_gb: f64,
    /// System calls per 10⁹ event bytes.
    pub(crate) calls_per_gb: f64,
}

/// All runs of a case.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) case: Case,
    pub(crate) runs: Vec<(Contestant, Vec<Run>)>,
}

/// Sends events of `bytes` for as long, one at least.
pub(crate) fn run(sender: &mut dyn Sends, bytes: usize, least: Duration) -> anyhow::Result<Run> {
    // The clock would cost a part of what a small event does.
    let between_looks = (100_000 / bytes).max(1);
    let (calls, cpu, start) = (sender.calls(), cpu::thread(), Instant::now());
    let mut events = 0;
    let elapsed = loop {
        for _ in 0..between_looks {
            sender.send()?;
        }
        events += between_looks;
        let elapsed = start.elapsed();
        if elapsed >= least {
            break elapsed.as_secs_f64();
        }
    };
    let (cpu, calls) = (cpu::thread().saturating_sub(cpu), sender.calls() - calls);
    let gigabytes = events as f64 * bytes as f64 / 1e9;
    Ok(Run {
        events_per_s: events as f64 / elapsed,
        gbps: gigabytes * 8.0 / elapsed,
        cpu_s_per_gb: cpu.as_secs_f64() / gigabytes,
        calls_per_gb: calls as f64 / gigabytes,
    })
}
