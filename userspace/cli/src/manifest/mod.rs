//! The manifest: what the events of `send --input … --manifest` are called,
//! and how to know that they are right.
//!
//! It travels as events of its own, after the files', with a data id of its
//! own (65535 unless said otherwise). Each is one part, of up to 1024 files,
//! as JSON lines: first the part, then a line for each file.
//!
//! ```text
//! {"xdpsar_manifest":1,"set":"5f0c…","part":0,"parts":1,"files":2}
//! {"event_number":0,"data_id":4321,"size":12,"sha256":"9b74…","mode":420,"mtime_s":1795244877,"mtime_ns":0,"name":"run7/a.dat"}
//! {"event_number":1,"data_id":4321,"size":0,"sha256":"e3b0…","mode":420,"mtime_s":1795244877,"mtime_ns":0,"name_hex":"72756e372fff"}
//! ```
//!
//! A name has `/` between its parts, is relative, and stands as `name_hex`
//! where it is no UTF-8. Unknown fields are left alone, so that later ones
//! may be added; another number in `xdpsar_manifest` is another format.
//!
//! | module | holds |
//! |---|---|
//! | [`name`] | names that stay below a directory |

pub(crate) mod name;

use serde::{Deserialize, Serialize};

pub(crate) use name::Name;

/// Most files of a set.
pub(crate) const MAX_FILES: u64 = 1 << 20;
/// Most files of a part.
const PART_FILES: usize = 1024;
/// Most parts of a set.
const MAX_PARTS: u32 = (MAX_FILES / PART_FILES as u64) as u32;
/// What every part begins with.
const MAGIC: &[u8] = b"{\"xdpsar_manifest\":";
/// Longest name of a set.
const MAX_SET: usize = 64;
const VERSION: u32 = 1;

/// SHA-256 of an event.
pub(crate) type Hash = [u8; 32];

/// A part's first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    xdpsar_manifest: u32,
    /// Tells this set of files from others.
    pub(crate) set: String,
    pub(crate) part: u32,
    pub(crate) parts: u32,
    /// Files of all parts.
    pub(crate) files: u64,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) event_number: u64,
    pub(crate) data_id: u16,
    pub(crate) size: u64,
    pub(crate) sha256: Hash,
    /// Permission bits.
    pub(crate) mode: u32,
    /// Last change, since the epoch.
    pub(crate) mtime_s: i64,
    pub(crate) mtime_ns: u32,
    pub(crate) name: Name,
}

/// An entry as it stands in a line.
#[derive(Serialize, Deserialize)]
struct Line {
    event_number: u64,
    data_id: u16,
    size: u64,
    sha256: String,
    #[serde(default)]
    mode: u32,
    #[serde(default)]
    mtime_s: i64,
    #[serde(default)]
    mtime_ns: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name_hex: Option<String>,
}

/// How many parts so many files take.
pub(crate) fn parts(files: u64) -> u64 {
    files.div_ceil(PART_FILES as u64).max(1)
}

/// The parts, each the bytes of an event.
pub(crate) fn encode(set: &str, entries: &[Entry]) -> serde_json::Result<Vec<Vec<u8>>> {
    let parts = parts(entries.len() as u64) as u32;
    (0..parts)
        .map(|part| {
            let files = entries.len() as u64;
            let header = Part { xdpsar_manifest: VERSION, set: set.into(), part, parts, files };
            let mut text = serde_json::to_vec(&header)?;
            text.push(b'\n');
            for entry in entries.chunks(PART_FILES).nth(part as usize).unwrap_or_default() {
                serde_json::to_writer(&mut text, &Line::from(entry))?;
                text.push(b'\n');
            }
            Ok(text)
        })
        .collect()
}

/// Whether an event claims to be a part of a manifest.
pub(crate) fn is_part(event: &[u8]) -> bool {
    event.starts_with(MAGIC)
}

/// Reads a part: what it says of itself, and its files, each of them or why
/// it is refused. Every byte may be hostile.
///
/// # Errors
/// Why all of it is refused.
pub(crate) fn decode(event: &[u8]) -> Result<(Part, Vec<Result<Entry, String>>), String> {
    let text = event.strip_suffix(b"\n").unwrap_or(event);
    let mut lines = text.split(|&byte| byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let part: Part =
        serde_json::from_slice(first).map_err(|error| format!("its first line: {error}"))?;
    let Part { xdpsar_manifest: version, set, part: index, parts, files } = &part;
    if *version != VERSION {
        return Err(format!("it has version {version}, and this program knows {VERSION}"));
    }
    if set.is_empty() || set.len() > MAX_SET || !set.bytes().all(|c| c.is_ascii_alphanumeric()) {
        return Err(format!("its set is not named by 1 to {MAX_SET} letters and digits"));
    }
    if *parts > MAX_PARTS || index >= parts || *files > MAX_FILES {
        return Err(format!("it is part {index} of {parts} with {files} files in all"));
    }
    let entries: Vec<_> = lines
        .take(PART_FILES + 1)
        .map(|line| {
            let line: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
            Entry::try_from(line)
        })
        .collect();
    if entries.len() > PART_FILES {
        return Err(format!("it has more than {PART_FILES} lines"));
    }
    Ok((part, entries))
}

impl From<&Entry> for Line {
    fn from(entry: &Entry) -> Self {
        let name = std::str::from_utf8(entry.name.bytes()).map(str::to_owned).ok();
        Self {
            event_number: entry.event_number,
            data_id: entry.data_id,
            size: entry.size,
            sha256: hex(&entry.sha256),
            mode: entry.mode,
            mtime_s: entry.mtime_s,
            mtime_ns: entry.mtime_ns,
            name_hex: name.is_none().then(|| hex(entry.name.bytes())),
            name,
        }
    }
}

impl TryFrom<Line> for Entry {
    type Error = String;

    fn try_from(line: Line) -> Result<Self, String> {
        let name = match (line.name, line.name_hex) {
            (Some(name), None) => name.into_bytes(),
            (None, Some(hex)) => unhex(&hex).ok_or("its name_hex is not hexadecimal")?,
            _ => return Err("it has not one name".into()),
        };
        let sha256 = unhex(&line.sha256).and_then(|bytes| Hash::try_from(bytes).ok());
        Ok(Self {
            event_number: line.event_number,
            data_id: line.data_id,
            size: line.size,
            sha256: sha256.ok_or("its sha256 is not 64 hexadecimal digits")?,
            // No set-user-ID, set-group-ID or sticky bit comes off the wire.
            mode: line.mode & 0o777,
            mtime_s: line.mtime_s,
            mtime_ns: line.mtime_ns.min(999_999_999),
            name: Name::new(name)?,
        })
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

#[cfg(test)]
mod tests;
