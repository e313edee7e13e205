//! AF_XDP, receiving above all: rings and packet memory shared with the kernel,
//! on xsk-rs, behind frames that are linear tokens.
//!
//! ```text
//!  kernel                 │  one queue                              │ its workers
//!                         │                                         │
//!  NIC / veth RX queue    │                                         │
//!     │  XDP program      │                                         │
//!     │  lane → XSKMAP    │                                         │
//!     ▼                   │                                         │
//!  takes a free frame ◀───┼── FILL ring ◀── post ──── hand back ◀───┼── release ◀────┐
//!     │  packet into it   │    one owner at a time          ▲       │                │
//!     └───────────────────┼──▶ RX ring of the lane's worker ┼───────┼▶ take ─▶ foresee ─▶ intake
//!                         │                                 │       │  64 at a time  │
//!                         │          one for each that is lent      │                │ lend
//!                         │                                 │       │                ▼
//!                         │                              reserve ◀──┼── returns ◀─ event, dropped
//! ```
//!
//! Frames are with the kernel (fill ring, its own hands, RX rings), with a
//! worker, in a socket's reserve, or with an event, and never in two places:
//! see [`frame`]. A frame is lent only in exchange for one of the reserve, so
//! that the kernel's never get fewer. Events may outlive sockets, workers and
//! program: what they hold is a mapping of the memory, not the queue.
//!
//! The packet memory of a queue (unless asked otherwise 32 MiB up to an MTU of
//! 1770, else 64, and 8 for lending) is no part of the memory budget for events.
//!
//! Two layouts:
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
//! | `memory` | the frames' bytes, for as long as anybody may read them |
//! | `inlet` | one socket: take, hand over, give back |
//! | `handover` | a batch: look ahead, hand over, release or lend |
//! | `lending` | loans: the reserve, and what comes back |
//! | `returns` | the way back, from any thread |
//! | `transmit` | the other direction: sending |
//! | `plain` | tests and fuzzing: a queue in plain memory |
//! | `wait` | spin, nap or sleep |
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
pub(crate) mod transmit;
mod wait;

pub use chain::MAX_CHAIN;
pub use layout::{RX_ENTRIES, frame_len};
pub use receiver::XdpReceiver;
pub use source::XdpSource;

/// Bytes of a large frame: a page, which is what the kernel allows at most,
/// with huge pages too (`xdp_umem_reg`, net/xdp/xdp_umem.c).
const CHUNK: usize = 4096;
/// Bytes of a small frame: what the kernel allows at least
/// (`XDP_UMEM_MIN_CHUNK_SIZE`, include/net/xdp_sock.h).
const LEAST_CHUNK: usize = 2048;
/// Frames that are taken from the RX rings at once.
const BATCH: usize = 256;
