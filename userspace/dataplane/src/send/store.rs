//! Where fragments are put together, headers and all, that the kernel is not
//! to gather from several places.
//!
//! The kernel copies what it sends, part by part (`_copy_from_iter()`,
//! `lib/iov_iter.c`), and pays for each part and for where it lies: with 1436
//! bytes of event and 36 of headers in turn, twice what one part of the whole
//! length costs. Putting such a message together here first leaves a tenth
//! more events (`make bench-send`); larger fragments had better be gathered.

use super::payload::Cursor;
use crate::prefetch;

const PAGE: usize = 4096;
/// Where in a page a message begins. The kernel's copy mostly begins at a
/// page's begin, and where the destination is slightly ahead of the source
/// within the page, `rep movsb` takes three times as long (AMD Zen 3, in steps
/// of a few bytes up to 32). So it is well behind.
const BEGIN: usize = 512;
/// Several of the largest messages, and no more than what stays in the cache
/// until the kernel has read it.
const SIZE: usize = 4 * (64 << 10) + 4 * PAGE;
/// Bytes that are copied in one go: few enough for `memcpy` to use registers,
/// not `rep movsb`.
const PORTION: usize = 2048;
/// Bytes of a cache line.
const LINE: usize = 64;

/// Never allocated again: what points into it stays valid.
pub(super) struct Store {
    bytes: Box<[u8]>,
    /// Where the first page begins.
    base: usize,
    used: usize,
}

impl Store {
    pub(super) fn new() -> Self {
        let bytes = vec![0; SIZE + PAGE].into_boxed_slice();
        let base = bytes.as_ptr().align_offset(PAGE).min(PAGE);
        Self { bytes, base, used: 0 }
    }

    /// Forgets all that it has.
    pub(super) const fn clear(&mut self) {
        self.used = 0;
    }

    /// Whether a message of so many bytes has room.
    pub(super) const fn has_room_for(&self, bytes: usize) -> bool {
        self.used.next_multiple_of(PAGE) + BEGIN + bytes <= SIZE
    }

    /// Leaves a gap, so that what is added next is where a message had better
    /// begin.
    pub(super) const fn begin_message(&mut self) {
        self.used = self.used.next_multiple_of(PAGE) + BEGIN;
    }

    /// The next bytes, so many as there is room for, behind those before.
    pub(super) fn take(&mut self, bytes: usize) -> &mut [u8] {
        let from = self.base + self.used;
        self.used += bytes;
        &mut self.bytes[from..from + bytes]
    }
}

/// Fills `to` with the next bytes of `payload`; with `ahead`, what comes after
/// them is fetched meanwhile.
pub(super) fn copy(payload: &mut Cursor<'_>, to: &mut [u8], ahead: bool) {
    for mut to in to.chunks_mut(PORTION) {
        while !to.is_empty() {
            let piece = payload.next_piece(to.len());
            if piece.is_empty() {
                // No plan reads past the last byte.
                return;
            }
            if ahead {
                for at in (0..piece.len()).step_by(LINE) {
                    prefetch::line(piece.as_ptr().wrapping_add(piece.len() + at));
                }
            }
            let (here, rest) = to.split_at_mut(piece.len());
            here.copy_from_slice(piece);
            to = rest;
        }
    }
}

// Whatever is asked for, an empty store has room for the largest message.
const _: () = assert!(SIZE >= BEGIN + u16::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send::Payload;

    #[test]
    fn a_message_begins_well_behind_a_page_and_goes_on_where_it_was() {
        let mut store = Store::new();
        let mut messages = 0;
        while store.has_room_for(60_000) {
            store.begin_message();
            let begin = store.take(20_000).as_ptr();
            assert_eq!(begin as usize % PAGE, BEGIN);
            assert_eq!(store.take(40_000).as_ptr(), begin.wrapping_add(20_000));
            messages += 1;
        }
        assert_eq!(messages, 4);
        store.clear();
        assert!(store.has_room_for(usize::from(u16::MAX)));
    }

    #[test]
    fn what_is_copied_is_the_payload() {
        let event: Vec<u8> = (0..10_000u32).map(|i| (i % 251) as u8).collect();
        let slices: Vec<_> = event.chunks(77).map(std::io::IoSlice::new).collect();
        for payload in [Payload::whole(&event), Payload::parts(&slices)] {
            for ahead in [false, true] {
                let mut to = vec![0; 9000];
                let mut cursor = payload.cursor();
                cursor.skip(500);
                copy(&mut cursor, &mut to, ahead);
                assert!(to == event[500..9500]);
                assert_eq!(cursor.next_piece(1), &event[9500..9501]);
            }
        }
    }
}
