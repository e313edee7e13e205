//! What the commands do.

mod demo;
mod lb;
mod recv;
mod send;

use crate::{
    args::Command,
    status::{Failure, Status},
};

/// Does it.
///
/// # Errors
/// Why it could not be done; losses and verification errors are a status.
pub(crate) fn run(command: Command) -> Result<Status, Failure> {
    match command {
        Command::Recv(args) => recv::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Lb(args) => lb::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::DemoSide(args) => demo::run_side(&args),
    }
}
