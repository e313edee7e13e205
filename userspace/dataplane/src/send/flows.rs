//! The sockets that events leave through: one source port is one flow, which
//! link aggregation and RSS keep together.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use crate::{host, random::SplitMix64, sys};

/// Source ports are drawn from here on (`data-plane.md` §3.5).
const FIRST_PORT: u16 = 10_000;
/// Ports that are tried before the kernel may choose one.
const ATTEMPTS: usize = 32;

/// One sending socket.
pub(super) struct Flow {
    fd: OwnedFd,
    connected_to: SocketAddr,
}

impl Flow {
    /// A socket towards `to`, with a random source port and a send buffer of
    /// `send_buffer` bytes, as far as the system allows. Also returns the
    /// size that was granted.
    pub(super) fn open(
        to: SocketAddr,
        send_buffer: usize,
        random: &mut SplitMix64,
    ) -> io::Result<(Self, usize)> {
        let fd = sys::udp_socket(&to)?;
        let socket = fd.as_fd();
        // A datagram longer than the path allows is our mistake: an error,
        // rather than IP fragments that no receiver of events accepts.
        let (level, name, refuse) = match to {
            SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO),
            SocketAddr::V6(_) => {
                (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DO)
            }
        };
        sys::set_option(socket, level, name, refuse)?;
        let granted = sys::set_buffer(socket, libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, send_buffer)?;
        bind_somewhere(socket, host::wildcard(&to.ip()), random)?;
        sys::connect(socket, &to)?;
        Ok((Self { fd, connected_to: to }, granted))
    }

    /// The socket.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Whether datagrams without a destination of their own go to `port`.
    pub(super) fn leads_to(&self, port: u16) -> bool {
        self.connected_to.port() == port
    }

    /// Makes datagrams without a destination of their own go to `port`.
    pub(super) fn turn_to(&mut self, port: u16) -> io::Result<()> {
        let mut to = self.connected_to;
        to.set_port(port);
        sys::connect(self.fd.as_fd(), &to)?;
        self.connected_to = to;
        Ok(())
    }
}

fn bind_somewhere(
    socket: BorrowedFd<'_>,
    wildcard: IpAddr,
    random: &mut SplitMix64,
) -> io::Result<()> {
    let ports = u64::from(u16::MAX - FIRST_PORT) + 1;
    for _ in 0..ATTEMPTS {
        let port = FIRST_PORT + random.below(ports) as u16;
        match sys::bind(socket, &SocketAddr::new(wildcard, port)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            other => return other,
        }
    }
    sys::bind(socket, &SocketAddr::new(wildcard, 0))
}
