//! The committed object, and what is on record about it.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::{read, sources::hex};

/// The object, relative to the root.
pub(super) const OBJECT: &str = "xdp-ebpf/prebuilt/xdpsar-steer.o";
const INFO: &str = "xdp-ebpf/prebuilt/xdpsar-steer.info";

/// The object with its record.
pub(super) struct Prebuilt {
    /// Hash of the sources, in hexadecimal.
    pub(super) sources: String,
    /// `rustc -V` and its LLVM.
    pub(super) compiler: String,
    /// `bpf-linker -V`.
    pub(super) linker: String,
    /// The ELF file.
    pub(super) object: Vec<u8>,
}

impl Prebuilt {
    /// Reads both files and makes sure that they belong together.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let info = String::from_utf8(read(&root.join(INFO))?).context(INFO)?;
        let field = |name: &str| {
            info.lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.to_owned())
                .with_context(|| format!("{INFO} has no `{name}`; run `cargo xtask ebpf`"))
        };
        let object = read(&root.join(OBJECT))?;
        if field("object")? != hex(&Sha256::digest(&object)) {
            bail!("{OBJECT} is not the object that {INFO} describes; run `cargo xtask ebpf`");
        }
        Ok(Self {
            sources: field("sources")?,
            compiler: field("compiler")?,
            linker: field("linker")?,
            object,
        })
    }

    /// Writes both files.
    pub(super) fn write(&self, root: &Path) -> Result<()> {
        let info = format!(
            "# Written by `cargo xtask ebpf`. Hashes are SHA-256.\n\
             sources: {}\nobject: {}\ncompiler: {}\nlinker: {}\n",
            self.sources,
            hex(&Sha256::digest(&self.object)),
            self.compiler,
            self.linker,
        );
        for (name, bytes) in [(OBJECT, self.object.as_slice()), (INFO, info.as_bytes())] {
            let path = root.join(name);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)
                    .with_context(|| format!("cannot make {}", folder.display()))?;
            }
            fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}
