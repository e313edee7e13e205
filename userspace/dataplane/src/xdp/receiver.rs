//! Brings memory, sockets and the steering program together, and takes them
//! apart again.

use std::{
    fmt, io,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{info, warn};
use xdpsar_wire::steering::{LaneMode, MAX_LANES, SteerConfig, Verdict};

use super::{
    inlet::{self, Inlet},
    layout::Plan,
    packet::Judge,
    setup,
    source::XdpSource,
};
use crate::{
    config::{LEND_FROM, Lend, ReceiveConfig},
    error::{SetupError, SetupErrorKind},
    host::{self, Interface},
    steering::{self, Attached, AttachedMode, SteeringProgram},
};

/// The program on the interface. Shared by the receiver and its sources, so
/// that it goes with the last of them at the latest.
pub(crate) struct Attachment {
    pub(crate) interface: String,
    pub(crate) mode: AttachedMode,
    program: Mutex<Option<SteeringProgram>>,
}

impl Attachment {
    fn program(&self) -> std::sync::MutexGuard<'_, Option<SteeringProgram>> {
        // Nothing is left half done under this lock.
        self.program.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the steering program attached. Dropping it detaches the program, so
/// that no packet is steered to us any more; what is in the rings can still be
/// received, and the queues are free when the last [`XdpSource`] is dropped.
pub struct XdpReceiver {
    attachment: Arc<Attachment>,
    description: String,
}

impl XdpReceiver {
    /// Makes memory and sockets for every RX queue of the interface, then
    /// attaches the program. The sources are in the order of the workers.
    ///
    /// # Errors
    /// [`SetupError`] says what was asked, what was found and what to do. In
    /// that case nothing stays attached or bound.
    pub fn open(config: &ReceiveConfig) -> Result<(Self, Vec<XdpSource>), SetupError> {
        let interface = interface(config)?;
        let name = interface.name.as_str();
        let steer = steer(config, interface.mtu)?;
        steering::hook_is_free(name, config.xdp.bind_retry)?;
        let plan = Plan::new(config, interface.rx_queues, interface.mtu)?;
        let lend_from = if config.xdp.lend == Lend::Auto { LEND_FROM } else { 0 };
        if !plan.fan_out && plan.workers > plan.queues as usize {
            warn!("{name} has {} RX queues: the other workers will be idle", plan.queues);
        }

        // Dropped last made first, should we fail: the program before the sockets.
        let mut inlets: Vec<Vec<Inlet>> = (0..plan.workers).map(|_| Vec::new()).collect();
        let mut program = SteeringProgram::load(&steer, plan.slot_count())?;
        for queue in 0..plan.queues {
            let parts = setup::open_queue(name, queue, &plan, &config.xdp)?;
            for (worker, inlet) in
                plan.owners(queue).zip(inlet::inlets(queue, parts, &plan, lend_from))
            {
                for slot in plan.slots(queue, worker) {
                    program.set_socket(slot, inlet.socket())?;
                }
                inlets[worker].push(inlet);
            }
        }
        let Attached { mode, reason } = program.attach(name, config.xdp.attach)?;
        if let Some(reason) = reason {
            warn!("{name}: {mode} XDP: {reason}");
        }
        if mode == AttachedMode::Generic {
            warn!(
                "{name}: generic XDP meets what a sender on this machine leaves to be cut on the \
                 way; longer than the MTU, it is dropped as oversized: \
                 `ethtool -K INTERFACE tx-udp-segmentation off` at the sender's end"
            );
        }
        every_queue_has_its_socket(&interface, &plan)?;

        let zero_copy = inlets.iter().flatten().all(|inlet| inlet.zero_copy);
        let description = describe(name, &plan, mode, zero_copy);
        info!(
            "{description}: {} frames per queue and {} per socket to lend, RX rings of {}",
            plan.frames, plan.reserve, plan.rx_ring
        );
        let attachment = Arc::new(Attachment {
            interface: name.to_owned(),
            mode,
            program: Mutex::new(Some(program)),
        });
        let judge = Judge::new(config);
        let sources = inlets
            .into_iter()
            .map(|inlets| XdpSource::new(Arc::clone(&attachment), inlets, judge, config.wait))
            .collect();
        Ok((Self { attachment, description }, sources))
    }

    /// The program's counters, in the order of [`Verdict::COUNTER_NAMES`].
    ///
    /// # Errors
    /// What the kernel says when the counters cannot be read.
    pub fn program_counters(&self) -> io::Result<[u64; Verdict::COUNTERS]> {
        match &*self.attachment.program() {
            Some(program) => program.counters(),
            None => Err(io::Error::other("the program is detached")),
        }
    }

    /// The interface's name.
    pub fn interface(&self) -> &str {
        &self.attachment.interface
    }

    /// For people: `vb, 1 queue, fan-out 4 workers, native, copy`.
    pub fn describe(&self) -> String {
        self.description.clone()
    }
}

impl fmt::Debug for XdpReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "XdpReceiver({})", self.description)
    }
}

