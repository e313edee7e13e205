//! Single workers, and slots.

use std::time::SystemTime;

use xdpsar::{
    TokenKind,
    load_balancer::{Counters, PortRange, Register as Worker, SlotRange, State as Now},
    local_address_towards,
};

use super::Caller;
use crate::{
    args::lb::worker::{Ranges, Register, Slots, State},
    output::lb::{
        told,
        worker::{Demand, Deregistered, Session, SlotDemands, StateSent},
    },
    status::Failure,
};

impl Caller {
    pub(super) fn register(&self, args: &Register) -> Result<(), Failure> {
        let address = match args.address {
            Some(address) => address,
            None => local_address_towards(self.locate()?.data_addr()?.ip())?,
        };
        let ports = PortRange::at_least(args.ports.into());
        let worker = Worker {
            ports,
            weight: args.share.weight(),
            min_factor: args.share.min_factor(),
            max_factor: args.share.max_factor(),
            keep_lb_header: args.keep_lb_header,
            slot_demands: args.share.demands(),
            ..Worker::new(&args.name, address, args.port)
        };
        let session = self.lb.register(None, &worker)?;
        let uri = self.lb.uri();
        if args.export.export {
            return self.export(&uri, TokenKind::Session);
        }
        self.tell(&Session {
            session: &session.id,
            lb_id: uri.lb_id(),
            name: &args.name,
            address,
            port: args.port,
            ports: ports.ports(),
            uri: told(&uri, TokenKind::Session, self.show_token),
            token: self.show_token.then(|| session.token.reveal()),
        })
    }

    pub(super) fn state(&self, args: &State) -> Result<(), Failure> {
        let counters = Counters {
            events_received: args.events_received,
            events_reassembled: args.events_reassembled,
            reassembly_errors: args.reassembly_errors,
            events_dequeued: args.events_dequeued,
            enqueue_errors: args.enqueue_errors,
            bytes_received: args.bytes_received,
            packets_received: args.packets_received,
        };
        let (fill, control_signal, ready) = (args.fill, args.signal, !args.not_ready);
        let at = SystemTime::now();
        self.lb.send_state(None, &Now { at, fill, control_signal, ready, counters })?;
        let session = self.lb.uri().session_id().to_owned();
        self.tell(&StateSent { session, fill, control_signal, ready })
    }

    pub(super) fn deregister(&self) -> Result<(), Failure> {
        // Afterwards the URI has no session.
        let session = self.lb.uri().session_id().to_owned();
        self.lb.deregister(None)?;
        self.tell(&Deregistered { session, lb_id: self.lb_id() })
    }

    pub(super) fn slots(&self, which: &Slots) -> Result<(), Failure> {
        let (slots, sessions) = match which {
            Slots::List => {
                let status = self.lb.status(None)?;
                (Some(status.slots), status.workers.iter().map(Demand::of).collect())
            }
            Slots::Clear => (None, self.demand(&[])?),
            Slots::Set(args) => (None, self.demand(&args.demands)?),
        };
        self.tell(&SlotDemands { lb_id: self.lb_id(), slots, sessions })
    }

    fn demand(&self, demands: &[(String, Ranges)]) -> Result<Vec<Demand>, Failure> {
        let demands: Vec<(&str, &[SlotRange])> =
            demands.iter().map(|(session, ranges)| (session.as_str(), &ranges.0[..])).collect();
        self.lb.set_slot_demands(None, &demands)?;
        Ok(demands.iter().map(|(session, ranges)| Demand::new(session, ranges)).collect())
    }
}
