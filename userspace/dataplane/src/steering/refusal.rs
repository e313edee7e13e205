//! The kernel said no: what that means, and what to do.

use std::{error::Error, io};

use aya::maps::MapError;

use super::attach::AttachedMode;
use crate::{
    error::{SetupError, SetupErrorKind},
    host,
};

/// `aya` could not load the object, or the kernel would not.
pub(super) fn load(error: &(dyn Error + 'static)) -> SetupError {
    let asked = "load the XDP steering program";
    let code = os_error(error);
    // The verifier says EACCES. To those without CAP_PERFMON it forbids what
    // every program must do that walks over headers of variable length
    // (Linux 5.8, `kernel/bpf/verifier.c`, `sanitize_ptr_alu`).
    if let Some(code @ (libc::EPERM | libc::EACCES)) = code
        && (code == libc::EPERM || !host::missing_capabilities().is_empty())
    {
        return permission(asked, code);
    }
    let kind = match code {
        Some(libc::ENOMEM) => SetupErrorKind::Memory,
        _ => SetupErrorKind::Unsupported,
    };
    let refusal = SetupError::new(
        kind,
        asked,
        chain(error),
        "Linux 5.18 or later is needed; the socket backend works without XDP",
    );
    match code {
        Some(code) => refusal.caused_by(io::Error::from_raw_os_error(code)),
        None => refusal,
    }
}

/// A map operation failed.
pub(super) fn map(asked: String, error: &MapError) -> SetupError {
    let refusal = SetupError::new(
        SetupErrorKind::System,
        asked,
        chain(error),
        "the slot must be below the number given at load, and the socket an AF_XDP one",
    );
    match os_error(error) {
        Some(code) => refusal.caused_by(io::Error::from_raw_os_error(code)),
        None => refusal,
    }
}

/// The compiled-in object lacks something.
pub(super) fn object(what: &str) -> SetupError {
    SetupError::new(
        SetupErrorKind::System,
        format!("use {what} of the XDP steering program"),
        "the compiled-in object has no such thing",
        "rebuild it with `cargo xtask ebpf`",
    )
}

/// There is no such interface.
pub(super) fn no_interface(interface: &str) -> SetupError {
    SetupError::new(
        SetupErrorKind::NoInterface,
        format!("attach the XDP program to `{interface}`"),
        "there is no such interface in this network namespace",
        "`ip link` lists those that are there",
    )
}

/// Whether the driver refused what the generic hook may still take: no XDP,
/// no multi-buffer XDP, too few queues or too large an MTU for it. A taken
/// hook or a missing right are no such refusals.
pub(super) fn of_the_driver(error: &io::Error) -> bool {
    !matches!(
        error.raw_os_error(),
        Some(libc::EBUSY | libc::EEXIST | libc::EPERM | libc::EACCES | libc::ENODEV)
    )
}

/// `BPF_LINK_CREATE` failed.
pub(super) fn attach(interface: &str, mode: AttachedMode, error: io::Error) -> SetupError {
    let asked = format!("attach the XDP program to {interface} ({mode})");
    let (kind, found, remedy) = match error.raw_os_error() {
        Some(libc::EBUSY | libc::EEXIST) => {
            return taken(interface, holder(interface)).caused_by(error);
        }
        Some(code @ (libc::EPERM | libc::EACCES)) => return permission(&asked, code),
        Some(libc::ENODEV) => return no_interface(interface),
        Some(libc::ERANGE) => (
            SetupErrorKind::Mtu,
            "its MTU is larger than the driver can do with XDP".to_owned(),
            format!("`ip link set dev {interface} mtu …` lower, or attach in the generic hook"),
        ),
        Some(libc::ENOSPC) => (
            SetupErrorKind::Unsupported,
            "the driver has too few queues left (veth: fewer RX queues than its peer has TX \
             queues)"
                .to_owned(),
            format!("`ethtool -L {interface}` sets them; or attach in the generic hook"),
        ),
        _ => (
            SetupErrorKind::Unsupported,
            format!("the kernel refused ({error})"),
            match mode {
                AttachedMode::Native => {
                    "the driver may lack native XDP: attach in the generic hook"
                }
                AttachedMode::Generic => "Linux 5.18 or later is needed; or use the socket backend",
            }
            .to_owned(),
        ),
    };
    SetupError::new(kind, asked, found, remedy).caused_by(error)
}

/// Another program is on the interface's hook.
pub(super) fn taken(interface: &str, found: String) -> SetupError {
    SetupError::new(
        SetupErrorKind::HookTaken,
        format!("attach the XDP program to {interface}"),
        found,
        format!(
            "stop the program's owner, or if nobody owns it any more, \
             `ip link set dev {interface} xdp off`"
        ),
    )
}

/// Who holds the interface's hook, as far as this build can tell.
fn holder(interface: &str) -> String {
    #[cfg(feature = "inspect")]
    if let Ok(Some(holder)) = crate::inspect::hook_holder(interface) {
        return format!("the hook is held by {holder}");
    }
    format!("another program holds the XDP hook of {interface}")
}

fn permission(asked: &str, code: i32) -> SetupError {
    let missing = host::missing_capabilities();
    let found = if missing.is_empty() {
        "the kernel refused though the capabilities are there (container, lockdown or LSM policy?)"
            .to_owned()
    } else {
        format!("this process lacks {}", missing.join(" and "))
    };
    SetupError::new(
        SetupErrorKind::Permission,
        asked,
        found,
        "run as root, or `setcap cap_net_admin,cap_net_raw,cap_bpf,cap_perfmon+ep` on the binary; the socket \
         backend needs no privileges",
    )
    .caused_by(io::Error::from_raw_os_error(code))
}

/// The system's error number, wherever in the chain it is.
fn os_error(error: &(dyn Error + 'static)) -> Option<i32> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(code) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return Some(code);
        }
        next = error.source();
    }
    None
}

/// The whole chain on one line. Of a verifier's log, which may be long, the
/// end: there stands what it refused.
fn chain(error: &(dyn Error + 'static)) -> String {
    const AT_MOST: usize = 600;
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let source_text = source.to_string();
        if !text.contains(&source_text) {
            text = format!("{text}: {source_text}");
        }
        next = source.source();
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().rev().nth(AT_MOST) {
        Some((cut, _)) => format!("…{}", &text[cut..]),
        None => text,
    }
}
