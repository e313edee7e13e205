//! What is counted.

use std::{env, path::PathBuf, process::Command};

use anyhow::Context as _;

use crate::{callgrind, steps::Steps};

/// A program's part that is counted by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    /// What it is called on record.
    pub(crate) name: &'static str,
    what: What,
    /// Fragments or items of the shorter of its two runs: whole laps of
    /// `bench-core`'s ring, whole events.
    count: u64,
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// A case of `bench-core`, whose packets are composed by others.
    Core(&'static str),
    Steps(Steps),
}

impl Workload {
    pub(crate) const ALL: &[Self] = &[
        Self::core("64x1@1:in-order", 100 * 2048),
        Self::core("64x8@1000:in-order", 100 * 2048),
        Self::core("64x100@1000:shuffled", 100 * 2048),
        Self::core("64x100@1000:loss", 100 * 2048),
        Self::core("1400x100@10:in-order", 100 * 2048),
        Self::core("8900x8@1000:in-order", 100 * 640),
        Self::steps("parse", Steps::Parse, 500_000),
        Self::steps("handoff, batches of 1", Steps::Handoff1, 100_000),
        Self::steps("handoff, batches of 64", Steps::Handoff64, 500_000),
        Self::steps("segment, gso", Steps::SegmentGso, 100 * 697),
        Self::steps("segment, mmsg", Steps::SegmentMmsg, 100 * 697),
    ];

    const fn core(case: &'static str, count: u64) -> Self {
        Self { name: case, what: What::Core(case), count }
    }

    const fn steps(name: &'static str, steps: Steps, count: u64) -> Self {
        Self { name, what: What::Steps(steps), count }
    }

    /// Instructions per fragment or item.
    ///
    /// # Errors
    /// It cannot be run.
    pub(crate) fn count(&self) -> anyhow::Result<f64> {
        let [once, twice] = [self.count, 2 * self.count].map(|count| {
            let run = self.command(count)?;
            callgrind::instructions(run, self.only()).with_context(|| self.name)
        });
        Ok((twice? as f64 - once? as f64) / self.count as f64)
    }

    /// The function that is counted, with what it calls; none: all.
    fn only(&self) -> Option<&'static str> {
        matches!(self.what, What::Core(_)).then_some("*contestant::Ours*::lap")
    }

    fn command(&self, count: u64) -> anyhow::Result<Command> {
        let this = env::current_exe().context("this program's own path")?;
        let count = count.to_string();
        Ok(match self.what {
            What::Core(case) => {
                let mut command = Command::new(beside(this, "bench-core"));
                command.args(["--profile", case, "--fragments", &count]);
                command
            }
            What::Steps(steps) => {
                let mut command = Command::new(this);
                command.args(["--steps", steps.as_str(), "--count", &count]);
                command
            }
        })
    }
}

fn beside(mut program: PathBuf, name: &str) -> PathBuf {
    program.set_file_name(name);
    program
}
