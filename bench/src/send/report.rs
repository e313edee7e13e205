//! Medians and ratios, as Markdown, and what a later part can add to.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};
use xdpsar_bench::{machine, spread::spread};

use crate::{
    contestant::Contestant,
    course::{Case, Sink},
    measure::{Outcome, Run},
    target::Target,
};

/// All that was measured, and on what.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    machine: String,
    commit: String,
    command: String,
    sink: Sink,
    outcomes: Vec<Outcome>,
}

/// Medians of one contestant's runs.
pub(crate) struct Row {
    pub(crate) contestant: Contestant,
    /// Lowest, median, highest.
    pub(crate) gbps: [f64; 3],
    pub(crate) events_per_s: f64,
    pub(crate) cpu_s_per_gb: f64,
    calls_per_gb: f64,
}

impl Report {
    pub(crate) fn new(command: String, sink: Sink, outcomes: Vec<Outcome>) -> Self {
        Self { machine: machine::description(), commit: machine::commit(), command, sink, outcomes }
    }

    /// With what an earlier part of the run has measured; of a case that is in
    /// both, this one counts.
    pub(crate) fn after(mut self, earlier: Self) -> Self {
        for (ours, theirs) in
            [(&mut self.commit, &earlier.commit), (&mut self.machine, &earlier.machine)]
        {
            if ours != theirs {
                *ours = format!("{theirs}; {ours}");
            }
        }
        let is_new = |old: &Outcome| self.outcomes.iter().all(|new| new.case != old.case);
        let mut outcomes: Vec<_> = earlier.outcomes.into_iter().filter(is_new).collect();
        outcomes.append(&mut self.outcomes);
        let order = Case::all();
        outcomes.sort_by_key(|outcome| order.iter().position(|case| *case == outcome.case));
        Self { outcomes, ..self }
    }

    /// The table, with what it was measured on and the targets.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).unwrap_or_else(|_| unreachable!("writing to a String cannot fail"));
        text
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        let Self { machine, commit, command, sink, outcomes } = self;
        let runs = outcomes.first().and_then(|outcome| outcome.runs.first());
        let repeats = runs.map_or(0, |(_, runs)| runs.len());
        writeln!(text, "{machine}. Commit {commit}. `make bench-send BENCH_SEND='{command}'`\n")?;
        writeln!(
            text,
            "One thread, pinned; gso, mmsg and xdp are `Segmenter::send`. Medians of {repeats} \
             interleaved runs (lowest–highest); event bytes only; CPU time of that thread, the \
             kernel's included. Sink: {sink:?}.\n"
        )?;
        writeln!(
            text,
            "| interface, MTU, event | by | Gb/s | events/s | CPU-s/GB | calls/GB | of bare GSO | \
             × incumbent's events/s | of its CPU |\n|---|---|---|---|---|---|---|---|---|"
        )?;
        for outcome in outcomes {
            let rows = rows(outcome);
            let of = |contestant| rows.iter().find(|row| row.contestant == contestant);
            for row in &rows {
                let Row { contestant, gbps: [low, gbps, high], .. } = row;
                let blaster = of(Contestant::Blaster).map_or(f64::NAN, |bare| gbps / bare.gbps[1]);
                let (times, cpu) =
                    of(Contestant::Incumbent).map_or((f64::NAN, f64::NAN), |other| {
                        (
                            row.events_per_s / other.events_per_s,
                            row.cpu_s_per_gb / other.cpu_s_per_gb,
                        )
                    });
                writeln!(
                    text,
                    "| {} | {contestant} | **{gbps:.2}** ({low:.2}–{high:.2}) | {:.0} | {:.3} | \
                     {:.0} | {:.0} % | {times:.2} | {cpu:.2} |",
                    outcome.case,
                    row.events_per_s,
                    row.cpu_s_per_gb,
                    row.calls_per_gb,
                    100.0 * blaster,
                )?;
            }
        }
        writeln!(text)?;
        for target in Target::ALL {
            let judged = |outcome: &Outcome| {
                let (value, met) = target.judge(outcome.case, &rows(outcome))?;
                Some((format!("{} ({value:.2})", outcome.case), met))
            };
            let (met, missed): (Vec<_>, Vec<_>) =
                outcomes.iter().filter_map(judged).partition(|(_, met)| *met);
            let list = |cases: Vec<(String, bool)>| match cases.is_empty() {
                true => "none".to_owned(),
                false => cases.into_iter().map(|(case, _)| case).collect::<Vec<_>>().join(", "),
            };
            writeln!(
                text,
                "* {}: met by {}; missed by {}",
                target.description(),
                list(met),
                list(missed)
            )?;
        }
        Ok(())
    }
}

/// One line on a case.
pub(crate) fn brief(outcome: &Outcome) -> String {
    let rates = rows(outcome)
        .into_iter()
        .map(|Row { contestant, gbps, .. }| format!("{contestant} {:.2}", gbps[1]));
    format!("{}: {} Gb/s", outcome.case, rates.collect::<Vec<_>>().join(", "))
}

fn rows(outcome: &Outcome) -> Vec<Row> {
    let row = |(contestant, runs): &(Contestant, Vec<Run>)| {
        let of = |value: fn(&Run) -> f64| spread(runs.iter().map(value).collect());
        Row {
            contestant: *contestant,
            gbps: of(|run| run.gbps),
            events_per_s: of(|run| run.events_per_s)[1],
            cpu_s_per_gb: of(|run| run.cpu_s_per_gb)[1],
            calls_per_gb: of(|run| run.calls_per_gb)[1],
        }
    };
    outcome.runs.iter().map(row).collect()
}
