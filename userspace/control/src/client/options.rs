//! How to reach a control plane.

use std::time::Duration;

pub use super::{
    connect::Family,
    tls::{Certificates, Trust},
};

/// Whom to believe, and how long to wait.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which servers to believe, of a URI with TLS.
    pub trust: Trust,
    /// The name or address that the server's certificate must be for; none:
    /// the URI's host.
    pub server_name: Option<String>,
    /// Which of the host's addresses to use. Certificates are checked
    /// against the same name in any case.
    pub family: Family,
    /// So long a call may take, with a connection or making one.
    pub timeout: Duration,
    /// So long an attempt to connect may take, TLS included.
    pub connect_timeout: Duration,
    /// How often to ask whether the server is still there, and how long to
    /// wait for its answer before connecting anew.
    pub keep_alive: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            trust: Trust::default(),
            server_name: None,
            family: Family::default(),
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(10),
        }
    }
}
