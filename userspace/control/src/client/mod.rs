//! The client of a load balancer's control plane.
//!
//! | module | holds |
//! |---|---|
//! | [`options`] | whom to believe, how long to wait |
//! | [`reservation`] | a load balancer reserved, extended, reset, freed; its senders |
//! | [`guard`] | a reservation that is freed at the end |
//! | [`worker`] | registered, their state, deregistered; slots demanded |
//! | [`status`] | who works how well; what is reserved; which version serves |
//! | [`series`] | counters over time |
//! | [`tokens`] | made, listed, revoked |
//! | [`chain`] | load balancers behind load balancers |
//! | [`error`] | why a call failed |

mod check;
mod connect;
mod tls;

pub mod chain;
pub mod error;
pub mod guard;
pub mod options;
pub mod reservation;
pub mod series;
pub mod status;
pub mod tokens;
pub mod worker;

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use http::uri::PathAndQuery;
use tokio::{runtime::Handle, time::timeout};
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::{
    Request,
    client::Grpc,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use self::{
    connect::Connector,
    error::{Error, ErrorKind},
    options::Options,
};
use crate::{
    address::Host,
    message::SERVICE,
    token::{Token, TokenKind},
    uri::EjfatUri,
};

/// A series over a year does not fit into gRPC's usual 4 MB.
const LONGEST_ANSWER: usize = 64 << 20;

/// A load balancer's control plane: one connection, made when it is needed
/// and again when it broke, and the URI, which answers complete. Clones share
/// both.
///
/// Every call sends the URI's token of the kind that it needs, or the next
/// broader one. What the URI names is used where a load balancer or a session
/// may be left out (`None`).
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use xdpsar_control::{LoadBalancer, Options, Reserve, TokenKind};
///
/// let uri = xdpsar_control::EjfatUri::from_env("EJFAT_URI", TokenKind::Admin)?;
/// let lb = LoadBalancer::new(uri, &Options::default())?;
/// lb.reserve(&Reserve::new("run-17").lasting(Duration::from_secs(3600))?).await?;
/// println!("{}", lb.uri()); // with sync and data addresses, without tokens
/// lb.free(None).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct LoadBalancer {
    shared: Arc<Shared>,
    timeout: Duration,
}

struct Shared {
    channel: Channel,
    connector: Connector,
    /// `host:port`, for messages.
    server: String,
    uri: Mutex<EjfatUri>,
    /// Whether the server's clock and this host's were, last time.
    clocks_apart: Arc<AtomicBool>,
}

