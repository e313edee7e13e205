//! A load balancer reserved, extended, reset, freed; who may send to it
//! (`control-plane.md` §7, §8).

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    time::{Duration, SystemTime},
};

use super::{LoadBalancer, check, error::Error};
use crate::{
    address::{DATA_PORT, Endpoint},
    message::{
        Empty, ExtendReservationReply, ExtendReservationRequest, FreeLoadBalancerRequest,
        GetLoadBalancerRequest, ReserveLoadBalancerReply, ReserveLoadBalancerRequest,
        ResetLoadBalancerReply, ResetLoadBalancerRequest, SendersRequest,
    },
    token::{Token, TokenKind},
    uri::EjfatUri,
};

/// A wish for a load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Reserve {
    /// What people call it; may be empty.
    pub name: String,
    /// The end of the reservation; none: as late as the server allows, today
    /// a year.
    pub until: Option<SystemTime>,
    /// Who may send to it.
    pub senders: Vec<IpAddr>,
    /// Which addresses it should have. Today's servers give what they have.
    pub ip_family: IpFamily,
    /// How slots are dealt out; none: the server's usual way, dynamic.
    pub strategy: Option<Strategy>,
}

impl Reserve {
    /// With a name, without an end and without senders.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Ends so long from now.
    ///
    /// # Errors
    /// Longer than clocks count.
    pub fn lasting(mut self, duration: Duration) -> Result<Self, Error> {
        let until = SystemTime::now().checked_add(duration).ok_or_else(|| {
            let found = "that is longer than clocks count";
            Error::parameter(format!("a reservation of {duration:?}"), found, "leave the end out")
        })?;
        self.until = Some(until);
        Ok(self)
    }

    /// With these senders.
    #[must_use]
    pub fn from(mut self, senders: impl IntoIterator<Item = IpAddr>) -> Self {
        self.senders = senders.into_iter().collect();
        self
    }
}

/// Which addresses a load balancer has or should have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IpFamily {
    /// Both.
    #[default]
    Dual = 0,
    /// IPv4.
    V4 = 1,
    /// IPv6.
    V6 = 2,
}

/// How slots are dealt out to workers (`control-plane.md` §9.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// By weight, and anew with each epoch.
    Dynamic,
    /// What was demanded first, the rest by weight.
    Static,
    /// What was demanded; packets for other slots are dropped.
    Explicit,
}

impl Strategy {
    /// Its name in the protocol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dynamic => "dynamic",
            Self::Static => "static",
            Self::Explicit => "explicit",
        }
    }
}

/// A reserved load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reserved {
    /// Its id.
    pub lb_id: String,
    /// Which of the hardware's load balancers it is.
    pub fpga_lb_id: u32,
    /// Where sync messages go by IPv4.
    pub sync_v4: Option<SocketAddr>,
    /// Where sync messages go by IPv6.
    pub sync_v6: Option<SocketAddr>,
    /// Where events go by IPv4.
    pub data_v4: Option<Ipv4Addr>,
    /// Where events go by IPv6.
    pub data_v6: Option<Ipv6Addr>,
    /// To which ports they may go. An older server names none.
    pub data_ports: Option<RangeInclusive<u16>>,
    /// How slots are dealt out, in the server's word; may be empty.
    pub strategy: String,
    /// Its token; only given with the reservation itself.
    pub token: Option<Token>,
}

impl Reserved {
    pub(super) fn read(asked: &str, reply: ReserveLoadBalancerReply) -> Result<Self, Error> {
        let port = check::port(asked, "sync port", reply.sync_udp_port)?;
        let sync = |field, text: &str| -> Result<_, Error> {
            let address = check::address::<IpAddr>(asked, field, text)?;
            Ok(address.zip(port).map(SocketAddr::from))
        };
        let data_port = |field, number| check::port(asked, field, number);
        let (first, last) = (
            data_port("first data port", reply.data_min_port)?,
            data_port("last data port", reply.data_max_port)?,
        );
        if first > last {
            let found = "the answer's last data port comes before its first";
            return Err(Error::data(asked, found));
        }
        Ok(Self {
            lb_id: check::present(asked, "load balancer's id", reply.lb_id)?,
            fpga_lb_id: reply.fpga_lb_id,
            sync_v4: sync("sync address (IPv4)", &reply.sync_ipv4_address)?,
            sync_v6: sync("sync address (IPv6)", &reply.sync_ipv6_address)?,
            data_v4: check::address(asked, "data address (IPv4)", &reply.data_ipv4_address)?,
            data_v6: check::address(asked, "data address (IPv6)", &reply.data_ipv6_address)?,
            data_ports: first.zip(last).map(|(first, last)| first..=last),
            strategy: reply.strategy,
            token: Token::new(reply.token),
        })
    }

