//! Payloads that can be made on one host and checked, byte by byte, on
//! another which knows nothing but the event's number, data id and length.

use std::{fmt, fs, io, path::Path, sync::Arc};

/// What E2SAR's `e2sar_perf` puts first (`data-plane.md` §5.1).
pub(crate) const E2SAR_START: &[u8; 32] = b"This is a start of event payload";
/// What E2SAR's `e2sar_perf` puts last (`data-plane.md` §5.1).
pub(crate) const E2SAR_END: &[u8; 10] = b"...the end";

/// Which bytes an event has.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// Pseudo-random 64-bit words keyed by event number, data id and length:
    /// a byte from another place or another event does not fit.
    Pattern,
    /// The contract of `e2sar_perf`: 32 bytes of text first, 10 last, zeros
    /// (not checked) between. A shorter event than 42 bytes has no room for
    /// both: the end wins, the start is cut; below 10 bytes only the cut
    /// start is left.
    E2sar,
    /// Zeros.
    Zero,
    /// A file's bytes, repeated or cut to the event's length.
    File(Arc<[u8]>),
}

/// The first byte that is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// Where in the event.
    pub(crate) offset: usize,
    /// What should be there.
    pub(crate) expected: u8,
    /// What is there.
    pub(crate) found: u8,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {} is 0x{:02x} instead of 0x{:02x}", self.offset, self.found, self.expected)
    }
}

impl Payload {
    /// A payload from a file.
    ///
    /// # Errors
    /// What reading the file returns; an empty file is invalid input.
    pub(crate) fn from_file(path: &Path) -> io::Result<Self> {
        let bytes = fs::read(path)?;
        if bytes.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the file is empty"));
        }
        Ok(Self::File(bytes.into()))
    }

    /// Makes all of `event`.
    pub(crate) fn fill(&self, event_number: u64, data_id: u16, event: &mut [u8]) {
        match self {
            Self::Pattern => pattern::fill(pattern::key(event_number, data_id, event.len()), event),
            Self::Zero => event.fill(0),
            Self::E2sar => {
                event.fill(0);
                let (start, end) = e2sar_marks(event.len());
                event[..start.len()].copy_from_slice(start);
                let at = event.len() - end.len();
                event[at..].copy_from_slice(end);
            }
            Self::File(file) => {
                for chunk in event.chunks_mut(file.len()) {
                    chunk.copy_from_slice(&file[..chunk.len()]);
                }
            }
        }
    }

    /// Checks all of `event`.
    ///
    /// # Errors
    /// The first wrong byte.
    pub(crate) fn verify(
        &self,
        event_number: u64,
        data_id: u16,
        event: &[u8],
    ) -> Result<(), Mismatch> {
        match self {
            Self::Pattern => {
                pattern::verify(pattern::key(event_number, data_id, event.len()), event)
            }
            Self::Zero => event
                .chunks(4096)
                .enumerate()
                .try_for_each(|(i, chunk)| same(&[0; 4096][..chunk.len()], chunk, i * 4096)),
            Self::E2sar => {
                let (start, end) = e2sar_marks(event.len());
                same(start, &event[..start.len()], 0)?;
                let at = event.len() - end.len();
                same(end, &event[at..], at)
            }
            Self::File(file) => event
                .chunks(file.len())
                .enumerate()
                .try_for_each(|(i, chunk)| same(&file[..chunk.len()], chunk, i * file.len())),
        }
    }
}

/// The two marks of an event of `len` bytes; they never overlap.
fn e2sar_marks(len: usize) -> (&'static [u8], &'static [u8]) {
    let end: &[u8] = if len < E2SAR_END.len() { &[] } else { E2SAR_END };
    (&E2SAR_START[..E2SAR_START.len().min(len - end.len())], end)
}

/// `found`, which stands at `offset` in its event, must be `expected`.
fn same(expected: &[u8], found: &[u8], offset: usize) -> Result<(), Mismatch> {
    if expected == found {
        return Ok(());
    }
    match expected.iter().zip(found).position(|(e, f)| e != f) {
        Some(i) => Err(Mismatch { offset: offset + i, expected: expected[i], found: found[i] }),
        None => Ok(()),
    }
}

/// The pattern: word `i` is a bijection of `key + i × odd constant`, stored
/// little-endian, so two words of one event are never equal, and runs of it
/// are made with additions, shifts and xors that the compiler vectorises.
mod pattern {
    use super::{Mismatch, same};

    /// 2⁶⁴ / golden ratio, odd.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    /// Words looked at before asking whether one was wrong.
    const BLOCK: usize = 512;

    pub(super) fn key(event_number: u64, data_id: u16, len: usize) -> u64 {
        let mut key = mix(event_number.wrapping_add(STEP));
        key = mix(key ^ u64::from(data_id));
        mix(key ^ len as u64)
    }

