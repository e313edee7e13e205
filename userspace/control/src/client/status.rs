//! Who works how well; what is reserved; which version serves
//! (`control-plane.md` §11).

use std::{
    net::IpAddr,
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use super::{
    LoadBalancer, check,
    error::Error,
    reservation::Reserved,
    worker::{Counters, PortRange, SlotRange},
};
use crate::message::{
    self, LoadBalancerStatusReply, LoadBalancerStatusRequest, OverviewReply, OverviewRequest,
    ValueKind, VersionReply, VersionRequest,
};

/// A clock that is off by so much costs a worker its events.
const CLOCKS_APART: f64 = 2.0;

/// A load balancer's state.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// The server's time.
    pub at: Option<SystemTime>,
    /// The server's clock is ahead of this host's by so many seconds, give
    /// or take half the time that the call took.
    pub clock_ahead: Option<f64>,
    /// Changes with each epoch; no count of them.
    pub epoch: u64,
    /// At which event number the newest epoch begins; 0 if that is not known.
    pub predicted_event_number: u64,
    /// Its workers, ready or not.
    pub workers: Vec<WorkerStatus>,
    /// Who may send.
    pub senders: Vec<IpAddr>,
    /// The end of the reservation.
    pub expires_at: Option<SystemTime>,
    /// How many slots there are.
    pub slots: u32,
    /// What is wrong with it. Older servers do not say.
    pub health: Vec<HealthIssue>,
}

/// A worker's state.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// Its name.
    pub name: String,
    /// Its session, as a number. Older servers do not say.
    pub session: Option<u64>,
    /// How full its queue is, 0 to 1.
    pub fill: f32,
    /// By how much its weight is to change each second.
    pub control_signal: f32,
    /// How many slots it has.
    pub slots_assigned: u32,
    /// When its last state was, by its own clock.
    pub last_updated: Option<SystemTime>,
    /// Where it receives.
    pub address: Option<IpAddr>,
    /// Its first port.
    pub port: Option<u16>,
    /// How many ports from there; none if the server says something unknown.
    pub ports: Option<PortRange>,
    /// See [`Register`](super::worker::Register).
    pub min_factor: f32,
    /// See [`Register`](super::worker::Register).
    pub max_factor: f32,
    /// Whether it is sent the load balancer's header.
    pub keep_lb_header: bool,
    /// What it counted.
    pub counters: Counters,
    /// Its slots in the newest epoch.
    pub slots: Vec<SlotRange>,
    /// Slots that it demands.
    pub slot_demands: Vec<SlotRange>,
    /// What is wrong with it. Older servers do not say.
    pub health: Vec<HealthIssue>,
}

/// Something wrong, in the server's words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthIssue {
    /// What kind.
    pub kind: String,
    /// `warning`, `error`, `critical`.
    pub severity: String,
    /// For people.
    pub message: String,
    /// More of it, by name.
    pub details: Vec<(String, String)>,
    /// Since when.
    pub detected_at: Option<SystemTime>,
}

/// A reserved load balancer, and how it does.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Overview {
    /// What people call it.
    pub name: String,
    /// Its addresses.
    pub reserved: Reserved,
    /// Its state.
    pub status: Status,
}

/// Which server it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Version {
    /// Its sources' commit.
    pub commit: String,
    /// Its version.
    pub build: String,
    /// The protocol's version.
    pub compat_tag: String,
}

impl LoadBalancer {
    /// How a load balancer and its workers do.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn status(&self, lb_id: Option<&str>) -> Result<Status, Error> {
        let lb_id = self.lb_id(lb_id)?;
        let token = self.reservation_token(&lb_id)?;
        let asked = format!("the status of load balancer {lb_id}");
        let request = LoadBalancerStatusRequest { lb_id };
        let before = SystemTime::now();
        let reply = self.call("LoadBalancerStatus", &asked, token, request).await?;
        let status = Status::read(&asked, &reply, Some(before))?;
        self.name_clocks(status.clock_ahead);
        Ok(status)
    }

    /// Warns when clocks begin to be apart, not with each answer.
    fn name_clocks(&self, ahead: Option<f64>) {
        let Some(ahead) = ahead else { return };
        let apart = ahead.abs() > CLOCKS_APART;
        if apart && !self.shared.clocks_apart.load(Ordering::Relaxed) {
            tracing::warn!(
                "the load balancer's clock is {ahead:+.3} s off from this host's: it takes workers \
                 for dead whose clock is more than {CLOCKS_APART} s late; let both follow NTP"
            );
        }
        self.shared.clocks_apart.store(apart, Ordering::Relaxed);
    }

    /// All reserved load balancers that the token lets us see.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn overview(&self) -> Result<Vec<Overview>, Error> {
        let asked = "an overview of all load balancers";
        let token = self.admin_token()?;
        let before = SystemTime::now();
        let reply: OverviewReply = self.call("Overview", asked, token, OverviewRequest {}).await?;
        let read = |one: message::Overview| {
            let absent = |what| Error::data(asked, format!("{:?} has no {what}", one.name));
            let reserved = one.reservation.ok_or_else(|| absent("reservation"))?;
            let status = one.status.ok_or_else(|| absent("status"))?;
            Ok(Overview {
                reserved: Reserved::read(asked, reserved)?,
                status: Status::read(asked, &status, Some(before))?,
                name: one.name,
            })
        };
        let all: Vec<_> =
            reply.load_balancers.into_iter().map(read).collect::<Result<_, Error>>()?;
        self.name_clocks(all.first().and_then(|one| one.status.clock_ahead));
        Ok(all)
    }

    /// Which server it is.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn version(&self) -> Result<Version, Error> {
        let token = self.admin_token()?;
        let reply = self.call("Version", "the server's version", token, VersionRequest {}).await?;
        let VersionReply { commit, build, compat_tag } = reply;
        Ok(Version { commit, build, compat_tag })
    }
}

