//! The command line: what can be asked, and which questions make sense.
//!
//! | module | holds |
//! |---|---|
//! | [`recv`] | options of `xdpsar recv` |
//! | [`send`] | options of `xdpsar send` |
//! | [`lb`] | options of `xdpsar lb` |
//! | [`via`] | `recv` and `send` by way of a load balancer |
//! | [`demo`] | options of `xdpsar demo` |
//! | [`config`] | options of `xdpsar config` |
//! | [`values`] | words and numbers that several of them take |
//! | [`check`] | contradictions that depend on a value |

mod check;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod lb;
pub(crate) mod recv;
pub(crate) mod send;
pub(crate) mod values;
pub(crate) mod via;

use std::{ffi::OsString, path::PathBuf};

use clap::{ArgAction, Parser, Subcommand};

const AFTER_HELP: &str = "\
Examples:
  xdpsar demo
  xdpsar recv --listen 0.0.0.0:19522 --ports 16 --workers 4 --out events/
  xdpsar send --to 192.0.2.7:19522 --ports 16 --events 1000 --size 1M --rate 10
  eval \"$(xdpsar lb reserve --name run7 --duration 2h --export)\"

Exit status:
  0  all good
  1  failure
  2  wrong usage
  3  finished, but with loss or a verification error

Logs go to standard error; RUST_LOG chooses among them (RUST_LOG=xdpsar=debug).";

/// Segmentation and reassembly of EJFAT event streams over AF_XDP or sockets.
#[derive(Debug, Parser)]
#[command(name = "xdpsar", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// Log more: -v informs, -vv debugs, -vvv traces.
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = 1000)]
    pub(crate) verbose: u8,
    /// Read options from this file only: TOML, or an INI file of E2SAR's. See `xdpsar config --help`.
    #[arg(long, global = true, value_name = "FILE", display_order = 1001)]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Reads a command line, program name first.
    ///
    /// # Errors
    /// Help, version, or a usage error: `exit()` does what each asks for.
    pub(crate) fn read(
        line: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let cli = Self::try_parse_from(line)?;
        check::check(&cli)?;
        Ok(cli)
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the whole path at work on this host, and verify every byte.
    Demo(demo::DemoArgs),
    /// Receive datagrams and put events together.
    Recv(Box<recv::RecvArgs>),
    /// Cut events into datagrams and send them.
    Send(Box<send::SendArgs>),
    /// Ask a load balancer's control plane: reserve, watch, register, free.
    Lb(Box<lb::LbArgs>),
    /// Write a configuration file, or tell where each setting comes from.
    Config(config::ConfigArgs),
    /// One side of the demo, in its own network namespace.
    #[command(name = "demo-side", hide = true)]
    DemoSide(demo::SideArgs),
}

impl Command {
    /// Whether the answer is JSON: errors then are, too.
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::Demo(args) => args.json,
            Self::Recv(args) => args.json,
            Self::Send(args) => args.json,
            Self::Lb(args) => args.json,
            Self::Config(args) => args.json,
            Self::DemoSide(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, error::ErrorKind};

    use super::*;

