//! A network of two: each side in a network namespace of its own, joined by
//! a veth pair. The namespaces have no name, so nothing is left of them when
//! their processes are gone.

use std::{io, net::Ipv4Addr, process::Command};

use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    thread::UnshareFlags,
};

use crate::status::Failure;

/// The sender's end; addresses of RFC 2544, which no real network uses.
const SENDER: (&str, Ipv4Addr, &str) = ("xs0", Ipv4Addr::new(198, 18, 0, 1), "02:00:00:12:00:01");
/// The receiver's end.
const RECEIVER: (&str, Ipv4Addr, &str) = ("xr0", Ipv4Addr::new(198, 18, 0, 2), "02:00:00:12:00:02");

/// The receiver's interface.
pub(super) const INTERFACE: &str = RECEIVER.0;
/// Its address.
pub(super) const ADDRESS: Ipv4Addr = RECEIVER.1;

/// Moves this process, which must not have other threads yet, into a network
/// namespace of its own, with a `/sys` that shows that one's interfaces.
///
/// # Errors
/// Missing privileges, mostly.
pub(super) fn isolate() -> Result<(), Failure> {
    let failed = |asked: &'static str| {
        move |error: rustix::io::Errno| {
            Failure::system(
                asked,
                error.into(),
                "run as root (CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_PERFMON), \
                 or use --backend socket",
            )
        }
    };
    #[expect(
        deprecated,
        reason = "its unsafe successor guards against UnshareFlags::FILES, not used here"
    )]
    rustix::thread::unshare(UnshareFlags::NEWNET | UnshareFlags::NEWNS)
        .map_err(failed("a network namespace"))?;
    // Or the new /sys would show up in the host's mount namespace, too.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(failed("a private mount namespace"))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("sysfs", "/sys", "sysfs", flags, None).map_err(failed("a /sys of the namespace"))
}

/// Sender: makes the pair, one end here and one in the namespace of process
/// `peer`.
///
/// # Errors
/// No `ip` command, or what it says.
pub(super) fn make_pair(peer: u32, mtu: u32) -> Result<(), Failure> {
    let (name, address, mac) = SENDER;
    let (peer_name, peer_address, peer_mac) = RECEIVER;
    ip(&format!(
        "link add {name} mtu {mtu} address {mac} numtxqueues 1 numrxqueues 1 type veth \
         peer name {peer_name} mtu {mtu} address {peer_mac} numtxqueues 1 numrxqueues 1 netns {peer}"
    ))?;
    take_into_use(name, address)?;
    // Datagrams sent while the address is being resolved would be lost. The
    // receiver's kernel still has to resolve ours, past the XDP program.
    ip(&format!("neigh replace {peer_address} lladdr {peer_mac} dev {name} nud permanent"))
}

/// Receiver: brings its end up.
///
/// # Errors
/// As [`make_pair`].
pub(super) fn use_peer_end() -> Result<(), Failure> {
    take_into_use(RECEIVER.0, RECEIVER.1)
}

fn take_into_use(name: &str, address: Ipv4Addr) -> Result<(), Failure> {
    ip(&format!("address add {address}/30 dev {name}"))?;
    ip(&format!("link set {name} up"))
}

fn ip(arguments: &str) -> Result<(), Failure> {
    let asked = || format!("ip {arguments}");
    let output =
        Command::new("ip").args(arguments.split_whitespace()).output().map_err(|error| {
            Failure::system(asked(), error, "install iproute2, or use --backend socket")
        })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let error = io::Error::other(if text.is_empty() { output.status.to_string() } else { text });
    Err(Failure::system(format!("ip {arguments}"), error, "use --backend socket"))
}

/// Echo requests to the receiver, meanwhile: traffic that is none of ours
/// must get past the XDP program.
pub(super) struct Pings(std::process::Child);

impl Pings {
    /// Starts them; `None` if there is no `ping` command.
    pub(super) fn start() -> Option<Self> {
        Command::new("ping")
            .args(["-n", "-q", "-c", "20", "-i", "0.05", "-W", "10"])
            .arg(ADDRESS.to_string())
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .ok()
            .map(Self)
    }

    /// Waits for them: sent and answered.
    pub(super) fn finish(self) -> Option<(u64, u64)> {
        let output = self.0.wait_with_output().ok()?;
        summary(&String::from_utf8_lossy(&output.stdout))
    }
}

/// Reads `20 packets transmitted, 20 received, …`.
fn summary(text: &str) -> Option<(u64, u64)> {
    let line = text.lines().find(|line| line.contains("transmitted"))?;
    let mut numbers =
        line.split(',').map(|part| part.split_whitespace().find_map(|word| word.parse().ok()));
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ping_summaries_are_understood() {
        let iputils = "\n--- 198.18.0.2 ping statistics ---\n\
             20 packets transmitted, 19 received, 5% packet loss, time 970ms\n";
        assert_eq!(summary(iputils), Some((20, 19)));
        let busybox = "20 packets transmitted, 20 packets received, 0% packet loss\n";
        assert_eq!(summary(busybox), Some((20, 20)));
        assert_eq!(summary("ping: socket: not permitted"), None);
    }
}
