//! The bytes of an event, where the caller has them: in one place, or in
//! several that are gathered while it is sent. Borrowed, never copied whole.

use std::io::IoSlice;

/// An event to send. Borrows its bytes for as long as the call takes: a
/// buffer that is given up earlier does not compile.
///
/// ```compile_fail
/// use xdpsar_dataplane::send::Payload;
/// let payload = {
///     let event = vec![1, 2, 3];
///     Payload::whole(&event)
/// };
/// assert_eq!(payload.len(), 3);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    first: &'a [u8],
    others: &'a [IoSlice<'a>],
    length: u64,
    for_the_kernel: bool,
}

impl<'a> Payload<'a> {
    /// An event that lies in one place.
    pub const fn whole(bytes: &'a [u8]) -> Self {
        Self { first: bytes, others: &[], length: bytes.len() as u64, for_the_kernel: false }
    }

    /// An event gathered from parts, in their order. Parts may be empty, and
    /// may be many: fragments do not mind where they end.
    pub fn parts(parts: &'a [IoSlice<'a>]) -> Self {
        let length = parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.len() as u64));
        Self { first: &[], others: parts, length, for_the_kernel: false }
    }

    /// Leaves it to the kernel to touch the bytes, even where it were faster to
    /// put small fragments together for it: for memory that may be taken away,
    /// such as that of a mapped file. The kernel says `EFAULT` then, where a
    /// program is killed.
    ///
    /// Not so with AF_XDP, nor of a fragment that lies in more than eight
    /// pieces.
    pub const fn for_the_kernel(mut self) -> Self {
        self.for_the_kernel = true;
        self
    }

    /// Bytes in all.
    pub const fn len(&self) -> u64 {
        self.length
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Reads from the first byte on.
    pub(crate) const fn cursor(&self) -> Cursor<'a> {
        let Self { first, others, for_the_kernel, .. } = *self;
        Cursor { current: first, others, for_the_kernel }
    }
}

impl<'a> From<&'a [u8]> for Payload<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::whole(bytes)
    }
}

/// How far a payload was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    current: &'a [u8],
    others: &'a [IoSlice<'a>],
    for_the_kernel: bool,
}

impl<'a> Cursor<'a> {
    /// See [`Payload::for_the_kernel`].
    #[inline]
    pub(crate) const fn is_for_the_kernel(&self) -> bool {
        self.for_the_kernel
    }

    /// The next bytes that lie together, `most` at most. Empty only when
    /// `most` is 0, or after the last byte.
    #[inline]
    pub(crate) fn next_piece(&mut self, most: usize) -> &'a [u8] {
        while self.current.is_empty() {
            let Some((next, others)) = self.others.split_first() else { return &[] };
            self.current = next;
            self.others = others;
        }
        let (piece, rest) = self.current.split_at(most.min(self.current.len()));
        self.current = rest;
        piece
    }

    /// Passes over the next `bytes`.
    pub(crate) fn skip(&mut self, mut bytes: usize) {
        while bytes > 0 {
            let piece = self.next_piece(bytes).len();
            if piece == 0 {
                return;
            }
            bytes -= piece;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_are_the_event_in_order(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20),
            steps in proptest::collection::vec(1usize..60, 1..8),
            skip in 0usize..300,
        ) {
            let whole: Vec<u8> = parts.concat();
            let slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
            let payload = Payload::parts(&slices);
            prop_assert_eq!(payload.len(), whole.len() as u64);
            prop_assert_eq!(payload.is_empty(), whole.is_empty());
            let mut cursor = payload.cursor();
            cursor.skip(skip);
            let mut read = Vec::new();
            for most in steps.into_iter().cycle() {
                let piece = cursor.next_piece(most);
                prop_assert!(piece.len() <= most);
                if piece.is_empty() {
                    break;
                }
                read.extend_from_slice(piece);
            }
            prop_assert_eq!(&read[..], &whole[skip.min(whole.len())..]);
        }
    }

    #[test]
    fn one_place_and_no_place() {
        let mut cursor = Payload::from(&b"abc"[..]).cursor();
        assert_eq!((cursor.next_piece(2), cursor.next_piece(0)), (&b"ab"[..], &b""[..]));
        assert_eq!((cursor.next_piece(9), cursor.next_piece(9)), (&b"c"[..], &b""[..]));
        assert!(Payload::parts(&[]).is_empty() && Payload::whole(&[]).is_empty());
    }
}
