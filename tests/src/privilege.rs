//! May this process make network namespaces?

use std::{fs, io::Write, path::Path};

/// Set to `1` where a skipped test is a failure: in CI.
pub const REQUIRE: &str = "XDPSAR_REQUIRE_PRIVILEGED";

/// Capabilities a lab takes, by their bits (include/uapi/linux/capability.h).
const CAPABILITIES: [(&str, u32); 3] =
    [("CAP_NET_ADMIN", 12), ("CAP_NET_RAW", 13), ("CAP_SYS_ADMIN", 21)];

/// What the lab needs and this process lacks, or nothing.
pub fn missing() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("not root: network namespaces and XDP need it".into());
    }
    // Root in a container may be root in name only.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let effective = effective.unwrap_or(u64::MAX);
    for (name, bit) in CAPABILITIES {
        if effective >> bit & 1 == 0 {
            return Some(format!("root without {name}"));
        }
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
    // Past libtest's capture, which hides what a passing test prints.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
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
