//! Memory and sockets of one RX queue.

use std::{
    error::Error,
    io,
    num::NonZeroU32,
    os::fd::BorrowedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::{debug, info, warn};
use xsk_rs::{
    CompQueue, FillQueue, FrameDesc, RxQueue, Socket, Umem,
    config::{BindFlags, FrameSize, Interface, LibxdpFlags, QueueSize, SocketConfig, UmemConfig},
};

use super::{layout::Plan, memory::Memory, rings};
use crate::{
    config::{AttachMode, CopyMode, XdpOptions},
    error::{SetupError, SetupErrorKind},
    sys,
};

/// Nothing is sent on these sockets, but xsk-rs makes the rings.
const UNUSED_RING: u32 = 64;
/// While the kernel takes the queue's former owner apart (`xp_put_pool` puts
/// that off to a work queue, net/xdp/xsk_buff_pool.c).
const RETRY_EVERY: Duration = Duration::from_millis(2);

/// Memory and sockets of one RX queue. The token of each frame is yet to be
/// minted from `frames`.
pub(crate) struct QueueParts {
    pub(crate) memory: Arc<Memory>,
    /// All of them, in the order of their addresses.
    pub(crate) frames: Vec<FrameDesc>,
    pub(crate) fill: FillQueue,
    /// In the order of [`Plan::owners`].
    pub(crate) sockets: Vec<RxQueue>,
    pub(crate) zero_copy: bool,
    pub(crate) busy_poll: bool,
}

/// Makes the memory of `queue`, and a socket for each of its owners.
pub(crate) fn open_queue(
    name: &str,
    queue: u32,
    plan: &Plan,
    options: &XdpOptions,
) -> Result<QueueParts, SetupError> {
    let what = format!("open an AF_XDP socket on queue {queue} of {name}");
    let interface: Interface = name.parse().map_err(|_| {
        SetupError::new(
            SetupErrorKind::NoInterface,
            what.clone(),
            "a name with a zero byte in it",
            "name an interface that `ip link` shows",
        )
    })?;
    let (umem, frames) = umem(plan, &what)?;
    let memory = Arc::new(memory(&umem, plan, &what)?);

    let (first, fill, flags) = bind_first(&umem, &interface, queue, plan, options, &what)?;
    let mut sockets = vec![first];
    for _ in plan.owners(queue).skip(1) {
        // libxdp binds it with `XDP_SHARED_UMEM`, which takes the first
        // socket's flags (`xsk_bind`, net/xdp/xsk.c).
        let (rx, _) = bind(&umem, &interface, queue, plan, flags)
            .map_err(|error| refused(&what, error, options))?;
        sockets.push(rx);
    }
    let zero_copy = is_zero_copy(rings::socket(&sockets[0])).map_err(|error| {
        SetupError::new(
            SetupErrorKind::System,
            what.clone(),
            "the kernel does not say whether it copies (XDP_OPTIONS)",
            "report this with your kernel version",
        )
        .caused_by(error)
    })?;
    let busy_poll = match options.busy_poll {
        Some(budget) if zero_copy => {
            for socket in &sockets {
                set_busy_poll(socket, budget).map_err(|error| {
                    SetupError::new(
                        SetupErrorKind::Permission,
                        format!("busy-poll {name} with a budget of {budget}"),
                        error.to_string(),
                        "run with CAP_NET_ADMIN, or leave busy polling out",
                    )
                    .caused_by(error)
                })?;
            }
            true
        }
        Some(_) => {
            warn!("queue {queue} of {name}: busy polling has no effect in copy mode, left out");
            false
        }
        None => false,
    };
    Ok(QueueParts { memory, frames, fill, sockets, zero_copy, busy_poll })
}

fn umem(plan: &Plan, what: &str) -> Result<(Umem, Vec<FrameDesc>), SetupError> {
    let unsound = |text: String| {
        SetupError::new(SetupErrorKind::Usage, what, text, "choose a smaller RX ring")
    };
    let ring = |entries| QueueSize::new(entries).map_err(|error| unsound(error.to_string()));
    let config = UmemConfig::builder()
        .frame_size(FrameSize::new(plan.chunk as u32).map_err(|error| unsound(error.to_string()))?)
        .fill_queue_size(ring(plan.fill_ring)?)
        .comp_queue_size(ring(UNUSED_RING)?)
        .build()
        .map_err(|error| unsound(error.to_string()))?;
    let count = u32::try_from(plan.all_frames()).ok().and_then(NonZeroU32::new);
    let frames = count.ok_or_else(|| unsound("no number of frames".into()))?;
    match huge_pages(plan.memory()) {
        _ if plan.reserve > 0 => {
            debug!("{what}: no huge pages: they cannot be mapped twice, as lending needs");
        }
        Ok(()) => match Umem::new(config, frames, true) {
            Ok(made) => return Ok(made),
            Err(error) => info!("{what}: no huge pages: {}", chain(&error)),
        },
        Err(reason) => info!("{what}: no huge pages: {reason}"),
    }
    Umem::new(config, frames, false)
        .map_err(|error| refused(what, as_io(&error), &XdpOptions::default()))
}

fn memory(umem: &Umem, plan: &Plan, what: &str) -> Result<Memory, SetupError> {
    let len = plan.memory();
    if plan.reserve == 0 {
        return Ok(Memory::within(umem.clone(), len));
    }
    Memory::beside(umem, len).map_err(|error| refused(what, error, &XdpOptions::default()))
}

/// Whether `len` bytes of huge pages are there to be had. The length must be
/// a multiple of theirs, or `munmap` refuses to give them back.
fn huge_pages(len: usize) -> Result<(), String> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").map_err(|error| error.to_string())?;
    let field = |name: &str| -> usize {
        meminfo
            .lines()
            .find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    };
    let (free, size) = (field("HugePages_Free:"), field("Hugepagesize:") * 1024);
    if free == 0 || size == 0 {
        Err("none are free (vm.nr_hugepages)".into())
    } else if !len.is_multiple_of(size) {
        Err(format!("{len} bytes are not a multiple of {size}"))
    } else if free * size < len {
        Err(format!("{free} of {size} bytes are free, {len} bytes are needed"))
    } else {
        Ok(())
    }
}

