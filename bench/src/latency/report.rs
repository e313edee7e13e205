//! Medians, as Markdown and as JSON.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};
use xdpsar_bench::{machine, spread::spread};

use crate::{
    contestant::{Consumer, INCUMBENT, SOCKET, XDP},
    run::{Case, Outcome},
    sender::DATAGRAM,
};

/// Of a sorted run, the value below which so many percent are.
fn percentile(sorted: &[u64], percent: f64) -> f64 {
    let last = sorted.len().saturating_sub(1) as f64;
    sorted.get((last * percent / 100.0).round() as usize).map_or(f64::NAN, |ns| *ns as f64 / 1e3)
}

/// One run's figures, in microseconds.
pub(crate) struct Figures {
    p50: f64,
    p99: f64,
    /// p0, p1 … p100.
    cdf: Vec<f64>,
    /// In order, in nanoseconds.
    sorted: Vec<u64>,
    loss: f64,
    events_per_s: f64,
}

impl Figures {
    pub(crate) fn of(outcome: Outcome) -> Self {
        let Outcome { sent, sent_for, latencies, .. } = outcome;
        // The first ones warm up what is cold only once.
        let mut sorted = latencies[latencies.len() / 10..].to_vec();
        sorted.sort_unstable();
        Self {
            p50: percentile(&sorted, 50.0),
            p99: percentile(&sorted, 99.0),
            cdf: (0..=100).map(|percent| percentile(&sorted, f64::from(percent))).collect(),
            sorted,
            loss: 1.0 - latencies.len() as f64 / sent as f64,
            events_per_s: sent as f64 / sent_for.as_secs_f64(),
        }
    }
}

/// How events come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Load {
    /// One in a millisecond.
    Unloaded,
    /// At half the rate that it takes in.
    Loaded,
}

/// Medians of a case's runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    receiver: String,
    worker_waits: String,
    consumer_waits: String,
    /// Whether worker and consumer have one core between them.
    shared_core: bool,
    datagram_bytes: usize,
    fragments: usize,
    load: Load,
    events_per_s: f64,
    gbps: f64,
    loss: f64,
    p50_us: f64,
    p50_low_us: f64,
    p50_high_us: f64,
    p99_us: f64,
    p99_low_us: f64,
    p99_high_us: f64,
    /// Of all runs together: one has too few events for it.
    p999_us: f64,
    cdf_us: Vec<f64>,
    runs: usize,
    /// Of all runs.
    events: usize,
}

impl Row {
    pub(crate) fn of(case: Case, load: Load, runs: &[Figures]) -> Self {
        let of = |figure: &dyn Fn(&Figures) -> f64| spread(runs.iter().map(figure).collect());
        let [p50_low_us, p50_us, p50_high_us] = of(&|run| run.p50);
        let [p99_low_us, p99_us, p99_high_us] = of(&|run| run.p99);
        let [_, events_per_s, _] = of(&|run| run.events_per_s);
        let bytes = case.fragments * (DATAGRAM - xdpsar_wire::datagram::LB_RE_HEADER_LEN);
        let mut all: Vec<u64> = runs.iter().flat_map(|run| &run.sorted).copied().collect();
        all.sort_unstable();
        let [worker, consumer] = case.contestant.waits();
        Self {
            receiver: case.contestant.name().to_owned(),
            worker_waits: worker.to_owned(),
            consumer_waits: consumer.to_owned(),
            shared_core: case.contestant.consumer() == Consumer::Shared,
            datagram_bytes: DATAGRAM,
            fragments: case.fragments,
            load,
            events_per_s,
            gbps: events_per_s * bytes as f64 * 8e-9,
            loss: of(&|run| run.loss)[1],
            p50_us,
            p50_low_us,
            p50_high_us,
            p99_us,
            p99_low_us,
            p99_high_us,
            p999_us: percentile(&all, 99.9),
            cdf_us: (0..=100).map(|percent| of(&|run| run.cdf[percent])[1]).collect(),
            runs: runs.len(),
            events: all.len(),
        }
    }

    fn waits_like(&self, other: &Self) -> bool {
        self.worker_waits == other.worker_waits
            && self.consumer_waits == other.consumer_waits
            && self.shared_core == other.shared_core
    }

    /// How worker and consumer wait, for people.
    fn way(&self) -> String {
        let Self { receiver, worker_waits: worker, consumer_waits: consumer, .. } = self;
        match (worker.as_str(), consumer.as_str()) {
            _ if receiver == INCUMBENT => format!("incumbent: {worker}"),
            ("adaptive", "adaptive") => "adaptive, adaptive (default)".to_owned(),
            _ if self.shared_core => format!("{worker}, {consumer}, on one core"),
            _ => format!("{worker}, {consumer}, the consumer on the sender's core"),
        }
    }
}

