//! From descriptors to packets: a packet that does not fit one frame comes as
//! a chain of them, which may straddle two batches.

use super::frame::{Descriptor, Frame, Free, Received};

/// Frames that one packet may take: a linear part and `MAX_SKB_FRAGS` (17,
/// `include/linux/skbuff.h`) fragments, enough for any IP datagram.
pub const MAX_CHAIN: usize = 18;

/// The packet that is being put together on one socket.
#[derive(Debug)]
pub(crate) struct Chain<D: Descriptor> {
    frames: Vec<Frame<Received, D>>,
    /// Dropping the rest of a packet that was too long.
    skipping: bool,
}

/// What a frame did to the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The packet goes on.
    More,
    /// The packet is complete: it is in [`Chain::frames`].
    Whole,
    /// The last frame of a packet that was too long, and is gone.
    TooLong,
}

impl<D: Descriptor> Chain<D> {
    pub(crate) fn new() -> Self {
        Self { frames: Vec::with_capacity(MAX_CHAIN), skipping: false }
    }

    /// Whether the next frame starts a packet.
    #[inline]
    pub(crate) const fn is_idle(&self) -> bool {
        self.frames.is_empty() && !self.skipping
    }

    /// Adds a frame. Those of a packet that is too long go to `spare`.
    pub(crate) fn push(
        &mut self,
        frame: Frame<Received, D>,
        spare: &mut Vec<Frame<Free, D>>,
    ) -> Step {
        let last = !frame.continues();
        if self.skipping || self.frames.len() == MAX_CHAIN {
            self.release(spare);
            spare.push(frame.release());
            self.skipping = !last;
            return if last { Step::TooLong } else { Step::More };
        }
        self.frames.push(frame);
        if last { Step::Whole } else { Step::More }
    }

    /// The frames of the packet so far.
    #[inline]
    pub(crate) fn frames(&self) -> &[Frame<Received, D>] {
        &self.frames
    }

    /// Done with the packet.
    pub(crate) fn release(&mut self, spare: &mut Vec<Frame<Free, D>>) {
        spare.extend(self.frames.drain(..).map(Frame::release));
    }
}
