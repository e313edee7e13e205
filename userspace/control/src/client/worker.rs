//! Workers: registered, their state, deregistered; slots demanded
//! (`control-plane.md` §9).

use std::{fmt, net::IpAddr, time::SystemTime};

use super::{
    LoadBalancer, check,
    error::{Error, ErrorKind},
};
use crate::{
    message::{
        self, DeregisterRequest, Empty, RegisterReply, RegisterRequest, SendStateRequest,
        SessionSlotRanges, SetSlotDemandsRequest,
    },
    token::{Token, TokenKind},
};

/// A load balancer addresses so many ports of a worker at most.
const MOST_PORTS: u32 = 1 << 14;

/// A number of UDP ports that a worker listens on: a power of two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange(u8);

impl PortRange {
    /// At least so many ports: 1 to 16384.
    pub const fn at_least(ports: u32) -> Self {
        let ports = if ports > MOST_PORTS { MOST_PORTS } else { ports };
        Self(ports.next_power_of_two().trailing_zeros() as u8)
    }

    /// From the protocol's number; `None` if it is none that is known.
    pub const fn from_bits(bits: i32) -> Option<Self> {
        if bits >= 0 && bits <= 14 { Some(Self(bits as u8)) } else { None }
    }

    /// The protocol's number: the logarithm of [`ports`](Self::ports).
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// How many ports.
    pub const fn ports(self) -> u32 {
        1 << self.0
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ports().fmt(f)
    }
}

/// Some of a load balancer's 512 slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotRange {
    /// The first one; none: wherever there is room.
    pub first: Option<u16>,
    /// How many.
    pub length: u16,
}

impl SlotRange {
    pub(super) fn read(range: &message::SlotRange) -> Self {
        let length = u16::try_from(range.length).unwrap_or(u16::MAX);
        Self { first: u16::try_from(range.index).ok(), length }
    }

    fn write(self) -> message::SlotRange {
        message::SlotRange { index: self.first.map_or(-1, i32::from), length: self.length.into() }
    }
}

/// A worker that wants a share of the events.
#[derive(Clone, Debug, PartialEq)]
pub struct Register {
    /// Its name; slots are dealt out in the names' order.
    pub name: String,
    /// Where it receives.
    pub address: IpAddr,
    /// Its first UDP port.
    pub port: u16,
    /// How many ports from there.
    pub ports: PortRange,
    /// Its share, compared with other workers'; above 0.
    pub weight: f32,
    /// Its share is not below this much of an equal one.
    pub min_factor: f32,
    /// Its share is not above this much of an equal one; 0: no such limit.
    pub max_factor: f32,
    /// Whether it is sent the load balancer's header, too.
    pub keep_lb_header: bool,
    /// Slots that it demands; see [`Strategy`](super::reservation::Strategy).
    pub slot_demands: Vec<SlotRange>,
}

impl Register {
    /// A worker on one port, of the usual weight (1) and factors (½ and 2).
    pub fn new(name: impl Into<String>, address: IpAddr, port: u16) -> Self {
        Self {
            name: name.into(),
            address,
            port,
            ports: PortRange::default(),
            weight: 1.0,
            min_factor: 0.5,
            max_factor: 2.0,
            keep_lb_header: false,
            slot_demands: Vec::new(),
        }
    }

    fn check(&self) -> Result<(), Error> {
        check::name("a worker", &self.name)?;
        // A weight of 0 has stopped whole servers.
        check::number("a worker's weight", self.weight, self.weight > 0.0, "above 0")?;
        factors(self.min_factor, self.max_factor)?;
        if self.address.is_unspecified() || self.address.is_multicast() {
            let found = "nothing can be sent to one worker there";
            let remedy = "name the address that the load balancer reaches it by";
            return Err(Error::parameter(format!("the address {}", self.address), found, remedy));
        }
        let last = u32::from(self.port) + self.ports.ports() - 1;
        if self.port == 0 || last > u16::MAX.into() {
            let asked = format!("{} ports from {}", self.ports, self.port);
            let remedy = "begin at 1 or later, and leave room for all of them";
            return Err(Error::parameter(asked, "ports are numbered from 1 to 65535", remedy));
        }
        Ok(())
    }
}

pub(super) fn factors(min: f32, max: f32) -> Result<(), Error> {
    check::number("a minimal factor", min, min >= 0.0, "from 0 on")?;
    let fits = max == 0.0 || max >= min;
    check::number("a maximal factor", max, fits, "not below the minimal one, or 0")
}

/// Demands as they are sent.
pub(super) fn demands(ranges: &[SlotRange]) -> Result<Vec<message::SlotRange>, Error> {
    let ranges: Vec<_> = ranges.iter().map(|range| range.write()).collect();
    check::slots(&ranges)?;
    Ok(ranges)
}

/// A worker that is known now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session {
    /// Its id.
    pub id: String,
    /// Its token.
    pub token: Token,
}

/// How a worker does. Sent about every 100 ms: after 2 s without, it gets no
/// events; after 60 s, its session is gone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    /// When that was, by this host's clock. Servers compare it with theirs.
    pub at: SystemTime,
    /// How full its queue is, 0 to 1.
    pub fill: f32,
    /// By how much its weight is to change each second: on a scale of 1000
    /// for an average worker.
    pub control_signal: f32,
    /// Whether it is to get events.
    pub ready: bool,
    /// What it counted.
    pub counters: Counters,
}

