//! The way to the next hop: interface, addresses, and whether it still is the
//! way.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    thread,
    time::{Duration, Instant},
};

use crate::{
    error::{SetupError, SetupErrorKind},
    host::{
        neighbour::{Link, Mac, Neighbour, NextHop, provoke},
        netlink::Netlink,
    },
};

/// The kernel asks three times in three seconds (`mcast_solicit`,
/// `retrans_time_ms`, arp(7)), then says that it failed.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Where frames go.
#[derive(Debug)]
pub(super) struct Path {
    netlink: Netlink,
    to: SocketAddr,
    source: IpAddr,
    hop: NextHop,
    pub(super) interface: String,
    pub(super) from_mac: Mac,
    pub(super) to_mac: Mac,
}

impl Path {
    /// The way from `source` to `to`. Waits for the next hop to say its
    /// Ethernet address, if it has to be asked for.
    ///
    /// # Errors
    /// Where frames of our own making cannot go that way: see the texts.
    pub(super) fn find(to: SocketAddr, source: IpAddr) -> Result<Self, SetupError> {
        let asked = || format!("send to {to} through AF_XDP");
        let system = |error: io::Error| {
            SetupError::new(
                SetupErrorKind::System,
                asked(),
                format!("the kernel does not tell the way there: {error}"),
                "see `ip route get` for it, or use backend `gso` or `mmsg`",
            )
            .caused_by(error)
        };
        let mut netlink = Netlink::open().map_err(system)?;
        let hop = netlink.next_hop(&to, source).map_err(system)?;
        if !hop.is_remote || to.ip().is_multicast() {
            return Err(SetupError::new(
                SetupErrorKind::Unsupported,
                asked(),
                "it is this host, or not one host",
                "name the address of one other host, or use backend `gso` or `mmsg`",
            ));
        }
        let link = netlink.link(hop.interface).map_err(system)?;
        let from_mac = usable(&link, &asked)?;
        let to_mac = ask(&mut netlink, &hop, &link.name, &asked)?;
        Ok(Self { netlink, to, source, hop, interface: link.name, from_mac, to_mac })
    }

    /// Looks whether this still is the way, without waiting: a new address of
    /// the next hop, or a new next hop, is taken over as soon as the kernel
    /// knows it. Keeps the kernel's knowledge fresh, as frames past its stack
    /// do not.
    ///
    /// # Errors
    /// Where no frame gets there any more, or through another interface.
    pub(super) fn refresh(&mut self) -> io::Result<()> {
        let hop = self.netlink.next_hop(&self.to, self.source)?;
        if hop.interface != self.hop.interface || !hop.is_remote {
            return Err(io::Error::other(format!(
                "the route no longer leads through {}: open a new sender",
                self.interface
            )));
        }
        let neighbour = self.netlink.neighbour(&hop)?;
        match neighbour {
            Neighbour::Known(mac) | Neighbour::Stale(mac) => {
                self.to_mac = mac;
                self.hop = hop;
            }
            Neighbour::Failed if hop == self.hop => {
                return Err(io::Error::from_raw_os_error(libc::EHOSTUNREACH));
            }
            Neighbour::Failed | Neighbour::Asked | Neighbour::Unknown => {}
        }
        if !matches!(neighbour, Neighbour::Known(_) | Neighbour::Asked) {
            provoke(&hop)?;
        }
        Ok(())
    }
}

/// The interface's own address, if frames can be sent there.
fn usable(link: &Link, asked: &dyn Fn() -> String) -> Result<Mac, SetupError> {
    let refuse =
        |kind, found: String, remedy: &str| Err(SetupError::new(kind, asked(), found, remedy));
    let name = &link.name;
    if link.kind.as_deref() == Some("vlan") {
        return refuse(
            SetupErrorKind::Unsupported,
            format!("the route leads through {name}, a VLAN, which has no queues of its own"),
            "use backend `gso` or `mmsg`, or a route through an untagged interface",
        );
    }
    if !link.is_up {
        return refuse(
            SetupErrorKind::System,
            format!("{name} is down"),
            "set it up with `ip link set … up`",
        );
    }
    match link.mac {
        Some(mac) => Ok(mac),
        None => refuse(
            SetupErrorKind::Unsupported,
            format!("the route leads through {name}, which is no Ethernet interface"),
            "use backend `gso` or `mmsg`",
        ),
    }
}

/// The next hop's Ethernet address, from the kernel's neighbour table. Where
/// it is not there, the kernel is made to ask for it.
fn ask(
    netlink: &mut Netlink,
    hop: &NextHop,
    interface: &str,
    asked: &dyn Fn() -> String,
) -> Result<Mac, SetupError> {
    let start = Instant::now();
    let mut provoked = false;
    let found = loop {
        match netlink.neighbour(hop) {
            Ok(Neighbour::Known(mac) | Neighbour::Stale(mac)) => return Ok(mac),
            Ok(Neighbour::Failed) if provoked => break "does not answer".to_owned(),
            Ok(_) if start.elapsed() > ANSWER_WITHIN => {
                break format!("has not answered within {ANSWER_WITHIN:?}");
            }
            Ok(Neighbour::Asked) => {}
            Ok(Neighbour::Failed | Neighbour::Unknown) => {
                if let Err(error) = provoke(hop) {
                    break format!("cannot be asked ({error})");
                }
                provoked = true;
            }
            Err(error) => break format!("cannot be looked up ({error})"),
        }
        thread::sleep(LOOK_EVERY);
    };
    let question = if hop.address.is_ipv4() { "ARP" } else { "neighbour solicitations" };
    Err(SetupError::new(
        SetupErrorKind::NoNeighbour,
        asked(),
        format!("the next hop {} on {interface} {found}, when asked by {question}", hop.address),
        "check that it is up and reachable (`ping`, `ip neigh`), or enter it by hand \
         (`ip neigh replace`)",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_that_take_no_frames_of_ours_are_named() {
        let link = |mac, is_up, kind: Option<&str>| Link {
            name: "eth0.5".into(),
            mac,
            is_up,
            kind: kind.map(str::to_owned),
        };
        let asked = || "send".to_owned();
        let mac = Some([2, 0, 0, 0, 0, 1]);
        assert_eq!(usable(&link(mac, true, Some("veth")), &asked).ok(), mac);
        for (link, kind, words) in [
            (link(mac, true, Some("vlan")), SetupErrorKind::Unsupported, "eth0.5, a VLAN"),
            (link(mac, false, None), SetupErrorKind::System, "eth0.5 is down"),
            (link(None, true, Some("tun")), SetupErrorKind::Unsupported, "no Ethernet"),
        ] {
            let error = usable(&link, &asked).expect_err("refused");
            assert_eq!(error.kind, kind);
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
