//! Why something could not be set up, in words a person can act on.

use std::io;

/// A failure while a backend is being set up. Nothing stays attached or bound.
///
/// The text has three parts: what was asked, what is there, what to do.
#[derive(Debug, thiserror::Error)]
#[error("{asked}: {found}; {remedy}")]
pub struct SetupError {
    /// What kind of failure it is, for programs.
    pub kind: SetupErrorKind,
    /// What was asked for.
    pub asked: String,
    /// What was found instead.
    pub found: String,
    /// What to do about it.
    pub remedy: String,
    /// The system's own error, where there is one.
    #[source]
    pub source: Option<io::Error>,
}

/// Kinds of set-up failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SetupErrorKind {
    /// A value that cannot be meant: zero workers, ports past 65535.
    Usage,
    /// No such interface, or none carries the address.
    NoInterface,
    /// Missing capabilities.
    Permission,
    /// The UDP port is taken.
    PortInUse,
    /// Another XDP program holds the hook.
    HookTaken,
    /// Another AF_XDP socket owns the queue.
    QueueTaken,
    /// The next hop's Ethernet address cannot be had.
    NoNeighbour,
    /// The MTU does not fit the frames.
    Mtu,
    /// The core does not exist or may not be used.
    NoSuchCore,
    /// The kernel, driver or build lacks it.
    Unsupported,
    /// Memory could not be had.
    Memory,
    /// Anything else the system refused.
    System,
}

impl SetupError {
    /// A new error; see the type for the three texts.
    pub fn new(
        kind: SetupErrorKind,
        asked: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { kind, asked: asked.into(), found: found.into(), remedy: remedy.into(), source: None }
    }

    /// The same error with the system's own as its source.
    #[must_use]
    pub fn caused_by(mut self, source: io::Error) -> Self {
        self.source = Some(source);
        self
    }
}

/// A failure while receiving.
#[derive(Debug, thiserror::Error)]
#[error("receiving on {what} failed: {source}")]
pub struct ReceiveError {
    /// Which socket or queue.
    pub what: String,
    /// The system's error.
    #[source]
    pub source: io::Error,
}
