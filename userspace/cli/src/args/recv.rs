//! Options of `xdpsar recv`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use xdpsar::{
    AttachMode, Checksum, CopyMode, LaneMode, Layout, LbFraming, Lend, Overflow,
    ReassemblerBuilder, SocketOptions, Wait, XdpOptions,
};

use super::{
    values::{Backend, Cores, PayloadArgs, at_least_one, power_of_two, words},
    via::{Via, Worker},
};
use crate::units;

const AFTER_HELP: &str = "\
Output:
  --out DIR   one file per event, <prefix>_<event number>_<data id>.<extension>. A file
              appears under its name when it is whole, and never replaces another: a second
              event with the same key gets .1 appended, a third .2.
              With --manifest, events that a manifest names move to their names below DIR once
              size and SHA-256 are right, whichever comes first; what is missing, wrong, or
              would lead out of DIR is named at the end. No symbolic link is followed.
  --out -     all events on standard output, each as a 16-byte header and its payload:
              event number (8 bytes), data id (2), zero (2), payload length (4), big-endian.
              Human text then goes to standard error.
  --json      one object per line: ready, stats, lost, summary; with --per-event also event.
              `ready` comes once the sockets are bound.

Load balancer:
  With --uri, or with neither --listen nor --uri and EJFAT_URI set, the receiver registers as a
  worker of the load balancer that the URI names, tells it how full it is, and deregisters at the
  end; `ready`, `stats` and `summary` have a `registration`. Otherwise EJFAT_URI is not looked at.
  What the control plane does stops no data: losses alone make the exit status 3.

Exit status is 3 when an event was lost, a datagram was dropped (by the kernel or by us), a byte
did not verify, a manifest did not come or not every file of it was restored, or fewer events came
than --events asked for. Events cut off by --events' own stop
are not a loss. SIGINT and SIGTERM drain what has arrived, print the summary and exit by the same
table; a second signal exits at once with status 1.

Examples:
  xdpsar recv --listen 0.0.0.0:19522 --ports 16 --workers 4 --out events/
  xdpsar recv --listen 0.0.0.0:19522 --out run7/ --manifest --until-complete
  xdpsar recv --listen 10.0.0.1:19522 --out - | xdpsar send --to 10.0.1.1:19522 --input -
  xdpsar recv --listen 10.0.0.1:19522 --backend xdp --interface eth1 --json
  xdpsar recv --listen 127.0.0.1:19522 --events 1000 --verify
  xdpsar recv --uri --listen 10.0.0.1:19522 --ports 16 --name node1 --out events/";

