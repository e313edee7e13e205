//! What becomes of reservations and workers: the list of `control-plane.md`
//! §20, and §7, §9, §11, §12.

mod common;

use std::time::{Duration, SystemTime};

use common::{PATIENCE, address, client, node, server, servers, state, worker};
use xdpsar_control::{
    ErrorKind, Reserve, RpcCode, TokenKind,
    blocking::LoadBalancer,
    client::{
        chain::Chain,
        reservation::{IpFamily, Reset, Strategy},
        series::Samples,
        tokens::{Level, Permission, Resource, Which},
        worker::{Counters, PortRange, Register, SlotRange, State},
    },
};
use xdpsar_lb_server::{Config, Server};

const HOUR: Duration = Duration::from_secs(3600);

fn senders() -> [std::net::IpAddr; 2] {
    [address("192.168.100.1"), address("192.168.100.2")]
}

/// §20 (1) to (6), plain and with TLS.
#[test]
fn what_live_tests_expect() {
    for server in servers() {
        let lb = client(&server);
        let wish = Reserve::new("mylb").lasting(HOUR).unwrap().from(senders());
        let reserved = lb.reserve(&wish).expect("(1) a reservation");
        let uri = lb.uri();
        assert!(uri.token(TokenKind::Instance).is_some());
        assert_eq!((uri.lb_id(), uri.lb_name()), (reserved.lb_id.as_str(), "mylb"));
        assert_eq!(uri.sync_addr().ok(), reserved.sync_v4);
        assert_eq!(uri.sync_of(true).map(|to| to.ip()), reserved.sync_v6.map(|to| to.ip()));
        let data = uri.data_of(false).expect("a data address");
        assert_eq!((data.port(), data.last_port()), (16384, 32767));
        assert!(uri.data_of(true).is_some());

        let second = client(&server);
        second.get(Some(&reserved.lb_id)).expect("(2)");
        assert_eq!(second.uri().sync_addr().ok(), lb.uri().sync_addr().ok());

        lb.add_senders(None, &senders()).expect("(2.1)");
        lb.remove_senders(None, &senders()).expect("(2.1)");
        lb.add_senders(None, &senders()).unwrap();

        let my_node = Register {
            ports: PortRange::at_least(10),
            weight: 0.5,
            min_factor: 1.0,
            max_factor: 1.0,
            keep_lb_header: true,
            ..node("my_node")
        };
        let session = lb.register(None, &my_node).expect("(3) a session");
        assert_eq!(lb.uri().session_id(), session.id);
        assert_eq!(lb.uri().token(TokenKind::Session), Some(&session.token));
        let counters =
            Counters { events_reassembled: 7, bytes_received: 1 << 40, ..Counters::default() };
        for _ in 0..25 {
            let state = State { counters, ..state(&server, 0.8, 1.0) };
            lb.send_state(None, &state).expect("(4) a state");
        }
        server.tick();
        let status = lb.status(None).expect("(4) a status");
        assert_eq!(status.senders, senders());
        let [one] = &status.workers[..] else { panic!("{:?}", status.workers) };
        assert_eq!(one.name, "my_node");
        assert!((one.fill - 0.8).abs() < 1e-6 && (one.control_signal - 1.0).abs() < 1e-6);
        assert_eq!(one.counters, counters);
        assert_eq!(one.session.map(|id| id.to_string()), Some(session.id.clone()));
        assert_eq!((one.address, one.port), (Some(my_node.address), Some(10000)));
        assert_eq!(one.ports.map(PortRange::ports), Some(16));
        assert_eq!((one.slots_assigned, status.slots, one.keep_lb_header), (512, 512, true));
        assert_eq!(one.slots.iter().map(|range| u32::from(range.length)).sum::<u32>(), 512);
        assert!(status.predicted_event_number > 0 && status.epoch > 0);
        let end = status.expires_at.expect("an end");
        assert!(end.duration_since(SystemTime::now()).expect("later") <= HOUR);

        lb.remove_senders(None, &senders()).expect("(4.1)");
        assert!(lb.status(None).unwrap().senders.is_empty(), "(4.1)");

        let version = lb.version().expect("(5)");
        assert!(
            [version.commit, version.build, version.compat_tag].iter().all(|it| !it.is_empty())
        );
        let overview = lb.overview().expect("(6)");
        assert_eq!(overview[0].name, "mylb");
        assert_eq!(overview[0].reserved.lb_id, reserved.lb_id);
        assert_eq!(overview[0].status.workers.len(), 1);
        assert!(overview[0].reserved.token.is_none());

        lb.deregister(None).expect("(3)");
        assert!(lb.uri().session_id().is_empty());
        assert!(lb.status(None).unwrap().workers.is_empty());
        lb.free(None).expect("(1) freed");
        assert!(client(&server).overview().unwrap().is_empty());
    }
}

