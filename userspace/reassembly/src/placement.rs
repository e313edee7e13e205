//! A buffer being filled, and one that is full.

use std::ops::Range;

use xdpsar_wire::Pieces;

use crate::{
    block::Buffer,
    copy::Copier,
    coverage::{Coverage, Refusal},
    event::Facts,
    heap::Heap,
    lend::Loan,
};

/// A buffer with an event, each byte of which has been written.
#[derive(Debug)]
pub(crate) struct Filled(Buffer);

impl Filled {
    /// Fills `buffer` with an event that came in one datagram.
    #[inline]
    pub(crate) fn whole(
        mut buffer: Buffer,
        facts: &Facts,
        payload: &Pieces<'_>,
        copier: &mut Copier,
    ) -> Self {
        let len = payload.len() as u32;
        buffer.label(facts, len);
        write(&mut buffer, len, 0, payload, 0..payload.len(), copier);
        Self(buffer)
    }

    /// Lets `buffer` keep the memory of a datagram that was a whole event.
    #[inline]
    pub(crate) fn lent(mut buffer: Buffer, facts: &Facts, loan: Loan) -> Self {
        buffer.label(facts, 0);
        buffer.keep(loan);
        Self(buffer)
    }

    /// The event's bytes.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: a `Filled` is made in three places. `whole` has just written
        // as many bytes as it noted; `keep` notes as many as are on loan.
        // `Placement::complete` asks the coverage, which reports every byte to
        // be written (`place` writes what it reports) before it counts the
        // byte as covered.
        unsafe { self.0.written() }
    }

    /// The same, to be written to; `None` of those on loan.
    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> Option<&mut [u8]> {
        // SAFETY: as above.
        unsafe { self.0.written_mut() }
    }

    /// The buffer that it fills.
    #[inline]
    pub(crate) const fn buffer(&self) -> &Buffer {
        &self.0
    }

    /// Notes when it was full.
    #[inline]
    pub(crate) fn set_completed(&mut self, at_ns: u64) {
        self.0.set_completed(at_ns);
    }

    /// What is known of it.
    #[inline]
    pub(crate) fn facts(&self) -> Facts {
        self.0.facts()
    }
}

/// A buffer being filled, and which of its bytes have been.
#[derive(Debug)]
pub(crate) struct Placement {
    buffer: Buffer,
    coverage: Coverage,
}

impl Placement {
    /// `buffer` for an event of `length` bytes, of which `payload` are the
    /// first to come, not all of them, and belong at `offset`.
    #[inline]
    pub(crate) fn new(
        mut buffer: Buffer,
        facts: &Facts,
        length: u32,
        offset: u32,
        payload: &Pieces<'_>,
        copier: &mut Copier,
    ) -> Self {
        buffer.label(facts, length);
        write(&mut buffer, length, offset as usize, payload, 0..payload.len(), copier);
        Self { buffer, coverage: Coverage::new(length, offset..offset + payload.len() as u32) }
    }

    /// The event's length in bytes.
    #[inline]
    pub(crate) fn length(&self) -> u32 {
        self.coverage.length()
    }

    /// Bytes of memory that the buffer takes.
    #[inline]
    pub(crate) fn reserved(&self) -> u64 {
        self.buffer.footprint()
    }

    /// Writes `bytes`, which belong at `offset`, if that is simple, see
    /// [`Coverage::append`], and returns whether they were the last ones
    /// missing; `None`, and nothing has been written, otherwise.
    #[inline(always)]
    pub(crate) fn append(
        &mut self,
        offset: u32,
        bytes: &[u8],
        copier: &mut Copier,
    ) -> Option<bool> {
        let end = offset.checked_add(u32::try_from(bytes.len()).ok()?)?;
        // Covered a moment before it is written: nothing between can fail, as
        // `end` is within the length.
        let complete = self.coverage.append(offset, end)?;
        // SAFETY: labelled with the event's length in `new`. The assembler settles
        // the copier before it gives any buffer away.
        unsafe { self.buffer.write(offset as usize, bytes, self.coverage.length(), copier) };
        Some(complete)
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
        heap: &mut Heap,
        copier: &mut Copier,
    ) -> Result<u32, Refusal> {
        let Self { buffer, coverage } = self;
        let (length, end) = (coverage.length(), offset + payload.len() as u32);
        coverage.insert(offset..end, heap, |gap| {
            let in_payload = (gap.start - offset) as usize..(gap.end - offset) as usize;
            write(buffer, length, gap.start as usize, payload, in_payload, copier);
        })
    }

    /// Whether every byte has been written.
    #[inline]
    pub(crate) fn is_complete(&self) -> bool {
        self.coverage.is_complete()
    }

    /// The full buffer, or `None` (and the buffer goes home) when bytes are
    /// missing.
    #[inline]
    pub(crate) fn complete(mut self, fragments: u32) -> Option<Filled> {
        self.is_complete().then(|| {
            self.buffer.set_fragments(fragments);
            Filled(self.buffer)
        })
    }

    /// Asks for the memory that the byte at `offset` will go to.
    #[inline]
    pub(crate) fn prefetch(&self, offset: u32) {
        self.buffer.prefetch(offset as usize);
    }

    /// Bytes covered, counted anew.
    pub(crate) fn recount(&self) -> u64 {
        self.coverage.recount()
    }
}

/// Writes `range` of the payload to `at` on, in a buffer that has been
/// labelled with the length `len`.
#[inline]
fn write(
    buffer: &mut Buffer,
    len: u32,
    at: usize,
    payload: &Pieces<'_>,
    range: Range<usize>,
    copier: &mut Copier,
) {
    if let Some(bytes) = payload.first().get(range.clone()) {
        // All of it in one place: the usual case.
        // SAFETY: both callers, `whole` and `Placement`, have labelled it. The
        // assembler settles the copier before it gives any buffer away.
        return unsafe { buffer.write(at, bytes, len, copier) };
    }
    let mut start = 0;
    for piece in payload.iter() {
        let end = start + piece.len();
        let (from, to) = (range.start.max(start), range.end.min(end));
        if from < to {
            let bytes = &piece[from - start..to - start];
            // SAFETY: as above.
            unsafe { buffer.write(at + (from - range.start), bytes, len, copier) };
        }
        start = end;
    }
}
