//! Servers that are not there, do not answer, answer wrongly, come back.

mod common;

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use common::{Log, PATIENCE, client, options, server, servers, state, uri, worker};
use prost::Message;
use xdpsar_control::{
    Error, ErrorKind, Options, Reserve, RpcCode, TokenKind, Trust,
    blocking::LoadBalancer,
    client::tokens::{Level, Permission, Resource, Which},
    client::worker::State,
    message::{
        self, LoadBalancerStatusReply, OverviewReply, ReserveLoadBalancerReply, Timeseries,
        TimeseriesResponse, ValueKind, WorkerStatus,
    },
};
use xdpsar_lb_server::{Config, Fault, Server};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn nobody_listens() {
    // Bound, so that nobody else gets the port, but not listening.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    for scheme in ["ejfat", "ejfats"] {
        let lb = uri(&format!("{scheme}://{TOKEN}@127.0.0.1:{port}/"));
        let options = Options { trust: Trust::NoVerify, timeout: PATIENCE, ..Options::default() };
        let error = LoadBalancer::new(lb, &options).unwrap().version().expect_err("nobody");
        assert_eq!((error.kind, error.code), (ErrorKind::Rpc, Some(RpcCode::Unavailable)));
        assert!(error.is_retryable() && error.found.contains("refused"), "{error}");
    }
}

#[test]
fn the_name_is_unknown() {
    let lb = uri(&format!("ejfat://{TOKEN}@no-such-host.invalid:1/"));
    let options = Options { timeout: PATIENCE, connect_timeout: PATIENCE, ..Options::default() };
    let error = LoadBalancer::new(lb, &options).expect("nothing is looked up yet").version();
    let error = error.expect_err("no such host");
    assert!(error.found.contains("no-such-host.invalid"), "{error}");
}

/// Connections are made, and that is all.
#[test]
fn half_open() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for scheme in ["ejfat", "ejfats"] {
        let uri = uri(&format!("{scheme}://{TOKEN}@127.0.0.1:{port}/"));
        // Long enough for a busy machine to connect to itself.
        let short = Options { timeout: Duration::from_secs(3), ..Options::default() };
        let options = Options { trust: Trust::NoVerify, ..short };
        let lb = LoadBalancer::new(uri, &options).unwrap();
        let error = lb.version().expect_err("no answer");
        assert_eq!(error.code, Some(RpcCode::DeadlineExceeded), "{error}");
        assert!(error.is_retryable());
        let expected = if scheme == "ejfat" { "no answer" } else { "no connection" };
        assert!(error.found.contains(expected), "{error}");
    }
}

/// Between a client and a server; once frozen, it lets nothing more through
/// on the connections that there are, and closes none.
fn passage(to: SocketAddr) -> (SocketAddr, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let freeze = Arc::new(AtomicBool::new(false));
    let frozen = freeze.clone();
    thread::spawn(move || {
        for here in listener.incoming().map_while(Result::ok) {
            let Ok(there) = TcpStream::connect(to) else { continue };
            // What is frozen later is this connection, and not the next one.
            let mine = if frozen.swap(false, Relaxed) { Arc::default() } else { frozen.clone() };
            let (back, forth) = (here.try_clone().unwrap(), there.try_clone().unwrap());
            for (mut from, mut to) in [(here, forth), (there, back)] {
                let frozen = mine.clone();
                thread::spawn(move || {
                    let mut bytes = [0; 4096];
                    while let Ok(length @ 1..) = from.read(&mut bytes) {
                        if !frozen.load(Relaxed) && to.write_all(&bytes[..length]).is_err() {
                            break;
                        }
                    }
                });
            }
        }
    });
    (address, freeze)
}