#[test]
fn tokens_are_made_listed_and_revoked() {
    let server = server();
    let lb = client(&server);
    let permissions = [
        Permission { resource: Resource::LoadBalancer("1".into()), level: Level::Update },
        Permission { resource: Resource::Reservation("1".into()), level: Level::Register },
        Permission { resource: Resource::Session("1".into()), level: Level::ReadOnly },
    ];
    let token = lb.create_token("mytoken", &permissions).expect("a token");
    let by_secret = lb.token_permissions(&Which::Secret(token.clone())).expect("by itself");
    let by_id = lb.token_permissions(&Which::Id(by_secret.id)).expect("by its number");
    assert_eq!(by_id, by_secret);
    assert_eq!((by_id.name.as_str(), &by_id.permissions[..]), ("mytoken", &permissions[..]));
    let all =
        lb.create_token("all", &[Permission { resource: Resource::All, level: Level::ReadOnly }]);
    let all = lb.token_permissions(&Which::Secret(all.unwrap())).unwrap();
    assert_eq!(all.permissions[0].resource, Resource::All, "zeros are not on the wire");
    let names = || -> Vec<String> {
        lb.child_tokens(&Which::Own).unwrap().into_iter().map(|token| token.name).collect()
    };
    assert!(names().contains(&"mytoken".into()));
    lb.revoke_token(&Which::Secret(token.clone())).expect("revoked");
    assert!(!names().contains(&"mytoken".into()));
    let error = lb.token_permissions(&Which::Secret(token.clone())).expect_err("gone");
    assert_eq!(error.code, Some(RpcCode::NotFound));
    assert!(!format!("{error} {error:?}").contains(token.reveal()), "the server quotes it");
    let number = lb.token_permissions(&Which::Own).unwrap().id;
    assert_ne!(number, 0);
    let secret = Which::Secret(lb.uri().token(TokenKind::Admin).unwrap().clone());
    for own in [Which::Own, Which::Id(0), Which::Id(number), secret] {
        let calls = server.calls("RevokeToken");
        let error = lb.revoke_token(&own).expect_err("that would revoke everything");
        assert_eq!((error.kind, server.calls("RevokeToken")), (ErrorKind::Parameter, calls));
        assert!(error.found.contains("the token that asks"), "{error}");
    }
    // Unless that is what is wanted.
    lb.revoke_own_token().expect("an admin may");
    assert_eq!(lb.version().expect_err("no token is left").code, Some(RpcCode::PermissionDenied));
}

