//! Numbers out of the fuzzer's bytes. Where they end, everything is 0.

/// Reads from the front.
#[derive(Debug)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `n` bytes, or what is left.
    pub(crate) fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.take(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    pub(crate) fn u8(&mut self) -> u8 {
        u8::from_be_bytes(self.array())
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    /// Of an event: 1 to 4000, short ones one by one, long ones seldom.
    pub(crate) fn length(&mut self) -> u32 {
        let byte = u32::from(self.u8());
        match byte {
            0..64 => byte + 1,
            64..128 => (byte - 63) * 4,
            128..192 => (byte - 127) * 16,
            255 => 4000,
            _ => [500, 640, 1000, 1280][byte as usize % 4],
        }
    }

    /// Of a fragment: 1 to 1000.
    pub(crate) fn size(&mut self) -> u32 {
        let byte = u32::from(self.u8());
        match byte {
            0..128 => byte + 1,
            128..192 => (byte - 127) * 8,
            _ => [100, 40, 1000, 128][byte as usize % 4],
        }
    }
}
