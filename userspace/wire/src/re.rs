//! The reassembly header (`data-plane.md` §1.4).
//!
//! ```text
//! byte 0  version 1 in the upper nibble → 0x10      bytes 4-7   offset in the event
//! byte 1  reserved 0                                bytes 8-11  length of the WHOLE event
//! bytes 2-3  data id                                bytes 12-19 event number
//! ```

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    byteorder::big_endian::{U16, U32, U64},
};

/// Bytes of an RE header.
pub const RE_HEADER_LEN: usize = 20;
/// The first two bytes of every RE header: version 1, reserved bits 0.
pub const RE_MAGIC: [u8; 2] = [0x10, 0x00];

/// View of an RE header, laid over the wire bytes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct ReHeader {
    version: [u8; 2],
    data_id: U16,
    offset: U32,
    length: U32,
    event_number: U64,
}

impl ReHeader {
    /// The header of the fragment that starts `offset` bytes into an event of
    /// `length` bytes.
    pub const fn new(data_id: u16, offset: u32, length: u32, event_number: u64) -> Self {
        Self {
            version: RE_MAGIC,
            data_id: U16::new(data_id),
            offset: U32::new(offset),
            length: U32::new(length),
            event_number: U64::new(event_number),
        }
    }

    /// Accepts version 1 with all reserved bits clear.
    ///
    /// # Errors
    /// [`ReError`] carries the two bytes found.
    pub fn check(&self) -> Result<(), ReError> {
        if self.version == RE_MAGIC { Ok(()) } else { Err(ReError(self.version)) }
    }

    /// The source within the event (a detector's channel, a stream).
    pub const fn data_id(&self) -> u16 {
        self.data_id.get()
    }

    /// Where the fragment's payload starts inside the event, in bytes.
    pub const fn offset(&self) -> u32 {
        self.offset.get()
    }

    /// Length of the whole event in bytes, the same in every fragment.
    pub const fn length(&self) -> u32 {
        self.length.get()
    }

    /// The event's number.
    pub const fn event_number(&self) -> u64 {
        self.event_number.get()
    }
}

/// The first two bytes are not `10 00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReError(pub [u8; 2]);

impl core::fmt::Display for ReError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "RE header starts with {:02x}{:02x}, not 1000", self.0[0], self.0[1])
    }
}

impl core::error::Error for ReError {}
