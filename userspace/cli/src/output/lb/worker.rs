//! What there is to tell of single workers, and of slots.

use std::{fmt::Write, net::IpAddr};

use serde::Serialize;
use xdpsar::load_balancer::WorkerStatus;

use super::{ranges, status::share};
use crate::{
    manifest::name::show,
    output::{
        Report,
        table::{Side, Table},
    },
};

/// `session`: a worker that was registered.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "session")]
pub(crate) struct Session<'a> {
    pub(crate) session: &'a str,
    pub(crate) lb_id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) ports: u32,
    /// With `***` for the token, unless that may be shown.
    pub(crate) uri: String,
    /// The session's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<&'a str>,
}

impl Report for Session<'_> {
    fn human(&self) -> Option<String> {
        let Self { session, lb_id, name, address, port, ports, uri, .. } = self;
        let mut text = format!(
            "registered {name} with load balancer {lb_id}: session {}\n  receives  {}, {ports} port(s)\n  URI       {uri}",
            show(session.as_bytes()),
            std::net::SocketAddr::new(*address, *port),
        );
        if self.token.is_none() {
            text += "\n  The token is hidden: --export or --show-token shows it.";
        }
        Some(text)
    }
}

/// `state`: a worker's state was sent.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "state")]
pub(crate) struct StateSent {
    pub(crate) session: String,
    pub(crate) fill: f32,
    pub(crate) control_signal: f32,
    pub(crate) ready: bool,
}

impl Report for StateSent {
    fn human(&self) -> Option<String> {
        let Self { session, fill, control_signal, ready } = self;
        let ready = if *ready { "ready" } else { "not ready" };
        let percent = super::status::percent(*fill);
        Some(format!("session {session}: {percent} full, signal {control_signal:+}, {ready}"))
    }
}

/// `deregistered`: a session ended.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "deregistered")]
pub(crate) struct Deregistered {
    pub(crate) session: String,
    pub(crate) lb_id: String,
}

impl Report for Deregistered {
    fn human(&self) -> Option<String> {
        let Self { session, lb_id } = self;
        Some(format!("deregistered session {session} of load balancer {lb_id}"))
    }
}

/// `slot_demands`: which slots workers have and demand.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "slot_demands")]
pub(crate) struct SlotDemands {
    pub(crate) lb_id: String,
    /// How many there are; not told with demands just made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) slots: Option<u32>,
    pub(crate) sessions: Vec<Demand>,
}

/// One session's.
#[derive(Debug, Serialize)]
pub(crate) struct Demand {
    pub(crate) session: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// In the newest epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) assigned: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) has: Option<Vec<String>>,
    /// As in command lines: `0-63`, `+16`.
    pub(crate) demands: Vec<String>,
}

impl Demand {
    pub(crate) fn of(worker: &WorkerStatus) -> Self {
        Self {
            session: worker.session.map(|session| session.to_string()).unwrap_or_default(),
            name: Some(worker.name.clone()),
            assigned: Some(worker.slots_assigned),
            has: Some(ranges(&worker.slots)),
            demands: ranges(&worker.slot_demands),
        }
    }

    pub(crate) fn new(session: &str, demands: &[xdpsar::load_balancer::SlotRange]) -> Self {
        let (session, demands) = (session.to_owned(), ranges(demands));
        Self { session, name: None, assigned: None, has: None, demands }
    }
}

impl Report for SlotDemands {
    fn human(&self) -> Option<String> {
        let Self { lb_id, sessions, .. } = self;
        let Some(slots) = self.slots else {
            if sessions.is_empty() {
                return Some(format!("load balancer {lb_id}: no slots are demanded"));
            }
            let mut text = format!("load balancer {lb_id}: slots demanded");
            for one in sessions {
                let _ = write!(text, "\n  session {}: {}", one.session, one.demands.join(","));
            }
            return Some(text);
        };
        use Side::{Left, Right};
        let mut table =
            Table::new([("worker", Left), ("session", Right), ("slots", Right), ("demands", Left)]);
        for one in sessions {
            table.row([
                one.name.clone().unwrap_or_default(),
                one.session.clone(),
                share(one.assigned.unwrap_or_default(), slots),
                if one.demands.is_empty() { "none".into() } else { one.demands.join(",") },
            ]);
        }
        let table = if table.is_empty() { "  no workers".into() } else { table.to_string() };
        Some(format!("load balancer {lb_id}\n{table}"))
    }
}
