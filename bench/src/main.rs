//! End-to-end rates: a real sender, a real receiver, a veth pair between them.
//!
//! | module | holds |
//! |---|---|
//! | [`contest`] | who competes at what, and one run of one contestant |
//! | [`table`] | medians of the runs, as Markdown and as JSON |
#![forbid(unsafe_code)]

mod contest;
mod table;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Parser;
use xdpsar_tests::{Lab, LabConfig, privilege};

use crate::contest::{Contest, Contestant};

/// Measures whole events from `xdpsar send` to `xdpsar recv` over a veth pair,
/// sender on core 0, receiver on core 1.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Runs of each contestant; the table shows medians.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Bytes of events sent in one run.
    #[arg(long, default_value_t = 2_000_000_000)]
    bytes: u64,
    /// Where to write all runs as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(missing) = privilege::missing() {
        bail!("the benchmark makes network namespaces and attaches XDP programs: {missing}");
    }
    let lab = Lab::new(LabConfig { queues: 1, mtu: 9000 });
    let contest = Contest::new(&lab, arguments.bytes)?;
    let mut runs = Vec::new();
    for repeat in 0..arguments.repeats {
        // Interleaved: what disturbs the machine for a while disturbs all.
        for contestant in Contestant::ALL {
            let run = contest.run(contestant)?;
            eprintln!("run {} of {}: {run}", repeat + 1, arguments.repeats);
            runs.push(run);
        }
    }
    println!("{}", table::markdown(&runs, &arguments_line()));
    if let Some(path) = arguments.json {
        let text = serde_json::to_string_pretty(&runs)?;
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn arguments_line() -> String {
    std::env::args().skip(1).collect::<Vec<_>>().join(" ")
}
