//! `cargo xtask ebpf`: the XDP programs, from source to the committed objects.
//!
//! ```text
//! xdp-ebpf/src ──┐ toolchain   build          tidy            prebuilt
//! userspace/wire ┼───────────▶ cargo ──ELF──▶ no DWARF ─────▶ xdpsar-steer.o
//! Cargo.lock ────┘                            no machine path xdpsar-steer.info
//!      └────────────── sources: SHA-256 ─────────────────────────▲
//! ```
//!
//! `xdp-ebpf/bench` becomes `xdpsar-bench.o` in the same way.
//!
//! Only `cargo xtask ebpf` needs a BPF toolchain; users of the crates compile
//! the committed objects in.

mod build;
mod object;
mod prebuilt;
mod sources;
mod tidy;
mod toolchain;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::{
    object::{OBJECTS, Object},
    prebuilt::Prebuilt,
    toolchain::Wanted,
};

/// Arguments of `cargo xtask ebpf`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rebuild and compare with the committed objects; change nothing
    #[arg(long, conflicts_with = "stale")]
    check: bool,
    /// Only compare the sources' hashes with the committed ones (needs no BPF
    /// toolchain)
    #[arg(long)]
    stale: bool,
    /// Which compiler builds them: by default the one that built the committed
    /// object, else the first that is installed
    #[arg(long, value_enum, default_value_t = Wanted::Auto)]
    toolchain: Wanted,
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<()> {
    let root = root();
    for object in &OBJECTS {
        if args.stale {
            assert_fresh(&root, object)?;
        } else if args.check {
            check(&root, object, args.toolchain)?;
        } else {
            refresh(&root, object, args.toolchain)?;
        }
    }
    Ok(())
}

fn refresh(root: &Path, object: &Object, wanted: Wanted) -> Result<()> {
    let recorded = Prebuilt::read(root, object).ok();
    let toolchain = toolchain::find(wanted, recorded.as_ref().map(|old| old.compiler.as_str()))?;
    let new = Prebuilt {
        elf: build::elf(root, object, &toolchain)?,
        sources: sources::hash(root, object)?,
        compiler: toolchain.compiler,
        linker: toolchain.linker,
    };
    new.write(root, object)?;
    println!("{} ({} bytes, {})", object.path(), new.elf.len(), new.compiler);
    Ok(())
}

/// Fails unless the committed object was built from the sources as they are.
fn assert_fresh(root: &Path, object: &Object) -> Result<()> {
    let recorded = Prebuilt::read(root, object)?;
    let now = sources::hash(root, object)?;
    if recorded.sources != now {
        bail!(
            "{} is stale: built from sources {}, but they are {} now; run `cargo xtask ebpf` \
             and commit xdp-ebpf/prebuilt",
            object.path(),
            short(&recorded.sources),
            short(&now),
        );
    }
    println!("{} is of these sources ({})", object.path(), short(&now));
    Ok(())
}

fn check(root: &Path, object: &Object, wanted: Wanted) -> Result<()> {
    assert_fresh(root, object)?;
    let recorded = Prebuilt::read(root, object)?;
    let toolchain = toolchain::find(wanted, Some(&recorded.compiler))?;
    let elf = build::elf(root, object, &toolchain)?;
    let differences = tidy::differences(&recorded.elf, &elf)?;
    if differences.is_empty() {
        println!("{} rebuilt bit for bit by {}", object.path(), toolchain.compiler);
        return Ok(());
    }
    let same_tools = recorded.compiler == toolchain.compiler && recorded.linker == toolchain.linker;
    if same_tools {
        bail!(
            "{} is not what its sources build:\n  {}\nrun `cargo xtask ebpf` and commit \
             xdp-ebpf/prebuilt",
            object.path(),
            differences.join("\n  "),
        );
    }
    // Another compiler may order instructions otherwise, and that is no news
    // about the sources, whose hash was right.
    println!(
        "{} is of these sources; it was built by other tools, and this differs:\n  \
         committed: {}, {}\n  here:      {}, {}\n  {}",
        object.path(),
        recorded.compiler,
        recorded.linker,
        toolchain.compiler,
        toolchain.linker,
        differences.join("\n  "),
    );
    Ok(())
}

/// The workspace's root.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().map_or_else(|| manifest.to_path_buf(), Path::to_path_buf)
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// Reads a file, naming it when that fails.
fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What other crates compile in must be what the sources say.
    #[test]
    fn the_committed_objects_are_of_these_sources() {
        for object in &OBJECTS {
            assert_fresh(&root(), object).unwrap();
        }
    }

    #[test]
    fn the_committed_objects_name_no_machine() {
        let root = root();
        for object in &OBJECTS {
            let prebuilt = Prebuilt::read(&root, object).unwrap();
            tidy::assert_no_paths(&prebuilt.elf, &root).unwrap();
        }
    }
}
