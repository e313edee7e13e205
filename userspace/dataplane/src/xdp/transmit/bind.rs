//! Memory and socket of one TX queue.

use std::{
    io,
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::{debug, info};
use xsk_rs::{
    CompQueue, Socket, TxQueue, Umem,
    config::{BindFlags, FrameSize, LibxdpFlags, QueueSize, SocketConfig, UmemConfig},
};

use super::{
    super::setup::{as_io, is_zero_copy},
    XdpTransmitOptions,
    outlet::Outlet,
    ring::XskTx,
};
use crate::{
    config::CopyMode,
    error::{SetupError, SetupErrorKind},
    host::Interface,
    sys,
    xdp::{CHUNK, frame::Frame, memory::Memory},
};

/// The socket receives nothing, but libxdp makes the rings.
const UNUSED_RING: u32 = 64;
/// While the kernel takes the queue's former owner apart.
const RETRY_EVERY: Duration = Duration::from_millis(2);
/// Descriptors that one call takes in copy mode, instead of 32
/// (`XDP_MAX_TX_SKB_BUDGET`, `include/uapi/linux/if_xdp.h`, Linux 6.17).
const XDP_MAX_TX_SKB_BUDGET: libc::c_int = 9;
const BUDGET: libc::c_int = 256;

pub(super) type XskOutlet = Outlet<XskTx, CompQueue>;

/// A bound queue.
pub(super) struct Bound {
    pub(super) outlet: XskOutlet,
    pub(super) queue: u32,
    /// For people: why packets are copied, where that was not asked for.
    pub(super) mode: String,
    pub(super) send_buffer: usize,
}

/// Binds a queue of `interface`: the one asked for, or the last that is free.
/// `per_packet` frames make the longest packet.
pub(super) fn bind(
    interface: &Interface,
    options: &XdpTransmitOptions,
    per_packet: usize,
    send_buffer: usize,
) -> Result<Bound, SetupError> {
    let queues = interface.tx_queues;
    let candidates = match options.queue {
        None => 0..queues,
        Some(queue) if queue < queues => queue..queue + 1,
        Some(queue) => {
            return Err(SetupError::new(
                SetupErrorKind::Usage,
                format!("send through queue {queue} of {}", interface.name),
                format!("it has {queues} TX queues, counted from 0"),
                "choose one of those, or leave the choice to us",
            ));
        }
    };
    let until = Instant::now() + options.bind_retry;
    loop {
        let mut taken = None;
        for queue in candidates.clone().rev() {
            match bind_queue(interface, queue, options, per_packet, send_buffer) {
                Err(error) if error.kind == SetupErrorKind::QueueTaken => taken = Some(error),
                bound => return bound,
            }
        }
        // `xp_put_pool` (net/xdp/xsk_buff_pool.c) puts the end of the former
        // owner off to a work queue.
        match taken {
            Some(error) if Instant::now() >= until => return Err(error),
            _ => std::thread::sleep(RETRY_EVERY),
        }
    }
}

fn bind_queue(
    interface: &Interface,
    queue: u32,
    options: &XdpTransmitOptions,
    per_packet: usize,
    send_buffer: usize,
) -> Result<Bound, SetupError> {
    let what = format!("send through an AF_XDP socket on queue {queue} of {}", interface.name);
    let modes: &[BindFlags] = match options.copy {
        CopyMode::Copy => &[BindFlags::XDP_COPY],
        CopyMode::Auto => &[BindFlags::XDP_ZEROCOPY, BindFlags::XDP_COPY],
        CopyMode::ZeroCopy => &[BindFlags::XDP_ZEROCOPY],
    };
    let mut because = String::new();
    for (nth, mode) in modes.iter().enumerate() {
        match bind_mode(interface, queue, *mode, per_packet, send_buffer) {
            Ok((outlet, send_buffer)) => {
                let mode = if outlet.copies() { "copy" } else { "zero-copy" };
                return Ok(Bound { outlet, queue, mode: format!("{mode}{because}"), send_buffer });
            }
            Err(error) => {
                let code = error.raw_os_error();
                let final_cause = matches!(code, Some(libc::EBUSY | libc::EPERM | libc::EACCES));
                if nth + 1 == modes.len() || final_cause {
                    return Err(refused(&what, error, options.copy, per_packet));
                }
                info!("{what}: no zero-copy ({error}), the kernel will copy");
                because = format!(": no zero-copy ({error})");
            }
        }
    }
    Err(refused(&what, io::ErrorKind::Unsupported.into(), options.copy, per_packet))
}

fn bind_mode(
    interface: &Interface,
    queue: u32,
    mode: BindFlags,
    per_packet: usize,
    send_buffer: usize,
) -> io::Result<(XskOutlet, usize)> {
    let size = |entries| QueueSize::new(entries).map_err(io::Error::other);
    let entries = XdpTransmitOptions::FRAMES;
    let umem = UmemConfig::builder()
        .frame_size(FrameSize::new(CHUNK as u32).map_err(io::Error::other)?)
        .fill_queue_size(size(UNUSED_RING)?)
        .comp_queue_size(size(entries)?)
        .build()
        .map_err(io::Error::other)?;
    let frames = NonZeroU32::new(entries).ok_or(io::ErrorKind::InvalidInput)?;
    let (umem, descs) = Umem::new(umem, frames, false).map_err(|error| as_io(&error))?;
    let mut flags = BindFlags::XDP_USE_NEED_WAKEUP | mode;
    if per_packet > 1 {
        flags |= BindFlags::XDP_USE_SG;
    }
    let config = SocketConfig::builder()
        .rx_queue_size(size(UNUSED_RING)?)
        .tx_queue_size(size(entries)?)
        .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD)
        .bind_flags(flags)
        .build();
    let name = interface.name.parse().map_err(io::Error::other)?;
    // SAFETY: nothing else uses this UMEM; no program is loaded, and none is
    // needed to send.
    let made = unsafe { Socket::new(config, &umem, &name, queue) };
    let (tx, _rx, rings) = made.map_err(|error| as_io(&error))?;
    let Some((_fill, completion)) = rings else {
        return Err(io::Error::other("libxdp gave the queue's first socket no rings"));
    };
    let (tx, granted) = tune(tx, &umem, entries, send_buffer)?;
    let copies = !is_zero_copy(tx.socket())?;
    if !copies {
        // Some drivers send nothing before an XDP program has given them
        // rings for it, and say so when woken (`i40e_xsk_wakeup`: ENXIO).
        sys::wake_transmit(tx.socket())?;
    }
    let memory = Arc::new(Memory::within(umem, descs.len() * CHUNK));
    // SAFETY: each frame once, and none has been posted.
    let free = descs.into_iter().map(|desc| unsafe { Frame::mint(desc) }).collect();
    Ok((Outlet::new(tx, completion, free, memory, copies), granted))
}

