//! What is reserved, and by whom (`control-plane.md` §7, §8).

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tonic::Status;
use xdpsar_control::message::{
    Empty, ExtendReservationReply, ExtendReservationRequest, FreeLoadBalancerRequest,
    GetLoadBalancerRequest, ReserveLoadBalancerReply, ReserveLoadBalancerRequest,
    ResetLoadBalancerReply, ResetLoadBalancerRequest, SendersRequest, Timestamp,
};

use crate::{
    chains::Chain,
    plane::{Epoch, Ports, Sync},
    server::Config,
    service::{internal, invalid},
    sessions::{Session, name},
    tokens::{READ, RESERVE, Resource, Tokens, UPDATE},
};

/// A reservation without an end lasts so long.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Who calls, and which server they think they call.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) authorization: Option<String>,
    pub(crate) authority: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Reservation {
    pub(crate) lb: u64,
    pub(crate) name: String,
    pub(crate) until: SystemTime,
    pub(crate) senders: Vec<IpAddr>,
    pub(crate) strategy: String,
    pub(crate) sessions: BTreeMap<u64, Session>,
    /// Slot by slot, whose it is.
    pub(crate) calendar: Vec<Option<u64>>,
    pub(crate) epoch: u64,
    pub(crate) boundary: u64,
    /// The newest ones, with their calendars.
    pub(crate) epochs: Vec<Epoch>,
    /// What senders said of their event numbers, the newest last.
    pub(crate) samples: Vec<Sync>,
    /// What the data plane counted.
    pub(crate) counters: BTreeMap<String, u64>,
    /// Boundaries of epochs, with their times.
    pub(crate) boundaries: Vec<(SystemTime, u64)>,
    pub(crate) chains: BTreeMap<String, Chain>,
}

/// Everything that survives a restart.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) config: Config,
    /// Set before each call.
    pub(crate) now: SystemTime,
    pub(crate) tokens: Tokens,
    pub(crate) reservations: BTreeMap<u64, Reservation>,
    /// Of load balancers with a data plane.
    pub(crate) ports: BTreeMap<u64, Ports>,
    last_reservation: u64,
    pub(crate) last_session: u64,
    pub(crate) last_epoch: u64,
}

pub(crate) fn stamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp { seconds: since.as_secs() as i64, nanos: since.subsec_nanos() as i32 }
}

/// An absent time is the first second of 1970.
pub(crate) fn time(stamp: Option<&Timestamp>) -> Result<SystemTime, Status> {
    let Some(Timestamp { seconds, nanos }) = stamp else { return Ok(UNIX_EPOCH) };
    let bad = |_| invalid("bad timestamp");
    let nanos = u32::try_from(*nanos).map_err(bad)?;
    let seconds = u64::try_from(*seconds).map_err(bad)?;
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanos)).ok_or_else(|| invalid("bad timestamp"))
}

pub(crate) fn ip(text: &str) -> Result<IpAddr, Status> {
    text.parse().map_err(|_| invalid(format!("bad address {text:?}")))
}

pub(crate) fn id(text: &str) -> Result<u64, Status> {
    text.parse().map_err(|_| invalid(format!("bad id {text:?}")))
}

impl Book {
    pub(crate) fn new(config: Config, now: SystemTime) -> Self {
        let mut tokens = Tokens::default();
        tokens.insert(&config.token, 0, "admin", vec![(Resource::All, UPDATE)]);
        Self {
            config,
            now,
            tokens,
            reservations: BTreeMap::new(),
            ports: BTreeMap::new(),
            last_reservation: 0,
            last_session: 0,
            last_epoch: 0,
        }
    }

    /// The reservation of this id, after the token was found good for it.
    pub(crate) fn reserved(
        &mut self,
        by: &Caller,
        lb_id: &str,
        level: i32,
    ) -> Result<(u64, &mut Reservation), Status> {
        // Who calls comes before what they call for.
        self.caller(by)?;
        let id = id(lb_id)?;
        self.need(by, Resource::Reservation(id), level)?;
        let gone = || internal(format!("no reservation {id}"));
        Ok((id, self.reservations.get_mut(&id).ok_or_else(gone)?))
    }

