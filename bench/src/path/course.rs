//! Two hosts and a cable, and one run of a receiver and a sender on it.

use std::{collections::BTreeMap, fmt, thread, time::Duration};

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use xdpsar_tests::{Lab, LabConfig};

use crate::{
    child::{Child, Mark},
    receivers::Receiver,
    role::{Consumer, Point},
    senders::Sender,
};

/// Cores of the two sides.
pub(crate) const SENDER_CORE: usize = 0;
pub(crate) const RECEIVER_CORE: usize = 1;
/// A receiver that has taken nothing for this long has taken all.
const DRAINED: Duration = Duration::from_millis(20);
/// One that never does is left at this point: in looks of that length.
const LOOKS: usize = 100;

/// Bytes of a long event.
const LONG: usize = 1_000_000;

/// Who runs against whom, and with what.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) receiver: &'static Receiver,
    pub(crate) consumer: Option<Consumer>,
    pub(crate) sender: &'static Sender,
    pub(crate) point: Point,
}

/// How long a run takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
}

/// A case as results name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) contestant: String,
    pub(crate) consumer: Option<Consumer>,
    pub(crate) sender: String,
    /// UDP payload of a full datagram.
    pub(crate) datagram: usize,
    /// Bytes of an event.
    pub(crate) event: usize,
}

/// What one run measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    #[serde(flatten)]
    pub(crate) entry: Entry,
    /// What was asked of the sender.
    pub(crate) rate_gbps: Option<f64>,
    pub(crate) repeat: usize,
    /// Datagrams taken in, in millions per second.
    pub(crate) mpps: f64,
    /// Event bytes in those.
    pub(crate) gbps: f64,
    /// What the sender sent meanwhile; of long events, over the whole run.
    pub(crate) sent_gbps: f64,
    /// Whole events; `None` of a receiver that knows none.
    pub(crate) events_per_s: Option<f64>,
    /// Share of the events sent that did not arrive whole, over the whole run.
    pub(crate) loss: Option<f64>,
    pub(crate) receiver_cpu_s_per_gb: f64,
    pub(crate) sender_cpu_s_per_gb: f64,
    pub(crate) receiver_syscalls_per_gb: f64,
    pub(crate) sender_syscalls_per_gb: f64,
    /// At the end of the window.
    pub(crate) receiver_rss_mib: f64,
}

/// Labs, made when they are first needed, and gone with this.
#[derive(Default)]
pub(crate) struct Course {
    labs: BTreeMap<u32, Lab>,
}

impl Course {
    /// One run.
    ///
    /// # Errors
    /// A contestant's, with its name and what it said.
    pub(crate) fn run(&mut self, case: &Case, times: Times, repeat: usize) -> anyhow::Result<Run> {
        let mtu = case.sender.mtu.min(case.point.mtu());
        let lab = self.labs.entry(mtu).or_insert_with(|| Lab::new(LabConfig { queues: 1, mtu }));
        lab.receiver.offload("gro", case.sender.napi);
        let (mut receiver, _) = Child::start(&lab.receiver, &case.receiver_arguments())?;
        let (mut sender, sender_open) = Child::start(&lab.sender, &case.sender_arguments())?;
        thread::sleep(times.warm_up);
        let (first, sender_first) = (receiver.mark()?, sender.mark()?);
        thread::sleep(times.window);
        let (second, sender_second) = (receiver.mark()?, sender.mark()?);
        let sent = sender.stop()?;
        let mut before = receiver.mark()?;
        for _ in 0..LOOKS {
            thread::sleep(DRAINED);
            let now = receiver.mark()?;
            if now.counts.datagrams == before.counts.datagrams {
                break;
            }
            before = now;
        }
        let received = receiver.stop()?;
        let window = Window::between(&first, &second);
        let sending = Window::between(&sender_open, &sent);
        // A sender may take its time to start and to end. It counts whole
        // events, though, and a long one is much of a window.
        let steady = match case.point.event < LONG {
            true => &Window::between(&sender_first, &sender_second),
            false => &sending,
        };
        ensure!(
            window.datagrams > 0.0,
            "{}: no datagram came",
            case.receiver_arguments().join(" ")
        );
        // Of the whole run, which the sender ended at an event's end.
        let whole = received.counts.events as f64 / sent.counts.events as f64;
        let if_any = |value: f64| case.consumer.map(|_| value);
        Ok(Run {
            entry: case.entry(),
            rate_gbps: case.point.rate_gbps,
            repeat,
            mpps: window.datagrams / window.seconds / 1e6,
            gbps: window.gigabytes * 8.0 / window.seconds,
            sent_gbps: steady.gigabytes * 8.0 / steady.seconds,
            events_per_s: if_any(window.events / window.seconds),
            loss: if_any(1.0 - whole),
            receiver_cpu_s_per_gb: window.cpu_s / window.gigabytes,
            sender_cpu_s_per_gb: sending.cpu_s / sending.gigabytes,
            // Ours are asked for theirs ten times a second: over the whole run.
            receiver_syscalls_per_gb: received.counts.syscalls as f64
                / (received.counts.bytes as f64 / 1e9),
            sender_syscalls_per_gb: sending.syscalls / sending.gigabytes,
            receiver_rss_mib: second.rss_mib,
        })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { receiver, consumer, sender, point } = self;
        let Point { datagram, event, .. } = point;
        let consumer = consumer.map_or("–", Consumer::name);
        write!(f, "{} {datagram} B, {event} B: {} {consumer}", sender.name, receiver.name)
    }
}

/// What happened between two marks.
struct Window {
    seconds: f64,
    cpu_s: f64,
    datagrams: f64,
    gigabytes: f64,
    events: f64,
    syscalls: f64,
}

impl Window {
    fn between(first: &Mark, second: &Mark) -> Self {
        let (before, after) = (&first.counts, &second.counts);
        let more = |before: u64, after: u64| after.saturating_sub(before) as f64;
        Self {
            seconds: second.seconds_since(first),
            cpu_s: second.cpu_s - first.cpu_s,
            datagrams: more(before.datagrams, after.datagrams),
            gigabytes: more(before.bytes, after.bytes) / 1e9,
            events: more(before.events, after.events),
            syscalls: more(before.syscalls, after.syscalls),
        }
    }
}

impl Case {
    pub(crate) fn entry(&self) -> Entry {
        Entry {
            contestant: self.receiver.name.to_owned(),
            consumer: self.consumer,
            sender: self.sender.name.to_owned(),
            datagram: self.point.datagram,
            event: self.point.event,
        }
    }

    /// What the receiving child is started with.
    fn receiver_arguments(&self) -> Vec<String> {
        let mut arguments = vec!["receive".to_owned(), self.receiver.name.to_owned()];
        if let Some(consumer) = self.consumer {
            arguments.extend(["--consumer".to_owned(), consumer.name().to_owned()]);
        }
        self.point.add_to(&mut arguments);
        arguments
    }

    /// What the sending child is started with.
    fn sender_arguments(&self) -> Vec<String> {
        let mut arguments = vec!["send".to_owned(), self.sender.name.to_owned()];
        self.point.add_to(&mut arguments);
        arguments
    }
}
