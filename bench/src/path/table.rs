//! Medians, lossless rates and targets, as Markdown.

use std::{
    fmt::{self, Write},
    path::Path,
};

use crate::{
    course::Entry,
    lossless::Limit,
    report::{LosslessRow, Report, Row},
    summary, target,
};

/// What stands above the tables.
const ABOUT: &str = "\
One sender, one receiver, each in a process and in a network namespace of its own, a veth pair between \
them; the sender on core 0, all of the receiver on core 1. What the kernel does with a packet on its way \
through a veth pair, up to the receiver's ring or socket, it does in the sender's time. Event bytes only: \
headers are not counted. Medians of interleaved runs (lowest–highest).

| contestant | what it does |
|---|---|
| drop | an XDP program counts and drops |
| afxdp-release, afxdp-copy | AF_XDP: receives and releases; receives, copies once and releases |
| recvmmsg, gro | bare loops on a socket, without and with `UDP_GRO` |
| xdp-1, xdp-2 | ours by AF_XDP, with one worker, with two on one queue |
| xdp-lent, xdp-copied | the same for events of one datagram, which keep the packet's memory, or never do |
| socket, socket-nogro | ours by a socket, with and without `UDP_GRO` |
| incumbent | a receive loop like the incumbent's: select, recvfrom, malloc, a map behind a mutex |

Consumers count events, or read every byte of them. Those that know no events have no consumer. **lost**: events sent that did not arrive whole, over the whole run; unpaced, \
a sender may be faster than any receiver.
";

/// All of it.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text = String::new();
    write(&mut text, report).unwrap_or_else(|_| unreachable!("writing to a String cannot fail"));
    text
}

fn write(text: &mut String, report: &Report) -> fmt::Result {
    let rows = report.rows();
    let repeats = |judged| {
        let of = rows.iter().filter(|row| target::is_judged(&row.entry) == judged);
        of.map(|row| row.runs).max().unwrap_or(0)
    };
    writeln!(text, "# The whole path, measured\n\n{ABOUT}")?;
    writeln!(
        text,
        "{}. Commit {}. Runs of each: {}; of what a share below rests on, {}. `make bench BENCH='{}'`",
        report.machine,
        report.commit,
        repeats(false),
        repeats(true),
        report.command
    )?;
    writeln!(text, "{}\n", cycles())?;
    write_targets(text, report)?;
    write_lossless(text, &report.lossless_rows())?;
    for group in rows.chunk_by(|a, b| stream(&a.entry) == stream(&b.entry)) {
        write_rows(text, group)?;
    }
    Ok(())
}

/// Why there are none.
fn cycles() -> &'static str {
    if Path::new("/sys/bus/event_source/devices/cpu").exists() {
        "Cycles per packet are not in the tables: `perf stat -e cycles -p PID` counts them here."
    } else {
        "Cycles per packet: perf has no hardware counters on this machine."
    }
}

fn write_targets(text: &mut String, report: &Report) -> fmt::Result {
    writeln!(
        text,
        "## Targets\n\n\
         Shares: median (lowest–highest) of ratios, each of two runs that followed each other closely.\n{}",
        summary::targets(report)
    )
}

fn write_lossless(text: &mut String, rows: &[LosslessRow]) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(
        text,
        "## Highest rate with ≥ 99.99 % of events whole\n\n\
         Found by bisection, to 5 %; a rate holds if it does in one of three tries. Limit: who could do no more; where it is the sender, the \
         receiver keeps up with all it can send.\n\n\
         | sender, datagram | event | contestant | Gb/s | Mpps | lost | receiver CPU-s/GB | limit |\n\
         |---|---|---|---|---|---|---|---|"
    )?;
    for row in rows {
        let LosslessRow { entry, gbps: [low, gbps, high], .. } = row;
        let limit = match row.limit {
            Limit::Receiver => "receiver",
            Limit::Sender => "sender",
        };
        writeln!(
            text,
            "| {}, {} B | {} | {} | **{gbps:.2}** ({low:.2}–{high:.2}) | {:.3} | {:.3} % | {:.3} | \
             {limit} |",
            entry.sender,
            entry.datagram,
            length(entry.event),
            entry.contestant,
            row.mpps,
            100.0 * row.loss,
            row.receiver_cpu_s_per_gb,
        )?;
    }
    writeln!(text)
}

fn write_rows(text: &mut String, rows: &[Row]) -> fmt::Result {
    let Some(Row { entry: Entry { sender, datagram, .. }, .. }) = rows.first() else {
        return Ok(());
    };
    writeln!(
        text,
        "## {sender}, {datagram} B\n\n\
         | event | contestant | consumer | Mpps | Gb/s | events/s | lost | receiver CPU-s/GB | \
         sender CPU-s/GB | receiver calls/GB | sender calls/GB | receiver RSS, MiB |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|"
    )?;
    for row in rows {
        let Row { entry, gbps: [low, gbps, high], .. } = row;
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
        writeln!(
            text,
            "| {} | {} | {} | {:.3} | **{gbps:.2}** ({low:.2}–{high:.2}) | {} | {} | {:.3} | {:.3} | \
             {:.0} | {:.0} | {:.0} |",
            length(entry.event),
            entry.contestant,
            entry.consumer.map_or("–", |consumer| consumer.name()),
            row.mpps,
            or_dash(row.events_per_s.map(|rate| format!("{rate:.0}"))),
            or_dash(row.loss.map(|loss| format!("{:.2} %", 100.0 * loss))),
            row.receiver_cpu_s_per_gb,
            row.sender_cpu_s_per_gb,
            row.receiver_syscalls_per_gb,
            row.sender_syscalls_per_gb,
            row.receiver_rss_mib,
        )?;
    }
    writeln!(text)
}

fn stream(entry: &Entry) -> (&str, usize) {
    (&entry.sender, entry.datagram)
}

/// As people say it.
fn length(event: usize) -> String {
    match event {
        _ if event.is_multiple_of(1_000_000) => format!("{} MB", event / 1_000_000),
        _ if event.is_multiple_of(1000) => format!("{} KB", event / 1000),
        _ => format!("{event} B"),
    }
}
