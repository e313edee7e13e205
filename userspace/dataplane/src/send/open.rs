//! Opening a sender, or saying why it cannot be.

use std::io;

use super::{
    KernelPacing, SendBackend, SendConfig, SendCounters, Sender,
    afxdp::{self, Attempt},
    arena::Arena,
    flows::Flow,
    gso, kernel_pacing, plan,
};
use crate::{
    error::{SetupError, SetupErrorKind},
    host::{self, exit},
    random::SplitMix64,
};

/// What the route's MTU is limited to when nobody names one: EJFAT's jumbo
/// frames. A loopback interface would say 65536.
const LARGEST_DEFAULT_MTU: u32 = 9000;
/// The IP length fields have 16 bits.
const LARGEST_MTU: u32 = 65_535;
/// DSCP has 6 bits (RFC 2474).
const MAX_DSCP: u8 = 63;
/// As many flows as E2SAR allows.
const MAX_SOCKETS: usize = 128;

pub(super) fn open(config: &SendConfig) -> Result<Sender, SetupError> {
    check(config)?;
    let to = config.to;
    let route = host::route_from(config.source, &to).map_err(|error| refused(config, error))?;
    let mtu = mtu(config, route.mtu)?;
    let with_lb = config.lb.is_some();
    let overhead = plan::overhead(to.ip(), with_lb);
    let Some(max_payload) = plan::max_payload(mtu, to.ip(), with_lb) else {
        return Err(SetupError::new(
            SetupErrorKind::Mtu,
            format!("send to {to} with an MTU of {mtu} bytes"),
            format!("the headers alone take {overhead}"),
            format!("choose {} at least; Ethernet has 1500 or 9000", overhead + 1),
        ));
    };
    let interface = exit::interface_towards(config.source, &to).ok();
    let mut random = SplitMix64::from_os();
    let mut flows = Vec::with_capacity(config.sockets);
    let mut send_buffer = usize::MAX;
    for _ in 0..config.sockets {
        let opened = Flow::open(config, &mut random);
        let (flow, granted) = opened.map_err(|error| refused(config, error))?;
        flows.push(flow);
        send_buffer = send_buffer.min(granted);
    }
    let datagram = max_payload + overhead - plan::ip_and_udp(to.ip());
    let (xdp, backend, reason) = match afxdp::attempt(config, mtu, &flows)? {
        Attempt::Open(xdp, reason) => {
            send_buffer = xdp.send_buffer();
            (Some(xdp), SendBackend::Xdp, reason)
        }
        Attempt::Closed(against) => {
            let (backend, reason) = backend(config, &flows[0], mtu, datagram)?;
            (None, backend, against.map_or("".into(), |why| why + "; ") + &reason)
        }
    };
    let kernel_pacing = config
        .kernel_pacing
        .map(|rate| match xdp {
            Some(_) => Ok(KernelPacing::passed_by()),
            None => kernel_pacing::ask(rate, interface.as_deref(), &flows),
        })
        .transpose()
        .map_err(|error| refused(config, error))?;
    let per_message = match backend {
        SendBackend::Gso => gso::segments_per_message(to.ip(), datagram),
        _ => 1,
    };
    Ok(Sender {
        to,
        source: config.source,
        interface,
        port_mask: config.ports - 1,
        flows,
        next_flow: 0,
        xdp,
        arena: Arena::new(with_lb, max_payload, per_message),
        lb: config.lb,
        mtu,
        max_payload,
        overhead: overhead as u64,
        send_buffer,
        patience: config.patience,
        backend,
        reason,
        kernel_pacing,
        counters: SendCounters::default(),
    })
}

/// The sockets' backend to use, and why that one. A `datagram` is what one
/// fragment at most takes of a message.
fn backend(
    config: &SendConfig,
    flow: &Flow,
    mtu: u32,
    datagram: usize,
) -> Result<(SendBackend, String), SetupError> {
    let segments = gso::segments_per_message(config.to.ip(), datagram);
    // Why not to segment, whether that is the kernel's fault, and what to do.
    let against = || match gso::probe(flow.socket()) {
        Err(error) => Some((
            SetupErrorKind::Unsupported,
            format!("the kernel cannot cut messages ({error})"),
            "use Linux 4.18 or newer, or backend `mmsg`",
        )),
        Ok(()) if segments < 2 => Some((
            SetupErrorKind::Usage,
            format!("at an MTU of {mtu} bytes one datagram fills a message"),
            "choose a smaller MTU, or backend `mmsg`",
        )),
        Ok(()) => None,
    };
    match config.backend {
        SendBackend::Mmsg => Ok((SendBackend::Mmsg, "asked for".into())),
        SendBackend::Gso => match against() {
            None => Ok((SendBackend::Gso, "asked for".into())),
            Some((kind, found, remedy)) => {
                let asked = format!("send to {} by segmentation offload", config.to);
                Err(SetupError::new(kind, asked, found, remedy))
            }
        },
        SendBackend::Auto | SendBackend::Xdp => Ok(match against() {
            None => {
                let why = format!("the kernel cuts messages of {segments} fragments");
                (SendBackend::Gso, why)
            }
            Some((_, found, _)) => (SendBackend::Mmsg, found),
        }),
    }
}