type Bound = (RxQueue, Option<(FillQueue, CompQueue)>);

fn bind(
    umem: &Umem,
    interface: &Interface,
    queue: u32,
    plan: &Plan,
    flags: BindFlags,
) -> Result<Bound, io::Error> {
    let size = |entries| QueueSize::new(entries).map_err(io::Error::other);
    let config = SocketConfig::builder()
        .rx_queue_size(size(plan.rx_ring)?)
        .tx_queue_size(size(UNUSED_RING)?)
        .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD)
        .bind_flags(flags)
        .build();
    // SAFETY: libxdp's own program is not loaded, which is what a second
    // socket on the same queue asks for.
    let made = unsafe { Socket::new(config, umem, interface, queue) };
    made.map(|(_tx, rx, rings)| (rx, rings)).map_err(|error| as_io(&error))
}

/// The first socket of a queue, with zero-copy where that is wanted and
/// there; again and again while the kernel still tears down a former owner.
fn bind_first(
    umem: &Umem,
    interface: &Interface,
    queue: u32,
    plan: &Plan,
    options: &XdpOptions,
    what: &str,
) -> Result<(RxQueue, FillQueue, BindFlags), SetupError> {
    let common = BindFlags::XDP_USE_NEED_WAKEUP | BindFlags::XDP_USE_SG;
    let modes: &[BindFlags] = match (options.copy, options.attach) {
        // The generic hook comes after the skb, which is a copy already.
        (CopyMode::Copy, _) | (CopyMode::Auto, AttachMode::Generic) => &[BindFlags::XDP_COPY],
        (CopyMode::Auto, _) => &[BindFlags::XDP_ZEROCOPY, BindFlags::XDP_COPY],
        (CopyMode::ZeroCopy, _) => &[BindFlags::XDP_ZEROCOPY],
    };
    let until = Instant::now() + options.bind_retry;
    let mut modes = modes.iter().copied().peekable();
    while let Some(mode) = modes.next() {
        let bound = loop {
            match bind(umem, interface, queue, plan, common | mode) {
                Err(error)
                    if error.raw_os_error() == Some(libc::EBUSY) && Instant::now() < until =>
                {
                    std::thread::sleep(RETRY_EVERY);
                }
                bound => break bound,
            }
        };
        match bound {
            Ok((rx, Some((fill, _completion)))) => return Ok((rx, fill, common | mode)),
            Ok((_, None)) => break,
            Err(error) => {
                let code = error.raw_os_error();
                let final_cause = matches!(code, Some(libc::EBUSY | libc::EPERM | libc::EACCES));
                if modes.peek().is_none() || final_cause {
                    return Err(refused(what, error, options));
                }
                info!("{what}: no zero-copy ({error}), the kernel will copy");
            }
        }
    }
    Err(SetupError::new(
        SetupErrorKind::System,
        what,
        "libxdp gave the queue's first socket no fill ring",
        "report this with your kernel version",
    ))
}

