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

/// Attaches `program`; the link lasts as long as its descriptor.
pub(super) fn attach(
    program: BorrowedFd<'_>,
    interface: &str,
    mode: AttachMode,
) -> Result<(OwnedFd, Attached), SetupError> {
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
fn link(program: BorrowedFd<'_>, interface: u32, mode: AttachedMode) -> io::Result<OwnedFd> {
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
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
