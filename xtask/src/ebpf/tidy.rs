//! What is committed of the linker's output, and how two of them compare.

use std::{collections::BTreeMap, env, path::Path};

use anyhow::{Result, bail};
use object::build::elf::{Builder, SectionData};

/// Takes out what no loader reads: DWARF (the linker has made BTF from it),
/// and the relocations of debug information and BTF.
pub(super) fn strip(elf: &[u8]) -> Result<Vec<u8>> {
    let mut builder = Builder::read(elf)?;
    for section in builder.sections.iter_mut() {
        let name = section.name.to_string();
        section.delete = name.starts_with(".debug_")
            || name.starts_with(".rel.debug_")
            || name.starts_with(".rel.BTF");
    }
    builder.delete_orphans();
    // LLVM keeps the names of sections and of symbols in one table; the
    // writer wants two.
    let names = builder.sections.add();
    names.name = ".shstrtab".into();
    names.sh_type = object::elf::SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;
    let mut stripped = Vec::new();
    builder.write(&mut stripped)?;
    Ok(stripped)
}

/// Fails if the object tells where it was built.
pub(super) fn assert_no_paths(object: &[u8], root: &Path) -> Result<()> {
    let mut tells = vec![
        root.display().to_string(),
        "/home/".into(),
        "/root/".into(),
        "/tmp/".into(),
        "registry/src/".into(),
    ];
    tells.extend(["HOME", "CARGO_HOME"].into_iter().filter_map(|name| env::var(name).ok()));
    for tell in tells {
        // A home of `/` would be found in any path.
        if tell.len() > 1 && names(object, tell.as_bytes()) {
            bail!("the object contains the path `{tell}` of the machine it was built on");
        }
    }
    Ok(())
}

/// Whether `path` is somewhere in the object; an absolute one as the beginning
/// of a path, or a checkout in `/src` would be found in those of `core`.
fn names(object: &[u8], path: &[u8]) -> bool {
    let is_within = |at: usize| {
        let before = at.checked_sub(1).map(|at| object[at]);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        path.starts_with(b"/") && before.is_some_and(is_name)
    };
    object.windows(path.len()).enumerate().any(|(at, part)| part == path && !is_within(at))
}

/// What differs between two objects, section by section, for people; empty if
/// nothing does.
pub(super) fn differences(committed: &[u8], built: &[u8]) -> Result<Vec<String>> {
    let (old, new) = (sections(committed)?, sections(built)?);
    let mut differences = Vec::new();
    for (name, bytes) in &old {
        match new.get(name) {
            None => differences.push(format!("{name}: only in the committed object")),
            Some(other) if other != bytes => differences.push(difference(name, bytes, other)),
            Some(_) => {}
        }
    }
    for name in new.keys().filter(|name| !old.contains_key(*name)) {
        differences.push(format!("{name}: only in the rebuilt object"));
    }
    if differences.is_empty() && committed != built {
        differences.push("the same sections, laid out otherwise".into());
    }
    Ok(differences)
}

fn difference(name: &str, committed: &[u8], built: &[u8]) -> String {
    let first = committed
        .iter()
        .zip(built)
        .position(|(old, new)| old != new)
        .unwrap_or(committed.len().min(built.len()));
    // An instruction takes 8 bytes.
    format!(
        "{name}: {} bytes committed, {} rebuilt, first difference at byte {first} (8-byte word {})",
        committed.len(),
        built.len(),
        first / 8,
    )
}

fn sections(elf: &[u8]) -> Result<BTreeMap<String, Vec<u8>>> {
    use object::{
        elf::FileHeader64,
        endian::Endianness,
        read::elf::{FileHeader as _, SectionHeader as _},
    };
    let header = FileHeader64::<Endianness>::parse(elf)?;
    let endian = header.endian()?;
    let table = header.sections(endian, elf)?;
    table
        .iter()
        .map(|section| {
            let name = String::from_utf8_lossy(table.section_name(endian, section)?).into_owned();
            Ok((name, section.data(endian, elf)?.to_vec()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_path_is_found_where_one_begins() {
        let object = b"\x7fELF\0/usr/lib/core/src/panic.rs\0registry/src/x\0";
        assert!(names(object, b"/usr/lib"));
        assert!(!names(object, b"/lib"));
        assert!(!names(b"\0/usr/lib/core/src/panic.rs\0", b"/src"));
        assert!(names(b"\0/src/main.rs\0", b"/src"));
        assert!(names(b"/src/main.rs", b"/src"));
        assert!(names(b"in (/src/main.rs:3)", b"/src"));
        assert!(names(object, b"registry/src/"));
    }
}
