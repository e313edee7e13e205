//! A gate for regressions that no noise can hide or feign: instructions of
//! fixed workloads, counted by callgrind, against those on record.
//!
//! ```text
//!  workload, n steps ──▶ callgrind ──▶ a ┐
//!  workload, 2n steps ─▶ callgrind ──▶ b ┴─▶ (b − a) / n  against  bench/results/gate.json
//! ```
//!
//! The difference of two runs leaves out start, warm-up and end. Times are
//! what counts in the end, and other benchmarks measure them; but they need a
//! quiet machine, and this does not.
//!
//! | module | holds |
//! |---|---|
//! | [`workload`] | what is counted |
//! | [`steps`] | those workloads that are not other benchmarks' |
//! | [`callgrind`] | how it is counted |
//! | [`record`] | what it was when somebody last looked |
#![forbid(unsafe_code)]

mod callgrind;
mod record;
mod steps;
mod workload;

use std::path::PathBuf;

use anyhow::ensure;
use clap::Parser;

use crate::{record::Record, steps::Steps, workload::Workload};

/// Counts instructions of fixed workloads, and compares them with those on
/// record.
#[derive(Debug, Parser)]
#[command(name = "bench-gate", version)]
struct Arguments {
    /// Put what is counted now on record.
    #[arg(long)]
    update: bool,
    /// The record.
    #[arg(long, value_name = "FILE", default_value = "bench/results/gate.json")]
    record: PathBuf,
    /// Go through a workload, instead of counting: for callgrind.
    #[arg(long, hide = true)]
    steps: Option<Steps>,
    /// So many times.
    #[arg(long, hide = true, default_value_t = 0)]
    count: u64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(steps) = arguments.steps {
        return steps.run(arguments.count);
    }
    let known = Record::read(&arguments.record);
    let now = Record::count(Workload::ALL)?;
    if arguments.update {
        now.write(&arguments.record)?;
        println!("{}", now.table(known.as_ref().ok()));
        return Ok(());
    }
    let known = known?;
    println!("{}", now.table(Some(&known)));
    let beyond = now.beyond(&known);
    ensure!(
        beyond.is_empty(),
        "{}: beyond {} % of what is on record. If that is meant, run \
         `make bench-gate BENCH_GATE=--update`, and say in the commit why.",
        beyond.join(", "),
        now.tolerance(&known)
    );
    Ok(())
}
