//! AF_XDP or sockets: which, and why.

use serde::Serialize;
use xdpsar_dataplane::{ReceiveConfig, SetupError, socket::SocketSource};
#[cfg(feature = "xdp")]
use xdpsar_dataplane::{
    error::SetupErrorKind,
    host,
    xdp::{XdpReceiver, XdpSource},
};
use xdpsar_wire::steering::Verdict;

/// Which way datagrams come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// AF_XDP on a NIC; sockets on loopback and veth (where super-packets
    /// cross whole) and wherever AF_XDP cannot be had. The reason is kept.
    #[default]
    Auto,
    /// AF_XDP or an error.
    Xdp,
    /// Sockets.
    Socket,
}

/// The way that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendKind {
    /// AF_XDP.
    Xdp,
    /// UDP sockets.
    Socket,
}

impl std::fmt::Display for BackendKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Xdp => "AF_XDP",
            Self::Socket => "socket",
        })
    }
}

/// The backend in use.
#[derive(Clone, Debug, Serialize)]
pub struct BackendInfo {
    /// Which.
    pub kind: BackendKind,
    /// Why this one.
    pub reason: String,
    /// Interface, queues, layout, modes; or ports and buffers.
    pub detail: String,
    /// What may cost performance and how to mend it.
    pub warnings: Vec<String>,
}

/// A backend that is set up, its sources not yet running.
pub(crate) struct Opened {
    pub(crate) info: BackendInfo,
    pub(crate) sources: Sources,
}

/// One source per worker.
pub(crate) enum Sources {
    #[cfg(feature = "xdp")]
    Xdp(XdpReceiver, Vec<XdpSource>),
    Socket(Vec<SocketSource>),
}

/// Chooses and sets up the backend.
pub(crate) fn open(backend: Backend, config: &ReceiveConfig) -> Result<Opened, SetupError> {
    match backend {
        Backend::Socket => open_socket(config, "asked for".into()),
        Backend::Xdp => open_xdp(config, "asked for".into()),
        Backend::Auto => match unsuited_to_xdp(config) {
            Some(reason) => open_socket(config, reason),
            None => open_xdp_or_socket(config),
        },
    }
}

fn open_socket(config: &ReceiveConfig, reason: String) -> Result<Opened, SetupError> {
    let (sources, warnings) = SocketSource::open(config)?;
    let ports = match config.ports {
        1 => format!("port {}", config.base_port),
        n => {
            format!("ports {}-{}", config.base_port, u32::from(config.base_port) + u32::from(n) - 1)
        }
    };
    let gro = if config.socket.gro { "recvmmsg with GRO" } else { "recvmmsg" };
    let info = BackendInfo {
        kind: BackendKind::Socket,
        reason,
        detail: format!("{} {ports}, {gro}, {} worker(s)", config.listen, config.workers),
        warnings,
    };
    Ok(Opened { info, sources: Sources::Socket(sources) })
}

#[cfg(feature = "xdp")]
fn open_xdp(config: &ReceiveConfig, reason: String) -> Result<Opened, SetupError> {
    let (receiver, sources) = XdpReceiver::open(config)?;
    let info = BackendInfo {
        kind: BackendKind::Xdp,
        reason,
        detail: receiver.describe(),
        warnings: Vec::new(),
    };
    Ok(Opened { info, sources: Sources::Xdp(receiver, sources) })
}

#[cfg(not(feature = "xdp"))]
fn open_xdp(_config: &ReceiveConfig, _reason: String) -> Result<Opened, SetupError> {
    Err(SetupError::new(
        xdpsar_dataplane::error::SetupErrorKind::Unsupported,
        "AF_XDP",
        "this build has no AF_XDP (feature `xdp` is off)",
        "build with the feature `xdp`, or use the socket path",
    ))
}

/// AF_XDP, or sockets with the reason why not. What the user got wrong stays
/// an error: the socket path would only hide it.
#[cfg(feature = "xdp")]
fn open_xdp_or_socket(config: &ReceiveConfig) -> Result<Opened, SetupError> {
    match open_xdp(config, "the interface takes AF_XDP".into()) {
        Err(error)
            if !matches!(error.kind, SetupErrorKind::Usage | SetupErrorKind::NoInterface) =>
        {
            tracing::warn!(%error, "AF_XDP cannot be had; using sockets");
            open_socket(config, format!("AF_XDP cannot be had: {error}"))
        }
        result => result,
    }
}

#[cfg(not(feature = "xdp"))]
fn open_xdp_or_socket(config: &ReceiveConfig) -> Result<Opened, SetupError> {
    open_socket(config, "this build has no AF_XDP".into())
}

/// Why AF_XDP is not even tried, if so.
#[cfg(feature = "xdp")]
fn unsuited_to_xdp(config: &ReceiveConfig) -> Option<String> {
    /// Multi-buffer AF_XDP, which jumbo frames need, came with Linux 6.6.
    const OLDEST_KERNEL: (u32, u32) = (6, 6);

    let missing = host::missing_capabilities();
    if !missing.is_empty() {
        return Some(format!("AF_XDP needs {}, which this process lacks", missing.join(" and ")));
    }
    let kernel = host::kernel_release();
    if kernel < OLDEST_KERNEL {
        return Some(format!(
            "AF_XDP with jumbo frames needs Linux {}.{}, this is {}.{}",
            OLDEST_KERNEL.0, OLDEST_KERNEL.1, kernel.0, kernel.1
        ));
    }
    let interface = match &config.xdp.interface {
        // An interface named is AF_XDP asked for: its errors are worth having.
        Some(name) => host::interface_by_name(name).ok().flatten()?,
        None if config.listen.is_unspecified() => {
            return Some("listening on any address names no interface for AF_XDP".into());
        }
        None => match host::interface_of(config.listen) {
            Ok(Some(interface)) => interface,
            _ => return Some(format!("no interface carries {}", config.listen)),
        },
    };
    if interface.is_loopback {
        return Some(format!("{} is loopback, where super-packets cross whole", interface.name));
    }
    if interface.driver.as_deref() == Some("veth") {
        return Some(format!("{} is a veth, where super-packets cross whole", interface.name));
    }
    None
}

#[cfg(not(feature = "xdp"))]
fn unsuited_to_xdp(_config: &ReceiveConfig) -> Option<String> {
    Some("this build has no AF_XDP".into())
}

/// The attached steering program, or what it had counted when it was detached.
pub(crate) enum Program {
    None,
    #[cfg(feature = "xdp")]
    Attached(XdpReceiver),
    #[cfg(feature = "xdp")]
    Detached([u64; Verdict::COUNTERS]),
}

impl Program {
    /// Its counters; `None` on the socket path.
    pub(crate) fn counters(&self) -> Option<[u64; Verdict::COUNTERS]> {
        match self {
            Self::None => None,
            #[cfg(feature = "xdp")]
            Self::Attached(program) => program.program_counters().ok(),
            #[cfg(feature = "xdp")]
            Self::Detached(counters) => Some(*counters),
        }
    }

    /// Takes the program off the interface.
    pub(crate) fn detach(&mut self) {
        #[cfg(feature = "xdp")]
        if let Self::Attached(program) = self {
            let counters = program.program_counters().unwrap_or_default();
            *self = Self::Detached(counters);
        }
    }
}
