//! Commands that configure a network, run to their end.

use std::process::{Child, Command};

pub use nix::sys::signal::Signal;
use nix::{sys::signal, unistd::Pid};

/// Runs `line`, split at blanks, and returns what it printed.
///
/// # Panics
/// If it cannot be started or fails: with the line, its status and all it
/// said. A lab that is not what it claims to be is no place for a test.
pub fn run(line: &str) -> String {
    attempt(line).unwrap_or_else(|failure| panic!("{failure}"))
}

/// As [`run`], for a command whose failure is an answer.
///
/// # Errors
/// The line, its status and all it said.
pub fn attempt(line: &str) -> Result<String, String> {
    let mut words = line.split_ascii_whitespace();
    let program = words.next().ok_or("an empty command line")?;
    let output = Command::new(program)
        .args(words)
        .output()
        .map_err(|error| format!("`{line}` could not be started: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!(
            "`{line}`: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ))
    }
}

/// Sends a signal to a process that this one has started and not yet waited
/// for. (`kill` is a command of its own, which a bare machine does not have.)
///
/// # Errors
/// The kernel's, as where the process has changed its user.
pub fn send_signal(child: &Child, which: Signal) -> std::io::Result<()> {
    let pid = i32::try_from(child.id()).map_err(std::io::Error::other)?;
    Ok(signal::kill(Pid::from_raw(pid), which)?)
}