/// A connection that is dead without a word is found out, and another one
/// made.
#[test]
fn a_dead_connection_is_replaced() {
    let server = server();
    let (address, freeze) = passage(server.address());
    let options = Options {
        keep_alive: Duration::from_millis(300),
        timeout: Duration::from_secs(2),
        ..options(&server)
    };
    let lb = LoadBalancer::new(uri(&format!("ejfat://{TOKEN}@{address}/")), &options).unwrap();
    eventually(|| lb.version().map(drop));
    freeze.store(true, Relaxed);
    let error = lb.with_timeout(Duration::from_millis(100)).version().expect_err("it is dead");
    assert!(error.is_retryable(), "{error}");
    eventually(|| lb.version().map(drop));
    assert!(!freeze.load(Relaxed), "by another connection");
}

/// One that the server closes, too.
#[test]
fn a_closed_connection_is_replaced() {
    let server = server();
    let lb = client(&server);
    lb.version().unwrap();
    server.disconnect();
    eventually(|| lb.version().map(drop));
}

/// By a reset, as a process that is killed or a firewall ends it.
#[test]
fn a_connection_that_is_hung_up_is_replaced() {
    let server = server();
    let mut raw = TcpStream::connect(server.address()).unwrap();
    raw.set_read_timeout(Some(PATIENCE)).unwrap();
    let begin = Instant::now();
    while server.connections() == 0 {
        assert!(begin.elapsed() < PATIENCE, "it is not accepted");
        std::thread::sleep(Duration::from_millis(5));
    }
    let lb = client(&server);
    lb.version().unwrap();
    server.hang_up();
    let ended = io::copy(&mut raw, &mut io::sink()).expect_err("no good-bye");
    assert_eq!(ended.kind(), io::ErrorKind::ConnectionReset);
    eventually(|| lb.version().map(drop));
}

#[test]
fn slow_and_silent() {
    let server = server();
    let lb = worker(&server);
    server.disturb("LoadBalancerStatus", Fault::Silence, 1);
    let error = lb.with_timeout(Duration::from_millis(200)).status(None).expect_err("silence");
    assert_eq!(error.code, Some(RpcCode::DeadlineExceeded), "{error}");
    lb.status(None).expect("the connection serves on");
    server.disturb("LoadBalancerStatus", Fault::Delay(Duration::from_millis(300)), 1);
    lb.status(None).expect("late is not never");
}

#[test]
fn broken_off() {
    for server in servers() {
        let lb = worker(&server);
        server.disturb("*", Fault::Reset, 1);
        let error = lb.status(None).expect_err("reset");
        assert_eq!(error.code, Some(RpcCode::Unavailable), "{error}");
        assert!(error.is_retryable());
        lb.status(None).expect("the next one");
    }
}

