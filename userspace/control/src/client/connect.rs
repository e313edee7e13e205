//! From a URI to a connection: resolve, connect, TLS, and how long to wait
//! after a failure.

use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{self, ClientConfig, pki_types::ServerName},
};
use tonic::transport::Uri;

use super::tls;
use crate::uri::EjfatUri;

/// So long after the first failure; then twice as long, and so on. A worker
/// is to be back within two seconds after its load balancer is.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Why there is no connection.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{found}; {remedy}")]
pub(super) struct ConnectError {
    pub(super) found: String,
    pub(super) remedy: String,
}

/// Which of a host's addresses to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Family {
    /// All, in turn; those first that the URI prefers.
    #[default]
    Any,
    /// Only IPv4.
    V4,
    /// Only IPv6.
    V6,
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Makes connections for a channel, one at a time.
#[derive(Clone)]
pub(super) struct Connector(Arc<Inner>);

struct Inner {
    uri: EjfatUri,
    family: Family,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    timeout: Duration,
    connecting: AtomicBool,
    backoff: Mutex<Backoff>,
}

#[derive(Default)]
struct Backoff {
    wait: Duration,
    until: Option<Instant>,
}

impl Connector {
    pub(super) fn new(
        uri: EjfatUri,
        family: Family,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
        timeout: Duration,
    ) -> Self {
        let (connecting, backoff) = (AtomicBool::new(false), Mutex::default());
        Self(Arc::new(Inner { uri, family, tls, timeout, connecting, backoff }))
    }

    /// Whether there is an attempt under way.
    pub(super) fn is_connecting(&self) -> bool {
        self.0.connecting.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connector({})", self.0.uri)
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let inner = self.0.clone();
        Box::pin(async move { inner.attempt().await.map(TokioIo::new) })
    }
}

impl Inner {
    fn backoff(&self) -> std::sync::MutexGuard<'_, Backoff> {
        self.backoff.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn attempt(&self) -> Result<Box<dyn Stream>, ConnectError> {
        self.connecting.store(true, Ordering::Relaxed);
        let until = self.backoff().until;
        if let Some(until) = until {
            sleep_until(until).await;
        }
        let outcome = timeout(self.timeout, self.connect()).await.unwrap_or_else(|_| {
            Err(ConnectError {
                found: format!("no connection to {} within {:?}", self.server(), self.timeout),
                remedy: "check host, port and firewall".into(),
            })
        });
        {
            let mut backoff = self.backoff();
            *backoff = match outcome {
                Ok(_) => Backoff::default(),
                Err(_) => {
                    let wait = (backoff.wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT);
                    Backoff { wait, until: Some(Instant::now() + wait) }
                }
            };
        }
        self.connecting.store(false, Ordering::Relaxed);
        outcome
    }

    fn server(&self) -> String {
        format!("{}:{}", self.uri.host(), self.uri.port())
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, ConnectError> {
        let mut last = None;
        let addresses = self.addresses().await?;
        // One that swallows packets leaves time for the others.
        let share = self.timeout / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        for address in addresses {
            let late = |_| Err(io::ErrorKind::TimedOut.into());
            match timeout(share, TcpStream::connect(address)).await.unwrap_or_else(late) {
                Ok(tcp) => return self.secure(tcp).await,
                Err(error) => last = Some((address, error)),
            }
        }
        Err(match last {
            Some((address, error)) => ConnectError {
                found: format!("no connection to {address}: {error}"),
                remedy: match error.kind() {
                    io::ErrorKind::ConnectionRefused => {
                        "check that the load balancer runs there, and the port"
                    }
                    _ => "check the host, its routes and firewalls",
                }
                .into(),
            },
            None => ConnectError {
                found: format!("{} has no address of the family asked for", self.uri.host()),
                remedy: "allow the other family".into(),
            },
        })
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, ConnectError> {
        let uri = self.uri.clone();
        // The resolver of the C library blocks.
        let resolved = tokio::task::spawn_blocking(move || uri.resolve()).await;
        let mut addresses = match resolved {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(error)) => {
                let found = format!("{}: {}", error.asked, error.found);
                return Err(ConnectError { found, remedy: error.remedy });
            }
            Err(_) => {
                return Err(ConnectError {
                    found: "the runtime ends".into(),
                    remedy: "keep it alive".into(),
                });
            }
        };
        addresses.retain(|address| match self.family {
            Family::Any => true,
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        });
        Ok(addresses)
    }

    async fn secure(&self, tcp: TcpStream) -> Result<Box<dyn Stream>, ConnectError> {
        // Requests are small, and each is waited for.
        let _ = tcp.set_nodelay(true);
        let Some((config, name)) = &self.tls else { return Ok(Box::new(tcp)) };
        let connector = TlsConnector::from(config.clone());
        match connector.connect(name.clone(), tcp).await {
            Ok(tls) => Ok(Box::new(tls)),
            Err(error) => Err(self.tls_failure(&error, name)),
        }
    }

    fn tls_failure(&self, error: &io::Error, name: &ServerName<'_>) -> ConnectError {
        let of_tls = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
        let (found, remedy) = match of_tls {
            Some(error) => tls::explain(error, &name.to_str()),
            None => (
                format!("the connection broke while TLS began: {error}"),
                "check that the server speaks TLS; otherwise write ejfat:// in the URI".into(),
            ),
        };
        ConnectError { found: format!("{}: {found}", self.server()), remedy }
    }
}
