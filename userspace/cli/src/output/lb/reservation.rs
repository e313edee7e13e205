//! What there is to tell of a reservation as a whole.

use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::SystemTime,
};

use serde::Serialize;
use xdpsar::load_balancer::{Reserved, Reset};

use super::addresses;
use crate::{
    manifest::name::show,
    moment::{self, Moment},
    output::Report,
};

/// `reservation`: a load balancer that was reserved.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "reservation")]
pub(crate) struct Reservation<'a> {
    pub(crate) lb_id: &'a str,
    /// Only known to who reserved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<&'a str>,
    #[serde(flatten)]
    pub(crate) addresses: Addresses<'a>,
    /// Until when, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Moment>,
    /// With `***` for the token, unless that may be shown.
    pub(crate) uri: String,
    /// The reservation's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<&'a str>,
}

/// Where a load balancer is.
#[derive(Debug, Serialize)]
pub(crate) struct Addresses<'a> {
    pub(crate) fpga_lb_id: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) strategy: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sync_v4: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sync_v6: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data_v4: Option<Ipv4Addr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data_v6: Option<Ipv6Addr>,
    /// First and last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data_ports: Option<(u16, u16)>,
}

impl<'a> From<&'a Reserved> for Addresses<'a> {
    fn from(reserved: &'a Reserved) -> Self {
        Self {
            fpga_lb_id: reserved.fpga_lb_id,
            strategy: &reserved.strategy,
            sync_v4: reserved.sync_v4,
            sync_v6: reserved.sync_v6,
            data_v4: reserved.data_v4,
            data_v6: reserved.data_v6,
            data_ports: reserved.data_ports.as_ref().map(|ports| (*ports.start(), *ports.end())),
        }
    }
}

impl Addresses<'_> {
    /// Two lines, indented.
    pub(crate) fn lines(&self) -> String {
        let ips = [self.data_v4.map(IpAddr::from), self.data_v6.map(IpAddr::from)];
        let data: Vec<IpAddr> = ips.into_iter().flatten().collect();
        let ports = match self.data_ports {
            Some((first, last)) if first == last => format!(", port {first}"),
            Some((first, last)) => format!(", ports {first} to {last}"),
            None => String::new(),
        };
        let sync: Vec<String> =
            self.sync_v4.iter().chain(&self.sync_v6).map(SocketAddr::to_string).collect();
        let sync = if sync.is_empty() { "none".into() } else { sync.join(" ") };
        format!("\n  data      {}{ports}\n  sync      {sync}", addresses(&data))
    }
}

impl Report for Reservation<'_> {
    fn human(&self) -> Option<String> {
        let mut text = match self.name {
            Some(name) => {
                format!("reserved load balancer {}{}", show(self.lb_id.as_bytes()), called(name))
            }
            None => format!("load balancer {}", show(self.lb_id.as_bytes())),
        };
        let number = self.addresses.fpga_lb_id;
        let _ = write!(text, "\n  hardware  {number}{}", self.addresses.lines());
        if !self.addresses.strategy.is_empty() {
            let _ = write!(text, "\n  slots     {}", show(self.addresses.strategy.as_bytes()));
        }
        if let Some(Moment(until)) = self.until {
            let left = moment::until(until, SystemTime::now());
            let _ = write!(text, "\n  ends      {} ({left})", moment::show(until));
        }
        let _ = write!(text, "\n  URI       {}", self.uri);
        if self.token.is_none() && self.name.is_some() {
            text += "\n  The token is hidden: --export or --show-token shows it.";
        }
        Some(text)
    }
}

/// ` "run7"`, or nothing.
pub(super) fn called(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" \"{}\"", show(name.as_bytes())) }
}

/// `freed`: a reservation ended.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "freed")]
pub(crate) struct Freed {
    pub(crate) lb_id: String,
}

impl Report for Freed {
    fn human(&self) -> Option<String> {
        Some(format!("freed load balancer {}", self.lb_id))
    }
}

/// `extended`: a reservation ends at another time.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "extended")]
pub(crate) struct Extended {
    pub(crate) lb_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Moment>,
}

impl Report for Extended {
    fn human(&self) -> Option<String> {
        let end = self.until.map_or("as late as the server allows".into(), |Moment(until)| {
            format!("{} ({})", moment::show(until), moment::until(until, SystemTime::now()))
        });
        Some(format!("load balancer {} stays reserved until {end}", self.lb_id))
    }
}

/// `reset`: what began anew.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "reset")]
pub(crate) struct Begun {
    pub(crate) lb_id: String,
    pub(crate) sync: bool,
    pub(crate) epochs: bool,
    pub(crate) senders: bool,
    pub(crate) workers: bool,
}

impl Begun {
    pub(crate) fn new(lb_id: String, reset: Reset) -> Self {
        let Reset { sync, epochs, senders, workers } = reset;
        Self { lb_id, sync, epochs, senders, workers }
    }
}

impl Report for Begun {
    fn human(&self) -> Option<String> {
        let what: Vec<&str> = [
            (self.sync, "sync"),
            (self.epochs, "epochs"),
            (self.senders, "senders"),
            (self.workers, "workers"),
        ]
        .into_iter()
        .filter_map(|(is, what)| is.then_some(what))
        .collect();
        Some(format!("load balancer {} begins anew: {}", self.lb_id, what.join(", ")))
    }
}

/// `senders`: who may send, or may now, or no longer.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "senders")]
pub(crate) struct Senders {
    pub(crate) lb_id: String,
    pub(crate) action: Action,
    pub(crate) senders: Vec<IpAddr>,
}

/// What became of senders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    Listed,
    Added,
    Removed,
}

impl Report for Senders {
    fn human(&self) -> Option<String> {
        let Self { lb_id, senders, .. } = self;
        let senders = addresses(senders);
        Some(match self.action {
            Action::Listed => format!("may send to load balancer {lb_id}: {senders}"),
            Action::Added => format!("may send to load balancer {lb_id} from now on: {senders}"),
            Action::Removed => format!("may no longer send to load balancer {lb_id}: {senders}"),
        })
    }
}