    /// The URI with its addresses.
    fn complete(&self, uri: EjfatUri) -> EjfatUri {
        let mut uri = uri.with_lb_id(&self.lb_id);
        let sync = [(false, self.sync_v4), (true, self.sync_v6)];
        let data =
            [(false, self.data_v4.map(IpAddr::from)), (true, self.data_v6.map(IpAddr::from))];
        for (v6, to) in sync {
            uri = match to {
                Some(to) => uri.with_sync(to.into()),
                None => uri.without_sync(v6),
            };
        }
        let (first, last) = match &self.data_ports {
            Some(ports) => (*ports.start(), *ports.end()),
            None => (DATA_PORT, DATA_PORT),
        };
        for (v6, to) in data {
            uri = match to.and_then(|to| ports(to, first, last)) {
                Some(to) => uri.with_data(to),
                None => uri.without_data(v6),
            };
        }
        uri
    }
}

/// An endpoint with a range of ports, by way of its text.
fn ports(address: IpAddr, first: u16, last: u16) -> Option<Endpoint> {
    format!("{}-{last}", SocketAddr::new(address, first)).parse().ok()
}

/// What of a reservation begins anew. On a live flow, events are lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reset {
    /// What is known of the senders' event numbers.
    pub sync: bool,
    /// Which slot is whose, and since when.
    pub epochs: bool,
    /// The list of senders.
    pub senders: bool,
    /// All sessions and their tokens.
    pub workers: bool,
}

impl LoadBalancer {
    /// Reserves a load balancer. The URI then has its id, token and
    /// addresses. The reservation ends when it was said to, or by
    /// [`free`](Self::free). If the answer does not come in time, or the call
    /// is given up, it may be reserved nevertheless: [`overview`](Self::overview)
    /// has it then.
    ///
    /// # Errors
    /// See [`Error`]. An answer of no use frees what it reserved.
    pub async fn reserve(&self, wish: &Reserve) -> Result<Reserved, Error> {
        if !wish.name.is_empty() {
            check::name("a reservation", &wish.name)?;
        }
        let asked = format!("reserve a load balancer, {:?}", wish.name);
        let until = wish.until.map(|until| check::future("the end of a reservation", until));
        let request = ReserveLoadBalancerRequest {
            name: wish.name.clone(),
            until: until.transpose()?,
            sender_addresses: texts(&wish.senders),
            ip_family: wish.ip_family as i32,
            strategy: wish.strategy.map_or("", Strategy::as_str).into(),
        };
        let reply: ReserveLoadBalancerReply =
            self.call("ReserveLoadBalancer", &asked, self.admin_token()?, request).await?;
        let (lb_id, token) = (reply.lb_id.clone(), Token::new(&reply.token));
        let reserved = Reserved::read(&asked, reply).and_then(|reserved| match reserved.token {
            Some(_) => Ok(reserved),
            None => Err(Error::data(&asked, "the answer has no token")),
        });
        let reserved = match reserved {
            Ok(reserved) => reserved,
            Err(error) => {
                self.undo(lb_id, token).await;
                return Err(error);
            }
        };
        self.update(|uri| {
            let uri = reserved.complete(uri).with_lb_name(&wish.name).with_session_id("");
            uri.with_token(TokenKind::Instance, reserved.token.clone())
                .with_token(TokenKind::Session, None)
        });
        Ok(reserved)
    }

    /// Frees what was reserved with an answer of no use.
    async fn undo(&self, lb_id: String, token: Option<Token>) {
        let token = token.or_else(|| self.admin_token().ok());
        let Some(token) = token.filter(|_| !lb_id.is_empty()) else { return };
        let (asked, request) =
            (format!("free load balancer {lb_id}"), FreeLoadBalancerRequest { lb_id });
        let freed: Result<Empty, Error> =
            self.call("FreeLoadBalancer", asked, token, request).await;
        if let Err(error) = freed {
            tracing::warn!("a load balancer stays reserved: {error}");
        }
    }

