//! The sockets that events leave through: one source port is one flow, which
//! link aggregation and RSS keep together.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use super::{SendConfig, answers};
use crate::{host, random::SplitMix64, sys};

/// Source ports are drawn from here on (`data-plane.md` §3.5).
const FIRST_PORT: u16 = 10_000;
/// Ports that are tried before the kernel may choose one.
const ATTEMPTS: usize = 32;

/// One sending socket.
pub(crate) struct Flow {
    fd: OwnedFd,
    /// Where datagrams without a destination of their own go.
    connected_to: Option<SocketAddr>,
}

impl Flow {
    /// A socket as `config` has it, with a random source port and a send
    /// buffer of the size asked for, as far as the system allows. Also returns
    /// the size that was granted.
    pub(super) fn open(config: &SendConfig, random: &mut SplitMix64) -> io::Result<(Self, usize)> {
        let to = config.to;
        let fd = sys::udp_socket(&to)?;
        let socket = fd.as_fd();
        let (level, discover, refuse, traffic_class) = match to {
            SocketAddr::V4(_) => {
                (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO, libc::IP_TOS)
            }
            SocketAddr::V6(_) => (
                libc::IPPROTO_IPV6,
                libc::IPV6_MTU_DISCOVER,
                libc::IPV6_PMTUDISC_DO,
                libc::IPV6_TCLASS,
            ),
        };
        // A datagram longer than the path allows is our mistake: an error,
        // rather than IP fragments that no receiver of events accepts.
        sys::set_option(socket, level, discover, refuse)?;
        answers::listen(socket, &to)?;
        if let Some(dscp) = config.dscp {
            // The two low bits are ECN's.
            sys::set_option(socket, level, traffic_class, i32::from(dscp) << 2)?;
        }
        let granted =
            sys::set_buffer(socket, libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, config.send_buffer)?;
        bind_somewhere(socket, host::local_end(config.source, &to), random)?;
        let mut flow = Self { fd, connected_to: None };
        if config.connected {
            flow.turn_to(to)?;
        }
        Ok((flow, granted))
    }

    /// The socket.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Whether datagrams without a destination of their own go to `to`.
    pub(super) fn leads_to(&self, to: SocketAddr) -> bool {
        self.connected_to == Some(to)
    }

    /// Whether it is connected to one destination at a time.
    pub(super) const fn is_connected(&self) -> bool {
        self.connected_to.is_some()
    }

    /// Makes datagrams without a destination of their own go to `to`.
    pub(super) fn turn_to(&mut self, to: SocketAddr) -> io::Result<()> {
        sys::connect(self.fd.as_fd(), &to)?;
        self.connected_to = Some(to);
        Ok(())
    }

    /// The address that datagrams leave from; `None` where each may leave
    /// from another.
    pub(super) fn source(&self) -> Option<IpAddr> {
        let ip = sys::local_address(self.fd.as_fd()).ok()?.ip();
        (!ip.is_unspecified()).then_some(ip)
    }
}

/// Binds to a random port at `end`, whose own port is not looked at.
fn bind_somewhere(
    socket: BorrowedFd<'_>,
    mut end: SocketAddr,
    random: &mut SplitMix64,
) -> io::Result<()> {
    let ports = u64::from(u16::MAX - FIRST_PORT) + 1;
    for _ in 0..ATTEMPTS {
        end.set_port(FIRST_PORT + random.below(ports) as u16);
        match sys::bind(socket, &end) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            other => return other,
        }
    }
    end.set_port(0);
    sys::bind(socket, &end)
}
