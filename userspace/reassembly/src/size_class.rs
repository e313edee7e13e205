//! Which buffer sizes there are: four per power of two, so that at most a
//! fifth of a buffer is slack.
//!
//! ```text
//! class  0    1    2    3    4    5    6    7    8     9 …
//! bytes  256  320  384  448  512  640  768  896  1024  1280 …
//! ```

/// log₂ of the smallest class.
const MIN_SHIFT: u32 = 8;

/// Every size is a multiple of a cache line, and every buffer starts on one.
pub(crate) const LINE: usize = 64;
/// Buffers of this size and more start on a huge page.
pub(crate) const HUGE: usize = 2 << 20;

/// The smallest class that holds `bytes`.
#[inline]
pub(crate) const fn class_of(bytes: u64) -> usize {
    if bytes <= 1 << MIN_SHIFT {
        return 0;
    }
    let last = bytes - 1;
    let shift = last.ilog2();
    let quarter = (last >> (shift - 2)) & 3;
    ((shift - MIN_SHIFT) * 4) as usize + quarter as usize + 1
}

/// Bytes of a class.
pub(crate) const fn size_of_class(class: usize) -> u64 {
    if class == 0 {
        return 1 << MIN_SHIFT;
    }
    let quarters = (class - 1) as u32;
    (5 + (quarters % 4) as u64) << (MIN_SHIFT + quarters / 4 - 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_class_that_fits() {
        for class in 0..=class_of(1 << 32) {
            let size = size_of_class(class);
            assert_eq!(class_of(size), class, "{size}");
            assert_eq!(class_of(size + 1), class + 1, "{size}");
            assert_eq!(size % LINE as u64, 0, "{size}");
        }
        assert_eq!(class_of(0), 0);
        assert_eq!(size_of_class(class_of(1 << 32)), 1 << 32);
    }

    #[test]
    fn slack_is_at_most_a_fifth() {
        for bytes in (257..1 << 20).step_by(61) {
            let size = size_of_class(class_of(bytes));
            assert!(size >= bytes && (size - bytes) * 5 <= size, "{bytes} in {size}");
        }
    }
}
