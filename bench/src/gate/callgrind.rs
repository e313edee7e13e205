//! Instructions, counted one by one.

use std::{io, process::Command};

use anyhow::{Context as _, bail, ensure};

/// How many instructions a program takes, or one function of it.
///
/// # Errors
/// There is no valgrind, or the program fails.
pub(crate) fn instructions(program: Command, only: Option<&str>) -> anyhow::Result<u64> {
    let mut callgrind = Command::new("valgrind");
    callgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    if let Some(function) = only {
        callgrind.arg(format!("--toggle-collect={function}"));
    }
    callgrind.arg(program.get_program()).args(program.get_args());
    let output = match callgrind.output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("valgrind counts, and is not installed: `make bench-gate` installs it")
        }
        output => output.context("valgrind")?,
    };
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program:?}: {}\n{told}", output.status);
    let counted = told.lines().find_map(|line| line.split_once("Collected : "));
    let (_, counted) = counted.with_context(|| format!("callgrind tells no count:\n{told}"))?;
    counted.trim().parse().with_context(|| format!("a count: {counted:?}"))
}
