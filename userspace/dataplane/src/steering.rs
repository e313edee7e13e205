//! The XDP program in the kernel: loaded, configured, attached, counted.
//!
//! ```text
//!  SteerConfig ──▶ CONFIG (read-only data) ┐
//!  slots ────────▶ XSKS (resized)          ├─ load ─▶ verifier ─▶ attach (bpf_link)
//!  sockets ──────▶ XSKS[slot]              ┘                          │
//!  counters() ◀── COUNTERS (one value a CPU) ◀── every frame ◀────────┘
//! ```
//!
//! The object is compiled in; `xdp-ebpf/prebuilt` says where it comes from.
//! The link is a file descriptor: when it is closed, by drop or because the
//! process died, the program is off the interface.

mod attach;
mod refusal;

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd},
};

use aya::{
    Ebpf, EbpfLoader,
    maps::{Map, PerCpuArray, XskMap},
    programs::Xdp,
};
use xdpsar_wire::steering::{LaneMode, MAX_LANES, SteerConfig, Verdict};

pub(crate) use self::attach::hook_is_free;
pub use self::attach::{Attached, AttachedMode};
use crate::{
    config::AttachMode,
    error::{SetupError, SetupErrorKind},
};

/// The compiled program, for other loaders (tests, `bpftool`).
pub const OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../xdp-ebpf/prebuilt/xdpsar-steer.o"
));

const PROGRAM: &str = "xdpsar_steer";
const SOCKETS: &str = "XSKS";
const COUNTERS: &str = "COUNTERS";
const CONFIG: &str = "CONFIG";

/// The steering program, from its load to its end.
///
/// Dropping it, or the death of the process, takes it off the interface.
pub struct SteeringProgram {
    // Before `ebpf`: off the interface first, then the maps.
    link: Option<attach::Link>,
    ebpf: Ebpf,
}

impl SteeringProgram {
    /// Loads the program with `config` as constants and room for `xsk_slots`
    /// sockets (RX queues × workers).
    ///
    /// # Errors
    /// [`SetupErrorKind::Usage`] for a `config` that cannot be meant,
    /// [`SetupErrorKind::Permission`] with the capabilities that are missing,
    /// [`SetupErrorKind::Unsupported`] with the verifier's last words.
    pub fn load(config: &SteerConfig, xsk_slots: u32) -> Result<Self, SetupError> {
        check(config, xsk_slots)?;
        let mut ebpf = EbpfLoader::new()
            // The program looks into no kernel structure: nothing to relocate.
            .btf(None)
            .override_global(CONFIG, config.as_data(), true)
            .map_max_entries(SOCKETS, xsk_slots)
            .load(OBJECT)
            .map_err(|error| refusal::load(&error))?;
        program(&mut ebpf)?.load().map_err(|error| refusal::load(&error))?;
        Ok(Self { link: None, ebpf })
    }

    /// Puts an AF_XDP socket into `slot` = RX queue × workers + lane %
    /// workers. Frames of a slot without a socket go to the kernel.
    ///
    /// # Errors
    /// [`SetupErrorKind::System`]: no such slot, or not an AF_XDP socket.
    pub fn set_socket(&mut self, slot: u32, socket: BorrowedFd<'_>) -> Result<(), SetupError> {
        let fd = socket.as_raw_fd();
        self.sockets()?
            .set(slot, fd, 0)
            .map_err(|error| refusal::map(format!("put an AF_XDP socket into slot {slot}"), &error))
    }

    /// Takes the socket, if there is one, out of `slot`; its frames go to the
    /// kernel again.
    ///
    /// # Errors
    /// [`SetupErrorKind::System`]: no such slot.
    pub fn clear_socket(&mut self, slot: u32) -> Result<(), SetupError> {
        self.sockets()?
            .unset(slot)
            .map_err(|error| refusal::map(format!("take the socket out of slot {slot}"), &error))
    }

