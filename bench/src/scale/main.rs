//! What more of it costs: workers, sockets, lanes, events in progress,
//! consumers. Does the cost of each stay what it is?
//!
//! | module | holds |
//! |---|---|
//! | [`curve`] | points, measured in turn |
//! | [`workers`] | the whole way, with one worker and with two |
//! | [`burst`], [`partner`], [`network`] | the receiver alone: AF_XDP sockets, lanes, UDP ports |
//! | [`memory`] | events in progress, and several assemblers on one core |
//! | [`exchange`] | the hand-off: consumers, and places of the queue |
//! | [`report`], [`why`] | tables, and what bends the lines that are not flat |
#![forbid(unsafe_code)]

mod burst;
mod curve;
mod exchange;
mod memory;
mod network;
mod partner;
mod report;
mod why;
mod workers;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Parser;
use xdpsar_dataplane::pin;
use xdpsar_tests::privilege;

use crate::{
    curve::{Point, Row},
    report::Report,
};

/// Measures what a datagram, a fragment or an event costs by how many
/// workers, sockets, lanes, events in progress or consumers there are.
#[derive(Debug, Parser)]
#[command(name = "bench-scale", version)]
struct Arguments {
    /// Fewer points and shorter runs: half a minute.
    #[arg(long)]
    quick: bool,
    /// Interleaved runs of each point; tables show medians.
    #[arg(long, default_value_t = 7)]
    repeats: usize,
    /// Only these curves.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Curve>,
    /// Where to write all figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where to write the tables, too.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Curve {
    Workers,
    Sockets,
    Lanes,
    UdpPorts,
    InProgress,
    Assemblers,
    Consumers,
    Queue,
}

impl Curve {
    const ALL: [Self; 8] = [
        Self::Workers,
        Self::Sockets,
        Self::Lanes,
        Self::UdpPorts,
        Self::InProgress,
        Self::Assemblers,
        Self::Consumers,
        Self::Queue,
    ];

    const fn needs_network(self) -> bool {
        matches!(self, Self::Workers | Self::Sockets | Self::Lanes | Self::UdpPorts)
    }

    fn measure(self, quick: bool, repeats: usize) -> anyhow::Result<Vec<Row>> {
        let (milliseconds, items) = if quick { (80, 100_000) } else { (300, 1_000_000) };
        pin::pin_current_thread(1)?;
        let lab = (self == Self::Workers).then(workers::lab);
        let points: Vec<Point<'_>> = match (self, &lab) {
            (Self::Workers, None) => Vec::new(),
            (Self::Workers, Some(lab)) => workers::workers(lab, milliseconds),
            (Self::Sockets, _) => network::sockets(quick)?,
            (Self::Lanes, _) => network::lanes(quick)?,
            (Self::UdpPorts, _) => network::udp_ports(quick)?,
            (Self::InProgress, _) => memory::in_progress(quick)?,
            (Self::Assemblers, _) => memory::assemblers(quick)?,
            (Self::Consumers, _) => exchange::consumers(items),
            (Self::Queue, _) => exchange::capacities(items),
        };
        curve::measure(points, repeats)
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let Arguments { quick, repeats, only, .. } = &arguments;
    let wanted = |curve: &Curve| only.is_empty() || only.contains(curve);
    let curves: Vec<_> = Curve::ALL.into_iter().filter(wanted).collect();
    if let Some(missing) = privilege::missing()
        && curves.iter().any(|curve| curve.needs_network())
    {
        bail!("the benchmark makes network namespaces and attaches XDP programs: {missing}");
    }
    let repeats = if *quick { 3 } else { (*repeats).max(1) };
    let mut rows = Vec::new();
    for curve in curves {
        eprintln!("{curve:?}");
        rows.extend(curve.measure(*quick, repeats).with_context(|| format!("{curve:?}"))?);
    }
    let command = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    let report = Report::new(command, repeats, rows);
    let text = report.markdown();
    println!("{text}");
    let write = |path: &PathBuf, text: String| {
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
    };
    if let Some(path) = &arguments.markdown {
        write(path, text)?;
    }
    if let Some(path) = &arguments.json {
        write(path, serde_json::to_string_pretty(&report)? + "\n")?;
    }
    Ok(())
}
