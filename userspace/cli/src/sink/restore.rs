//! Events that a manifest names: checked, and given their names.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    os::fd::OwnedFd,
};

use rustix::{
    fs::{
        AtFlags, Mode, OFlags, RenameFlags, Timestamps, fchmod, futimens, linkat, mkdirat, openat,
        renameat_with, unlinkat,
    },
    io::Errno,
    process::umask,
    time::Timespec,
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{DirSink, Item};
use crate::manifest::{self, Entry, Hash, name};

/// Most files of one name that get `.1`, `.2` and so on.
const MAX_AGAIN: u32 = 10_000;
/// Most files of all sets: they are kept in mind.
const MAX_FILES: u64 = manifest::MAX_FILES;

/// Writes events below a directory as [`DirSink`] does, and gives each the
/// name that a manifest has for it, once its size and hash are right.
///
/// It comes in any order: events before their manifest and after it, parts of
/// several manifests between each other, the same part twice. An event that
/// no manifest names, or whose bytes are not what it says, stays under its
/// event name. No file is replaced, and nothing leaves the directory: names
/// are checked, and each of their directories is opened in the one above it
/// without following symbolic links.
pub(crate) struct Restorer {
    files: DirSink,
    /// The data id of manifests.
    data_id: u16,
    dir: OwnedFd,
    umask: u32,
    sets: HashMap<String, Set>,
    /// Named, and not here yet.
    wanted: HashMap<Key, Vec<Entry>>,
    /// Here, and not named yet.
    arrived: HashMap<Key, Vec<Arrived>>,
    totals: Restored,
    unrestored: Vec<Unrestored>,
}

type Key = (u64, u16);

#[derive(Debug, Default)]
struct Set {
    parts: u32,
    files: u64,
    seen: HashSet<u32>,
    /// Entries of the parts that came, refused ones included.
    listed: u64,
}

impl Set {
    fn is_complete(&self) -> bool {
        self.seen.len() == self.parts as usize && self.listed == self.files
    }
}

struct Arrived {
    stored: String,
    size: u64,
    sha256: Hash,
}

/// What became of the files that manifests name. Names are stable: this is
/// part of the JSON summary.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Restored {
    /// Sets of files, each with a manifest of its own.
    pub(crate) sets: u64,
    /// Those of which not every part came, or not every entry.
    pub(crate) sets_incomplete: u64,
    /// Manifest parts that came, each counted once.
    pub(crate) parts: u64,
    /// Parts that came again.
    pub(crate) parts_repeated: u64,
    /// Parts that made no sense.
    pub(crate) parts_refused: u64,
    /// Files whose size and hash are right, under their names.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Those of them that got `.1` or such appended: the name was taken.
    pub(crate) renamed: u64,
    /// Files that did not come.
    pub(crate) missing: u64,
    /// Files that came with other bytes.
    pub(crate) mismatched: u64,
    /// Entries that made no sense or led elsewhere.
    pub(crate) refused: u64,
    /// Files that the system would not give their names.
    pub(crate) failed: u64,
    /// Events that no manifest names.
    pub(crate) unlisted: u64,
}

impl Restored {
    /// Whether a manifest came and every file of it is in its place.
    pub(crate) fn is_clean(&self) -> bool {
        self.sets > 0
            && self.sets_incomplete + self.parts_refused + self.refused == 0
            && self.missing + self.mismatched + self.failed == 0
    }
}

/// A file that is not in its place, or not under its name.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename = "unrestored")]
pub(crate) struct Unrestored {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event_number: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data_id: Option<u16>,
    /// `missing`, `mismatched`, `refused`, `failed` or `renamed`.
    pub(crate) cause: &'static str,
    pub(crate) detail: String,
}

impl Unrestored {
    fn new(entry: &Entry, cause: &'static str, detail: impl Into<String>) -> Self {
        Self {
            name: entry.name.to_string(),
            event_number: Some(entry.event_number),
            data_id: Some(entry.data_id),
            cause,
            detail: detail.into(),
        }
    }

    fn refused(detail: String) -> Self {
        let name = String::new();
        let detail = name::show(detail.as_bytes());
        Self { name, event_number: None, data_id: None, cause: "refused", detail }
    }
}

