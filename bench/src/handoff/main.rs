//! The hand-off from workers to consumers: what an item costs, and how long
//! an event takes to a consumer's hands.
//!
//! ```text
//!  core 0: producers ── contestant's queue, 1024 items ──▶ core 1: consumers
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`calm`] | runs in which the machine was ours |
//! | [`queue`] | the contestants behind one face |
//! | [`plain`] | what one would write first |
//! | [`throughput`] | nanoseconds per item at full speed |
//! | [`latency`] | from the last fragment to the consumer |
#![forbid(unsafe_code)]

mod calm;
mod latency;
mod plain;
mod queue;
mod throughput;

use clap::Parser;
use xdpsar_bench::machine;

use crate::calm::Calm;

/// Items that each contestant's queue takes.
const CAPACITY: usize = 1024;

/// Measures the hand-off against other queues, all in turn in one run.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Interleaved runs of throughput; the tables show medians.
    #[arg(long, default_value_t = 9)]
    repeats: usize,
    /// Items of a throughput run.
    #[arg(long, default_value_t = 100_000)]
    items: u64,
    /// Interleaved runs of latency: many short ones, so that what disturbs the
    /// machine for some milliseconds spoils few of them.
    #[arg(long, default_value_t = 51)]
    rounds: usize,
    /// Events of a latency run.
    #[arg(long, default_value_t = 500)]
    events: u64,
    /// Only this table.
    #[arg(long)]
    only: Option<Table>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Table {
    Throughput,
    Latency,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut calm = Calm::default();
    if arguments.only != Some(Table::Latency) {
        throughput::run(&mut calm, arguments.repeats, arguments.items)?;
    }
    if arguments.only != Some(Table::Throughput) {
        latency::run(&mut calm, arguments.rounds, arguments.events)?;
    }
    println!(
        "Medians of interleaved runs; queues of {CAPACITY}; producers on core 0, consumers on \
         core 1. {} {}, commit {}. `make bench-handoff`",
        calm.describe(),
        machine::description(),
        machine::commit(),
    );
    Ok(())
}
