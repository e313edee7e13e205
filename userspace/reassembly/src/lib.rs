//! Event reassembly: datagrams in, whole events out.
//!
//! The pure core: no I/O, no clock, no threads. One [`Assembler`] per worker
//! turns `(state, datagram, now)` into effects on a [`Sink`]; all workers draw
//! on one [`Pool`].
//!
//! # Who owns what
//!
//! ```text
//!             borrowed                 owned by the assembler                    owned by the consumer
//!  datagram ───────────▶ ingest ─▶ recent ─▶ table ─▶ slab of events ──complete──▶ Event ──drop──┐
//!  (its frame goes          │       guess     key →     in progress                one pointer   │
//!   back as soon as         │                           placement = buffer + coverage            │
//!   ingest returns,         │                               ▲ take          │ lost               │
//!   unless it is lent)      │                               │               ▼                    │
//!                           │            Heap: free blocks, per size class  ◀── Home: a stack ◀──┘
//!                           │             │ none left          ▲ too many        of returns, one
//!                           │             ▼                    │                 compare-and-swap,
//!                           │            Pool, of all workers: chunks, large     from any thread
//!                           │            blocks, the budget
//!                           └▶ counters: one per cause, conserved
//! ```
//!
//! A block is a header of one cache line and the data behind it. It is cut out
//! of a huge page, or allocated by itself when it is large, and belongs in turn
//! to the pool, to a heap, to an event, and, on its way back, to its home.
//! Whoever has it has it alone; nothing is counted by reference but the homes.
//!
//! # A slot
//!
//! An event in progress is one cache line of the slab, so that a fragment
//! touches its headers, that line, and where its bytes go:
//!
//! ```text
//!   0  key: event number (8), data id (2)     hash (4)
//!  16  placement: buffer (8), length (4), fragment size (4), coverage (16)
//!  48  fragments (4), bytes received (4), time of last progress (8)
//! ```
//!
//! # States
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
//! # Costs
//!
//! | step | work | memory touched |
//! |---|---|---|
//! | the next fragment of an event, in order or a bit that is missing | O(1) | its slot, and where its bytes go |
//! | any other fragment | O(1) expected: the table's load is ½ at most | a line of the table, too |
//! | odd layouts (fragments of unequal size, out of order) | O(log runs) to find, O(runs) to shift, 256 runs at most | 2 KiB of runs |
//! | an event's first fragment; its end | O(1) | table, order, ring of finished keys, free list |
//! | a bitmap | cleared once: O(length / fragment size), 64 fragments in the slot itself | 1 bit a fragment |
//! | expiry | O(1) an expired event, O(1) a batch for all the others | the front of the order |
//! | eviction | O(1) an event | the front of the order |
//! | dropping an event | one compare-and-swap | the block's header |
//!
//! Nothing depends on the number of events in progress but what the caches
//! hold. Memory: 84 bytes of slab and order an event in progress, 24
//! bytes a finished key, 16 to 32 bytes of table for each of both; all of it
//! reserved at the start, and touched as needed.
//!
//! # Modules
//!
//! | module | holds |
//! |---|---|
//! | [`assembler`] | the packet step, and what ends an event |
//! | [`config`] | settings and their defaults |
//! | [`counters`] | totals per cause |
//! | [`event`] | what is handed over: [`Event`], [`LostEvent`], [`Sink`] |
//! | [`lend`] | packet memory that an event may keep instead of a copy |
//! | [`pool`] | memory shared by all workers, under one budget |
//! | `heap`, `home`, `returns` | a worker's own memory, and how it comes back (unsafe: an intrusive stack) |
//! | `block`, `chunk`, `pages`, `size_class` | a piece of memory, and what it is cut from (unsafe: allocation, raw writes) |
//! | `placement` | a buffer being filled, and one that is full (unsafe: reads what was covered) |
//! | `coverage` | which bytes have been placed |
//! | `copy` | how bytes get to their place: through the cache, or past it (unsafe: streaming stores) |
//! | `recent`, `table`, `slab`, `order`, `finished` | where events in progress and finished keys are found |
//! | `foresight`, `prefetch` | hints to the cache |
//! | `sync` | the standard library's atomics, or loom's |
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
