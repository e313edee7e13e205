//! What EJFAT puts on the wire, and nothing else.
//!
//! | module | holds |
//! |---|---|
//! | [`lb`] | load-balancer header, versions 2 and 3 |
//! | [`re`] | reassembly header, version 1 |
//! | [`sync`] | the sender's Sync message to the control plane |
//! | [`datagram`] | one UDP payload: which headers, are they sound, where the event's bytes start |
//! | [`frame`] | Ethernet, VLAN, IPv4, IPv6 and UDP walk |
//! | [`steering`] | the verdict on a frame: redirect to a lane, drop with a cause, or leave to the kernel |
//! | [`pieces`] | bytes that may lie in several places (multi-buffer packets) |
//! | [`bytes`] | bounded reads, the one thing the eBPF program must bring itself |
//!
//! The eBPF program and user space compile the same [`steering::decide`]: a
//! frame cannot be ours on one side and foreign on the other.
#![no_std]
#![forbid(unsafe_code)]

pub mod bytes;
pub mod datagram;
pub mod frame;
pub mod lb;
pub mod pieces;
pub mod re;
pub mod steering;
pub mod sync;

pub use datagram::{DatagramError, Headers, LbFraming};
pub use lb::{LbHeader, LbVersion};
pub use pieces::Pieces;
pub use re::ReHeader;
pub use sync::SyncMessage;
