//! What there is to tell of load balancers behind load balancers.

use serde::Serialize;
use xdpsar::load_balancer::ChainLink;

use crate::{
    manifest::name::show,
    output::{
        Report,
        table::{Side, Table},
    },
};

/// `chain`: a load balancer gets events from another one.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "chain")]
pub(crate) struct Chained {
    pub(crate) chain_id: String,
    pub(crate) lb_id: String,
    /// Without its token.
    pub(crate) upstream: String,
}

impl Report for Chained {
    fn human(&self) -> Option<String> {
        let Self { chain_id, lb_id, upstream } = self;
        let chain_id = show(chain_id.as_bytes());
        Some(format!("chain {chain_id}: load balancer {lb_id} gets events from {upstream}"))
    }
}

/// `unchained`: it gets them no longer.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "unchained")]
pub(crate) struct Unchained<'a> {
    pub(crate) chain_id: &'a str,
    pub(crate) lb_id: String,
}

impl Report for Unchained<'_> {
    fn human(&self) -> Option<String> {
        Some(format!("ended chain {} of load balancer {}", self.chain_id, self.lb_id))
    }
}

/// `chain_graph`: from whom events come, and from whom to those.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "chain_graph")]
pub(crate) struct ChainGraph<'a> {
    pub(crate) lb_id: String,
    pub(crate) has_cycle: bool,
    pub(crate) links: Vec<Link<'a>>,
}

/// One link. Absent texts are empty.
#[derive(Debug, Serialize)]
pub(crate) struct Link<'a> {
    chain_id: &'a str,
    upstream: End<'a>,
    downstream: End<'a>,
}

/// A load balancer at one end of it.
#[derive(Debug, Serialize)]
struct End<'a> {
    lb_id: &'a str,
    data_v4: &'a str,
    data_v6: &'a str,
}

impl<'a> From<&'a ChainLink> for Link<'a> {
    fn from(link: &'a ChainLink) -> Self {
        Self {
            chain_id: &link.chain_id,
            upstream: End {
                lb_id: &link.upstream_lb_id,
                data_v4: &link.upstream_data_v4,
                data_v6: &link.upstream_data_v6,
            },
            downstream: End {
                lb_id: &link.downstream_lb_id,
                data_v4: &link.downstream_data_v4,
                data_v6: &link.downstream_data_v6,
            },
        }
    }
}

impl End<'_> {
    fn text(&self) -> String {
        format!("{} {} {}", self.lb_id, self.data_v4, self.data_v6)
    }
}

impl Report for ChainGraph<'_> {
    fn human(&self) -> Option<String> {
        use Side::Left;
        let mut table = Table::new([("from", Left), ("to", Left), ("chain", Left)]);
        for link in &self.links {
            table.row([link.upstream.text(), link.downstream.text(), link.chain_id.into()]);
        }
        let table = if table.is_empty() { "  no chains".into() } else { table.to_string() };
        let cycle = if self.has_cycle { "\n  Events could go round in circles." } else { "" };
        Some(format!("load balancer {}\n{table}{cycle}", self.lb_id))
    }
}