    fn parse(line: &str) -> Result<Cli, ErrorKind> {
        Cli::read(line.split_whitespace()).map_err(|error| {
            assert_eq!(error.exit_code(), i32::from(error.use_stderr()) * 2, "{line}");
            error.kind()
        })
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn good_lines() {
        for line in [
            "xdpsar demo",
            "xdpsar recv",
            "xdpsar recv --uri --name node1 --weight 2 --kp 200 --horizon 2s --high-water 0.8 --linger 2s",
            "xdpsar recv --uri ejfat://t@127.0.0.1:1/lb/1 --listen 0.0.0.0:19522 --advertise 10.0.0.1",
            "xdpsar recv --uri file:/x --lb-ca ca.pem --lb-timeout 3 --lb-id 7 --slots 0-63",
            "xdpsar send",
            "xdpsar send --uri --no-add-sender --source-id 7 --events 9",
            "xdpsar send --uri --sync-period 500 --sync-warm-up 0 --sync-rate measured",
            "xdpsar send --uri ejfats://t@lb:1/lb/1 --lb-no-verify --lb-ipv4",
            "xdpsar demo --json --backend socket --events 100 --workers 4 --mtu 1500",
            "xdpsar recv --listen 127.0.0.1:19522",
            "xdpsar recv --listen [::1]:19522 --ports 16 --lane port --out - --duration 2.5",
            "xdpsar recv --listen 0.0.0.0:19522 --lane entropy --lanes 8 --workers 4 --cores 0,2-4",
            "xdpsar recv --listen 0.0.0.0:1 --verify --payload file --payload-file x --json --per-event",
            "xdpsar recv --listen 0.0.0.0:1 --out d --prefix run --extension dat -v",
            "xdpsar send --to 127.0.0.1:19522",
            "xdpsar send --to 127.0.0.1:19522 --size 1k,100k,1k..10M --rate 2.5 --lb-version none",
            "xdpsar send --to 127.0.0.1:19522 --input a b c",
            "xdpsar send --to 127.0.0.1:1 --backend xdp --tx-queue 3 --copy zerocopy --source 10.0.0.1",
            "xdpsar send --to 127.0.0.1:1 --backend gso --workers 2 --cores 0,1 --dscp 46 --no-connect",
            "xdpsar send --to 127.0.0.1:1 --rate 1 --burst 2 --count-ethernet --no-smooth --kernel-pacing",
            "xdpsar send --to 127.0.0.1:1 --sync 127.0.0.1:2 --source-id 7 --tick event-number",
            "xdpsar send --to 127.0.0.1:1 --input a b/ --manifest --data-id 3",
            "xdpsar send --to 127.0.0.1:1 --input a --manifest=7",
            "xdpsar send --to 127.0.0.1:1 --input - --max-event 1M",
            "xdpsar recv --listen 127.0.0.1:1 --out d --manifest --until-complete",
            "xdpsar send --to 127.0.0.1:1 --duration 2 --drain 100ms --patience 1s",
        ] {
            assert!(parse(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn bad_lines() {
        use ErrorKind::{
            ArgumentConflict, InvalidValue, MissingRequiredArgument, UnknownArgument,
            ValueValidation,
        };
        for (line, kind) in [
            ("xdpsar recv --name x", MissingRequiredArgument),
            ("xdpsar recv --listen 127.0.0.1:1 --weight 2", ArgumentConflict),
            ("xdpsar recv --weight 2", ArgumentConflict),
            ("xdpsar recv --uri --lb-ca x --lb-no-verify", ArgumentConflict),
            ("xdpsar recv --listen 127.0.0.1", ValueValidation),
            ("xdpsar recv --listen 127.0.0.1:1 --ports 3", ValueValidation),
            ("xdpsar recv --listen 127.0.0.1:1 --ports 0", ValueValidation),
            ("xdpsar recv --listen 127.0.0.1:1 --lanes 4 --lane port", ArgumentConflict),
            ("xdpsar recv --listen 127.0.0.1:1 --backend dpdk", InvalidValue),
            ("xdpsar recv --listen 127.0.0.1:1 --cores 3-1", ValueValidation),
            ("xdpsar recv --listen 127.0.0.1:1 --payload file", MissingRequiredArgument),
            ("xdpsar recv --listen 127.0.0.1:1 --payload-file x --payload zero", ArgumentConflict),
            ("xdpsar recv --listen 127.0.0.1:1 --prefix x", ArgumentConflict),
            ("xdpsar recv --listen 127.0.0.1:1 --out - --json", ArgumentConflict),
            ("xdpsar recv --listen 127.0.0.1:1 --memory lots", ValueValidation),
            ("xdpsar recv --listen 127.0.0.1:1 --to 127.0.0.1:1", UnknownArgument),
            ("xdpsar send --to 127.0.0.1:1 --uri", ArgumentConflict),
            ("xdpsar send --no-add-sender", MissingRequiredArgument),
            ("xdpsar send --to 127.0.0.1:1 --lb-id 7", ArgumentConflict),
            ("xdpsar send --to 127.0.0.1:1 --input x --size 9", ArgumentConflict),
            ("xdpsar send --to 127.0.0.1:1 --input x --events 9", ArgumentConflict),
            ("xdpsar send --to 127.0.0.1:1 --size 5G", ValueValidation),
            ("xdpsar send --to 127.0.0.1:1 --rate fast", ValueValidation),
            ("xdpsar send --to 127.0.0.1:1 --lb-version 4", InvalidValue),
            ("xdpsar send --to 127.0.0.1:1 --rate 0", ValueValidation),
            ("xdpsar send --to 127.0.0.1:1 --rate -1", ValueValidation),
            ("xdpsar send --to 127.0.0.1:1 --rate NaN", ValueValidation),
            ("xdpsar send --to 127.0.0.1:1 --rate inf", ValueValidation),
            ("xdpsar send --to 127.0.0.1:1 --backend socket", InvalidValue),
            ("xdpsar send --to 127.0.0.1:1 --burst 1ms", MissingRequiredArgument),
            ("xdpsar send --to 127.0.0.1:1 --source-id 1", MissingRequiredArgument),
            ("xdpsar send --to 127.0.0.1:1 --sync-period 1s", MissingRequiredArgument),
            ("xdpsar send --to 127.0.0.1:1 --sync-warm-up 0", MissingRequiredArgument),
            ("xdpsar send --to 127.0.0.1:1 --sync-rate zero", MissingRequiredArgument),
            ("xdpsar send --uri --sync-rate fast", InvalidValue),
            ("xdpsar recv --horizon 1s", MissingRequiredArgument),
            ("xdpsar send --to 127.0.0.1:1 --sync 127.0.0.1:2", MissingRequiredArgument),
            ("xdpsar send --to 127.0.0.1:1 --manifest", MissingRequiredArgument),
            ("xdpsar send --to 127.0.0.1:1 --input - x", ArgumentConflict),
            ("xdpsar send --to 127.0.0.1:1 --input - --manifest", ArgumentConflict),
            ("xdpsar send --to 127.0.0.1:1 --input - --data-id 1", ArgumentConflict),
            ("xdpsar send --to 127.0.0.1:1 --input x --data-id 7 --manifest=7", ArgumentConflict),
            ("xdpsar recv --listen 127.0.0.1:1 --manifest", ArgumentConflict),
            ("xdpsar recv --listen 127.0.0.1:1 --out d --manifest --verify", ArgumentConflict),
            ("xdpsar recv --listen 127.0.0.1:1 --out d --until-complete", MissingRequiredArgument),
            ("xdpsar demo --workers 0", ValueValidation),
        ] {
            assert_eq!(parse(line).map(|_| ()), Err(kind), "{line}");
        }
    }
}