/// What the system said when it refused, and what to do about it.
fn refused(what: &str, error: io::Error, options: &XdpOptions) -> SetupError {
    use SetupErrorKind::{Memory, NoInterface, Permission, QueueTaken, System, Unsupported};
    let (kind, found, remedy) = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => (
            Permission,
            "the kernel does not permit it",
            "run as root or with CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON, or use the socket path",
        ),
        Some(libc::EBUSY) => (
            QueueTaken,
            "another AF_XDP socket owns the queue",
            "stop its owner, or use another interface",
        ),
        Some(libc::ENOBUFS) => (
            Memory,
            "the packet memory exceeds the limit of locked memory",
            "raise RLIMIT_MEMLOCK (`ulimit -l`), or run with CAP_IPC_LOCK",
        ),
        Some(libc::ENOMEM) => (
            Memory,
            "there is not enough memory",
            "free some, or use fewer queues or smaller RX rings",
        ),
        Some(libc::EOPNOTSUPP) if options.copy == CopyMode::ZeroCopy => (
            Unsupported,
            "the driver has no zero-copy for packets in several buffers",
            "let the kernel copy, or use a NIC whose driver has it",
        ),
        Some(libc::EOPNOTSUPP) => (
            Unsupported,
            "the kernel or the driver lacks it",
            "use Linux 6.6 or later, or the socket path",
        ),
        Some(libc::EINVAL) => (
            Unsupported,
            "the kernel knows neither this queue nor, perhaps, XDP_USE_SG (Linux 6.6)",
            "use Linux 6.6 or later, or the socket path",
        ),
        Some(libc::EAFNOSUPPORT) => (
            Unsupported,
            "the kernel has no AF_XDP",
            "use one with CONFIG_XDP_SOCKETS, or the socket path",
        ),
        Some(libc::ENETDOWN) => {
            (System, "the interface is down", "set it up with `ip link set … up`")
        }
        Some(libc::ENODEV | libc::ENXIO) => {
            (NoInterface, "there is no such interface", "name one that `ip link` shows")
        }
        _ => (System, "the system refused", "see the cause, or use the socket path"),
    };
    SetupError::new(kind, what, format!("{found} ({error})"), remedy).caused_by(error)
}

/// The system's error inside one of xsk-rs.
pub(super) fn as_io(error: &(dyn Error + 'static)) -> io::Error {
    let code = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>())
        .and_then(io::Error::raw_os_error);
    code.map_or_else(|| io::Error::other(chain(error)), io::Error::from_raw_os_error)
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

/// `XDP_OPTIONS` (Linux 5.3): what the kernel made of the bind flags.
pub(super) fn is_zero_copy(socket: BorrowedFd<'_>) -> io::Result<bool> {
    // `struct xdp_options` is one 32-bit word of flags.
    let [flags] = sys::get_option(socket, libc::SOL_XDP, libc::XDP_OPTIONS, [0u32])?;
    Ok(flags & libc::XDP_OPTIONS_ZEROCOPY != 0)
}

// `include/uapi/asm-generic/socket.h`; preferred busy polling is Linux 5.11.
const SO_BUSY_POLL: libc::c_int = 46;
const SO_PREFER_BUSY_POLL: libc::c_int = 69;
const SO_BUSY_POLL_BUDGET: libc::c_int = 70;
const BUSY_POLL_MICROSECONDS: libc::c_int = 20;

fn set_busy_poll(socket: &RxQueue, budget: u16) -> io::Result<()> {
    for (option, value) in [
        (SO_PREFER_BUSY_POLL, 1),
        (SO_BUSY_POLL, BUSY_POLL_MICROSECONDS),
        (SO_BUSY_POLL_BUDGET, budget.into()),
    ] {
        sys::set_option(rings::socket(socket), libc::SOL_SOCKET, option, value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_what_to_do() {
        let zero_copy = XdpOptions { copy: CopyMode::ZeroCopy, ..Default::default() };
        for (code, kind, word) in [
            (libc::EPERM, SetupErrorKind::Permission, "CAP_NET_RAW"),
            (libc::EBUSY, SetupErrorKind::QueueTaken, "stop its owner"),
            (libc::ENOBUFS, SetupErrorKind::Memory, "RLIMIT_MEMLOCK"),
            (libc::EINVAL, SetupErrorKind::Unsupported, "6.6"),
            (libc::EOPNOTSUPP, SetupErrorKind::Unsupported, "let the kernel copy"),
        ] {
            let error = refused("bind", io::Error::from_raw_os_error(code), &zero_copy);
            assert_eq!(error.kind, kind);
            assert!(error.to_string().contains(word), "{error}");
            assert!(error.source().is_some());
        }
    }
}