impl Drop for XdpReceiver {
    fn drop(&mut self) {
        // Not when the last source goes: now.
        let _detached = self.attachment.program().take();
    }
}

fn describe(name: &str, plan: &Plan, mode: AttachedMode, zero_copy: bool) -> String {
    let plural =
        |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let queues = plural(plan.queues as usize, "queue");
    let workers = plural(plan.workers, "worker");
    let layout = if plan.fan_out { "fan-out" } else { "queue-per-core" };
    let copy = if zero_copy { "zero-copy" } else { "copy" };
    format!("{name}, {queues}, {layout} {workers}, {mode}, {copy}")
}

fn interface(config: &ReceiveConfig) -> Result<Interface, SetupError> {
    let (asked, found) = match &config.xdp.interface {
        Some(name) => (format!("receive on interface {name}"), host::interface_by_name(name)),
        None if config.listen.is_unspecified() => {
            return Err(SetupError::new(
                SetupErrorKind::Usage,
                format!("receive by AF_XDP on {}", config.listen),
                "AF_XDP is bound to one interface, and any address is on all of them",
                "name the interface, or listen on its address",
            ));
        }
        None => (
            format!("receive on the interface that carries {}", config.listen),
            host::interface_of(config.listen),
        ),
    };
    match found {
        Ok(Some(interface)) => Ok(interface),
        Ok(None) => Err(SetupError::new(
            SetupErrorKind::NoInterface,
            asked,
            "there is none",
            "see `ip address` for what there is",
        )),
        Err(error) => Err(SetupError::new(
            SetupErrorKind::System,
            asked,
            "the interfaces cannot be listed",
            "see the cause",
        )
        .caused_by(error)),
    }
}

/// What the program is told.
fn steer(config: &ReceiveConfig, mtu: u32) -> Result<SteerConfig, SetupError> {
    let usage = |asked: String, found: &str, remedy: &str| {
        SetupError::new(SetupErrorKind::Usage, asked, found, remedy)
    };
    let range = |count: u16| count.is_power_of_two() && count <= MAX_LANES;
    if !range(config.ports) || !range(config.lanes) {
        return Err(usage(
            format!("receive on {} ports in {} lanes", config.ports, config.lanes),
            "port ranges are powers of two, at most 16384",
            "choose 1, 2, 4, …",
        ));
    }
    if u32::from(config.base_port) + u32::from(config.ports) > 1 << 16 {
        return Err(usage(
            format!("receive on {} ports from {} on", config.ports, config.base_port),
            "there are no ports beyond 65535",
            "start lower, or use fewer",
        ));
    }
    if config.lane_mode == LaneMode::Port && config.lanes != config.ports {
        return Err(usage(
            format!("{} lanes on {} ports", config.lanes, config.ports),
            "each port is a lane",
            "use as many lanes as ports, or choose lanes by entropy",
        ));
    }
    let workers = u16::try_from(config.workers).map_err(|_| {
        usage(format!("{} workers", config.workers), "there are 65535 at most", "use fewer")
    })?;
    let mut address = [0; 16];
    let ip_version = match config.listen {
        IpAddr::V4(listen) => {
            address[..4].copy_from_slice(&listen.octets());
            4
        }
        IpAddr::V6(listen) => {
            address = listen.octets();
            6
        }
    };
    Ok(SteerConfig {
        address,
        max_ip_len: mtu,
        ip_version,
        any_address: config.listen.is_unspecified().into(),
        lane_mode: config.lane_mode as u8,
        framing: config.framing as u8,
        base_port: config.base_port,
        ports: config.ports,
        lanes: config.lanes,
        workers,
    })
}

/// Drivers may change their queues when a program is attached, and a packet
/// on a queue without a socket would silently be the kernel's.
fn every_queue_has_its_socket(interface: &Interface, plan: &Plan) -> Result<(), SetupError> {
    let name = &interface.name;
    let asked = format!("a socket on every RX queue of {name}");
    let now = match host::interface_by_name(name) {
        Ok(Some(interface)) => interface.rx_queues,
        Ok(None) => 0,
        Err(error) => {
            return Err(SetupError::new(
                SetupErrorKind::System,
                asked,
                "its queues cannot be counted",
                "see the cause",
            )
            .caused_by(error));
        }
    };
    if now <= plan.queues {
        return Ok(());
    }
    Err(SetupError::new(
        SetupErrorKind::System,
        asked,
        format!("queue {} came with the program and has none", plan.queues),
        format!("fix the number of queues with `ethtool -L {name}` and start again"),
    ))
}
