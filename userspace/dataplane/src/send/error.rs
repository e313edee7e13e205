//! Why an event did not go out.

use std::{io, net::SocketAddr, time::Duration};

/// Why an event did not go out, or not whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Longer than the 32 bits that the RE header has for it. Nothing was
    /// sent.
    #[error("event has {length} bytes; an RE header can say 4294967295 at most: split the event")]
    TooLong {
        /// Bytes of the event.
        length: u64,
    },
    /// The path takes shorter datagrams than were chosen when it was opened.
    #[error(
        "sending datagrams of {mtu} bytes: the route to {to} now takes {found} at most; \
         open a new sender, or one with that MTU"
    )]
    Mtu {
        /// Where to.
        to: SocketAddr,
        /// The MTU in use.
        mtu: u32,
        /// The route's MTU now.
        found: u32,
    },
    /// For longer than the configured patience the system has not taken a
    /// single datagram.
    #[error(
        "sending to {to}: the system has taken nothing for {waited:?} ({source}); \
         see whether the interface is up, or allow more patience"
    )]
    Stalled {
        /// Where to.
        to: SocketAddr,
        /// How long.
        waited: Duration,
        /// What the system says each time.
        #[source]
        source: io::Error,
    },
    /// What the sender was opened for is no more: the interface is gone or
    /// down, the address was taken away, or the route.
    #[error(
        "sending to {to} failed after {sent} of {fragments} fragments: {lost} ({source}); \
         bring it back, or open a sender that goes another way"
    )]
    WayLost {
        /// Where to.
        to: SocketAddr,
        /// Fragments that went out.
        sent: usize,
        /// Fragments of the event.
        fragments: usize,
        /// What is no more.
        lost: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// Its pace gave up: the sender is being stopped.
    #[error("sending to {to} was stopped after {sent} of {fragments} fragments")]
    Stopped {
        /// Where to.
        to: SocketAddr,
        /// Fragments that went out.
        sent: usize,
        /// Fragments of the event.
        fragments: usize,
    },
    /// Anything else that the system refused, after `sent` fragments.
    #[error("sending to {to} failed after {sent} of {fragments} fragments: {source}")]
    System {
        /// Where to.
        to: SocketAddr,
        /// Fragments that went out.
        sent: usize,
        /// Fragments of the event.
        fragments: usize,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}