/// What no server should get is not sent.
#[test]
fn bad_values_are_refused_before_they_are_sent() {
    let server = server();
    let lb = worker(&server);
    let now = State::now(0.5, 0.0);
    let session = lb.uri().session_id().to_owned();
    let behind = [SlotRange { first: Some(511), length: 2 }];
    let refused = [
        lb.reserve(&Reserve::new("-bad")).map(drop),
        lb.reserve(&Reserve::new("a..b")).map(drop),
        lb.reserve(&Reserve::new("x".repeat(64))).map(drop),
        lb.reserve(&Reserve { until: Some(SystemTime::UNIX_EPOCH), ..Reserve::default() })
            .map(drop),
        lb.extend(None, Some(SystemTime::now() - HOUR)).map(drop),
        lb.register(None, &node("")).map(drop),
        lb.register(None, &Register { weight: 0.0, ..node("a") }).map(drop),
        lb.register(None, &Register { weight: f32::NAN, ..node("a") }).map(drop),
        lb.register(None, &Register { min_factor: 2.0, max_factor: 1.0, ..node("a") }).map(drop),
        lb.register(None, &Register { port: 0, ..node("a") }).map(drop),
        lb.register(None, &Register { port: 65535, ports: PortRange::at_least(2), ..node("a") })
            .map(drop),
        lb.register(None, &Register { address: address("0.0.0.0"), ..node("a") }).map(drop),
        lb.register(None, &Register { slot_demands: behind.to_vec(), ..node("a") }).map(drop),
        lb.send_state(None, &State { fill: 1.1, ..now }),
        lb.send_state(None, &State { fill: f32::NAN, ..now }),
        lb.send_state(None, &State { control_signal: f32::INFINITY, ..now }),
        lb.send_state(None, &State { at: SystemTime::UNIX_EPOCH, ..now }),
        lb.set_slot_demands(None, &[(&session, &behind)]),
        lb.create_token("t", &[]).map(drop),
        lb.create_token(
            "t",
            &[Permission { resource: Resource::Session(String::new()), level: Level::Update }],
        )
        .map(drop),
        lb.timeseries(&[], None).map(drop),
        lb.timeseries(&[""], None).map(drop),
        lb.chain(None, &Chain { ip_family: IpFamily::Dual, ..Chain::to(lb.uri()) }).map(drop),
        lb.unchain(None, ""),
    ];
    for (at, outcome) in refused.into_iter().enumerate() {
        let error = outcome.expect_err("not refused");
        assert_eq!((error.kind, error.code), (ErrorKind::Parameter, None), "{at}: {error}");
    }
    let sent = ["Register", "ReserveLoadBalancer"].map(|rpc| server.calls(rpc));
    assert_eq!(sent, [1, 1], "only those of the setup");
    let nothing = ["ExtendReservation", "SendState", "SetSlotDemands", "CreateToken", "Timeseries"];
    assert!(nothing.iter().all(|rpc| server.calls(rpc) == 0));
}

#[test]
fn all_load_balancers_may_be_taken() {
    let server = Server::start(Config { lbs: 1, ..Config::default() }).unwrap();
    let (one, other) = (client(&server), client(&server));
    one.reserve(&Reserve::new("one").lasting(HOUR).unwrap()).unwrap();
    let error = other.reserve(&Reserve::new("other")).expect_err("there is only one");
    assert_eq!(error.code, Some(RpcCode::ResourceExhausted), "{error}");
    // Two hours, in one step: what would happen each second happens once.
    server.leap(2 * HOUR);
    other.reserve(&Reserve::new("other")).expect("the first reservation is over");
    let error = one.get(None).expect_err("it is over");
    assert!(error.is_denied(), "its own token went with it: {error}");
}

#[test]
fn a_reservation_is_extended() {
    let server = server();
    let lb = client(&server);
    lb.reserve(&Reserve::new("short").lasting(HOUR).unwrap()).unwrap();
    let until = SystemTime::now() + 3 * HOUR;
    let granted = lb.extend(None, Some(until)).unwrap().expect("an end");
    assert!(granted.duration_since(until).unwrap_or_default() < Duration::from_millis(1));
    server.leap(2 * HOUR);
    lb.status(None).expect("it goes on");
    let longest = lb.extend(None, None).unwrap().expect("an end");
    assert!(longest > SystemTime::now() + 360 * 24 * HOUR, "as late as the server allows");
}

/// Silent for two seconds, a worker gets no events; for sixty, it is gone.
#[test]
fn silent_workers_are_left_out_and_forgotten() {
    let server = server();
    let lb = worker(&server);
    let slots = || {
        let status = lb.status(None).unwrap();
        status.workers.first().map(|worker| worker.slots_assigned)
    };
    server.tick();
    assert_eq!(slots(), Some(512), "before it sent any state");
    server.advance(Duration::from_secs(4));
    assert_eq!(slots(), Some(512), "newcomers are not judged");
    server.advance(Duration::from_secs(3));
    assert_eq!(slots(), Some(0));
    lb.send_state(None, &state(&server, 0.1, 0.0)).unwrap();
    server.tick();
    assert_eq!(slots(), Some(512), "it is back");
    lb.send_state(None, &State { ready: false, ..state(&server, 0.1, 0.0) }).unwrap();
    server.tick();
    assert_eq!(slots(), Some(0), "it is not ready");
    server.advance(Duration::from_secs(61));
    assert_eq!(slots(), None);
    let own = common::client_as(
        &server,
        lb.uri().token(TokenKind::Session).unwrap().reveal(),
        TokenKind::Session,
        &lb,
    );
    let error = own.send_state(None, &state(&server, 0.1, 0.0)).expect_err("forgotten");
    assert!(error.is_denied(), "{error}");
    lb.register(None, &node("my_node")).expect("registered anew");
}

