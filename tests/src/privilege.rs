//! May this process make network namespaces?

use std::path::Path;

/// Set to `1` where a skipped test is a failure: in CI.
pub const REQUIRE: &str = "XDPSAR_REQUIRE_PRIVILEGED";

/// What the lab needs and this process lacks, or nothing.
pub fn missing() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("not root: network namespaces and XDP need it".into());
    }
    for tool in ["ip", "ethtool", "ping"] {
        let found = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
            .iter()
            .any(|dir| Path::new(dir).join(tool).exists());
        if !found {
            return Some(format!("`{tool}` is not installed (`make deps` installs it)"));
        }
    }
    None
}

/// Whether the test that asks can run. Prints why when it cannot.
///
/// # Panics
/// If it cannot and [`REQUIRE`] is set: a skipped test proves nothing, and CI
/// must not take it for a proof.
pub fn can_run(test: &str) -> bool {
    let Some(reason) = missing() else { return true };
    assert!(
        !std::env::var(REQUIRE).is_ok_and(|value| value == "1"),
        "{test} cannot run, and {REQUIRE}=1 forbids to skip it: {reason}"
    );
    eprintln!("SKIPPED {test}: {reason}");
    false
}

/// First line of a test that needs a [`Lab`](crate::Lab): returns from it,
/// saying why, when this process has not the privileges; fails instead under
/// `XDPSAR_REQUIRE_PRIVILEGED=1`.
#[macro_export]
macro_rules! privileged {
    () => {
        if !$crate::privilege::can_run(std::thread::current().name().unwrap_or(module_path!())) {
            return;
        }
    };
}
