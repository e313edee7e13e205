//! The reassembly core against a plain copy of the same bytes, and against
//! the incumbent's algorithm: nanoseconds per fragment, all in one process,
//! taking turns.
//!
//! ```text
//!            headers written before the clock starts
//!   Stream ────────────────▶ Ring (2048 frames) ──┬─▶ Ours
//!   which fragment            packet memory,      ├─▶ Memcpy       criterion: 10 samples a
//!   of which event next       shared by all       └─▶ Incumbent    round, ≥ 5 rounds, in turn
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`cases`] | what is measured |
//! | [`workload`](xdpsar_bench::workload) | packet memory, the datagrams of a case, ours, and the copy |
//! | [`contestant`] | who competes |
//! | [`baseline`] | the incumbent's algorithm |
//! | [`measure`] | rounds, sampled by criterion |
//! | [`target`] | what is asked for, and whether it is met |
//! | [`report`] | the table |
#![deny(unsafe_code)]

mod baseline;
mod cases;
mod contestant;
mod measure;
mod report;
mod target;

use std::{io::Write as _, path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use clap::Parser;

use xdpsar_bench::workload::Case;

use crate::{contestant::Name, measure::Plan, report::Report};

/// Measures the reassembly core, fragment by fragment, against memcpy and the
/// incumbent's algorithm.
#[derive(Debug, Parser)]
#[command(name = "bench-core", version)]
struct Arguments {
    /// A representative subset of the cases, in two minutes at most.
    #[arg(long)]
    quick: bool,
    /// Only cases whose name contains this, such as `64x8@1000:in-order`,
    /// `1400x` or `:loss`; several are alternatives.
    #[arg(long, value_name = "TEXT", value_delimiter = ',')]
    filter: Vec<String>,
    /// Only one part of so many, as in `2/10`.
    #[arg(long, value_name = "PART/PARTS", value_parser = parse_part)]
    part: Option<(usize, usize)>,
    /// Rounds over all contestants.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Milliseconds that one contestant is measured in one round.
    #[arg(long, default_value_t = 100)]
    measure_ms: u64,
    /// Milliseconds that it runs before.
    #[arg(long, default_value_t = 30)]
    warm_up_ms: u64,
    /// The core to run on, by number; the last one by default.
    #[arg(long)]
    core: Option<usize>,
    /// Where to write all rounds as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Print the table of such files instead of measuring.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    render: Vec<PathBuf>,
    /// List the cases instead of measuring.
    #[arg(long)]
    list: bool,
    /// Run one contestant through one case, for a profiler.
    #[arg(long, value_name = "CASE")]
    profile: Option<String>,
    /// Who is profiled.
    #[arg(long, default_value = "ours", requires = "profile")]
    contestant: Name,
    /// How many fragments are profiled, at least.
    #[arg(long, default_value_t = 20_000_000, requires = "profile")]
    fragments: u64,
}

impl Arguments {
    fn cases(&self) -> anyhow::Result<Vec<Case>> {
        let (part, parts) = self.part.unwrap_or((1, 1));
        let cases: Vec<_> = cases::all()
            .into_iter()
            .filter(|case| cases::fits(case) && (cases::is_quick(case) || !self.quick))
            .filter(|case| {
                let name = case.to_string();
                self.filter.is_empty() || self.filter.iter().any(|text| name.contains(text))
            })
            .enumerate()
            // Dealt out one by one, so that all parts take about as long.
            .filter(|(nth, _)| nth % parts == part - 1)
            .map(|(_, case)| case)
            .collect();
        ensure!(!cases.is_empty(), "no case is left: `--list` shows all");
        Ok(cases)
    }
}

fn parse_part(text: &str) -> Result<(usize, usize), String> {
    text.split_once('/')
        .and_then(|(part, parts)| Some((part.parse().ok()?, parts.parse().ok()?)))
        .filter(|(part, parts)| (1..=*parts).contains(part))
        .ok_or_else(|| "wanted PART/PARTS, from 1/PARTS to PARTS/PARTS".to_owned())
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.list {
        arguments.cases()?.iter().for_each(|case| println!("{case}"));
        return Ok(());
    }
    if !arguments.render.is_empty() {
        let reports = arguments.render.iter().map(read).collect::<anyhow::Result<_>>()?;
        let merged = Report::merged(reports).context("no files")?;
        println!("{}", merged.markdown());
        return Ok(());
    }
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let core = match arguments.core {
        Some(wanted) => cores.iter().find(|core| core.id == wanted),
        None => cores.last(),
    };
    let pinned = core.is_some_and(|core| core_affinity::set_for_current(*core));
    ensure!(pinned, "cannot run on core {:?}: there are {cores:?}", arguments.core);
    if let Some(name) = &arguments.profile {
        let case = cases::all().into_iter().find(|case| case.to_string() == *name);
        let case = case.with_context(|| format!("no case {name:?}: `--list` shows all"))?;
        let ns = measure::profile(arguments.contestant, &case, arguments.fragments)?;
        println!("{case} {}: {ns:.1} ns per fragment", arguments.contestant.as_str());
        return Ok(());
    }
    let report = run(&arguments)?;
    println!("{}", report.markdown());
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn run(arguments: &Arguments) -> anyhow::Result<Report> {
    ensure!(arguments.rounds > 0, "no round is no measurement");
    let plan = Plan {
        rounds: arguments.rounds,
        measurement: Duration::from_millis(arguments.measure_ms.max(1)),
        warm_up: Duration::from_millis(arguments.warm_up_ms.max(1)),
    };
    let cases = arguments.cases()?;
    let directory = tempfile::tempdir()?;
    let results = measure::quietly(|progress| {
        let mut results = Vec::new();
        for (nth, case) in cases.iter().enumerate() {
            let result = measure::measure(case, &plan, directory.path())?;
            let ([_, share, _], [_, beyond, _], [_, times, _]) =
                (result.share(), result.beyond(), result.times_baseline());
            writeln!(
                progress,
                "{} of {}: {case}: {:.0} % of memcpy, {beyond:.1} ns beyond it, {times:.1} × baseline",
                nth + 1,
                cases.len(),
                100.0 * share
            )?;
            results.push(result);
        }
        Ok(results)
    })?;
    let words: Vec<_> = std::env::args().skip(1).collect();
    let command = if words.is_empty() {
        "make bench-core".to_owned()
    } else {
        format!("make bench-core BENCH_CORE='{}'", words.join(" "))
    };
    Ok(Report::new(command, results))
}

fn read(path: &PathBuf) -> anyhow::Result<Report> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is none of ours", path.display()))
}
