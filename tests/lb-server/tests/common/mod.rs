//! Servers and clients for tests.
#![allow(dead_code, reason = "each test program uses some of it")]

use std::{
    io::{self, Write},
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use xdpsar_control::{
    Certificates, EjfatUri, Options, Reserve, TokenKind, Trust,
    blocking::LoadBalancer,
    client::worker::{Register, State},
};
use xdpsar_lb_server::{Config, Identity, Server};

/// What must happen may take so long on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn server() -> Server {
    Server::start(Config::default()).expect("a server")
}

/// With and without TLS.
pub(crate) fn servers() -> [Server; 2] {
    let tls = Some(Identity::signed(&["localhost", "127.0.0.1"]));
    [server(), Server::start(Config { tls, ..Config::default() }).expect("a server")]
}

/// Believes the server, and waits for it.
pub(crate) fn options(server: &Server) -> Options {
    let trust = match server.identity() {
        Some(identity) => {
            Trust::Certificates(Certificates::from_pem(&identity.authority).expect("certificates"))
        }
        None => Trust::System,
    };
    Options { trust, timeout: PATIENCE, connect_timeout: PATIENCE, ..Options::default() }
}

pub(crate) fn uri(text: &str) -> EjfatUri {
    EjfatUri::parse(text, TokenKind::Admin).expect("a URI")
}

/// With the token that may do everything.
pub(crate) fn client(server: &Server) -> LoadBalancer {
    LoadBalancer::new(uri(&server.uri(None)), &options(server)).expect("a client")
}

/// With this token, of this kind, and with what another client's URI says.
pub(crate) fn client_as(
    server: &Server,
    token: &str,
    kind: TokenKind,
    like: &LoadBalancer,
) -> LoadBalancer {
    let uri = TokenKind::ALL.iter().fold(like.uri(), |uri, kind| uri.with_token(*kind, None));
    let uri = uri.with_token(kind, xdpsar_control::Token::new(token));
    LoadBalancer::new(uri, &options(server)).expect("a client")
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A reservation, and a worker that is registered.
pub(crate) fn worker(server: &Server) -> LoadBalancer {
    let lb = client(server);
    lb.reserve(&Reserve::new("mylb")).expect("a reservation");
    lb.register(None, &node("my_node")).expect("a session");
    lb
}

pub(crate) fn node(name: &str) -> Register {
    Register::new(name, address("192.168.101.5"), 10000)
}

/// A state by the server's clock.
pub(crate) fn state(server: &Server, fill: f32, control_signal: f32) -> State {
    State { at: server.now(), ..State::now(fill, control_signal) }
}

/// What was logged.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// From this level on.
    pub(crate) fn subscriber(&self, level: tracing::Level) -> impl tracing::Subscriber + use<> {
        let log = self.clone();
        tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}
