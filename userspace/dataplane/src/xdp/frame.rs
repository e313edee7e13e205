//! Frames of a UMEM as linear tokens. On the way in; those on the way out are
//! in `transmit`.
//!
//! Whoever holds the token of a frame owns its memory; while the kernel owns
//! it there is no token. A token is neither `Copy` nor `Clone`, and its type
//! says where the frame is:
//!
//! ```text
//!            FillRing::post                     RxRing::take
//! Frame<Free> ─────────────▶ (the kernel's) ─────────────────▶ Frame<Received>
//!    ▲  ▲                                                        │      │
//!    │  └───────────────────────── release ──────────────────────┘      │ lend
//!    │                                                                  ▼
//!    └── drop of the event, on any thread ◀── (a loan) ◀───────── Frame<Lent>
//! ```
//!
//! Where there is room for a number only (in a loan, on the way back from
//! another thread), the token is given up for its frame's number, and whoever
//! gets the number back redeems the token.
//!
//! A frame is used once:
//!
//! ```compile_fail,E0382
//! use xdpsar_dataplane::xdp::frame::{Frame, Free, Received};
//! fn twice(frame: Frame<Received>) -> (Frame<Free>, Frame<Free>) {
//!     (frame.release(), frame.release())
//! }
//! ```
//!
//! cannot be duplicated:
//!
//! ```compile_fail,E0308
//! use xdpsar_dataplane::xdp::frame::{Frame, Free};
//! fn duplicate(frame: &Frame<Free>) -> Frame<Free> {
//!     frame.clone()
//! }
//! ```
//!
//! and is not forgotten by accident:
//!
//! ```compile_fail
//! #![deny(unused_must_use)]
//! use xdpsar_dataplane::xdp::frame::{Frame, Received};
//! fn leak(frame: Frame<Received>) {
//!     frame.release();
//! }
//! ```
//!
//! A received frame is not posted before it is released, and one that is not
//! received has no bytes:
//!
//! ```compile_fail,E0308
//! use xdpsar_dataplane::xdp::frame::{FillRing, Frame, RawFill, Received};
//! fn post<R: RawFill>(ring: &mut FillRing<R>, frames: &mut Vec<Frame<Received, R::Desc>>) {
//!     ring.post(frames);
//! }
//! ```
//!
//! ```compile_fail,E0308
//! use xdpsar_dataplane::xdp::frame::{FillRing, Frame, RawFill, Received};
//! fn post_lent<R: RawFill>(ring: &mut FillRing<R>, frame: Frame<Received, R::Desc>) {
//!     ring.post(&mut vec![frame.lend()]);
//! }
//! ```
//!
//! ```compile_fail,E0382
//! use xdpsar_dataplane::xdp::frame::{Frame, Free, Lent, Received};
//! fn both(frame: Frame<Received>) -> (Frame<Lent>, Frame<Free>) {
//!     (frame.lend(), frame.release())
//! }
//! ```
//!
//! ```compile_fail,E0599
//! use xdpsar_dataplane::xdp::frame::{Frame, Free};
//! fn peek(frame: &Frame<Free>) -> usize {
//!     frame.len()
//! }
//! ```
//!
//! What does compile:
//!
//! ```
//! use xdpsar_dataplane::xdp::frame::{FillRing, Frame, Free, RawFill, Received};
//! fn recycle<R: RawFill>(
//!     ring: &mut FillRing<R>,
//!     frame: Frame<Received, R::Desc>,
//!     batch: &mut Vec<Frame<Free, R::Desc>>,
//! ) {
//!     batch.push(frame.release());
//!     ring.post(batch); // what does not fit stays in the batch
//! }
//! ```

mod transmit;

use std::{fmt, marker::PhantomData, sync::Arc};

pub use self::transmit::{CompletionRing, RawCompletion, RawTx, Ready, TxRing};

use super::{LEAST_CHUNK, custody::Custody, returns::Numbered};

/// State of a [`Frame`] that holds nothing and may be posted.
#[derive(Debug)]
pub enum Free {}

/// State of a [`Frame`] that holds a packet, or a piece of one.
#[derive(Debug)]
pub enum Received {}

/// State of a [`Frame`] whose packet is on loan to an event.
#[derive(Debug)]
pub enum Lent {}

