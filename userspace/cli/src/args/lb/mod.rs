//! Options of `xdpsar lb`.
//!
//! | module | holds |
//! |---|---|
//! | [`access`] | which load balancer, by which token, whom to believe |
//! | [`reservation`] | reserve, extend, reset; senders |
//! | [`worker`] | register, state; slots |
//! | [`tokens`] | tokens and permissions |
//! | [`watch`] | time series, chains, monitor |

pub(crate) mod access;
pub(crate) mod reservation;
pub(crate) mod tokens;
pub(crate) mod watch;
pub(crate) mod worker;

use clap::{Args, Subcommand};

const AFTER_HELP: &str = "\
Tokens:
  A URI's token decides what may be done; the server knows what each is good for. Tokens are shown
  as `***` everywhere but with --export and --show-token. Command lines are public on a host: set
  EJFAT_URI, or name a file with --uri file:PATH (its first line, also `export EJFAT_URI='...'`).

Output:
  Tables for people. With --json, objects with a `type`, one per line, times as RFC 3339, absent
  values left out: reservation, freed, extended, reset, senders, status, load_balancer (one for each
  in an overview), version, session, deregistered, state, slot_demands, token, revoked, series,
  chain, unchained, chain_graph, monitor, missed, error. With --export, one line for a shell to
  evaluate.

Exit status:
  0  done
  1  failure: the server refused, or could not be asked
  2  wrong usage, no URI, or one that lacks a token or an id

Examples:
  eval \"$(xdpsar lb reserve --name run7 --duration 2h --export)\"
  xdpsar lb senders add
  xdpsar lb monitor
  xdpsar lb timeseries --since 10m --csv run7.csv
  xdpsar lb token create --name shifter --allow LOAD_BALANCER:1:RESERVE --show-token
  xdpsar lb free";

/// Ask a load balancer's control plane: reserve, watch, register, free.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct LbArgs {
    #[command(flatten, next_help_heading = "Load balancer")]
    pub(crate) access: access::Access,
    /// JSON objects on standard output, one per line.
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
    /// Show tokens instead of `***`.
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) show_token: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to ask for.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Reserve a load balancer.
    Reserve(reservation::Reserve),
    /// Show a reservation's addresses, and complete the URI with them.
    Get(reservation::Get),
    /// Move the end of a reservation.
    Extend(reservation::Extend),
    /// Begin anew with a part of a reservation; on a live flow, events are lost.
    Reset(reservation::Reset),
    /// End a reservation; its tokens end with it.
    Free,
    /// Show who works for a reservation, and how well.
    Status,
    /// Show all reservations that the token may see.
    Overview,
    /// Show which server it is.
    Version,
    /// Show a reservation live: fill, slots and rates of each worker.
    Monitor(watch::Monitor),
    /// Say who may send.
    #[command(subcommand)]
    Senders(reservation::Senders),
    /// Register a worker. `xdpsar recv --uri` does this by itself.
    Register(worker::Register),
    /// Send a worker's state once.
    State(worker::State),
    /// End a worker's session.
    Deregister,
    /// Say which worker must have which slots.
    #[command(subcommand)]
    Slots(worker::Slots),
    /// Make, list and revoke tokens.
    #[command(subcommand)]
    Token(tokens::TokenCommand),
    /// Show counters over time.
    Timeseries(watch::Timeseries),
    /// Let a load balancer get events from another one.
    #[command(subcommand)]
    Chain(watch::Chain),
}

/// `--export`, for what makes a new token.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Export {
    /// Print one line for a shell to evaluate: `export EJFAT_URI='...'`, with the token that the
    /// next step needs.
    #[arg(long, help_heading = "Output")]
    pub(crate) export: bool,
}

impl LbArgs {
    /// What contradicts itself, or asks for nothing, in a way that the
    /// options' definitions do not see.
    pub(crate) fn contradiction(&self) -> Option<&'static str> {
        let (export, command) = (self.command.export(), &self.command);
        let contradictions = [
            (export && self.json, "--export and --json both want standard output"),
            (
                matches!(command, Command::Token(tokens::TokenCommand::Create(_)))
                    && !export
                    && !self.show_token,
                "a new token is shown this once: say --export or --show-token",
            ),
            (
                matches!(command, Command::Timeseries(args) if args.csv.as_deref() == Some("-"))
                    && self.json,
                "--csv - and --json both want standard output",
            ),
        ];
        let own = contradictions.into_iter().find_map(|(is, what)| is.then_some(what));
        self.access.contradiction().or(own)
    }
}

impl Command {
    /// Whether the answer is a line for a shell.
    pub(crate) fn export(&self) -> bool {
        match self {
            Self::Reserve(args) => args.export.export,
            Self::Get(args) => args.export.export,
            Self::Register(args) => args.export.export,
            Self::Token(tokens::TokenCommand::Create(args)) => args.export.export,
            _ => false,
        }
    }
}
