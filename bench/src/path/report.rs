//! All that was measured, and what a later part can add to.

use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use xdpsar_bench::{machine, spread::spread};

use crate::{
    course::{Entry, Run},
    lossless::{Limit, Lossless},
    receivers, senders,
};

/// All that was measured, and on what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) commit: String,
    pub(crate) command: String,
    pub(crate) runs: Vec<Run>,
    pub(crate) lossless: Vec<Lossless>,
}

/// Lowest, median, highest.
pub(crate) type Spread = [f64; 3];

/// Medians of one entry's runs.
pub(crate) struct Row {
    pub(crate) entry: Entry,
    pub(crate) runs: usize,
    pub(crate) mpps: f64,
    pub(crate) gbps: Spread,
    /// `None` without events.
    pub(crate) events_per_s: Option<f64>,
    pub(crate) loss: Option<f64>,
    pub(crate) receiver_cpu_s_per_gb: f64,
    pub(crate) sender_cpu_s_per_gb: f64,
    pub(crate) receiver_syscalls_per_gb: f64,
    pub(crate) sender_syscalls_per_gb: f64,
    pub(crate) receiver_rss_mib: f64,
}

/// Medians of one entry's searches.
pub(crate) struct LosslessRow {
    pub(crate) entry: Entry,
    pub(crate) gbps: Spread,
    pub(crate) mpps: f64,
    pub(crate) loss: f64,
    pub(crate) receiver_cpu_s_per_gb: f64,
    /// The receiver's, unless every search ended at the sender's.
    pub(crate) limit: Limit,
}

impl Report {
    pub(crate) fn new(command: String) -> Self {
        let (machine, commit) = (machine::description(), machine::commit());
        Self { machine, commit, command, runs: Vec::new(), lossless: Vec::new() }
    }

    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))
    }

    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
    }

    /// With what an earlier part has measured; of what is in both, this one
    /// counts.
    pub(crate) fn after(mut self, earlier: Self) -> Self {
        for (ours, theirs) in [
            (&mut self.commit, earlier.commit),
            (&mut self.machine, earlier.machine),
            (&mut self.command, earlier.command),
        ] {
            if *ours != theirs {
                *ours = format!("{theirs}; {ours}");
            }
        }
        let is_new = |old: &Run| self.runs.iter().all(|new| new.entry != old.entry);
        let mut runs: Vec<_> = earlier.runs.into_iter().filter(is_new).collect();
        runs.append(&mut self.runs);
        let is_new = |old: &Lossless| self.lossless.iter().all(|new| new.entry != old.entry);
        let mut lossless: Vec<_> = earlier.lossless.into_iter().filter(is_new).collect();
        lossless.append(&mut self.lossless);
        Self { runs, lossless, ..self }
    }

    /// Medians, in the order of the table.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let row = |entry: Entry| {
            let runs = || self.runs.iter().filter(|run| run.entry == entry);
            let of = |value: fn(&Run) -> f64| spread(runs().map(value).collect());
            let if_any = |value: fn(&Run) -> Option<f64>| {
                let values: Option<Vec<_>> = runs().map(value).collect();
                values.map(|values| spread(values)[1])
            };
            Row {
                runs: runs().count(),
                mpps: of(|run| run.mpps)[1],
                gbps: of(|run| run.gbps),
                events_per_s: if_any(|run| run.events_per_s),
                loss: if_any(|run| run.loss),
                receiver_cpu_s_per_gb: of(|run| run.receiver_cpu_s_per_gb)[1],
                sender_cpu_s_per_gb: of(|run| run.sender_cpu_s_per_gb)[1],
                receiver_syscalls_per_gb: of(|run| run.receiver_syscalls_per_gb)[1],
                sender_syscalls_per_gb: of(|run| run.sender_syscalls_per_gb)[1],
                receiver_rss_mib: of(|run| run.receiver_rss_mib)[1],
                entry,
            }
        };
        entries(self.runs.iter().map(|run| &run.entry)).into_iter().map(row).collect()
    }

    /// Medians of the lossless rates, in the order of the table.
    pub(crate) fn lossless_rows(&self) -> Vec<LosslessRow> {
        let row = |entry: Entry| {
            let found = || self.lossless.iter().filter(|found| found.entry == entry);
            let of = |value: fn(&Lossless) -> f64| spread(found().map(value).collect());
            let sender = found().all(|found| found.limit == Limit::Sender);
            LosslessRow {
                gbps: of(|found| found.gbps),
                mpps: of(|found| found.mpps)[1],
                loss: of(|found| found.loss)[1],
                receiver_cpu_s_per_gb: of(|found| found.receiver_cpu_s_per_gb)[1],
                limit: if sender { Limit::Sender } else { Limit::Receiver },
                entry,
            }
        };
        entries(self.lossless.iter().map(|found| &found.entry)).into_iter().map(row).collect()
    }
}

/// Each once: by stream, then by receiver.
fn entries<'a>(of: impl Iterator<Item = &'a Entry>) -> Vec<Entry> {
    let mut entries: Vec<_> = of.cloned().collect();
    let sender = |name: &str| senders::ALL.iter().position(|sender| sender.name == name);
    let receiver = |name: &str| receivers::ALL.iter().position(|receiver| receiver.name == name);
    entries.sort_by_cached_key(|entry| {
        let Entry { contestant, sender: from, .. } = entry;
        let stream = (sender(from), from.clone(), entry.datagram, entry.event);
        (stream, receiver(contestant), contestant.clone(), entry.consumer)
    });
    entries.dedup();
    entries
}