impl Restorer {
    /// Below the directory of `files`; manifests have this data id.
    ///
    /// # Errors
    /// What opening the directory returns.
    pub(crate) fn new(files: DirSink, data_id: u16) -> io::Result<Self> {
        let dir = OwnedFd::from(File::open(files.dir())?);
        // It can only be asked by setting it. No other thread of ours makes
        // files.
        let mask = umask(Mode::empty());
        umask(mask);
        Ok(Self {
            files,
            data_id,
            dir,
            umask: mask.bits(),
            sets: HashMap::new(),
            wanted: HashMap::new(),
            arrived: HashMap::new(),
            totals: Restored::default(),
            unrestored: Vec::new(),
        })
    }

    /// Takes an event: a file's, a manifest's, or any other.
    pub(super) fn put(&mut self, item: Item<'_>) -> io::Result<()> {
        if item.data_id == self.data_id && manifest::is_part(item.bytes) {
            match manifest::decode(item.bytes) {
                Ok((part, entries)) => {
                    self.learn(part, entries);
                    return Ok(());
                }
                // Kept as what it is: somebody may want to see it.
                Err(why) => {
                    self.totals.parts_refused += 1;
                    let event = item.event_number;
                    let detail = format!("a part of a manifest (event {event}): {why}");
                    self.unrestored.push(Unrestored::refused(detail));
                }
            }
        }
        let stored = self.files.store(item)?;
        let arrived = Arrived {
            stored,
            size: item.bytes.len() as u64,
            sha256: Sha256::digest(item.bytes).into(),
        };
        let key = (item.event_number, item.data_id);
        let fits = |entry: &Entry| entry.sha256 == arrived.sha256 && entry.size == arrived.size;
        match take(&mut self.wanted, key, fits) {
            Some(entry) => self.settle(&entry, &arrived),
            None => self.arrived.entry(key).or_default().push(arrived),
        }
        Ok(())
    }

    fn learn(&mut self, part: manifest::Part, entries: Vec<Result<Entry, String>>) {
        let listed: u64 = self.sets.values().map(|set| set.listed).sum();
        if listed + entries.len() as u64 > MAX_FILES {
            self.totals.parts_refused += 1;
            let detail = format!("a part of a manifest: more than {MAX_FILES} files in all");
            return self.unrestored.push(Unrestored::refused(detail));
        }
        let set = self.sets.entry(part.set).or_insert_with(|| Set {
            parts: part.parts,
            files: part.files,
            ..Set::default()
        });
        if (set.parts, set.files) != (part.parts, part.files) {
            self.totals.parts_refused += 1;
            let detail = "a part of a manifest: it contradicts another one".into();
            return self.unrestored.push(Unrestored::refused(detail));
        }
        if !set.seen.insert(part.part) {
            self.totals.parts_repeated += 1;
            return;
        }
        self.totals.parts += 1;
        set.listed += entries.len() as u64;
        for entry in entries {
            match entry {
                Ok(entry) => self.want(entry),
                Err(why) => {
                    self.totals.refused += 1;
                    self.unrestored.push(Unrestored::refused(format!("a file: {why}")));
                }
            }
        }
    }

    fn want(&mut self, entry: Entry) {
        let key = (entry.event_number, entry.data_id);
        let fits = |found: &Arrived| found.sha256 == entry.sha256 && found.size == entry.size;
        match take(&mut self.arrived, key, fits) {
            Some(arrived) => self.settle(&entry, &arrived),
            None => self.wanted.entry(key).or_default().push(entry),
        }
    }

    fn settle(&mut self, entry: &Entry, arrived: &Arrived) {
        match self.place(entry, &arrived.stored) {
            Ok(again) => {
                self.totals.files += 1;
                self.totals.bytes += arrived.size;
                if again > 0 {
                    self.totals.renamed += 1;
                    let detail = format!("its name was taken: it has .{again} appended");
                    self.unrestored.push(Unrestored::new(entry, "renamed", detail));
                }
            }
            Err(error) => {
                self.totals.failed += 1;
                let detail = format!("it stays {}: {error}", arrived.stored);
                self.unrestored.push(Unrestored::new(entry, "failed", detail));
            }
        }
    }

