//! What the commands do.

mod config;
mod demo;
mod lb;
mod recv;
mod send;
mod via;

use crate::{
    args::{Cli, Command},
    status::{Failure, Status},
};

/// Does it.
///
/// # Errors
/// Why it could not be done; losses and verification errors are a status.
pub(crate) fn run(cli: Cli) -> Result<Status, Failure> {
    match cli.command {
        Command::Recv(args) => recv::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Lb(args) => lb::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Config(args) => config::run(&args, cli.config.as_deref()),
        Command::DemoSide(args) => demo::run_side(&args),
    }
}
