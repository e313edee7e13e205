//! The Sync message, sender to control plane (`data-plane.md` §1.5).

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    byteorder::big_endian::{U32, U64},
};

/// Bytes of a Sync message; a datagram of any other length is not one.
pub const SYNC_LEN: usize = 28;
/// The first two bytes.
pub const SYNC_MAGIC: [u8; 2] = *b"LC";
/// The only version.
pub const SYNC_VERSION: u8 = 2;

/// View of a Sync message, laid over the wire bytes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct SyncMessage {
    magic: [u8; 2],
    version: u8,
    reserved: u8,
    source_id: U32,
    event_number: U64,
    rate_hz: U32,
    unix_time_ns: U64,
}

impl SyncMessage {
    /// `event_number` is on the tick axis; `rate_hz` is its slope (1 MHz for
    /// microsecond ticks); `unix_time_ns` is when the number was current.
    pub const fn new(source_id: u32, event_number: u64, rate_hz: u32, unix_time_ns: u64) -> Self {
        Self {
            magic: SYNC_MAGIC,
            version: SYNC_VERSION,
            reserved: 0,
            source_id: U32::new(source_id),
            event_number: U64::new(event_number),
            rate_hz: U32::new(rate_hz),
            unix_time_ns: U64::new(unix_time_ns),
        }
    }

    /// The message in a datagram.
    ///
    /// # Errors
    /// [`SyncError`] says what is wrong with it.
    pub fn parse(datagram: &[u8]) -> Result<Self, SyncError> {
        let message =
            Self::read_from_bytes(datagram).map_err(|_| SyncError::Length(datagram.len()))?;
        if message.magic != SYNC_MAGIC {
            Err(SyncError::Magic(message.magic))
        } else if message.version != SYNC_VERSION {
            Err(SyncError::Version(message.version))
        } else if message.reserved != 0 {
            Err(SyncError::Reserved(message.reserved))
        } else {
            Ok(message)
        }
    }

    /// Which sender this is.
    pub const fn source_id(&self) -> u32 {
        self.source_id.get()
    }

    /// The sender's current position on the tick axis.
    pub const fn event_number(&self) -> u64 {
        self.event_number.get()
    }

    /// Ticks per second; 0 asks the control plane to estimate it.
    pub const fn rate_hz(&self) -> u32 {
        self.rate_hz.get()
    }

    /// Wall-clock time of the sample in nanoseconds since the UNIX epoch.
    pub const fn unix_time_ns(&self) -> u64 {
        self.unix_time_ns.get()
    }
}

/// Why a datagram is not a Sync message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncError {
    /// Not 28 bytes long.
    Length(usize),
    /// Does not start with `LC`.
    Magic([u8; 2]),
    /// A version other than 2.
    Version(u8),
    /// The reserved byte is set.
    Reserved(u8),
}

impl core::fmt::Display for SyncError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Length(n) => write!(f, "Sync message of {n} bytes; {SYNC_LEN} are expected"),
            Self::Magic(m) => write!(f, "Sync starts with {:02x}{:02x}, not 4c43", m[0], m[1]),
            Self::Version(v) => write!(f, "Sync version {v}; {SYNC_VERSION} is known"),
            Self::Reserved(r) => write!(f, "Sync reserved byte is {r:#04x}, not 0"),
        }
    }
}

impl core::error::Error for SyncError {}
