//! Event bytes that say which event they are of, and where in it.

/// The bytes of event `number`: no two events share a run of eight at the
/// same place, and no run within one repeats.
pub fn bytes(number: u64, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    for at in 0..len.div_ceil(8) as u64 {
        bytes.extend_from_slice(&word(number, at));
    }
    bytes.truncate(len);
    bytes
}

/// Where `found` departs from the `len` bytes of event `number`, or `None`.
pub fn first_difference(number: u64, len: usize, found: &[u8]) -> Option<usize> {
    let expected = bytes(number, len);
    if found == expected {
        return None;
    }
    let common = expected.iter().zip(found).take_while(|(a, b)| a == b).count();
    Some(common)
}

/// SplitMix64 as a hash: a bijection of its argument.
fn word(number: u64, at: u64) -> [u8; 8] {
    let mut z = number.rotate_left(32).wrapping_add(at.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_found_where_it_is() {
        let mut event = bytes(7, 100);
        assert_eq!(event.len(), 100);
        assert_eq!(first_difference(7, 100, &event), None);
        assert_eq!(first_difference(7, 101, &event), Some(100));
        assert_eq!(first_difference(8, 100, &event), Some(0));
        event[63] ^= 1;
        assert_eq!(first_difference(7, 100, &event), Some(63));
        assert_eq!(first_difference(7, 0, &[]), None);
    }
}
