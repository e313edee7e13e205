//! The AF_XDP receive path: rings and packet memory shared with the kernel,
//! on xsk-rs, behind frames that are linear tokens.
//!
//! ```text
//!  kernel                 │  one queue                        │ its workers
//!                         │                                   │
//!  NIC / veth RX queue    │                                   │
//!     │  XDP program      │                                   │
//!     │  lane → XSKMAP    │                                   │
//!     ▼                   │                                   │
//!  takes a free frame ◀───┼── FILL ring ◀─ post ── hand back ◀┼── release ◀─┐
//!     │  packet into it   │    one owner at a time            │             │
//!     └───────────────────┼──▶ RX ring of the lane's worker ──┼▶ take ─▶ callback
//!                         │                                   │  64 at a time
//! ```
//!
//! Frames are with the kernel (fill ring, its own hands, RX rings) or with a
//! worker, never both: see [`frame`]. Two layouts:
//!
//! * **queue-per-core**: one socket per queue, one worker per queue; nothing is
//!   shared;
//! * **fan-out**: each worker has a socket on each queue. The sockets of a
//!   queue share its memory and its one fill ring, which whoever has frames to
//!   give back owns for a moment, and nobody waits for. There are more frames
//!   than all RX rings and batches can hold, so a worker that stalls loses its
//!   own packets and nobody else's.
//!
//! | module | holds |
//! |---|---|
//! | [`frame`] | frame tokens, and the rings that consume and give them |
//! | `custody` | debug builds: where each frame is |
//! | `handback` | the fill ring of a fanned-out queue, without waiting |
//! | `chain` | from descriptors to packets |
//! | `packet` | from packets to datagrams: lane, payload, checksum |
//! | `checksum` | the UDP checksum |
//! | `layout` | which worker has a socket on which queue, and ring sizes |
//! | `rings`, `setup` | xsk-rs: rings, memory, sockets; what was refused, and why |
//! | `inlet` | one socket: take, hand over, give back |
//! | `plain` | tests and fuzzing: a queue in plain memory |
//! | `wait` | spin, nap, sleep |
//! | `source`, `receiver` | what the worker and the builder see |

mod chain;
mod checksum;
mod custody;
pub mod frame;
mod handback;
mod handover;
mod inlet;
mod layout;
mod lending;
mod memory;
#[cfg(all(test, not(loom)))]
mod model;
mod packet;
#[cfg(all(any(test, feature = "plain"), not(loom)))]
#[doc(hidden)]
pub mod plain;
mod receiver;
mod returns;
mod rings;
mod setup;
mod source;
mod wait;

pub use chain::MAX_CHAIN;
pub use receiver::XdpReceiver;
pub use source::XdpSource;

/// Bytes of one frame: a page, which is what the kernel allows at most, with
/// huge pages too (`xdp_umem_reg`, net/xdp/xdp_umem.c).
const CHUNK: usize = 4096;
/// Frames that are taken from the RX rings at once.
const BATCH: usize = 64;
