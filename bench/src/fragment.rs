//! What the benchmarks' own senders put before each fragment's bytes.

use xdpsar_wire::{LbHeader, LbVersion, ReHeader, datagram::LB_RE_HEADER_LEN};
use zerocopy::IntoBytes;

/// Of all events.
pub const DATA_ID: u16 = 7;

/// Both headers of a fragment.
pub fn header(
    offset: u32,
    length: u32,
    event_number: u64,
    tick: u64,
    entropy: u16,
) -> [u8; LB_RE_HEADER_LEN] {
    let mut bytes = [0; LB_RE_HEADER_LEN];
    let (lb, re) = bytes.split_at_mut(LB_RE_HEADER_LEN - size_of::<ReHeader>());
    lb.copy_from_slice(LbHeader::new(LbVersion::V2, entropy, tick).as_bytes());
    re.copy_from_slice(ReHeader::new(DATA_ID, offset, length, event_number).as_bytes());
    bytes
}
