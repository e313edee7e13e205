//! Events one after another on a pipe.
//!
//! ```text
//!  0               8        10       12          16
//!  ├ event number ─┼ data id ┼ zero ──┼ length n ─┼ n payload bytes ┤ next frame …
//! ```
//!
//! All integers are unsigned and big-endian. There is no other framing: the
//! stream ends after a whole frame, or the writer failed.

use std::io::{self, BufWriter, Write};

use super::Item;

/// Bytes of a frame's header.
pub(crate) const HEADER_LEN: usize = 16;

/// Writes length-prefixed frames.
pub(crate) struct StreamSink<W: Write>(BufWriter<W>);

impl<W: Write> StreamSink<W> {
    pub(crate) fn new(to: W) -> Self {
        Self(BufWriter::with_capacity(1 << 18, to))
    }

    pub(crate) fn put(&mut self, item: Item<'_>) -> io::Result<()> {
        self.0.write_all(&header(item)?)?;
        self.0.write_all(item.bytes)
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn header(item: Item<'_>) -> io::Result<[u8; HEADER_LEN]> {
    let length = u32::try_from(item.bytes.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "event of 4 GiB or more"))?;
    let mut header = [0; HEADER_LEN];
    header[..8].copy_from_slice(&item.event_number.to_be_bytes());
    header[8..10].copy_from_slice(&item.data_id.to_be_bytes());
    header[12..].copy_from_slice(&length.to_be_bytes());
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_each_other() {
        let mut out = Vec::new();
        let mut sink = StreamSink::new(&mut out);
        sink.put(Item { event_number: 0x0102_0304_0506_0708, data_id: 0x090a, bytes: b"abc" })
            .unwrap();
        sink.put(Item { event_number: 1, data_id: 2, bytes: b"" }).unwrap();
        sink.flush().unwrap();
        drop(sink);
        assert_eq!(
            out,
            [
                1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0, 0, 0, 0, 3, b'a', b'b', b'c', //
                0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0,
            ]
        );
    }
}
