//! The hash of everything an object is made from.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::{build, object::Object, read};

/// Files and folders that all objects are made from, relative to the root. The
/// workspace's own manifest is not among them: what it lends to `wire` is
/// pinned in the lock file.
const SOURCES: [&str; 4] = [
    "xdp-ebpf/Cargo.toml",
    "xdp-ebpf/Cargo.lock",
    "userspace/wire/Cargo.toml",
    "userspace/wire/src",
];

/// SHA-256 over the names of its sources, lengths and bytes, and the compiler's
/// flags, in hexadecimal. Where the checkout lies does not enter.
pub(super) fn hash(root: &Path, object: &Object) -> Result<String> {
    let mut files = Vec::new();
    for source in SOURCES.into_iter().chain([object.sources]) {
        collect(root, Path::new(source), &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    for flag in build::FLAGS {
        hash.update(flag);
        hash.update([0]);
    }
    for file in files {
        let bytes = read(&root.join(&file))?;
        hash.update(file.as_os_str().as_encoded_bytes());
        hash.update([0]);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    Ok(hex(&hash.finalize()))
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a `String` does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn collect(root: &Path, path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let full = root.join(path);
    if !full.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    let entries = full.read_dir().with_context(|| format!("cannot list {}", full.display()))?;
    for entry in entries {
        collect(root, &path.join(entry?.file_name()), files)?;
    }
    Ok(())
}
