//! Options of `xdpsar send`.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{ArgGroup, Args};
use xdpsar::{
    EjfatUri, Endpoint, SegmenterBuilder, SendBackend, SyncConfig, SyncRate, Ticks, UriError,
    XdpTransmitOptions,
};

use super::{
    recv::Copying,
    values::{Cores, LbHeaderVersion, PayloadArgs, Sizes, at_least_one, power_of_two, rate, words},
    via::Via,
};
use crate::units;

const AFTER_HELP: &str = "\
Sizes:
  --size 1M         all events alike
  --size 1k,100k    in turn
  --size 1k..10M    drawn for each event, every order of magnitude equally often

Files are named as by `cp -r`: `--input data/run7` becomes run7/… with --manifest. What is neither
file nor directory is skipped with a word, as are symbolic links to directories. Files of
1 MiB and more are memory-mapped: one that is written to while it is sent is told, with exit status
3, and one that is cut short is an error. With --backend xdp, files are read as a whole.

Without a load balancer between, say --ports as the receiver does; towards one, leave it out.

Load balancer:
  With --uri, or with neither --to nor --uri and EJFAT_URI set, events go to the data address that
  the URI names, Sync messages to its sync address, and this host is one that may send as long as
  the command runs; `ready`, `stats` and `summary` have an `admission`. Otherwise EJFAT_URI is not
  looked at.

Exit status is 3 when fewer events were sent than asked for. The first SIGINT or SIGTERM, and the
end of --duration, take no more events in and let those on their way go out for --drain at most;
what is cut off then is counted. A second signal exits at once with status 1. That nobody listens
at the other end (ECONNREFUSED) stops nothing: it is counted as `refused`.

Examples:
  xdpsar send --to 127.0.0.1:19522 --events 1000 --size 1M --rate 2
  xdpsar send --to 192.0.2.7:19522 --ports 16 --duration 60 --size 1k..10M --rate 10 --cores 2-5
  xdpsar send --to 192.0.2.7:19522 --backend xdp --tx-queue 7 --dscp 46
  xdpsar send --to 192.0.2.7:19522 --sync 192.0.2.7:19020 --source-id 12 --source 192.0.2.1
  xdpsar send --to 192.0.2.7:19522 --rate 10 --input run7/ calibration.dat --manifest
  xdpsar recv --listen 10.0.0.1:19522 --out - | xdpsar send --to 192.0.2.7:19522 --input -
  xdpsar send --uri --events 1000 --size 1M --rate 2";

/// Cut events into datagrams and send them.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP)]
#[command(group = ArgGroup::new("sync_to").args(["sync", "uri"]).multiple(true))]
pub(crate) struct SendArgs {
    /// Address and first UDP port to send to.
    #[arg(long, value_name = "IP:PORT", conflicts_with = "uri")]
    pub(crate) to: Option<SocketAddr>,
    /// Spread events over this many UDP ports by their entropy, as a load balancer does.
    #[arg(long, value_name = "N", default_value = "1", value_parser = power_of_two)]
    pub(crate) ports: u16,

    /// Events to send; 0: until stopped [default: 10, or with --duration 0].
    #[arg(long, value_name = "N")]
    pub(crate) events: Option<u64>,
    /// Stop after this long; a bare number means seconds.
    #[arg(long, value_name = "S", value_parser = units::seconds)]
    pub(crate) duration: Option<Duration>,
    /// After a stop, how long events on their way may still take; a bare number means seconds.
    #[arg(long, value_name = "S", default_value = "5s", value_parser = units::seconds)]
    pub(crate) drain: Duration,

