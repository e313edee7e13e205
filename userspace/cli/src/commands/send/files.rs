//! Files as events: looked at before the first datagram, then read or mapped
//! one after the other.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::{FileExt, FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use xdpsar::{Buffer, Error, SendBackend, SetupError, SetupErrorKind};

use super::pool::Pool;
use crate::{
    manifest::{Hash, Name},
    output::Skipped,
    status::Failure,
};

/// From this size on, files are mapped: below, reading costs less.
const WORTH_MAPPING: u64 = 1 << 20;
/// Bytes hashed at once of a file that is not read otherwise.
const HASHED: usize = 1 << 20;

/// A file to send.
pub(super) struct Listed {
    path: PathBuf,
    /// What it is called below what was named, as bytes.
    name: Vec<u8>,
}

impl Listed {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The name that it can have elsewhere.
    ///
    /// # Errors
    /// There is none: its path is too long or too deep.
    pub(super) fn name(&self) -> Result<Name, Failure> {
        Name::new(self.name.clone()).map_err(|why| {
            let asked = format!("sending {} with --manifest", self.path.display());
            usage(asked, why, "name a directory further down")
        })
    }
}

/// Finds all files of `inputs`, directories and theirs in the order of names,
/// and opens each once: a typing mistake must not end a run half-way.
///
/// Symbolic links to files are files; those to directories are skipped, so
/// that nothing comes twice or leads round in circles.
///
/// # Errors
/// What is not there, may not be read, or is longer than an event can be.
pub(super) fn list(inputs: &[PathBuf]) -> Result<(Vec<Listed>, Vec<Skipped>), Failure> {
    let mut found = (Vec::new(), Vec::new());
    for path in inputs {
        let kind = look(path)?;
        // As `cp -r`: what is named keeps its own name, but not the way there.
        let name = path.file_name().unwrap_or_default().as_encoded_bytes().to_vec();
        if kind.is_dir() {
            list_below(path, &name, &mut found)?;
        } else if let Some(what) = special(&kind) {
            return Err(usage(
                format!("sending {}", path.display()),
                format!("it is {what}"),
                "name files and directories, or `-` for a stream of events",
            ));
        } else {
            found.0.push(checked(path.clone(), name, &kind)?);
        }
    }
    Ok(found)
}

fn list_below(
    dir: &Path,
    name: &[u8],
    found: &mut (Vec<Listed>, Vec<Skipped>),
) -> Result<(), Failure> {
    let unreadable = |error| Failure::reading(dir, error);
    let entries = fs::read_dir(dir).map_err(unreadable)?;
    let mut entries: Vec<_> = entries.collect::<Result<_, _>>().map_err(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let is_link =
            entry.file_type().map_err(|error| Failure::reading(&path, error))?.is_symlink();
        let kind = look(&path)?;
        let own = entry.file_name();
        let name = if name.is_empty() {
            own.as_encoded_bytes().to_vec()
        } else {
            [name, b"/", own.as_encoded_bytes()].concat()
        };
        let skipped = match special(&kind) {
            _ if kind.is_dir() && is_link => Some("a symbolic link to a directory"),
            _ if kind.is_dir() => {
                list_below(&path, &name, found)?;
                continue;
            }
            special => special,
        };
        match skipped {
            Some(what) => found.1.push(Skipped::new(&path, what)),
            None => found.0.push(checked(path, name, &kind)?),
        }
    }
    Ok(())
}

/// What a path leads to.
fn look(path: &Path) -> Result<Metadata, Failure> {
    fs::metadata(path).map_err(|error| Failure::reading(path, error))
}

/// What it is, if neither file nor directory.
fn special(kind: &Metadata) -> Option<&'static str> {
    let kind = kind.file_type();
    [
        (kind.is_fifo(), "a pipe"),
        (kind.is_socket(), "a socket"),
        (kind.is_block_device(), "a block device"),
        (kind.is_char_device(), "a character device"),
    ]
    .into_iter()
    .find_map(|(is, what)| is.then_some(what))
}

