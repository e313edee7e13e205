//! The whole path, from a sender through a cable to a consumer of events, and
//! what can be had there without us: its ceilings, and its rivals.
//!
//! ```text
//!  this program ──starts──▶ itself, as one contestant of each side
//!
//!  core 0: send NAME         veth pair         core 1: receive NAME
//!  events ─▶ datagrams ─────────────────────▶ [XDP] ─▶ datagrams ─▶ events ─▶ consumer
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`arguments`] | the command line: a person's, and a child's |
//! | [`plan`] | who meets whom, with what |
//! | [`role`] | what a contestant is, on either side of the cable |
//! | [`receivers`] | who receives |
//! | [`senders`] | who sends |
//! | [`programs`] | the XDP programs that some of them are, or need |
//! | [`child`] | a contestant in a process of its own, and how the two sides talk |
//! | [`course`] | two hosts and a cable, and one run on it |
//! | [`lossless`] | the highest rate at which nothing is lost to speak of |
//! | [`report`] | medians, and what a later part can add to |
//! | [`target`] | what is asked for, and who meets it |
//! | [`table`] | all of it as Markdown |
//! | [`summary`] | the few tables that pages show |
#![deny(unsafe_code)]

mod arguments;
mod child;
mod course;
mod lossless;
mod plan;
mod programs;
mod receivers;
mod report;
mod role;
mod senders;
mod summary;
mod table;
mod target;

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use xdpsar_bench::page;
use xdpsar_tests::privilege;

use crate::{
    arguments::{Arguments, Role, When},
    course::{Case, Course, RECEIVER_CORE, SENDER_CORE, Times},
    receivers::Receiver,
    report::Report,
    senders::Sender,
};

/// Of a run that counts, and of one that is to be quick.
const TIMES: Times =
    Times { warm_up: Duration::from_millis(200), window: Duration::from_millis(400) };
const QUICK: Times =
    Times { warm_up: Duration::from_millis(150), window: Duration::from_millis(250) };
/// What a verdict rests on is run so many times as often as the rest.
const JUDGED: usize = 3;

fn main() -> anyhow::Result<()> {
    let mut arguments = Arguments::parse();
    match arguments.child.take() {
        Some(Role::Receive { name, consumer, point }) => {
            let (receiver, point) = (Receiver::named(&name)?, point.into());
            return child::serve(RECEIVER_CORE, || receiver.open(&point, consumer));
        }
        Some(Role::Send { name, point }) => {
            let (sender, point) = (Sender::named(&name)?, point.into());
            return child::serve(SENDER_CORE, || sender.open(&point));
        }
        None => {}
    }
    let report = match &arguments.from {
        Some(file) => Report::read(file)?,
        None => measure(&arguments)?,
    };
    let text = table::markdown(&report);
    println!("{text}");
    if let Some(path) = &arguments.markdown {
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    for page in &arguments.page {
        page::update(page, &summary::tables(&report))?;
    }
    Ok(())
}

/// Runs what is selected, and keeps it.
fn measure(arguments: &Arguments) -> anyhow::Result<Report> {
    if let Some(missing) = privilege::missing() {
        bail!("the benchmark makes network namespaces and attaches XDP programs: {missing}");
    }
    let (repeats, times) = if arguments.quick { (1, QUICK) } else { (arguments.repeats, TIMES) };
    let selection = arguments.selection();
    let command = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    let mut report = Report::new(command);
    let mut course = Course::default();
    if arguments.lossless != When::Only {
        for group in share(&selection.groups()?, arguments.part) {
            // Interleaved: what disturbs the machine for a while disturbs all.
            let judged = if arguments.quick { repeats } else { JUDGED * repeats };
            for repeat in 0..judged {
                let rest = |case: &&Case| repeat < repeats || target::is_judged(&case.entry());
                for case in group.cases.iter().filter(rest) {
                    let run = course.run(case, times, repeat)?;
                    eprintln!("{case}: {:.2} Gb/s, {:.3} Mpps", run.gbps, run.mpps);
                    report.runs.push(run);
                }
            }
        }
    }
    if arguments.lossless != When::Never {
        for case in share(&selection.searches()?, arguments.part) {
            let found = lossless::search(&mut course, case, times, 0)?;
            eprintln!("{case}: lossless up to {:.2} Gb/s ({:?})", found.gbps, found.limit);
            report.lossless.push(found);
        }
    }
    if let Some(path) = &arguments.json {
        if (arguments.add || arguments.part.is_some()) && path.exists() {
            report = report.after(Report::read(path)?);
        }
        report.write(path)?;
    }
    Ok(report)
}

/// The k-th of n parts, neighbours together.
fn share<T>(all: &[T], part: Option<(usize, usize)>) -> &[T] {
    let (k, n) = part.unwrap_or((1, 1));
    &all[all.len() * (k - 1) / n..all.len() * k / n]
}