/// Receive datagrams and put events together.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct RecvArgs {
    /// Address and first UDP port to receive on; with a load balancer optional: port 19522 of the
    /// address that faces it.
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// UDP ports from that one on: a power of two.
    #[arg(long, value_name = "N", default_value = "1", value_parser = power_of_two)]
    pub(crate) ports: u16,
    /// What spreads events over the workers: the UDP port, or the LB header's entropy.
    #[arg(long, value_enum, default_value_t, value_name = "BY")]
    pub(crate) lane: Lane,
    /// Lanes with --lane entropy: a power of two.
    #[arg(long, value_name = "N", value_parser = power_of_two)]
    pub(crate) lanes: Option<u16>,
    /// Whether datagrams carry the LB header.
    #[arg(long, value_enum, default_value_t, value_name = "HEADER")]
    pub(crate) lb_header: LbHeader,

    #[command(flatten, next_help_heading = "Load balancer")]
    pub(crate) via: Via,
    #[command(flatten, next_help_heading = "Load balancer")]
    pub(crate) worker: Worker,

    /// Packet path.
    #[arg(long, value_enum, default_value_t, help_heading = "Packet path")]
    pub(crate) backend: Backend,
    /// Network interface; default: the one that carries the address.
    #[arg(long, value_name = "IF", help_heading = "Packet path")]
    pub(crate) interface: Option<String>,
    /// AF_XDP: where the XDP program is attached.
    #[arg(long, value_enum, default_value_t, help_heading = "Packet path")]
    pub(crate) attach: Attach,
    /// AF_XDP: whether the kernel copies packets into our memory.
    #[arg(long, value_enum, default_value_t, help_heading = "Packet path")]
    pub(crate) copy: Copying,
    /// AF_XDP: how workers and RX queues belong together.
    #[arg(long, value_enum, default_value_t, help_heading = "Packet path")]
    pub(crate) layout: QueueLayout,
    /// AF_XDP: poll the NIC from the worker, this many packets per call (zero-copy only).
    #[arg(long, value_name = "N", help_heading = "Packet path")]
    pub(crate) busy_poll: Option<u16>,
    /// AF_XDP: which UDP checksums are verified.
    #[arg(long, value_enum, default_value_t, help_heading = "Packet path")]
    pub(crate) checksum: ChecksumPolicy,
    /// AF_XDP: whether events that are whole in one packet keep its memory instead of a copy.
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", help_heading = "Packet path")]
    pub(crate) lend: Lending,
    /// Receive buffer of each socket.
    #[arg(long, value_name = "SIZE", value_parser = units::bytes32, help_heading = "Packet path")]
    pub(crate) socket_buffer: Option<u32>,
    /// Sockets: one datagram at a time, without UDP_GRO.
    #[arg(long, help_heading = "Packet path")]
    pub(crate) no_gro: bool,

    /// Worker threads.
    #[arg(long, value_name = "N", value_parser = at_least_one, help_heading = "Workers and memory")]
    pub(crate) workers: Option<usize>,
    /// Cores to pin the workers to, such as 0,2-5.
    #[arg(long, value_name = "LIST", help_heading = "Workers and memory")]
    pub(crate) cores: Option<Cores>,
    /// How a worker waits for packets.
    #[arg(long, value_enum, default_value_t, help_heading = "Workers and memory")]
    pub(crate) wait: Waiting,
    /// An event is lost after this long without progress; a bare number means ms.
    #[arg(long, value_name = "MS", default_value = "500ms", value_parser = units::milliseconds,
          help_heading = "Workers and memory")]
    pub(crate) timeout: Duration,
    /// Memory for events, in progress, queued and free.
    #[arg(long, value_name = "SIZE", value_parser = units::bytes, help_heading = "Workers and memory")]
    pub(crate) memory: Option<u64>,
    /// Part of it that is touched before the first packet is taken in [default: 64M].
    #[arg(long, value_name = "SIZE", value_parser = units::bytes, help_heading = "Workers and memory")]
    pub(crate) prefault: Option<u64>,
    /// Longest event accepted.
    #[arg(long, value_name = "SIZE", value_parser = units::bytes32, help_heading = "Workers and memory")]
    pub(crate) max_event: Option<u32>,
    /// Finished events that may wait for the output.
    #[arg(long, value_name = "N", value_parser = at_least_one, help_heading = "Workers and memory")]
    pub(crate) queue: Option<usize>,
    /// What happens to a finished event when the queue is full.
    #[arg(long, value_enum, default_value_t, help_heading = "Workers and memory")]
    pub(crate) overflow: OverflowPolicy,

    /// Stop after this many events.
    #[arg(long, value_name = "N")]
    pub(crate) events: Option<u64>,
    /// Stop after this long; a bare number means seconds.
    #[arg(long, value_name = "S", value_parser = units::seconds)]
    pub(crate) duration: Option<Duration>,
    /// Where events go: a directory, `-` for standard output, or `null`.
    #[arg(long, value_name = "DIR|-|null", default_value = "null", help_heading = "Output")]
    pub(crate) out: String,
    /// First part of the file names of --out DIR [default: event].
    #[arg(long, value_name = "TEXT", help_heading = "Output")]
    pub(crate) prefix: Option<String>,
    /// Last part of the file names of --out DIR [default: bin].
    #[arg(long, value_name = "TEXT", help_heading = "Output")]
    pub(crate) extension: Option<String>,
    /// --out DIR: give files the names that `send --manifest` tells, and check their hashes.
    /// ID: the manifest's data id [default: 65535].
    #[arg(long, value_name = "ID", num_args = 0..=1, require_equals = true,
          default_missing_value = "65535", conflicts_with = "verify", help_heading = "Output")]
    pub(crate) manifest: Option<u16>,
    /// Stop once every file of every manifest that came is in its place.
    #[arg(long, requires = "manifest", help_heading = "Output")]
    pub(crate) until_complete: bool,
    /// Check every byte of every event against --payload.
    #[arg(long, help_heading = "Output")]
    pub(crate) verify: bool,
    #[command(flatten, next_help_heading = "Output")]
    pub(crate) payload: PayloadArgs,
    /// How often statistics are printed; a bare number means seconds, 0 never.
    #[arg(long, value_name = "S", default_value = "1s", value_parser = units::seconds,
          help_heading = "Output")]
    pub(crate) interval: Duration,
    /// One JSON object per line on standard output.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    /// Also one line per event.
    #[arg(long, help_heading = "Output")]
    pub(crate) per_event: bool,
    /// No statistics on the way, only `ready` and the summary.
    #[arg(long, short, help_heading = "Output")]
    pub(crate) quiet: bool,
}

