//! The whole path, from a sender through a cable to a consumer of events, and
//! what can be had there without us: its ceilings, and its rivals.
//!
//! ```text
//!  this program ──starts──▶ itself, as one contestant of each side
//!
//!  core 0: send NAME         veth pair         core 1: receive NAME
//!  events ─▶ datagrams ─────────────────────▶ [XDP] ─▶ datagrams ─▶ events ─▶ consumer
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`role`] | what a contestant is, on either side of the cable |
//! | [`receivers`] | who receives |
//! | [`senders`] | who sends |
//! | [`child`] | a contestant in a process of its own, and how the two sides talk |
//! | [`course`] | two hosts and a cable, and one run on it |
#![deny(unsafe_code)]

mod child;
mod course;
mod receivers;
mod role;
mod senders;

use std::time::Duration;

use anyhow::bail;
use clap::{Args, Parser, Subcommand};
use xdpsar_tests::privilege;

use crate::{
    course::{Case, Course, RECEIVER_CORE, SENDER_CORE, Times},
    receivers::{Makes, Receiver},
    role::{Consumer, Point},
    senders::Sender,
};

/// Measures events from a sender to a consumer over a veth pair, sender on
/// core 0, all of the receiver on core 1.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    child: Option<Role>,
    /// Only these receivers.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<String>,
    /// Only these senders.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    senders: Vec<String>,
    /// UDP payload of a full datagram, both headers included.
    #[arg(long, default_value_t = 1400)]
    datagram: usize,
    /// Bytes of an event.
    #[arg(long, default_value_t = 100_000)]
    event: usize,
}

/// What a child is.
#[derive(Debug, Subcommand)]
enum Role {
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
struct PointArguments {
    #[arg(long)]
    datagram: usize,
    #[arg(long)]
    event: usize,
    #[arg(long)]
    rate_gbps: Option<f64>,
}

impl From<PointArguments> for Point {
    fn from(arguments: PointArguments) -> Self {
        let PointArguments { datagram, event, rate_gbps } = arguments;
        Self { datagram, event, rate_gbps }
    }
}

impl Point {
    /// As a child's command line has it.
    fn add_to(&self, arguments: &mut Vec<String>) {
        arguments.extend(["--datagram".to_owned(), self.datagram.to_string()]);
        arguments.extend(["--event".to_owned(), self.event.to_string()]);
        if let Some(rate) = self.rate_gbps {
            arguments.extend(["--rate-gbps".to_owned(), rate.to_string()]);
        }
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match arguments.child {
        Some(Role::Receive { name, consumer, point }) => {
            let (receiver, point) = (Receiver::named(&name)?, point.into());
            child::serve(RECEIVER_CORE, || receiver.open(&point, consumer))
        }
        Some(Role::Send { name, point }) => {
            let (sender, point) = (Sender::named(&name)?, point.into());
            child::serve(SENDER_CORE, || sender.open(&point))
        }
        None => measure(&arguments),
    }
}

fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(missing) = privilege::missing() {
        bail!("the benchmark makes network namespaces and attaches XDP programs: {missing}");
    }
    let times = Times { warm_up: Duration::from_millis(300), window: Duration::from_millis(700) };
    let point = Point { datagram: arguments.datagram, event: arguments.event, rate_gbps: None };
    let mut course = Course::default();
    for sender in &arguments.senders {
        for receiver in &arguments.only {
            let receiver = Receiver::named(receiver)?;
            let consumers: &[_] = match receiver.makes {
                Makes::Datagrams => &[None],
                Makes::Events | Makes::Fragments => &[Some(Consumer::Count), Some(Consumer::Read)],
            };
            for consumer in consumers {
                let case =
                    Case { receiver, consumer: *consumer, sender: Sender::named(sender)?, point };
                println!("{:?}", course.run(&case, times, 0)?);
            }
        }
    }
    Ok(())
}
