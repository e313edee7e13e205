//! One host of a lab.

use std::{
    fs::File,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    panic::resume_unwind,
    process::Command,
    thread,
    time::Duration,
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
};
use serde_json::Value;

use crate::{
    lab::Namespace,
    pace::{PATIENCE, until},
    tool,
};

const NONE: Option<&str> = None;

/// A network namespace with one end of the lab's cable.
#[derive(Debug)]
pub struct Host {
    /// The interface at this end.
    pub interface: String,
    /// Its IPv4 address (/24).
    pub v4: Ipv4Addr,
    /// Its IPv6 address (/64).
    pub v6: Ipv6Addr,
    namespace: Namespace,
}

/// An XDP program found on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XdpProgram {
    /// The kernel's id of the program.
    pub id: u64,
    /// In the generic hook rather than in the driver.
    pub generic: bool,
}

impl Host {
    pub(crate) fn new(namespace: Namespace, interface: String, v4: Ipv4Addr, v6: Ipv6Addr) -> Self {
        Self { interface, v4, v6, namespace }
    }

    /// Name of the network namespace, as `ip netns` knows it.
    pub fn netns(&self) -> &str {
        self.namespace.name()
    }

    /// The address of either IP version.
    pub fn address(&self, v6: bool) -> IpAddr {
        if v6 { self.v6.into() } else { self.v4.into() }
    }

