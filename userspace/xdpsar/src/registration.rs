//! The receiver as a load balancer's worker: registered while it receives.
//!
//! ```text
//! sockets bound ─▶ register ─▶ ready ◀──▶ not ready (queue too full)
//!                     ▲          │ session gone
//!                     └── lost ◀─┘             stop ─▶ deregister ─▶ drain
//! ```
//!
//! Every period a thread of its own tells the load balancer how full the
//! receiver is; workers know nothing of it. Whatever happens to the control
//! plane, data keep flowing.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use xdpsar::{EjfatUri, Reassembler, Registration, TokenKind};
//!
//! let uri = EjfatUri::from_env("EJFAT_URI", TokenKind::Instance)?;
//! let receiver = Reassembler::builder("10.0.0.1:19522".parse()?)
//!     .ports(4)
//!     .register(Registration::new(uri, "node-1"))
//!     .start()?;
//! for event in &receiver {
//!     println!("event {}", event.event_number());
//! }
//! # Ok(()) }
//! ```

mod gauges;
mod keeper;
mod membership;

use std::{
    fmt::Display,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    time::Duration,
};

use serde::{Serialize, Serializer};
pub use xdpsar_control::{feedback::Gains, registration::RegistrationState};
use xdpsar_dataplane::{SetupError, error::SetupErrorKind};

pub(crate) use self::{gauges::Gauges, keeper::Place, membership::Membership};
use crate::{
    EjfatUri,
    load_balancer::{Options, SlotRange},
};

/// How a receiver is to be a load balancer's worker, from its start on
/// ([`ReassemblerBuilder::register`](crate::ReassemblerBuilder::register)) or
/// for a while ([`Reassembler::register`](crate::Reassembler::register)).
#[derive(Clone, Debug)]
pub struct Registration {
    /// Of a reserved load balancer, with a token that may register.
    pub uri: EjfatUri,
    /// Whom to believe, and how long registering may take.
    pub options: Options,
    /// The worker's name: letters and digits, inside also `- _ : /`.
    pub name: String,
    /// Where the load balancer reaches it. `None`: the listening address or,
    /// if that is unspecified, this host's that faces the load balancer's
    /// data address.
    pub address: Option<IpAddr>,
    /// Its share, compared with other workers'; above 0. Default 1.
    pub weight: f32,
    /// Its share is not below this much of an equal one. Default ½.
    pub min_factor: f32,
    /// Its share is not above this much of an equal one; 0: no such limit.
    /// Default 2.
    pub max_factor: f32,
    /// Slots that it demands. Default none.
    pub slot_demands: Vec<SlotRange>,
    /// How often the load balancer is told its state: 10 ms to 1 s. Default
    /// 100 ms.
    pub period: Duration,
    /// Over how long the controller's derivative is taken. Default 1 s.
    pub horizon: Duration,
    /// From how full it is to by how much its weight changes.
    pub gains: Gains,
    /// Fuller than this, above 0 to 1, it wants no events until it is a
    /// quarter below. Default 0.9; at 1 it always wants some.
    pub high_water: f32,
    /// Whether the load balancer is told what was counted. Default yes.
    pub report_counters: bool,
    /// At a stop, how long it goes on receiving after it said that it wants
    /// no more events, before it deregisters. A load balancer drops what it
    /// still has for a worker that is gone: with 2 s, there is nothing left.
    /// Default 0.
    pub linger: Duration,
}

/// Between them a load balancer hears of a worker in time: it waits for 2 s.
const PERIODS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(1);

impl Registration {
    /// With the defaults named above.
    pub fn new(uri: EjfatUri, name: impl Into<String>) -> Self {
        Self {
            uri,
            options: Options::default(),
            name: name.into(),
            address: None,
            weight: 1.0,
            min_factor: 0.5,
            max_factor: 2.0,
            slot_demands: Vec::new(),
            period: Duration::from_millis(100),
            horizon: Duration::from_secs(1),
            gains: Gains::default(),
            high_water: 0.9,
            report_counters: true,
            linger: Duration::ZERO,
        }
    }
}

impl Registration {
    /// Refuses what cannot be meant. What a load balancer would refuse, its
    /// client does.
    pub(crate) fn check(&self) -> Result<(), SetupError> {
        let usage = |asked: String, found: &str, remedy: &str| {
            Err(SetupError::new(SetupErrorKind::Usage, asked, found, remedy))
        };
        if !PERIODS.contains(&self.period) {
            return usage(
                format!("a state every {:?}", self.period),
                "a load balancer gives up a worker that is silent for 2 s",
                "ask for a period of 10 ms to 1 s (usual: 100 ms)",
            );
        }
        if !(self.high_water > 0.0 && self.high_water <= 1.0) {
            return usage(
                format!("a high-water mark of {}", self.high_water),
                "how full a receiver is goes from 0 to 1",
                "ask for one above 0, at most 1 (default 0.9; 1: always ready)",
            );
        }
        if !self.gains.are_usable() {
            return usage(
                format!("a controller with {:?}", self.gains),
                "nothing can be controlled by those",
                "aim for a fill from 0 to 1, with gains that are numbers",
            );
        }
        Ok(())
    }
}

/// How a receiver stands with its load balancer. Names are stable: this is
/// also the JSON form.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RegistrationStatus {
    /// `registering`, `ready`, `not_ready`, `lost` or `deregistered`.
    #[serde(serialize_with = "as_text")]
    pub state: RegistrationState,
    /// The session's id.
    pub session_id: String,
    /// The load balancer's id.
    pub lb_id: String,
    /// Where the load balancer sends events: the first port, of
    /// [`ports`](crate::ReassemblerBuilder::ports).
    pub address: SocketAddr,
    /// How full the queue is or, if that is fuller, the memory: 0 to 1.
    pub fill: f32,
    /// By how much its weight is to change each second.
    pub control_signal: f32,
    /// Whether it wants events.
    pub ready: bool,
    /// States that the load balancer took.
    pub states_sent: u64,
    /// States that it did not take, and registrations that failed.
    pub errors: u64,
    /// How many of those there were since the last state that it took; 0:
    /// all is well.
    pub errors_in_a_row: u64,
    /// The last of them.
    pub last_error: Option<String>,
    /// How often it was registered: more than once if its session was gone.
    pub registrations: u64,
    /// The load balancer's clock is ahead of this host's by so many seconds,
    /// as far as is known. It takes workers for dead whose clock is more than
    /// 2 s late.
    pub clock_skew_s: Option<f64>,
}

fn as_text<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}
