//! The AF_XDP backend, where this build has it and it is wanted.

use super::{
    SendBackend, SendConfig, arena::EventHeader, flows::Flow, payload::Cursor, plan::Plan,
};
use crate::error::SetupError;
#[cfg(feature = "xdp")]
pub(super) use crate::xdp::transmit::XdpTransmitter as Transmitter;
#[cfg(not(feature = "xdp"))]
pub(super) use without::Transmitter;

/// An event as it is to leave.
#[cfg_attr(not(feature = "xdp"), expect(dead_code, reason = "only AF_XDP reads it"))]
pub(crate) struct Leaving<'a> {
    pub(crate) header: &'a EventHeader,
    pub(crate) bytes: Cursor<'a>,
    pub(crate) plan: Plan,
    /// The sockets, and the one whose port it leaves from.
    pub(crate) flows: &'a [Flow],
    pub(crate) flow: usize,
}

/// What came of trying AF_XDP.
pub(super) enum Attempt {
    /// A way out, and why it is this one.
    Open(Box<Transmitter>, String),
    /// Sockets it is: why not AF_XDP, where that was to be tried.
    Closed(Option<String>),
}

/// Opens the AF_XDP backend where it was asked for, or where a queue is named
/// that is there for it: it takes a queue, and what leaves through it passes
/// by the kernel's filters and queueing disciplines, so it is not for
/// everybody.
///
/// # Errors
/// Where it was asked for and cannot be had.
pub(super) fn attempt(
    config: &SendConfig,
    mtu: u32,
    flows: &[Flow],
) -> Result<Attempt, SetupError> {
    match (config.backend, config.xdp.queue) {
        (SendBackend::Xdp, _) => {
            let open = Transmitter::open(config, mtu, flows)?;
            let reason = format!("asked for: {}", open.describe());
            Ok(Attempt::Open(Box::new(open), reason))
        }
        (SendBackend::Auto, Some(queue)) => Ok(match Transmitter::open(config, mtu, flows) {
            Ok(open) => {
                let reason = format!("queue {queue} is for it: {}", open.describe());
                Attempt::Open(Box::new(open), reason)
            }
            Err(error) => Attempt::Closed(Some(format!("no AF_XDP ({error})"))),
        }),
        _ => Ok(Attempt::Closed(None)),
    }
}

/// A build without the feature `xdp`.
#[cfg(not(feature = "xdp"))]
mod without {
    use super::{Flow, Leaving, SendConfig, SetupError};
    use crate::{
        error::SetupErrorKind,
        send::{Pace, SendCounters, SendError, run::Way},
    };

    /// Of this there is none.
    pub(in super::super) enum Transmitter {}

    impl Transmitter {
        pub(super) fn open(config: &SendConfig, _: u32, _: &[Flow]) -> Result<Self, SetupError> {
            Err(SetupError::new(
                SetupErrorKind::Unsupported,
                format!("send to {} through AF_XDP", config.to),
                "this build has no AF_XDP (feature `xdp`)",
                "use backend `gso` or `mmsg`",
            ))
        }

        pub(super) fn describe(&self) -> &str {
            match *self {}
        }

        pub(in super::super) fn send_buffer(&self) -> usize {
            match *self {}
        }

        pub(in super::super) fn settle(&mut self, _: std::time::Duration) -> usize {
            match *self {}
        }

        pub(in super::super) fn send_fragments(
            &mut self,
            _: Leaving<'_>,
            _: &mut Way,
            _: &mut impl Pace,
            _: &mut SendCounters,
        ) -> Result<(), SendError> {
            match *self {}
        }
    }
}