    /// Runs `f` in this host, on a thread of its own, and waits for it. The
    /// thread sees this host's sockets, interfaces and `/sys/class/net`, and
    /// so do the threads and processes that it starts. A panic in `f` goes
    /// on in the caller.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let name = thread::current().name().unwrap_or("lab").to_owned();
            let thread = thread::Builder::new().name(name).spawn_scoped(scope, || {
                enter(self.netns());
                f()
            });
            thread.expect("a thread").join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// As [`Host::run`], but leaves the thread running: for a host that
    /// serves while the test goes on elsewhere.
    pub fn spawn<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let netns = self.netns().to_owned();
        let name = thread::current().name().unwrap_or("lab").to_owned();
        let thread = thread::Builder::new().name(name).spawn(move || {
            enter(&netns);
            f()
        });
        thread.expect("a thread")
    }

    /// A command that will run in this host. Its process id is the
    /// program's own: signals sent to it reach the program.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        // `ip netns exec` becomes the program (execvp); it does not wait.
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.netns()]).arg(program);
        command
    }

    /// Runs a command line in this host; see [`tool::run`].
    ///
    /// # Panics
    /// If the command fails.
    pub fn tool(&self, line: &str) -> String {
        tool::run(&self.line(line))
    }

    /// Runs a command line in this host; see [`tool::attempt`].
    ///
    /// # Errors
    /// All that the command said.
    pub fn try_tool(&self, line: &str) -> Result<String, String> {
        tool::attempt(&self.line(line))
    }

    fn line(&self, line: &str) -> String {
        format!("ip netns exec {} {line}", self.netns())
    }

    /// One echo request of `payload` bytes to `to`, not to be fragmented,
    /// answered within a second.
    ///
    /// # Errors
    /// What `ping` said.
    pub fn ping(&self, to: IpAddr, payload: usize) -> Result<(), String> {
        self.echo(to, payload, Duration::from_secs(1))
    }

    /// As [`ping`](Self::ping), answered within our patience.
    ///
    /// # Panics
    /// If there is no answer.
    pub fn answered(&self, to: IpAddr, payload: usize) {
        self.echo(to, payload, PATIENCE).unwrap_or_else(|failure| panic!("{failure}"));
    }

    fn echo(&self, to: IpAddr, payload: usize, wait: Duration) -> Result<(), String> {
        let wait = wait.as_secs();
        self.try_tool(&format!("ping -n -c 1 -W {wait} -M do -s {payload} {to}")).map(drop)
    }

    /// Sends one UDP datagram with these bytes, from an ephemeral port.
    ///
    /// # Panics
    /// If it cannot be sent.
    pub fn send_udp(&self, to: SocketAddr, payload: &[u8]) {
        let from = self.address(to.is_ipv6());
        self.run(|| {
            let socket = UdpSocket::bind((from, 0)).expect("a UDP socket");
            let sent = socket.send_to(payload, to).expect("a datagram goes out");
            assert_eq!(sent, payload.len());
        });
    }

    /// Switches an offload (`tx`, `gro`, `gso`, …: `ethtool -K`) of this
    /// host's interface.
    ///
    /// # Panics
    /// If the interface does not have it.
    pub fn offload(&self, feature: &str, on: bool) {
        let state = if on { "on" } else { "off" };
        self.tool(&format!("ethtool -K {} {feature} {state}", self.interface));
    }

    /// The driver's statistic of that name (`ethtool -S`), if there is one.
    ///
    /// # Panics
    /// If the driver has no statistics.
    pub fn statistic(&self, name: &str) -> Option<u64> {
        let all = self.tool(&format!("ethtool -S {}", self.interface));
        all.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(found, _)| found.trim() == name)
            .and_then(|(_, value)| value.trim().parse().ok())
    }

    /// The MTU of this host's interface.
    ///
    /// # Panics
    /// If the interface is gone.
    pub fn mtu(&self) -> u64 {
        self.link()["mtu"].as_u64().expect("a link has an MTU")
    }

    /// The XDP programs on this host's interface.
    ///
    /// # Panics
    /// If the interface is gone.
    pub fn xdp_programs(&self) -> Vec<XdpProgram> {
        let link = self.link();
        let xdp = &link["xdp"];
        // One program stands in `xdp` itself; several modes at once in
        // `attached`.
        let one = |entry: &Value| {
            let id = entry["prog"]["id"].as_u64()?;
            // XDP_ATTACHED_SKB, include/uapi/linux/if_link.h.
            Some(XdpProgram { id, generic: entry["mode"].as_u64() == Some(2) })
        };
        match xdp["attached"].as_array() {
            Some(all) => all.iter().filter_map(one).collect(),
            None => one(xdp).into_iter().collect(),
        }
    }

    /// Waits for the kernel to have noticed that the cable is plugged in at
    /// both ends: it defers that work (`linkwatch`).
    pub(crate) fn wait_until_up(&self) {
        until("the interface comes up", || self.link()["operstate"] == "UP");
    }

    /// Sets the pause between two neighbour solicitations, in milliseconds.
    pub(crate) fn ask_neighbours_every(&self, pause_ms: u32) {
        let (netns, interface) = (self.netns(), &self.interface);
        tool::run(&format!(
            "ip -n {netns} ntable change name ndisc_cache dev {interface} retrans {pause_ms}"
        ));
    }

    fn link(&self) -> Value {
        let text =
            tool::run(&format!("ip -j -n {} link show dev {}", self.netns(), self.interface));
        let links: Value = serde_json::from_str(&text).expect("`ip -j` prints JSON");
        links[0].clone()
    }
}

/// Moves the calling thread into a namespace, with a `/sys` that shows it.
///
/// `setns` alone leaves `/sys/class/net` as it was: a sysfs shows the network
/// namespace of whoever mounted it. So the thread gets a mount namespace and
/// a sysfs of its own, as under `ip netns exec`. It must not be reused for
/// anything else afterwards.
fn enter(netns: &str) {
    let path = format!("/run/netns/{netns}");
    let file = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    setns(&file, CloneFlags::CLONE_NEWNET).expect("entering the namespace");
    unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
    // Ours follow the machine's mounts, the machine's do not follow ours.
    mount(NONE, "/", NONE, MsFlags::MS_SLAVE | MsFlags::MS_REC, NONE).expect("private mounts");
    // Fails where /sys is no mount point: then there is nothing to cover.
    let _ = umount2("/sys", MntFlags::MNT_DETACH);
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), NONE).expect("a sysfs");
}