    /// Event sizes.
    #[arg(
        long,
        value_name = "SIZES",
        default_value = "1M",
        conflicts_with = "input",
        help_heading = "Events"
    )]
    pub(crate) size: Sizes,
    /// Instead of made-up events: files and directories (all files below them, in the order of
    /// names), each file one event; or `-`: what `recv --out -` writes, from standard input.
    #[arg(long, value_name = "PATH", num_args = 1..,
          conflicts_with_all = ["events", "payload", "payload_file"], help_heading = "Events")]
    pub(crate) input: Vec<PathBuf>,
    /// Send names, sizes and SHA-256 of the files after them, for `recv --out DIR --manifest`.
    /// ID: the manifest's data id [default: 65535].
    #[arg(long, value_name = "ID", num_args = 0..=1, require_equals = true,
          default_missing_value = "65535", requires = "input", help_heading = "Events")]
    pub(crate) manifest: Option<u16>,
    /// Longest event taken from standard input.
    #[arg(long, value_name = "SIZE", default_value = "1Gi", value_parser = units::bytes32,
          help_heading = "Events")]
    pub(crate) max_event: u32,
    #[command(flatten, next_help_heading = "Events")]
    pub(crate) payload: PayloadArgs,
    /// Data id of the events [default: 4321].
    #[arg(long, value_name = "ID", help_heading = "Events")]
    pub(crate) data_id: Option<u16>,
    /// Number of the first event [default: 0].
    #[arg(long, value_name = "N", help_heading = "Events")]
    pub(crate) event_start: Option<u64>,
    /// Entropy of all events; default: another for each.
    #[arg(long, value_name = "N", help_heading = "Events")]
    pub(crate) entropy: Option<u16>,
    /// Version of the LB header.
    #[arg(long, value_enum, default_value_t, value_name = "VERSION", help_heading = "Events")]
    pub(crate) lb_version: LbHeaderVersion,
    /// What the load balancer is steered by.
    #[arg(long, value_enum, default_value_t, value_name = "KIND", help_heading = "Events")]
    pub(crate) tick: Tick,

    /// How datagrams are handed to the system; default: the library's choice, told with `ready`.
    #[arg(long, value_enum, help_heading = "Packet path")]
    pub(crate) backend: Option<Way>,
    /// AF_XDP: TX queue to send through; default: the last one that is free.
    #[arg(long, value_name = "N", help_heading = "Packet path")]
    pub(crate) tx_queue: Option<u32>,
    /// AF_XDP: whether the kernel copies packets out of our memory.
    #[arg(long, value_enum, default_value_t, help_heading = "Packet path")]
    pub(crate) copy: Copying,
    /// Address to send from: the one registered with the load balancer; default: the route's.
    #[arg(long, value_name = "IP", help_heading = "Packet path")]
    pub(crate) source: Option<IpAddr>,
    /// Sockets, and so source ports, of each thread; an event goes out through one of them.
    #[arg(long, value_name = "N", default_value = "4", value_parser = at_least_one,
          help_heading = "Packet path")]
    pub(crate) sockets: usize,
    /// Send buffer of each socket.
    #[arg(long, value_name = "SIZE", value_parser = units::bytes32, help_heading = "Packet path")]
    pub(crate) socket_buffer: Option<u32>,
    /// Sockets: name the destination in each message, and look up the route anew.
    #[arg(long, help_heading = "Packet path")]
    pub(crate) no_connect: bool,
    /// Largest IP datagram; default: the route's, 9000 at most.
    #[arg(long, value_name = "BYTES", help_heading = "Packet path")]
    pub(crate) mtu: Option<u32>,
    /// Differentiated-services code point, 0 to 63; default: the system's.
    #[arg(long, value_name = "N", help_heading = "Packet path")]
    pub(crate) dscp: Option<u8>,
    /// How long the system may take nothing before the event has failed.
    #[arg(long, value_name = "S", value_parser = units::seconds, help_heading = "Packet path")]
    pub(crate) patience: Option<Duration>,
    /// Threads that send, beside the one that makes or reads events; default: that one alone.
    #[arg(long, value_name = "N", value_parser = at_least_one, help_heading = "Packet path")]
    pub(crate) workers: Option<usize>,
    /// Cores to pin such threads to, such as 0,2-5; one thread for each unless --workers says less.
    #[arg(long, value_name = "LIST", help_heading = "Packet path")]
    pub(crate) cores: Option<Cores>,

    /// Rate in Gb/s of IP datagrams, headers included; default: as fast as it goes.
    #[arg(long, value_name = "GBPS", value_parser = rate, allow_negative_numbers = true,
          help_heading = "Rate")]
    pub(crate) rate: Option<f64>,
    /// Count what Ethernet adds as well: 38 bytes per datagram.
    #[arg(long, requires = "rate", help_heading = "Rate")]
    pub(crate) count_ethernet: bool,
    /// An event leaves at once and the next one waits, instead of being spread over its time.
    #[arg(long, requires = "rate", help_heading = "Rate")]
    pub(crate) no_smooth: bool,
    /// How much of a pause may be made up for at once; a bare number means ms [default: 400us].
    #[arg(long, value_name = "MS", value_parser = units::milliseconds, requires = "rate",
          help_heading = "Rate")]
    pub(crate) burst: Option<Duration>,
    /// Have the kernel space datagrams as well, where the interface's queueing discipline is fq.
    #[arg(long, requires = "rate", help_heading = "Rate")]
    pub(crate) kernel_pacing: bool,

    #[command(flatten, next_help_heading = "Load balancer")]
    pub(crate) via: Via,
    /// With --uri: do not add this host to those that may send, nor remove it at the end.
    #[arg(long, requires = "uri", help_heading = "Load balancer")]
    pub(crate) no_add_sender: bool,
    /// Send Sync messages to a control plane; with --uri instead of the URI's address.
    #[arg(long, value_name = "IP:PORT", help_heading = "Load balancer")]
    pub(crate) sync: Option<SocketAddr>,
    /// Which sender this is, among those of the load balancer; with --uri by default some number.
    #[arg(long, value_name = "ID", requires = "sync_to", help_heading = "Load balancer")]
    pub(crate) source_id: Option<u32>,
    /// How often Sync messages go out, 10s at most; a bare number means ms [default: 1s].
    #[arg(long, value_name = "MS", requires = "sync_to", value_parser = units::milliseconds,
          help_heading = "Load balancer")]
    pub(crate) sync_period: Option<Duration>,
    /// How long they go out before the first event does; a bare number means ms [default: 1s].
    #[arg(long, value_name = "MS", requires = "sync_to", value_parser = units::milliseconds,
          help_heading = "Load balancer")]
    pub(crate) sync_warm_up: Option<Duration>,
    /// What they say about the rate of ticks [default: megahertz, or with --tick event-number
    /// measured].
    #[arg(
        long,
        value_enum,
        value_name = "RATE",
        requires = "sync_to",
        help_heading = "Load balancer"
    )]
    pub(crate) sync_rate: Option<Announced>,

    /// How often statistics are printed; a bare number means seconds, 0 never.
    #[arg(long, value_name = "S", default_value = "1s", value_parser = units::seconds,
          help_heading = "Output")]
    pub(crate) interval: Duration,
    /// One JSON object per line on standard output: ready, stats, summary.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    /// No statistics on the way, only `ready` and the summary.
    #[arg(long, short, help_heading = "Output")]
    pub(crate) quiet: bool,
}

