//! `xdpsar`: receive EJFAT events, send them, and prove that it works here.
//!
//! | module | holds |
//! |---|---|
//! | [`args`] | the command line |
//! | [`config`] | options from files and the environment |
//! | [`commands`] | what the commands do |
//! | [`moment`] | times as people write and read them |
//! | [`manifest`] | what files are called, and how to know that they are right |
//! | [`output`] | what is told, for people and as JSON lines |
//! | [`payload`] | events that can be verified byte by byte |
//! | [`secret`] | tokens that somebody typed where none belongs |
//! | [`sink`] | where received events go |
//! | [`status`] | exit status and errors |
//! | [`signals`] | orderly end on SIGINT and SIGTERM |
//! | [`units`] | sizes, durations and rates as people write them |
#![forbid(unsafe_code)]

mod args;
mod commands;
mod config;
mod manifest;
mod moment;
mod output;
mod payload;
mod secret;
mod signals;
mod sink;
mod status;
mod units;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let (cli, warnings) = config::read().unwrap_or_else(|refusal| refusal.exit());
    log(cli.verbose);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let json = cli.command.json();
    match commands::run(cli) {
        Ok(status) => status.into(),
        Err(failure) => {
            failure.tell(json);
            failure.status().into()
        }
    }
}

/// Logs go to standard error, as many as `-v` asks for or RUST_LOG says.
fn log(verbose: u8) {
    let default = ["warn", "info", "debug", "trace"][usize::from(verbose.min(3))];
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}
