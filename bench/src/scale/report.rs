//! The curves as tables, and what bends those that are not flat.

use std::{
    collections::BTreeSet,
    fmt::{self, Write},
};

use serde::Serialize;
use xdpsar_bench::machine;

use crate::{curve::Row, why};

/// A line is flat if its dearest point costs at most so many times as much as
/// its cheapest.
const FLAT: f64 = 1.2;

/// What each curve is of.
const CURVES: [(&str, &str); 8] = [
    (
        "workers",
        "The whole way over a veth pair: events of ten datagrams through `Reassembler`. The sender \
         has core 0; all workers and the consumer have core 1. What can be told on two cores is \
         not how much faster two workers are, but what the second one costs.",
    ),
    (
        "sockets",
        "AF_XDP sockets, drained by one thread: 1024 datagrams of 1436 B, in events of 8, wait in \
         the RX rings before the clock starts. One queue for all sockets, or one each; each has \
         its worker's assembler.",
    ),
    (
        "lanes",
        "Lanes of one worker, each a UDP port: 1024 datagrams, each an event, wait in the RX ring \
         before the clock starts.",
    ),
    (
        "UDP ports",
        "The socket path, one worker: datagrams of 1436 B, in events of 8, wait in the sockets' \
         buffers before the clock starts.",
    ),
    (
        "in progress",
        "Events in progress, in memory, on the workloads of `make bench-core`. *forgetful*: an \
         assembler that does not remember finished events.",
    ),
    (
        "assemblers",
        "As many assemblers as a machine has workers, in turns on one core, each with its own \
         packets and events. Turns of 64: all share each cache. Turns of 2048: each has the core's \
         own caches nearly to itself, as on a core of its own, and shares the last one. An \
         assembler that scales has the same cost in each column.",
    ),
    (
        "consumers",
        "The hand-off from one worker on core 0 to consumers on core 1, a queue of 1000: CPU time \
         of both ends.",
    ),
    ("queue", "The same by the places of the queue."),
];

/// All that was measured, and on what.
#[derive(Serialize)]
pub(crate) struct Report {
    machine: String,
    commit: String,
    command: String,
    repeats: usize,
    pub(crate) rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new(command: String, repeats: usize, rows: Vec<Row>) -> Self {
        Self { machine: machine::description(), commit: machine::commit(), command, repeats, rows }
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).unwrap_or_else(|_| unreachable!("writing to a String cannot fail"));
        text
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        let Self { machine, commit, command, repeats, rows } = self;
        writeln!(text, "# What more of it costs\n")?;
        writeln!(text, "{machine}. Commit {commit}. `make bench-scale BENCH_SCALE='{command}'`\n")?;
        writeln!(
            text,
            "Nanoseconds of CPU time, medians of {repeats} interleaved runs (lowest–highest). ×: \
             the dearest point by the cheapest; above {FLAT} it is said what bends the line."
        )?;
        for (curve, description) in CURVES {
            let rows: Vec<_> = rows.iter().filter(|row| row.key.curve == curve).collect();
            let Some(first) = rows.first() else { continue };
            let mut counts: Vec<_> = rows.iter().map(|row| row.key.count).collect();
            counts.sort_unstable();
            counts.dedup();
            let heads: Vec<_> = counts.iter().map(u64::to_string).collect();
            writeln!(text, "\n## {} by {}\n\n{description}\n", first.key.per, first.key.of)?;
            writeln!(text, "| ns per {} | {} | × |", first.key.per, heads.join(" | "))?;
            writeln!(text, "|---{}|", "|---".repeat(counts.len() + 1))?;
            for line in lines(&rows) {
                write_line(text, &line, &counts)?;
            }
            let bent: Vec<_> = lines(&rows)
                .into_iter()
                .filter(|line| line.bend() > FLAT && !line.is_control())
                .collect();
            if !bent.is_empty() {
                writeln!(text, "\n{}", why::bends(curve, &lines(&rows), &bent))?;
            }
        }
        Ok(())
    }
}