fn checked(path: PathBuf, name: Vec<u8>, kind: &Metadata) -> Result<Listed, Failure> {
    length(&path, kind.len())?;
    File::open(&path).map_err(|error| Failure::reading(&path, error))?;
    Ok(Listed { path, name })
}

/// The length of an event.
fn length(path: &Path, bytes: u64) -> Result<u32, Failure> {
    u32::try_from(bytes).map_err(|_| {
        let asked = format!("sending {} as one event", path.display());
        let found = format!("it has {bytes} bytes, and an event has 4294967295 at most");
        usage(asked, found, "split it (`split --bytes`)")
    })
}

fn usage(asked: String, found: String, remedy: &str) -> Failure {
    SetupError::new(SetupErrorKind::Usage, asked, found, remedy).into()
}

/// A file's bytes, ready to send.
pub(super) struct Loaded {
    pub(super) bytes: Buffer,
    pub(super) sha256: Option<Hash>,
    pub(super) kind: Metadata,
    /// Where the file may still change the event.
    pub(super) mapped: Option<Mapped>,
}

/// Reads a file, or maps it if it is long and the kernel alone will touch its
/// bytes, which it sends out of its own cache then. With AF_XDP, the program
/// would touch them, and be killed should somebody shorten the file just then:
/// there, all are read.
///
/// # Errors
/// What reading returns.
pub(super) fn load(
    listed: &Listed,
    backend: SendBackend,
    pool: &Pool,
    hashed: bool,
) -> Result<Loaded, Failure> {
    let path = &listed.path;
    let unreadable = |error| Failure::reading(path, error);
    let mut file = File::open(path).map_err(unreadable)?;
    let kind = file.metadata().map_err(unreadable)?;
    let len = length(path, kind.len())? as usize;
    if kind.len() >= WORTH_MAPPING && backend != SendBackend::Xdp {
        let bytes = Buffer::map_file(&file, len).map_err(unreadable)?;
        let sha256 = if hashed { Some(hash(&file, len).map_err(unreadable)?) } else { None };
        let mapped = Some(Mapped { file, path: path.clone(), before: Stamp::of(&kind) });
        return Ok(Loaded { bytes, sha256, kind, mapped });
    }
    let mut bytes = pool.take(len);
    let len = read_full(&mut file, &mut bytes[..len]).map_err(unreadable)?;
    let sha256 = hashed.then(|| Sha256::digest(&bytes[..len]).into());
    Ok(Loaded { bytes: pool.event(bytes, len), sha256, kind, mapped: None })
}

