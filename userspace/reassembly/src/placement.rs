//! A buffer being filled, and one that is full.

use std::{ops::Range, sync::Arc};

use xdpsar_wire::Pieces;

use crate::{
    buffer::Buffer,
    coverage::{Coverage, Refusal},
    pool::Pool,
};

/// A buffer of which each of the first `len` bytes has been written.
#[derive(Debug)]
pub(crate) struct Filled {
    buffer: Buffer,
    len: usize,
}

impl Filled {
    /// Fills `buffer` with an event that came in one datagram.
    #[inline]
    pub(crate) fn whole(mut buffer: Buffer, payload: &Pieces<'_>) -> Self {
        write(&mut buffer, 0, payload, 0..payload.len());
        Self { buffer, len: payload.len() }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: a `Filled` is made in two places. `whole` has just written
        // the bytes. `Placement::complete` asks the coverage, which reports
        // every byte to be written (`place` writes what it reports) before
        // it counts the byte as covered.
        unsafe { self.buffer.written(self.len) }
    }
}

/// A buffer being filled, and which of its bytes have been.
#[derive(Debug)]
pub(crate) struct Placement {
    buffer: Buffer,
    coverage: Coverage,
}

impl Placement {
    /// `buffer` for an event of `length` bytes, greater than 0.
    pub(crate) fn new(buffer: Buffer, length: u32) -> Self {
        Self { buffer, coverage: Coverage::new(length) }
    }

    /// The event's length in bytes.
    #[inline]
    pub(crate) fn length(&self) -> u32 {
        self.coverage.length()
    }

    /// Bytes of the buffer.
    #[inline]
    pub(crate) fn reserved(&self) -> u64 {
        self.buffer.capacity() as u64
    }

    /// Writes those bytes of `payload`, which belongs at `offset`, that have
    /// not been written yet, and returns how many those were. The payload is
    /// not empty and within the event's length.
    ///
    /// # Errors
    /// [`Refusal`]; nothing has been written then.
    #[inline]
    pub(crate) fn place(
        &mut self,
        offset: u32,
        payload: &Pieces<'_>,
        pool: &Arc<Pool>,
    ) -> Result<u32, Refusal> {
        let Self { buffer, coverage } = self;
        let end = offset + payload.len() as u32;
        coverage.insert(offset..end, pool, |gap| {
            let in_payload = (gap.start - offset) as usize..(gap.end - offset) as usize;
            write(buffer, gap.start as usize, payload, in_payload);
        })
    }

    /// Whether every byte has been written.
    #[inline]
    pub(crate) fn is_complete(&self) -> bool {
        self.coverage.is_complete()
    }

    /// The full buffer, or `None` (and the buffer back to the pool) when
    /// bytes are missing.
    #[inline]
    pub(crate) fn complete(self) -> Option<Filled> {
        let len = self.length() as usize;
        self.is_complete().then_some(Filled { buffer: self.buffer, len })
    }

    /// Bytes covered, counted anew.
    pub(crate) fn recount(&self) -> u64 {
        self.coverage.recount()
    }
}

/// Writes `range` of the payload to `at` on.
#[inline]
fn write(buffer: &mut Buffer, at: usize, payload: &Pieces<'_>, range: Range<usize>) {
    let mut start = 0;
    for piece in payload.iter() {
        let end = start + piece.len();
        let (from, to) = (range.start.max(start), range.end.min(end));
        if from < to {
            buffer.write(at + (from - range.start), &piece[from - start..to - start]);
        }
        start = end;
    }
}
