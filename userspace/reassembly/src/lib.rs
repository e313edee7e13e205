//! Event reassembly: datagrams in, whole events out.
//!
//! The pure core: no I/O, no clock, no threads. One [`Assembler`] per worker
//! turns `(state, datagram, now)` into effects on a [`Sink`]; all workers draw
//! on one [`Pool`].
//!
//! ```text
//!             borrowed                    owned by the assembler                    owned by the consumer
//!  datagram ───────────▶ ingest ─▶ table ─▶ slab of events in progress ──complete──▶ Event ──drop──┐
//!  (frame goes back         │       key → │   placement = buffer + coverage                        │
//!   as soon as ingest       │             │        ▲ │ lost                                        │
//!   returns)                │             │   take │ ▼ give back                                   │
//!                           │             │      Pool: free lists per size class ◀─────────────────┘
//!                           │             └──▶ finished keys (ring, one timeout)      from any thread
//!                           └▶ counters: one per cause, conserved
//! ```
//!
//! A key (event number, data id) goes through these states. Every arrow is
//! counted:
//!
//! ```text
//!            first fragment                    covered
//!   unknown ────────────────▶ in progress ───────────────▶ finished: delivered
//!      ▲ │                        │ timeout, lifetime,               │ fragments → late
//!      │ │ over budget            │ evicted, stopped                 │
//!      │ ▼                        ▼                                  │
//!      │ finished: refused     finished: lost ── fragments → late    │
//!      │   │ fragments → over_budget     │                           │
//!      └───┴──── one timeout later, or pushed out of the ring ───────┘
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`assembler`] | the packet step, and what ends an event |
//! | [`config`] | settings and their defaults |
//! | [`counters`] | totals per cause |
//! | [`event`] | what is handed over: [`Event`], [`LostEvent`], [`Sink`] |
//! | [`lend`] | packet memory that an event may keep instead of a copy |
//! | [`pool`] | memory shared by all workers, under one budget |
//! | `size_class` | which buffer sizes there are |
//! | `buffer` | a piece of pool memory (unsafe: allocation, raw writes) |
//! | `placement` | a buffer being filled, and one that is full (unsafe: reads what was covered) |
//! | `coverage` | which bytes have been placed |
//! | `table`, `slab`, `order`, `finished` | where events in progress and finished keys are found |
#![deny(unsafe_code)]

pub mod assembler;
#[allow(unsafe_code, reason = "allocates, and writes to memory that is not initialised yet")]
mod block;
#[allow(unsafe_code, reason = "cuts memory into blocks")]
mod chunk;
pub mod config;
#[allow(unsafe_code, reason = "stores that go past the cache")]
mod copy;
pub mod counters;
mod coverage;
pub mod event;
mod finished;
mod foresight;
mod heap;
#[allow(unsafe_code, reason = "takes ownership of blocks that were given up")]
mod home;
#[allow(unsafe_code, reason = "reads memory that a backend has lent")]
pub mod lend;
mod order;
#[allow(unsafe_code, reason = "zeroed memory on huge pages")]
mod pages;
#[allow(unsafe_code, reason = "reads memory that coverage says is initialised")]
mod placement;
pub mod pool;
#[allow(unsafe_code, reason = "the processor's hints")]
mod prefetch;
mod recent;
#[allow(unsafe_code, reason = "an intrusive stack")]
mod returns;
mod size_class;
mod slab;
#[allow(unsafe_code, reason = "cells that loom can watch")]
mod sync;
mod table;

pub use assembler::{Assembler, Outcome, Rejection};
pub use config::{AssemblerConfig, BudgetPolicy};
pub use counters::Counters;
pub use event::{Event, LossCause, LostEvent, Sink};
pub use lend::{Lender, Loan, LoanHome, NoLender};
pub use pool::{Pool, PoolConfig};
