//! Options of `xdpsar send`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;

use super::values::{LbHeaderVersion, PayloadArgs, Sizes, power_of_two, rate};
use crate::units;

const AFTER_HELP: &str = "\
Sizes:
  --size 1M         all events alike
  --size 1k,100k    in turn
  --size 1k..10M    drawn for each event, every order of magnitude equally often

Exit status is 3 when fewer events were sent than asked for. SIGINT and SIGTERM stop after the
event being sent; a second signal exits at once with status 1.

Examples:
  xdpsar send --to 127.0.0.1:19522 --events 1000 --size 1M --rate 2
  xdpsar send --to 192.0.2.7:19522 --ports 16 --events 0 --size 1k..10M --rate 10
  xdpsar send --to 192.0.2.7:19522 --data-id 7 --input run1.dat run2.dat";

/// Cut events into datagrams and send them.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct SendArgs {
    /// Address and first UDP port to send to.
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) to: SocketAddr,
    /// Spread events over this many UDP ports by their entropy, as a load balancer does.
    #[arg(long, value_name = "N", default_value = "1", value_parser = power_of_two)]
    pub(crate) ports: u16,
    /// Events to send; 0: until stopped.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) events: u64,
    /// Event sizes.
    #[arg(long, value_name = "SIZES", default_value = "1M", conflicts_with = "input")]
    pub(crate) size: Sizes,
    /// Files to send, each as one event, instead of made-up ones.
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with_all = ["events", "payload", "payload_file"])]
    pub(crate) input: Vec<PathBuf>,
    /// Rate in Gb/s of what goes over the wire; default: as fast as it goes.
    #[arg(long, value_name = "GBPS", value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// Largest IP datagram; default: the route's.
    #[arg(long, value_name = "BYTES")]
    pub(crate) mtu: Option<u32>,
    /// Sockets, and so source ports; each event goes out through one of them.
    #[arg(long, value_name = "N", default_value = "4", value_parser = super::recv::at_least_one)]
    pub(crate) sockets: usize,
    /// Send buffer of each socket.
    #[arg(long, value_name = "SIZE", value_parser = units::bytes32)]
    pub(crate) socket_buffer: Option<u32>,
    /// Version of the LB header.
    #[arg(long, value_enum, default_value_t, value_name = "VERSION")]
    pub(crate) lb_version: LbHeaderVersion,
    /// Data id of the events.
    #[arg(long, value_name = "ID", default_value_t = 4321)]
    pub(crate) data_id: u16,
    /// Entropy of all events; default: another for each.
    #[arg(long, value_name = "N")]
    pub(crate) entropy: Option<u16>,
    /// Number of the first event.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) event_start: u64,
    #[command(flatten)]
    pub(crate) payload: PayloadArgs,
    /// How often statistics are printed; a bare number means seconds, 0 never.
    #[arg(long, value_name = "S", default_value = "1s", value_parser = units::seconds)]
    pub(crate) interval: Duration,
    /// One JSON object per line on standard output.
    #[arg(long)]
    pub(crate) json: bool,
    /// No statistics on the way, only the summary.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}
