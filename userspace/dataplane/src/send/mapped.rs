//! A file as an event, without reading it.

use std::{fmt, fs::File, io};

use memmap2::{Mmap, MmapOptions};

/// The first bytes of a file, mapped into memory: the kernel takes fragments
/// out of its own cache.
///
/// The file stays what it is, so whoever may write to it changes these bytes,
/// and whoever shortens it takes them away. Whoever touches them then, fails:
/// the *kernel* says `EFAULT`, and a *program* is killed by `SIGBUS`.
///
/// | backend | touches the bytes | a file that is shortened |
/// |---|---|---|
/// | `Mmsg` | the kernel | the event fails |
/// | `Gso`, as [`Payload::for_the_kernel`] | the kernel | the event fails |
/// | `Gso` | the program, of small fragments and the first one | may kill it |
/// | `Xdp` | the program | may kill it |
///
/// [`Payload::for_the_kernel`]: super::Payload::for_the_kernel
pub struct MappedFile(Mmap);

impl MappedFile {
    /// Maps the first `len` bytes of `file`, which may be closed afterwards.
    ///
    /// # Errors
    /// What the system returns; a file that cannot be mapped, as a pipe.
    pub fn new(file: &File, len: usize) -> io::Result<Self> {
        // SAFETY: what another process may do to these bytes is told to
        // whoever makes one. Sending hands their address to the kernel, or
        // copies and sums them: no decision depends on what they are.
        let map = unsafe { MmapOptions::new().len(len).map(file)? };
        // They are read once, from the front: the kernel may read ahead and
        // forget. It is a hint.
        let _ = map.advise(memmap2::Advice::Sequential);
        Ok(Self(map))
    }
}

impl AsRef<[u8]> for MappedFile {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for MappedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MappedFile").field("bytes", &self.0.len()).finish()
    }
}
