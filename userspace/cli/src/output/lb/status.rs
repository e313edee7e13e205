//! What there is to tell of a load balancer and its workers.

use std::{
    fmt::Write,
    net::{IpAddr, SocketAddr},
    time::SystemTime,
};

use serde::Serialize;
use xdpsar::load_balancer::{self as lb, PortRange, Reserved, WorkerStatus};

use super::{
    addresses,
    monitor::Rates,
    ranges,
    reservation::{Addresses, called},
};
use crate::{
    manifest::name::show,
    moment::{self, Moment},
    output::{
        Report,
        table::{Side, Table},
    },
    units::show_count,
};

/// Clocks that are so far apart cost a worker its events.
const CLOCKS_APART: f64 = 2.0;

/// `status`: a load balancer and its workers.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "status")]
pub(crate) struct Status<'a> {
    pub(crate) lb_id: &'a str,
    #[serde(flatten)]
    pub(crate) state: State<'a>,
}

/// `load_balancer`: one of an overview.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "load_balancer")]
pub(crate) struct LoadBalancer<'a> {
    pub(crate) lb_id: &'a str,
    pub(crate) name: &'a str,
    #[serde(flatten)]
    pub(crate) addresses: Addresses<'a>,
    #[serde(flatten)]
    pub(crate) state: State<'a>,
}

/// What both tell.
#[derive(Debug, Serialize)]
pub(crate) struct State<'a> {
    /// The server's time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<Moment>,
    /// By how much its clock is ahead of this host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_ahead_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<Moment>,
    pub(super) epoch: u64,
    predicted_event_number: u64,
    pub(super) slots: u32,
    pub(super) senders: &'a [IpAddr],
    pub(super) workers: Vec<Worker<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    health: Vec<Health<'a>>,
}

/// A worker.
#[derive(Debug, Serialize)]
pub(crate) struct Worker<'a> {
    pub(super) name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ports: Option<u32>,
    pub(super) fill: f32,
    pub(super) control_signal: f32,
    pub(super) slots_assigned: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_updated: Option<Moment>,
    min_factor: f32,
    max_factor: f32,
    keep_lb_header: bool,
    events_received: u64,
    events_reassembled: u64,
    reassembly_errors: u64,
    events_dequeued: u64,
    enqueue_errors: u64,
    bytes_received: u64,
    packets_received: u64,
    /// As in command lines: `0-63`, `+16`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    slot_demands: Vec<String>,
    /// Since the sample before.
    #[serde(flatten)]
    pub(super) rates: Option<Rates>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    health: Vec<Health<'a>>,
}

/// Something wrong, in the server's words.
#[derive(Debug, Serialize)]
pub(crate) struct Health<'a> {
    kind: &'a str,
    severity: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detected_at: Option<Moment>,
}

impl<'a> From<&'a lb::HealthIssue> for Health<'a> {
    fn from(issue: &'a lb::HealthIssue) -> Self {
        let lb::HealthIssue { kind, severity, message, detected_at, .. } = issue;
        Self { kind, severity, message, detected_at: detected_at.map(Moment) }
    }
}

impl<'a> From<&'a WorkerStatus> for Worker<'a> {
    fn from(worker: &'a WorkerStatus) -> Self {
        let counters = &worker.counters;
        Self {
            name: &worker.name,
            session: worker.session.map(|session| session.to_string()),
            address: worker.address,
            port: worker.port,
            ports: worker.ports.map(PortRange::ports),
            fill: worker.fill,
            control_signal: worker.control_signal,
            slots_assigned: worker.slots_assigned,
            last_updated: worker.last_updated.map(Moment),
            min_factor: worker.min_factor,
            max_factor: worker.max_factor,
            keep_lb_header: worker.keep_lb_header,
            events_received: counters.events_received,
            events_reassembled: counters.events_reassembled,
            reassembly_errors: counters.reassembly_errors,
            events_dequeued: counters.events_dequeued,
            enqueue_errors: counters.enqueue_errors,
            bytes_received: counters.bytes_received,
            packets_received: counters.packets_received,
            slot_demands: ranges(&worker.slot_demands),
            rates: None,
            health: worker.health.iter().map(Health::from).collect(),
        }
    }
}

impl<'a> From<&'a lb::Status> for State<'a> {
    fn from(status: &'a lb::Status) -> Self {
        Self {
            at: status.at.map(Moment),
            clock_ahead_s: status.clock_ahead,
            expires_at: status.expires_at.map(Moment),
            epoch: status.epoch,
            predicted_event_number: status.predicted_event_number,
            slots: status.slots,
            senders: &status.senders,
            workers: status.workers.iter().map(Worker::from).collect(),
            health: status.health.iter().map(Health::from).collect(),
        }
    }
}

impl<'a> LoadBalancer<'a> {
    pub(crate) fn new(name: &'a str, reserved: &'a Reserved, status: &'a lb::Status) -> Self {
        Self { lb_id: &reserved.lb_id, name, addresses: reserved.into(), state: status.into() }
    }
}

