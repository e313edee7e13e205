//! Opening the sockets of all workers, or saying why it cannot be.

use std::{
    fs, io, mem,
    net::{IpAddr, SocketAddr, SocketAddrV6},
    os::fd::{AsFd, OwnedFd},
};

use xdpsar_wire::{
    LbFraming,
    steering::{LaneMode, MAX_LANES},
};

use super::{BUFFER_LEN, Batch, Lanes, MESSAGES, Socket, SocketSource, Turns, steer};
use crate::{
    config::ReceiveConfig,
    error::{SetupError, SetupErrorKind},
    host,
    source::SourceCounters,
    sys,
};

type Opened = (Vec<SocketSource>, Vec<String>);

pub(super) fn open(config: &ReceiveConfig) -> Result<Opened, SetupError> {
    check(config)?;
    let mut opening = Opening {
        config,
        gro: config.socket.gro && !shares_ports(config),
        granted: usize::MAX,
        warnings: Vec::new(),
    };
    let mut workers: Vec<Vec<Socket>> = Vec::new();
    workers.resize_with(config.workers, Vec::new);
    for lane in 0..config.ports {
        let address = opening.address(lane)?;
        if shares_ports(config) {
            let group = opening.group(address)?;
            for (worker, socket) in workers.iter_mut().zip(group) {
                worker.push(socket);
            }
        } else {
            let socket = opening.alone(address, lane)?;
            workers[usize::from(lane) % config.workers].push(socket);
        }
    }
    opening.warn_about_buffers();
    opening.warn_about_idle_workers();
    let sources = workers
        .into_iter()
        .map(|sockets| opening.source(sockets))
        .collect::<Result<Vec<_>, SetupError>>()?;
    Ok((sources, opening.warnings))
}

/// Whether several workers read one port, so that the kernel must choose.
fn shares_ports(config: &ReceiveConfig) -> bool {
    config.lane_mode == LaneMode::Entropy && config.workers > 1
}

/// What would go wrong later, or mean something else than was said.
fn check(config: &ReceiveConfig) -> Result<(), SetupError> {
    let usage = |asked: String, found: &str, remedy: &str| {
        Err(SetupError::new(SetupErrorKind::Usage, asked, found, remedy))
    };
    let (base, ports, lanes) = (config.base_port, config.ports, config.lanes);
    if config.workers == 0 {
        return usage(
            "receive with 0 workers".into(),
            "nobody would read the sockets",
            "ask for one worker at least",
        );
    }
    for (count, what) in [(ports, "ports"), (lanes, "lanes")] {
        if !count.is_power_of_two() || count > MAX_LANES {
            return usage(
                format!("receive on {count} {what}"),
                "the load balancer spreads by the low bits of the entropy",
                "choose a power of two from 1 to 16384",
            );
        }
    }
    if u32::from(base) + u32::from(ports) - 1 > u32::from(u16::MAX) {
        return usage(
            format!("receive on {ports} ports from {base} on"),
            "the last one would be past 65535",
            "choose a lower first port or fewer ports",
        );
    }
    if base == 0 && ports > 1 {
        return usage(
            format!("receive on {ports} ports of the kernel's choice"),
            "the kernel chooses one port at a time, they would not be consecutive",
            "name the first port",
        );
    }
    if config.lane_mode == LaneMode::Port && lanes != ports {
        return usage(
            format!("receive on {lanes} lanes and {ports} ports"),
            "lanes are told apart by port",
            "ask for as many lanes as ports, or take the lane from the entropy",
        );
    }
    if config.lane_mode == LaneMode::Entropy && config.framing == LbFraming::None {
        return usage(
            "take the lane from the entropy of datagrams without an LB header".into(),
            "the entropy stands in the LB header",
            "take the lane from the port, or let the load balancer keep the header",
        );
    }
    let needed = sockets_needed(config);
    match descriptor_limit() {
        Some(limit) if needed > limit => Err(too_many_descriptors(config, limit)),
        _ => Ok(()),
    }
}

fn sockets_needed(config: &ReceiveConfig) -> u64 {
    let each = if shares_ports(config) { config.workers } else { 1 };
    u64::from(config.ports) * each as u64 + config.workers as u64
}

fn descriptor_limit() -> Option<u64> {
    // SAFETY: all-zero is a valid rlimit: two integers.
    let mut limit: libc::rlimit = unsafe { mem::zeroed() };
    // SAFETY: writes one rlimit.
    sys::check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }).ok()?;
    Some(limit.rlim_cur)
}

fn too_many_descriptors(config: &ReceiveConfig, limit: u64) -> SetupError {
    let needed = sockets_needed(config);
    SetupError::new(
        SetupErrorKind::System,
        format!("open {needed} descriptors for {} ports", config.ports),
        format!("this process may have {limit} open files"),
        format!("raise the limit (ulimit -n {}), or ask for fewer ports", needed + 64),
    )
}

