//! Onto the interface, and never over anyone.
//!
//! The link is made here and not by aya, which on `EINVAL` falls back to a
//! netlink request: that would replace another's program, and outlive us.

use std::{
    ffi::CString,
    io,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

use super::refusal;
use crate::{config::AttachMode, error::SetupError};

/// Where the program ended up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// In the driver, or in the generic hook.
    pub mode: AttachedMode,
    /// Why not in the driver, where that was tried first.
    pub reason: Option<String>,
}

/// The two hooks of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttachedMode {
    /// In the driver, before the kernel has built anything.
    Native,
    /// After the kernel has built its skb; every interface has it.
    Generic,
}

impl AttachedMode {
    // include/uapi/linux/if_link.h (Linux 6.18): XDP_FLAGS_DRV_MODE and
    // XDP_FLAGS_SKB_MODE.
    const fn flags(self) -> u32 {
        match self {
            Self::Native => 1 << 2,
            Self::Generic => 1 << 1,
        }
    }
}

impl std::fmt::Display for AttachedMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Generic => "generic",
        })
    }
}

/// Waits until no program is on `interface`'s hook: for a moment if it is one
/// of ours, whose owner may just have been killed, not at all for a stranger's.
/// Asked before any socket is made, so that a receiver which is already running
/// is named as what it is.
pub(crate) fn hook_is_free(
    interface: &str,
    patience: std::time::Duration,
) -> Result<(), SetupError> {
    #[cfg(feature = "inspect")]
    {
        let start = std::time::Instant::now();
        // What cannot be asked is left to the attempt itself.
        while let Ok(Some(holder)) = crate::inspect::hook_holder(interface) {
            if holder.name != super::PROGRAM || start.elapsed() >= patience {
                return Err(refusal::taken(interface, format!("the hook is held by {holder}")));
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
    #[cfg(not(feature = "inspect"))]
    let _ = (interface, patience);
    Ok(())
}

/// Attaches `program`, until the link is dropped or the process ends.
pub(super) fn attach(
    program: BorrowedFd<'_>,
    interface: &str,
    mode: AttachMode,
) -> Result<(Link, Attached), SetupError> {
    let index = index_of(interface)?;
    let first = match mode {
        AttachMode::Auto | AttachMode::Native => AttachedMode::Native,
        AttachMode::Generic => AttachedMode::Generic,
    };
    let error = match link(program, index, first) {
        Ok(link) => return Ok((link, Attached { mode: first, reason: None })),
        Err(error) => error,
    };
    if mode != AttachMode::Auto || !refusal::of_the_driver(&error) {
        return Err(refusal::attach(interface, first, error));
    }
    let mode = AttachedMode::Generic;
    let link =
        link(program, index, mode).map_err(|error| refusal::attach(interface, mode, error))?;
    let reason = format!("the driver of {interface} refused native XDP ({error})");
    tracing::warn!("{reason}; attached in the generic hook");
    Ok((link, Attached { mode, reason: Some(reason) }))
}

/// The program's place on the hook.
///
/// The kernel ends it with the last descriptor, and so when the process dies.
/// But a child that another thread is just forking holds a second one until
/// its `exec`: to be gone when we say so, the link is detached, not only closed.
#[derive(Debug)]
pub(super) struct Link(OwnedFd);

impl Drop for Link {
    fn drop(&mut self) {
        // include/uapi/linux/bpf.h: BPF_LINK_DETACH (Linux 5.9), and the
        // start of `union bpf_attr`'s `link_detach`.
        const BPF_LINK_DETACH: libc::c_long = 34;
        let request = self.0.as_raw_fd();
        // SAFETY: the request is as long as announced, lives until the call
        // returns, and is a descriptor that we own and so open. Should the
        // call fail, closing does what is left to do.
        let _ = unsafe {
            libc::syscall(libc::SYS_bpf, BPF_LINK_DETACH, &raw const request, size_of::<i32>())
        };
    }
}

fn index_of(interface: &str) -> Result<u32, SetupError> {
    let name = CString::new(interface).map_err(|_| refusal::no_interface(interface))?;
    // SAFETY: `name` is a C string, and lives until the call returns.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(refusal::no_interface(interface)),
        index => Ok(index),
    }
}

/// `BPF_LINK_CREATE` for an XDP program (Linux 5.9, `kernel/bpf/syscall.c`,
/// `net/core/dev.c`: `bpf_xdp_link_attach`). Refuses with `EBUSY` or
/// `EEXIST` where another program is.
fn link(program: BorrowedFd<'_>, interface: u32, mode: AttachedMode) -> io::Result<Link> {
    // include/uapi/linux/bpf.h: BPF_LINK_CREATE, BPF_XDP, and the start of
    // `union bpf_attr`'s `link_create`; the kernel takes the rest as zero.
    const BPF_LINK_CREATE: libc::c_long = 28;
    const BPF_XDP: u32 = 37;
    #[repr(C)]
    struct LinkCreate {
        program: i32,
        interface: u32,
        attach_type: u32,
        flags: u32,
    }
    let request = LinkCreate {
        program: program.as_raw_fd(),
        interface,
        attach_type: BPF_XDP,
        flags: mode.flags(),
    };
    // SAFETY: the request is as long as announced, lives until the call
    // returns, and names a descriptor that is borrowed and so open.
    let fd = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_LINK_CREATE, &raw const request, size_of::<LinkCreate>())
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor (close-on-exec) for
    // us; nobody else has it.
    Ok(Link(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
}
