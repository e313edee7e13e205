//! `recv` and `send` by way of a load balancer: which one, and as whom.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use clap::Args;

use super::lb::{access::Access, worker::Share};
use crate::units;

/// `--uri` and what belongs to it.
#[derive(Clone, Debug, Args)]
pub(crate) struct Via {
    /// EJFAT URI of a reserved load balancer, as `xdpsar lb reserve --export` gives it; `file:PATH`
    /// reads it from a file, and --uri alone takes the environment's EJFAT_URI.
    #[arg(long, value_name = "URI", num_args = 0..=1)]
    pub(crate) uri: Option<Option<String>>,
    /// Which load balancer; default: the URI's.
    #[arg(long, value_name = "ID", requires = "uri")]
    pub(crate) lb_id: Option<String>,
    /// TLS: believe these certificates (PEM), authorities' or the server's own; default: the
    /// authorities that this host knows.
    #[arg(long, value_name = "FILE", requires = "uri", conflicts_with = "lb_no_verify")]
    pub(crate) lb_ca: Option<PathBuf>,
    /// TLS: believe anybody; tokens go to whoever answers.
    #[arg(long, requires = "uri")]
    pub(crate) lb_no_verify: bool,
    /// TLS: the name that the certificate must be for; default: the URI's host.
    #[arg(long, value_name = "NAME", requires = "uri")]
    pub(crate) lb_server_name: Option<String>,
    /// Reach the control plane by IPv4 only.
    #[arg(long, requires = "uri", conflicts_with = "lb_ipv6")]
    pub(crate) lb_ipv4: bool,
    /// Reach the control plane by IPv6 only, and prefer it for data.
    #[arg(long, requires = "uri")]
    pub(crate) lb_ipv6: bool,
    /// How long to wait for the control plane; a bare number means seconds [default: 10s].
    #[arg(long, value_name = "S", requires = "uri", value_parser = units::seconds)]
    pub(crate) lb_timeout: Option<Duration>,
}

impl Via {
    /// Whether anything but the URI was asked for.
    pub(crate) fn is_given(&self) -> bool {
        self.lb_id.is_some()
            || self.lb_ca.is_some()
            || self.lb_server_name.is_some()
            || self.lb_timeout.is_some()
            || self.lb_no_verify
            || self.lb_ipv4
            || self.lb_ipv6
    }

    /// The same, as `xdpsar lb` has it.
    pub(crate) fn access(&self) -> Access {
        Access {
            uri: self.uri.clone().flatten(),
            uri_file: None,
            lb_id: self.lb_id.clone(),
            session: None,
            ca: self.lb_ca.clone(),
            no_verify: self.lb_no_verify,
            server_name: self.lb_server_name.clone(),
            ipv4: self.lb_ipv4,
            ipv6: self.lb_ipv6,
            timeout: self.lb_timeout.unwrap_or(Duration::from_secs(10)),
        }
    }
}

/// The worker that `recv --uri` is.
#[derive(Clone, Debug, Args)]
pub(crate) struct Worker {
    /// The worker's name; default: this host's.
    #[arg(long, value_name = "NAME", requires = "uri")]
    pub(crate) name: Option<String>,
    /// Where the load balancer reaches it; default: the address of --listen or, if that is
    /// unspecified, the one that faces the load balancer.
    #[arg(long, value_name = "IP", requires = "uri")]
    pub(crate) advertise: Option<IpAddr>,
    #[command(flatten)]
    pub(crate) share: Share,
    /// The controller's fill to aim for, 0 to 1 [default: 0].
    #[arg(long, value_name = "F", requires = "uri", allow_negative_numbers = true)]
    pub(crate) set_point: Option<f32>,
    /// Its proportional gain: change of weight each second for a full queue [default: 500].
    #[arg(long, value_name = "K", requires = "uri", allow_negative_numbers = true)]
    pub(crate) kp: Option<f32>,
    /// Its integral gain [default: 0].
    #[arg(long, value_name = "K", requires = "uri", allow_negative_numbers = true)]
    pub(crate) ki: Option<f32>,
    /// Its derivative gain [default: 0].
    #[arg(long, value_name = "K", requires = "uri", allow_negative_numbers = true)]
    pub(crate) kd: Option<f32>,
    /// Over how long its derivative is taken; a bare number means ms [default: 1s].
    #[arg(long, value_name = "MS", requires = "uri", value_parser = units::milliseconds)]
    pub(crate) horizon: Option<Duration>,
    /// Fuller than this, it wants no events until it is a quarter below; 1: it always wants some
    /// [default: 0.9].
    #[arg(long, value_name = "F", requires = "uri", allow_negative_numbers = true)]
    pub(crate) high_water: Option<f32>,
    /// How often the load balancer is told its state; a bare number means ms [default: 100ms].
    #[arg(long, value_name = "MS", requires = "uri", value_parser = units::milliseconds)]
    pub(crate) period: Option<Duration>,
    /// At a stop, how long to go on receiving after telling that no more is wanted, for what the
    /// load balancer still has: 2s takes all. A bare number means seconds [default: 0].
    #[arg(long, value_name = "S", requires = "uri", value_parser = units::seconds)]
    pub(crate) linger: Option<Duration>,
}
