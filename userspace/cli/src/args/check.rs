//! Questions that contradict themselves in a way the option definitions
//! cannot express, because it depends on a value.

use clap::{CommandFactory, error::ErrorKind};

use super::{
    Cli, Command,
    recv::{Lane, Out},
    values::{PayloadArgs, PayloadKind},
};

/// Refuses such a command line.
///
/// # Errors
/// A usage error, exit status 2.
pub(super) fn check(cli: &Cli) -> Result<(), clap::Error> {
    let conflict = |text: &str| Err(Cli::command().error(ErrorKind::ArgumentConflict, text));
    let payload = match &cli.command {
        Command::Recv(recv) => {
            let out = recv.out();
            if out == Out::Stdout && recv.json {
                return conflict("--out - and --json both want standard output");
            }
            if !matches!(out, Out::Dir(_)) && (recv.prefix.is_some() || recv.extension.is_some()) {
                return conflict("--prefix and --extension name the files of --out DIR");
            }
            if recv.manifest.is_some() && !matches!(out, Out::Dir(_)) {
                return conflict("--manifest gives names to the files of --out DIR");
            }
            if recv.worker.share.is_given() && recv.via.uri.is_none() {
                return conflict("--weight, factors and --slots are a load balancer's: say --uri");
            }
            if recv.lanes.is_some() && recv.lane == Lane::Port {
                return conflict("with --lane port each port is a lane: leave --lanes out");
            }
            Some(&recv.payload)
        }
        Command::Send(send) => {
            // Clap misses what --uri lacks where --to stands against that.
            if send.to.is_some() && (send.via.is_given() || send.no_add_sender) {
                return conflict("--lb-... and --no-add-sender belong to --uri, not to --to");
            }
            if send.sync.is_some() && send.source_id.is_none() && send.via.uri.is_none() {
                let text = "--sync needs --source-id: which sender this is";
                return Err(Cli::command().error(ErrorKind::MissingRequiredArgument, text));
            }
            if send.is_stream() {
                if send.input.len() > 1 {
                    return conflict("--input - takes no files besides standard input");
                }
                if send.manifest.is_some() {
                    return conflict("--manifest names files: standard input has none");
                }
                if send.data_id.is_some() || send.event_start.is_some() {
                    return conflict("events of --input - have numbers and data ids already");
                }
            }
            if send.manifest == Some(send.data_id()) {
                return conflict("--manifest needs a data id other than the files'");
            }
            Some(&send.payload)
        }
        Command::Lb(lb) => {
            if let Some(what) = lb.contradiction() {
                return conflict(what);
            }
            None
        }
        Command::Config(_) | Command::Demo(_) | Command::DemoSide(_) => None,
    };
    match payload {
        Some(PayloadArgs { payload_file: Some(_), payload }) if *payload != PayloadKind::File => {
            conflict("--payload-file belongs to --payload file")
        }
        _ => Ok(()),
    }
}
