//! What the benchmarks share.
//!
//! | binary | measures |
//! |---|---|
//! | `bench-core` | the reassembly core against `memcpy` and the incumbent's algorithm |
//! | `bench-gate` | instructions of fixed workloads, against those on record |
//! | `bench-handoff` | the hand-off from workers to consumers against other queues, and its latency |
//! | `bench-latency` | from the last fragment on the wire to the event in the consumer's hands |
//! | `bench-lend` | events that keep their packet's memory against copied ones, over a veth pair |
//! | `bench-pacing` | how well a segmenter keeps the rate it is asked for, on the loopback interface |
//! | `bench-path` | whole events from sender to consumer over a veth pair, beside ceilings and rivals |
//! | `bench-scale` | what more workers, sockets, lanes, events in progress or consumers cost |
//! | `bench-send` | what sending costs, against bare loops and one like the incumbent's |
//! | `soak` | nothing: it feeds the core a day's events, and checks that nothing drifts |
//!
//! | module | holds |
//! |---|---|
//! | [`cpu`] | CPU time |
//! | [`exchange`] | items from core to core, through a queue |
//! | [`fragment`] | the headers of a fragment |
//! | [`incumbent`] | the incumbent's receiver, as its specification describes it |
//! | [`machine`] | what a figure was measured on |
//! | [`page`] | tables in pages that people write |
//! | [`reading`] | all bytes of an event, looked at |
//! | [`spread`] | lowest, median, highest |
//! | [`workload`] | fragments in memory, and who takes them in |
#![deny(unsafe_code)]

pub mod cpu;
pub mod exchange;
pub mod fragment;
pub mod incumbent;
pub mod machine;
pub mod page;
pub mod reading;
pub mod spread;
pub mod workload;
