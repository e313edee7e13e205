//! A load balancer, receivers registered with it, and events for them.
#![allow(dead_code, reason = "each test program uses some of it")]

use std::{
    net::{SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use xdpsar::{
    Backend, EjfatUri, Error, LoadBalancer, Reassembler, ReassemblerBuilder, Registration,
    RegistrationState, RegistrationStatus, SetupErrorKind, TokenKind,
    load_balancer::{Certificates, Options, Reserve, Trust, WorkerStatus},
};
use xdpsar_lb_server::{Config, Server};
use xdpsar_wire::ReHeader;
use zerocopy::IntoBytes;

/// What must happen may take so long on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what} within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Believes the server, and waits for it.
pub(crate) fn options(server: &Server) -> Options {
    let trust = server.identity().map_or(Trust::System, |identity| {
        Trust::Certificates(Certificates::from_pem(&identity.authority).expect("certificates"))
    });
    Options { trust, timeout: PATIENCE, connect_timeout: PATIENCE, ..Options::default() }
}

/// A server, and who reserved its load balancer.
pub(crate) struct Lab {
    pub(crate) server: Server,
    pub(crate) lb: LoadBalancer,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let server = Server::start(config).expect("a server");
        let uri = EjfatUri::parse(&server.uri(None), TokenKind::Admin).expect("its URI");
        let lb = LoadBalancer::new(uri, &options(&server)).expect("a client");
        lb.reserve(&Reserve::new("lab")).expect("a reservation");
        Self { server, lb }
    }

    /// As who may do nothing but what the reservation's token allows.
    pub(crate) fn uri(&self) -> EjfatUri {
        self.lb.uri().with_token(TokenKind::Admin, None)
    }

    /// Often told of, and patient.
    pub(crate) fn registration(&self, name: &str) -> Registration {
        Registration {
            options: options(&self.server),
            period: Duration::from_millis(20),
            ..Registration::new(self.uri(), name)
        }
    }

    pub(crate) fn start(&self, name: &str) -> Reassembler {
        start(|builder| builder.register(self.registration(name))).expect("a registered receiver")
    }

    /// So many slots each, with the next ticks: a state may be late on a busy
    /// machine.
    pub(crate) fn until_slots(&self, slots: &[u32]) {
        until(&format!("slots {slots:?}"), || {
            self.server.tick();
            let workers = self.workers();
            workers.iter().map(|worker| worker.slots_assigned).eq(slots.iter().copied())
        });
    }

    pub(crate) fn workers(&self) -> Vec<WorkerStatus> {
        self.lb.status(None).expect("a status").workers
    }

    /// The only one.
    pub(crate) fn worker(&self) -> WorkerStatus {
        let mut workers = self.workers();
        assert_eq!(workers.len(), 1, "{workers:?}");
        workers.remove(0)
    }
}

/// On a port that nobody else has.
pub(crate) fn start(
    configure: impl Fn(ReassemblerBuilder) -> ReassemblerBuilder,
) -> Result<Reassembler, Error> {
    start_at("127.0.0.1", configure)
}

pub(crate) fn start_at(
    listen: &str,
    configure: impl Fn(ReassemblerBuilder) -> ReassemblerBuilder,
) -> Result<Reassembler, Error> {
    for _ in 0..100 {
        let at = free_address(listen);
        let builder = Reassembler::builder(at).backend(Backend::Socket).timeout(PATIENCE);
        match configure(builder).start() {
            Err(Error::Setup(error)) if error.kind == SetupErrorKind::PortInUse => {}
            outcome => return outcome,
        }
    }
    panic!("no port is free for long enough")
}

/// A port that was free a moment ago, with some room behind it.
pub(crate) fn free_address(ip: &str) -> SocketAddr {
    loop {
        let at = UdpSocket::bind((ip, 0)).expect("a port").local_addr().expect("its address");
        if at.port() < 65000 {
            return at;
        }
    }
}

pub(crate) fn status(receiver: &Reassembler) -> RegistrationStatus {
    receiver.registration().expect("it was to be registered")
}

/// It says so, and has told the load balancer so.
pub(crate) fn until_state(receiver: &Reassembler, state: RegistrationState) {
    let before = status(receiver).states_sent;
    until(&state.to_string(), || {
        let now = status(receiver);
        now.state == state && now.states_sent > before + 1
    });
}

/// Events of so many bytes, one datagram each.
pub(crate) fn send(receiver: &Reassembler, numbers: std::ops::Range<u64>, bytes: u32) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for number in numbers {
        let mut datagram = ReHeader::new(3, 0, bytes, number).as_bytes().to_vec();
        datagram.resize(datagram.len() + bytes as usize, 7);
        let to = SocketAddr::new([127, 0, 0, 1].into(), receiver.local_addr().port());
        socket.send_to(&datagram, to).expect("sent");
    }
}

/// One event goes through.
pub(crate) fn assert_flowing(receiver: &Reassembler, number: u64) {
    send(receiver, number..number + 1, 100);
    let event = receiver.recv_timeout(PATIENCE).expect("data flow");
    assert_eq!(event.event_number(), number);
}
