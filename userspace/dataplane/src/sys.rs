//! The few socket calls that `std` does not offer, with their pointers kept
//! inside.

use std::{
    io,
    mem::{self, MaybeUninit},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    time::Duration,
};

use libc::{c_int, c_void, socklen_t};

/// A type that `setsockopt` and `getsockopt` exchange as plain bytes.
///
/// # Safety
/// Any bit pattern is a value of it, and it has no padding.
pub(crate) unsafe trait OptionValue: Copy {}
// SAFETY: a plain integer.
unsafe impl OptionValue for c_int {}
// SAFETY: integers, no padding between equals.
unsafe impl<const N: usize> OptionValue for [u32; N] {}

/// A non-blocking UDP socket of the same IP version as `like`.
pub(crate) fn udp_socket(like: &SocketAddr) -> io::Result<OwnedFd> {
    let family = if like.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers.
    let fd = check(unsafe { libc::socket(family, kind, 0) })?;
    // SAFETY: the kernel just gave us this descriptor, nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `setsockopt` with an integer.
pub(crate) fn set_option(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: c_int,
) -> io::Result<()> {
    set_option_raw(fd, level, name, &value)
}

/// `setsockopt` with the bytes of `value`, which may hold pointers: what they
/// point to must live through the call, which holds for borrowed values.
pub(crate) fn set_option_raw<T>(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: &T,
) -> io::Result<()> {
    let pointer: *const T = value;
    // SAFETY: `pointer` is valid for the length passed, and the kernel only
    // reads.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            pointer.cast::<c_void>(),
            mem::size_of::<T>() as socklen_t,
        )
    })?;
    Ok(())
}

/// `getsockopt`; what the kernel does not fill stays as in `value`.
pub(crate) fn get_option<T: OptionValue>(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    mut value: T,
) -> io::Result<T> {
    let mut len = mem::size_of::<T>() as socklen_t;
    let pointer: *mut T = &mut value;
    // SAFETY: the kernel writes at most `len` bytes to `pointer`, and every
    // bit pattern is a `T` (`OptionValue`).
    check(unsafe {
        libc::getsockopt(fd.as_raw_fd(), level, name, pointer.cast::<c_void>(), &mut len)
    })?;
    Ok(value)
}

/// A `sockaddr` of either IP version, ready for the kernel.
#[derive(Clone, Copy)]
pub(crate) struct RawAddress {
    storage: libc::sockaddr_storage,
    len: socklen_t,
}

impl RawAddress {
    /// The kernel's form of `address`.
    pub(crate) fn new(address: &SocketAddr) -> Self {
        // SAFETY: all-zero is a valid `sockaddr_storage`: integers only.
        let mut storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
        let place: *mut libc::sockaddr_storage = &mut storage;
        let len = match address {
            SocketAddr::V4(v4) => {
                let raw = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                    sin_zero: [0; 8],
                };
                // SAFETY: `sockaddr_storage` is large and aligned enough for
                // every socket address.
                unsafe { place.cast::<libc::sockaddr_in>().write(raw) };
                mem::size_of::<libc::sockaddr_in>()
            }
            SocketAddr::V6(v6) => {
                let raw = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: v6.port().to_be(),
                    sin6_flowinfo: v6.flowinfo(),
                    sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                    sin6_scope_id: v6.scope_id(),
                };
                // SAFETY: as above.
                unsafe { place.cast::<libc::sockaddr_in6>().write(raw) };
                mem::size_of::<libc::sockaddr_in6>()
            }
        };
        Self { storage, len: len as socklen_t }
    }

    /// What `msg_name` takes: where it lies, and its length. Valid while
    /// `self` stays where it is.
    pub(crate) fn name(&mut self) -> (*mut c_void, socklen_t) {
        let storage: *mut libc::sockaddr_storage = &mut self.storage;
        (storage.cast(), self.len)
    }

    fn as_ptr(&self) -> *const libc::sockaddr {
        let storage: *const libc::sockaddr_storage = &self.storage;
        storage.cast()
    }
}

