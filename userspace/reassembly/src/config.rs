//! Settings of an assembler.

use xdpsar_wire::LbFraming;

/// What happens when an event needs memory, or a place among the events in
/// progress, and there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BudgetPolicy {
    /// The event that needs it is lost.
    #[default]
    RefuseNew,
    /// The assembler's own event with the oldest progress is lost, and more
    /// of them as needed. Nothing is evicted where that could not help:
    /// events that are longer than the pool accepts, or memory that others
    /// hold.
    EvictOldest,
}

/// Settings of an [`crate::Assembler`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssemblerConfig {
    /// Whether datagrams carry the LB header.
    pub framing: LbFraming,
    /// Number of the worker, passed on in each event.
    pub worker: u16,
    /// An event without progress for this long is lost. Finished keys are
    /// remembered for as long. In nanoseconds.
    pub timeout_ns: u64,
    /// An event that is older than this is lost, progress or not. In
    /// nanoseconds.
    pub max_lifetime_ns: u64,
    /// Events in progress at most.
    pub max_in_progress: u32,
    /// Keys of finished events that are remembered at most, to tell
    /// stragglers from new events.
    pub remembered: u32,
    /// From so many bytes of buffers in progress on, fragments are copied past
    /// the cache: set it to what this worker may fill of the last-level cache.
    pub stream_from: u64,
    /// What to do when memory is short.
    pub on_budget: BudgetPolicy,
    /// Seed of the hash: unknown to senders, or they could aim at one place
    /// of the table.
    pub seed: u64,
}

impl Default for AssemblerConfig {
    fn default() -> Self {
        Self {
            framing: LbFraming::Auto,
            worker: 0,
            timeout_ns: 500_000_000,
            max_lifetime_ns: 10_000_000_000,
            max_in_progress: 65_536,
            remembered: 65_536,
            stream_from: 8 << 20,
            on_budget: BudgetPolicy::RefuseNew,
            seed: 0,
        }
    }
}
