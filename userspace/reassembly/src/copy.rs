//! How a fragment's bytes get to their place.
//!
//! Through the cache as long as what is in progress stays there: the consumer
//! finds the event warm. Past it when there is more: a line that would be
//! fetched to be overwritten, and be evicted before anybody reads it, costs
//! memory bandwidth three times. `bench-core` shows both: a quarter less time
//! with 8 MiB in progress or more, twice the time below 2 MiB.

use std::ptr;

/// Shorter pieces go through the cache: their ends share lines with others.
const MIN_BYTES: usize = 512;

/// Copies, for one worker.
#[derive(Debug, Default)]
pub(crate) struct Copier {
    past_the_cache: bool,
    /// Whether stores may still be on their way that no other order holds for.
    pending: bool,
}

impl Copier {
    /// Whether bytes go past the cache from now on.
    #[inline]
    pub(crate) fn go_past_the_cache(&mut self, yes: bool) {
        self.past_the_cache = yes;
    }

    /// Copies `len` bytes.
    ///
    /// # Safety
    /// As [`ptr::copy_nonoverlapping`]. [`Self::settle`] is called before
    /// another thread may have the bytes.
    #[inline]
    pub(crate) unsafe fn copy(&mut self, from: *const u8, to: *mut u8, len: usize) {
        if self.past_the_cache && len >= MIN_BYTES {
            self.pending = true;
            // SAFETY: by the caller's promise.
            unsafe { stream(from, to, len) }
        } else {
            // SAFETY: by the caller's promise.
            unsafe { ptr::copy_nonoverlapping(from, to, len) }
        }
    }

    /// What has been copied is there for whoever learns of it from now on.
    #[inline]
    pub(crate) fn settle(&mut self) {
        if std::mem::take(&mut self.pending) {
            fence();
        }
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        self.settle();
    }
}

/// Copies with stores that leave the cache alone, line by line.
///
/// # Safety
/// As [`ptr::copy_nonoverlapping`].
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline(never)]
unsafe fn stream(mut from: *const u8, mut to: *mut u8, mut len: usize) {
    use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_stream_si128};
    const LINE: usize = 64;

    let head = to.align_offset(LINE).min(len);
    // SAFETY: each step stays within the caller's `len` bytes, and streams to
    // whole lines only.
    unsafe {
        ptr::copy_nonoverlapping(from, to, head);
        (from, to, len) = (from.add(head), to.add(head), len - head);
        while len >= LINE {
            let (source, target) = (from.cast::<__m128i>(), to.cast::<__m128i>());
            let line = [
                _mm_loadu_si128(source),
                _mm_loadu_si128(source.add(1)),
                _mm_loadu_si128(source.add(2)),
                _mm_loadu_si128(source.add(3)),
            ];
            for (at, part) in line.into_iter().enumerate() {
                _mm_stream_si128(target.add(at), part);
            }
            (from, to, len) = (from.add(LINE), to.add(LINE), len - LINE);
        }
        ptr::copy_nonoverlapping(from, to, len);
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
fn fence() {
    // SAFETY: every x86-64 processor has it; it touches no memory.
    unsafe { std::arch::x86_64::_mm_sfence() }
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
unsafe fn stream(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: by the caller's promise.
    unsafe { ptr::copy_nonoverlapping(from, to, len) }
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn fence() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_just_the_bytes_asked_for_wherever_they_lie() {
        let from: Vec<u8> = (0..2000).map(|n| (n * 7 + n / 256) as u8).collect();
        for past_the_cache in [false, true] {
            let mut copier = Copier::default();
            copier.go_past_the_cache(past_the_cache);
            for (source, at) in [(0, 0), (1, 0), (0, 1), (3, 63), (17, 64), (64, 65)] {
                for len in [0, 1, 63, 511, 512, 513, 575, 1024, 1400] {
                    let mut to = vec![0xee; 2000];
                    // SAFETY: both have as many bytes, and are apart.
                    unsafe { copier.copy(from[source..].as_ptr(), to[at..].as_mut_ptr(), len) };
                    copier.settle();
                    let mut expected = vec![0xee; 2000];
                    expected[at..at + len].copy_from_slice(&from[source..source + len]);
                    assert_eq!(to, expected, "{at} {len}");
                }
            }
        }
    }
}
