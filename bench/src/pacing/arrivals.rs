//! When which bytes arrived.

use std::{
    io::{self, IoSliceMut},
    net::{SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt},
};

/// IPv4 and UDP headers: what a datagram has besides its payload.
const HEADERS: u64 = 28;
/// Room for half a second at 5 Gb/s, as far as the system allows.
const BUFFER: usize = 256 << 20;
/// Silence after which nothing more comes.
const SILENCE: Duration = Duration::from_millis(300);

/// A datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// Nanoseconds since the epoch.
    pub(crate) at: u64,
    /// Bytes of the IP datagram.
    pub(crate) bytes: u64,
}

/// A socket on the loopback interface.
pub(crate) struct Arrivals {
    socket: UdpSocket,
    address: SocketAddr,
}

impl Arrivals {
    pub(crate) fn open() -> io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        // Without privileges the system's limit holds; losses are shown.
        if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &BUFFER)?;
        }
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        socket.set_read_timeout(Some(SILENCE))?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes down every datagram until none comes any more.
    pub(crate) fn record(self) -> io::Result<Vec<Arrival>> {
        let mut arrivals = Vec::new();
        let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
        // The length is asked for, not the bytes.
        let mut byte = [0];
        loop {
            let mut parts = [IoSliceMut::new(&mut byte)];
            let descriptor = self.socket.as_raw_fd();
            let flags = MsgFlags::MSG_TRUNC;
            match recvmsg::<()>(descriptor, &mut parts, Some(&mut control), flags) {
                Ok(message) => {
                    let bytes = message.bytes as u64 + HEADERS;
                    let at = message.cmsgs()?.find_map(|control| match control {
                        ControlMessageOwned::ScmTimestampns(at) => {
                            Some(at.tv_sec() as u64 * 1_000_000_000 + at.tv_nsec() as u64)
                        }
                        _ => None,
                    });
                    arrivals.extend(at.map(|at| Arrival { at, bytes }));
                }
                Err(Errno::EINTR) => {}
                // Before the first one there may be silence as well.
                Err(Errno::EAGAIN) if arrivals.is_empty() => {}
                Err(Errno::EAGAIN) => return Ok(arrivals),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