/// Where events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Out {
    Null,
    Stdout,
    Dir(PathBuf),
}

impl RecvArgs {
    pub(crate) fn out(&self) -> Out {
        match self.out.as_str() {
            "null" => Out::Null,
            "-" => Out::Stdout,
            dir => Out::Dir(dir.into()),
        }
    }

    /// The receiver that these options describe.
    pub(crate) fn builder(&self, listen: SocketAddr) -> ReassemblerBuilder {
        let socket = SocketOptions::default();
        let socket = SocketOptions {
            buffer: self.socket_buffer.map_or(socket.buffer, |bytes| bytes as usize),
            gro: !self.no_gro,
        };
        let xdp = XdpOptions {
            interface: self.interface.clone(),
            attach: self.attach.into(),
            copy: self.copy.into(),
            layout: self.layout.into(),
            busy_poll: self.busy_poll,
            checksum: self.checksum.into(),
            lend: self.lend.into(),
            ..XdpOptions::default()
        };
        let mut builder = xdpsar::Reassembler::builder(listen)
            .ports(self.ports)
            .lane_mode(self.lane.into())
            .lb_header(self.lb_header.into())
            .backend(self.backend.into())
            .timeout(self.timeout)
            .overflow(self.overflow.into())
            .wait(self.wait.into())
            .xdp(xdp)
            .socket(socket);
        if let Some(lanes) = self.lanes {
            builder = builder.lanes(lanes);
        }
        if let Some(workers) = self.workers {
            builder = builder.workers(workers);
        }
        if let Some(Cores(cores)) = &self.cores {
            builder = builder.cores(cores.clone());
        }
        if let Some(memory) = self.memory {
            builder = builder.memory(memory);
        }
        if let Some(prefault) = self.prefault {
            builder = builder.prefault(prefault);
        }
        if let Some(max_event) = self.max_event {
            builder = builder.max_event(max_event);
        }
        if let Some(queue) = self.queue {
            builder = builder.queue(queue);
        }
        builder
    }
}

words!(
    /// `--lane`.
    Lane => LaneMode {
        /// Destination port: the load balancer has put the entropy there.
        #[default]
        Port => Port,
        /// LB header: one destination port still spreads over all workers.
        Entropy => Entropy,
    }
);
words!(
    /// `--lb-header`.
    LbHeader => LbFraming {
        /// Told apart datagram by datagram.
        #[default]
        Auto => Auto,
        /// Always there: no load balancer between, or one that keeps it.
        Keep => Keep,
        /// Stripped by the load balancer.
        None => None,
    }
);
words!(
    /// `--attach`.
    Attach => AttachMode {
        /// Native where it can, else generic, with a warning.
        #[default]
        Auto => Auto,
        /// In the driver or not at all.
        Native => Native,
        /// After the kernel built its packet: any interface.
        Generic => Generic,
    }
);
words!(
    /// `--copy`.
    Copying => CopyMode {
        /// Zero-copy where the driver has it.
        #[default]
        Auto => Auto,
        /// Always.
        Copy => Copy,
        /// Zero-copy or not at all.
        Zerocopy => ZeroCopy,
    }
);
words!(
    /// `--layout`.
    QueueLayout => Layout {
        /// Queue-per-core where there are as many queues as workers, else fan-out.
        #[default]
        Auto => Auto,
        /// Each queue belongs to one worker; nothing is shared.
        QueuePerCore => QueuePerCore,
        /// Each worker has a socket on every queue; the lane decides.
        FanOut => FanOut,
    }
);
words!(
    /// `--checksum`.
    ChecksumPolicy => Checksum {
        /// None.
        Off => Off,
        /// Those that are there.
        #[default]
        Auto => Auto,
        /// Every datagram must carry a correct one.
        Strict => Strict,
    }
);
words!(
    /// `--lend`.
    Lending => Lend {
        /// Where that costs less than copying: from 2 KiB on.
        #[default]
        Auto => Auto,
        /// All of them.
        On => On,
        /// None: all are copied.
        Off => Off,
    }
);
words!(
    /// `--overflow`.
    OverflowPolicy => Overflow {
        /// It is dropped and counted; the stream goes on.
        #[default]
        Drop => DropNewest,
        /// The worker waits; losses, if any, happen in the kernel's buffers.
        Block => Block,
    }
);
words!(
    /// `--wait`.
    Waiting => Wait {
        /// Nap, so that a batch gathers, then sleep in the kernel.
        #[default]
        Adaptive => Adaptive,
        /// Never sleep: for a core of one's own.
        Spin => Spin,
        /// Always sleep in the kernel: least CPU.
        Sleep => Sleep,
    }
);
