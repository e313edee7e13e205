//! Load balancers behind load balancers (`control-plane.md` §14), all of one
//! server: it calls no other.

use tonic::Status;
use xdpsar_control::{
    EjfatUri, TokenKind,
    message::{
        ChainGraphEdge, ChainLoadBalancerReply, ChainLoadBalancerRequest, Empty,
        GetChainGraphReply, GetChainGraphRequest, RegisterRequest, UnchainLoadBalancerRequest,
    },
};

use crate::{
    book::{Book, Caller},
    service::{internal, invalid},
    tokens::{READ, UPDATE},
};

#[derive(Clone, Debug)]
pub(crate) struct Chain {
    upstream: u64,
    session: u64,
}

impl Book {
    pub(crate) fn chain(
        &mut self,
        by: &Caller,
        request: ChainLoadBalancerRequest,
    ) -> Result<ChainLoadBalancerReply, Status> {
        let (own, _) = self.reserved(by, &request.lb_id, UPDATE)?;
        if !(1..=2).contains(&request.ip_family) {
            return Err(invalid("a chain is of one family"));
        }
        let uri = EjfatUri::parse(&request.ejfat_uri, TokenKind::Instance)
            .map_err(|error| invalid(error.to_string()))?;
        let upstream: u64 = uri.lb_id().parse().map_err(|_| invalid("the URI has no id"))?;
        if format!("{}:{}", uri.host(), uri.port()) != by.authority {
            return Err(Status::failed_precondition("that server cannot be reached"));
        }
        if self.above(upstream).contains(&own) {
            return Err(Status::failed_precondition("that would be a loop"));
        }
        let addresses = self.addresses(own)?;
        let ip_address = match request.ip_family {
            1 => addresses.data_ipv4_address,
            _ => addresses.data_ipv6_address,
        };
        if ip_address.is_empty() {
            return Err(Status::failed_precondition("no address of that family"));
        }
        let token =
            uri.token(TokenKind::Instance).map(|token| format!("Bearer {}", token.reveal()));
        let there = Caller { authorization: token, authority: by.authority.clone() };
        let worker = RegisterRequest {
            lb_id: upstream.to_string(),
            name: format!("chain-{own}"),
            weight: request.weight,
            ip_address,
            udp_port: addresses.data_min_port,
            port_range: 14,
            min_factor: request.min_factor,
            max_factor: request.max_factor,
            keep_lb_header: true,
            slot_demands: request.slot_demands,
        };
        let session = self.register(&there, worker)?.session_id;
        let chain_id = format!("chain-{session}");
        let session = session.parse().map_err(|_| internal("a session without a number"))?;
        let (_, reservation) = self.reserved(by, &request.lb_id, UPDATE)?;
        reservation.chains.insert(chain_id.clone(), Chain { upstream, session });
        Ok(ChainLoadBalancerReply { chain_id })
    }

    pub(crate) fn unchain(
        &mut self,
        by: &Caller,
        request: UnchainLoadBalancerRequest,
    ) -> Result<Empty, Status> {
        let (_, reservation) = self.reserved(by, &request.lb_id, UPDATE)?;
        let chain = reservation.chains.remove(&request.chain_id);
        self.leave(&chain.ok_or_else(|| internal("no such chain"))?);
        Ok(Empty {})
    }

    /// A chain ends: its worker goes.
    pub(crate) fn leave(&mut self, chain: &Chain) {
        self.drop_session(chain.session);
    }

    /// This load balancer and all that events come from.
    fn above(&self, id: u64) -> Vec<u64> {
        let mut all = vec![id];
        let mut next = 0;
        while let Some(reservation) = all.get(next).map(|id| self.reservations.get(id)) {
            for chain in reservation.into_iter().flat_map(|one| one.chains.values()) {
                if !all.contains(&chain.upstream) {
                    all.push(chain.upstream);
                }
            }
            next += 1;
        }
        all
    }

    pub(crate) fn chain_graph(
        &mut self,
        by: &Caller,
        request: GetChainGraphRequest,
    ) -> Result<GetChainGraphReply, Status> {
        let (own, _) = self.reserved(by, &request.lb_id, READ)?;
        let mut edges = Vec::new();
        for id in self.above(own) {
            let Some(reservation) = self.reservations.get(&id) else { continue };
            for (chain_id, chain) in &reservation.chains {
                let (above, below) = (self.addresses(chain.upstream)?, self.addresses(id)?);
                edges.push(ChainGraphEdge {
                    upstream_lb_id: above.lb_id,
                    upstream_data_ipv4: above.data_ipv4_address,
                    upstream_data_ipv6: above.data_ipv6_address,
                    downstream_lb_id: below.lb_id,
                    downstream_data_ipv4: below.data_ipv4_address,
                    downstream_data_ipv6: below.data_ipv6_address,
                    chain_id: chain_id.clone(),
                });
            }
        }
        Ok(GetChainGraphReply { edges, cycle_detected: false })
    }
}
