//! Workers: registered, their state, forgotten; and what happens every
//! second (`control-plane.md` §9, §10).

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use tonic::Status;
use xdpsar_control::message::{
    DeregisterRequest, Empty, RegisterReply, RegisterRequest, SendStateRequest,
    SetSlotDemandsRequest, SlotRange,
};

use crate::{
    book::{Book, Caller, Reservation, id, ip, time},
    calendar::{self, Share},
    plane::predict,
    service::{internal, invalid},
    tokens::{REGISTER, Resource, UPDATE},
};

/// A new session is not judged before.
const GRACE: Duration = Duration::from_secs(5);
/// Then a worker without news gets no events…
const STALE: Duration = Duration::from_secs(2);
/// …and is forgotten.
const LOST: Duration = Duration::from_secs(60);
/// Epochs begin so long after they are decided on.
const AHEAD: Duration = Duration::from_millis(800);

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) request: RegisterRequest,
    pub(crate) address: IpAddr,
    pub(crate) created: SystemTime,
    pub(crate) weight: f64,
    pub(crate) demands: Vec<SlotRange>,
    /// The worker's own clock, of its last state.
    pub(crate) updated: SystemTime,
    pub(crate) state: SendStateRequest,
    /// All states, with the times when they came.
    pub(crate) history: Vec<(SystemTime, SendStateRequest)>,
}

impl Session {
    fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.updated).unwrap_or_default()
    }

    /// Silent for longer than this, and no newcomer.
    fn silent(&self, now: SystemTime, limit: Duration) -> bool {
        let known = now.duration_since(self.created).unwrap_or_default();
        known > GRACE && self.age(now) > limit
    }

    fn ready(&self, now: SystemTime) -> bool {
        self.state.is_ready && !self.silent(now, STALE)
    }
}

/// The rule for names.
pub(crate) fn name(name: &str) -> Result<(), Status> {
    let label = |label: &str| {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"-_:/".contains(&byte);
        let edges = label.bytes().next().into_iter().chain(label.bytes().last());
        (1..=63).contains(&label.len())
            && edges.into_iter().all(|byte| byte.is_ascii_alphanumeric())
            && label.bytes().all(inside)
    };
    match name.len() <= 253 && name.split('.').all(label) {
        true => Ok(()),
        false => Err(invalid(format!("bad name {name:?}"))),
    }
}

impl Reservation {
    fn demands(&self) -> Vec<(u64, i32, u32)> {
        let of = |(id, session): (&u64, &Session)| {
            let id = *id;
            session
                .demands
                .iter()
                .map(move |range| (id, range.index, range.length))
                .collect::<Vec<_>>()
        };
        self.sessions.iter().flat_map(of).collect()
    }

    /// A new epoch, if anybody is ready.
    fn next_epoch(&mut self, epoch: u64, now: SystemTime) {
        let mut weights: Vec<(f64, f64)> = self
            .sessions
            .values()
            .map(|session| (session.weight, f64::from(session.state.control_signal)))
            .collect();
        calendar::adjust(&mut weights);
        for (session, (weight, _)) in self.sessions.values_mut().zip(weights) {
            session.weight = weight;
        }
        let mut ready: Vec<(&u64, &Session)> =
            self.sessions.iter().filter(|(_, session)| session.ready(now)).collect();
        if ready.is_empty() {
            self.calendar.clear();
            self.install(0, Vec::new());
            return;
        }
        ready.sort_by(|(_, one), (_, other)| other.request.name.cmp(&one.request.name));
        let share = |(id, session): &(&u64, &Session)| Share {
            session: **id,
            weight: session.weight,
            min_factor: session.request.min_factor.into(),
            max_factor: session.request.max_factor.into(),
        };
        let shares: Vec<Share> = ready.iter().map(share).collect();
        let demanded = if self.strategy == "dynamic" { Vec::new() } else { self.demands() };
        // Overlaps were refused when they were demanded.
        let mut calendar = calendar::demanded(&demanded).unwrap_or_default();
        if self.strategy != "explicit" {
            calendar::fill(&mut calendar, &shares);
        }
        self.boundary = predict(&self.samples, now, now + AHEAD);
        if self.strategy == "dynamic" && self.boundary > 0 {
            calendar::shuffle(&mut calendar, epoch);
        }
        self.install(self.boundary, calendar.clone());
        (self.calendar, self.epoch) = (calendar, epoch);
        self.boundaries.push((now, self.boundary));
    }
}

impl Book {
    /// The reservation that a session belongs to.
    pub(crate) fn reservation_of(&self, session: u64) -> Option<u64> {
        let mut all = self.reservations.iter();
        all.find(|(_, one)| one.sessions.contains_key(&session)).map(|(id, _)| *id)
    }

