//! One UDP payload: which headers it carries and whether they are sound
//! (`data-plane.md` §1.6, §1.8).

use zerocopy::FromBytes;

use crate::{
    bytes::Bytes,
    lb::{LB_HEADER_LEN, LB_MAGIC, LB_NEXT_RE, LbHeader},
    re::{RE_HEADER_LEN, RE_MAGIC, ReHeader},
};

/// Bytes of both headers together.
pub const LB_RE_HEADER_LEN: usize = LB_HEADER_LEN + RE_HEADER_LEN;

/// Whether datagrams still carry the LB header when they arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum LbFraming {
    /// Told apart by the first two bytes: `LB`, or the RE header's `10 00`.
    #[default]
    Auto = 0,
    /// Always present: back-to-back, or a worker registered to keep it.
    Keep = 1,
    /// Stripped by the load balancer.
    None = 2,
}

impl LbFraming {
    /// The inverse of `as u8`; anything unknown reads as [`LbFraming::Auto`].
    #[inline(always)]
    pub const fn from_u8(value: u8) -> Self {
        match value {
            1 => Self::Keep,
            2 => Self::None,
            _ => Self::Auto,
        }
    }
}

/// What is wrong with a datagram's headers. Each is one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DatagramError {
    /// Ends inside the headers it must have.
    Short,
    /// LB header with a wrong magic, version or next protocol.
    BadLbHeader,
    /// RE header with a wrong version or a reserved bit set.
    BadReHeader,
}

impl core::fmt::Display for DatagramError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Short => "datagram ends inside its headers",
            Self::BadLbHeader => "LB header has a wrong magic, version or next protocol",
            Self::BadReHeader => "RE header has a wrong version or a reserved bit set",
        })
    }
}

impl core::error::Error for DatagramError {}

/// What [`check`] found out about a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Where the RE header starts, relative to the datagram: 0 or 16.
    pub re_offset: usize,
    // 0 without an LB header. Not an `Option`: the eBPF verifier refuses to
    // move what that leaves unset.
    entropy: u16,
}

impl Shape {
    /// The entropy, where there is an LB header.
    #[inline(always)]
    pub const fn entropy(&self) -> Option<u16> {
        if self.re_offset == 0 { None } else { Some(self.entropy) }
    }
}

/// Checks the headers of the datagram that occupies `len` bytes from `at` on.
///
/// # Errors
/// [`DatagramError`], by the first cause met. [`DatagramError::Short`] also
/// where `bytes` itself ends early.
#[inline(always)]
pub fn check<B: Bytes + ?Sized>(
    bytes: &B,
    at: usize,
    len: usize,
    framing: LbFraming,
) -> Result<Shape, DatagramError> {
    use DatagramError::{BadLbHeader, BadReHeader, Short};

    if len < RE_HEADER_LEN {
        return Err(Short);
    }
    let start: [u8; 4] = bytes.array(at).ok_or(Short)?;
    let has_lb = match framing {
        LbFraming::Auto => start[..2] == LB_MAGIC,
        LbFraming::Keep => true,
        LbFraming::None => false,
    };
    if !has_lb {
        // The last byte, so that the whole header is known to be there.
        bytes.u8(at + RE_HEADER_LEN - 1).ok_or(Short)?;
        if start[0] != RE_MAGIC[0] || start[1] != RE_MAGIC[1] {
            return Err(BadReHeader);
        }
        return Ok(Shape { re_offset: 0, entropy: 0 });
    }
    if start[0] != LB_MAGIC[0]
        || start[1] != LB_MAGIC[1]
        || (start[2] != 2 && start[2] != 3)
        || start[3] != LB_NEXT_RE
    {
        return Err(BadLbHeader);
    }
    if len < LB_RE_HEADER_LEN {
        return Err(Short);
    }
    let entropy = bytes.be16(at + 6).ok_or(Short)?;
    let re: [u8; 2] = bytes.array(at + LB_HEADER_LEN).ok_or(Short)?;
    bytes.u8(at + LB_RE_HEADER_LEN - 1).ok_or(Short)?;
    if re[0] != RE_MAGIC[0] || re[1] != RE_MAGIC[1] {
        return Err(BadReHeader);
    }
    Ok(Shape { re_offset: LB_HEADER_LEN, entropy })
}

/// The headers of one datagram, in place.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    /// The LB header, where it is still there.
    pub lb: Option<&'a LbHeader>,
    /// The RE header.
    pub re: &'a ReHeader,
    /// Bytes of all headers: where the event's bytes start.
    pub len: usize,
}

impl<'a> Headers<'a> {
    /// Parses the headers at the start of `datagram`, the UDP payload or its
    /// first piece.
    ///
    /// # Errors
    /// As [`check`].
    #[inline]
    pub fn parse(datagram: &'a [u8], framing: LbFraming) -> Result<Self, DatagramError> {
        let shape = check(datagram, 0, datagram.len(), framing)?;
        let (head, rest) = datagram.split_at(shape.re_offset);
        let lb = if head.is_empty() {
            None
        } else {
            Some(LbHeader::ref_from_bytes(head).map_err(|_| DatagramError::Short)?)
        };
        let (re, _) = ReHeader::ref_from_prefix(rest).map_err(|_| DatagramError::Short)?;
        Ok(Self { lb, re, len: shape.re_offset + RE_HEADER_LEN })
    }
}