/// The points of one line, from few to many.
pub(crate) struct Line<'a> {
    pub(crate) series: &'a str,
    pub(crate) rows: Vec<&'a Row>,
}

impl Line<'_> {
    /// The dearest point by the cheapest.
    pub(crate) fn bend(&self) -> f64 {
        bend(self.rows.iter().map(|row| row.median_ns))
    }

    /// There only to tell what bends another line.
    fn is_control(&self) -> bool {
        ["forgetful: ", "copied only: "].iter().any(|name| self.series.starts_with(name))
    }

    /// What it has with fewest and with most.
    pub(crate) fn ends(&self, of: impl Fn(&Row) -> f64) -> (f64, f64) {
        (
            self.rows.first().map_or(f64::NAN, |row| of(row)),
            self.rows.last().map_or(f64::NAN, |row| of(row)),
        )
    }
}

fn bend(values: impl Iterator<Item = f64> + Clone) -> f64 {
    values.clone().fold(f64::NAN, f64::max) / values.fold(f64::NAN, f64::min)
}

fn lines<'a>(rows: &[&'a Row]) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for row in rows {
        match lines.iter_mut().find(|line| line.series == row.key.series) {
            Some(line) => line.rows.push(row),
            None => lines.push(Line { series: &row.key.series, rows: vec![row] }),
        }
    }
    lines
}

fn write_line(text: &mut String, line: &Line<'_>, counts: &[u64]) -> fmt::Result {
    let cells = |cell: &dyn Fn(&Row) -> String| -> String {
        let cell = |count: &u64| {
            let row = line.rows.iter().find(|row| row.key.count == *count);
            format!(" {} |", row.map_or(String::new(), |row| cell(row)))
        };
        counts.iter().map(cell).collect()
    };
    let cost = |row: &Row| {
        format!("**{}** ({}–{})", short(row.median_ns), short(row.low_ns), short(row.high_ns))
    };
    writeln!(text, "| {} |{} {:.2} |", line.series, cells(&cost), line.bend())?;
    let names: BTreeSet<_> = line.rows.iter().flat_map(|row| row.also.keys()).collect();
    for name in names {
        let cell = |row: &Row| row.also.get(name).map_or(String::new(), |value| short(*value));
        let values = line.rows.iter().filter_map(|row| row.also.get(name).copied());
        writeln!(text, "| – {} |{} {:.2} |", name.replace('_', " "), cells(&cell), bend(values))?;
    }
    Ok(())
}

/// Three digits that say something.
pub(crate) fn short(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::curve::Key;

    fn row(series: &str, count: u64, median_ns: f64) -> Row {
        let key = Key {
            curve: "UDP ports",
            series: series.to_owned(),
            count,
            of: "sockets",
            per: "datagram",
        };
        let also = BTreeMap::from([("syscalls_per_1000", 1e5 / median_ns)]);
        Row { key, median_ns, low_ns: median_ns, high_ns: median_ns, also }
    }

    #[test]
    fn a_line_that_bends_is_explained_and_a_flat_one_is_not() {
        let rows = vec![
            row("bent", 1, 100.0),
            row("flat", 1, 100.0),
            row("bent", 64, 150.0),
            row("flat", 64, 119.0),
        ];
        let text = Report::new(String::new(), 1, rows).markdown();
        assert!(text.contains("| ns per datagram | 1 | 64 | × |"), "{text}");
        assert!(text.contains("| bent | **100** (100–100) | **150** (150–150) | 1.50 |"), "{text}");
        let why: Vec<_> = text.lines().filter(|line| line.starts_with("* ")).collect();
        assert_eq!(why.len(), 1, "{text}");
        assert!(why[0].starts_with("* bent: 100 → 150 ns, syscalls per 1000 "), "{text}");
    }
}
