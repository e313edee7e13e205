//! Which compiler can build for BPF here.
//!
//! It takes the sources of `core`, unstable flags, and a `bpf-linker` whose
//! LLVM is not older than the compiler's. Two sets of tools have them.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

/// LLVM learnt `allows-misaligned-mem-access` for BPF in this version.
const MIN_LLVM: u32 = 22;

/// How to get what is missing.
const INSTALL: &str = "with rustup:
  rustup toolchain install nightly --component rust-src
  cargo install bpf-linker@0.13.0
or, on Debian:
  apt-get install rustc-web rust-web-src llvm-22-dev
  RUSTFLAGS=\"-L /usr/lib/llvm-22/lib\" cargo install bpf-linker@0.13.0 --no-default-features \
--features llvm-22";

/// The compiler asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Wanted {
    /// Whichever serves.
    Auto,
    /// rustup's nightly with `rust-src`.
    Rustup,
    /// Debian's `rustc-web` with `rust-web-src`.
    Debian,
}

/// A compiler that serves.
pub(super) struct Toolchain {
    /// Runs cargo with this compiler: program and first arguments.
    pub(super) cargo: Vec<String>,
    /// Set as `RUSTC`, where cargo would not find it by itself.
    pub(super) rustc: Option<PathBuf>,
    /// Where the sources of the standard library lie.
    pub(super) library: PathBuf,
    /// `rustc -V` and its LLVM.
    pub(super) compiler: String,
    /// `bpf-linker -V`.
    pub(super) linker: String,
}

/// Finds a toolchain. Of several, the one that is `preferred` (as in
/// [`Toolchain::compiler`]).
///
/// # Errors
/// None serves: the text says what each lacks and how to install it.
pub(super) fn find(wanted: Wanted, preferred: Option<&str>) -> Result<Toolchain> {
    let linker = output(&["bpf-linker", "--version"])
        .with_context(|| format!("`bpf-linker` does not run; install it:\n{INSTALL}"))?;
    let mut lacking = Vec::new();
    let mut found = Vec::new();
    for (kind, name, probe) in [
        (Wanted::Rustup, "rustup nightly", rustup as fn(&str) -> Result<Toolchain>),
        (Wanted::Debian, "Debian's rustc", debian),
    ] {
        if wanted != Wanted::Auto && wanted != kind {
            continue;
        }
        match probe(&linker) {
            Ok(toolchain) => found.push(toolchain),
            Err(error) => lacking.push(format!("  {name}: {error:#}")),
        }
    }
    let best = found
        .iter()
        .position(|toolchain| Some(toolchain.compiler.as_str()) == preferred)
        .unwrap_or(0);
    if best < found.len() {
        return Ok(found.swap_remove(best));
    }
    bail!("no compiler here builds for BPF:\n{}\ninstall one:\n{INSTALL}", lacking.join("\n"))
}

fn rustup(linker: &str) -> Result<Toolchain> {
    let run = |tool: &str| vec!["rustup".to_owned(), "run".into(), "nightly".into(), tool.into()];
    toolchain(&run("rustc"), run("cargo"), None, linker)
}

fn debian(linker: &str) -> Result<Toolchain> {
    let rustc = PathBuf::from("/usr/bin/rustc");
    // The cargo that runs us: Debian's own may be older than the lock file.
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    toolchain(&["/usr/bin/rustc".into()], vec![cargo], Some(rustc), linker)
}

fn toolchain(
    rustc: &[String],
    cargo: Vec<String>,
    path: Option<PathBuf>,
    linker: &str,
) -> Result<Toolchain> {
    let ask = |argument: &str| {
        let mut command: Vec<&str> = rustc.iter().map(String::as_str).collect();
        command.push(argument);
        output(&command)
    };
    let version = ask("-vV")?;
    let first = version.lines().next().unwrap_or_default();
    let llvm =
        version.lines().find_map(|line| line.strip_prefix("LLVM version: ")).unwrap_or("unknown");
    let major = llvm.split('.').next().and_then(|number| number.parse::<u32>().ok());
    if major.is_none_or(|major| major < MIN_LLVM) {
        bail!("{first} has LLVM {llvm}, need {MIN_LLVM}");
    }
    let library = Path::new(&ask("--print=sysroot")?).join("lib/rustlib/src/rust/library");
    if !library.join("core/src/lib.rs").is_file() {
        bail!("{first} is there, but not the sources of `core`");
    }
    Ok(Toolchain {
        cargo,
        rustc: path,
        library,
        compiler: format!("{first}, LLVM {llvm}"),
        linker: linker.to_owned(),
    })
}

fn output(command: &[&str]) -> Result<String> {
    let (program, arguments) = command.split_first().context("no command")?;
    let output = Command::new(program)
        .args(arguments)
        .env_remove("RUSTUP_TOOLCHAIN")
        .output()
        .with_context(|| format!("`{program}` does not run"))?;
    if !output.status.success() {
        bail!("`{}` failed: {}", command.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
