//! Which load balancer, by which token, and whom to believe.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use xdpsar::load_balancer::{Certificates, Family, Options, Trust};
use xdpsar::{EjfatUri, TokenKind};

use crate::{status::Failure, units};

/// What a URI has in front that is in a file.
const FILE: &str = "file:";
/// Where the URI is if nothing names one.
pub(crate) const VARIABLE: &str = "EJFAT_URI";

/// `--uri` and what belongs to it.
#[derive(Clone, Debug, Args)]
pub(crate) struct Access {
    /// EJFAT URI of the load balancer; `file:PATH` reads it from a file
    /// [default: the environment's EJFAT_URI].
    #[arg(long, global = true, value_name = "URI")]
    pub(crate) uri: Option<String>,
    /// As --uri file:PATH.
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) uri_file: Option<PathBuf>,
    /// Which load balancer; default: the URI's.
    #[arg(long, global = true, value_name = "ID")]
    pub(crate) lb_id: Option<String>,
    /// Which worker's session; default: the URI's.
    #[arg(long, global = true, value_name = "ID")]
    pub(crate) session: Option<String>,
    /// TLS: believe these certificates (PEM), authorities' or the server's own; default: the
    /// authorities that this host knows.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// TLS: believe anybody; tokens go to whoever answers.
    #[arg(long, global = true)]
    pub(crate) no_verify: bool,
    /// TLS: the name that the certificate must be for; default: the URI's host.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) server_name: Option<String>,
    /// Reach the host by IPv4 only.
    #[arg(long, short = '4', global = true)]
    pub(crate) ipv4: bool,
    /// Reach the host by IPv6 only.
    #[arg(long, short = '6', global = true)]
    pub(crate) ipv6: bool,
    /// How long to wait for an answer; a bare number means seconds.
    #[arg(long, global = true, value_name = "S", default_value = "10s",
          value_parser = units::seconds)]
    pub(crate) timeout: Duration,
}

impl Access {
    /// What contradicts itself. Clap does not see it of options that stand
    /// before and behind the subcommand.
    pub(crate) fn contradiction(&self) -> Option<&'static str> {
        [
            (self.uri.is_some() && self.uri_file.is_some(), "--uri and --uri-file both name one"),
            (self.ca.is_some() && self.no_verify, "--no-verify believes anybody: leave --ca out"),
            (self.ipv4 && self.ipv6, "--ipv4 and --ipv6 leave no address"),
        ]
        .into_iter()
        .find_map(|(is, what)| is.then_some(what))
    }

    /// The URI, with the load balancer and the session that were named.
    ///
    /// # Errors
    /// There is none, or it is none.
    pub(crate) fn uri(&self) -> Result<EjfatUri, Failure> {
        let uri = match (&self.uri, &self.uri_file) {
            (Some(text), _) => read(text)?,
            (None, Some(path)) => EjfatUri::from_file(path, TokenKind::Admin)?,
            (None, None) => EjfatUri::from_env(VARIABLE, TokenKind::Admin)?,
        };
        let uri = uri.with_prefer_v6(self.ipv6);
        // Without a token of its own, an id from outside is all it takes.
        let uri = match &self.lb_id {
            Some(id) => uri.with_lb_id(id),
            None => uri,
        };
        Ok(match &self.session {
            Some(id) => uri.with_session_id(id),
            None => uri,
        })
    }

    /// How to reach it.
    ///
    /// # Errors
    /// The certificates are not there.
    pub(crate) fn options(&self) -> Result<Options, Failure> {
        let trust = match &self.ca {
            Some(path) => Trust::Certificates(Certificates::from_file(path)?),
            None if self.no_verify => Trust::NoVerify,
            None => Trust::System,
        };
        let family = match (self.ipv4, self.ipv6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        };
        let server_name = self.server_name.clone();
        let timeout = self.timeout;
        // A connection is a part of the call that waits for it.
        Ok(Options {
            trust,
            family,
            server_name,
            timeout,
            connect_timeout: timeout,
            ..Options::default()
        })
    }
}

/// A URI, or a file's.
///
/// # Errors
/// It is none, or the file is not there.
pub(crate) fn read(text: &str) -> Result<EjfatUri, Failure> {
    Ok(match text.strip_prefix(FILE) {
        Some(path) => EjfatUri::from_file(path.as_ref(), TokenKind::Admin)?,
        None => EjfatUri::parse(text, TokenKind::Admin)?,
    })
}