/// What a ring says about a frame. `Copy`, as plain numbers are: that is why
/// it lives inside a [`Frame`], which is not.
pub trait Descriptor: Copy + Default + Send + 'static {
    /// Bytes from the UMEM's start to the packet's first byte.
    fn address(&self) -> usize;
    /// Bytes of packet in this frame.
    fn packet_len(&self) -> usize;
    /// Whether the packet goes on in the next frame (`XDP_PKT_CONTD`,
    /// `include/uapi/linux/if_xdp.h`, Linux 6.6).
    fn continues(&self) -> bool;
}

impl Descriptor for xsk_rs::FrameDesc {
    #[inline]
    fn address(&self) -> usize {
        self.addr()
    }
    #[inline]
    fn packet_len(&self) -> usize {
        self.lengths().data()
    }
    #[inline]
    fn continues(&self) -> bool {
        self.has_more_frames()
    }
}

/// Ownership of one frame; see the module.
#[must_use = "a frame that is dropped is lost to its queue"]
#[repr(transparent)]
pub struct Frame<At, D = xsk_rs::FrameDesc> {
    desc: D,
    at: PhantomData<fn() -> At>,
}

impl<At, D> Frame<At, D> {
    const fn new(desc: D) -> Self {
        Self { desc, at: PhantomData }
    }

    pub(crate) const fn desc(&self) -> &D {
        &self.desc
    }
}

impl<D: Descriptor> Frame<Free, D> {
    /// The token of a frame that has none yet.
    ///
    /// # Safety
    /// Once per frame of a UMEM, before its fill or TX ring has been used.
    pub(crate) const unsafe fn mint(desc: D) -> Self {
        Self::new(desc)
    }

    /// As if the kernel had received into it.
    #[cfg(all(test, loom))]
    pub(crate) const fn receive(self) -> Frame<Received, D> {
        Frame::new(self.desc)
    }
}

impl<D: Descriptor> Numbered for Frame<Free, D> {
    /// [`Register::redeem`] makes up for it.
    #[inline]
    fn into_number(self) -> u32 {
        number(&self.desc)
    }
}

impl<D: Descriptor> Numbered for Frame<Lent, D> {
    /// The number is what the loan keeps.
    #[inline]
    fn into_number(self) -> u32 {
        number(&self.desc)
    }
}

/// Where it is, in smallest frames: larger ones have every other number.
fn number<D: Descriptor>(desc: &D) -> u32 {
    // A UMEM of 2³² frames would be 8 TiB.
    (desc.address() / LEAST_CHUNK) as u32
}

/// All frames of a UMEM by number.
#[derive(Debug)]
pub(crate) struct Register<D> {
    descs: Box<[D]>,
    /// From a number to a place among them.
    shift: u32,
}

impl<D: Descriptor> Register<D> {
    /// The frames in order of their addresses.
    pub(crate) fn new(descs: &[D]) -> Self {
        let shift = descs.get(1).map_or(0, |second| number(second).ilog2());
        debug_assert!(descs.iter().map(number).eq((0..descs.len() as u32).map(|nth| nth << shift)));
        Self { descs: descs.into(), shift }
    }

    /// All numbers are below this.
    pub(crate) fn numbers(&self) -> usize {
        self.descs.len() << self.shift
    }

    /// The token that was given up for `number`.
    ///
    /// # Safety
    /// Once for each time that a token of that frame has been given up
    /// ([`Numbered::into_number`]), and after it.
    #[inline]
    pub(crate) unsafe fn redeem(&self, number: u32) -> Frame<Free, D> {
        Frame::new(self.descs[(number >> self.shift) as usize])
    }
}

impl<D: Descriptor> Frame<Received, D> {
    /// The packet goes on loan: nobody writes to the frame until its token is
    /// redeemed.
    #[inline]
    pub const fn lend(self) -> Frame<Lent, D> {
        Frame::new(self.desc)
    }

    /// Done with the packet: the frame may be posted again.
    #[inline]
    pub const fn release(self) -> Frame<Free, D> {
        Frame::new(self.desc)
    }

