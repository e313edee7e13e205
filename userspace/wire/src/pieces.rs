//! Bytes that may lie in several places.

/// The bytes of one datagram: a first piece, and more where the packet came
/// in several buffers (AF_XDP multi-buffer, a wrapped ring).
#[derive(Clone, Copy, Debug, Default)]
pub struct Pieces<'a> {
    first: &'a [u8],
    rest: &'a [&'a [u8]],
    len: usize,
}

impl<'a> Pieces<'a> {
    /// All bytes in one place.
    #[inline]
    pub const fn whole(bytes: &'a [u8]) -> Self {
        Self { first: bytes, rest: &[], len: bytes.len() }
    }

    /// `first` followed by each of `rest`.
    #[inline]
    pub fn chained(first: &'a [u8], rest: &'a [&'a [u8]]) -> Self {
        let len = first.len() + rest.iter().map(|piece| piece.len()).sum::<usize>();
        Self { first, rest, len }
    }

    /// Bytes in all pieces.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first piece, where the headers are.
    #[inline]
    pub const fn first(&self) -> &'a [u8] {
        self.first
    }

    /// What is left after the first `n` bytes, or `None` where those do not
    /// lie in the first piece.
    #[inline]
    pub fn skip(self, n: usize) -> Option<Self> {
        let first = self.first.get(n..)?;
        Some(Self { first, rest: self.rest, len: self.len - n })
    }

    /// Each piece in order; some may be empty.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        core::iter::once(self.first).chain(self.rest.iter().copied())
    }

    /// Copies all bytes to the start of `to`.
    ///
    /// # Panics
    /// If `to` is shorter than [`Pieces::len`].
    #[inline]
    pub fn copy_to(&self, to: &mut [u8]) {
        let mut at = 0;
        for piece in self.iter() {
            to[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        }
    }
}

impl<'a> From<&'a [u8]> for Pieces<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::whole(bytes)
    }
}
