//! Load balancers behind load balancers (`control-plane.md` §14). Older
//! servers know none of these calls.

use super::{
    LoadBalancer, check,
    error::Error,
    reservation::IpFamily,
    worker::{self, SlotRange},
};
use crate::{
    message::{
        ChainGraphEdge, ChainLoadBalancerReply, ChainLoadBalancerRequest, Empty,
        GetChainGraphReply, GetChainGraphRequest, UnchainLoadBalancerRequest,
    },
    token::TokenKind,
    uri::EjfatUri,
};

/// How a load balancer becomes a worker of another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// The other one, with its id and a token that may register there.
    pub upstream: EjfatUri,
    /// By which family events come from there: one of the two.
    pub ip_family: IpFamily,
    /// Its share there, compared with other workers'; above 0.
    pub weight: f32,
    /// See [`Register`](super::worker::Register).
    pub min_factor: f32,
    /// See [`Register`](super::worker::Register).
    pub max_factor: f32,
    /// Slots that it demands there.
    pub slot_demands: Vec<SlotRange>,
}

impl Chain {
    /// By IPv4, of the usual weight (1) and factors (½ and 2).
    pub const fn to(upstream: EjfatUri) -> Self {
        Self {
            upstream,
            ip_family: IpFamily::V4,
            weight: 1.0,
            min_factor: 0.5,
            max_factor: 2.0,
            slot_demands: Vec::new(),
        }
    }
}

/// From whom events come to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChainGraph {
    /// Each link.
    pub links: Vec<ChainLink>,
    /// Whether events could go round in circles.
    pub has_cycle: bool,
}

/// A link between two load balancers. Absent texts are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "their names say it")]
pub struct ChainLink {
    pub chain_id: String,
    pub upstream_lb_id: String,
    pub upstream_data_v4: String,
    pub upstream_data_v6: String,
    pub downstream_lb_id: String,
    pub downstream_data_v4: String,
    pub downstream_data_v6: String,
}

impl LoadBalancer {
    /// Lets a load balancer get events from another one. Says the chain's id.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn chain(&self, lb_id: Option<&str>, chain: &Chain) -> Result<String, Error> {
        let lb_id = self.lb_id(lb_id)?;
        let asked = format!("chain load balancer {lb_id} to {}", chain.upstream);
        let secret = chain.upstream.token_for(TokenKind::Instance).cloned();
        let Some(secret) = secret.filter(|_| !chain.upstream.lb_id().is_empty()) else {
            let found = "that URI lacks a load balancer's id or a token";
            return Err(Error::parameter(asked, found, "write ejfat://TOKEN@host:port/lb/ID"));
        };
        if chain.ip_family == IpFamily::Dual {
            return Err(Error::parameter(asked, "a chain has one family", "choose IPv4 or IPv6"));
        }
        check::number("a chain's weight", chain.weight, chain.weight > 0.0, "above 0")?;
        worker::factors(chain.min_factor, chain.max_factor)?;
        let token = self.reservation_token(&lb_id)?;
        let request = ChainLoadBalancerRequest {
            lb_id,
            ejfat_uri: chain.upstream.clone().with_token(TokenKind::Session, None).reveal(),
            ip_family: chain.ip_family as i32,
            weight: chain.weight,
            min_factor: chain.min_factor,
            max_factor: chain.max_factor,
            slot_demands: worker::demands(&chain.slot_demands)?,
        };
        let reply = self.call("ChainLoadBalancer", &asked, token, request).await;
        let ChainLoadBalancerReply { chain_id } = reply.map_err(|error| error.hide(&secret))?;
        check::present(&asked, "chain's id", chain_id)
    }

    /// Ends a chain.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn unchain(&self, lb_id: Option<&str>, chain_id: &str) -> Result<(), Error> {
        let lb_id = self.lb_id(lb_id)?;
        let asked = format!("end chain {chain_id:?} of load balancer {lb_id}");
        if chain_id.is_empty() {
            return Err(Error::parameter(asked, "it has no id", "name the chain"));
        }
        let token = self.reservation_token(&lb_id)?;
        let request = UnchainLoadBalancerRequest { lb_id, chain_id: chain_id.into() };
        let Empty {} = self.call("UnchainLoadBalancer", asked, token, request).await?;
        Ok(())
    }

    /// From whom events come to a load balancer, and from whom to those.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn chain_graph(&self, lb_id: Option<&str>) -> Result<ChainGraph, Error> {
        let lb_id = self.lb_id(lb_id)?;
        let token = self.reservation_token(&lb_id)?;
        let asked = format!("the chains above load balancer {lb_id}");
        let request = GetChainGraphRequest { lb_id, visited: Vec::new() };
        let reply: GetChainGraphReply = self.call("GetChainGraph", asked, token, request).await?;
        let link = |edge: ChainGraphEdge| ChainLink {
            chain_id: edge.chain_id,
            upstream_lb_id: edge.upstream_lb_id,
            upstream_data_v4: edge.upstream_data_ipv4,
            upstream_data_v6: edge.upstream_data_ipv6,
            downstream_lb_id: edge.downstream_lb_id,
            downstream_data_v4: edge.downstream_data_ipv4,
            downstream_data_v6: edge.downstream_data_ipv6,
        };
        let links = reply.edges.into_iter().map(link).collect();
        Ok(ChainGraph { links, has_cycle: reply.cycle_detected })
    }
}
