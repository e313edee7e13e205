//! `xdpsar config`.
//!
//! | module | holds |
//! |---|---|
//! | [`generate`] | a commented file |
//! | [`explain`] | each setting, and where it comes from |

mod explain;
mod generate;

use std::{
    ffi::OsString,
    io::{self, Write},
    path::Path,
};

use clap::CommandFactory;

use crate::{
    args::{Cli, config::ConfigArgs},
    config::{self, Refusal, Resolved, Surroundings},
    status::{Failure, Status},
};

/// Does it. `file`: what `--config` in front of the command names.
///
/// # Errors
/// Standard output does not take it.
pub(crate) fn run(args: &ConfigArgs, file: Option<&Path>) -> Result<Status, Failure> {
    let mut line = vec![OsString::from("xdpsar")];
    if let Some(file) = file {
        line.extend([OsString::from("--config"), file.into()]);
    }
    line.extend(args.line.iter().cloned());
    let around = Surroundings::of_process();
    let (text, status) = match answer(args, &line, &around) {
        Ok(answer) => answer,
        Err(refusal) => refusal.exit(),
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::telling)?;
    Ok(status)
}

fn answer(
    args: &ConfigArgs,
    line: &[OsString],
    around: &Surroundings,
) -> Result<(String, Status), Refusal> {
    let root = Cli::command();
    let (path, whole) = commands(&root, &args.line);
    if args.what.generate && whole {
        return Ok((generate::text(&root, &path, &[], true), Status::Good));
    }
    let resolved = config::resolve(line, around)?;
    if resolved.path.is_empty() {
        let known: Vec<_> = config::options::inner(&root).map(clap::Command::get_name).collect();
        let fault = format!("this command has no settings; name one of {}", known.join(", "));
        return Err(Refusal::Configuration(vec![fault]));
    }
    if args.what.generate {
        tell(&resolved);
        return Ok((
            generate::text(&root, &resolved.path, &resolved.settings, false),
            Status::Good,
        ));
    }
    if !args.json {
        tell(&resolved);
    }
    let text = explain::text(&resolved, args.json);
    Ok(match config::parse(&resolved) {
        Ok(_) => (text, Status::Good),
        Err(refusal) => {
            eprint!("xdpsar {} ends with these: {refusal}", resolved.path.join(" "));
            (text, Status::Usage)
        }
    })
}

/// Warnings go to standard error, whatever the log shows.
fn tell(resolved: &Resolved) {
    for warning in &resolved.warnings {
        eprintln!("warning: {warning}");
    }
}

/// The commands that a line begins with, and whether there is nothing but a
/// group of them, or none: with all that is below.
fn commands(root: &clap::Command, line: &[OsString]) -> (Vec<String>, bool) {
    let mut path = Vec::new();
    for word in line {
        let longer = [path.clone(), vec![word.to_string_lossy().into_owned()]].concat();
        if config::options::at(root, &longer).is_none() {
            return (path, false);
        }
        path = longer;
    }
    let group = config::options::at(root, &path)
        .is_some_and(|command| config::options::inner(command).next().is_some());
    (path, group)
}
