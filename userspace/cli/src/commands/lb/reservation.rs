//! Reservations as a whole, their senders, and what there is.

use std::time::SystemTime;

use xdpsar::{
    Token, TokenKind,
    load_balancer::{self, Reserved},
};

use super::Caller;
use crate::{
    args::lb::reservation::{Extend, Reserve, Reset, Senders, Until},
    moment::{End, Moment},
    output::lb::{
        reservation::{Action, Begun, Extended, Freed, Reservation, Senders as SendersTold},
        status::{LoadBalancer, Status, Version},
        told,
    },
    status::Failure,
};

impl Until {
    /// As a time; none: as late as possible.
    fn time(&self) -> Result<Option<SystemTime>, Failure> {
        Ok(match (self.until, self.duration) {
            (Some(until), _) => Some(until),
            (None, Some(End::After(duration))) => {
                load_balancer::Reserve::default().lasting(duration)?.until
            }
            (None, Some(End::Never) | None) => None,
        })
    }
}

impl Caller {
    pub(super) fn reserve(&self, args: &Reserve) -> Result<(), Failure> {
        let until = args.end.time()?;
        let wish = load_balancer::Reserve {
            name: args.name.clone(),
            until,
            senders: args.sender.clone(),
            ip_family: args.family.into(),
            strategy: args.strategy.map(Into::into),
        };
        let reserved = self.lb.reserve(&wish)?;
        if args.export.export {
            return self.export(&self.lb.uri(), TokenKind::Instance);
        }
        self.tell(&self.reservation(&reserved, Some(&args.name), until))
    }

    pub(super) fn get(&self, export: bool) -> Result<(), Failure> {
        let reserved = self.lb.get(None)?;
        if export {
            return self.export(&self.lb.uri(), TokenKind::Admin);
        }
        self.tell(&self.reservation(&reserved, None, None))
    }

    fn reservation<'a>(
        &self,
        reserved: &'a Reserved,
        name: Option<&'a str>,
        until: Option<SystemTime>,
    ) -> Reservation<'a> {
        let token = reserved.token.as_ref().filter(|_| self.show_token);
        let kind = if token.is_some() { TokenKind::Instance } else { TokenKind::Admin };
        Reservation {
            lb_id: &reserved.lb_id,
            name,
            addresses: reserved.into(),
            until: until.map(Moment),
            uri: told(&self.lb.uri(), kind, self.show_token),
            token: token.map(Token::reveal),
        }
    }

    pub(super) fn extend(&self, args: &Extend) -> Result<(), Failure> {
        let until = self.lb.extend(None, args.end.time()?)?;
        self.tell(&Extended { lb_id: self.lb_id(), until: until.map(Moment) })
    }

    pub(super) fn reset(&self, args: &Reset) -> Result<(), Failure> {
        let Reset { sync, epochs, senders, workers } = *args;
        let what = load_balancer::Reset { sync, epochs, senders, workers };
        let done = self.lb.reset(None, what)?;
        self.tell(&Begun::new(self.lb_id(), done))
    }

    pub(super) fn free(&self) -> Result<(), Failure> {
        self.lb.free(None)?;
        self.tell(&Freed { lb_id: self.lb_id() })
    }

    pub(super) fn status(&self) -> Result<(), Failure> {
        let status = self.lb.status(None)?;
        self.tell(&Status { lb_id: &self.lb_id(), state: (&status).into() })
    }

    pub(super) fn overview(&self) -> Result<(), Failure> {
        let all = self.lb.overview()?;
        if all.is_empty() && !self.output.is_json() {
            return self.text("no reservations that this token may see");
        }
        for one in &all {
            self.tell(&LoadBalancer::new(&one.name, &one.reserved, &one.status))?;
        }
        Ok(())
    }

    pub(super) fn version(&self) -> Result<(), Failure> {
        let load_balancer::Version { commit, build, compat_tag, .. } = self.lb.version()?;
        self.tell(&Version { commit, build, compat_tag })
    }

    pub(super) fn senders(&self, which: &Senders) -> Result<(), Failure> {
        let (action, senders) = match which {
            Senders::List => (Action::Listed, self.lb.status(None)?.senders),
            Senders::Add(of) if of.addresses.is_empty() => {
                self.locate()?;
                (Action::Added, self.lb.add_sender_self(None)?)
            }
            Senders::Remove(of) if of.addresses.is_empty() => {
                self.locate()?;
                (Action::Removed, self.lb.remove_sender_self(None)?)
            }
            Senders::Add(of) => {
                self.lb.add_senders(None, &of.addresses)?;
                (Action::Added, of.addresses.clone())
            }
            Senders::Remove(of) => {
                self.lb.remove_senders(None, &of.addresses)?;
                (Action::Removed, of.addresses.clone())
            }
        };
        self.tell(&SendersTold { lb_id: self.lb_id(), action, senders })
    }
}
