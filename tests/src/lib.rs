//! A network of two hosts on one machine, for tests that need one.
//!
//! | module | holds |
//! |---|---|
//! | [`lab`] | two namespaces joined by a veth pair: made, addressed, tried out, and removed again |
//! | [`host`] | one of the two: run a closure, a thread or a command there, ask what its interface is up to |
//! | [`pace`] | patience for slow machines, and never more on the way than buffers hold |
//! | [`payload`] | event bytes that say which event they are of, and where in it |
//! | [`privilege`] | may this process do that, and what a test does when it may not |
//! | [`tool`] | `ip`, `ethtool`, `ping`: run one, and say all about it when it fails |
//!
//! ```no_run
//! xdpsar_tests::privileged!();
//! let lab = xdpsar_tests::Lab::new(xdpsar_tests::LabConfig { queues: 4, mtu: 9000 });
//! let names = lab.receiver.run(|| std::fs::read_dir("/sys/class/net").unwrap().count());
//! ```
#![forbid(unsafe_code)]

mod binary;
pub mod host;
pub mod lab;
pub mod pace;
pub mod payload;
pub mod privilege;
pub mod tool;

pub use binary::binary;
pub use host::{Host, XdpProgram};
pub use lab::{Lab, LabConfig};
