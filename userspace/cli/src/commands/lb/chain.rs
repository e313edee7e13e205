//! Load balancers behind load balancers.

use xdpsar::load_balancer::{self, ChainGraph};

use super::Caller;
use crate::{
    args::lb::{
        access,
        watch::{Chain, ChainAdd},
    },
    output::lb::chain::{ChainGraph as GraphTold, Chained, Link, Unchained},
    status::Failure,
};

impl Caller {
    pub(super) fn chain(&self, which: &Chain) -> Result<(), Failure> {
        match which {
            Chain::Add(args) => self.chain_to(args),
            Chain::Remove(args) => {
                self.lb.unchain(None, &args.chain)?;
                self.tell(&Unchained { chain_id: &args.chain, lb_id: self.lb_id() })
            }
            Chain::Graph => {
                let ChainGraph { links, has_cycle, .. } = self.lb.chain_graph(None)?;
                let links = links.iter().map(Link::from).collect();
                self.tell(&GraphTold { lb_id: self.lb_id(), has_cycle, links })
            }
        }
    }

    fn chain_to(&self, args: &ChainAdd) -> Result<(), Failure> {
        let upstream = access::read(&args.upstream)?;
        let told = upstream.to_string();
        let chain = load_balancer::Chain {
            ip_family: args.family.into(),
            weight: args.share.weight(),
            min_factor: args.share.min_factor(),
            max_factor: args.share.max_factor(),
            slot_demands: args.share.demands(),
            ..load_balancer::Chain::to(upstream)
        };
        let chain_id = self.lb.chain(None, &chain)?;
        self.tell(&Chained { chain_id, lb_id: self.lb_id(), upstream: told })
    }
}