    /// Where a reserved load balancer is; completes the URI.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(&self, lb_id: Option<&str>) -> Result<Reserved, Error> {
        let lb_id = self.lb_id(lb_id)?;
        let asked = format!("the addresses of load balancer {lb_id}");
        let token = self.reservation_token(&lb_id)?;
        let request = GetLoadBalancerRequest { lb_id };
        let reply = self.call("GetLoadBalancer", &asked, token, request).await?;
        let reserved = Reserved::read(&asked, reply)?;
        self.update(|uri| reserved.complete(uri));
        Ok(reserved)
    }

    /// Ends a reservation. Its tokens are worth nothing then, and the URI
    /// has them no longer.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn free(&self, lb_id: Option<&str>) -> Result<(), Error> {
        let lb_id = self.lb_id(lb_id)?;
        let token = self.reservation_token(&lb_id)?;
        let request = FreeLoadBalancerRequest { lb_id: lb_id.clone() };
        let asked = format!("free load balancer {lb_id}");
        let Empty {} = self.call("FreeLoadBalancer", asked, token, request).await?;
        self.update(|uri| {
            if uri.lb_id() != lb_id {
                return uri;
            }
            let uri = uri.with_token(TokenKind::Session, None).with_session_id("");
            uri.with_token(TokenKind::Instance, None)
        });
        Ok(())
    }

    /// Moves a reservation's end; none: as late as the server allows. Says
    /// which end it has now.
    ///
    /// # Errors
    /// See [`Error`]; older servers know no such call.
    pub async fn extend(
        &self,
        lb_id: Option<&str>,
        until: Option<SystemTime>,
    ) -> Result<Option<SystemTime>, Error> {
        let lb_id = self.lb_id(lb_id)?;
        let until = until.map(|until| check::future("the end of a reservation", until));
        let token = self.reservation_token(&lb_id)?;
        let asked = format!("extend load balancer {lb_id}");
        let request = ExtendReservationRequest { lb_id, until: until.transpose()? };
        let reply: ExtendReservationReply =
            self.call("ExtendReservation", asked, token, request).await?;
        Ok(check::time(reply.until.as_ref()))
    }

    /// Lets parts of a reservation begin anew. Says which ones did.
    ///
    /// # Errors
    /// See [`Error`]; older servers know no such call.
    pub async fn reset(&self, lb_id: Option<&str>, what: Reset) -> Result<Reset, Error> {
        let lb_id = self.lb_id(lb_id)?;
        let token = self.reservation_token(&lb_id)?;
        let asked = format!("reset load balancer {lb_id}");
        let Reset { sync, epochs, senders, workers } = what;
        let request = ResetLoadBalancerRequest { lb_id, sync, epochs, senders, workers };
        let reply = self.call("ResetLoadBalancer", asked, token, request).await?;
        let ResetLoadBalancerReply { sync, epochs, senders, workers } = reply;
        Ok(Reset { sync, epochs, senders, workers })
    }

    /// Lets these addresses send. Takes effect within a second.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn add_senders(&self, lb_id: Option<&str>, senders: &[IpAddr]) -> Result<(), Error> {
        self.senders("AddSenders", "add senders to", lb_id, senders).await
    }

    /// No longer lets these addresses send. Do this once everything arrived.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn remove_senders(
        &self,
        lb_id: Option<&str>,
        senders: &[IpAddr],
    ) -> Result<(), Error> {
        self.senders("RemoveSenders", "remove senders from", lb_id, senders).await
    }

    /// Lets the addresses send that this host reaches the load balancer
    /// from. Says which ones.
    ///
    /// # Errors
    /// See [`Error`]; the URI has no data address, or there is no route.
    pub async fn add_sender_self(&self, lb_id: Option<&str>) -> Result<Vec<IpAddr>, Error> {
        let own = check::own_addresses(&self.uri())?;
        self.add_senders(lb_id, &own).await?;
        Ok(own)
    }

    /// The opposite of [`add_sender_self`](Self::add_sender_self).
    ///
    /// # Errors
    /// As there.
    pub async fn remove_sender_self(&self, lb_id: Option<&str>) -> Result<Vec<IpAddr>, Error> {
        let own = check::own_addresses(&self.uri())?;
        self.remove_senders(lb_id, &own).await?;
        Ok(own)
    }

    async fn senders(
        &self,
        rpc: &'static str,
        what: &str,
        lb_id: Option<&str>,
        senders: &[IpAddr],
    ) -> Result<(), Error> {
        let lb_id = self.lb_id(lb_id)?;
        let token = self.reservation_token(&lb_id)?;
        let asked = format!("{what} load balancer {lb_id}");
        let request = SendersRequest { lb_id, sender_addresses: texts(senders) };
        let Empty {} = self.call(rpc, asked, token, request).await?;
        Ok(())
    }
}

fn texts(addresses: &[IpAddr]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}