impl SendArgs {
    /// How many made-up events to send; `None`: until stopped.
    pub(crate) fn total(&self) -> Option<u64> {
        let default = if self.duration.is_some() { 0 } else { 10 };
        Some(self.events.unwrap_or(default)).filter(|&events| events > 0)
    }

    /// Data id of the events.
    pub(crate) fn data_id(&self) -> u16 {
        self.data_id.unwrap_or(4321)
    }

    /// Number of the first event.
    pub(crate) fn event_start(&self) -> u64 {
        self.event_start.unwrap_or(0)
    }

    /// Whether events come from standard input.
    pub(crate) fn is_stream(&self) -> bool {
        self.input.iter().any(|path| path.as_os_str() == "-")
    }

    /// Whether threads of their own send, instead of the one that has the
    /// events.
    pub(crate) fn has_workers(&self) -> bool {
        self.workers.is_some() || self.cores.is_some()
    }

    /// The segmenter that these options describe.
    ///
    /// # Errors
    /// The load balancer's sync address is none for this host.
    pub(crate) fn builder(
        &self,
        to: SocketAddr,
        lb: Option<&EjfatUri>,
    ) -> Result<SegmenterBuilder, UriError> {
        let of_lb = lb.and_then(EjfatUri::sync).map(Endpoint::socket_addr).transpose()?;
        let sync = self.sync.or(of_lb).map(|to| self.sync_config(to));
        let xdp = XdpTransmitOptions {
            queue: self.tx_queue,
            copy: self.copy.into(),
            ..XdpTransmitOptions::new()
        };
        let mut builder = xdpsar::Segmenter::builder(to)
            .ports(self.ports)
            .sockets(self.sockets)
            .xdp(xdp)
            .source(self.source)
            .dscp(self.dscp)
            .connected(!self.no_connect)
            .mtu(self.mtu)
            .data_id(self.data_id())
            .first_event(self.event_start())
            .lb(self.lb_version.version())
            .rate_gbps(self.rate)
            .count_ethernet(self.count_ethernet)
            .smooth(!self.no_smooth)
            .kernel_pacing(self.kernel_pacing)
            .ticks(self.tick.into())
            .sync(sync);
        if let Some(way) = self.backend {
            builder = builder.backend(way.into());
        }
        if let Some(bytes) = self.socket_buffer {
            builder = builder.send_buffer(bytes as usize);
        }
        if let Some(patience) = self.patience {
            builder = builder.patience(patience);
        }
        if let Some(burst) = self.burst {
            builder = builder.burst(burst);
        }
        if let Some(workers) = self.workers {
            builder = builder.workers(workers);
        }
        if let Some(Cores(cores)) = &self.cores {
            builder = builder.cores(cores.clone());
        }
        Ok(builder)
    }