impl State {
    /// A ready worker's, now.
    pub fn now(fill: f32, control_signal: f32) -> Self {
        let (at, counters) = (SystemTime::now(), Counters::default());
        Self { at, fill, control_signal, ready: true, counters }
    }
}

/// What a worker counted since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counters {
    /// Events of which something arrived.
    pub events_received: u64,
    /// Events put together.
    pub events_reassembled: u64,
    /// Events that could not be put together.
    pub reassembly_errors: u64,
    /// Events that somebody took.
    pub events_dequeued: u64,
    /// Events put together for which there was no room.
    pub enqueue_errors: u64,
    /// Bytes that arrived.
    pub bytes_received: u64,
    /// Packets that arrived.
    pub packets_received: u64,
}

/// The protocol counts with a sign.
fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl LoadBalancer {
    /// Registers a worker. The URI then has its session and token. It gets
    /// events within a second, before it sent any state.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn register(&self, lb_id: Option<&str>, worker: &Register) -> Result<Session, Error> {
        worker.check()?;
        let lb_id = self.lb_id(lb_id)?;
        let token = self.reservation_token(&lb_id)?;
        let asked = format!("register worker {} with load balancer {lb_id}", worker.name);
        let request = RegisterRequest {
            lb_id,
            name: worker.name.clone(),
            weight: worker.weight,
            ip_address: worker.address.to_string(),
            udp_port: worker.port.into(),
            port_range: worker.ports.bits().into(),
            min_factor: worker.min_factor,
            max_factor: worker.max_factor,
            keep_lb_header: worker.keep_lb_header,
            slot_demands: demands(&worker.slot_demands)?,
        };
        let reply: RegisterReply = self.call("Register", &asked, token, request).await?;
        let id = check::present(&asked, "session", reply.session_id)?;
        let token = Token::new(reply.token)
            .ok_or_else(|| Error::data(&asked, "the answer has no token"))?;
        self.update(|uri| {
            uri.with_session_id(&id).with_token(TokenKind::Session, Some(token.clone()))
        });
        Ok(Session { id, token })
    }

    /// Says how a worker does; `session` is its id.
    ///
    /// # Errors
    /// See [`Error`]. If it [`is_denied`](Error::is_denied), the session is
    /// gone: register anew.
    pub async fn send_state(&self, session: Option<&str>, state: &State) -> Result<(), Error> {
        let fits = (0.0..=1.0).contains(&state.fill);
        check::number("how full a queue is", state.fill, fits, "from 0 to 1")?;
        check::number("a control signal", state.control_signal, true, "that is finite")?;
        let timestamp = check::timestamp("the time of a state", state.at)?;
        let session_id = self.session_id(session)?;
        let token = self.session_token(&session_id)?;
        let asked = format!("the state of session {session_id}");
        let counters = &state.counters;
        let request = SendStateRequest {
            session_id,
            // No server asks for it.
            lb_id: self.lock().lb_id().to_owned(),
            timestamp: Some(timestamp),
            fill_percent: state.fill,
            control_signal: state.control_signal,
            is_ready: state.ready,
            total_events_recv: count(counters.events_received),
            total_events_reassembled: count(counters.events_reassembled),
            total_events_reassembly_err: count(counters.reassembly_errors),
            total_events_dequeued: count(counters.events_dequeued),
            total_event_enqueue_err: count(counters.enqueue_errors),
            total_bytes_recv: count(counters.bytes_received),
            total_packets_recv: count(counters.packets_received),
        };
        let Empty {} = self.call("SendState", asked, token, request).await?;
        Ok(())
    }

    /// Ends a worker's session; `session` is its id. The URI's own is then
    /// gone from it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn deregister(&self, session: Option<&str>) -> Result<(), Error> {
        let (session_id, lb_id) = (self.session_id(session)?, self.lb_id(None)?);
        let token = self.session_token(&session_id)?;
        let asked = format!("deregister session {session_id} of load balancer {lb_id}");
        let request = DeregisterRequest { lb_id, session_id: session_id.clone() };
        let Empty {} = self.call("Deregister", asked, token, request).await?;
        self.update(|uri| match uri.session_id() == session_id {
            true => uri.with_session_id("").with_token(TokenKind::Session, None),
            false => uri,
        });
        Ok(())
    }

    /// Replaces all slots that sessions demand, each by its id. If there are
    /// any, the reservation's strategy is then static.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn set_slot_demands(
        &self,
        lb_id: Option<&str>,
        sessions: &[(&str, &[SlotRange])],
    ) -> Result<(), Error> {
        let mut slot_constraints = Vec::with_capacity(sessions.len());
        for (session_id, ranges) in sessions {
            if session_id.is_empty() {
                let (what, found) = ("slots that a session demands", "the session has no id");
                let remedy = "name the session";
                return Err(Error::new(ErrorKind::Parameter, what, found, remedy));
            }
            let session_id = (*session_id).to_owned();
            slot_constraints.push(SessionSlotRanges { session_id, slots: demands(ranges)? });
        }
        let lb_id = self.lb_id(lb_id)?;
        let token = self.reservation_token(&lb_id)?;
        let asked = format!("set the slots that sessions of load balancer {lb_id} demand");
        let request = SetSlotDemandsRequest { lb_id, slot_constraints };
        let Empty {} = self.call("SetSlotDemands", asked, token, request).await?;
        Ok(())
    }
}