/// All that was measured, and on what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    machine: String,
    commit: String,
    command: String,
    /// Of the time of the cores, while it was measured, the share in which the
    /// hypervisor had them run something else.
    stolen: f64,
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new(command: String, stolen: f64, rows: Vec<Row>) -> Self {
        let (machine, commit) = (machine::description(), machine::commit());
        Self { machine, commit, command, stolen, rows }
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).unwrap_or_else(|_| unreachable!("writing to a String cannot fail"));
        text
    }

    /// The median of each where nothing else is to be done, for a page: how
    /// threads wait, and in how many fragments events come.
    pub(crate) fn summary(&self) -> String {
        let unloaded = || self.rows.iter().filter(|row| row.load == Load::Unloaded);
        let mut text = "\n| worker, consumer | AF_XDP, 1 fragment | 100 fragments | sockets, 1 \
                        fragment | 100 fragments |\n|---|---|---|---|---|\n"
            .to_owned();
        let mut ways: Vec<&Row> = Vec::new();
        for row in unloaded() {
            if !ways.iter().any(|way| way.waits_like(row)) {
                ways.push(row);
            }
        }
        for way in ways {
            let cell = |(receiver, fragments): (&str, usize)| {
                let it = |row: &&Row| row.fragments == fragments && row.waits_like(way);
                let row = unloaded().filter(it).find(|row| {
                    row.receiver == receiver || (row.receiver == INCUMBENT && receiver == SOCKET)
                });
                row.map_or_else(|| " |".to_owned(), |row| format!(" {:.1} |", row.p50_us))
            };
            let cells = [(XDP, 1), (XDP, 100), (SOCKET, 1), (SOCKET, 100)].map(cell);
            text += &format!("| {} |{}\n", way.way(), cells.concat());
        }
        text + "\n"
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        let Self { machine, commit, command, stolen, rows } = self;
        writeln!(text, "# Latency: measured\n\n{machine}. Commit {commit}. `{command}`\n")?;
        writeln!(
            text,
            "From just before the system call that sends an event's last fragment to the consumer \
             that has the event: the sender puts the monotonic clock into the event's last bytes, \
             the consumer subtracts it at once. The kernel's way through both ends of the veth \
             pair is in it; the sender's core goes that way within its system call. Datagrams of \
             {DATAGRAM} B, headers included, each by a system call of its own.\n"
        )?;
        writeln!(
            text,
            "The sender is on core 0, worker and consumer share core 1: on two cores there is no \
             third. Where two threads that share a core both spin, one of them gets its event when \
             the scheduler takes the core from the other. *Apart*: the consumer is the sender's \
             thread, once it has sent; then nobody shares a core, and there is one event at a \
             time.\n"
        )?;
        writeln!(
            text,
            "*worker waits* is `ReassemblerBuilder::wait`, *consumer waits* is `consumer_wait`. \
             The incumbent's receiver is built as its specification has it, its `select` given \
             10 ms anew each time; *used up*: as specified to the letter, so that it soon never \
             sleeps. In microseconds: p50 and p99 are medians of the runs' own, of {} interleaved \
             ones (lowest–highest), p99.9 is that of all their events together. For {:.1} % of the \
             time the hypervisor had the cores run something else: what is above that share is its \
             doing as well as ours.\n",
            rows.first().map_or(0, |row| row.runs),
            100.0 * stolen,
        )?;
        for load in [Load::Unloaded, Load::Loaded] {
            writeln!(
                text,
                "## {}\n",
                match load {
                    Load::Unloaded => "Unloaded: one event in 1 ms, a quarter more or less",
                    Load::Loaded =>
                        "Loaded: half as many events as it takes in of a sender that does not pause",
                }
            )?;
            writeln!(
                text,
                "| fragments | receiver | worker waits | consumer waits | p50 | p99 | p99.9 | \
                 events/s | Gb/s | lost |\n|---|---|---|---|---|---|---|---|---|---|"
            )?;
            for row in rows.iter().filter(|row| row.load == load) {
                writeln!(
                    text,
                    "| {} | {} | {} | {}{} | **{:.1}** ({:.1}–{:.1}) | {:.1} ({:.1}–{:.1}) | {:.0} \
                     | {:.0} | {:.2} | {} |",
                    row.fragments,
                    row.receiver,
                    row.worker_waits,
                    row.consumer_waits,
                    if row.shared_core { "" } else { ", apart" },
                    row.p50_us,
                    row.p50_low_us,
                    row.p50_high_us,
                    row.p99_us,
                    row.p99_low_us,
                    row.p99_high_us,
                    row.p999_us,
                    row.events_per_s,
                    row.gbps,
                    if row.loss > 0.0 { format!("{:.3} %", 100.0 * row.loss) } else { "0".into() },
                )?;
            }
            writeln!(text)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use xdpsar_bench::page;

    use super::{Report, percentile};

    #[test]
    fn the_page_shows_what_is_on_record() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let read = |path| std::fs::read_to_string(root.join(path)).expect("it is there");
        let report: Report =
            serde_json::from_str(&read("bench/results/latency.json")).expect("a report");
        let page = read("docs/PERFORMANCE.md");
        assert!(page.contains("<!-- bench: latency -->\n"));
        let new =
            page::with_tables(&page, &[("latency", report.summary())]).expect("it has an end");
        assert!(page == new, "the page is not what `make bench-latency` has written");
    }

    #[test]
    fn percentiles_are_of_the_values_in_order() {
        let sorted: Vec<u64> = (0..=1000).map(|us| us * 1000).collect();
        let at = |percent| percentile(&sorted, percent);
        assert_eq!([at(0.0), at(50.0), at(99.9), at(100.0)], [0.0, 500.0, 999.0, 1000.0]);
        assert!(percentile(&[], 50.0).is_nan());
    }
}