impl State<'_> {
    /// Lines below a title.
    fn lines(&self) -> String {
        let mut text = String::new();
        if let Some(Moment(end)) = self.expires_at {
            let now = self.at.map_or_else(SystemTime::now, |Moment(at)| at);
            let _ =
                write!(text, "\n  ends      {} ({})", moment::show(end), moment::until(end, now));
        }
        let _ = write!(text, "\n  epoch     {}", self.epoch);
        if self.predicted_event_number > 0 {
            let _ = write!(text, ", from event {} on", self.predicted_event_number);
        }
        let _ = write!(text, "\n  senders   {}", addresses(self.senders));
        text + &self.warnings() + "\n" + &workers(&self.workers, self.at, self.slots)
    }

    /// What is wrong, a line each.
    pub(super) fn warnings(&self) -> String {
        let mut text = String::new();
        if let Some(ahead) = self.clock_ahead_s.filter(|ahead| ahead.abs() > CLOCKS_APART) {
            let _ = write!(
                text,
                "\n  clock     {ahead:+.1} s off from this host's: let both follow NTP"
            );
        }
        text += &amiss("", &self.health);
        self.workers.iter().fold(text, |text, worker| text + &amiss(worker.name, &worker.health))
    }
}

/// What is wrong, a line each.
fn amiss(with: &str, issues: &[Health<'_>]) -> String {
    let line = |issue: &Health<'_>| {
        let Health { severity, message, .. } = issue;
        let with = if with.is_empty() { String::new() } else { format!("{with}: ") };
        format!("\n  {}", show(format!("{severity:<9} {with}{message}").as_bytes()))
    };
    issues.iter().map(line).collect()
}

fn workers(workers: &[Worker<'_>], now: Option<Moment>, slots: u32) -> String {
    use Side::{Left, Right};
    let mut table = Table::new([
        ("worker", Left),
        ("session", Right),
        ("address", Left),
        ("ports", Right),
        ("slots", Right),
        ("fill", Right),
        ("signal", Right),
        ("state", Right),
        ("events", Right),
        ("errors", Right),
    ]);
    for worker in workers {
        table.row([
            worker.name.into(),
            worker.session.clone().unwrap_or_default(),
            place(worker.address, worker.port),
            worker.ports.map(|ports| ports.to_string()).unwrap_or_default(),
            share(worker.slots_assigned, slots),
            percent(worker.fill),
            format!("{:+.2}", worker.control_signal),
            age(worker.last_updated, now),
            show_count(worker.events_reassembled),
            show_count(worker.reassembly_errors + worker.enqueue_errors),
        ]);
    }
    if table.is_empty() { "  no workers".into() } else { table.to_string() }
}

/// `10.0.0.1:19522`, as far as that is known.
pub(super) fn place(address: Option<IpAddr>, port: Option<u16>) -> String {
    match (address, port) {
        (Some(address), Some(port)) => SocketAddr::new(address, port).to_string(),
        (Some(address), None) => address.to_string(),
        (None, _) => "unknown".into(),
    }
}

/// Slots, of so many.
pub(super) fn share(assigned: u32, of: u32) -> String {
    if of > 0 { format!("{assigned}/{of}") } else { assigned.to_string() }
}

pub(super) fn percent(fill: f32) -> String {
    format!("{:.0} %", fill * 100.0)
}

/// How old a worker's state is.
pub(super) fn age(updated: Option<Moment>, now: Option<Moment>) -> String {
    let Some((Moment(updated), Moment(now))) = updated.zip(now) else { return "never".into() };
    match now.duration_since(updated) {
        Ok(age) => format!("{:.1} s ago", age.as_secs_f64()),
        Err(error) => format!("{:.1} s ahead", error.duration().as_secs_f64()),
    }
}

impl Report for Status<'_> {
    fn human(&self) -> Option<String> {
        let id = show(self.lb_id.as_bytes());
        Some(format!("load balancer {id}{}", self.state.lines()))
    }
}

impl Report for LoadBalancer<'_> {
    fn human(&self) -> Option<String> {
        let (id, name) = (show(self.lb_id.as_bytes()), called(self.name));
        let number = self.addresses.fpga_lb_id;
        let lines = self.addresses.lines();
        Some(format!("load balancer {id}{name}\n  hardware  {number}{lines}{}", self.state.lines()))
    }
}

/// `version`: which server it is.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "version")]
pub(crate) struct Version {
    pub(crate) commit: String,
    pub(crate) build: String,
    pub(crate) compat_tag: String,
}

impl Report for Version {
    fn human(&self) -> Option<String> {
        let Self { commit, build, compat_tag } = self;
        let text = format!("server {build}, commit {commit}, protocol {compat_tag}");
        Some(show(text.as_bytes()))
    }
}
