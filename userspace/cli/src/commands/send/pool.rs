//! Buffers for events, used again once an event is out.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use xdpsar::Buffer;

/// Fresh memory costs a page fault every 4 KiB: more than filling it.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

impl Pool {
    /// A buffer of at least `len` bytes, whatever they are.
    pub(super) fn take(&self, len: usize) -> Vec<u8> {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut bytes = free.unwrap_or_default();
        if bytes.len() < len {
            bytes.resize(len, 0);
        }
        bytes
    }

    /// An event of its first `len` bytes. The buffer comes back when the
    /// event is out.
    pub(super) fn event(&self, bytes: Vec<u8>, len: usize) -> Buffer {
        Buffer::owner(Pooled { bytes, len, home: self.clone() })
    }
}

struct Pooled {
    bytes: Vec<u8>,
    len: usize,
    home: Pool,
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let bytes = mem::take(&mut self.bytes);
        self.home.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_the_event_is_out() {
        let pool = Pool::default();
        let mut bytes = pool.take(1000);
        bytes[..3].copy_from_slice(b"abc");
        let at = bytes.as_ptr();
        let event = pool.event(bytes, 3);
        assert_eq!(&event.parts()[0][..], b"abc");
        let other = pool.take(10);
        assert_ne!(other.as_ptr(), at, "it is on its way");
        drop(event);
        let again = pool.take(500);
        assert_eq!((again.as_ptr(), again.len()), (at, 1000));
    }
}
