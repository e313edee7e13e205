//! The command line: a person's, and a child's.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    plan::{Event, Selection},
    role::{Consumer, Point},
};

/// Measures events from a sender to a consumer over a veth pair, beside
/// ceilings and rivals: sender on core 0, all of the receiver on core 1.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) child: Option<Role>,
    /// Only these receivers.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<String>,
    /// Only these senders.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    senders: Vec<String>,
    /// UDP payloads of full datagrams, both headers included.
    #[arg(long, value_name = "BYTES,…", value_delimiter = ',', value_parser = datagram)]
    datagram: Vec<usize>,
    /// Lengths of events; `fragment` for what fills one datagram.
    #[arg(long, value_name = "BYTES,…", value_delimiter = ',')]
    event: Vec<Event>,
    /// Interleaved repetitions of each run, three times as many of those that
    /// a verdict rests on; the tables show medians.
    #[arg(long, default_value_t = 3)]
    pub(crate) repeats: usize,
    /// A few points, once each, and shorter.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Whether the highest lossless rates are looked for.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    pub(crate) lossless: When,
    /// Only the K-th of N parts, as `2/5`; adds to what the file of `--json`
    /// has of the others, and shows it all.
    #[arg(long, value_name = "K/N", value_parser = part)]
    pub(crate) part: Option<(usize, usize)>,
    /// Adds to what the file of `--json` has; what is in both is replaced.
    #[arg(long, requires = "json")]
    pub(crate) add: bool,
    /// Writes all runs there.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Writes the tables there, too.
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Puts the few tables of a summary into this page, where it names them.
    #[arg(long, value_name = "FILE")]
    pub(crate) page: Vec<PathBuf>,
    /// Measures nothing: shows what an earlier run has written.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "add", "part"])]
    pub(crate) from: Option<PathBuf>,
}

/// Whether something is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// After the unpaced runs.
    #[default]
    Also,
    /// And nothing else.
    Only,
    /// Not at all.
    Never,
}

/// What a child is.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    #[command(hide = true)]
    Receive {
        name: String,
        #[arg(long)]
        consumer: Option<Consumer>,
        #[command(flatten)]
        point: PointArguments,
    },
    #[command(hide = true)]
    Send {
        name: String,
        #[command(flatten)]
        point: PointArguments,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PointArguments {
    #[arg(long, value_parser = datagram)]
    datagram: usize,
    #[arg(long)]
    event: usize,
    #[arg(long)]
    rate_gbps: Option<f64>,
}

impl Arguments {
    pub(crate) fn selection(&self) -> Selection {
        Selection {
            receivers: self.only.clone(),
            senders: self.senders.clone(),
            datagrams: self.datagram.clone(),
            events: self.event.clone(),
            quick: self.quick,
        }
    }
}

impl From<PointArguments> for Point {
    fn from(arguments: PointArguments) -> Self {
        let PointArguments { datagram, event, rate_gbps } = arguments;
        Self { datagram, event, rate_gbps }
    }
}

impl Point {
    /// As a child's command line has it.
    pub(crate) fn add_to(&self, arguments: &mut Vec<String>) {
        arguments.extend(["--datagram".to_owned(), self.datagram.to_string()]);
        arguments.extend(["--event".to_owned(), self.event.to_string()]);
        if let Some(rate) = self.rate_gbps {
            arguments.extend(["--rate-gbps".to_owned(), rate.to_string()]);
        }
    }
}

fn datagram(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes @ 37..=8972) => Ok(bytes),
        _ => Err("37 to 8972 bytes: the headers have 36, the cable's MTU is 9000".into()),
    }
}

fn part(text: &str) -> Result<(usize, usize), String> {
    let parsed = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
    match parsed {
        Some((k, n)) if (1..=n).contains(&k) => Ok((k, n)),
        _ => Err("name one of so many parts, as 2/5".into()),
    }
}