    /// The end of a reservation; unset is far away, 0 is over.
    fn until(&self, until: Option<&Timestamp>) -> Result<SystemTime, Status> {
        let Some(until) = until else { return Ok(self.now + LONGEST) };
        let until = time(Some(until))?;
        match until > self.now {
            true => Ok(until),
            false => Err(invalid("the end is not in the future")),
        }
    }

    pub(crate) fn reserve(
        &mut self,
        by: &Caller,
        request: ReserveLoadBalancerRequest,
    ) -> Result<ReserveLoadBalancerReply, Status> {
        let row = self.caller(by)?.clone();
        if !request.name.is_empty() {
            name(&request.name)?;
        }
        let until = self.until(request.until.as_ref())?;
        let permitted: Vec<u64> =
            (1..=self.config.lbs).filter(|lb| self.may(&row, Resource::Lb(*lb), RESERVE)).collect();
        if permitted.is_empty() {
            return Err(Status::permission_denied(format!("{} may reserve none", row.id)));
        }
        let taken = |lb: &u64| self.reservations.values().any(|other| other.lb == *lb);
        let lb = permitted.into_iter().find(|lb| !taken(lb));
        let lb = lb.ok_or_else(|| Status::resource_exhausted("all load balancers are reserved"))?;
        if !["", "dynamic", "static", "explicit"].contains(&request.strategy.as_str()) {
            return Err(internal("unknown strategy"));
        }
        self.last_reservation += 1;
        let id = self.last_reservation;
        let strategy = match request.strategy.as_str() {
            "" => "dynamic".to_owned(),
            other => other.to_owned(),
        };
        let reservation = Reservation {
            lb,
            name: request.name,
            until,
            senders: Vec::new(),
            strategy,
            sessions: BTreeMap::new(),
            calendar: Vec::new(),
            epoch: 0,
            boundary: 0,
            epochs: Vec::new(),
            samples: vec![Sync::seed(self.now)],
            counters: BTreeMap::new(),
            boundaries: Vec::new(),
            chains: BTreeMap::new(),
        };
        // As in real servers, a bad sender leaves a reservation behind.
        self.reservations.insert(id, reservation);
        for text in &request.sender_addresses {
            let sender = ip(text)?;
            self.reservations.get_mut(&id).into_iter().for_each(|it| it.senders.push(sender));
        }
        let permission = vec![(Resource::Reservation(id), UPDATE)];
        let token = self.tokens.make(row.id, &format!("reservation-{id}"), permission);
        let mut reply = self.addresses(id)?;
        reply.ejfat_uri = format!("ejfat://{token}@{}/lb/{id}", by.authority);
        reply.token = token;
        Ok(reply)
    }

