//! Hosts, and addresses with ports.

use std::{
    fmt, fs,
    net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6},
    str::FromStr,
};

use crate::{
    error::{UriError, UriErrorKind},
    escape::{Encoded, ZONE},
};

/// The data plane's UDP port where nothing names another.
pub const DATA_PORT: u16 = 19522;
/// The longest name of an interface (`IFNAMSIZ`, include/uapi/linux/if.h).
const LONGEST_ZONE: usize = 15;
/// The longest host name (RFC 1035 §2.3.4).
const LONGEST_NAME: usize = 253;

/// An IP address; a link-local one may name its link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ip {
    pub(crate) address: IpAddr,
    zone: Option<Box<str>>,
}

impl Ip {
    pub(crate) fn v4(text: &str) -> Option<Self> {
        Some(Self { address: IpAddr::V4(text.parse().ok()?), zone: None })
    }

    /// Without brackets: `fe80::1`, `fe80::1%eth0`.
    pub(crate) fn v6(text: &str) -> Option<Self> {
        let (address, zone) = match text.split_once('%') {
            Some((address, zone)) => (address, Some(zone)),
            None => (text, None),
        };
        let possible = |zone: &str| {
            let blank = |char: char| char.is_whitespace() || char.is_control();
            (1..=LONGEST_ZONE).contains(&zone.len())
                && !zone.contains(['[', ']', '%', '/'])
                && !zone.contains(blank)
        };
        if zone.is_some_and(|zone| !possible(zone)) {
            return None;
        }
        let address: Ipv6Addr = address.parse().ok()?;
        Some(Self { address: address.into(), zone: zone.map(Into::into) })
    }

    fn with_port(&self, port: u16) -> Result<SocketAddr, UriError> {
        let (IpAddr::V6(address), Some(zone)) = (self.address, &self.zone) else {
            return Ok(SocketAddr::new(self.address, port));
        };
        let index = |zone: &str| {
            let index = fs::read_to_string(format!("/sys/class/net/{zone}/ifindex")).ok()?;
            index.trim().parse().ok()
        };
        let scope = zone.parse().ok().or_else(|| index(zone)).ok_or_else(|| {
            UriError::new(
                UriErrorKind::Unresolved,
                format!("the address {address} on the link {zone}"),
                "this host has no such interface",
                "name one that `ip link` shows, or its index",
            )
        })?;
        Ok(SocketAddrV6::new(address, port, 0, scope).into())
    }

    /// As a URI has it: an IPv6 one in brackets.
    fn in_uri(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.address, &self.zone) {
            (IpAddr::V4(address), _) => write!(f, "{address}"),
            (IpAddr::V6(address), None) => write!(f, "[{address}]"),
            (IpAddr::V6(address), Some(zone)) => write!(f, "[{address}%25{}]", Encoded(zone, ZONE)),
        }
    }
}

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        self.zone.iter().try_for_each(|zone| write!(f, "%{zone}"))
    }
}

/// A control plane's host. Its `Display` has no brackets.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Host(pub(crate) HostKind);

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum HostKind {
    Ip(Ip),
    Name(String),
}

impl Host {
    /// The name, if it is one.
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            HostKind::Name(name) => Some(name),
            HostKind::Ip(_) => None,
        }
    }

    /// The address, if it is one.
    pub const fn ip(&self) -> Option<IpAddr> {
        match &self.0 {
            HostKind::Ip(ip) => Some(ip.address),
            HostKind::Name(_) => None,
        }
    }

    pub(crate) fn with_port(&self, port: u16) -> Option<Result<SocketAddr, UriError>> {
        match &self.0 {
            HostKind::Ip(ip) => Some(ip.with_port(port)),
            HostKind::Name(_) => None,
        }
    }

    pub(crate) fn in_uri(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            HostKind::Ip(ip) => ip.in_uri(f),
            HostKind::Name(name) => f.write_str(name),
        }
    }
}

impl FromStr for Host {
    type Err = UriError;

    /// An address without brackets, or a name.
    fn from_str(text: &str) -> Result<Self, UriError> {
        if let Some(ip) = Ip::v4(text).or_else(|| Ip::v6(text)) {
            return Ok(Self(HostKind::Ip(ip)));
        }
        let bad = |found: &str| {
            Err(UriError::new(
                UriErrorKind::Bad,
                format!("the host {text:?}"),
                found,
                "write a name, or an address such as 10.0.0.1 or [fd00::1]",
            ))
        };
        let label = |label: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            (1..=63).contains(&label.len()) && label.bytes().all(plain)
        };
        if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return bad("it looks like an IPv4 address, and is none");
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.len() > LONGEST_NAME || !name.split('.').all(label) {
            return bad("that is neither a name nor an address");
        }
        Ok(Self(HostKind::Name(text.to_owned())))
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self(HostKind::Ip(Ip { address, zone: None }))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            HostKind::Ip(ip) => write!(f, "{ip}"),
            HostKind::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({self})")
    }
}

