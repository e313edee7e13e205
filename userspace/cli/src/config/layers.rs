//! Who wins: the command line, then the environment, then files.
//!
//! A setting gives way to a stronger one of the same option, and to stronger
//! ones that it contradicts: `--to` on the command line ends a file's `uri`.
//! What contradicts itself within one layer stays, and is refused as it would
//! be on the command line. What contradicts what is asked of the parser
//! itself, so that its rules need not be written a second time.

use std::{collections::BTreeSet, ffi::OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::setting::Setting;
use crate::args::Cli;

/// Settings that hold, and those that gave way.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    pub(crate) settings: Vec<Setting>,
    pub(crate) overridden: Vec<Overridden>,
}

/// A setting that gave way.
#[derive(Clone, Debug)]
pub(crate) struct Overridden {
    pub(crate) setting: Setting,
    /// To what.
    pub(crate) by: String,
}

/// What a line lacks or contradicts.
#[derive(Debug, PartialEq)]
enum Verdict {
    Good,
    Contradiction,
    Lacks(BTreeSet<String>),
}

/// A command line to which settings are added.
pub(crate) struct Line<'a> {
    /// The program, the command's path, and options.
    pub(crate) tokens: &'a [OsString],
    /// The program and the command's path alone.
    pub(crate) bare: &'a [OsString],
    /// Options that stand on the line, as settings.
    pub(crate) given: &'a [Setting],
}

impl Line<'_> {
    /// Adds layer after layer, the strongest first.
    pub(crate) fn merge(&self, layers: impl IntoIterator<Item = Vec<Setting>>) -> Merged {
        let mut merged = Merged::default();
        for mut layer in layers {
            let sound = self.is_sound(&layer, &merged.settings);
            layer.retain(|setting| {
                let all = self.given.iter().chain(&merged.settings);
                let stronger = all.into_iter().find(|other| other.option == setting.option);
                let Some(stronger) = stronger else { return true };
                let by = stronger.from.to_string();
                merged.overridden.push(Overridden { setting: setting.clone(), by });
                false
            });
            self.give_way(&mut layer, sound, &mut merged);
            merged.settings.append(&mut layer);
        }
        merged
    }

    /// Takes from a layer what cannot stand beside stronger layers.
    /// `sound`: it is not the layer's own fault.
    fn give_way(&self, layer: &mut Vec<Setting>, sound: bool, merged: &mut Merged) {
        let base = self.verdict(self.tokens, &[&merged.settings]);
        if self.verdict(self.tokens, &[&merged.settings, layer]).is_no_worse_than(&base) {
            return;
        }
        // What is the layer's own fault is told; but weak settings just go.
        let (mut kept, mut rest): (Vec<_>, Vec<_>) =
            layer.drain(..).partition(|setting| !sound && !setting.weak);
        self.supply(&[&merged.settings], &mut kept, &mut rest);
        while let Some(more) = (0..rest.len()).find_map(|at| {
            let (mut with, mut without) = (kept.clone(), rest.clone());
            with.push(without.remove(at));
            let verdict = self.supply(&[&merged.settings], &mut with, &mut without);
            verdict.is_no_worse_than(&base).then_some((with, without))
        }) {
            (kept, rest) = more;
        }
        for setting in rest {
            let by = self.opponent(&setting, &[&merged.settings, &kept]);
            merged.overridden.push(Overridden { setting, by });
        }
        *layer = kept;
    }

    /// Moves what a line lacks from `rest` to `with`, as far as it is there.
    fn supply(
        &self,
        stronger: &[&[Setting]],
        with: &mut Vec<Setting>,
        rest: &mut Vec<Setting>,
    ) -> Verdict {
        loop {
            let verdict = self.verdict(self.tokens, &[stronger, &[with.as_slice()]].concat());
            let Verdict::Lacks(missing) = &verdict else { return verdict };
            let lacks =
                |setting: &Setting| missing.iter().any(|usage| names(usage, &setting.option));
            match rest.iter().position(lacks) {
                Some(at) => with.push(rest.remove(at)),
                None => return verdict,
            }
        }
    }

    /// Whether a layer does not contradict itself. What the command needs
    /// anyway, stronger layers may say.
    fn is_sound(&self, layer: &[Setting], stronger: &[Setting]) -> bool {
        let mut helped: Vec<Setting> = Vec::new();
        loop {
            let missing = match self.verdict(self.bare, &[layer, &helped]) {
                Verdict::Lacks(missing) => missing,
                verdict => return verdict == Verdict::Good,
            };
            let help = self.given.iter().chain(stronger).find(|other| {
                missing.iter().any(|usage| names(usage, &other.option)) && !helped.contains(other)
            });
            let Some(help) = help else {
                // Missed without the layer, too?
                let without = self.verdict(self.bare, &[&helped]);
                return matches!(without, Verdict::Lacks(needed) if missing.is_subset(&needed));
            };
            helped.push(help.clone());
        }
    }

    /// Whom a setting cannot stand beside.
    fn opponent(&self, setting: &Setting, others: &[&[Setting]]) -> String {
        let others = [self.given, &others.concat()].concat();
        let one = std::slice::from_ref(setting);
        if let Verdict::Lacks(missing) = self.verdict(self.bare, &[&others, one]) {
            return missing.into_iter().collect::<Vec<_>>().join(", ") + ", which is not set";
        }
        let without = |at: usize| [&others[..at], &others[at + 1..]].concat();
        (0..others.len())
            .find(|&at| match self.verdict(self.bare, &[&without(at), one]) {
                Verdict::Good => true,
                Verdict::Contradiction => false,
                Verdict::Lacks(missing) => {
                    !missing.iter().any(|usage| names(usage, &others[at].option))
                }
            })
            .map_or_else(
                || "stronger settings".into(),
                |at| format!("--{} ({})", others[at].option, others[at].from),
            )
    }

    fn verdict(&self, tokens: &[OsString], layers: &[&[Setting]]) -> Verdict {
        let added = layers.concat();
        match Cli::read(with(tokens, &added)) {
            Ok(_) => Verdict::Good,
            Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => {
                Verdict::Lacks(match error.get(ContextKind::InvalidArg) {
                    Some(ContextValue::Strings(missing)) => missing.iter().cloned().collect(),
                    _ => BTreeSet::new(),
                })
            }
            Err(_) => Verdict::Contradiction,
        }
    }
}

impl Verdict {
    fn is_no_worse_than(&self, base: &Self) -> bool {
        match (self, base) {
            (Self::Lacks(now), Self::Lacks(before)) => now.is_subset(before),
            _ => *self == Self::Good || self == base,
        }
    }
}

/// Whether a usage such as `--rate <GBPS>` is this option's.
pub(crate) fn names(usage: &str, option: &str) -> bool {
    usage
        .split(|c: char| !c.is_alphanumeric() && c != '-')
        .any(|word| word.strip_prefix("--") == Some(option))
}

/// The line with settings added to it.
pub(crate) fn with(tokens: &[OsString], settings: &[Setting]) -> Vec<OsString> {
    let end = tokens.iter().position(|token| token == "--").unwrap_or(tokens.len());
    let added = settings.iter().flat_map(Setting::tokens).map(OsString::from);
    tokens[..end].iter().cloned().chain(added).chain(tokens[end..].iter().cloned()).collect()
}