/// What is the same for all sockets, and what was learnt on the way.
struct Opening<'a> {
    config: &'a ReceiveConfig,
    gro: bool,
    /// The smallest receive buffer that was granted.
    granted: usize,
    warnings: Vec<String>,
}

impl Opening<'_> {
    /// The address of the `n`-th port.
    fn address(&self, n: u16) -> Result<SocketAddr, SetupError> {
        let port = self.config.base_port + n;
        match self.config.listen {
            IpAddr::V6(ip) if host::is_link_local(&ip) => {
                let local = host::local_addresses().unwrap_or_default();
                let here = local.iter().find(|local| local.address == self.config.listen);
                let scope = here.ok_or_else(|| self.not_local(None))?.scope;
                Ok(SocketAddrV6::new(ip, port, 0, scope).into())
            }
            ip => Ok(SocketAddr::new(ip, port)),
        }
    }

    /// A socket that has its port to itself.
    fn alone(&mut self, address: SocketAddr, lane: u16) -> Result<Socket, SetupError> {
        let fd = self.socket(&address)?;
        self.bind(&fd, &address)?;
        self.bound(fd, lane)
    }

    /// One socket for each worker, all on one port.
    ///
    /// The first is bound without `SO_REUSEPORT`, so that a port which others
    /// use is refused, and shared afterwards: joining a stranger's group would
    /// take datagrams from each other. The position in the group is the order
    /// of binding (`reuseport_add_sock()`, `net/core/sock_reuseport.c`).
    fn group(&mut self, mut address: SocketAddr) -> Result<Vec<Socket>, SetupError> {
        let workers = self.config.workers;
        let mut group = Vec::with_capacity(workers);
        for n in 0..workers {
            let fd = self.socket(&address)?;
            self.try_option(steer::shut(fd.as_fd()), &address)?;
            if n == 0 {
                self.bind(&fd, &address)?;
                let bound = sys::local_address(fd.as_fd());
                address = bound.map_err(|error| self.refused(&address, error))?;
            }
            let shared = sys::set_option(fd.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEPORT, 1);
            self.try_option(shared, &address)?;
            if n > 0 {
                self.bind(&fd, &address)?;
            }
            group.push(fd);
        }
        let chosen = steer::by_entropy(group[0].as_fd(), self.config.lanes, workers as u32);
        self.try_option(chosen, &address)?;
        for fd in &group {
            self.try_option(steer::open(fd.as_fd()), &address)?;
        }
        group.into_iter().map(|fd| self.bound(fd, 0)).collect()
    }

    /// A socket with all its options, not yet bound.
    fn socket(&mut self, address: &SocketAddr) -> Result<OwnedFd, SetupError> {
        let fd = sys::udp_socket(address).map_err(|error| self.refused(address, error))?;
        let socket = fd.as_fd();
        if address.is_ipv6() {
            let only = sys::set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1);
            self.try_option(only, address)?;
        }
        let overflow = sys::set_option(socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1);
        self.try_option(overflow, address)?;
        let granted = sys::set_buffer(
            socket,
            libc::SO_RCVBUFFORCE,
            libc::SO_RCVBUF,
            self.config.socket.buffer,
        );
        let granted = granted.map_err(|error| self.refused(address, error))?;
        self.granted = self.granted.min(granted);
        if self.gro && sys::set_option(socket, libc::SOL_UDP, libc::UDP_GRO, 1).is_err() {
            self.gro = false;
            self.warnings.push(
                "this kernel has no UDP_GRO (Linux 5.0 has): datagrams come one by one".into(),
            );
        }
        Ok(fd)
    }

    fn bind(&self, fd: &OwnedFd, address: &SocketAddr) -> Result<(), SetupError> {
        sys::bind(fd.as_fd(), address).map_err(|error| self.refused(address, error))
    }

    /// A socket that is ready to be read. What its filter kept out while it
    /// was being opened is not a loss.
    fn bound(&self, fd: OwnedFd, lane: u16) -> Result<Socket, SetupError> {
        let port = sys::local_address(fd.as_fd()).map_or(0, |address| address.port());
        let mut socket = Socket { fd, port, lane, drops: 0 };
        socket.drops = socket.drops_now().unwrap_or(0);
        Ok(socket)
    }

    fn source(&self, sockets: Vec<Socket>) -> Result<SocketSource, SetupError> {
        let turns = Turns::new(sockets.iter().map(|socket| socket.fd.as_fd())).map_err(
            |error| match error.raw_os_error() {
                Some(libc::EMFILE) => {
                    too_many_descriptors(self.config, descriptor_limit().unwrap_or(0))
                }
                _ => self.cannot("watch", error),
            },
        )?;
        let about = self.describe(&sockets);
        let lanes = match self.config.lane_mode {
            LaneMode::Port => Lanes::OfSocket,
            LaneMode::Entropy => {
                Lanes::Entropy { mask: self.config.lanes - 1, framing: self.config.framing }
            }
        };
        Ok(SocketSource {
            sockets,
            turns,
            batch: Batch::new(MESSAGES, BUFFER_LEN),
            at_most: MESSAGES,
            lanes,
            wait: self.config.wait,
            counters: SourceCounters::default(),
            asked: 0,
            about,
        })
    }

    fn describe(&self, sockets: &[Socket]) -> String {
        let how = if self.gro { "recvmmsg, GRO" } else { "recvmmsg" };
        let shared = if shares_ports(self.config) { ", shared by entropy" } else { "" };
        match sockets {
            [] => "no ports".into(),
            [only] => format!("UDP port {} ({how}{shared})", only.port),
            [first, .., last] => format!(
                "{} UDP ports from {} to {} ({how}{shared})",
                sockets.len(),
                first.port,
                last.port
            ),
        }
    }

    fn warn_about_buffers(&mut self) {
        let asked = self.config.socket.buffer;
        if self.granted >= asked {
            return;
        }
        let limit = fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap_or_default();
        self.warnings.push(format!(
            "receive buffers hold {} bytes, not the {asked} asked for: net.core.rmem_max is {}; \
             raise it with `sysctl -w net.core.rmem_max={asked}`, or run with CAP_NET_ADMIN",
            self.granted,
            match limit.trim() {
                "" => "lower",
                limit => limit,
            },
        ));
    }

    fn warn_about_idle_workers(&mut self) {
        let (workers, lanes) = (self.config.workers, usize::from(self.config.lanes));
        if workers > lanes {
            self.warnings.push(format!(
                "{} of {workers} workers have nothing to do: there are {lanes} lanes",
                workers - lanes
            ));
        }
    }

    fn try_option(&self, result: io::Result<()>, address: &SocketAddr) -> Result<(), SetupError> {
        result.map_err(|error| self.refused(address, error))
    }

    /// What a refusal by the system means.
    fn refused(&self, address: &SocketAddr, error: io::Error) -> SetupError {
        let asked = format!("receive on UDP {address}");
        let port = address.port();
        let new =
            |kind, found: &str, remedy: String| SetupError::new(kind, asked.clone(), found, remedy);
        match error.raw_os_error() {
            Some(libc::EADDRINUSE) => new(
                SetupErrorKind::PortInUse,
                &format!("port {port} is taken"),
                format!("find its owner with `ss -ulnp 'sport = :{port}'`, or choose another port"),
            ),
            Some(libc::EADDRNOTAVAIL) => return self.not_local(Some(error)),
            Some(libc::EACCES | libc::EPERM) => new(
                SetupErrorKind::Permission,
                &format!("port {port} needs CAP_NET_BIND_SERVICE"),
                "choose a port from 1024 on (EJFAT uses 10000 and up)".into(),
            ),
            Some(libc::EAFNOSUPPORT) => new(
                SetupErrorKind::Unsupported,
                "this kernel has that IP version switched off",
                "listen on an address of the other IP version".into(),
            ),
            Some(libc::EMFILE) => {
                too_many_descriptors(self.config, descriptor_limit().unwrap_or(0))
            }
            _ => return self.cannot(&format!("receive on UDP {address} with"), error),
        }
        .caused_by(error)
    }

    fn not_local(&self, error: Option<io::Error>) -> SetupError {
        let local = host::local_addresses().unwrap_or_default();
        let same =
            local.iter().filter(|here| here.address.is_ipv4() == self.config.listen.is_ipv4());
        let names: Vec<String> =
            same.map(|here| format!("{} ({})", here.address, here.interface)).collect();
        let text = SetupError::new(
            SetupErrorKind::NoInterface,
            format!("receive on {}", self.config.listen),
            format!("no interface has that address; this host has {}", names.join(", ")),
            format!("listen on one of those, or on {}", host::wildcard(&self.config.listen)),
        );
        match error {
            Some(error) => text.caused_by(error),
            None => text,
        }
    }

    fn cannot(&self, what: &str, error: io::Error) -> SetupError {
        SetupError::new(
            SetupErrorKind::System,
            format!("{what} the sockets of {} UDP ports", self.config.ports),
            format!("the system refused: {error}"),
            "see the system's error; `xdpsar doctor` looks for usual causes",
        )
        .caused_by(error)
    }
}