/// An address with a port or a range of ports: where sync messages go, or
/// events. Its `Display` is what stands in a URI.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    pub(crate) ip: Ip,
    first: u16,
    last: u16,
}

impl Endpoint {
    /// An address and a port; `None` with port 0, which is none.
    pub fn new(address: IpAddr, port: u16) -> Option<Self> {
        (port > 0).then_some(Self { ip: Ip { address, zone: None }, first: port, last: port })
    }

    /// What stands in a URI: `10.0.0.1:19522`, `[fd00::1]:19522`, of data
    /// also `10.0.0.1:16384-32767`, or nothing after the address where
    /// `default` says which port that means. `Err` says what is wrong.
    pub(crate) fn parse(text: &str, default: Option<u16>) -> Result<Self, &'static str> {
        const NO_ADDRESS: &str = "that is no IP address with a port";
        let (ip, ports) = if let Some(bracketed) = text.strip_prefix('[') {
            let (ip, rest) = bracketed.split_once(']').ok_or("a bracket is not closed")?;
            let ports = match rest.strip_prefix(':') {
                None if rest.is_empty() => None,
                None => return Err(NO_ADDRESS),
                ports => ports,
            };
            (Ip::v6(ip).ok_or("in the brackets is no IPv6 address")?, ports)
        } else if let Some(whole) = Ip::v6(text).or_else(|| Ip::v4(text)) {
            (whole, None)
        } else {
            let (ip, ports) = text.rsplit_once(':').ok_or(NO_ADDRESS)?;
            (Ip::v4(ip).or_else(|| Ip::v6(ip)).ok_or(NO_ADDRESS)?, Some(ports))
        };
        let (first, last) = match (ports, default) {
            (None, None) => return Err("it has no port"),
            (None, Some(port)) => (port, port),
            (Some(ports), _) => match ports.split_once('-') {
                Some((first, last)) if default.is_some() => (port(first)?, port(last)?),
                _ => (port(ports)?, port(ports)?),
            },
        };
        if first > last {
            return Err("its last port comes before its first");
        }
        Ok(Self { ip, first, last })
    }

    /// The address.
    pub const fn ip(&self) -> IpAddr {
        self.ip.address
    }

    /// The link of a link-local address, if it was named.
    pub fn zone(&self) -> Option<&str> {
        self.ip.zone.as_deref()
    }

    /// The port, or the first of the range.
    pub const fn port(&self) -> u16 {
        self.first
    }

    /// The last port of the range: often the first as well.
    pub const fn last_port(&self) -> u16 {
        self.last
    }

    /// The address and the first port, to send to.
    ///
    /// # Errors
    /// The link that it names is not one of this host's.
    pub fn socket_addr(&self) -> Result<SocketAddr, UriError> {
        self.ip.with_port(self.first)
    }

    /// With the port left out if it is this one.
    pub(crate) fn in_uri(&self, default: u16, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip.in_uri(f)?;
        match (self.first, self.last) {
            (first, last) if first != last => write!(f, ":{first}-{last}"),
            (port, _) if port != default => write!(f, ":{port}"),
            _ => Ok(()),
        }
    }
}

impl FromStr for Endpoint {
    type Err = UriError;

    /// As a URI has it for data, without percent-encoding.
    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text, Some(DATA_PORT)).map_err(|found| {
            UriError::new(
                UriErrorKind::Bad,
                format!("the address {text:?}"),
                found,
                "write one such as 10.0.0.1:19522 or [fd00::1]:19522",
            )
        })
    }
}

impl From<SocketAddr> for Endpoint {
    /// Port 0 becomes [`DATA_PORT`].
    fn from(address: SocketAddr) -> Self {
        let port = if address.port() == 0 { DATA_PORT } else { address.port() };
        let scope = match address {
            SocketAddr::V6(address) => address.scope_id(),
            SocketAddr::V4(_) => 0,
        };
        let zone = (scope != 0).then(|| scope.to_string().into());
        Self { ip: Ip { address: address.ip(), zone }, first: port, last: port }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.in_uri(0, f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

/// A port in decimal, without anything else.
pub(crate) fn port(text: &str) -> Result<u16, &'static str> {
    let decimal = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if decimal && port > 0 => Ok(port),
        _ => Err("its port is no number from 1 to 65535"),
    }
}