impl LoadBalancer {
    /// For the control plane that the URI names. Nothing is sent yet, and no
    /// name looked up.
    ///
    /// # Errors
    /// [`ErrorKind::Logic`] outside of a tokio runtime; what [`Options`] name
    /// is not there.
    pub fn new(uri: EjfatUri, options: &Options) -> Result<Self, Error> {
        if Handle::try_current().is_err() {
            let remedy = "call it inside of one, or use blocking::LoadBalancer";
            let found = "there is no tokio runtime";
            return Err(Error::new(ErrorKind::Logic, "a load balancer's client", found, remedy));
        }
        let authority = match uri.host().ip() {
            Some(IpAddr::V6(address)) => format!("[{address}]:{}", uri.port()),
            _ => format!("{}:{}", uri.host(), uri.port()),
        };
        let tls = match uri.tls() {
            true => {
                let name = server_name(options.server_name.as_deref(), uri.host())?;
                Some((Arc::new(tls::config(&options.trust)?), name))
            }
            false => None,
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        let connector = Connector::new(uri.clone(), options.family, tls, options.connect_timeout);
        let wrong = |error: &dyn fmt::Display| {
            let remedy = "correct the URI's host and port";
            Error::new(
                ErrorKind::Parse,
                format!("a connection to {authority}"),
                error.to_string(),
                remedy,
            )
        };
        let origin = format!("{scheme}://{authority}").parse().map_err(|error| wrong(&error))?;
        let endpoint = Endpoint::from_shared(format!("http://{authority}"))
            .map_err(|error| wrong(&error))?
            .origin(origin)
            .http2_keep_alive_interval(options.keep_alive)
            .keep_alive_timeout(options.keep_alive)
            .keep_alive_while_idle(true);
        let channel = endpoint.connect_with_connector_lazy(connector.clone());
        let shared = Shared {
            channel,
            connector,
            server: authority,
            uri: Mutex::new(uri),
            clocks_apart: Arc::default(),
        };
        Ok(Self { shared: shared.into(), timeout: options.timeout })
    }

    /// The same, with another time to wait for an answer.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// The same connection, used with another URI of the same server: other
    /// tokens, another load balancer, another session.
    #[must_use]
    pub fn with_uri(&self, uri: EjfatUri) -> Self {
        let Shared { channel, connector, server, clocks_apart, .. } = &*self.shared;
        let shared = Shared {
            channel: channel.clone(),
            connector: connector.clone(),
            server: server.clone(),
            uri: Mutex::new(uri),
            clocks_apart: Arc::clone(clocks_apart),
        };
        Self { shared: shared.into(), timeout: self.timeout }
    }

    /// The URI, with what answers added to it.
    pub fn uri(&self) -> EjfatUri {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, EjfatUri> {
        self.shared.uri.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completes the URI.
    fn update(&self, change: impl FnOnce(EjfatUri) -> EjfatUri) {
        let mut uri = self.lock();
        *uri = change(uri.clone());
    }

    /// This load balancer, or the URI's.
    fn lb_id(&self, given: Option<&str>) -> Result<String, Error> {
        let id = given.map_or_else(|| self.lock().lb_id().to_owned(), str::to_owned);
        missing("a load balancer's id", &id, "reserve one, or name it: ejfat://…/lb/ID")?;
        Ok(id)
    }

    /// This session, or the URI's.
    fn session_id(&self, given: Option<&str>) -> Result<String, Error> {
        let id = given.map_or_else(|| self.lock().session_id().to_owned(), str::to_owned);
        missing("a session's id", &id, "register a worker, or name it: ejfat://…?sessionid=ID")?;
        Ok(id)
    }

    /// For what concerns no one reservation. A URI may have nothing but a
    /// narrow token: some calls take any.
    fn admin_token(&self) -> Result<Token, Error> {
        let uri = self.lock();
        let any = || uri.token_for(TokenKind::Session);
        some(uri.token_for(TokenKind::Admin).or_else(any))
    }

    /// For a reservation. Its own token serves before an admin's, which may
    /// have the right to reserve and no other; but for that reservation only.
    fn reservation_token(&self, lb_id: &str) -> Result<Token, Error> {
        let uri = self.lock();
        let own = (uri.lb_id() == lb_id).then(|| uri.token_for(TokenKind::Instance)).flatten();
        let any = || uri.token_for(TokenKind::Session);
        some(own.or_else(|| uri.token_for(TokenKind::Admin)).or_else(any))
    }

    /// For a worker's session.
    fn session_token(&self, session_id: &str) -> Result<Token, Error> {
        let uri = self.lock();
        let own = uri.session_id() == session_id;
        let kind = if own { TokenKind::Session } else { TokenKind::Instance };
        some(uri.token_for(kind).or_else(|| uri.token_for(TokenKind::Session)))
    }

    /// One call, with its deadline.
    async fn call<Q, A>(
        &self,
        rpc: &'static str,
        asked: impl fmt::Display,
        token: Token,
        request: Q,
    ) -> Result<A, Error>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        let asked = format!("{asked} (by {})", self.shared.server);
        let mut request = Request::new(request);
        request.metadata_mut().insert("authorization", bearer(&token)?);
        let path = PathAndQuery::try_from(format!("{SERVICE}{rpc}")).map_err(|error| {
            Error::new(ErrorKind::Logic, &asked, error.to_string(), "report this as a defect")
        })?;
        let mut grpc =
            Grpc::new(self.shared.channel.clone()).max_decoding_message_size(LONGEST_ANSWER);
        let answer = async {
            let failed = |error: tonic::transport::Error| tonic::Status::from_error(error.into());
            grpc.ready().await.map_err(failed)?;
            grpc.unary(request, path, ProstCodec::<Q, A>::default()).await
        };
        match timeout(self.timeout, answer).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => {
                let uri = self.lock();
                let mut secrets: Vec<Token> =
                    TokenKind::ALL.iter().filter_map(|kind| uri.token(*kind).cloned()).collect();
                secrets.push(token);
                Err(Error::rpc(asked, &status, &secrets, !uri.tls()))
            }
            Err(_) => {
                Err(Error::deadline(asked, self.timeout, self.shared.connector.is_connecting()))
            }
        }
    }
}

impl fmt::Debug for LoadBalancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoadBalancer({})", *self.lock())
    }
}

/// What the certificate must be for.
fn server_name(given: Option<&str>, host: &Host) -> Result<ServerName<'static>, Error> {
    let name = match (given, host.ip()) {
        (Some(name), _) => ServerName::try_from(name.to_owned()),
        (None, Some(address)) => return Ok(ServerName::IpAddress(address.into())),
        (None, None) => ServerName::try_from(host.to_string()),
    };
    name.map_err(|error| {
        let asked = "the name in the server's certificate";
        Error::parameter(asked, error.to_string(), "write a host's name or address")
    })
}

fn missing(what: &str, id: &str, remedy: &str) -> Result<(), Error> {
    if !id.is_empty() {
        return Ok(());
    }
    let found = "neither the call nor the URI has one";
    Err(Error::new(ErrorKind::ParameterNotAvailable, what, found, remedy))
}

fn some(token: Option<&Token>) -> Result<Token, Error> {
    token.cloned().ok_or_else(|| {
        let found = "the URI has none for this call";
        let remedy = "put one into it: ejfat://TOKEN@host:port";
        Error::new(ErrorKind::ParameterNotAvailable, "a token", found, remedy)
    })
}

/// Marked as a secret: HTTP/2 then neither logs nor caches it.
fn bearer(token: &Token) -> Result<MetadataValue<Ascii>, Error> {
    let mut value =
        MetadataValue::try_from(format!("Bearer {}", token.reveal())).map_err(|_| {
            let found = "it has characters that no HTTP header may have";
            Error::parameter("a token", found, "write it as the server gave it")
        })?;
    value.set_sensitive(true);
    Ok(value)
}