    /// The finaliser of SplitMix64.
    fn mix(mut x: u64) -> u64 {
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    #[inline(always)]
    fn word(key: u64, index: u64) -> u64 {
        let x = key.wrapping_add(index.wrapping_mul(STEP));
        let x = x ^ (x >> 31);
        x ^ (x << 25)
    }

    pub(super) fn fill(key: u64, event: &mut [u8]) {
        let mut index = 0;
        let (words, rest) = event.as_chunks_mut::<8>();
        for bytes in words {
            *bytes = word(key, index).to_le_bytes();
            index += 1;
        }
        let last = word(key, index).to_le_bytes();
        rest.copy_from_slice(&last[..rest.len()]);
    }

    pub(super) fn verify(key: u64, event: &[u8]) -> Result<(), Mismatch> {
        let mut index = 0;
        let (words, rest) = event.as_chunks::<8>();
        for block in words.chunks(BLOCK) {
            let first = index;
            let mut wrong = 0;
            for bytes in block {
                wrong |= u64::from_le_bytes(*bytes) ^ word(key, index);
                index += 1;
            }
            if wrong != 0 {
                for (i, bytes) in (first..).zip(block) {
                    same(&word(key, i).to_le_bytes(), bytes, i as usize * 8)?;
                }
            }
        }
        let last = word(key, index).to_le_bytes();
        same(&last[..rest.len()], rest, words.len() * 8)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn made(payload: &Payload, number: u64, data_id: u16, len: usize) -> Vec<u8> {
        let mut event = vec![0xa5; len];
        payload.fill(number, data_id, &mut event);
        event
    }

    fn file() -> Payload {
        Payload::File(b"seventeen bytes !"[..].into())
    }

    #[test]
    fn every_length_verifies() {
        for len in (0..200).chain([4095, 4096, 4097, 9000]) {
            for payload in [Payload::Pattern, Payload::Zero, Payload::E2sar, file()] {
                let event = made(&payload, 7, 3, len);
                assert_eq!(payload.verify(7, 3, &event), Ok(()), "{payload:?} {len}");
            }
        }
    }

    #[test]
    fn e2sar_marks_stand_where_the_contract_says() {
        let event = made(&Payload::E2sar, 0, 0, 42);
        assert_eq!(&event, b"This is a start of event payload...the end");
        let event = made(&Payload::E2sar, 0, 0, 1000);
        assert_eq!(&event[..32], E2SAR_START);
        assert_eq!(&event[990..], E2SAR_END);
        // Unspecified in between: a foreign sender's bytes pass.
        let mut foreign = event;
        foreign[500] = 9;
        assert_eq!(Payload::E2sar.verify(0, 0, &foreign), Ok(()));
        foreign[995] = 9;
        assert_eq!(Payload::E2sar.verify(0, 0, &foreign).map_err(|m| m.offset), Err(995));
        assert_eq!(&made(&Payload::E2sar, 0, 0, 12), b"Th...the end");
        assert_eq!(&made(&Payload::E2sar, 0, 0, 4), b"This");
    }

    #[test]
    fn the_pattern_belongs_to_its_event() {
        let event = made(&Payload::Pattern, 7, 3, 100);
        assert!(Payload::Pattern.verify(8, 3, &event).is_err());
        assert!(Payload::Pattern.verify(7, 4, &event).is_err());
        assert!(Payload::Pattern.verify(7, 3, &event[..99]).is_err());
    }

    #[test]
    fn the_pattern_is_the_same_for_ever() {
        // Two releases must be able to check each other.
        assert_eq!(
            made(&Payload::Pattern, 1, 2, 12),
            [165, 235, 164, 142, 8, 185, 154, 183, 29, 83, 91, 37]
        );
    }

    #[test]
    fn an_empty_file_makes_no_payload() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Payload::from_file(file.path()).is_err());
    }

    proptest! {
        #[test]
        fn every_flipped_bit_is_found(
            number: u64, data_id: u16, len in 1..20_000_usize, at: prop::sample::Index, bit in 0..8_u8,
        ) {
            for payload in [Payload::Pattern, Payload::Zero, file()] {
                let mut event = made(&payload, number, data_id, len);
                let at = at.index(len);
                let right = event[at];
                event[at] ^= 1 << bit;
                let mismatch = Mismatch { offset: at, expected: right, found: event[at] };
                prop_assert_eq!(payload.verify(number, data_id, &event), Err(mismatch));
            }
        }

        #[test]
        fn swapped_fragments_are_found(
            number: u64, a in 0..20_usize, b in 0..20_usize, size in 8..2000_usize,
        ) {
            prop_assume!(a != b);
            let mut event = made(&Payload::Pattern, number, 1, size * 20);
            let first = event[a * size..][..size].to_vec();
            let second = event[b * size..][..size].to_vec();
            event[a * size..][..size].copy_from_slice(&second);
            event[b * size..][..size].copy_from_slice(&first);
            prop_assert!(Payload::Pattern.verify(number, 1, &event).is_err());
        }
    }
}
