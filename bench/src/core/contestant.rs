//! Who competes.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use xdpsar_bench::workload::{Case, Contestant, Memcpy, Ours};

use crate::baseline::Incumbent;

/// Who competes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Name {
    /// `xdpsar_reassembly::Assembler`.
    Ours,
    /// A copy of each payload to its place.
    Memcpy,
    /// The incumbent's algorithm.
    Baseline,
}

impl Name {
    pub(crate) const ALL: [Self; 3] = [Self::Ours, Self::Memcpy, Self::Baseline];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Memcpy => "memcpy",
            Self::Baseline => "baseline",
        }
    }

    /// Gets ready for a case.
    pub(crate) fn enter(self, case: &Case) -> anyhow::Result<Box<dyn Contestant>> {
        Ok(match self {
            Self::Ours => Box::new(Ours::new(case)),
            Self::Memcpy => Box::new(Memcpy::new(case)?),
            Self::Baseline => Box::new(Incumbent::new(case)),
        })
    }
}