    /// Renames a file; returns which number was appended.
    fn place(&self, entry: &Entry, stored: &str) -> io::Result<u32> {
        let (above, last) = entry.name.split();
        let mut parent: Option<OwnedFd> = None;
        for part in above {
            let next = {
                let here = parent.as_ref().unwrap_or(&self.dir);
                match mkdirat(here, part, Mode::from_raw_mode(0o777)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                open_dir(here, part)?
            };
            parent = Some(next);
        }
        let parent = parent.as_ref().unwrap_or(&self.dir);
        let file = openat(
            &self.dir,
            stored,
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let mut name = last.to_vec();
        for again in 1..=MAX_AGAIN {
            match rename(&self.dir, stored, parent, &name) {
                Ok(()) => {
                    dress(&File::from(file), entry, self.umask);
                    return Ok(again - 1);
                }
                Err(Errno::EXIST) => {
                    name = [last, format!(".{again}").as_bytes()].concat();
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::other(format!("there are {MAX_AGAIN} files of that name")))
    }

    /// Whether every file of every manifest that came is in its place, and
    /// one came.
    pub(crate) fn is_complete(&self) -> bool {
        !self.sets.is_empty() && self.wanted.is_empty() && self.sets.values().all(Set::is_complete)
    }

    /// The end: what is still open is missing or wrong. Returns the totals,
    /// and what is not in its place.
    pub(crate) fn finish(&mut self) -> (Restored, Vec<Unrestored>) {
        let wanted = std::mem::take(&mut self.wanted);
        let unlisted = self.arrived.iter().filter(|(key, _)| !wanted.contains_key(key));
        self.totals.unlisted = unlisted.map(|(_, all)| all.len() as u64).sum();
        for entry in wanted.into_values().flatten() {
            let unrestored = match self.arrived.get(&(entry.event_number, entry.data_id)) {
                Some(arrived) => {
                    self.totals.mismatched += 1;
                    let stored: Vec<_> = arrived.iter().map(|found| &*found.stored).collect();
                    let detail = format!("other bytes came: {}", stored.join(", "));
                    Unrestored::new(&entry, "mismatched", detail)
                }
                None => {
                    self.totals.missing += 1;
                    Unrestored::new(&entry, "missing", "its event did not come")
                }
            };
            self.unrestored.push(unrestored);
        }
        let mut totals = self.totals.clone();
        totals.sets = self.sets.len() as u64;
        totals.sets_incomplete = self.sets.values().filter(|set| !set.is_complete()).count() as u64;
        let mut unrestored = std::mem::take(&mut self.unrestored);
        unrestored.sort_by(|a, b| a.name.cmp(&b.name));
        (totals, unrestored)
    }
}

/// Takes the first that fits out of what is there under a key.
fn take<T>(all: &mut HashMap<Key, Vec<T>>, key: Key, fits: impl FnMut(&T) -> bool) -> Option<T> {
    let these = all.get_mut(&key)?;
    let found = these.iter().position(fits).map(|at| these.swap_remove(at));
    if these.is_empty() {
        all.remove(&key);
    }
    found
}

/// The directory of that one name in another one; a symbolic link is none.
fn open_dir(within: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
    let only = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(openat(within, name, only, Mode::empty())?)
}

/// Renames, and replaces nothing.
fn rename(from: &OwnedFd, old: &str, to: &OwnedFd, new: &[u8]) -> Result<(), Errno> {
    match renameat_with(from, old, to, new, RenameFlags::NOREPLACE) {
        // Not every file system can (NFS cannot).
        Err(Errno::INVAL | Errno::NOSYS) => {
            linkat(from, old, to, new, AtFlags::empty())?;
            unlinkat(from, old, AtFlags::empty())
        }
        result => result,
    }
}

/// Gives a file its time and its permissions, as far as the umask lets. It is
/// whole and in its place: that it stays younger is no failure.
fn dress(file: &File, entry: &Entry, umask: u32) {
    // Its owner can read it, whatever the wire says.
    let mode = Mode::from_raw_mode(entry.mode & !umask & 0o777 | 0o400);
    let time = Timespec { tv_sec: entry.mtime_s, tv_nsec: entry.mtime_ns.into() };
    let times = Timestamps { last_access: time, last_modification: time };
    let dressed = fchmod(file, mode).and_then(|()| futimens(file, &times));
    if let Err(error) = dressed {
        tracing::warn!("{}: its time or mode cannot be set: {error}", entry.name);
    }
}

#[cfg(test)]
mod tests;