/// In copy mode, packets on their way count as the socket's, and each call
/// sends so many.
fn tune(
    queue: TxQueue,
    umem: &Umem,
    entries: u32,
    send_buffer: usize,
) -> io::Result<(XskTx, usize)> {
    let tx = XskTx::new(queue, umem.clone(), entries);
    let socket = tx.socket();
    let granted = sys::set_buffer(socket, libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, send_buffer)?;
    if let Err(error) = sys::set_option(socket, libc::SOL_XDP, XDP_MAX_TX_SKB_BUDGET, BUDGET) {
        debug!("32 packets in each call: {error}");
    }
    Ok((tx, granted))
}

/// What the system said when it refused, and what to do about it.
fn refused(what: &str, error: io::Error, copy: CopyMode, per_packet: usize) -> SetupError {
    use SetupErrorKind::{Memory, Mtu, NoInterface, Permission, QueueTaken, System, Unsupported};
    let one_frame = super::largest_mtu_of(1);
    let (kind, found, remedy) = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => (
            Permission,
            "the kernel does not permit it",
            "run as root or with CAP_NET_RAW, or use backend `gso` or `mmsg`".to_owned(),
        ),
        Some(libc::EBUSY) => (
            QueueTaken,
            "another AF_XDP socket owns the queue",
            "name another queue: one for each sender, and none that is received on".into(),
        ),
        Some(libc::ENOBUFS) => (
            Memory,
            "the packet memory exceeds the limit of locked memory",
            "raise RLIMIT_MEMLOCK (`ulimit -l`), or run with CAP_IPC_LOCK".into(),
        ),
        Some(libc::ENOMEM) => (
            Memory,
            "there is not enough memory",
            "free some, or use backend `gso` or `mmsg`".into(),
        ),
        Some(libc::EINVAL | libc::EOPNOTSUPP) if per_packet > 1 && copy != CopyMode::ZeroCopy => (
            Mtu,
            "the kernel takes no packets in several frames (XDP_USE_SG, Linux 6.6)",
            format!("choose an MTU of {one_frame} or less, or use backend `gso` or `mmsg`"),
        ),
        Some(libc::EOPNOTSUPP | libc::ENXIO | libc::EINVAL) if copy == CopyMode::ZeroCopy => {
            (Unsupported, "the driver has no zero-copy here", "let the kernel copy".into())
        }
        Some(libc::EAFNOSUPPORT) => (
            Unsupported,
            "the kernel has no AF_XDP",
            "use one with CONFIG_XDP_SOCKETS, or backend `gso` or `mmsg`".into(),
        ),
        Some(libc::ENODEV) => {
            (NoInterface, "there is no such interface", "name one that `ip link` shows".into())
        }
        _ => (System, "the system refused", "use backend `gso` or `mmsg`".into()),
    };
    SetupError::new(kind, what, format!("{found} ({error})"), remedy).caused_by(error)
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn each_refusal_says_what_to_do() {
        for (code, copy, per_packet, kind, word) in [
            (libc::EPERM, CopyMode::Auto, 1, SetupErrorKind::Permission, "CAP_NET_RAW"),
            (libc::EBUSY, CopyMode::Auto, 1, SetupErrorKind::QueueTaken, "another queue"),
            (libc::ENOBUFS, CopyMode::Auto, 1, SetupErrorKind::Memory, "RLIMIT_MEMLOCK"),
            (libc::EINVAL, CopyMode::Auto, 3, SetupErrorKind::Mtu, "MTU of 3826 or less"),
            (libc::EOPNOTSUPP, CopyMode::ZeroCopy, 3, SetupErrorKind::Unsupported, "copy"),
        ] {
            let error = refused("bind", io::Error::from_raw_os_error(code), copy, per_packet);
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.to_string().contains(word), "{error}");
            assert!(error.source().is_some());
        }
    }
}
