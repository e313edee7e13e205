//! Options of what concerns a reservation as a whole.

use std::{net::IpAddr, time::SystemTime};

use clap::{Args, Subcommand};
use xdpsar::load_balancer::{IpFamily, Strategy};

use super::Export;
use crate::{
    args::values::words,
    moment::{self, End},
};

/// Reserve a load balancer.
#[derive(Clone, Debug, Args)]
pub(crate) struct Reserve {
    /// What people call it.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) end: Until,
    /// An address that may send; may be given several times. `senders add` does it later, too.
    #[arg(long, value_name = "IP")]
    pub(crate) sender: Vec<IpAddr>,
    /// How slots are dealt out to workers; default: the server's way, dynamic.
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) strategy: Option<Dealing>,
    /// Which addresses it should have; today's servers give what they have.
    #[arg(long, value_enum, default_value_t, value_name = "FAMILY")]
    pub(crate) family: Addresses,
    #[command(flatten)]
    pub(crate) export: Export,
}

/// The end of a reservation.
#[derive(Clone, Debug, Args)]
#[group(multiple = false)]
pub(crate) struct Until {
    /// How long from now: 2h, 1h30m, 7d, or hh:mm:ss; 0: as long as the server allows.
    #[arg(long, value_name = "TIME", value_parser = moment::lasting)]
    pub(crate) duration: Option<End>,
    /// Until when: 2026-03-01T08:00:00Z.
    #[arg(long, value_name = "WHEN", value_parser = moment::parse)]
    pub(crate) until: Option<SystemTime>,
}

/// Show a reservation's addresses.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) export: Export,
}

/// Move the end of a reservation.
#[derive(Clone, Debug, Args)]
#[command(group = clap::ArgGroup::new("end").args(["duration", "until"]).required(true))]
pub(crate) struct Extend {
    #[command(flatten)]
    pub(crate) end: Until,
}

/// What begins anew.
#[derive(Clone, Copy, Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Reset {
    /// What is known of the senders' event numbers.
    #[arg(long)]
    pub(crate) sync: bool,
    /// Which slot is whose, and since when.
    #[arg(long)]
    pub(crate) epochs: bool,
    /// The list of senders.
    #[arg(long)]
    pub(crate) senders: bool,
    /// All sessions, and their tokens.
    #[arg(long)]
    pub(crate) workers: bool,
}

/// Who may send.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Senders {
    /// List who may send.
    List,
    /// Let addresses send, within a second.
    Add(Addressed),
    /// No longer let addresses send. Do this once everything arrived.
    Remove(Addressed),
}

/// Addresses of senders.
#[derive(Clone, Debug, Args)]
pub(crate) struct Addressed {
    /// Addresses; none: those by which this host reaches the load balancer's data address.
    #[arg(value_name = "IP")]
    pub(crate) addresses: Vec<IpAddr>,
}

words!(
    /// `--family`.
    Addresses => IpFamily {
        /// Both.
        #[default]
        Dual => Dual,
        /// IPv4.
        V4 => V4,
        /// IPv6.
        V6 => V6,
    }
);
words!(
    /// `--strategy`.
    Dealing => Strategy {
        /// By weight, and anew with each epoch, about once a second.
        #[default]
        Dynamic => Dynamic,
        /// What was demanded first, the rest by weight.
        Static => Static,
        /// What was demanded; packets for other slots are dropped.
        Explicit => Explicit,
    }
);
