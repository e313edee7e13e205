//! The highest rate at which nothing is lost to speak of.

use serde::{Deserialize, Serialize};

use crate::{
    course::{Case, Course, Entry, Run, Times},
    role::Point,
};

/// Share of the events that may be missing.
const LOST: f64 = 1e-4;
/// The search ends when what held and what did not are this close.
const CLOSE: f64 = 1.05;
/// It begins at the unpaced rate, and gives up below this share of it.
const LOWEST: f64 = 1.0 / 64.0;
/// Tries of a rate, of which one has to hold: others have this machine as
/// well, and take a core away for milliseconds, in which the best loses.
const TRIES: usize = 3;
/// A sender that reaches less than this of the rate asked can do no more.
const IN_TIME: f64 = 0.97;

/// Who could do no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Limit {
    /// The receiver loses events above this rate.
    Receiver,
    /// The sender is not faster, and the receiver keeps up with it.
    Sender,
}

/// The highest rate that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lossless {
    #[serde(flatten)]
    pub(crate) entry: Entry,
    pub(crate) repeat: usize,
    /// Event bytes taken in; 0 if every rate was too high.
    pub(crate) gbps: f64,
    pub(crate) mpps: f64,
    pub(crate) loss: f64,
    pub(crate) receiver_cpu_s_per_gb: f64,
    pub(crate) limit: Limit,
}

/// How a rate did.
enum Outcome {
    /// Too much was lost.
    Lost,
    /// The receiver kept up with what came, which was less than that.
    Late(Run),
    /// It held.
    Held(Run),
}

/// Looks for it, to within 5 %.
///
/// # Errors
/// A contestant's.
pub(crate) fn search(
    course: &mut Course,
    case: &Case,
    times: Times,
    repeat: usize,
) -> anyhow::Result<Lossless> {
    let mut unpaced = course.run(case, times, repeat)?;
    for _ in 1..TRIES {
        let again = course.run(case, times, repeat)?;
        if again.sent_gbps > unpaced.sent_gbps {
            unpaced = again;
        }
    }
    if is_lossless(&unpaced) {
        return Ok(found(&unpaced, Limit::Sender));
    }
    let (mut fails, mut holds) = (unpaced.sent_gbps, unpaced.sent_gbps * LOWEST);
    let mut best = Run { gbps: 0.0, mpps: 0.0, ..unpaced };
    let mut limit = Limit::Receiver;
    while fails / holds > CLOSE {
        let rate = (fails * holds).sqrt();
        let point = Point { rate_gbps: Some(rate), ..case.point };
        let paced = Case { point, ..*case };
        let mut outcome = attempt(course, &paced, rate, times, repeat)?;
        for _ in 1..TRIES {
            if matches!(outcome, Outcome::Held(_)) {
                break;
            }
            outcome = attempt(course, &paced, rate, times, repeat)?;
        }
        match outcome {
            Outcome::Lost => (fails, limit) = (rate, Limit::Receiver),
            Outcome::Held(run) => (holds, best) = (rate, run),
            Outcome::Late(run) => {
                // Paced, it is not as fast as it was unpaced.
                (fails, limit) = (rate, Limit::Sender);
                if run.gbps > best.gbps {
                    best = run;
                }
            }
        }
    }
    Ok(found(&best, limit))
}

fn attempt(
    course: &mut Course,
    case: &Case,
    rate: f64,
    times: Times,
    repeat: usize,
) -> anyhow::Result<Outcome> {
    let run = course.run(case, times, repeat)?;
    Ok(match is_lossless(&run) {
        false => Outcome::Lost,
        true if run.sent_gbps < IN_TIME * rate => Outcome::Late(run),
        true => Outcome::Held(run),
    })
}

fn is_lossless(run: &Run) -> bool {
    run.loss.is_some_and(|loss| loss <= LOST)
}

fn found(run: &Run, limit: Limit) -> Lossless {
    Lossless {
        entry: run.entry.clone(),
        repeat: run.repeat,
        gbps: run.gbps,
        mpps: run.mpps,
        loss: run.loss.unwrap_or(0.0),
        receiver_cpu_s_per_gb: run.receiver_cpu_s_per_gb,
        limit,
    }
}
