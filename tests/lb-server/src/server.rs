//! The thing to start, stop and disturb.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::{Builder, Runtime},
    sync::oneshot,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    book::Book,
    certificates::Identity,
    fault::{Fault, Faults},
    plane::Plane,
    service::serve,
    tcp::{Connection, Tcp},
};

/// The server's time stands still between ticks, which come by hand or so
/// often.
const TICK: Duration = Duration::from_secs(1);

/// How a server is to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// The token that may do everything.
    pub token: String,
    /// How many load balancers it has.
    pub lbs: u64,
    /// Whether they have IPv6 addresses, too.
    pub v6: bool,
    /// With TLS, and as whom.
    pub tls: Option<Identity>,
    /// Whether it ticks by itself, once in a second.
    pub ticks: bool,
    /// Where to listen; port 0 is any.
    pub listen: SocketAddr,
    /// With a data plane, at this address, on ports of its own.
    pub plane: Option<IpAddr>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            token: "0123456789abcdef0123456789abcdef".into(),
            lbs: 4,
            v6: true,
            tls: None,
            ticks: false,
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            plane: None,
        }
    }
}

/// What the calls share. It outlives restarts.
#[derive(Debug)]
pub(crate) struct Shared {
    book: Mutex<Book>,
    faults: Mutex<Faults>,
    calls: Mutex<BTreeMap<String, usize>>,
    /// How far the clock was moved.
    ahead: Mutex<Duration>,
    connections: Mutex<Vec<Connection>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn with_book<T>(&self, call: impl FnOnce(&mut Book) -> T) -> T {
        let now = SystemTime::now() + *lock(&self.ahead);
        let mut book = lock(&self.book);
        book.now = now;
        call(&mut book)
    }

    pub(crate) fn fault(&self, rpc: &str) -> Option<Fault> {
        lock(&self.faults).next(rpc)
    }

    pub(crate) fn count(&self, rpc: &str) {
        *lock(&self.calls).entry(rpc.to_owned()).or_default() += 1;
    }
}

/// A server that runs, in a thread of its own, until it is stopped or
/// dropped.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    config: Config,
    address: SocketAddr,
    running: Option<Running>,
    /// Ends with the server, not when that is stopped.
    _plane: Option<Plane>,
}

#[derive(Debug)]
struct Running {
    /// Dropped to stop it.
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Starts one.
    ///
    /// # Errors
    /// There is no such address, or no thread.
    pub fn start(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen)?;
        let shared = Arc::new(Shared {
            book: Book::new(config.clone(), SystemTime::now()).into(),
            faults: Mutex::default(),
            calls: Mutex::default(),
            ahead: Mutex::default(),
            connections: Mutex::default(),
        });
        let plane = config.plane.map(|at| Plane::start(&shared, at, config.lbs)).transpose()?;
        let address = listener.local_addr()?;
        let mut server = Self { shared, config, address, running: None, _plane: plane };
        server.run(listener)?;
        Ok(server)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whom it says it is, with TLS.
    pub const fn identity(&self) -> Option<&Identity> {
        self.config.tls.as_ref()
    }

    /// Its URI, with the token that may do everything, and this host, or
    /// else the address it listens on.
    pub fn uri(&self, host: Option<&str>) -> String {
        self.uri_with(&self.config.token, host)
    }

    /// Its URI, with another token.
    pub fn uri_with(&self, token: &str, host: Option<&str>) -> String {
        let scheme = if self.config.tls.is_some() { "ejfats" } else { "ejfat" };
        match host {
            Some(host) => format!("{scheme}://{token}@{host}:{}/", self.address.port()),
            None => format!("{scheme}://{token}@{}/", self.address),
        }
    }

    /// Its time.
    pub fn now(&self) -> SystemTime {
        SystemTime::now() + *lock(&self.shared.ahead)
    }

    /// What happens each second happens now.
    pub fn tick(&self) {
        self.shared.with_book(Book::tick);
    }

