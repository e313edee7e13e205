//! A worker's registration, from one period to the next: pure, without a
//! clock. Time counts from where the caller likes.

use std::{fmt, time::Duration};

/// After a registration that failed, the next one is tried so much later.
pub const RETRY: Duration = Duration::from_secs(1);

/// How a worker stands with its load balancer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegistrationState {
    /// It is being registered, for the first time or anew.
    #[default]
    Registering,
    /// It is registered, and wants events.
    Ready,
    /// It is registered, and wants no events for now: its queue is too full.
    NotReady,
    /// Its session is gone and it could not be registered anew so far. It is
    /// tried again and again.
    Lost,
    /// It is no longer registered.
    Deregistered,
}

impl fmt::Display for RegistrationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Registering => "registering",
            Self::Ready => "ready",
            Self::NotReady => "not_ready",
            Self::Lost => "lost",
            Self::Deregistered => "deregistered",
        })
    }
}
