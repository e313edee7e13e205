//! Packet memory lent to an event: what a backend offers, and what an event
//! holds until it is dropped.

use std::{fmt, ops::Range, ptr::NonNull, sync::Arc};

/// Offers the memory of the datagram in hand to the event that it completes,
/// so that nothing need be copied.
pub trait Lender {
    /// Lends the bytes at `payload` of the datagram. `None` when it is better
    /// copied, or too much is lent already: the event is copied then, and
    /// nobody notices.
    fn lend(&mut self, payload: Range<usize>) -> Option<Loan>;
}

/// A [`Lender`] that never lends.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLender;

impl Lender for NoLender {
    #[inline]
    fn lend(&mut self, _payload: Range<usize>) -> Option<Loan> {
        None
    }
}

/// Where lent memory goes back to.
pub trait LoanHome: Send + Sync + fmt::Debug {
    /// Takes back the memory that was lent under `token`. Called once, from
    /// any thread; must neither block nor panic.
    fn give_back(&self, token: u64);
}

/// Bytes on loan. Dropping it, on any thread, gives them back.
#[derive(Debug)]
pub struct Loan {
    bytes: NonNull<[u8]>,
    token: u64,
    home: Arc<dyn LoanHome>,
}

// SAFETY: `Loan::new` promises that nobody writes to the bytes while they are
// lent, the loan does not either, and the home may be called from any thread.
unsafe impl Send for Loan {}
// SAFETY: as above.
unsafe impl Sync for Loan {}

impl Loan {
    /// Lends `bytes`, which go back to `home` under `token`.
    ///
    /// # Safety
    /// The bytes are initialised, and until [`LoanHome::give_back`] is called
    /// with this token they stay where they are and nobody writes to them.
    pub unsafe fn new(bytes: NonNull<[u8]>, token: u64, home: Arc<dyn LoanHome>) -> Self {
        Self { bytes, token, home }
    }

    /// Where the bytes are, to be read.
    #[inline]
    pub(crate) const fn raw(&self) -> NonNull<[u8]> {
        self.bytes
    }

    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: valid and unchanging by `new`'s promise, as long as the
        // loan lasts.
        unsafe { self.bytes.as_ref() }
    }
}

impl Drop for Loan {
    #[inline]
    fn drop(&mut self) {
        self.home.give_back(self.token);
    }
}