    fn session(&mut self, id: u64) -> Option<&mut Session> {
        self.reservations.values_mut().find_map(|one| one.sessions.get_mut(&id))
    }

    /// What a real server does each second.
    pub(crate) fn tick(&mut self) {
        let now = self.now;
        let over: Vec<u64> = self
            .reservations
            .iter()
            .filter(|(_, reservation)| reservation.until <= now)
            .map(|(id, _)| *id)
            .collect();
        over.into_iter().for_each(|id| self.end(id));
        let mut gone = Vec::new();
        for reservation in self.reservations.values_mut() {
            reservation.sessions.retain(|id, session| {
                let lost = session.silent(now, LOST);
                gone.extend(lost.then_some(*id));
                !lost
            });
            self.last_epoch += 1;
            reservation.next_epoch(self.last_epoch, now);
        }
        self.tokens
            .forget(|resource| matches!(resource, Resource::Session(id) if gone.contains(&id)));
    }

    pub(crate) fn register(
        &mut self,
        by: &Caller,
        request: RegisterRequest,
    ) -> Result<RegisterReply, Status> {
        let (now, next) = (self.now, self.last_session + 1);
        let parent = self.caller(by)?.id;
        let (_, reservation) = self.reserved(by, &request.lb_id, REGISTER)?;
        name(&request.name)?;
        let address = ip(&request.ip_address)?;
        let ready = SendStateRequest { is_ready: true, ..SendStateRequest::default() };
        let session = Session {
            address,
            created: now,
            weight: f64::from(request.weight) * 1000.0,
            demands: request.slot_demands.clone(),
            updated: now,
            state: ready,
            history: Vec::new(),
            request,
        };
        reservation.sessions.insert(next, session);
        if calendar::demanded(&reservation.demands()).is_none() {
            reservation.sessions.remove(&next);
            return Err(internal("slots are demanded twice"));
        }
        self.last_session = next;
        let permission = vec![(Resource::Session(next), UPDATE)];
        let token = self.tokens.make(parent, &format!("session-{next}"), permission);
        Ok(RegisterReply { token, session_id: next.to_string() })
    }

    /// A deregistered session's token is good for nothing, without an error.
    fn own_session(&self, by: &Caller, session_id: &str) -> Result<u64, Status> {
        let row = self.caller(by)?;
        let id = id(session_id)?;
        match self.may(row, Resource::Session(id), UPDATE) {
            true => Ok(id),
            false => Err(Status::permission_denied("not this session")),
        }
    }

    pub(crate) fn send_state(
        &mut self,
        by: &Caller,
        request: SendStateRequest,
    ) -> Result<Empty, Status> {
        let (now, id) = (self.now, self.own_session(by, &request.session_id)?);
        let updated = time(request.timestamp.as_ref())?;
        if let Some(session) = self.session(id) {
            session.updated = updated;
            session.history.push((now, request.clone()));
            session.state = request;
            return Ok(Empty {});
        }
        // Of a deregistered one, its own token is still good.
        match self.need(by, Resource::All, UPDATE) {
            Ok(_) => Err(internal(format!("no session {id}"))),
            Err(_) => Ok(Empty {}),
        }
    }

    pub(crate) fn deregister(
        &mut self,
        by: &Caller,
        request: DeregisterRequest,
    ) -> Result<Empty, Status> {
        let session = self.own_session(by, &request.session_id)?;
        id(&request.lb_id)?;
        self.drop_session(session);
        Ok(Empty {})
    }

    pub(crate) fn drop_session(&mut self, id: u64) {
        for reservation in self.reservations.values_mut() {
            reservation.sessions.remove(&id);
        }
    }

    pub(crate) fn set_slot_demands(
        &mut self,
        by: &Caller,
        request: SetSlotDemandsRequest,
    ) -> Result<Empty, Status> {
        let (_, reservation) = self.reserved(by, &request.lb_id, UPDATE)?;
        let mut changed = reservation.clone();
        changed.sessions.values_mut().for_each(|session| session.demands.clear());
        for demand in &request.slot_constraints {
            let session = changed.sessions.get_mut(&id(&demand.session_id)?);
            session.ok_or_else(|| internal("no such session"))?.demands = demand.slots.clone();
        }
        if calendar::demanded(&changed.demands()).is_none() {
            return Err(internal("slots are demanded twice"));
        }
        if !request.slot_constraints.is_empty() {
            changed.strategy = "static".into();
        }
        *reservation = changed;
        Ok(Empty {})
    }
}
