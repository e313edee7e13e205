//! A segmenter and its load balancer: let in before the first event, removed
//! after the last one, nothing left where that fails.
#![cfg(feature = "control-plane")]

use std::{
    net::{IpAddr, Ipv4Addr, UdpSocket},
    time::{Duration, Instant},
};

use xdpsar::{
    Admission, AdmissionState, EjfatUri, Error, EventOptions, LoadBalancer, Segmenter,
    SegmenterBuilder, SyncConfig, TokenKind,
    load_balancer::{self, Options, Register, Reserve, RpcCode},
};
use xdpsar_lb_server::{Config, Fault, Server};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PATIENCE: Duration = Duration::from_secs(60);

/// A reserved load balancer, with a worker's socket behind it.
struct Site {
    server: Server,
    lb: LoadBalancer,
    worker: UdpSocket,
}

impl Site {
    fn new() -> Self {
        let config = Config { plane: Some(HERE), v6: false, ..Config::default() };
        let server = Server::start(config).expect("a server");
        let uri = EjfatUri::parse(&server.uri(None), TokenKind::Admin).expect("a URI");
        let options = Options { timeout: PATIENCE, ..Options::default() };
        let lb = LoadBalancer::new(uri, &options).expect("a client");
        lb.reserve(&Reserve::new("site")).expect("a reservation");
        let worker = UdpSocket::bind((HERE, 0)).expect("a socket");
        worker.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let port = worker.local_addr().expect("an address").port();
        lb.register(None, &Register::new("worker", HERE, port)).expect("a session");
        server.tick();
        Self { server, lb, worker }
    }

    /// As a user has it: with the reservation's token only.
    fn uri(&self) -> EjfatUri {
        EjfatUri::parse(&self.lb.uri().reveal_with(TokenKind::Instance), TokenKind::Instance)
            .expect("a URI")
    }

    /// Waits for answers; acts on them at once, as the server here does.
    fn admission(&self) -> Admission {
        let options = Options { timeout: PATIENCE, ..Options::default() };
        Admission { options, takes_effect: Duration::ZERO, ..Admission::new(self.uri()) }
    }

    fn builder(&self) -> SegmenterBuilder {
        let builder = Segmenter::for_load_balancer(&self.uri()).expect("a data address");
        builder.mtu(1500).sync(None)
    }

    fn senders(&self) -> Vec<IpAddr> {
        self.lb.status(None).expect("a status").senders
    }

    fn counter(&self, name: &str) -> u64 {
        self.server.counters(self.lb.uri().lb_id()).get(name).copied().unwrap_or(0)
    }