fn eventually(mut call: impl FnMut() -> Result<(), Error>) {
    let begin = Instant::now();
    while let Err(error) = call() {
        assert!(error.is_retryable(), "{error}");
        assert!(begin.elapsed() < PATIENCE, "{error}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Reservations, sessions and tokens outlive it; the client comes back by
/// itself.
#[test]
fn a_restart_in_mid_run() {
    for mut server in servers() {
        let lb = worker(&server);
        lb.send_state(None, &state(&server, 0.1, 0.0)).unwrap();
        server.stop();
        let error = lb.send_state(None, &state(&server, 0.1, 0.0)).expect_err("it is down");
        assert!(error.is_retryable(), "{error}");
        // Somebody may get hold of the port meanwhile.
        let begin = Instant::now();
        while let Err(error) = server.restart() {
            assert!(begin.elapsed() < PATIENCE, "{error}");
            thread::sleep(Duration::from_millis(50));
        }
        eventually(|| lb.send_state(None, &state(&server, 0.2, 0.0)));
        assert_eq!(lb.status(None).unwrap().workers.len(), 1);
    }
}

/// An answer with nothing in it: what it must have is missed, by name.
#[test]
fn absent_fields() {
    let server = server();
    let lb = worker(&server);
    let empty = |rpc: &str| server.disturb(rpc, Fault::Empty, 1);
    let data = |outcome: Result<(), Error>, missed: &str| {
        let error = outcome.expect_err(missed);
        assert_eq!(error.kind, ErrorKind::Data, "{error}");
        assert!(error.found.contains(missed), "{error}");
    };
    empty("ReserveLoadBalancer");
    data(lb.reserve(&Reserve::new("x")).map(drop), "load balancer's id");
    empty("GetLoadBalancer");
    data(lb.get(None).map(drop), "load balancer's id");
    empty("Register");
    data(lb.register(None, &common::node("x")).map(drop), "session");
    empty("CreateToken");
    let all = Permission { resource: Resource::All, level: Level::ReadOnly };
    data(lb.create_token("x", &[all]).map(drop), "token");
    empty("ListTokenPermissions");
    data(lb.token_permissions(&Which::Own).map(drop), "token");
    empty("LoadBalancerStatus");
    let status = lb.status(None).expect("nothing of it is needed");
    assert_eq!((status.at, status.expires_at, status.clock_ahead), (None, None, None));
    assert!(status.workers.is_empty() && status.senders.is_empty());
    empty("Version");
    assert!(lb.version().expect("an empty one").build.is_empty());
    empty("Overview");
    assert!(lb.overview().expect("none").is_empty());
    // With an entry that has neither addresses nor a state.
    let entry = message::Overview { name: "bare".into(), ..Default::default() };
    let reply = OverviewReply { load_balancers: vec![entry] };
    server.disturb("Overview", Fault::Reply(reply.encode_to_vec()), 1);
    data(lb.overview().map(drop), "\"bare\" has no reservation");
    assert!(lb.uri().token(TokenKind::Session).is_some(), "the URI is as it was");
}

/// An answer of no use: nothing panics, the field is named.
#[test]
fn wrong_answers() {
    let server = server();
    let lb = worker(&server);
    let reserved = |change: fn(&mut ReserveLoadBalancerReply)| {
        let mut reply = ReserveLoadBalancerReply { lb_id: "1".into(), ..Default::default() };
        change(&mut reply);
        server.disturb("GetLoadBalancer", Fault::Reply(reply.encode_to_vec()), 1);
        lb.get(None)
    };
    assert!(reserved(|_| {}).expect("no address at all is one").data_v4.is_none());
    let wrong: [fn(&mut ReserveLoadBalancerReply); 4] = [
        |reply| reply.sync_ipv4_address = "nowhere".into(),
        |reply| reply.data_ipv6_address = "1.2.3.4".into(),
        |reply| reply.sync_udp_port = 70_000,
        |reply| (reply.data_min_port, reply.data_max_port) = (20, 10),
    ];
    for change in wrong {
        let error = reserved(change).expect_err("wrong");
        assert_eq!(error.kind, ErrorKind::Data, "{error}");
    }
    server.disturb("GetLoadBalancer", Fault::Reply(vec![0xff; 40]), 1);
    let error = lb.get(None).expect_err("no message");
    assert_eq!(error.kind, ErrorKind::Rpc, "{error}");

    // A newer server's enumerations, and a time that cannot be.
    let odd =
        WorkerStatus { port_range: 99, session_id: -1, total_bytes_recv: -5, ..Default::default() };
    let stamp = message::Timestamp { seconds: i64::MAX, nanos: -1 };
    let value = |kind| message::Value { kind: Some(kind) };
    let list = message::ListValue {
        values: vec![
            value(ValueKind::Number(1.5)),
            value(ValueKind::Bool(true)),
            message::Value::default(),
        ],
    };
    let inner =
        message::Struct { fields: [("a".to_owned(), value(ValueKind::String("b".into())))].into() };
    let fields = [
        ("list".to_owned(), value(ValueKind::List(list))),
        ("struct".to_owned(), value(ValueKind::Struct(inner))),
    ];
    let details = Some(message::Struct { fields: fields.into() });
    let issue = message::HealthIssue { kind: "k".into(), details, ..Default::default() };
    let reply = LoadBalancerStatusReply {
        workers: vec![odd],
        health_issues: vec![issue],
        timestamp: Some(stamp.clone()),
        expires_at: Some(stamp),
        ..Default::default()
    };
    server.disturb("LoadBalancerStatus", Fault::Reply(reply.encode_to_vec()), 1);
    let status = lb.status(None).expect("nothing of it is needed");
    assert_eq!((status.at, status.expires_at), (None, None));
    let details = [("list", "1.5, true, "), ("struct", "a=b")];
    assert_eq!(status.health[0].details, details.map(|(name, text)| (name.into(), text.into())));
    assert_eq!((status.workers[0].ports, status.workers[0].session), (None, None));

    let series = Timeseries { name: "/lb/1/x".into(), ..Default::default() };
    let reply = TimeseriesResponse { timeseries: vec![series], since: None };
    server.disturb("Timeseries", Fault::Reply(reply.encode_to_vec()), 1);
    let error = lb.timeseries(&["/lb/1/x"], None).expect_err("neither kind");
    assert_eq!(error.kind, ErrorKind::Data, "{error}");
}

/// With an answer of no use, the reservation is not lost but freed.
#[test]
fn what_an_answer_of_no_use_reserved() {
    let server = server();
    let lb = client(&server);
    let reserved = lb.reserve(&Reserve::new("lb")).unwrap();
    let other = client(&server);
    for token in [reserved.token.as_ref().map_or("", |token| token.reveal()), ""] {
        let reply = ReserveLoadBalancerReply {
            lb_id: reserved.lb_id.clone(),
            token: token.into(),
            sync_ipv4_address: "nowhere".into(),
            ..Default::default()
        };
        server.disturb("ReserveLoadBalancer", Fault::Reply(reply.encode_to_vec()), 1);
        let error = other.reserve(&Reserve::new("other")).expect_err("nowhere");
        assert_eq!(error.kind, ErrorKind::Data, "{error}");
        assert!(lb.overview().unwrap().is_empty());
        assert!(other.uri().lb_id().is_empty());
    }
    assert_eq!(server.calls("FreeLoadBalancer"), 2);
}

/// An older server does not know newer calls.
#[test]
fn calls_that_the_server_does_not_know() {
    let server = server();
    let lb = worker(&server);
    server.disturb("ExtendReservation", Fault::Refusal(12), 1);
    let error = lb.extend(None, None).expect_err("unknown");
    assert_eq!(error.code, Some(RpcCode::Unimplemented));
    assert!(error.remedy.contains("older"), "{error}");
}

/// Not in errors, even if the server quotes them, not in `Debug`, not in any
/// log of any library, however much that says.
#[test]
fn tokens_are_nowhere() {
    let log = Log::default();
    let subscriber = log.subscriber(tracing::Level::TRACE);
    // Of all threads: the connection lives in one of its own. Nobody else in
    // this program sets one.
    tracing::subscriber::set_global_default(subscriber).expect("the first one");
    let server = Server::start(Config { token: TOKEN.into(), ..Config::default() }).unwrap();
    let lb = worker(&server);
    let uri = lb.uri();
    let secrets: Vec<String> = TokenKind::ALL
        .iter()
        .filter_map(|kind| Some(uri.token(*kind)?.reveal().to_owned()))
        .collect();
    assert_eq!(secrets.len(), 3);
    let mut shown = format!("{lb:?} {uri} {uri:?}");
    for code in 1..=16 {
        server.disturb("*", Fault::Refusal(code), 2);
        for error in [
            lb.version().expect_err("refused"),
            lb.send_state(None, &State::now(0.0, 0.0)).expect_err("refused"),
        ] {
            assert!(error.found.contains("***"), "the server quoted it: {error}");
            shown.push_str(&format!("{error} {error:?}"));
        }
    }
    shown.push_str(&format!("{:?}", client(&server).reserve(&Reserve::new("another")).unwrap()));
    server.disconnect();
    let _ = lb.version();
    let logged = log.text();
    assert!(
        logged.contains("loadbalancer.LoadBalancer/SendState")
            || logged.contains("HEADERS")
            || logged.contains("Headers"),
        "nothing was logged"
    );
    for secret in secrets {
        assert!(!shown.contains(&secret), "{shown}");
        assert!(!logged.contains(&secret), "in a log");
    }
}
