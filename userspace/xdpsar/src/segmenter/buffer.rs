//! The bytes of a queued event: owned or shared, never copied.

use std::{
    fmt,
    fs::File,
    io::{self, IoSlice},
    sync::Arc,
};

use bytes::Bytes;
use xdpsar_dataplane::{Payload, send::MappedFile};

/// An event's bytes on their way through the queue. Holds what it was made
/// from until the event is sent, and copies nothing:
///
/// | from | by |
/// |---|---|
/// | `Vec<u8>`, `Box<[u8]>`, [`Bytes`], `&'static [u8]` | `into()` |
/// | `Arc<[u8]>`: shared, one buffer in many events | `into()` |
/// | a file, memory-mapped | [`Buffer::map_file`] |
/// | anything else that owns bytes | [`Buffer::owner`] |
/// | several of these, one after the other | [`Buffer::gathered`] |
///
/// What is borrowed for less than `'static` is refused by the compiler:
///
/// ```compile_fail
/// let buffer: xdpsar::Buffer = {
///     let event = vec![1, 2, 3];
///     event.as_slice().into()
/// };
/// ```
#[derive(Clone, Default)]
pub struct Buffer(Parts);

#[derive(Clone)]
enum Parts {
    One(Bytes),
    // In a box: a refused event comes back in a `Result`.
    Many(Box<Gathered>),
}

#[derive(Clone, Default)]
struct Gathered {
    parts: Vec<Bytes>,
    /// One of them is a mapped file: see [`Payload::for_the_kernel`].
    is_mapped: bool,
}

impl Default for Parts {
    fn default() -> Self {
        Self::One(Bytes::new())
    }
}

impl Buffer {
    /// Bytes that something else owns, which is kept until they are sent.
    ///
    /// ```
    /// let event = xdpsar::Buffer::owner(String::from("an event"));
    /// assert_eq!(event.len(), 8);
    /// ```
    pub fn owner<T: AsRef<[u8]> + Send + 'static>(owner: T) -> Self {
        Bytes::from_owner(owner).into()
    }

    /// The first `len` bytes of a file, mapped into memory instead of read;
    /// the file may be closed afterwards. If somebody shortens it meanwhile,
    /// the event fails; but with AF_XDP, which copies it in this program, the
    /// program may be killed. See [`MappedFile`].
    ///
    /// # Errors
    /// What the system returns; a file that cannot be mapped, as a pipe.
    pub fn map_file(file: &File, len: usize) -> io::Result<Self> {
        let parts = vec![Bytes::from_owner(MappedFile::new(file, len)?)];
        Ok(Self(Parts::Many(Gathered { parts, is_mapped: true }.into())))
    }

    /// One event of all the parts, in their order.
    ///
    /// ```
    /// use xdpsar::Buffer;
    /// let event = Buffer::gathered([Buffer::from(vec![0; 16]), Buffer::from(&b"payload"[..])]);
    /// assert_eq!(event.len(), 23);
    /// ```
    pub fn gathered<I: IntoIterator<Item: Into<Self>>>(parts: I) -> Self {
        let mut all = Gathered::default();
        for part in parts {
            match part.into().0 {
                Parts::One(bytes) => all.parts.push(bytes),
                Parts::Many(gathered) => {
                    all.parts.extend(gathered.parts);
                    all.is_mapped |= gathered.is_mapped;
                }
            }
        }
        Self(Parts::Many(all.into()))
    }

    /// Bytes in all.
    pub fn len(&self) -> u64 {
        self.parts().iter().map(|part| part.len() as u64).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The parts, in order.
    pub fn parts(&self) -> &[Bytes] {
        match &self.0 {
            Parts::One(bytes) => std::slice::from_ref(bytes),
            Parts::Many(gathered) => &gathered.parts,
        }
    }

    /// Calls `send` with the bytes where they are.
    pub(super) fn with_payload<R>(&self, send: impl FnOnce(Payload<'_>) -> R) -> R {
        let slices: Vec<IoSlice<'_>>;
        let payload = match self.parts() {
            [whole] => Payload::whole(whole),
            parts => {
                slices = parts.iter().map(|part| IoSlice::new(part)).collect();
                Payload::parts(&slices)
            }
        };
        send(match &self.0 {
            Parts::Many(gathered) if gathered.is_mapped => payload.for_the_kernel(),
            _ => payload,
        })
    }
}

impl From<Bytes> for Buffer {
    fn from(bytes: Bytes) -> Self {
        Self(Parts::One(bytes))
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<Box<[u8]>> for Buffer {
    fn from(bytes: Box<[u8]>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<Arc<[u8]>> for Buffer {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self::owner(bytes)
    }
}

impl From<&'static [u8]> for Buffer {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}

impl<const N: usize> From<&'static [u8; N]> for Buffer {
    fn from(bytes: &'static [u8; N]) -> Self {
        Bytes::from_static(bytes).into()
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("bytes", &self.len())
            .field("parts", &self.parts().len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn only(buffer: &Buffer) -> *const u8 {
        assert_eq!(buffer.parts().len(), 1);
        buffer.parts()[0].as_ptr()
    }

    #[test]
    fn nothing_is_copied() {
        let vec = vec![1; 1000];
        let at = vec.as_ptr();
        assert_eq!(only(&vec.into()), at);
        let boxed = vec![2; 1000].into_boxed_slice();
        let at = boxed.as_ptr();
        assert_eq!(only(&boxed.into()), at);
        let shared: Arc<[u8]> = vec![3; 1000].into();
        let buffers = [Buffer::from(Arc::clone(&shared)), Buffer::from(Arc::clone(&shared))];
        assert!(buffers.iter().all(|buffer| only(buffer) == shared.as_ptr()));
        drop(buffers);
        assert_eq!(Arc::strong_count(&shared), 1, "given back when the event is gone");
        let bytes = Bytes::from(vec![4; 1000]);
        assert_eq!(only(&bytes.clone().into()), bytes.as_ptr());
        static BYTES: [u8; 3] = [1, 2, 3];
        assert_eq!(only(&BYTES[..].into()), BYTES.as_ptr());
        assert_eq!(only(&(&BYTES).into()), BYTES.as_ptr());
        let text = String::from("owned by a string");
        let at = text.as_ptr();
        assert_eq!(only(&Buffer::owner(text)), at);
    }

    #[test]
    fn a_mapped_file_outlives_its_descriptor() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"an event in a file, and more").unwrap();
        let buffer = Buffer::map_file(&file, 18).unwrap();
        drop(file);
        assert_eq!(&buffer.parts()[0][..], b"an event in a file");
    }

    #[test]
    fn gathered_parts_keep_their_order() {
        let inner = Buffer::gathered([vec![2], vec![], vec![3, 4]]);
        let all = Buffer::gathered([Buffer::from(vec![0, 1]), inner, Buffer::default()]);
        let bytes = all.parts().concat();
        assert_eq!(bytes, [0, 1, 2, 3, 4]);
        assert_eq!((all.len(), all.is_empty()), (5, false));
        assert!(Buffer::gathered::<[Buffer; 0]>([]).is_empty() && Buffer::default().is_empty());
    }
}