/// Reads a socket address that the kernel or libc wrote; `None` where it is
/// neither IPv4 nor IPv6.
///
/// # Safety
/// `raw` is null or points to a socket address that is complete for the
/// family it names.
pub(crate) unsafe fn read_address(raw: *const libc::sockaddr) -> Option<SocketAddr> {
    if raw.is_null() {
        return None;
    }
    // SAFETY: not null, so a `sockaddr` at least (the caller's promise).
    let family = c_int::from(unsafe { (*raw).sa_family });
    match family {
        libc::AF_INET => {
            // SAFETY: the family says that it is a `sockaddr_in`.
            let v4 = unsafe { raw.cast::<libc::sockaddr_in>().read_unaligned() };
            let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that it is a `sockaddr_in6`.
            let v6 = unsafe { raw.cast::<libc::sockaddr_in6>().read_unaligned() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// `bind`.
pub(crate) fn bind(fd: BorrowedFd<'_>, address: &SocketAddr) -> io::Result<()> {
    let raw = RawAddress::new(address);
    // SAFETY: `raw` is a complete socket address of the length passed.
    check(unsafe { libc::bind(fd.as_raw_fd(), raw.as_ptr(), raw.len) })?;
    Ok(())
}

/// `connect`; on a UDP socket only names the peer.
pub(crate) fn connect(fd: BorrowedFd<'_>, address: &SocketAddr) -> io::Result<()> {
    let raw = RawAddress::new(address);
    // SAFETY: `raw` is a complete socket address of the length passed.
    check(unsafe { libc::connect(fd.as_raw_fd(), raw.as_ptr(), raw.len) })?;
    Ok(())
}

/// `getsockname`.
pub(crate) fn local_address(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut len = mem::size_of::<libc::sockaddr_storage>() as socklen_t;
    let raw: *mut libc::sockaddr = storage.as_mut_ptr().cast();
    // SAFETY: the kernel writes at most `len` bytes, which is all there is.
    check(unsafe { libc::getsockname(fd.as_raw_fd(), raw, &mut len) })?;
    // SAFETY: zeroed before, and the kernel wrote a whole address.
    unsafe { read_address(raw) }
        .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "not an IP socket"))
}

/// `ppoll` for one event on each of `fds`; false when the time is over or a
/// signal came.
pub(crate) fn poll<const N: usize>(
    fds: [(BorrowedFd<'_>, i16); N],
    timeout: Duration,
) -> io::Result<bool> {
    let mut list = fds.map(|(fd, events)| libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 });
    match poll_list(&mut list, timeout) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        ready => ready,
    }
}

/// `ppoll` on a list that is kept; false when the time is over.
pub(crate) fn poll_list(list: &mut [libc::pollfd], timeout: Duration) -> io::Result<bool> {
    let timeout = timespec(timeout);
    // SAFETY: `list` has the length passed, `timeout` is a valid timespec. A
    // descriptor that is not open is reported in the list.
    let ready = check(unsafe {
        libc::ppoll(list.as_mut_ptr(), list.len() as libc::nfds_t, &timeout, std::ptr::null())
    })?;
    Ok(ready > 0)
}

fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: duration.as_secs().min(i32::MAX as u64) as libc::time_t,
        tv_nsec: duration.subsec_nanos().into(),
    }
}

/// Bytes of memory that hold what a socket has sent and no interface has taken
/// (`SIOCOUTQ`, udp(7)).
pub(crate) fn unsent(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: c_int = 0;
    let pointer: *mut c_int = &mut bytes;
    // SAFETY: writes one integer.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, pointer) })?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// What buffer sizes can be asked for; the kernel stores twice the value in
/// an `int`.
const MAX_BUFFER: usize = (c_int::MAX / 2) as usize;

/// Asks for a socket buffer of `bytes`: past the system's limit where we are
/// privileged, else up to it. Returns what was granted.
///
/// `forced` and `plain` are `SO_RCVBUFFORCE` and `SO_RCVBUF`, or the same for
/// sending.
pub(crate) fn set_buffer(
    fd: BorrowedFd<'_>,
    forced: c_int,
    plain: c_int,
    bytes: usize,
) -> io::Result<usize> {
    let value = bytes.min(MAX_BUFFER) as c_int;
    if set_option(fd, libc::SOL_SOCKET, forced, value).is_err() {
        set_option(fd, libc::SOL_SOCKET, plain, value)?;
    }
    // The kernel doubles the value to allow for its bookkeeping, and reads
    // back the double (socket(7)).
    let stored = get_option(fd, libc::SOL_SOCKET, plain, 0)?;
    Ok(usize::try_from(stored).unwrap_or(0) / 2)
}

/// Tells the kernel that there are packets in an AF_XDP socket's TX ring.
#[cfg(feature = "xdp")]
pub(crate) fn wake_transmit(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: nothing is passed but lengths of 0.
    let sent = unsafe {
        libc::sendto(fd.as_raw_fd(), std::ptr::null(), 0, libc::MSG_DONTWAIT, std::ptr::null(), 0)
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The result of a system call that returns −1 and sets `errno`.
pub(crate) fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
