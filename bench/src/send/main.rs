//! How fast events leave: our backends against the least that sending them
//! could cost, and against a loop like the incumbent's.
//!
//! ```text
//!  core 0: one thread sends                              core 1
//!  event ─▶ contestant ─▶ loopback, or one end of a veth pair ─▶ sink
//! ```
//!
//! The sink drops, as cheaply as the kernel can, so that what is measured is
//! the sender; on these interfaces what the kernel does to receive would be
//! done in the sender's time.
//!
//! | module | holds |
//! |---|---|
//! | [`course`] | interfaces and sinks |
//! | [`contestant`] | who competes, our own backends among them |
//! | [`bare`] | prepared datagrams, and nothing but handing them over |
//! | [`incumbent`] | a header from the heap and a system call for each fragment |
//! | [`stream`] | the datagrams of one event, prepared |
//! | [`measure`] | one run, and what it cost |
//! | [`report`] | medians and ratios, as Markdown and as JSON |
//! | [`target`] | what is asked for, and who meets it |
#![forbid(unsafe_code)]

mod bare;
mod contestant;
mod course;
mod incumbent;
mod measure;
mod report;
mod stream;
mod target;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Parser;
use xdpsar_tests::privilege;

use crate::{
    bare::Parts,
    contestant::Contestant,
    course::{Case, Course, Sink},
    measure::Outcome,
    report::Report,
    stream::Stream,
};

/// Measures what it costs to send events: our backends, bare loops of
/// prepared datagrams, and a loop like the incumbent's.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Interleaved repetitions of each contestant; the table shows medians.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Milliseconds of each; one event at least.
    #[arg(long, default_value_t = 250)]
    milliseconds: u64,
    /// A minute: fewer and shorter repetitions.
    #[arg(long)]
    quick: bool,
    /// What becomes of the datagrams.
    #[arg(long, value_enum, default_value_t)]
    sink: Sink,
    /// Only cases whose name contains this, as `veth 1500 100 KB`.
    #[arg(long, default_value = "")]
    filter: String,
    /// Only one contestant, by its name in the table: for profiles.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Only the K-th of N parts of the cases, as `2/5`; adds to what the file
    /// of `--json` has of the others, and shows it all.
    #[arg(long, value_name = "K/N", value_parser = part)]
    part: Option<(usize, usize)>,
    /// Writes all runs there.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn part(text: &str) -> Result<(usize, usize), String> {
    let parsed = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
    match parsed {
        Some((k, n)) if (1..=n).contains(&k) => Ok((k, n)),
        _ => Err("name one of so many parts, as 2/5".into()),
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let Arguments { mut repeats, mut milliseconds, sink, .. } = arguments;
    if arguments.quick {
        (repeats, milliseconds) = (3, 60);
    }
    let missing = privilege::missing();
    if let Some(missing) = &missing {
        eprintln!("loopback only: a veth pair needs network namespaces: {missing}");
    }
    let cases: Vec<Case> = Case::all()
        .into_iter()
        .filter(|case| missing.is_none() || !case.way.is_cable())
        .filter(|case| case.to_string().contains(&arguments.filter))
        .collect();
    let (k, n) = arguments.part.unwrap_or((1, 1));
    let mut course = Course::new(sink);
    let payload = vec![0x5a; cases.iter().map(|case| case.event).max().unwrap_or(0)];
    let effort = Effort {
        repeats,
        least: Duration::from_millis(milliseconds),
        only: arguments.by.as_deref(),
    };
    let mut outcomes = Vec::new();
    for case in cases.iter().skip(k - 1).step_by(n) {
        let payload = &payload[..case.event];
        let outcome = course.run(case.way, |to| compete(*case, payload, to, &effort));
        let outcome = outcome?.with_context(|| case.to_string())?;
        eprintln!("{}", report::brief(&outcome));
        outcomes.push(outcome);
    }
    let command = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    let mut report = Report::new(command, sink, outcomes);
    if let Some(path) = &arguments.json {
        if arguments.part.is_some() && path.exists() {
            report = report.after(serde_json::from_slice(&std::fs::read(path)?)?);
        }
        let text = serde_json::to_string_pretty(&report)? + "\n";
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    println!("{}", report.markdown());
    Ok(())
}

/// How much is made of each case.
struct Effort<'a> {
    repeats: usize,
    /// Time of each run.
    least: Duration,
    /// Only this contestant.
    only: Option<&'a str>,
}

/// All contestants of one case, taking turns.
fn compete(
    case: Case,
    payload: &[u8],
    to: std::net::SocketAddr,
    effort: &Effort<'_>,
) -> anyhow::Result<Outcome> {
    xdpsar_dataplane::pin::pin_current_thread(0).context("the sender's core")?;
    let stream = Stream::prepare(payload, case.mtu, to.ip())?;
    let mut parts = Parts::of(&stream);
    let mut parts = Some(&mut parts);
    let mut senders = Vec::new();
    let wanted = |other: &&Contestant| effort.only.is_none_or(|only| only == other.to_string());
    for contestant in Contestant::on(case.way).iter().filter(wanted) {
        let opened = contestant.open(to, case.mtu, payload, &stream, &mut parts);
        let mut sender = opened.with_context(|| contestant.to_string())?;
        // The first event warms up.
        sender.send().with_context(|| contestant.to_string())?;
        senders.push((*contestant, sender, Vec::with_capacity(effort.repeats)));
    }
    for _ in 0..effort.repeats {
        for (contestant, sender, runs) in &mut senders {
            let run = measure::run(&mut **sender, payload.len(), effort.least);
            runs.push(run.with_context(|| contestant.to_string())?);
        }
    }
    let runs = senders.into_iter().map(|(contestant, _, runs)| (contestant, runs)).collect();
    Ok(Outcome { case, runs })
}