    /// Sync messages to this address.
    fn sync_config(&self, to: SocketAddr) -> SyncConfig {
        let usual = SyncConfig::new(to, self.source_id.unwrap_or_else(some_id));
        SyncConfig {
            period: self.sync_period.unwrap_or(usual.period),
            warm_up: self.sync_warm_up.unwrap_or(usual.warm_up),
            rate: match (self.sync_rate, self.tick) {
                (Some(rate), _) => rate.into(),
                (None, Tick::Clock) => SyncRate::Megahertz,
                (None, Tick::EventNumber) => SyncRate::Measured,
            },
            ..usual
        }
    }
}

/// A number that other senders do not have, as good as certainly.
fn some_id() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}

words!(
    /// `--backend` of `send`.
    Way => SendBackend {
        /// The fastest that works here; AF_XDP only where --tx-queue names a queue for it.
        #[default]
        Auto => Auto,
        /// Many fragments in one message, cut up by the kernel or the NIC (UDP_SEGMENT).
        Gso => Gso,
        /// One message per fragment, up to 1024 in one call (sendmmsg).
        Mmsg => Mmsg,
        /// Frames of our own on a queue of our own (AF_XDP).
        Xdp => Xdp,
    }
);
words!(
    /// `--tick`.
    Tick => Ticks {
        /// Microseconds since the epoch, with evenly spread low bits.
        #[default]
        Clock => Clock,
        /// The event's number.
        EventNumber => EventNumber,
    }
);
words!(
    /// `--sync-rate`.
    Announced => SyncRate {
        /// 1 000 000 a second: what --tick clock has.
        #[default]
        Megahertz => Megahertz,
        /// How fast ticks have grown of late.
        Measured => Measured,
        /// 0: the control plane estimates it.
        Zero => Zero,
    }
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn sync_messages() {
        let to = "127.0.0.1:2".parse().unwrap();
        let sync = |more: &str| {
            let line = format!("xdpsar send --to 127.0.0.1:1 --sync {to} --source-id 7{more}");
            match Cli::read(line.split(' ')).unwrap().command {
                Command::Send(send) => send.sync_config(to),
                other => panic!("{other:?}"),
            }
        };
        let usual = SyncConfig::new(to, 7);
        assert_eq!(sync(""), usual);
        let [period, warm_up] = [300, 2500].map(Duration::from_millis);
        let slow = SyncConfig { period, warm_up, rate: SyncRate::Zero, ..usual };
        assert_eq!(sync(" --sync-period 300 --sync-warm-up 2.5s --sync-rate zero"), slow);
        let measured = SyncConfig { rate: SyncRate::Measured, ..usual };
        assert_eq!(sync(" --tick event-number"), measured);
        assert_eq!(sync(" --sync-rate measured"), measured);
        assert_eq!(sync(" --tick event-number --sync-rate zero").rate, SyncRate::Zero);
    }
}
