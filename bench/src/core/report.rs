//! The table, as Markdown, and what a later run can read again.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use xdpsar_bench::{machine, spread::spread, workload::NS_PER_FRAGMENT};

use crate::{
    cases::{self, MEMORY_CAP},
    measure::Result,
    target::Target,
};

/// All that a run has measured, and on what.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    machine: String,
    commit: String,
    command: String,
    pub(crate) results: Vec<Result>,
}

impl Report {
    pub(crate) fn new(command: String, results: Vec<Result>) -> Self {
        Self { machine: machine::description(), commit: machine::commit(), command, results }
    }

    /// One report of several parts of a run; of a case that is in several,
    /// the last counts. `None` of none.
    pub(crate) fn merged(reports: Vec<Self>) -> Option<Self> {
        let mut merged: Option<Self> = None;
        for report in reports {
            let Some(so_far) = &mut merged else {
                merged = Some(report);
                continue;
            };
            for (ours, theirs) in [
                (&mut so_far.machine, &report.machine),
                (&mut so_far.commit, &report.commit),
                (&mut so_far.command, &report.command),
            ] {
                if ours != theirs {
                    *ours = format!("{ours}; {theirs}");
                }
            }
            so_far.results.retain(|old| report.results.iter().all(|new| new.case != old.case));
            so_far.results.extend(report.results);
        }
        let mut merged = merged?;
        let order = cases::all();
        merged.results.sort_by_key(|result| order.iter().position(|case| *case == result.case));
        Some(merged)
    }

    /// The table with its header and its summary.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).unwrap_or_else(|_| unreachable!("writing to a String cannot fail"));
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let Self { machine, commit, command, results } = self;
        let rounds = results.first().map_or(0, |result| result.ours.len());
        writeln!(text, "{machine}. Commit {commit}. `{command}`\n")?;
        writeln!(
            text,
            "A case is fragment bytes x fragments of an event @ events in progress : order. Times are \
             ns of CPU time per fragment, one core, medians of {rounds} interleaved rounds (lowest–highest); GB/s \
             of payload. Time on the contestants' axis goes on by {NS_PER_FRAGMENT} ns a fragment. \
             *Beyond*: ours less memcpy, in ns.\n"
        )?;
        writeln!(
            text,
            "| case | ours | GB/s | memcpy | GB/s | baseline | of memcpy | beyond | × baseline | targets |\n\
             |---|---|---|---|---|---|---|---|---|---|"
        )?;
        for result in results {
            self.write_row(text, result)?;
        }
        self.write_left_out(text)?;
        writeln!(text, "\n| target | met | missed | cases missed |\n|---|---|---|---|")?;
        for target in Target::ALL {
            let judged = |met| {
                results
                    .iter()
                    .filter(move |result| target.is_met(result, results) == Some(met))
                    .map(|result| format!("`{}`", result.case))
                    .collect::<Vec<_>>()
            };
            let missed = judged(false);
            writeln!(
                text,
                "| {} | {} | {} | {} |",
                target.description(),
                judged(true).len(),
                missed.len(),
                missed.join(" ")
            )?;
        }
        Ok(())
    }

    fn write_row(&self, text: &mut String, result: &Result) -> std::fmt::Result {
        let time = |values: &[f64]| {
            let [low, middle, high] = spread(values.to_vec());
            (format!("**{middle:.1}** ({low:.1}–{high:.1})"), f64::from(result.case.size) / middle)
        };
        let (ours, ours_gb) = time(&result.ours);
        let (memcpy, memcpy_gb) = time(&result.memcpy);
        let (baseline, _) = time(&result.baseline);
        let [share_low, share, share_high] = result.share().map(|share| 100.0 * share);
        let [beyond_low, beyond, beyond_high] = result.beyond();
        let [times_low, times, times_high] = result.times_baseline();
        let targets: Vec<_> = Target::ALL
            .iter()
            .filter_map(|target| {
                let mark = if target.is_met(result, &self.results)? { '✓' } else { '✗' };
                Some(format!("{} {mark}", target.label()))
            })
            .collect();
        writeln!(
            text,
            "| `{}` | {ours} | {ours_gb:.2} | {memcpy} | {memcpy_gb:.2} | {baseline} \
             | {share:.0} % ({share_low:.0}–{share_high:.0}) | {beyond:.1} ({beyond_low:.1}–{beyond_high:.1}) \
             | {times:.1} ({times_low:.1}–{times_high:.1}) | {} |",
            result.case,
            targets.join(", ")
        )
    }

    fn write_left_out(&self, text: &mut String) -> std::fmt::Result {
        let (large, not_run): (Vec<_>, Vec<_>) = cases::all()
            .into_iter()
            .filter(|case| self.results.iter().all(|result| result.case != *case))
            .partition(|case| !cases::fits(case));
        let names: Vec<_> = large.iter().map(|case| format!("`{case}`")).collect();
        writeln!(
            text,
            "\nLeft out, because the events in progress would take more than {} GiB: {}. \
             Not run: {}.",
            MEMORY_CAP >> 30,
            names.join(" "),
            not_run.len()
        )
    }
}