    /// The event bytes of the next datagram that reaches the worker.
    fn next(&self) -> Vec<u8> {
        let mut bytes = [0; 2000];
        let length = self.worker.recv(&mut bytes).expect("a datagram");
        bytes[20..length].to_vec()
    }
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn refusal(opened: Result<Segmenter, Error>) -> load_balancer::Error {
    match opened {
        Err(Error::ControlPlane(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn let_in_from_the_first_event_to_the_last() {
    let site = Site::new();
    let mut stranger = site.builder().open().expect("a segmenter");
    assert_eq!(stranger.admission(), None);
    stranger.send(b"nobody gets this").expect("sent");
    until("it is blocked", || site.counter("drop_blocked_src") == 1);

    let mut segmenter = site.builder().admit(site.admission()).open().expect("let in");
    assert_eq!(site.senders(), [HERE]);
    let status = segmenter.admission().expect("a status");
    assert_eq!((status.state, status.addresses), (AdmissionState::Admitted, vec![HERE]));
    assert_eq!(status.lb_id, site.lb.uri().lb_id());
    segmenter.send(b"the first").expect("sent");
    assert_eq!(site.next(), b"the first");
    // Still in the queue when the end is near.
    for _ in 0..10 {
        let _ = segmenter.submit(b"queued".to_vec(), EventOptions::default()).expect("a place");
    }
    let report = segmenter.stop(PATIENCE);
    assert!(report.drained);
    let status = report.stats.admission.expect("a status");
    assert_eq!((status.state, status.errors), (AdmissionState::Removed, 0));
    for _ in 0..10 {
        assert_eq!(site.next(), b"queued");
    }
    assert_eq!(site.senders(), [] as [IpAddr; 0]);
    assert_eq!(site.counter("drop_blocked_src"), 1, "none was too late");
}

/// Messages come from the first moment on, events not before the control
/// plane has heard of them and of us.
#[test]
fn the_first_event_waits_for_both() {
    let site = Site::new();
    let warm_up = Duration::from_millis(300);
    for (sync, takes_effect) in [(Duration::ZERO, warm_up), (warm_up, Duration::ZERO)] {
        let builder = Segmenter::for_load_balancer(&site.uri()).expect("a data address");
        let admission = Admission { takes_effect, ..site.admission() };
        let to = site.lb.uri().sync_addr().expect("a sync address");
        let config = SyncConfig { warm_up: sync, ..SyncConfig::new(to, 7) };
        let mut segmenter = builder.sync(config).admit(admission).open().expect("let in");
        let begin = Instant::now();
        segmenter.send(b"x").expect("sent");
        assert!(begin.elapsed() > warm_up - Duration::from_millis(100), "{:?}", begin.elapsed());
        assert_eq!(site.next(), b"x");
        assert!(segmenter.stats().sync.expect("messages").sent >= 1);
    }
    assert_eq!(site.senders(), [] as [IpAddr; 0], "dropped, they leave as well");
}

#[test]
fn the_uri_says_where_to() {
    let text = "ejfat://t@127.0.0.1:9/lb/1?sync=127.0.0.1:19010&data=127.0.0.1:19523";
    let uri: EjfatUri = text.parse().expect("a URI");
    let warm_up = "SyncConfig { to: 127.0.0.1:19010";
    let builder = format!("{:?}", Segmenter::for_load_balancer(&uri).expect("a builder"));
    assert!(builder.contains("127.0.0.1:19523") && builder.contains(warm_up), "{builder}");
    let builder = Segmenter::for_load_balancer(&uri.clone().without_sync(false));
    assert!(format!("{builder:?}").contains("sync: None"), "{builder:?}");
    let error = Segmenter::for_load_balancer(&uri.without_data(false)).expect_err("nowhere to");
    assert!(matches!(&error, Error::Uri(error) if error.asked.contains("data address")), "{error}");
}

#[test]
fn addresses_that_are_named_and_kept() {
    let site = Site::new();
    let named: Vec<IpAddr> = ["192.0.2.7", "2001:db8::7"].map(|ip| ip.parse().unwrap()).into();
    let addresses = Some(named.clone());
    let admission = Admission { addresses, remove: false, ..site.admission() };
    let report = site.builder().admit(admission).open().expect("let in").stop(PATIENCE);
    assert_eq!(report.stats.admission.expect("a status").state, AdmissionState::Kept);
    assert_eq!(site.senders(), named);

    // Not the route's, but the one that it sends from.
    let source: IpAddr = "127.0.0.2".parse().unwrap();
    let builder = site.builder().source(source).admit(site.admission());
    let segmenter = builder.open().expect("let in");
    assert_eq!(segmenter.admission().expect("a status").addresses, [source]);
    assert!(site.senders().contains(&source));
}

#[test]
fn who_is_refused_leaves_nothing_behind() {
    let site = Site::new();
    let with =
        |uri: EjfatUri| refusal(site.builder().admit(Admission { uri, ..site.admission() }).open());
    let stranger = site.uri().with_token(TokenKind::Instance, xdpsar::Token::new("no-such-token"));
    let error = with(stranger);
    assert!(error.is_denied() && !error.to_string().contains("no-such"), "{error}");
    let error = with(site.uri().with_lb_id(""));
    assert!(error.to_string().contains("load balancer's id"), "{error}");
    let nobody = UdpSocket::bind((HERE, 0)).expect("a port without a listener");
    let port = nobody.local_addr().expect("an address").port();
    let error = with(site.uri().with_host(site.uri().host().clone(), port));
    assert_eq!(error.code, Some(RpcCode::Unavailable), "{error}");
    assert_eq!(site.senders(), [] as [IpAddr; 0]);
    until("only the test itself is connected", || site.server.connections() == 1);
}

/// The answer did not come, but the call may have been heard.
#[test]
fn an_answer_that_never_comes() {
    let site = Site::new();
    site.server.disturb("AddSenders", Fault::Silence, 1);
    let options = Options { timeout: Duration::from_secs(1), ..Options::default() };
    let admission = Admission { options, ..site.admission() };
    let error = refusal(site.builder().admit(admission).open());
    assert_eq!(error.code, Some(RpcCode::DeadlineExceeded), "{error}");
    assert_eq!(site.server.calls("RemoveSenders"), 1);
    assert_eq!(site.senders(), [] as [IpAddr; 0]);
}

#[test]
fn sockets_that_do_not_open_ask_nobody() {
    let site = Site::new();
    let error = site.builder().workers(0).admit(site.admission()).open().expect_err("no workers");
    assert!(matches!(error, Error::Setup(_)), "{error}");
    assert_eq!(site.server.calls("AddSenders"), 0);
}

/// Events go their way while the control plane is gone, and the end comes all
/// the same.
#[test]
fn a_control_plane_that_is_gone_at_the_end() {
    let mut site = Site::new();
    let mut segmenter = site.builder().admit(site.admission()).open().expect("let in");
    site.server.stop();
    segmenter.send(b"without it").expect("sent");
    assert_eq!(site.next(), b"without it");
    let report = segmenter.stop(PATIENCE);
    assert!(report.drained, "events are another matter");
    let json = serde_json::to_value(&report.stats).expect("JSON");
    let status = report.stats.admission.expect("a status");
    assert_eq!((status.state, status.errors), (AdmissionState::LeftBehind, 1));
    let words = status.last_error.expect("a reason");
    assert!(words.contains("remove senders from load balancer"), "{words}");
    assert_eq!(json["admission"]["state"], "left_behind");
    let token = site.uri().token(TokenKind::Instance).expect("a token").reveal().to_owned();
    assert!(!json.to_string().contains(&token));
    site.server.restart().expect("its port again");
    assert_eq!(site.senders(), [HERE]);
}

/// Nothing may wait inside of a runtime; a segmenter does not mind.
#[test]
fn within_a_runtime() {
    let site = Site::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        drop(site.builder().admit(site.admission()).open().expect("let in"));
    });
    assert_eq!((site.server.calls("AddSenders"), site.server.calls("RemoveSenders")), (1, 1));
    assert_eq!(site.senders(), [] as [IpAddr; 0]);
}