/// A worker whose clock is late gets nothing, and the status says by how much.
#[test]
fn clocks_apart_are_measured() {
    let server = server();
    let lb = worker(&server);
    let apart = lb.status(None).unwrap().clock_ahead.expect("a time");
    assert!(apart.abs() < PATIENCE.as_secs_f64(), "{apart}");
    server.advance(Duration::from_secs(100));
    let ahead = lb.status(None).unwrap().clock_ahead.expect("a time");
    assert!((ahead - 100.0).abs() < PATIENCE.as_secs_f64(), "{ahead}");
    lb.register(None, &node("late")).unwrap();
    // This host's clock, a hundred seconds behind the server's.
    lb.send_state(None, &State::now(0.1, 0.0)).unwrap();
    server.advance(Duration::from_secs(6));
    assert!(lb.status(None).unwrap().workers.is_empty(), "taken for dead");
}

fn slots(lb: &LoadBalancer) -> Vec<(String, u32)> {
    let workers = lb.status(None).unwrap().workers.into_iter();
    let mut slots: Vec<_> = workers.map(|one| (one.name, one.slots_assigned)).collect();
    slots.sort();
    slots
}

/// Weights 1:1:2, and what control signals do to them.
#[test]
fn slots_follow_weights_and_signals() {
    let server = server();
    let lb = client(&server);
    lb.reserve(&Reserve::new("balance")).unwrap();
    let mut sessions = Vec::new();
    for (name, weight) in [("a", 1.0), ("b", 1.0), ("c", 2.0)] {
        let node = Register { weight, max_factor: 3.0, min_factor: 0.1, ..node(name) };
        sessions.push(lb.register(None, &node).unwrap());
    }
    server.tick();
    let named = |slots: [u32; 3]| {
        ["a", "b", "c"].map(str::to_owned).into_iter().zip(slots).collect::<Vec<_>>()
    };
    assert_eq!(slots(&lb), named([128, 128, 256]));
    for session in &sessions {
        let signal = if session == &sessions[2] { -500.0 } else { 0.0 };
        lb.send_state(Some(&session.id), &state(&server, 0.5, signal)).unwrap();
    }
    server.tick();
    let after = slots(&lb);
    assert!(after[2].1 < 220 && after[0].1 > 140, "the third sheds load: {after:?}");
    assert_eq!(after.iter().map(|(_, slots)| slots).sum::<u32>(), 512);
}

#[test]
fn demanded_slots() {
    let server = server();
    let lb = client(&server);
    let wish = Reserve { strategy: Some(Strategy::Explicit), ..Reserve::new("explicit") };
    assert_eq!(lb.reserve(&wish).unwrap().strategy, "explicit");
    let demand = |first, length| vec![SlotRange { first, length }];
    let a = Register { slot_demands: demand(Some(0), 100), ..node("a") };
    lb.register(None, &a).unwrap();
    let b = Register { slot_demands: demand(None, 12), ..node("b") };
    let b_id = lb.register(None, &b).unwrap().id;
    server.tick();
    let status = lb.status(None).unwrap();
    assert_eq!(status.workers[0].slots, a.slot_demands);
    assert_eq!(status.workers[1].slots, [SlotRange { first: Some(100), length: 12 }]);
    assert_eq!(status.workers[1].slot_demands, [SlotRange { first: None, length: 12 }]);
    let clash = Register { slot_demands: demand(Some(99), 1), ..node("c") };
    let error = lb.register(None, &clash).expect_err("demanded twice");
    assert_eq!(error.code, Some(RpcCode::Internal), "{error}");
    lb.set_slot_demands(None, &[(&b_id, &demand(Some(500), 12))]).unwrap();
    server.tick();
    assert_eq!(lb.get(None).unwrap().strategy, "static");
    let total: u32 = slots(&lb).iter().map(|(_, slots)| slots).sum();
    assert_eq!(total, 512, "what nobody demanded goes by weight");
}