/// Reads until the buffer is full, or there is no more; returns how much.
pub(super) fn read_full(from: &mut impl Read, to: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < to.len() {
        match from.read(&mut to[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

/// The hash of what a mapping of the file shows, without touching that.
fn hash(file: &File, len: usize) -> io::Result<Hash> {
    let mut hash = Sha256::new();
    let mut bytes = vec![0; HASHED];
    let mut at = 0;
    while at < len {
        let want = HASHED.min(len - at);
        match file.read_at(&mut bytes[..want], at as u64)? {
            0 => break,
            n => {
                hash.update(&bytes[..n]);
                at += n;
            }
        }
    }
    Ok(hash.finalize().into())
}

/// A file that is being sent from its mapping.
pub(super) struct Mapped {
    file: File,
    path: PathBuf,
    before: Stamp,
}

#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(kind: &Metadata) -> Self {
        Self {
            bytes: kind.len(),
            modified: (kind.mtime(), kind.mtime_nsec()),
            changed: (kind.ctime(), kind.ctime_nsec()),
        }
    }
}

impl Mapped {
    /// The file, if it is no longer what it was.
    pub(super) fn changed(&self) -> Option<&Path> {
        let now = self.file.metadata().ok().map(|kind| Stamp::of(&kind));
        (now.as_ref() != Some(&self.before)).then_some(&self.path)
    }

    /// Why it was not sent, in terms of the file.
    pub(super) fn explain(&self, error: Error) -> Error {
        match self.file.metadata() {
            Ok(now) if now.len() < self.before.bytes && !matches!(error, Error::Stopped) => {
                let asked = format!("sending {}", self.path.display());
                let found = format!(
                    "it was cut short from {} to {} bytes meanwhile ({error})",
                    self.before.bytes,
                    now.len()
                );
                let remedy = "send files that nobody writes to";
                SetupError::new(SetupErrorKind::System, asked, found, remedy).into()
            }
            _ => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::symlink, net::UnixListener};

    use super::*;

    fn names(inputs: &[PathBuf]) -> (Vec<String>, Vec<String>) {
        let (files, skipped) = list(inputs).unwrap_or_else(|failure| panic!("{failure}"));
        let names = files.iter().map(|file| String::from_utf8_lossy(&file.name).into_owned());
        (names.collect(), skipped.iter().map(|skipped| skipped.reason.clone()).collect())
    }

    fn refusal(input: &Path) -> String {
        match list(&[input.into()]) {
            Err(failure) => failure.to_string(),
            Ok(_) => panic!("{} is taken", input.display()),
        }
    }

    #[test]
    fn a_tree_is_listed_in_order_and_special_files_are_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run7");
        fs::create_dir_all(run.join("b/deep")).unwrap();
        for name in ["z", "b/2", "b/10", "b/deep/x", "a b", "\u{e4}"] {
            fs::write(run.join(name), name).unwrap();
        }
        symlink("z", run.join("link")).unwrap();
        symlink("..", run.join("b/round")).unwrap();
        let _socket = UnixListener::bind(run.join("socket")).unwrap();
        let (files, skipped) = names(&[run.clone(), run.join("z")]);
        assert_eq!(
            files,
            [
                "run7/a b",
                "run7/b/10",
                "run7/b/2",
                "run7/b/deep/x",
                "run7/link",
                "run7/z",
                "run7/\u{e4}",
                "z",
            ]
        );
        assert_eq!(skipped, ["a symbolic link to a directory", "a socket"]);
        assert_eq!(names(&[run.join("b/..")]).0.len(), 7);
        assert_eq!(names(&[run.join("b/deep/.")]).0, ["deep/x"]);
        assert!(refusal(&run.join("socket")).contains("it is a socket"));
        assert!(refusal(&run.join("nothing")).contains("No such file"));
        symlink("nowhere", run.join("b/dangling")).unwrap();
        assert!(refusal(&run).contains("dangling: No such file"));
    }

    #[test]
    fn files_longer_than_an_event_are_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 32).unwrap();
        assert!(refusal(file.path()).contains("4294967296 bytes"));
    }

    #[test]
    fn long_files_are_mapped_and_changes_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        for (len, backend, is_mapped) in [
            (WORTH_MAPPING - 1, SendBackend::Mmsg, false),
            (WORTH_MAPPING, SendBackend::Mmsg, true),
            (WORTH_MAPPING, SendBackend::Gso, true),
            (WORTH_MAPPING, SendBackend::Xdp, false),
        ] {
            let path = dir.path().join("file");
            let bytes: Vec<u8> = (0..len).map(|i| ((i * 31) >> 3) as u8).collect();
            fs::write(&path, &bytes).unwrap();
            let listed = Listed { path: path.clone(), name: b"file".to_vec() };
            let loaded = load(&listed, backend, &Pool::default(), true).ok().unwrap();
            assert!(loaded.bytes.parts()[0][..] == bytes);
            assert_eq!(loaded.sha256, Some(Sha256::digest(&bytes).into()));
            assert_eq!(loaded.mapped.is_some(), is_mapped);
            if let Some(mapped) = loaded.mapped {
                assert_eq!(mapped.changed(), None);
                assert!(matches!(mapped.explain(Error::Stopped), Error::Stopped));
                File::options().write(true).open(&path).unwrap().set_len(5).unwrap();
                assert_eq!(mapped.changed(), Some(&*path));
                let explained = mapped.explain(Error::QueueFull { capacity: 1 }).to_string();
                assert!(explained.contains("from 1048576 to 5 bytes"), "{explained}");
            }
        }
    }
}
