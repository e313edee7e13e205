//! What this host is like: interfaces, routes, kernel, privileges.

pub(crate) mod exit;
mod interface;
#[cfg(feature = "xdp")]
pub(crate) mod neighbour;
pub(crate) mod netlink;

use std::{
    ffi::CStr,
    io,
    mem::MaybeUninit,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    os::fd::AsFd,
};

pub use interface::{
    Interface, LocalAddress, interface_by_name, interface_names, interface_of, local_addresses,
};

use crate::sys;

/// The way that datagrams to one destination take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Largest IP datagram in bytes. At most 65535 over IPv4, whose length
    /// field has 16 bits, though the loopback interface has 65536.
    pub mtu: u32,
    /// The address that they leave from.
    pub source: IpAddr,
}

/// Looks up the route to `to`, without sending anything.
///
/// # Errors
/// The system's, `ENETUNREACH` above all.
pub fn route_to(to: &SocketAddr) -> io::Result<Route> {
    route_from(None, to)
}

/// As [`route_to`], for datagrams that leave from `source`, an address of the
/// same IP version: routing may depend on it.
///
/// # Errors
/// As [`route_to`], and `EADDRNOTAVAIL` where this host has no such address.
pub fn route_from(source: Option<IpAddr>, to: &SocketAddr) -> io::Result<Route> {
    let socket = sys::udp_socket(to)?;
    if source.is_some() {
        sys::bind(socket.as_fd(), &local_end(source, to))?;
    }
    // Port 0 cannot be connected to; any other asks the same route.
    let mut peer = *to;
    if peer.port() == 0 {
        peer.set_port(9);
    }
    sys::connect(socket.as_fd(), &peer)?;
    let (level, name) = match to {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MTU),
    };
    let mtu = sys::get_option(socket.as_fd(), level, name, 0)?;
    let source = sys::local_address(socket.as_fd())?.ip();
    Ok(Route { mtu: u32::try_from(mtu).unwrap_or(0), source })
}

/// The addresses of the interface that datagrams to `to` leave through: the
/// one that they leave from, then the others of its IP version, then the rest.
///
/// # Errors
/// As [`route_to`].
pub fn local_addresses_towards(to: &SocketAddr) -> io::Result<Vec<IpAddr>> {
    let source = route_to(to)?.source;
    let interface = exit::interface_towards(None, to)?;
    let mut found = vec![source];
    for local in local_addresses()? {
        if local.interface == interface && !found.contains(&local.address) {
            found.push(local.address);
        }
    }
    found[1..].sort_by_key(|address| address.is_ipv4() != source.is_ipv4());
    Ok(found)
}

/// The kernel's version, major and minor: `(6, 18)`. `(0, 0)` if it does not
/// say.
pub fn kernel_release() -> (u32, u32) {
    let mut name = MaybeUninit::<libc::utsname>::zeroed();
    // SAFETY: `name` is as large as the structure that is written.
    if unsafe { libc::uname(name.as_mut_ptr()) } != 0 {
        return (0, 0);
    }
    // SAFETY: zeroed before and filled by uname: arrays of bytes.
    let name = unsafe { name.assume_init() };
    // SAFETY: uname terminates each of its strings.
    let release = unsafe { CStr::from_ptr(name.release.as_ptr()) };
    parse_release(&release.to_string_lossy()).unwrap_or((0, 0))
}

fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Capabilities that AF_XDP with a program of its own needs, by their numbers
/// in `include/uapi/linux/capability.h`.
const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// The capabilities that the AF_XDP path needs and this thread lacks.
///
/// `CAP_NET_RAW` opens the sockets. `CAP_NET_ADMIN` (it is a network program),
/// `CAP_BPF` and `CAP_PERFMON` (since Linux 5.8; `CAP_SYS_ADMIN` includes
/// both) load the program: without the last, the verifier forbids packet
/// offsets that depend on the packet, and so the way over headers of variable
/// length.
pub fn missing_capabilities() -> Vec<&'static str> {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    missing_from(effective_capabilities(&status))
}

fn effective_capabilities(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
}

fn missing_from(effective: u64) -> Vec<&'static str> {
    let has = |capability: u32| effective & (1 << capability) != 0;
    let mut missing = Vec::new();
    if !has(CAP_NET_ADMIN) {
        missing.push("CAP_NET_ADMIN");
    }
    if !has(CAP_NET_RAW) {
        missing.push("CAP_NET_RAW");
    }
    if !has(CAP_BPF) && !has(CAP_SYS_ADMIN) {
        missing.push("CAP_BPF");
    }
    if !has(CAP_PERFMON) && !has(CAP_SYS_ADMIN) {
        missing.push("CAP_PERFMON");
    }
    missing
}

/// `fe80::/10`: meaningful together with an interface only.
pub(crate) const fn is_link_local(address: &Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfe80
}

/// The near end, port open, of a flow to `to`: `source`, or any address of the
/// same IP version. A link-local one is on the interface that `to` names.
pub(crate) fn local_end(source: Option<IpAddr>, to: &SocketAddr) -> SocketAddr {
    match (source.unwrap_or_else(|| wildcard(&to.ip())), to) {
        (IpAddr::V6(v6), SocketAddr::V6(to)) if is_link_local(&v6) => {
            SocketAddrV6::new(v6, 0, 0, to.scope_id()).into()
        }
        (ip, _) => SocketAddr::new(ip, 0),
    }
}

/// The wildcard address of the same IP version.
pub(crate) const fn wildcard(like: &IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_route_to_ourselves_is_the_loopback() {
        let route = route_to(&"127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!(route.source, IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert_eq!(route.mtu, interface_by_name("lo").unwrap().unwrap().mtu.min(65535));
        let route = route_to(&"[::1]:19522".parse().unwrap()).unwrap();
        assert_eq!(route.source, IpAddr::V6(Ipv6Addr::LOCALHOST));
    }

    #[test]
    fn kernel_releases_are_read() {
        assert_eq!(parse_release("6.18.44-fc-v445"), Some((6, 18)));
        assert_eq!(parse_release("5.15-rc3"), Some((5, 15)));
        assert_eq!(parse_release("next"), None);
        assert!(kernel_release() > (3, 0));
    }

    #[test]
    fn capabilities_are_read_from_the_status_file() {
        let status = "Name:\tx\nCapPrm:\tff\nCapEff:\t0000000000003000\nCapBnd:\t0\n";
        assert_eq!(missing_from(effective_capabilities(status)), ["CAP_BPF", "CAP_PERFMON"]);
        assert_eq!(missing_from(1 << CAP_SYS_ADMIN), ["CAP_NET_ADMIN", "CAP_NET_RAW"]);
        assert!(missing_from(u64::MAX).is_empty());
        assert_eq!(effective_capabilities(""), 0);
    }
}
