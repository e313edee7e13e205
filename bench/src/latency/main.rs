//! How long an event takes from its last fragment on the wire to the
//! consumer's hands, on real sockets and AF_XDP, over a veth pair.
//!
//! ```text
//!  core 0                                   core 1
//!  fragments … clock → last fragment ─veth─▶ worker ─queue─▶ consumer: clock
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`clock`] | one clock for both sides |
//! | [`contestant`] | who competes, and how it waits |
//! | [`sender`] | events, one system call for each fragment |
//! | [`run`] | one run of a receiver |
//! | [`report`] | medians, as Markdown and as JSON |
#![forbid(unsafe_code)]

mod clock;
mod contestant;
mod report;
mod run;
mod sender;

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::Parser;
use xdpsar_bench::{machine, page};
use xdpsar_tests::{Lab, LabConfig, privilege};

use crate::{
    contestant::{Consumer, Contestant},
    report::{Figures, Load, Report, Row},
    run::{Case, run},
    sender::Pace,
};

const MTU: u32 = 1500;
/// Between unloaded events, on average.
const UNLOADED: Duration = Duration::from_millis(1);
/// For how long a receiver is tried out, to know the rate it takes in.
const TRIAL: Duration = Duration::from_millis(150);

/// Of [`machine::stolen`].
const TICK: Duration = Duration::from_millis(10);

/// Measures how long events take to the consumer.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Interleaved repetitions; the table shows medians.
    #[arg(long, default_value_t = 15)]
    repeats: usize,
    /// Milliseconds of an unloaded run, and of three loaded ones: short ones,
    /// so that what disturbs the machine for some milliseconds spoils few.
    #[arg(long, default_value_t = 400)]
    milliseconds: u64,
    /// Less than a minute: fewer and shorter repetitions, nothing is written.
    #[arg(long)]
    quick: bool,
    /// Only receivers whose name contains this.
    #[arg(long, default_value = "")]
    filter: String,
    /// Where `LATENCY.md` and `results/latency.json` are written.
    #[arg(long, value_name = "DIRECTORY", default_value = "bench", conflicts_with = "quick")]
    into: PathBuf,
    /// Puts the table of a summary into this page, where it names it.
    #[arg(long, value_name = "FILE", conflicts_with = "quick")]
    page: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let mut arguments = Arguments::parse();
    if let Some(missing) = privilege::missing() {
        bail!("the benchmark makes network namespaces and attaches XDP programs: {missing}");
    }
    if arguments.quick {
        (arguments.repeats, arguments.milliseconds) = (3, 200);
    }
    let report = measure(&arguments)?;
    print!("{}", report.markdown());
    if !arguments.quick {
        let text = serde_json::to_string(&report)? + "\n";
        for (name, text) in [("LATENCY.md", report.markdown()), ("results/latency.json", text)] {
            let path = arguments.into.join(name);
            std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        if let Some(page) = &arguments.page {
            page::update(page, &[("latency", report.summary())])?;
        }
    }
    Ok(())
}

fn measure(arguments: &Arguments) -> anyhow::Result<Report> {
    let lab = Lab::new(LabConfig { queues: 1, mtu: MTU });
    let unloaded = Duration::from_millis(arguments.milliseconds);
    let mut plans = Vec::new();
    for fragments in [1, 100] {
        for contestant in Contestant::all() {
            let case = Case { contestant, fragments };
            if !contestant.name().contains(&arguments.filter) {
                continue;
            }
            plans.push((case, Load::Unloaded, Pace::Apart(UNLOADED), unloaded));
            // One event at a time is no load.
            if contestant.consumer() == Consumer::Shared {
                let took = run(&lab, case, Pace::Unpaced, TRIAL)?.came_per_s;
                let pace = Pace::Every(Duration::from_secs_f64(2.0 / took.max(1.0)));
                plans.push((case, Load::Loaded, pace, unloaded / 3));
            }
        }
    }
    let (began, stolen) = (Instant::now(), machine::stolen());
    let mut figures: Vec<Vec<Figures>> = plans.iter().map(|_| Vec::new()).collect();
    for _ in 0..arguments.repeats {
        for ((case, _, pace, time), figures) in plans.iter().zip(&mut figures) {
            figures.push(Figures::of(run(&lab, *case, *pace, *time)?));
        }
    }
    let stolen = (machine::stolen() - stolen) as f64 * TICK.as_secs_f64();
    let cores = thread::available_parallelism()?.get() as f64;
    let stolen = stolen / (cores * began.elapsed().as_secs_f64());
    let rows = plans.iter().zip(&figures);
    let rows = rows.map(|((case, load, ..), figures)| Row::of(*case, *load, figures)).collect();
    let words: Vec<_> = std::env::args().skip(1).collect();
    let command = match words.is_empty() {
        true => "make bench-latency".to_owned(),
        false => format!("make bench-latency BENCH_LATENCY='{}'", words.join(" ")),
    };
    Ok(Report::new(command, stolen, rows))
}
