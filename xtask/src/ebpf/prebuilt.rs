//! The committed object, and what is on record about it.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::{object::Object, read, sources::hex};

/// An object with its record.
pub(super) struct Prebuilt {
    /// Hash of the sources, in hexadecimal.
    pub(super) sources: String,
    /// `rustc -V` and its LLVM.
    pub(super) compiler: String,
    /// `bpf-linker -V`.
    pub(super) linker: String,
    /// The ELF file.
    pub(super) elf: Vec<u8>,
}

impl Prebuilt {
    /// Reads both files and makes sure that they belong together.
    pub(super) fn read(root: &Path, object: &Object) -> Result<Self> {
        let (path, record) = (object.path(), object.info());
        let info = String::from_utf8(read(&root.join(&record))?).context(record.clone())?;
        let field = |name: &str| {
            info.lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.to_owned())
                .with_context(|| format!("{record} has no `{name}`; run `cargo xtask ebpf`"))
        };
        let elf = read(&root.join(&path))?;
        if field("object")? != hex(&Sha256::digest(&elf)) {
            bail!("{path} is not the object that {record} describes; run `cargo xtask ebpf`");
        }
        Ok(Self {
            sources: field("sources")?,
            compiler: field("compiler")?,
            linker: field("linker")?,
            elf,
        })
    }

    /// Writes both files.
    pub(super) fn write(&self, root: &Path, object: &Object) -> Result<()> {
        let info = format!(
            "# Written by `cargo xtask ebpf`. Hashes are SHA-256.\n\
             sources: {}\nobject: {}\ncompiler: {}\nlinker: {}\n",
            self.sources,
            hex(&Sha256::digest(&self.elf)),
            self.compiler,
            self.linker,
        );
        for (name, bytes) in
            [(object.path(), self.elf.as_slice()), (object.info(), info.as_bytes())]
        {
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
