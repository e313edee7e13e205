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
    // Of paths to homes, checkouts and downloads, on any machine.
    let mut parts = ["home", "root", "tmp"].map(|top| format!("/{top}/")).to_vec();
    parts.push("registry/src/".into());
    let mut paths = vec![root.display().to_string()];
    paths.extend(["HOME", "CARGO_HOME"].into_iter().filter_map(|name| env::var(name).ok()));
    // A home of `/` would be found in any path.
    paths.retain(|path| path.len() > 1);
    let mut told = parts.iter().filter(|part| places(object, part).next().is_some());
    let mut led = paths.iter().filter(|path| has_path(object, path));
    if let Some(tell) = told.next().or_else(|| led.next()) {
        bail!("the object contains the path `{tell}` of the machine it was built on");
    }
    Ok(())
}

/// Whether a path in the object begins with this one: a checkout in `/src` is
/// not in those of `core`.
fn has_path(object: &[u8], path: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let begins = |at: usize| at.checked_sub(1).is_none_or(|before| !is_name(object[before]));
    places(object, path).any(begins)
}

/// Where `text` is in the object.
fn places(object: &[u8], text: &str) -> impl Iterator<Item = usize> {
    let parts = object.windows(text.len()).enumerate();
    parts.filter(move |(_, part)| *part == text.as_bytes()).map(|(at, _)| at)
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
    use std::path::Path;

    use super::{assert_no_paths, has_path};

    #[test]
    fn a_path_is_found_where_one_begins() {
        let object = b"\x7fELF\0/usr/lib/core/src/panic.rs\0";
        assert!(has_path(object, "/usr/lib"));
        assert!(!has_path(object, "/lib"));
        assert!(!has_path(object, "/src"));
        assert!(has_path(b"\0/src/main.rs\0", "/src"));
        assert!(has_path(b"/src/main.rs", "/src"));
        assert!(has_path(b"in (/src/main.rs:3)", "/src"));
    }

    #[test]
    fn homes_and_downloads_are_found_wherever_they_are() {
        let root = Path::new("/nowhere/in/particular");
        for top in ["home", "root", "tmp"] {
            let object = format!("\0/var/{top}/checkout/main.rs\0");
            assert!(assert_no_paths(object.as_bytes(), root).is_err(), "{object}");
        }
        assert!(assert_no_paths(b"\0registry/src/x\0", root).is_err());
        assert!(assert_no_paths(b"\0library/core/src/hint.rs\0", root).is_ok());
        assert!(assert_no_paths(b"\0/nowhere/in/particular/main.rs\0", root).is_err());
    }
}
