//! Asking the kernel, through libbpf: who holds an interface's XDP hook, and
//! what its driver can do. Nothing here changes anything.

use std::{ffi::CString, fmt, io};

use libbpf_rs::libbpf_sys as sys;

/// A program on an interface's XDP hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookHolder {
    /// The program's id, as `bpftool prog` shows it.
    pub id: u32,
    /// Its name, at most 15 bytes; empty where the kernel would not tell.
    pub name: String,
    /// Which of the hooks it is on.
    pub hook: Hook,
}

impl fmt::Display for HookHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() { "(no name)" } else { &self.name };
        write!(f, "program {} `{name}` ({})", self.id, self.hook)
    }
}

/// The hooks that an interface has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    /// In the driver.
    Native,
    /// After the kernel has built its skb.
    Generic,
    /// On the NIC itself.
    Offloaded,
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Offloaded => "offloaded",
        })
    }
}

/// What the driver says that it can do with XDP (Linux 6.3,
/// `include/uapi/linux/netdev.h`, `netdev_xdp_act`). Loopback and tunnels
/// have none of it, and the generic hook all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XdpFeatures {
    /// Programs in the driver: pass, drop, transmit.
    pub native: bool,
    /// Redirect to another interface or to an AF_XDP socket.
    pub redirect: bool,
    /// AF_XDP without a copy.
    pub zero_copy: bool,
    /// Packets in several buffers (MTU beyond a page).
    pub multi_buffer: bool,
    /// Programs on the NIC itself.
    pub offload: bool,
    /// Buffers a packet may take in zero-copy mode; 0: not known, 1: no
    /// multi-buffer with zero-copy.
    pub zero_copy_segments: u32,
}

/// The program on `interface`'s XDP hook, if there is one.
///
/// # Errors
/// No such interface, or the kernel would not say.
pub fn hook_holder(interface: &str) -> io::Result<Option<HookHolder>> {
    let found = query(interface)?;
    let held = [
        (found.drv_prog_id, Hook::Native),
        (found.skb_prog_id, Hook::Generic),
        (found.hw_prog_id, Hook::Offloaded),
    ];
    Ok(held.into_iter().find(|(id, _)| *id != 0).map(|(id, hook)| HookHolder {
        id,
        name: program_name(id).unwrap_or_default(),
        hook,
    }))
}

/// What `interface`'s driver can do with XDP.
///
/// # Errors
/// No such interface. A kernel before 6.3 does not say, which reads as "none".
pub fn xdp_features(interface: &str) -> io::Result<XdpFeatures> {
    let found = query(interface)?;
    // NETDEV_XDP_ACT_…, which libbpf-sys does not name.
    let has = |bit: u32| found.feature_flags >> bit & 1 == 1;
    Ok(XdpFeatures {
        native: has(0),
        redirect: has(1),
        zero_copy: has(3),
        multi_buffer: has(5),
        offload: has(4),
        zero_copy_segments: found.xdp_zc_max_segs,
    })
}

fn query(interface: &str) -> io::Result<sys::bpf_xdp_query_opts> {
    let name = CString::new(interface).map_err(io::Error::other)?;
    // SAFETY: `name` is a C string, and lives until the call returns.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = sys::bpf_xdp_query_opts {
        sz: size_of::<sys::bpf_xdp_query_opts>() as sys::size_t,
        ..Default::default()
    };
    // SAFETY: `found` is as long as it says, and lives until the call returns.
    match unsafe { sys::bpf_xdp_query(index as i32, 0, &raw mut found) } {
        0 => Ok(found),
        // libbpf returns the negated error number.
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}

/// The name of a loaded program; takes CAP_SYS_ADMIN or CAP_BPF.
fn program_name(id: u32) -> Option<String> {
    use std::os::fd::AsRawFd as _;
    let program = libbpf_rs::Program::fd_from_id(id).ok()?;
    let mut info = sys::bpf_prog_info::default();
    let mut length = size_of::<sys::bpf_prog_info>() as u32;
    // SAFETY: the descriptor is open, and `info` is as long as `length` says.
    let result = unsafe {
        sys::bpf_prog_get_info_by_fd(program.as_raw_fd(), &raw mut info, &raw mut length)
    };
    if result != 0 {
        return None;
    }
    let name: Vec<u8> =
        info.name.iter().take_while(|byte| **byte != 0).map(|byte| *byte as u8).collect();
    Some(String::from_utf8_lossy(&name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_is_not_there_is_an_error() {
        assert!(hook_holder("no-such-if").is_err());
        assert!(xdp_features("no\0pe").is_err());
    }

    #[test]
    fn loopback_has_no_driver_for_xdp() {
        assert_eq!(hook_holder("lo").unwrap(), None);
        assert!(!xdp_features("lo").unwrap().zero_copy);
    }
}
