//! One file per event, which appears under its name when it is whole.

use std::{
    fs::{self, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::Item;

/// Writes `<prefix>_<event number>_<data id>.<extension>` files.
///
/// An event is written to a hidden file and renamed, and the rename never
/// replaces a file: a second event with the same key gets `.1`, a third `.2`.
/// A reader of the directory sees whole events only. Nothing is synced to the
/// disk: that is the file system's pace, not the network's.
pub(crate) struct DirSink {
    dir: PathBuf,
    prefix: String,
    /// With its dot, or empty.
    suffix: String,
}

impl DirSink {
    /// A sink into `dir`, which is made if it is not there.
    ///
    /// # Errors
    /// What making the directory, or a file in it, returns: better now than
    /// when the first event has come.
    pub(crate) fn new(dir: PathBuf, prefix: String, extension: &str) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        let extension = extension.trim_start_matches('.');
        let suffix = if extension.is_empty() { String::new() } else { format!(".{extension}") };
        let sink = Self { dir, prefix, suffix };
        drop(sink.hidden()?);
        Ok(sink)
    }

    fn hidden(&self) -> io::Result<tempfile::NamedTempFile> {
        tempfile::Builder::new()
            .prefix(".xdpsar-")
            // As any other program's file; the umask takes what it takes.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(&self.dir)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Stores an event; returns the name that the file has got.
    pub(super) fn store(&self, item: Item<'_>) -> io::Result<String> {
        let mut file = self.hidden()?;
        file.as_file_mut().write_all(item.bytes)?;
        let name = format!("{}_{}_{}{}", self.prefix, item.event_number, item.data_id, self.suffix);
        let mut stored = name.clone();
        for again in 1_u64.. {
            match file.persist_noclobber(self.dir.join(&stored)) {
                Ok(_) => return Ok(stored),
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                    file = error.file;
                    stored = format!("{name}.{again}");
                }
                Err(error) => return Err(error.error),
            }
        }
        unreachable!("fewer than 2^64 files have one name")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(event_number: u64, bytes: &[u8]) -> Item<'_> {
        Item { event_number, data_id: 3, bytes }
    }

    fn names(dir: &std::path::Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_second_event_with_the_same_key_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let sink = DirSink::new(dir.path().join("new"), "event".into(), "bin").unwrap();
        let dir = dir.path().join("new");
        assert_eq!(names(&dir), [""; 0]);
        for bytes in [b"one", b"two", b"333"] {
            sink.store(item(18, bytes)).unwrap();
        }
        sink.store(item(u64::MAX, b"")).unwrap();
        assert_eq!(
            names(&dir),
            [
                "event_18446744073709551615_3.bin",
                "event_18_3.bin",
                "event_18_3.bin.1",
                "event_18_3.bin.2",
            ]
        );
        assert_eq!(fs::read(dir.join("event_18_3.bin")).unwrap(), b"one");
        assert_eq!(fs::read(dir.join("event_18_3.bin.2")).unwrap(), b"333");
        assert_eq!(fs::read(dir.join("event_18446744073709551615_3.bin")).unwrap(), b"");
    }

    #[test]
    fn names_follow_prefix_and_extension() {
        let dir = tempfile::tempdir().unwrap();
        for (prefix, extension) in [("run7", ".dat"), ("bare", "")] {
            let sink = DirSink::new(dir.path().into(), prefix.into(), extension).unwrap();
            sink.store(item(1, b"x")).unwrap();
        }
        assert_eq!(names(dir.path()), ["bare_1_3", "run7_1_3.dat"]);
    }

    #[test]
    fn a_reader_sees_whole_events_only() {
        let dir = tempfile::tempdir().unwrap();
        let sink = DirSink::new(dir.path().into(), "event".into(), "bin").unwrap();
        let event = vec![7; 3_000_000];
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = 0;
                while seen < 20 {
                    seen = 0;
                    for name in names(dir.path()).iter().filter(|name| !name.starts_with('.')) {
                        let length = fs::metadata(dir.path().join(name)).unwrap().len();
                        assert_eq!(length, 3_000_000, "{name}");
                        seen += 1;
                    }
                }
            });
            for number in 0..20 {
                sink.store(item(number, &event)).unwrap();
            }
            reader.join().unwrap();
        });
        assert!(names(dir.path()).iter().all(|name| !name.starts_with('.')));
    }

    #[test]
    fn an_event_that_cannot_be_stored_is_an_error_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let sink = DirSink::new(dir.path().into(), "no/such/dir".into(), "bin").unwrap();
        assert!(sink.store(item(1, b"x")).is_err());
        assert_eq!(names(dir.path()), [""; 0]);
        assert!(DirSink::new("/proc/self/nothing".into(), "event".into(), "bin").is_err());
    }
}
