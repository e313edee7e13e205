//! Runs in which the machine was ours.
//!
//! On a shared host the hypervisor takes cores away for milliseconds at a
//! time. That says nothing of a queue, and in a 99th percentile it drowns
//! all that does: such runs are repeated.

use xdpsar_bench::machine;

/// Attempts at a run before a disturbed one is taken.
const ATTEMPTS: u32 = 10;

/// How often runs were disturbed.
#[derive(Default)]
pub(crate) struct Calm {
    repeated: u32,
    disturbed: u32,
}

impl Calm {
    /// Repeats the measurement until no core was taken away meanwhile.
    pub(crate) fn run<R>(
        &mut self,
        mut measure: impl FnMut() -> anyhow::Result<R>,
    ) -> anyhow::Result<R> {
        for _ in 1..ATTEMPTS {
            let before = machine::stolen();
            let result = measure()?;
            if machine::stolen() == before {
                return Ok(result);
            }
            self.repeated += 1;
        }
        self.disturbed += 1;
        measure()
    }

    /// What became of that, for below the tables.
    pub(crate) fn describe(&self) -> String {
        format!(
            "{} runs were repeated because the hypervisor had taken a core away (steal); in {} \
             that was in vain.",
            self.repeated, self.disturbed
        )
    }
}
