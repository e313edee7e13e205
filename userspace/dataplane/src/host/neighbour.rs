//! Whom a frame goes to: the next hop of a route, its interface, and the
//! neighbour's Ethernet address. The kernel knows all of it; what it does not
//! know yet, it is asked to find out.

use std::{
    ffi::CStr,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsFd,
};

use super::{
    exit::{self, RTMSG, family, number, octets},
    netlink::{Answer, Attributes, Netlink, Question},
};
use crate::sys;

/// An Ethernet address.
pub(crate) type Mac = [u8; 6];

// `include/uapi/linux/rtnetlink.h`
const RTN_UNICAST: u8 = 1;
// `include/uapi/linux/if_link.h`
const IFINFOMSG: usize = 16;
// `include/uapi/linux/neighbour.h`
const NDMSG: usize = 12;

/// Whom datagrams to one destination are given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NextHop {
    /// The interface's index.
    pub(crate) interface: u32,
    /// A gateway, or the destination itself.
    pub(crate) address: IpAddr,
    /// The destination is one host, and another one.
    pub(crate) is_remote: bool,
}

/// What an interface is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) name: String,
    /// `None` where it is not Ethernet.
    pub(crate) mac: Option<Mac>,
    pub(crate) is_up: bool,
    /// Its kind where it is not hardware: `veth`, `vlan`, `bond`.
    pub(crate) kind: Option<String>,
}

/// What the kernel knows about a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Neighbour {
    /// It was there when last asked.
    Known(Mac),
    /// Nobody has asked for a while.
    Stale(Mac),
    /// It is being asked for.
    Asked,
    /// It did not answer.
    Failed,
    /// Nothing.
    Unknown,
}

impl Netlink {
    /// Where datagrams from `source` to `to` go.
    ///
    /// # Errors
    /// The kernel's: `ENETUNREACH` where no route leads there.
    pub(crate) fn next_hop(&mut self, to: &SocketAddr, source: IpAddr) -> io::Result<NextHop> {
        let answer = self.ask(exit::route(to, source))?;
        let body: [u8; RTMSG] = answer.body()?;
        let mut hop = NextHop { interface: 0, address: to.ip(), is_remote: body[7] == RTN_UNICAST };
        for (kind, value) in answer.attributes(RTMSG) {
            match kind {
                libc::RTA_OIF => hop.interface = number(value),
                libc::RTA_GATEWAY => hop.address = address(value).unwrap_or(hop.address),
                // `struct rtvia`: a gateway of the other IP version.
                libc::RTA_VIA => {
                    let via = value.get(2..).and_then(address);
                    hop.address = via.unwrap_or(hop.address);
                }
                _ => {}
            }
        }
        Ok(hop)
    }

    /// The interface of that index.
    ///
    /// # Errors
    /// The kernel's: `ENODEV` where there is none.
    pub(crate) fn link(&mut self, index: u32) -> io::Result<Link> {
        let mut body = [0; IFINFOMSG];
        body[4..8].copy_from_slice(&index.to_ne_bytes());
        let answer = self.ask(Question::new(libc::RTM_GETLINK, 0, &body))?;
        let body: [u8; IFINFOMSG] = answer.body()?;
        let hardware = u16::from_ne_bytes([body[2], body[3]]);
        let flags = number(&body[8..12]) as libc::c_int;
        let mut link =
            Link { name: String::new(), mac: None, is_up: flags & libc::IFF_UP != 0, kind: None };
        for (kind, value) in answer.attributes(IFINFOMSG) {
            match kind {
                libc::IFLA_IFNAME => link.name = text(value),
                libc::IFLA_ADDRESS if hardware == libc::ARPHRD_ETHER => {
                    link.mac = value.try_into().ok();
                }
                libc::IFLA_LINKINFO => {
                    let kind = Attributes(value).find(|(kind, _)| *kind == libc::IFLA_INFO_KIND);
                    link.kind = kind.map(|(_, value)| text(value));
                }
                _ => {}
            }
        }
        Ok(link)
    }

    /// What is known about the neighbour at `hop`.
    ///
    /// # Errors
    /// The kernel's: `ENODEV` where the interface is gone.
    pub(crate) fn neighbour(&mut self, hop: &NextHop) -> io::Result<Neighbour> {
        match self.ask(about(hop)) {
            Ok(answer) => read_neighbour(&answer),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(Neighbour::Unknown),
            Err(error) => Err(error),
        }
    }
}

fn about(hop: &NextHop) -> Question {
    let mut body = [0; NDMSG];
    body[0] = family(hop.address);
    body[4..8].copy_from_slice(&hop.interface.to_ne_bytes());
    Question::new(libc::RTM_GETNEIGH, 0, &body).with(libc::NDA_DST, &octets(hop.address))
}

fn read_neighbour(answer: &Answer) -> io::Result<Neighbour> {
    let body: [u8; NDMSG] = answer.body()?;
    let state = u16::from_ne_bytes([body[8], body[9]]);
    let address = answer.attributes(NDMSG).find(|(kind, _)| *kind == libc::NDA_LLADDR);
    let mac = address.and_then(|(_, value)| Mac::try_from(value).ok());
    Ok(match (state, mac) {
        (libc::NUD_FAILED, _) => Neighbour::Failed,
        (libc::NUD_STALE, Some(mac)) => Neighbour::Stale(mac),
        (libc::NUD_INCOMPLETE, _) | (_, None) => Neighbour::Asked,
        (_, Some(mac)) => Neighbour::Known(mac),
    })
}

/// Makes the kernel ask the neighbour at `hop` for its address, by an empty
/// datagram to its discard service (RFC 863). That takes no privilege, and
/// unlike `NTF_USE` has a source address: without one, and without one that
/// is link-local, no neighbour is solicited (`ndisc_send_ns`, net/ipv6/ndisc.c).
///
/// # Errors
/// The kernel's.
pub(crate) fn provoke(hop: &NextHop) -> io::Result<()> {
    const DISCARD: u16 = 9;
    let mut to = SocketAddr::new(hop.address, DISCARD);
    if let SocketAddr::V6(v6) = &mut to
        && super::is_link_local(v6.ip())
    {
        v6.set_scope_id(hop.interface);
    }
    let socket = sys::udp_socket(&to)?;
    let (level, option) = match to {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_UNICAST_IF),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_IF),
    };
    sys::set_option(socket.as_fd(), level, option, hop.interface.to_be() as libc::c_int)?;
    std::net::UdpSocket::from(socket).send_to(&[], to).map(drop)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(Ipv4Addr::from(*bytes.first_chunk::<4>()?).into()),
        16 => Some(Ipv6Addr::from(*bytes.first_chunk::<16>()?).into()),
        _ => None,
    }
}

fn text(bytes: &[u8]) -> String {
    CStr::from_bytes_until_nul(bytes)
        .map(|text| text.to_string_lossy().into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_ourselves_ends_here() {
        let mut netlink = Netlink::open().expect("a netlink socket");
        for (to, source) in [("127.0.0.1:1", "127.0.0.1"), ("[::1]:1", "::1")] {
            let to = to.parse().expect("an address");
            let hop = netlink.next_hop(&to, source.parse().expect("an address")).expect("a route");
            assert!(!hop.is_remote && hop.address == to.ip(), "{hop:?}");
            let link = netlink.link(hop.interface).expect("a link");
            assert_eq!((link.name.as_str(), link.mac, link.is_up), ("lo", None, true));
        }
    }
}
