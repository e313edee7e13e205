//! Two hosts and a cable between them.
//!
//! ```text
//!  namespace xdpsar-<pid>-<n>-s          namespace xdpsar-<pid>-<n>-r
//!  ┌──────────────────────────┐          ┌──────────────────────────┐
//!  │ sender      va           │   veth   │           vb    receiver │
//!  │ 10.77.0.1  fd77::1       ├──────────┤       10.77.0.2  fd77::2 │
//!  └──────────────────────────┘ n queues └──────────────────────────┘
//! ```
//!
//! Every lab has the same addresses and interface names: they are private to
//! its namespaces. Only the namespaces' own names are shared with the rest of
//! the machine, so those carry the process id. They are deleted when the lab
//! is dropped, also while a failed test unwinds; what a killed process leaves
//! behind is deleted by the next one that makes a lab.

use std::{
    fs,
    net::{Ipv4Addr, Ipv6Addr},
    path::Path,
    sync::{
        Once,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use crate::{host::Host, pace::PATIENCE, tool};

const NETNS_DIR: &str = "/run/netns";
const PREFIX: &str = "xdpsar-";

/// What the cable is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabConfig {
    /// RX and TX queues of both interfaces.
    pub queues: u32,
    /// MTU of both interfaces in bytes.
    pub mtu: u32,
}

impl Default for LabConfig {
    fn default() -> Self {
        Self { queues: 1, mtu: 1500 }
    }
}

/// Two hosts joined by a veth pair; see the module.
#[derive(Debug)]
pub struct Lab {
    /// The host that sends, with interface `va`.
    pub sender: Host,
    /// The host that receives, with interface `vb`.
    pub receiver: Host,
}

impl Lab {
    /// Makes the two hosts and pings one from the other, so that neighbours
    /// are known and the first datagrams of a test are not lost to ARP.
    ///
    /// # Panics
    /// If any of it fails.
    pub fn new(config: LabConfig) -> Self {
        static STALE: Once = Once::new();
        static NEXT: AtomicU32 = AtomicU32::new(0);

        STALE.call_once(remove_stale);
        let name =
            format!("{PREFIX}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let (s, r) = (format!("{name}-s"), format!("{name}-r"));
        // From here on a panic must clean up: each guard owns its namespace.
        let sender = Namespace::new(s.clone());
        let receiver = Namespace::new(r.clone());
        let LabConfig { queues, mtu } = config;
        let end = format!("mtu {mtu} numrxqueues {queues} numtxqueues {queues}");
        // Made where they will live: no name is ever taken in our own
        // namespace.
        tool::run(&format!("ip -n {s} link add va {end} type veth peer name vb {end} netns {r}"));
        for (netns, interface, last) in [(&s, "va", 1), (&r, "vb", 2)] {
            // No link-local addresses, no duplicate detection: the addresses
            // serve from the first packet on.
            tool::run(&format!("ip -n {netns} link set {interface} addrgenmode none"));
            tool::run(&format!("ip -n {netns} addr add 10.77.0.{last}/24 dev {interface}"));
            tool::run(&format!("ip -n {netns} addr add fd77::{last}/64 dev {interface} nodad"));
            tool::run(&format!("ip -n {netns} link set lo up"));
            tool::run(&format!("ip -n {netns} link set {interface} up"));
        }
        let host = |namespace, interface: &str, last: u8| {
            Host::new(
                namespace,
                interface.to_owned(),
                Ipv4Addr::new(10, 77, 0, last),
                Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, last.into()),
            )
        };
        let lab = Self { sender: host(sender, "va", 1), receiver: host(receiver, "vb", 2) };
        for host in [&lab.sender, &lab.receiver] {
            host.wait_until_up();
        }
        // IPv6 hears its neighbours' questions only some time after the
        // interface came up, and they are asked once a second: for now, more
        // often.
        lab.sender.ask_neighbours_every(20);
        for v6 in [false, true] {
            let to = lab.receiver.address(v6);
            let deadline = Instant::now() + PATIENCE;
            while let Err(failure) = lab.sender.ping(to, 56) {
                assert!(Instant::now() < deadline, "the new lab does not answer: {failure}");
            }
        }
        lab.sender.ask_neighbours_every(1000);
        lab
    }
}

/// Owns a network namespace: deletes it when dropped.
#[derive(Debug)]
pub(crate) struct Namespace(String);

impl Namespace {
    fn new(name: String) -> Self {
        tool::run(&format!("ip netns add {name}"));
        Self(name)
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // No second panic while a failed test unwinds.
        if let Err(failure) = tool::attempt(&format!("ip netns del {}", self.0)) {
            eprintln!("a namespace is left behind: {failure}");
        }
    }
}

/// Deletes the namespaces of processes that are no more.
fn remove_stale() {
    for name in names() {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let Some(owner) = owner.and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        if !Path::new("/proc").join(owner.to_string()).exists() {
            // Another test process may be doing the same just now.
            let _ = tool::attempt(&format!("ip netns del {name}"));
        }
    }
}

/// Names of the network namespaces that exist.
pub fn names() -> Vec<String> {
    let Ok(entries) = fs::read_dir(NETNS_DIR) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
