//! Sending: an event is cut into datagrams, which leave in few system calls.
//!
//! ```text
//!  event ──plan──▶ (offset, len) … ──fill──▶ arena: header ‖ fragment … ──sendmmsg──▶ flow k
//!                                            ≤ 1024 at a time, again from where the kernel stopped
//! ```
//!
//! All fragments of an event carry the same entropy and tick and leave
//! through one socket; the next event takes the next socket.
//!
//! | module | holds |
//! |---|---|
//! | `config` | what to send where, and what was done |
//! | `sender` | one thread's way out: [`Sender`] |
//! | `payload` | the event, in one place or gathered from parts |
//! | `mapped` | a file as an event, without reading it |
//! | [`plan`] | how an event is cut |
//! | `arena` | headers and message descriptors, reused for ever |
//! | `store` | fragments that are put together, rather than gathered by the kernel |
//! | `afxdp` | AF_XDP instead of the sockets, which keep their ports for it |
//! | `gso` | many fragments in one message |
//! | `run` | handing over, and trying again |
//! | `flows` | the sockets |
//! | `answers` | what the network says about datagrams that have left |
//! | `lost` | what became of a way that is no more |
//! | `pace` | when datagrams may leave |
//! | `kernel_pacing` | the same, left to the kernel |
//! | `open` | checks, MTU, backend, and the reasons when it cannot be |

mod afxdp;
mod answers;
mod arena;
mod config;
mod error;
mod flows;
mod gso;
mod kernel_pacing;
mod lost;
mod mapped;
mod open;
mod pace;
mod payload;
pub mod plan;
mod run;
mod sender;
mod store;
#[cfg(test)]
mod tests;

#[cfg(feature = "xdp")]
pub(crate) use self::{
    afxdp::Leaving,
    arena::EventHeader,
    flows::Flow,
    payload::Cursor,
    run::{Way, hear},
};
pub use self::{
    config::{OutgoingEvent, SendBackend, SendConfig, SendCounters},
    error::SendError,
    kernel_pacing::KernelPacing,
    mapped::MappedFile,
    pace::{Pace, Unpaced},
    payload::Payload,
    sender::Sender,
};