    /// Bytes of packet in this frame.
    #[inline]
    pub fn len(&self) -> usize {
        self.desc.packet_len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the packet goes on in the next frame.
    #[inline]
    pub fn continues(&self) -> bool {
        self.desc.continues()
    }
}

impl<At, D: Descriptor> fmt::Debug for Frame<At, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({:#x}+{})", self.desc.address(), self.desc.packet_len())
    }
}

/// The bare producer of a fill ring.
pub trait RawFill {
    /// The ring's descriptors.
    type Desc: Descriptor;

    /// Hands all of `descs` to the kernel, or none; returns how many.
    ///
    /// # Safety
    /// The caller owns each of these frames, of this ring's UMEM, and no
    /// longer does when this returns a number other than 0.
    unsafe fn produce(&mut self, descs: &[Self::Desc]) -> usize;

    /// Entries that are free, as of now.
    fn room(&mut self) -> usize;

    /// Whether the driver sleeps until it is told about new frames.
    fn needs_wakeup(&self) -> bool;
}

/// The bare consumer of an RX ring.
pub trait RawRx {
    /// The ring's descriptors.
    type Desc: Descriptor;

    /// Takes frames from the kernel into the front of `descs`; returns how
    /// many. The caller owns them from then on.
    fn consume(&mut self, descs: &mut [Self::Desc]) -> usize;

    /// Whether there is something to take.
    fn is_empty(&mut self) -> bool;
}

/// A fill ring: where free frames go to be filled. One owner at a time.
#[derive(Debug)]
pub struct FillRing<R> {
    raw: R,
    custody: Arc<Custody>,
}

impl<R: RawFill> FillRing<R> {
    pub(crate) const fn new(raw: R, custody: Arc<Custody>) -> Self {
        Self { raw, custody }
    }

    /// Posts the frames in order. Those that the full ring does not take stay
    /// in `frames`.
    #[inline]
    pub fn post(&mut self, frames: &mut Vec<Frame<Free, R::Desc>>) {
        if frames.is_empty() || self.post_front(frames, frames.len()) {
            return;
        }
        let room = self.raw.room().min(frames.len());
        let _ = room > 0 && self.post_front(frames, room);
    }

    fn post_front(&mut self, frames: &mut Vec<Frame<Free, R::Desc>>, count: usize) -> bool {
        let tokens = &frames[..count];
        // SAFETY: `Frame` is a transparent wrapper of its descriptor, and the
        // slice covers exactly those tokens.
        let descs: &[R::Desc] =
            unsafe { std::slice::from_raw_parts(tokens.as_ptr().cast(), tokens.len()) };
        // Before the kernel can hand them out again.
        self.custody.post(descs);
        // SAFETY: we hold the frames' tokens, and give them up below if the
        // ring took them.
        if unsafe { self.raw.produce(descs) } == 0 {
            self.custody.refused(descs);
            return false;
        }
        frames.drain(..count);
        true
    }

    /// Whether the driver must be woken to see what was posted.
    #[inline]
    pub fn needs_wakeup(&self) -> bool {
        self.raw.needs_wakeup()
    }
}

/// An RX ring: where filled frames come from.
#[derive(Debug)]
pub struct RxRing<R: RawRx> {
    raw: R,
    batch: Box<[R::Desc]>,
    custody: Arc<Custody>,
}

impl<R: RawRx> RxRing<R> {
    pub(crate) fn new(raw: R, batch: usize, custody: Arc<Custody>) -> Self {
        Self { raw, batch: vec![R::Desc::default(); batch].into(), custody }
    }

    /// Takes at most `max` frames, at most one batch, in the order of
    /// arrival; returns how many that were.
    #[inline]
    pub fn take(&mut self, max: usize, mut each: impl FnMut(Frame<Received, R::Desc>)) -> usize {
        let max = max.min(self.batch.len());
        let taken = self.raw.consume(&mut self.batch[..max]);
        let descs = &self.batch[..taken];
        self.custody.take(descs);
        for desc in descs {
            each(Frame::new(*desc));
        }
        taken
    }

    /// Whether there is nothing to take.
    #[inline]
    pub fn is_empty(&mut self) -> bool {
        self.raw.is_empty()
    }

    pub(crate) const fn raw(&self) -> &R {
        &self.raw
    }
}