fn check(config: &SendConfig) -> Result<(), SetupError> {
    let (to, ports) = (config.to, config.ports);
    let usage = |asked: String, found: &str, remedy: &str| {
        Err(SetupError::new(SetupErrorKind::Usage, asked, found, remedy))
    };
    if config.sockets == 0 || config.sockets > MAX_SOCKETS {
        return usage(
            format!("send through {} sockets", config.sockets),
            "each is one flow, and an event needs one",
            "choose from 1 to 128",
        );
    }
    if !ports.is_power_of_two() {
        return usage(
            format!("send to {ports} ports"),
            "the low bits of the entropy choose one",
            "choose a power of two",
        );
    }
    if to.port() == 0 || to.ip().is_unspecified() {
        return usage(
            format!("send to {to}"),
            "that is nowhere",
            "name the receiver's address and port",
        );
    }
    if let Some(source) = config.source
        && (source.is_ipv4() != to.is_ipv4() || source.is_unspecified() || source.is_multicast())
    {
        return usage(
            format!("send to {to} from {source}"),
            "datagrams cannot carry both addresses",
            "name an address of this host, of the destination's IP version",
        );
    }
    if config.kernel_pacing == Some(0) {
        return usage(
            format!("send to {to} at 0 bytes a second"),
            "nothing would ever leave",
            "choose a rate, or none",
        );
    }
    if config.dscp.is_some_and(|dscp| dscp > MAX_DSCP) {
        return usage(
            format!("send with DSCP {}", config.dscp.unwrap_or_default()),
            "it has 6 bits",
            "choose from 0 to 63",
        );
    }
    if u32::from(to.port()) + u32::from(ports) - 1 > u32::from(u16::MAX) {
        return usage(
            format!("send to {ports} ports from {} on", to.port()),
            "the last one would be past 65535",
            "choose a lower first port or fewer ports",
        );
    }
    Ok(())
}

/// The MTU to fill: what was asked for if the route takes it, else the
/// route's.
fn mtu(config: &SendConfig, route: u32) -> Result<u32, SetupError> {
    let to = config.to;
    let route = route.min(LARGEST_MTU);
    match config.mtu {
        None | Some(0) => Ok(route.min(LARGEST_DEFAULT_MTU)),
        Some(mtu) if mtu <= route => Ok(mtu),
        Some(mtu) => Err(SetupError::new(
            SetupErrorKind::Mtu,
            format!("send to {to} with an MTU of {mtu} bytes"),
            format!("the route there takes {route} at most"),
            format!("choose {route} or less, or raise the interface's MTU (`ip link set mtu`)"),
        )),
    }
}

fn refused(config: &SendConfig, error: io::Error) -> SetupError {
    let to = config.to;
    let asked = match config.source {
        Some(source) => format!("send to {to} from {source}"),
        None => format!("send to {to}"),
    };
    let new = |kind, found: &str, remedy: &str| SetupError::new(kind, asked.clone(), found, remedy);
    match error.raw_os_error() {
        Some(libc::EADDRNOTAVAIL) if config.source.is_some() => new(
            SetupErrorKind::NoInterface,
            "this host has no such address",
            "choose one that `ip addr` shows, or leave it to the route",
        ),
        // From a source that is not on the way, connecting is "invalid".
        Some(libc::EINVAL) if config.source.is_some() => new(
            SetupErrorKind::NoInterface,
            "no route leads there from that address",
            "choose another one, or leave it to the route",
        ),
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EADDRNOTAVAIL) => new(
            SetupErrorKind::NoInterface,
            "there is no route to it",
            "check the address, and `ip route get` for it",
        ),
        Some(libc::EAFNOSUPPORT) => new(
            SetupErrorKind::Unsupported,
            "this kernel has that IP version switched off",
            "name an address of the other IP version",
        ),
        Some(libc::EMFILE | libc::ENFILE) => new(
            SetupErrorKind::System,
            "too many open files",
            "raise the limit (`ulimit -n`), or ask for fewer sockets",
        ),
        Some(libc::EACCES) => new(
            SetupErrorKind::Permission,
            "the system does not let us send there (a broadcast address?)",
            "name the address of one host",
        ),
        _ => new(
            SetupErrorKind::System,
            &format!("the system refused: {error}"),
            "see the system's error",
        ),
    }
    .caused_by(error)
}