    /// Attaches the program to `interface`, and never in the place of another
    /// program.
    ///
    /// # Errors
    /// [`SetupErrorKind::HookTaken`] with the holder's name,
    /// [`SetupErrorKind::NoInterface`], [`SetupErrorKind::Permission`],
    /// [`SetupErrorKind::Mtu`], or [`SetupErrorKind::Unsupported`] when the
    /// driver has no XDP and `mode` asks for it.
    pub fn attach(&mut self, interface: &str, mode: AttachMode) -> Result<Attached, SetupError> {
        // One hook a program: the former link goes first.
        self.link = None;
        let (link, attached) = attach::attach(self.program_fd()?, interface, mode)?;
        self.link = Some(link);
        Ok(attached)
    }

    /// Takes the program off its interface; it can be attached again.
    pub fn detach(&mut self) {
        self.link = None;
    }

    /// How many frames met which verdict, in the order of
    /// [`Verdict::COUNTER_NAMES`], all CPUs together.
    ///
    /// # Errors
    /// The system's, when the map cannot be read.
    pub fn counters(&self) -> Result<[u64; Verdict::COUNTERS], io::Error> {
        let map = self.ebpf.map(COUNTERS).ok_or(io::ErrorKind::NotFound)?;
        let map = PerCpuArray::<_, u64>::try_from(map).map_err(io::Error::other)?;
        let mut counters = [0; Verdict::COUNTERS];
        for (index, counter) in (0..).zip(&mut counters) {
            *counter = map.get(&index, 0).map_err(io::Error::other)?.iter().sum();
        }
        Ok(counters)
    }

    /// The loaded program, to be inspected or test-run.
    ///
    /// # Errors
    /// [`SetupErrorKind::System`], which would be a defect of the object.
    pub fn program_fd(&self) -> Result<BorrowedFd<'_>, SetupError> {
        let program = self.ebpf.program(PROGRAM).ok_or_else(|| refusal::object(PROGRAM))?;
        let program: &Xdp = program.try_into().map_err(|_| refusal::object(PROGRAM))?;
        Ok(program.fd().map_err(|_| refusal::object(PROGRAM))?.as_fd())
    }

    fn sockets(&mut self) -> Result<XskMap<&mut aya::maps::MapData>, SetupError> {
        match self.ebpf.map_mut(SOCKETS) {
            Some(map @ Map::XskMap(_)) => {
                XskMap::try_from(map).map_err(|_| refusal::object(SOCKETS))
            }
            _ => Err(refusal::object(SOCKETS)),
        }
    }
}

impl std::fmt::Debug for SteeringProgram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SteeringProgram").field("attached", &self.link.is_some()).finish()
    }
}

fn program(ebpf: &mut Ebpf) -> Result<&mut Xdp, SetupError> {
    ebpf.program_mut(PROGRAM)
        .and_then(|program| program.try_into().ok())
        .ok_or_else(|| refusal::object(PROGRAM))
}

/// Refuses what the program would take silently and steer wrongly.
fn check(config: &SteerConfig, xsk_slots: u32) -> Result<(), SetupError> {
    let last_port = u32::from(config.base_port) + u32::from(config.ports);
    let complaint = if xsk_slots == 0 || config.workers == 0 {
        "there must be a worker and a socket slot"
    } else if config.ports == 0 || config.ports > MAX_LANES || last_port > 1 << 16 {
        "ports must be 1 to 16384 and end at 65535"
    } else if !config.lanes.is_power_of_two() || config.lanes > MAX_LANES {
        "lanes must be a power of two up to 16384"
    } else if config.lane_mode == LaneMode::Port as u8 && config.lanes != config.ports {
        "lanes are ports here, so there must be as many"
    } else if config.ip_version != 4 && config.ip_version != 6 {
        "the IP version must be 4 or 6"
    } else {
        return Ok(());
    };
    Err(SetupError::new(
        SetupErrorKind::Usage,
        format!(
            "steer ports {}..{last_port} over {} lanes to {} workers",
            config.base_port, config.lanes, config.workers
        ),
        complaint,
        "choose other values",
    ))
}