    /// So much time passes at once, with a tick each second.
    pub fn advance(&self, by: Duration) {
        let mut left = by;
        while !left.is_zero() {
            let step = left.min(TICK);
            left -= step;
            self.leap(step);
        }
    }

    /// So much time passes at once, with one tick.
    pub fn leap(&self, by: Duration) {
        *lock(&self.shared.ahead) += by;
        self.tick();
    }

    /// The next so many of these calls meet a fault; `*` is any call.
    pub fn disturb(&self, rpc: &str, fault: Fault, times: usize) {
        lock(&self.shared.faults).add(rpc, fault, times);
    }

    /// No more faults.
    pub fn calm(&self) {
        lock(&self.shared.faults).clear();
    }

    /// How often it was called by this name.
    pub fn calls(&self, rpc: &str) -> usize {
        lock(&self.shared.calls).get(rpc).copied().unwrap_or(0)
    }

    /// What a reservation's data plane counted, by the names of time series.
    pub fn counters(&self, lb_id: &str) -> BTreeMap<String, u64> {
        let reservation = lb_id.parse::<u64>().ok();
        self.shared.with_book(|book| {
            let reservation = reservation.and_then(|id| book.reservations.get(&id));
            reservation.map(|reservation| reservation.counters.clone()).unwrap_or_default()
        })
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        let mut connections = lock(&self.shared.connections);
        connections.retain(|connection| !connection.is_over());
        connections.len()
    }

    /// Ends all connections, politely (FIN).
    pub fn disconnect(&self) {
        self.end_connections(false);
    }

    /// Ends all connections by a reset (RST).
    pub fn hang_up(&self) {
        self.end_connections(true);
    }

    fn end_connections(&self, rude: bool) {
        lock(&self.shared.connections).drain(..).for_each(|connection| connection.end(rude));
    }

    /// Stops it, and breaks all connections. What it knows it keeps.
    pub fn stop(&mut self) {
        let Some(Running { stop, thread }) = self.running.take() else { return };
        drop(stop);
        if thread.join().is_err() {
            eprintln!("the load balancer's thread panicked");
        }
        lock(&self.shared.connections).clear();
    }

    /// Starts a stopped one again, at the same address.
    ///
    /// # Errors
    /// Somebody else has the port by now.
    pub fn restart(&mut self) -> io::Result<()> {
        self.stop();
        self.run(TcpListener::bind(self.address)?)
    }

    fn run(&mut self, listener: TcpListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (shared, config) = (self.shared.clone(), self.config.clone());
        let run = move || main(&runtime, listener, stopped, &shared, &config);
        let thread = thread::Builder::new().name("lb-server".into()).spawn(run)?;
        self.running = Some(Running { stop, thread });
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn main(
    runtime: &Runtime,
    listener: TcpListener,
    stopped: oneshot::Receiver<()>,
    shared: &Arc<Shared>,
    config: &Config,
) {
    if config.ticks {
        let shared = shared.clone();
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(TICK).await;
                shared.with_book(Book::tick);
            }
        });
    }
    let acceptor = config.tls.as_ref().map(|identity| TlsAcceptor::from(identity.config()));
    let shared = shared.clone();
    runtime.spawn(async move {
        let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
        loop {
            let Ok((tcp, _)) = listener.accept().await else { continue };
            let (acceptor, of) = (acceptor.clone(), shared.clone());
            let rude = Arc::new(AtomicBool::new(false));
            let tcp = Tcp::new(tcp, rude.clone());
            let connection = tokio::spawn(async move {
                match acceptor {
                    None => speak(tcp, of).await,
                    Some(acceptor) => {
                        // Otherwise the client did not like what it saw.
                        if let Ok(tls) = acceptor.accept(tcp).await {
                            speak(tls, of).await;
                        }
                    }
                }
            });
            let connection = Connection::new(connection.abort_handle(), rude);
            lock(&shared.connections).push(connection);
        }
    });
    // Never sent, only dropped; all tasks go with the runtime.
    let _ = runtime.block_on(stopped);
}

async fn speak<S>(stream: S, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request| serve(shared.clone(), request));
    // Clients come and go as they like.
    let _ = http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
