//! Frames on their way out.
//!
//! ```text
//!             TxRing::ready               TxRing::post                  CompletionRing::take
//! Frame<Free> ─────────────▶ Frame<Ready> ────────────▶ (the kernel's) ────────────────────▶ Frame<Free>
//!      └───────── write ─────────┘
//! ```
//!
//! What is ready cannot be written to any more:
//!
//! ```compile_fail,E0308
//! use xdpsar_dataplane::xdp::frame::{Frame, RawTx, Ready, TxRing};
//! fn again<R: RawTx>(ring: &TxRing<R>, frame: Frame<Ready, R::Desc>) -> Frame<Ready, R::Desc> {
//!     ring.ready(frame, 60, false)
//! }
//! ```
//!
//! and what is not ready is not posted:
//!
//! ```compile_fail,E0308
//! use xdpsar_dataplane::xdp::frame::{Frame, Free, RawTx, TxRing};
//! fn post<R: RawTx>(ring: &mut TxRing<R>, frames: &mut Vec<Frame<Free, R::Desc>>) {
//!     ring.post(frames);
//! }
//! ```

use std::{io, sync::Arc};

use super::{Custody, Descriptor, Frame, Free};

/// State of a [`Frame`] that holds a packet to be sent, or a piece of one.
#[derive(Debug)]
pub enum Ready {}

impl<D: Descriptor> Frame<Ready, D> {
    /// The packet is not to be sent after all.
    #[inline]
    pub const fn withdraw(self) -> Frame<Free, D> {
        Frame::new(self.desc)
    }
}

/// The bare producer of a TX ring.
pub trait RawTx {
    /// The ring's descriptors.
    type Desc: Descriptor;

    /// Makes `desc` say that its frame holds `len` bytes of a packet, and
    /// whether that goes on in the next.
    fn describe(&self, desc: &mut Self::Desc, len: usize, continues: bool);

    /// Hands all of `descs` to the kernel, or none; returns how many.
    ///
    /// # Safety
    /// The caller owns each of these frames, of this ring's UMEM, and no
    /// longer does when this returns a number other than 0.
    unsafe fn produce(&mut self, descs: &[Self::Desc]) -> usize;

    /// Entries that the kernel has not taken yet.
    fn pending(&mut self) -> usize;

    /// Whether the kernel sleeps until it is told about new frames.
    fn needs_wakeup(&self) -> bool;

    /// Tells it.
    ///
    /// # Errors
    /// The kernel's, `EAGAIN` and `ENOBUFS` where it cannot take more now.
    fn wake(&mut self) -> io::Result<()>;
}

/// The bare consumer of a completion ring.
pub trait RawCompletion {
    /// The ring's descriptors.
    type Desc: Descriptor;

    /// Takes frames that were sent into the front of `descs`; returns how
    /// many. The caller owns them from then on.
    fn consume(&mut self, descs: &mut [Self::Desc]) -> usize;
}

/// A TX ring: where packets go.
#[derive(Debug)]
pub struct TxRing<R> {
    raw: R,
    custody: Arc<Custody>,
}

impl<R: RawTx> TxRing<R> {
    pub(crate) const fn new(raw: R, custody: Arc<Custody>) -> Self {
        Self { raw, custody }
    }

    /// The frame's first `len` bytes are a packet, or a piece of one that
    /// goes on in the next frame.
    #[inline]
    pub fn ready(
        &self,
        frame: Frame<Free, R::Desc>,
        len: usize,
        continues: bool,
    ) -> Frame<Ready, R::Desc> {
        let mut desc = *frame.desc();
        self.raw.describe(&mut desc, len, continues);
        Frame::new(desc)
    }

    /// Posts the frames in order. Where the ring has no room for all of them,
    /// all stay in `frames`: no packet is posted in part.
    #[inline]
    pub fn post(&mut self, frames: &mut Vec<Frame<Ready, R::Desc>>) -> bool {
        // SAFETY: `Frame` is a transparent wrapper of its descriptor, and the
        // slice covers exactly those tokens.
        let descs: &[R::Desc] =
            unsafe { std::slice::from_raw_parts(frames.as_ptr().cast(), frames.len()) };
        // Before the kernel can complete them.
        self.custody.post(descs);
        // SAFETY: we hold the frames' tokens, and give them up below if the
        // ring took them.
        if unsafe { self.raw.produce(descs) } < descs.len() {
            self.custody.refused(descs);
            return false;
        }
        frames.clear();
        true
    }

    /// The bare ring: to look at, and to wake the kernel.
    pub(crate) const fn raw(&mut self) -> &mut R {
        &mut self.raw
    }
}

/// A completion ring: where frames come back from.
#[derive(Debug)]
pub struct CompletionRing<R: RawCompletion> {
    raw: R,
    batch: Box<[R::Desc]>,
    custody: Arc<Custody>,
}

impl<R: RawCompletion> CompletionRing<R> {
    pub(crate) fn new(raw: R, batch: usize, custody: Arc<Custody>) -> Self {
        Self { raw, batch: vec![R::Desc::default(); batch].into(), custody }
    }

    /// Takes one batch of frames at most; returns how many there were.
    #[inline]
    pub fn take(&mut self, mut each: impl FnMut(Frame<Free, R::Desc>)) -> usize {
        let taken = self.raw.consume(&mut self.batch);
        let descs = &self.batch[..taken];
        self.custody.take(descs);
        for desc in descs {
            each(Frame::new(*desc));
        }
        taken
    }
}
