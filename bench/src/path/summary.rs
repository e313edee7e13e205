//! The few tables that are shown where people read first.

use crate::{
    course::Entry,
    lossless::Limit,
    plan::COMPARED_AT,
    report::{LosslessRow, Report, Row},
    role::Consumer,
    target::{self, Verdict},
};

/// Streams of events that all are compared with, senders and datagrams.
const STREAMS: [(&str, usize); 5] =
    [("live", 64), ("live", 1400), ("live", 3360), ("gso", 1400), ("gso", 8900)];
/// Receivers, and what people call them.
const RECEIVERS: [(&str, &str); 8] = [
    ("drop", "XDP_DROP"),
    ("afxdp-release", "bare AF_XDP: receive, release"),
    ("afxdp-copy", "bare AF_XDP: receive, copy, release"),
    ("xdp-1", "**xdpsar, AF_XDP**"),
    ("recvmmsg", "bare `recvmmsg`"),
    ("gro", "bare `recvmmsg` with GRO"),
    ("socket", "**xdpsar, sockets**"),
    ("incumbent", "incumbent's way"),
];
/// Losses below this share are not shown.
const SHOWN: f64 = 0.0005;

/// All of them, by name.
pub(crate) fn tables(report: &Report) -> [(&'static str, String); 4] {
    let (rows, lossless) = (report.rows(), report.lossless_rows());
    let row = |name: &str, stream| {
        let counts = |row: &&Row| row.entry.consumer != Some(Consumer::Read);
        rows.iter().filter(counts).find(|row| is(&row.entry, name, stream))
    };
    let rate = |row: &Row| number(row.gbps[1]) + &row.loss.map(lost).unwrap_or_default();
    let search = |name: &str, stream| lossless.iter().find(|row| is(&row.entry, name, stream));
    [
        ("rates", table("Gb/s of events", |name, stream| row(name, stream).map(rate))),
        (
            "cpu",
            table("receiver CPU-s/GB", |name, stream| {
                let row = row(name, stream).filter(|_| name != "drop")?;
                Some(format!("{:.2}", row.receiver_cpu_s_per_gb))
            }),
        ),
        (
            "lossless",
            table("lossless, Gb/s", |name, stream| {
                let LosslessRow { gbps, limit, .. } = search(name, stream)?;
                let whose = if *limit == Limit::Sender { " (sender)" } else { "" };
                Some(number(gbps[1]) + whose)
            }),
        ),
        ("targets", targets(report)),
    ]
}

fn is(entry: &Entry, contestant: &str, (sender, datagram): (&str, usize)) -> bool {
    entry.contestant == contestant
        && entry.sender == sender
        && entry.datagram == datagram
        && entry.event == COMPARED_AT
}

/// A row for each receiver of which there is anything.
fn table(
    title: &str,
    cell: impl Fn(&'static str, (&'static str, usize)) -> Option<String>,
) -> String {
    let streams: String =
        STREAMS.iter().map(|(sender, bytes)| format!(" {sender}, {bytes} B |")).collect();
    let mut text = format!("\n| {title} |{streams}\n|---|{}\n", "---|".repeat(STREAMS.len()));
    for (name, title) in RECEIVERS {
        let cells = STREAMS.map(|stream| cell(name, stream));
        if cells.iter().any(Option::is_some) {
            let cells = cells.map(|cell| format!(" {} |", cell.as_deref().unwrap_or("–")));
            text += &format!("| {title} |{}\n", cells.concat());
        }
    }
    text + "\n"
}

/// What is asked for, who meets it, and who does not.
pub(crate) fn targets(report: &Report) -> String {
    let mut text = "\n| target | met | missed |\n|---|---|---|\n".to_owned();
    for target in target::judge(report) {
        let (met, missed): (Vec<_>, Vec<_>) = target.verdicts.iter().partition(|v| v.met);
        let list = |verdicts: Vec<&Verdict>| match verdicts.is_empty() {
            true => "none".to_owned(),
            false => verdicts.iter().map(|v| v.figure.as_str()).collect::<Vec<_>>().join("; "),
        };
        text += &format!("| {} | {} | {} |\n", target.description, list(met), list(missed));
    }
    text + "\n"
}

fn number(value: f64) -> String {
    if value < 1.0 { format!("{value:.2}") } else { format!("{value:.1}") }
}

fn lost(share: f64) -> String {
    match 100.0 * share {
        _ if share < SHOWN => String::new(),
        percent if percent < 1.0 => format!(" ({percent:.1} % lost)"),
        percent => format!(" ({percent:.0} % lost)"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use xdpsar_bench::page;

    use super::*;

    #[test]
    fn pages_show_what_is_on_record() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let report = Report::read(&root.join("bench/results/path.json")).expect("it is there");
        let tables = tables(&report);
        for (page, names) in [("README.md", &tables[..2]), ("docs/PERFORMANCE.md", &tables[..])] {
            let text = std::fs::read_to_string(root.join(page)).expect("it is there");
            for (name, _) in names {
                assert!(text.contains(&format!("<!-- bench: {name} -->\n")), "{page}: {name}");
            }
            let new = page::with_tables(&text, &tables).expect("all have an end");
            assert!(text == new, "{page} is not what `make bench` has written");
        }
    }
}
