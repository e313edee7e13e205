//! One run of a receiver.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context, ensure};
use xdpsar_dataplane::pin::pin_current_thread;
use xdpsar_tests::Lab;

use crate::{
    clock::Clock,
    contestant::{Consumer, Contestant, Receiver},
    sender::{Pace, Sender},
};

const PORT: u16 = 19522;
const SENDER_CORE: usize = 0;
const RECEIVER_CORE: usize = 1;
/// Latencies that need no more memory while they are measured.
const ROOM: usize = 1 << 20;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Case {
    pub(crate) contestant: Contestant,
    /// Of an event.
    pub(crate) fragments: usize,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) sent: u64,
    /// Of what was sent, for how long.
    pub(crate) sent_for: Duration,
    /// Of each event that came, in the order of events, in nanoseconds.
    pub(crate) latencies: Vec<u64>,
    /// Events that came in the last two thirds of the time, per second.
    pub(crate) came_per_s: f64,
}

/// Sends for so long.
pub(crate) fn run(lab: &Lab, case: Case, pace: Pace, time: Duration) -> anyhow::Result<Outcome> {
    let Case { contestant, fragments } = case;
    let to = SocketAddr::new(lab.receiver.address(false), PORT);
    // Its threads inherit the core.
    let receiver = lab.receiver.run(|| {
        pin_current_thread(RECEIVER_CORE)?;
        contestant.open(to)
    })?;
    let clock = Clock::start();
    let came = AtomicU64::new(0);
    thread::scope(|scope| {
        let runner = scope.spawn(|| {
            pin_current_thread(RECEIVER_CORE)?;
            receiver.run()
        });
        let apart = contestant.consumer() == Consumer::Apart;
        let consumer = (!apart).then(|| scope.spawn(|| consume(&receiver, clock, &came)));
        let outcome = lab.sender.run(|| {
            pin_current_thread(SENDER_CORE)?;
            let sender = Sender::open(to, fragments, clock)?;
            send(sender, pace, time, clock, &came, apart.then_some(&receiver))
        });
        receiver.stop();
        let consumed = consumer.map(|consumer| consumer.join().expect("a consumer"));
        runner.join().expect("a receiver")?;
        let mut outcome = outcome?;
        if let Some(latencies) = consumed {
            outcome.latencies = latencies?;
        }
        ensure!(!outcome.latencies.is_empty(), "{contestant:?}: not one event came");
        Ok(outcome)
    })
}

fn consume(receiver: &Receiver, clock: Clock, came: &AtomicU64) -> anyhow::Result<Vec<u64>> {
    pin_current_thread(RECEIVER_CORE).context("the consumer's core")?;
    let mut latencies = Vec::with_capacity(ROOM);
    while let Some(latency) = receiver.take(clock) {
        latencies.push(latency?);
        came.store(latencies.len() as u64, Ordering::Relaxed);
    }
    Ok(latencies)
}

/// Sends, and consumes what it sent where a receiver is given.
fn send(
    mut sender: Sender,
    pace: Pace,
    time: Duration,
    clock: Clock,
    came: &AtomicU64,
    receiver: Option<&Receiver>,
) -> anyhow::Result<Outcome> {
    let (start, end) = (clock.now_ns(), clock.now_ns() + time.as_nanos() as u64);
    let mut steady = None;
    let mut latencies = Vec::new();
    let (now, came_by_now) = loop {
        let now = clock.now_ns();
        if now >= end {
            break (now, came.load(Ordering::Relaxed));
        }
        if now > start + (end - start) / 3 {
            steady.get_or_insert_with(|| (now, came.load(Ordering::Relaxed)));
        }
        sender.wait(pace);
        sender.send()?;
        if let Some(latency) = receiver.and_then(|receiver| receiver.take_soon(clock)) {
            latencies.push(latency?);
        }
    };
    let (since, came_by_then) = steady.unwrap_or((start, 0));
    Ok(Outcome {
        sent: sender.events(),
        sent_for: Duration::from_nanos(now - start),
        latencies,
        came_per_s: (came_by_now - came_by_then) as f64 / ((now - since) as f64 * 1e-9),
    })
}

#[cfg(test)]
mod tests {
    use xdpsar_tests::{LabConfig, privileged};

    use super::*;

    #[test]
    fn everybody_gets_events_of_one_fragment_and_of_many() {
        privileged!();
        let lab = Lab::new(LabConfig { queues: 1, mtu: 1500 });
        for contestant in Contestant::all() {
            for fragments in [1, 100] {
                let case = Case { contestant, fragments };
                let pace = Pace::Apart(Duration::from_millis(1));
                let outcome = run(&lab, case, pace, Duration::from_millis(30)).expect("a run");
                let came = outcome.latencies.len() as u64;
                assert!(came <= outcome.sent, "{case:?}: {came} of {}", outcome.sent);
            }
        }
    }
}
