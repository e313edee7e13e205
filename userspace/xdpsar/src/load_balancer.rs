//! The load balancer's control plane, and its client.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use xdpsar::{
//!     EjfatUri, LoadBalancer, TokenKind,
//!     load_balancer::{Options, Reserve},
//! };
//!
//! let uri = EjfatUri::from_env("EJFAT_URI", TokenKind::Admin)?;
//! let lb = LoadBalancer::new(uri, &Options::default())?;
//! let reservation = lb.reserve_guarded(&Reserve::new("run-17").lasting(Duration::from_secs(60))?)?;
//! for worker in lb.status(None)?.workers {
//!     println!("{} is {} full", worker.name, worker.fill);
//! }
//! reservation.free()?;
//! # Ok(()) }
//! ```

pub use xdpsar_control::{
    Certificates, Error, ErrorKind, Family, Options, Reserve, Reserved, RpcCode, Trust,
    blocking::{LoadBalancer, Reservation},
    client::{
        chain::{Chain, ChainGraph, ChainLink},
        reservation::{IpFamily, Reset, Strategy},
        series::{Samples, Series},
        status::{HealthIssue, Overview, Status, Version, WorkerStatus},
        tokens::{Level, Permission, Resource, TokenDetails, Which},
        worker::{Counters, PortRange, Register, Session, SlotRange, State},
    },
};

/// The same for who does not wait: async.
pub mod aio {
    pub use xdpsar_control::{LoadBalancer, client::guard::Reservation};
}
