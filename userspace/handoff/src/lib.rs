//! From the workers to the consumers: a bounded hand-off in batches.
//!
//! ```text
//!  worker 0 ──batch──▶ ┌────────── ring ──────────┐ ──▶ consumer 0 (spins)
//!  worker 1 ──batch──▶ │ claimed by one exchange, │ ──▶ consumer 1 (asleep at the gate:
//!  …                   │ stamped slot by slot     │ ──▶ …           one batch wakes one)
//!                      └──────────────────────────┘
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`sender`], [`receiver`] | the two ends |
//! | [`wait`] | how a consumer waits: spinning, asleep, or as it pays |
//! | [`readiness`] | how it waits for other things, too: by a file descriptor |
//! | [`error`] | what can keep an item from going in or coming out |
//! | `channel` | what the ends share; **the protocol, and why no wake-up is lost** |
//! | `ring` | the slots (unsafe: cells that a claim makes one thread's own) |
//! | `word` | position, sleepers and flags in one word |
//! | `gate`, `futex`, `eventfd` | where sleepers sleep, one permit each, and watchers watch |
//! | `sync` | atomics: the standard library's, or loom's |
//!
//! Per item: no lock, no system call, no allocation. Per batch: one atomic
//! read-modify-write at either end, and one system call if somebody sleeps.
//!
//! ```
//! let (sender, receiver) = xdpsar_handoff::bounded(1000);
//! std::thread::spawn(move || sender.push_batch(&mut vec!["one", "two", "three"]));
//! let mut batch = Vec::with_capacity(64);
//! while receiver.recv_batch(&mut batch, 64).is_ok() {}
//! assert_eq!(batch, ["one", "two", "three"]);
//! ```
#![deny(unsafe_code)]

mod channel;
pub mod error;
mod eventfd;
mod futex;
mod gate;
#[cfg(all(test, loom))]
mod loom_tests;
pub mod readiness;
pub mod receiver;
#[allow(unsafe_code, reason = "cells that a claim makes one thread's own")]
mod ring;
pub mod sender;
mod sync;
pub mod wait;
mod word;

pub use channel::bounded;
pub use error::{
    PushError, PushTimeoutError, RecvError, RecvTimeoutError, TryPushError, TryRecvError,
};
pub use readiness::Readiness;
pub use receiver::Receiver;
pub use sender::Sender;
pub use wait::Wait;
