//! Why the system finds no way any more: it says so in one of several error
//! numbers, none of which names what is missing.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use crate::host;

/// Whether `error` may mean that the way is no more.
///
/// A socket whose own address was taken away gets `EINVAL`
/// (`ip_route_output_key_hash_rcu()`, `net/ipv4/route.c`).
pub(super) fn may_be(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ENODEV
                | libc::ENXIO
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTUNREACH
                | libc::EADDRNOTAVAIL
                | libc::EINVAL
        )
    )
}

/// What is missing of the way to `to`, through `interface` and from `source`
/// where those are known; `None` where nothing is.
pub(super) fn what(
    interface: Option<&str>,
    source: Option<IpAddr>,
    to: &SocketAddr,
) -> Option<String> {
    if let Some(name) = interface {
        match host::interface_by_name(name) {
            Ok(None) => return Some(format!("interface {name} is gone")),
            Ok(Some(found)) if !found.is_up => return Some(format!("interface {name} is down")),
            _ => {}
        }
    }
    if let Some(source) = source
        && matches!(host::interface_of(source), Ok(None))
    {
        return Some(format!("this host has the address {source} no more"));
    }
    let error = host::route_from(source, to).err()?;
    Some(format!("no route leads there any more ({error})"))
}
