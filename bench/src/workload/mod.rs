//! Fragments in memory, as a worker finds them, and who takes them in.
//!
//! | module | holds |
//! |---|---|
//! | [`case`] | which fragments, of how many events at once, in which order |
//! | [`ring`], `prefetch` | packet memory, and how a batch of it is handed over |
//! | [`stream`] | the datagrams of a case, lap by lap |
//! | [`contestant`] | the interface, our assembler, and the plain copy |

pub mod case;
pub mod contestant;
#[allow(unsafe_code, reason = "prefetches")]
mod prefetch;
pub mod ring;
pub mod stream;

pub use case::{Arrival, BATCH, Case, NS_PER_FRAGMENT};
pub use contestant::{Contestant, Memcpy, Ours};
pub use ring::Ring;
pub use stream::Stream;
