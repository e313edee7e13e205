//! Options of `xdpsar demo`.

use clap::{Args, ValueEnum};

use super::values::{Backend, at_least_one};

const AFTER_HELP: &str = "\
With root's capabilities, two child processes move into network namespaces of their own, joined by
a veth pair: one sends, the other receives through XDP and AF_XDP. Nothing of it has a name outside,
and everything is gone when the command ends, however it ends. Otherwise, or with --backend socket,
both use the kernel's sockets on loopback; why is printed.

The sender waits for the receiver (closed loop), so that a slow machine loses nothing: the speed
shown is no benchmark. Exit status 0 means that every event arrived once, every byte of it
verified, and nothing was lost.";

/// Show the whole path at work on this host, and verify every byte.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Packet path.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) backend: Backend,
    /// One JSON object per line on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What both sides must agree on.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    /// Events to send, of 0 bytes to 10 MB.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) events: u64,
    /// Worker threads of the receiver.
    #[arg(long, value_name = "N", default_value = "2", value_parser = at_least_one)]
    pub(crate) workers: usize,
    /// Largest IP datagram.
    #[arg(long, value_name = "BYTES", default_value_t = 9000, value_parser = clap::value_parser!(u32).range(576..=9000))]
    pub(crate) mtu: u32,
}

/// One side of the demo, started by `xdpsar demo` itself.
#[derive(Clone, Debug, Args)]
pub(crate) struct SideArgs {
    #[arg(value_enum)]
    pub(crate) side: Side,
    /// The process that started this one.
    #[arg(long)]
    pub(crate) parent: i32,
    /// Move into a network namespace, and receive by AF_XDP.
    #[arg(long)]
    pub(crate) isolate: bool,
    /// The receiver's process, whose namespace gets the other end.
    #[arg(long)]
    pub(crate) peer: Option<u32>,
    /// First UDP port.
    #[arg(long)]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// Which side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Side {
    Receiver,
    Sender,
}
