//! Lending frames to events.
//!
//! ```text
//!   RX ring ──▶ Frame<Received> ──lend──▶ event ──drop, any thread──▶ returns
//!                      ⇅ in exchange                                     │
//!   FILL ring ◀── Frame<Free> ◀────────── reserve ◀─────────── collect ──┘
//! ```
//!
//! A frame is lent only in exchange for one of the socket's reserve, which
//! goes to the fill ring in its place. Receiving therefore never misses a
//! frame, whatever consumers hold; when the reserve is empty, events are
//! copied. What came back last is the first to stand in again: it is the
//! likeliest to be in a cache.

use std::{ptr::NonNull, sync::Arc};

use xdpsar_reassembly::{Loan, LoanHome};

use super::{
    custody::Custody,
    frame::{Descriptor, Frame, Free, Received, Register},
    memory::Memory,
    returns::{Numbered, Returns},
};

/// The loans of one socket.
#[derive(Debug)]
pub(crate) struct Desk<D: Descriptor> {
    reserve: Vec<Frame<Free, D>>,
    register: Arc<Register<D>>,
    home: Arc<Home>,
    /// Shorter events are copied.
    least: usize,
}

/// What the loans themselves keep alive: the memory they are in, and the way
/// back.
#[derive(Debug)]
struct Home {
    returns: Returns,
    custody: Arc<Custody>,
    _memory: Arc<Memory>,
}

/// Why a frame is not lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Copying costs less.
    Short,
    /// The reserve is empty.
    Exhausted,
}

/// A frame that was not lent, and why.
pub(crate) type NotLent<D> = (Frame<Received, D>, Refused);

impl<D: Descriptor> Desk<D> {
    /// Lends at most as many frames of `memory` as there are in `reserve`,
    /// for events of `least` bytes or more.
    pub(crate) fn new(
        reserve: Vec<Frame<Free, D>>,
        register: Arc<Register<D>>,
        memory: Arc<Memory>,
        custody: Arc<Custody>,
        least: usize,
    ) -> Self {
        reserve.iter().for_each(|frame| custody.set_aside(frame.desc()));
        let returns = Returns::new(register.len());
        Self {
            reserve,
            register,
            home: Arc::new(Home { returns, custody, _memory: memory }),
            least,
        }
    }

    /// Takes in what has come back. Once a batch.
    #[inline]
    pub(crate) fn collect(&mut self) {
        if self.home.returns.is_empty() {
            return;
        }
        let Self { reserve, register, home, .. } = self;
        let before = reserve.len();
        for number in home.returns.take() {
            home.custody.collect(number);
            // SAFETY: the number was given up for a loan, and comes back once
            // (`Home::give_back`).
            reserve.push(unsafe { register.redeem(number) });
        }
        // The newest on top.
        reserve[before..].reverse();
    }

    /// Lends `bytes` of a frame, and returns one to post instead.
    ///
    /// # Errors
    /// The frame itself, and why it is not lent.
    ///
    /// # Safety
    /// The bytes are initialised, and lie in that frame of this desk's memory.
    #[inline]
    pub(crate) unsafe fn lend(
        &mut self,
        frame: Frame<Received, D>,
        bytes: NonNull<[u8]>,
    ) -> Result<(Loan, Frame<Free, D>), NotLent<D>> {
        if bytes.len() < self.least {
            return Err((frame, Refused::Short));
        }
        if self.reserve.is_empty() {
            self.collect();
        }
        let Some(instead) = self.reserve.pop() else { return Err((frame, Refused::Exhausted)) };
        self.home.custody.lend(frame.desc(), instead.desc());
        let token = frame.lend().into_number().into();
        let home = Arc::clone(&self.home);
        // SAFETY: the home keeps the memory mapped, and the frame is posted
        // (written to) only after it was given back.
        let loan = unsafe { Loan::new(bytes, token, home) };
        Ok((loan, instead))
    }
}

impl LoanHome for Home {
    #[inline]
    fn give_back(&self, token: u64) {
        // Made of a frame's number in `Desk::lend`.
        let number = token as u32;
        self.custody.give_back(number);
        self.returns.put(number);
    }
}