    /// What everybody may know of a reservation.
    pub(crate) fn addresses(&self, id: u64) -> Result<ReserveLoadBalancerReply, Status> {
        let reservation = self.reservations.get(&id).ok_or_else(|| internal("no reservation"))?;
        let (lb, v6) = (reservation.lb, self.config.v6);
        // Without a data plane, addresses that lead nowhere.
        let nowhere = |last: u64| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last as u16).to_string();
        let mut reply = ReserveLoadBalancerReply {
            lb_id: id.to_string(),
            sync_ipv4_address: Ipv4Addr::LOCALHOST.to_string(),
            sync_udp_port: 19530 + lb as u32,
            data_ipv4_address: Ipv4Addr::new(127, 0, 0, lb as u8).to_string(),
            data_ipv6_address: if v6 { nowhere(lb) } else { String::new() },
            fpga_lb_id: lb as u32,
            sync_ipv6_address: if v6 { nowhere(255) } else { String::new() },
            data_min_port: 16384,
            data_max_port: 32767,
            strategy: reservation.strategy.clone(),
            ..ReserveLoadBalancerReply::default()
        };
        if let Some(ports) = self.ports.get(&lb) {
            let of = |at: SocketAddr, v6| match at.is_ipv6() == v6 {
                true => at.ip().to_string(),
                false => String::new(),
            };
            reply.sync_ipv4_address = of(ports.sync, false);
            reply.sync_ipv6_address = of(ports.sync, true);
            reply.data_ipv4_address = of(ports.data, false);
            reply.data_ipv6_address = of(ports.data, true);
            reply.sync_udp_port = ports.sync.port().into();
            reply.data_min_port = ports.data.port().into();
            reply.data_max_port = ports.data.port().into();
        }
        Ok(reply)
    }

    pub(crate) fn get(
        &mut self,
        by: &Caller,
        request: GetLoadBalancerRequest,
    ) -> Result<ReserveLoadBalancerReply, Status> {
        let (id, _) = self.reserved(by, &request.lb_id, READ)?;
        self.addresses(id)
    }

    pub(crate) fn free(
        &mut self,
        by: &Caller,
        request: FreeLoadBalancerRequest,
    ) -> Result<Empty, Status> {
        self.caller(by)?;
        let id = id(&request.lb_id)?;
        self.need(by, Resource::Reservation(id), UPDATE)?;
        self.end(id);
        Ok(Empty {})
    }

    /// Ends a reservation, if it is still there, with all tokens for it.
    pub(crate) fn end(&mut self, id: u64) {
        let Some(reservation) = self.reservations.remove(&id) else { return };
        for chain in reservation.chains.values() {
            self.leave(chain);
        }
        self.tokens.forget(|resource| match resource {
            Resource::Reservation(of) => of == id,
            Resource::Session(of) => reservation.sessions.contains_key(&of),
            _ => false,
        });
    }

    pub(crate) fn extend(
        &mut self,
        by: &Caller,
        request: ExtendReservationRequest,
    ) -> Result<ExtendReservationReply, Status> {
        self.reserved(by, &request.lb_id, UPDATE)?;
        let until = self.until(request.until.as_ref())?;
        self.reserved(by, &request.lb_id, UPDATE)?.1.until = until;
        Ok(ExtendReservationReply { until: Some(stamp(until)) })
    }

    pub(crate) fn reset(
        &mut self,
        by: &Caller,
        request: ResetLoadBalancerRequest,
    ) -> Result<ResetLoadBalancerReply, Status> {
        let now = self.now;
        let (_, reservation) = self.reserved(by, &request.lb_id, UPDATE)?;
        let ResetLoadBalancerRequest { sync, epochs, senders, workers, .. } = request;
        if sync {
            reservation.samples = vec![Sync::seed(now)];
        }
        if epochs {
            (reservation.epoch, reservation.boundary) = (0, 0);
            reservation.calendar.clear();
            reservation.epochs.clear();
        }
        if senders {
            reservation.senders.clear();
        }
        if workers {
            let gone = std::mem::take(&mut reservation.sessions);
            self.tokens.forget(
                |resource| matches!(resource, Resource::Session(id) if gone.contains_key(&id)),
            );
        }
        Ok(ResetLoadBalancerReply { sync, epochs, senders, workers })
    }

    pub(crate) fn add_senders(
        &mut self,
        by: &Caller,
        request: SendersRequest,
    ) -> Result<Empty, Status> {
        self.senders(by, &request, |senders, one| {
            if !senders.contains(&one) {
                senders.push(one);
            }
        })
    }

    pub(crate) fn remove_senders(
        &mut self,
        by: &Caller,
        request: SendersRequest,
    ) -> Result<Empty, Status> {
        self.senders(by, &request, |senders, one| senders.retain(|other| *other != one))
    }

    /// Those before a bad one have their effect.
    fn senders(
        &mut self,
        by: &Caller,
        request: &SendersRequest,
        change: fn(&mut Vec<IpAddr>, IpAddr),
    ) -> Result<Empty, Status> {
        let (_, reservation) = self.reserved(by, &request.lb_id, UPDATE)?;
        for text in &request.sender_addresses {
            change(&mut reservation.senders, ip(text)?);
        }
        Ok(Empty {})
    }
}
