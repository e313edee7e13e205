//! `cargo xtask ebpf`: the XDP program, from source to the committed object.
//!
//! ```text
//! xdp-ebpf/src ──┐ toolchain   build          tidy            prebuilt
//! userspace/wire ┼───────────▶ cargo ──ELF──▶ no DWARF ─────▶ xdpsar-steer.o
//! Cargo.lock ────┘                            no machine path xdpsar-steer.info
//!      └────────────── sources: SHA-256 ─────────────────────────▲
//! ```
//!
//! Only `cargo xtask ebpf` needs a BPF toolchain; users of the crates compile
//! the committed object in.

mod build;
mod prebuilt;
mod sources;
mod tidy;
mod toolchain;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::{prebuilt::Prebuilt, toolchain::Wanted};

/// Arguments of `cargo xtask ebpf`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rebuild and compare with the committed object; change nothing
    #[arg(long, conflicts_with = "stale")]
    check: bool,
    /// Only compare the sources' hash with the committed one (needs no BPF
    /// toolchain)
    #[arg(long)]
    stale: bool,
    /// Which compiler builds it: by default the one that built the committed
    /// object, else the first that is installed
    #[arg(long, value_enum, default_value_t = Wanted::Auto)]
    toolchain: Wanted,
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<()> {
    let root = root();
    if args.stale {
        return assert_fresh(&root);
    }
    if args.check {
        return check(&root, args.toolchain);
    }
    let recorded = Prebuilt::read(&root).ok();
    let toolchain =
        toolchain::find(args.toolchain, recorded.as_ref().map(|old| old.compiler.as_str()))?;
    let object = build::object(&root, &toolchain)?;
    let new = Prebuilt {
        sources: sources::hash(&root)?,
        compiler: toolchain.compiler.clone(),
        linker: toolchain.linker.clone(),
        object,
    };
    new.write(&root)?;
    println!("{} ({} bytes, {})", prebuilt::OBJECT, new.object.len(), new.compiler);
    Ok(())
}

/// Fails unless the committed object was built from the sources as they are.
fn assert_fresh(root: &Path) -> Result<()> {
    let recorded = Prebuilt::read(root)?;
    let now = sources::hash(root)?;
    if recorded.sources != now {
        bail!(
            "{} is stale: built from sources {}, but they are {} now; run `cargo xtask ebpf` \
             and commit xdp-ebpf/prebuilt",
            prebuilt::OBJECT,
            short(&recorded.sources),
            short(&now),
        );
    }
    println!("{} is of these sources ({})", prebuilt::OBJECT, short(&now));
    Ok(())
}

fn check(root: &Path, wanted: Wanted) -> Result<()> {
    assert_fresh(root)?;
    let recorded = Prebuilt::read(root)?;
    let toolchain = toolchain::find(wanted, Some(&recorded.compiler))?;
    let object = build::object(root, &toolchain)?;
    let differences = tidy::differences(&recorded.object, &object)?;
    if differences.is_empty() {
        println!("{} rebuilt bit for bit by {}", prebuilt::OBJECT, toolchain.compiler);
        return Ok(());
    }
    let same_tools = recorded.compiler == toolchain.compiler && recorded.linker == toolchain.linker;
    if same_tools {
        bail!(
            "{} is not what its sources build:\n  {}\nrun `cargo xtask ebpf` and commit \
             xdp-ebpf/prebuilt",
            prebuilt::OBJECT,
            differences.join("\n  "),
        );
    }
    // Another compiler may order instructions otherwise, and that is no news
    // about the sources, whose hash was right.
    println!(
        "{} is of these sources; it was built by other tools, and this differs:\n  \
         committed: {}, {}\n  here:      {}, {}\n  {}",
        prebuilt::OBJECT,
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
    /// What the tests of every other crate load must be what is in `src`.
    #[test]
    fn the_committed_object_is_of_these_sources() {
        super::assert_fresh(&super::root()).unwrap();
    }

    #[test]
    fn the_committed_object_names_no_machine() {
        let root = super::root();
        let prebuilt = super::Prebuilt::read(&root).unwrap();
        super::tidy::assert_no_paths(&prebuilt.object, &root).unwrap();
    }
}