#[test]
fn parts_of_a_reservation_begin_anew() {
    let server = server();
    let lb = worker(&server);
    lb.add_senders(None, &senders()).unwrap();
    let what = Reset { senders: true, workers: true, ..Reset::default() };
    assert_eq!(lb.reset(None, what).unwrap(), what);
    let status = lb.status(None).unwrap();
    assert!(status.senders.is_empty() && status.workers.is_empty());
}

#[test]
fn series_by_exact_paths() {
    let server = server();
    let lb = worker(&server);
    for fill in [0.25, 0.5] {
        lb.send_state(None, &state(&server, fill, 0.0)).unwrap();
    }
    server.tick();
    let (id, session) = (lb.uri().lb_id().to_owned(), lb.uri().session_id().to_owned());
    let fills = format!("/lb/{id}/session/{session}/fill_percent");
    let series = lb.timeseries(&[&fills], None).expect("a series");
    let Samples::Float(samples) = &series[0].samples else { panic!("{series:?}") };
    assert_eq!(samples.iter().map(|(_, value)| *value).collect::<Vec<_>>(), [0.25, 0.5]);
    let error = lb.timeseries(&[&format!("/lb/{id}/*")], None).expect_err("no wildcards");
    assert_eq!(error.kind, ErrorKind::NotFound);
    let all = lb.series_of(None, None).expect("all of them");
    assert!(all.iter().any(|series| series.name == fills) && all.len() > 5, "{}", all.len());
}

#[test]
fn load_balancers_behind_each_other() {
    let server = server();
    let (above, below) = (client(&server), client(&server));
    above.reserve(&Reserve::new("above")).unwrap();
    below.reserve(&Reserve::new("below")).unwrap();
    let chain = below.chain(None, &Chain::to(above.uri())).expect("a chain");
    assert!(above.status(None).unwrap().workers[0].keep_lb_header);
    let graph = below.chain_graph(None).unwrap();
    assert_eq!((graph.links.len(), graph.has_cycle), (1, false));
    assert_eq!(graph.links[0].upstream_lb_id, above.uri().lb_id());
    assert_eq!(graph.links[0].downstream_lb_id, below.uri().lb_id());
    let error = above.chain(None, &Chain::to(below.uri())).expect_err("a loop");
    assert_eq!(error.code, Some(RpcCode::FailedPrecondition), "{error}");
    below.unchain(None, &chain).unwrap();
    assert!(above.status(None).unwrap().workers.is_empty());
}

#[test]
fn this_host_as_a_sender() {
    let server = Server::start(Config { v6: false, ..Config::default() }).unwrap();
    let lb = client(&server);
    let error = lb.add_sender_self(Some("1")).expect_err("no data address yet");
    assert_eq!(error.kind, ErrorKind::ParameterNotAvailable, "{error}");
    lb.reserve(&Reserve::new("self")).unwrap();
    assert!(lb.uri().data_of(true).is_none(), "a server without IPv6");
    let own = lb.add_sender_self(None).expect("loopback");
    assert_eq!(lb.status(None).unwrap().senders, own);
    lb.remove_sender_self(None).unwrap();
    assert!(lb.status(None).unwrap().senders.is_empty());
}

/// Freed at the end of its scope, unless it is to be kept.
#[test]
fn guarded_reservations() {
    let server = server();
    let lb = client(&server);
    let count = || client(&server).overview().unwrap().len();
    let guard = lb.reserve_guarded(&Reserve::new("guarded")).unwrap();
    assert_eq!((guard.reserved().lb_id.as_str(), count()), (lb.uri().lb_id(), 1));
    drop(guard);
    assert_eq!(count(), 0);
    lb.reserve_guarded(&Reserve::new("freed")).unwrap().free().unwrap();
    assert_eq!(count(), 0);
    lb.reserve_guarded(&Reserve::new("kept")).unwrap().keep();
    assert_eq!(count(), 1);
}
