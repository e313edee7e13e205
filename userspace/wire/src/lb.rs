//! The load-balancer header (`data-plane.md` §1.2, §1.3).
//!
//! ```text
//! offset  0        1        2        3        4        5        6        7
//!       +--------+--------+--------+--------+--------+--------+--------+--------+
//!       | 'L' 4C | 'B' 42 | version| nxt 01 | v2: 0   v3: slot| entropy / port  |
//!       +--------+--------+--------+--------+--------+--------+--------+--------+
//!     8 |                       tick, 64 bit big-endian                         |
//!       +--------+--------+--------+--------+--------+--------+--------+--------+
//! ```

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    byteorder::big_endian::{U16, U64},
};

/// Bytes of an LB header, in both versions.
pub const LB_HEADER_LEN: usize = 16;
/// The first two bytes of every LB header.
pub const LB_MAGIC: [u8; 2] = *b"LB";
/// "An RE header follows", the only next-protocol value in use.
pub const LB_NEXT_RE: u8 = 1;

/// Version of the LB header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LbVersion {
    /// Version 2: the load balancer takes the slot from the tick.
    #[default]
    V2,
    /// Version 3: the header carries a slot of its own.
    V3,
}

impl LbVersion {
    /// The version as it stands on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

/// View of an LB header, laid over the wire bytes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct LbHeader {
    magic: [u8; 2],
    version: u8,
    next: u8,
    slot: U16,
    entropy: U16,
    tick: U64,
}

impl LbHeader {
    /// A version 2 header. `entropy` and `tick` must be the same in all
    /// fragments of an event, or the load balancer splits it.
    pub const fn v2(entropy: u16, tick: u64) -> Self {
        Self::build(LbVersion::V2, 0, entropy, tick)
    }

    /// A version 3 header with its own slot select.
    pub const fn v3(slot: u16, entropy: u16, tick: u64) -> Self {
        Self::build(LbVersion::V3, slot, entropy, tick)
    }

    /// A header of either version with the slot that E2SAR gives it: nothing
    /// in version 2, the low 16 bits of the tick in version 3.
    pub const fn new(version: LbVersion, entropy: u16, tick: u64) -> Self {
        match version {
            LbVersion::V2 => Self::v2(entropy, tick),
            LbVersion::V3 => Self::v3(tick as u16, entropy, tick),
        }
    }

    const fn build(version: LbVersion, slot: u16, entropy: u16, tick: u64) -> Self {
        Self {
            magic: LB_MAGIC,
            version: version.number(),
            next: LB_NEXT_RE,
            slot: U16::new(slot),
            entropy: U16::new(entropy),
            tick: U64::new(tick),
        }
    }

    /// The version.
    ///
    /// # Errors
    /// [`LbError`] says which field is not an EJFAT LB header's.
    pub fn check(&self) -> Result<LbVersion, LbError> {
        if self.magic != LB_MAGIC {
            return Err(LbError::Magic(self.magic));
        }
        let version = match self.version {
            2 => LbVersion::V2,
            3 => LbVersion::V3,
            other => return Err(LbError::Version(other)),
        };
        if self.next != LB_NEXT_RE {
            return Err(LbError::NextProtocol(self.next));
        }
        Ok(version)
    }

    /// Entropy (version 2) or port select (version 3): the load balancer adds
    /// its low bits to the worker's base port.
    pub const fn entropy(&self) -> u16 {
        self.entropy.get()
    }

    /// Slot select (version 3); reserved, written as 0, in version 2.
    pub const fn slot(&self) -> u16 {
        self.slot.get()
    }

    /// The LB event number, in microseconds since the epoch where Sync says
    /// 1 MHz.
    pub const fn tick(&self) -> u64 {
        self.tick.get()
    }
}

/// Why sixteen bytes are not an LB header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LbError {
    /// Does not start with `LB`.
    Magic([u8; 2]),
    /// A version other than 2 and 3.
    Version(u8),
    /// Something other than an RE header follows.
    NextProtocol(u8),
}

impl core::fmt::Display for LbError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Magic(m) => write!(f, "LB header starts with {:02x}{:02x}, not 4c42", m[0], m[1]),
            Self::Version(v) => write!(f, "LB header version {v}; 2 and 3 are known"),
            Self::NextProtocol(n) => write!(f, "LB header announces protocol {n}; 1 (RE) is known"),
        }
    }
}

impl core::error::Error for LbError {}
