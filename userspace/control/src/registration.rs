//! A worker's registration, from one period to the next: pure, without a
//! clock. Time counts from where the caller likes.
//!
//! ```text
//! Registering ── taken ──▶ Ready ◀── told ──▶ NotReady
//!    ▲    │                  └─ denied, unnamed ──┘
//!    │    └─ failed ─▶ Lost ◀───────────┘
//!    └──── in time ─────┘              any ── left ──▶ Deregistered
//! ```

use std::{fmt, time::Duration};

/// From one attempt to register to the next one there is so much time.
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
    /// It is registered, and wants no events for now: its queue is too full,
    /// or it is about to leave.
    NotReady,
    /// Its session is gone, and it is not registered anew so far. That is
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

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The load balancer took it.
    Taken,
    /// It refused a token that worked before: the session is gone.
    Denied,
    /// Nobody knows what it thinks of it.
    Failed,
}

/// What a period is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Register.
    Register,
    /// Tell the state.
    Tell,
    /// Nothing.
    Rest,
}

/// Decides what to do next.
#[derive(Clone, Debug, Default)]
pub struct Registrar {
    state: RegistrationState,
    /// No earlier attempt to register: a server that takes registrations and
    /// denies states is not flooded with sessions.
    not_before: Duration,
    /// How often in a row the load balancer did not name it.
    missed: u8,
}

impl Registrar {
    /// How things stand.
    pub const fn state(&self) -> RegistrationState {
        self.state
    }

    /// Whether the load balancer knows the worker, as far as we know.
    pub const fn is_registered(&self) -> bool {
        matches!(self.state, RegistrationState::Ready | RegistrationState::NotReady)
    }

    /// What to do now.
    pub fn next(&mut self, now: Duration) -> Act {
        match self.state {
            RegistrationState::Ready | RegistrationState::NotReady => Act::Tell,
            RegistrationState::Deregistered => Act::Rest,
            RegistrationState::Registering | RegistrationState::Lost => {
                if now < self.not_before {
                    return Act::Rest;
                }
                self.state = RegistrationState::Registering;
                Act::Register
            }
        }
    }

    /// A registration was answered, or not.
    pub fn registered(&mut self, now: Duration, outcome: Outcome) {
        self.not_before = now.saturating_add(RETRY);
        self.missed = 0;
        self.state = match outcome {
            Outcome::Taken => RegistrationState::Ready,
            Outcome::Denied | Outcome::Failed => RegistrationState::Lost,
        };
    }

    /// A state was answered, or not; `ready` is what it said.
    pub const fn told(&mut self, ready: bool, outcome: Outcome) {
        self.state = match outcome {
            Outcome::Taken if ready => RegistrationState::Ready,
            Outcome::Taken => RegistrationState::NotReady,
            Outcome::Denied => RegistrationState::Lost,
            // It goes on.
            Outcome::Failed => self.state,
        };
    }

    /// The load balancer named its workers, this one among them or not. A
    /// session that somebody else ended takes states without an error
    /// (`control-plane.md` §9.3): not to be named twice in a row says so.
    pub const fn named(&mut self, among_them: bool) {
        if among_them || !self.is_registered() {
            self.missed = 0;
            return;
        }
        self.missed += 1;
        if self.missed > 1 {
            self.missed = 0;
            self.state = RegistrationState::Lost;
        }
    }

    /// Whether it was not named the last time.
    pub const fn is_missed(&self) -> bool {
        self.missed > 0
    }

    /// That was the end of it.
    pub const fn left(&mut self) {
        self.state = RegistrationState::Deregistered;
    }
}

/// When the next period begins: always at a multiple of it, however many
/// were missed.
pub fn next_period(now: Duration, period: Duration) -> Duration {
    let nanos = period.as_nanos().max(1);
    let into = u64::try_from(now.as_nanos() % nanos).unwrap_or(u64::MAX);
    now.saturating_sub(Duration::from_nanos(into)).saturating_add(period)
}
