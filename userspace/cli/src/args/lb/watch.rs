//! Options of what looks at a load balancer over time, and of chains.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::worker::Share;
use crate::{
    args::values::words,
    moment::{self, Since},
    units,
};
use xdpsar::load_balancer::IpFamily;

/// Show counters over time.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Paths:
  /lb/2/event_number, /lb/2/rx_packets, /lb/2/session/7/fill_percent, and so on. A `*` at a path's
  end stands for all that begin so; it is expanded here, because servers find nothing by it. Values
  are of 32 bits: great event numbers lose their last digits.

CSV:
  two columns for each series, its values and their times in ms since 1970; the header's first one
  is the path.")]
pub(crate) struct Timeseries {
    /// Paths of series; none: all of the load balancer and its workers.
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<String>,
    /// Since when: so long ago (10m, 01:00:00), or 2026-03-01T08:00:00Z [default: the last minute].
    #[arg(long, value_name = "WHEN", value_parser = moment::since)]
    pub(crate) since: Option<Since>,
    /// Write the samples to a file as comma-separated values; `-` is standard output.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) csv: Option<String>,
}

/// Show a reservation live.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
With a load balancer's id, in the URI or by --lb-id, that one is shown; otherwise all that the token
may see. Rates are taken from counters between two samples, by the worker's own times. On a terminal
each sample replaces the one before; otherwise, or with --json, it follows it. A server that cannot be
asked is told, and asked again. Ctrl-C ends it with status 0.")]
pub(crate) struct Monitor {
    /// How often, 50ms at least; a bare number means seconds.
    #[arg(long, value_name = "S", default_value = "1s", value_parser = interval)]
    pub(crate) interval: Duration,
    /// Stop after so many samples.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
}

/// Load balancers behind load balancers.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Chain {
    /// Get events from another load balancer, as a worker of it.
    Add(ChainAdd),
    /// End a chain.
    Remove(ChainRemove),
    /// Show from whom events come, and from whom to those.
    Graph,
}

/// Get events from another load balancer.
#[derive(Clone, Debug, Args)]
pub(crate) struct ChainAdd {
    /// The other one: its URI, with its id and a token that may register there, or file:PATH.
    #[arg(long, value_name = "URI")]
    pub(crate) upstream: String,
    /// By which addresses events come from there.
    #[arg(long, value_enum, default_value_t, value_name = "FAMILY")]
    pub(crate) family: OneFamily,
    #[command(flatten)]
    pub(crate) share: Share,
}

/// End a chain.
#[derive(Clone, Debug, Args)]
pub(crate) struct ChainRemove {
    /// The chain's id.
    #[arg(value_name = "CHAIN")]
    pub(crate) chain: String,
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = units::seconds(text)?;
    match interval >= Duration::from_millis(50) {
        true => Ok(interval),
        false => Err(format!("`{text}` is less than 50ms: the server has other things to do")),
    }
}

words!(
    /// `chain add --family`.
    OneFamily => IpFamily {
        /// IPv4.
        #[default]
        V4 => V4,
        /// IPv6.
        V6 => V6,
    }
);
