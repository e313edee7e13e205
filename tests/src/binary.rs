//! The command under test.

use std::path::PathBuf;

/// The `xdpsar` binary that was built with this test or benchmark: next to it
/// in the build directory.
///
/// # Panics
/// If it has not been built (`cargo test --workspace` and the Makefile do).
pub fn binary() -> PathBuf {
    let own = std::env::current_exe().expect("the path of this process");
    let found = own.ancestors().skip(1).take(2).map(|dir| dir.join("xdpsar")).find(|p| p.is_file());
    found.unwrap_or_else(|| {
        panic!("no `xdpsar` beside {}: build it first (cargo build -p xdpsar-cli)", own.display())
    })
}
