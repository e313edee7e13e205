//! What it costs to receive an event that is whole in one packet: copied into
//! a buffer, or lent from packet memory.
//!
//! ```text
//!  core 0: partner                     veth pair    core 1: worker
//!  sends a burst, then stands by ─────────────────▶ RX ring fills up
//!                                                   drains it, timed
//!  consumes (or the worker itself does) ◀── queue ─ events
//! ```
//!
//! The burst waits in the RX ring before the clock starts, so that what is
//! timed is the receiver alone, at its full speed, whatever the sender's.
//!
//! | module | holds |
//! |---|---|
//! | [`memory`] | lending and copying alone, in plain memory |
//! | [`partner`] | the sender, and the consumer on another core |
//! | [`round`] | one burst received by one contestant |
#![forbid(unsafe_code)]

mod memory;
mod partner;
mod round;

use anyhow::{Context, bail};
use clap::Parser;
use xdpsar_bench::machine;
use xdpsar_tests::{Lab, LabConfig, privilege};

use crate::{
    partner::Partner,
    round::{Case, Consumer, Contestant, Cost, Receiver},
};

/// Event sizes in bytes; all fit one packet of the lab's MTU.
const SIZES: [usize; 8] = [64, 128, 256, 512, 1024, 1400, 2048, 3400];
const MTU: u32 = 3500;

/// Measures nanoseconds per single-packet event at the receiver over a veth
/// pair: nothing done with them, copied, lent.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Interleaved repetitions; the table shows the lower quartile of all bursts.
    #[arg(long, default_value_t = 7)]
    repeats: usize,
    /// Bursts in each repetition, of 1024 events each.
    #[arg(long, default_value_t = 12)]
    bursts: usize,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(missing) = privilege::missing() {
        bail!("the benchmark makes network namespaces and attaches XDP programs: {missing}");
    }
    let lab = Lab::new(LabConfig { queues: 1, mtu: MTU });
    let partner = Partner::start(&lab, MTU)?;
    xdpsar_dataplane::pin::pin_current_thread(1).context("the worker's core")?;
    print_memory()?;
    let mut samples: Vec<(Case, Cost)> = Vec::new();
    for _ in 0..arguments.repeats {
        for contestant in Contestant::ALL {
            let mut receiver = Receiver::open(&lab, contestant)?;
            for size in SIZES {
                for consumer in contestant.consumers() {
                    let case = Case { contestant, consumer, size };
                    let costs = receiver.measure(case, arguments.bursts, &partner)?;
                    samples.extend(costs.into_iter().map(|cost| (case, cost)));
                }
            }
        }
    }
    print(&samples, arguments.repeats);
    Ok(())
}

/// Lending and copying alone.
fn print_memory() -> anyhow::Result<()> {
    println!("| in memory | bare | copied | lent |");
    println!("|---|---|---|---|");
    for size in SIZES {
        let mut costs = [0.0; 3];
        for (cost, contestant) in costs.iter_mut().zip(Contestant::ALL) {
            *cost = memory::measure(contestant, size)?;
        }
        let [bare, copied, lent] = costs;
        println!("| {size} B | {bare:.1} | {copied:.1} | {lent:.1} |");
    }
    println!();
    Ok(())
}

/// The cost of the burst a quarter up from the cheapest.
fn quiet(samples: &[(Case, Cost)], case: Case) -> Cost {
    let mut costs: Vec<Cost> =
        samples.iter().filter(|(other, _)| *other == case).map(|(_, cost)| *cost).collect();
    costs.sort_by(|a, b| a.total().total_cmp(&b.total()));
    costs[costs.len() / 4]
}

fn print(samples: &[(Case, Cost)], repeats: usize) {
    println!("| consumer | event | bare | copied | lent | lent/copied | CPU-s/GB copied | lent |");
    println!("|---|---|---|---|---|---|---|---|");
    for consumer in Consumer::ALL {
        for size in SIZES {
            let of = |contestant| quiet(samples, Case { contestant, consumer, size });
            let consumed_here = Consumer::ALL[0];
            let bare = quiet(
                samples,
                Case { contestant: Contestant::Bare, consumer: consumed_here, size },
            );
            let (copied, lent) = (of(Contestant::Copied), of(Contestant::Lent));
            let text = |cost: Cost| match consumer.is_elsewhere() {
                true => format!("{:.0} + {:.0}", cost.worker_ns, cost.consumer_ns),
                false => format!("{:.0}", cost.worker_ns),
            };
            println!(
                "| {} | {size} B | {:.0} | {} | {} | {:.2} | {:.3} | {:.3} |",
                consumer.name(),
                bare.worker_ns,
                text(copied),
                text(lent),
                lent.total() / copied.total(),
                // Nanoseconds per byte are seconds per gigabyte.
                copied.total() / size as f64,
                lent.total() / size as f64,
            );
        }
    }
    println!(
        "\nNanoseconds per event; of {repeats} interleaved repetitions the burst a quarter up from \
         the cheapest. bare: datagrams received and released. With a consumer on another core: \
         worker + consumer. veth pair, AF_XDP copy mode, {}. `make bench-lend`",
        machine::description(),
    );
}
