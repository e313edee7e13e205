//! Which fragments, of how many events at once, in which order.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Datagrams that a worker takes from its source at once.
pub const BATCH: usize = 64;
/// Time that passes per fragment on the axis that the contestants are told,
/// in nanoseconds: ten million fragments a second.
pub const NS_PER_FRAGMENT: u64 = 100;

/// In which order fragments come, and whether all do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrival {
    /// The events in progress take turns, each one's fragments from first to
    /// last.
    InOrder,
    /// The events take turns in an order of chance, and so do each one's
    /// fragments.
    Shuffled,
    /// In order, but one fragment in a hundred never comes.
    Loss,
}

impl Arrival {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::InOrder, Self::Shuffled, Self::Loss];

    const fn as_str(self) -> &'static str {
        match self {
            Self::InOrder => "in-order",
            Self::Shuffled => "shuffled",
            Self::Loss => "loss",
        }
    }
}

/// What arrives. Written `64x8@1000:shuffled`: fragments of 64 bytes,
/// 8 to an event, 1000 events in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Payload bytes of a fragment.
    pub size: u32,
    /// Fragments of an event.
    pub fragments: u32,
    /// Events in progress at any time.
    pub in_progress: u32,
    /// In which order fragments come.
    pub arrival: Arrival,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, fragments, in_progress, arrival } = self;
        write!(f, "{size}x{fragments}@{in_progress}:{}", arrival.as_str())
    }
}

impl Case {
    /// Bytes of an event.
    pub const fn event_bytes(&self) -> u32 {
        self.size * self.fragments
    }

    /// Bytes from one event's place to the next, where they lie side by side
    /// on cache lines of their own.
    pub const fn stride(&self) -> usize {
        (self.event_bytes() as usize).next_multiple_of(64)
    }

    /// How long an event may be without progress, in nanoseconds. The default
    /// of 500 ms; but where fragments are lost it is eight turns, so that
    /// events in progress remain the number they are said to be and are not
    /// swamped by those that wait for their end.
    pub fn timeout_ns(&self) -> u64 {
        match self.arrival {
            Arrival::InOrder | Arrival::Shuffled => 500_000_000,
            Arrival::Loss => (8 * self.turn_ns()).max(1_000_000),
        }
    }

    /// How long it takes until every event in progress has had its turn, in
    /// nanoseconds.
    pub fn turn_ns(&self) -> u64 {
        u64::from(self.in_progress) * NS_PER_FRAGMENT
    }

    /// From an event's first fragment to its last, in nanoseconds.
    pub fn life_ns(&self) -> u64 {
        u64::from(self.fragments) * self.turn_ns()
    }

    /// Places for events that are enough: one for each in progress, and what
    /// those take that lack a fragment and wait for their end.
    pub fn places(&self) -> usize {
        let waiting = match self.arrival {
            Arrival::InOrder | Arrival::Shuffled => 0.0,
            Arrival::Loss => {
                let incomplete = 1.0 - 0.99_f64.powi(self.fragments as i32);
                let lives = 1.5 * self.timeout_ns() as f64 / self.life_ns() as f64;
                64.0 + f64::from(self.in_progress) * incomplete * lives
            }
        };
        self.in_progress as usize + waiting as usize
    }
}
