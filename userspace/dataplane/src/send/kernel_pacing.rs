//! Leaving it to the kernel to space datagrams out (`SO_MAX_PACING_RATE`,
//! since Linux 3.13), where it does.

use std::{io, os::fd::BorrowedFd};

use super::flows::Flow;
use crate::{
    host::{self, exit},
    sys,
};

/// What became of [`SendConfig::kernel_pacing`](super::SendConfig::kernel_pacing).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelPacing {
    /// Whether the kernel keeps the rate. Otherwise it is for the sender to
    /// wait, with a [`Pace`](super::Pace).
    pub is_kept: bool,
    /// Why, or why not.
    pub reason: String,
}

impl KernelPacing {
    /// Of a sender whose packets see no queueing discipline.
    pub(super) fn passed_by() -> Self {
        let reason = "AF_XDP goes past the interface's queueing disciplines".into();
        Self { is_kept: false, reason }
    }
}

/// Asks for `rate` bytes a second in each of the sockets, if the interface
/// that they lead to keeps such rates.
pub(super) fn ask(rate: u64, interface: Option<&str>, flows: &[Flow]) -> io::Result<KernelPacing> {
    let Some(name) = interface else {
        let reason = "the system does not say which interface this goes through".into();
        return Ok(KernelPacing { is_kept: false, reason });
    };
    let index = host::interface_by_name(name)?.map_or(0, |found| found.index);
    let (is_kept, found) = exit::paces(index)?;
    if !is_kept {
        let reason = format!(
            "{name} has {found}, and only fq keeps rates (`tc qdisc replace dev {name} root fq`)"
        );
        return Ok(KernelPacing { is_kept, reason });
    }
    for flow in flows {
        limit(flow.socket(), rate)?;
    }
    Ok(KernelPacing { is_kept, reason: format!("{name} has {found}, which keeps the rate") })
}

/// Since Linux 5.0 the rate has the width of a `long`; before, what is past
/// 32 bits was cut off (`sk_setsockopt()`, `net/core/sock.c`).
fn limit(socket: BorrowedFd<'_>, rate: u64) -> io::Result<()> {
    let rate = libc::c_ulong::try_from(rate).unwrap_or(libc::c_ulong::MAX);
    sys::set_option_raw(socket, libc::SOL_SOCKET, libc::SO_MAX_PACING_RATE, &rate)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn rates_past_32_bits_reach_the_socket() {
        let fd = sys::udp_socket(&"127.0.0.1:1".parse().unwrap()).unwrap();
        for rate in [125_000_000u64, 50_000_000_000] {
            limit(fd.as_fd(), rate).unwrap();
            let words =
                sys::get_option(fd.as_fd(), libc::SOL_SOCKET, libc::SO_MAX_PACING_RATE, [0u32; 2]);
            let bytes = words.unwrap().map(u32::to_ne_bytes).concat();
            assert_eq!(u64::from_ne_bytes(bytes.try_into().unwrap()), rate);
        }
    }
}
