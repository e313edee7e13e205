//! CPU time: what other programs take of the core is nobody's here.

use std::time::Duration;

use nix::{
    sys::resource::{UsageWho, getrusage},
    time::{ClockId, clock_gettime},
};

/// Of the calling thread.
pub fn thread() -> Duration {
    now(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

/// Of all this program's threads, those that have ended included.
pub fn process() -> Duration {
    now(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// How often a thread of this program, those that have ended included, has
/// given up its core to wait for something.
pub fn sleeps() -> i64 {
    getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.voluntary_context_switches())
}

/// Nanoseconds of the calling thread since `before`.
pub fn ns_since(before: Duration) -> f64 {
    thread().saturating_sub(before).as_nanos() as f64
}

fn now(clock: ClockId) -> Duration {
    // By libc's way: rustix's own does not run below valgrind.
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}