impl Status {
    fn read(
        asked: &str,
        reply: &LoadBalancerStatusReply,
        before: Option<SystemTime>,
    ) -> Result<Self, Error> {
        let at = check::time(reply.timestamp.as_ref());
        let clock_ahead = at.zip(before).map(|(there, before)| {
            let took = before.elapsed().unwrap_or(Duration::ZERO);
            seconds_after(there, before + took / 2)
        });
        let workers: Result<_, Error> =
            reply.workers.iter().map(|worker| WorkerStatus::read(asked, worker)).collect();
        Ok(Self {
            at,
            clock_ahead,
            epoch: reply.current_epoch,
            predicted_event_number: reply.current_predicted_event_number,
            workers: workers?,
            senders: check::addresses(asked, "sender", &reply.sender_addresses)?,
            expires_at: check::time(reply.expires_at.as_ref()),
            slots: reply.slot_resolution,
            health: reply.health_issues.iter().map(HealthIssue::read).collect(),
        })
    }
}

fn seconds_after(there: SystemTime, here: SystemTime) -> f64 {
    match there.duration_since(here) {
        Ok(ahead) => ahead.as_secs_f64(),
        Err(error) => -error.duration().as_secs_f64(),
    }
}

impl WorkerStatus {
    fn read(asked: &str, worker: &message::WorkerStatus) -> Result<Self, Error> {
        // A count below 0 is none.
        let count = |value| u64::try_from(value).unwrap_or(0);
        let slots = |ranges: &[message::SlotRange]| ranges.iter().map(SlotRange::read).collect();
        Ok(Self {
            name: worker.name.clone(),
            session: u64::try_from(worker.session_id).ok().filter(|id| *id > 0),
            fill: worker.fill_percent,
            control_signal: worker.control_signal,
            slots_assigned: worker.slots_assigned,
            last_updated: check::time(worker.last_updated.as_ref()),
            address: check::address(asked, "worker's address", &worker.ip_address)?,
            port: check::port(asked, "worker's port", worker.udp_port)?,
            ports: PortRange::from_bits(worker.port_range),
            min_factor: worker.min_factor,
            max_factor: worker.max_factor,
            keep_lb_header: worker.keep_lb_header,
            counters: Counters {
                events_received: count(worker.total_events_recv),
                events_reassembled: count(worker.total_events_reassembled),
                reassembly_errors: count(worker.total_events_reassembly_err),
                events_dequeued: count(worker.total_events_dequeued),
                enqueue_errors: count(worker.total_event_enqueue_err),
                bytes_received: count(worker.total_bytes_recv),
                packets_received: count(worker.total_packets_recv),
            },
            slots: slots(&worker.slots),
            slot_demands: slots(&worker.slot_demands),
            health: worker.health_issues.iter().map(HealthIssue::read).collect(),
        })
    }
}

impl HealthIssue {
    fn read(issue: &message::HealthIssue) -> Self {
        Self {
            kind: issue.kind.clone(),
            severity: issue.severity.clone(),
            message: issue.message.clone(),
            details: issue.details.iter().flat_map(pairs).collect(),
            detected_at: check::time(issue.detected_at.as_ref()),
        }
    }
}

fn pairs(details: &message::Struct) -> Vec<(String, String)> {
    details.fields.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// A value as people read it.
fn text(value: &message::Value) -> String {
    match &value.kind {
        None | Some(ValueKind::Null(_)) => String::new(),
        Some(ValueKind::Number(number)) => number.to_string(),
        Some(ValueKind::String(text)) => text.clone(),
        Some(ValueKind::Bool(yes)) => yes.to_string(),
        Some(ValueKind::Struct(details)) => {
            let pairs: Vec<String> =
                pairs(details).into_iter().map(|(name, text)| format!("{name}={text}")).collect();
            pairs.join(" ")
        }
        Some(ValueKind::List(list)) => {
            let texts: Vec<String> = list.values.iter().map(text).collect();
            texts.join(", ")
        }
    }
}
