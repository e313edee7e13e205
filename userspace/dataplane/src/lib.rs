//! Packet I/O: how datagrams get from the wire to a worker, and back out.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | what to receive, and how: one description for both backends |
//! | [`source`] | what a worker sees: datagrams, one batch at a time, and counters |
//! | [`error`] | why something could not be set up: asked, found, do this |
//! | [`socket`] | receiving by `recvmmsg` and GRO: no privileges needed |
//! | `steering` | the XDP program: load, configure, attach, count (feature `xdp`) |
//! | `inspect` | who holds an XDP hook, what a NIC can do (feature `inspect`) |
//! | [`send`] | events cut into datagrams, and sent: segmentation offload, `sendmmsg` |
//! | `xdp` | receiving and sending by AF_XDP: rings, packet memory, layouts (feature `xdp`) |
//! | [`host`] | interfaces, routes, kernel, capabilities |
//! | [`pin`] | one worker, one core |
//! | [`random`] | fast random numbers for spreading load |

pub mod config;
pub mod error;
pub mod host;
#[cfg(feature = "inspect")]
pub mod inspect;
pub mod pin;
mod prefetch;
pub mod random;
pub mod send;
pub mod socket;
pub mod source;
#[cfg(feature = "xdp")]
pub mod steering;
#[cfg(feature = "xdp")]
mod sync;
mod sys;
#[cfg(feature = "xdp")]
pub mod xdp;

pub use config::{
    AttachMode, Checksum, CopyMode, LEND_FROM, Layout, Lend, ReceiveConfig, SocketOptions, Wait,
    XdpOptions, XdpTransmitOptions,
};
pub use error::{ReceiveError, SetupError};
pub use send::{OutgoingEvent, Payload, SendBackend, SendConfig, SendCounters, SendError, Sender};
pub use socket::SocketSource;
pub use source::{Datagram, Ingest, Intake, LaneCounters, Source, SourceCounters};
#[cfg(feature = "xdp")]
pub use xdp::{XdpReceiver, XdpSource};
