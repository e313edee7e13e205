//! Segmentation and reassembly of EJFAT event streams.
//!
//! ```text
//! wire ─▶ backend (AF_XDP or sockets) ─▶ worker threads, one per core ─▶ bounded queue ─▶ Event
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`reassembler`] | the running receiver: events out, statistics, orderly stop |
//! | [`builder`] | its options, their limits and defaults |
//! | [`backend`] | AF_XDP or sockets: which, and why |
//! | [`stats`] | what became of every datagram and event |
//! | [`registration`] | the receiver as a load balancer's worker |
//! | [`load_balancer`] | the load balancer's control plane, and its client |
//! | [`segmenter`] | the sender: events in, datagrams out |
//! | [`local`] | which of this host's addresses face another one |
//! | [`wire`] | headers as they stand on the wire |
//! | [`error`] | what can go wrong |
//! | [`EjfatUri`] | where a load balancer is, and who we are to it |
//!
//! ```no_run
//! # fn main() -> Result<(), xdpsar::Error> {
//! let receiver = xdpsar::Reassembler::builder("10.0.0.1:19522".parse().unwrap()).start()?;
//! for event in &receiver {
//!     println!("event {} of {} bytes", event.event_number(), event.len());
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod backend;
pub mod builder;
pub mod error;
mod handoff;
#[cfg(feature = "control-plane")]
pub mod load_balancer;
pub mod local;
pub mod reassembler;
#[cfg(feature = "control-plane")]
pub mod registration;
pub mod segmenter;
pub mod stats;
mod stop;
mod worker;

pub use backend::{Backend, BackendInfo, BackendKind};
pub use builder::ReassemblerBuilder;
pub use error::Error;
pub use handoff::Overflow;
#[cfg(feature = "control-plane")]
pub use load_balancer::LoadBalancer;
pub use local::{local_address_towards, local_addresses_towards};
pub use reassembler::{Readiness, Reassembler, RecvTimeoutError, Stopper, TryRecvError};
#[cfg(feature = "control-plane")]
pub use registration::{Gains, Registration, RegistrationState, RegistrationStatus};
#[cfg(feature = "control-plane")]
pub use segmenter::{Admission, AdmissionState, AdmissionStatus};
pub use segmenter::{
    Buffer, Canceller, EventOptions, Flush, Outcome, Refused, Segmenter, SegmenterBuilder,
    SegmenterStats, SegmenterStopper, StopReport, Submitter, SyncConfig, SyncRate, SyncStats,
    Ticket, Ticks,
};
pub use stats::{Dropped, EventsLost, Stats, WorkerStats};
pub use xdpsar_control::{
    DATA_PORT, EjfatUri, Endpoint, Host, Token, TokenKind, UriError, UriErrorKind,
};
pub use xdpsar_dataplane::{
    AttachMode, Checksum, CopyMode, LEND_FROM, Layout, Lend, SendBackend, SendCounters, SendError,
    SetupError, SocketOptions, Wait, XdpOptions, XdpTransmitOptions, error::SetupErrorKind,
    send::Pace,
};
pub use xdpsar_reassembly::{BudgetPolicy, Event, LossCause, LostEvent};
pub use xdpsar_wire as wire;
pub use xdpsar_wire::{LbFraming, LbVersion, steering::LaneMode};
