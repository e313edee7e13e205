//! What was counted when somebody last looked.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, process::Command};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use crate::workload::Workload;

/// How far, in percent, a count may be from the one on record.
const TOLERANCE: f64 = 3.0;
/// The same where another compiler has made the one on record.
const OTHER_COMPILER: f64 = 15.0;

/// Instructions per fragment or item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Which compiler made them, `rustc 1.95.0`.
    compiler: String,
    instructions: BTreeMap<String, f64>,
}

impl Record {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let asked = || format!("the record {}", path.display());
        let text = fs::read_to_string(path).with_context(asked)?;
        serde_json::from_str(&text).with_context(asked)
    }

    /// Counts all of them now.
    pub(crate) fn count(workloads: &[Workload]) -> anyhow::Result<Self> {
        let counts = workloads.iter().map(|workload| {
            let count = workload.count()?;
            Ok((workload.name.to_owned(), (count * 10.0).round() / 10.0))
        });
        Ok(Self { compiler: compiler()?, instructions: counts.collect::<anyhow::Result<_>>()? })
    }

    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| format!("the record {}", path.display()))
    }

    /// How far from `known` it may be, in percent.
    pub(crate) fn tolerance(&self, known: &Self) -> f64 {
        if self.compiler == known.compiler { TOLERANCE } else { OTHER_COMPILER }
    }

    /// Those that are further from `known` in either direction: what became
    /// cheaper is put on record, too, or the gate stands open. So are those
    /// that only one of both has.
    pub(crate) fn beyond<'a>(&'a self, known: &'a Self) -> Vec<&'a str> {
        let tolerance = self.tolerance(known);
        let far = |(name, _): &(&String, &f64)| {
            self.change(known, name).is_none_or(|change| change.abs() > tolerance)
        };
        let gone = known.instructions.keys().filter(|name| !self.instructions.contains_key(*name));
        let far = self.instructions.iter().filter(far).map(|(name, _)| name);
        far.chain(gone).map(String::as_str).collect()
    }

    /// By how much a count differs from that in `known`, in percent.
    fn change(&self, known: &Self, name: &str) -> Option<f64> {
        let (now, then) = (self.instructions.get(name)?, known.instructions.get(name)?);
        (*then > 0.0).then(|| 100.0 * (now / then - 1.0))
    }

    /// For people.
    pub(crate) fn table(&self, known: Option<&Self>) -> String {
        let mut table = "| instructions per fragment or item | on record | now | change |\n\
                         |---|---|---|---|\n"
            .to_owned();
        for (name, now) in &self.instructions {
            let then = known.and_then(|known| known.instructions.get(name));
            let then = then.map_or("–".into(), |then| format!("{then:.1}"));
            let change = known.and_then(|known| self.change(known, name));
            let change = change.map_or("–".into(), |change| format!("{change:+.1} %"));
            // Writing to a string does not fail.
            let _ = writeln!(table, "| {name} | {then} | {now:.1} | {change} |");
        }
        let _ = write!(table, "\n{}", self.compiler);
        if let Some(known) = known.filter(|known| known.compiler != self.compiler) {
            let _ = write!(table, "; on record: {}", known.compiler);
        }
        table
    }
}

/// Which one cargo uses, without its commit: `rustc 1.95.0`.
fn compiler() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("--version").output().context("rustc --version")?;
    ensure!(output.status.success(), "rustc --version: {}", output.status);
    let told = String::from_utf8_lossy(&output.stdout);
    Ok(told.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(compiler: &str, counts: &[(&str, f64)]) -> Record {
        let instructions = counts.iter().map(|(name, count)| ((*name).to_owned(), *count));
        Record { compiler: compiler.into(), instructions: instructions.collect() }
    }

    #[test]
    fn what_is_further_than_the_tolerance_is_named() {
        let known = record("a", &[("same", 100.0), ("up", 100.0), ("down", 100.0), ("gone", 1.0)]);
        let counts = [("same", 102.9), ("up", 103.1), ("down", 96.9), ("new", 1.0)];
        assert_eq!(record("a", &counts).beyond(&known), ["down", "new", "up", "gone"]);
        assert_eq!(record("b", &counts).beyond(&known), ["new", "gone"]);
        assert!(record("b", &[("same", 116.0)]).beyond(&known).contains(&"same"));
        assert!(known.beyond(&known).is_empty());
    }

    #[test]
    fn nothing_on_record_is_beyond_it() {
        let known = record("a", &[("was nothing", 0.0)]);
        assert_eq!(known.beyond(&known), ["was nothing"]);
        assert!(known.table(None).contains("| was nothing | – | 0.0 | – |"));
    }
}
