//! The incumbent's receiver, in our own words: `data-plane.md` §4.4 to §4.8
//! and what §6.6 says of its cost, column REF. Made from the specification
//! alone.
//!
//! | row | what is done here |
//! |---|---|
//! | §4.1 flags | all as by default, but for the receive buffer: 32 MiB, as everybody's, instead of 3 MiB |
//! | §4.4 wait | `select` over the thread's sockets, 10 ms; see [`Timeout`] |
//! | §4.4 receive | of each socket that is ready one `recvfrom`, into a 9000-byte heap buffer that is freed after it (W56, W59) |
//! | §4.4 count | per-socket fragments, packets, bytes: one atomic each (W62) |
//! | §4.4 validate | version and reserved bits; the LB header is skipped unseen |
//! | §4.5 state | total length, bytes so far, fragments, first arrival; a heap buffer of the whole length, not initialised; behind a shared pointer (W63) |
//! | §4.5 look up | one mutex around an ordered map by (event number, data id); locked once for each datagram, and again to remove (W60) |
//! | §4.5 place | copy to its offset |
//! | §4.5 complete | when the bytes add up: remove, push on the queue, count |
//! | §4.6 expire | every timeout (500 ms) a scan of the whole table under its mutex; what is older than the timeout since its *first* fragment is lost, recorded, and its key kept in a set forever |
//! | §4.7 queue | lock-free, not bounded, its depth a counter beside it |
//! | §4.8 consumer | takes one event at a time; sleeps in slices of 10 ms, and every event wakes all that sleep (W64) |
//!
//! Where the specification leaves a choice, or its letter would only make the
//! incumbent slower or wrong, it gets the better: nobody is notified while
//! nobody waits; a first fragment that comes late joins its event instead of
//! replacing it, so that it puts events together in any order; offsets are
//! checked; a datagram that the kernel takes back does not block the thread;
//! nothing leaks.
//!
//! | module | holds |
//! |---|---|
//! | [`table`] | §4.5, §4.6: events from fragments |
//! | [`queue`] | §4.7, §4.8: to the consumers |
//! | [`receiver`] | §4.4: from sockets |

pub mod queue;
pub mod receiver;
pub mod table;

pub use queue::Queue;
pub use receiver::{Receiver, Timeout};
pub use table::{Collector, Guard, Key, State, Table};

use std::mem::MaybeUninit;

/// Bytes of the buffer that a datagram is received into.
const RECEIVE_BUFFER: usize = 9000;

/// Fresh from the heap for each datagram.
pub fn receive_buffer() -> Box<[MaybeUninit<u8>]> {
    Box::new_uninit_slice(RECEIVE_BUFFER)
}
