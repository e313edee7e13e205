//! A receiver that cannot be registered does not start, says why, and leaves
//! nothing behind. Alone in its program: it looks at all threads and files.
#![cfg(feature = "control-plane")]

#[path = "registration/common.rs"]
mod common;

use std::{
    fs,
    net::{IpAddr, TcpListener, UdpSocket},
    time::Duration,
};

use common::{Lab, assert_flowing, free_address, options, until};
use xdpsar::{
    Backend, Error, Gains, LoadBalancer, Reassembler, Registration, SetupErrorKind, Token,
    TokenKind,
    load_balancer::{ErrorKind, Level, Options, Permission, Reserve, Resource, RpcCode, Trust},
};
use xdpsar_lb_server::{Config, Fault, Identity};

/// Threads and open files.
fn held() -> [usize; 2] {
    ["task", "fd"].map(|of| fs::read_dir(format!("/proc/self/{of}")).expect("/proc").count())
}

/// The server needs a moment to see that a client is gone, and the kernel to
/// see that a thread is.
fn until_no_more_than(before: [usize; 2]) {
    until("nothing is left", || held().iter().zip(before).all(|(now, before)| *now <= before));
}

/// Tries, and finds everything as it was before.
fn refused(registration: Registration) -> Error {
    let before = held();
    let at = free_address("127.0.0.1");
    let builder = Reassembler::builder(at).backend(Backend::Socket);
    let error = builder.register(registration).start().expect_err("it starts");
    UdpSocket::bind(at).expect("the port is free");
    until_no_more_than(before);
    error
}

fn by_control_plane(registration: Registration) -> xdpsar::load_balancer::Error {
    match refused(registration) {
        Error::ControlPlane(error) => {
            let said = [&error.asked, &error.found, &error.remedy];
            assert!(said.iter().all(|part| !part.is_empty()), "{error:?}");
            error
        }
        other => panic!("{other}"),
    }
}

#[test]
fn it_says_why_and_leaves_nothing() {
    let before = held();
    let lab = Lab::new();
    let good = || lab.registration("node");
    let denied = Some(RpcCode::PermissionDenied);

    // A token that may look at the reservation, and no more.
    let id = lab.lb.uri().lb_id().to_owned();
    let read = Permission { resource: Resource::Reservation(id), level: Level::ReadOnly };
    let read = lab.lb.create_token("reader", &[read]).expect("a token");
    let with = |token| lab.uri().with_token(TokenKind::Instance, token);
    let error = by_control_plane(Registration { uri: with(Some(read)), ..good() });
    assert_eq!(error.code, denied, "{error}");
    assert!(error.asked.contains("register worker node"), "{error}");
    let error = by_control_plane(Registration { uri: with(Token::new("0".repeat(32))), ..good() });
    assert_eq!(error.code, denied, "{error}");
    let error = by_control_plane(Registration { uri: with(None), ..good() });
    assert_eq!(error.kind, ErrorKind::ParameterNotAvailable, "{error}");
    let error = by_control_plane(Registration { uri: lab.uri().with_lb_id(""), ..good() });
    assert_eq!(error.kind, ErrorKind::ParameterNotAvailable, "{error}");

    // Values that no server gets to see.
    let calls = lab.server.calls("Register");
    for bad in [
        Registration { weight: 0.0, ..good() },
        Registration { weight: f32::NAN, ..good() },
        Registration { name: "-".into(), ..good() },
        Registration { min_factor: 3.0, ..good() },
        Registration { address: Some([0, 0, 0, 0].into()), ..good() },
    ] {
        assert_eq!(by_control_plane(bad).kind, ErrorKind::Parameter);
    }
    for bad in [
        Registration { period: Duration::from_secs(2), ..good() },
        Registration { period: Duration::ZERO, ..good() },
        Registration { high_water: 0.0, ..good() },
        Registration { high_water: f32::NAN, ..good() },
        Registration { gains: Gains { ki: f32::INFINITY, ..Gains::NONE }, ..good() },
    ] {
        match refused(bad) {
            Error::Setup(error) => assert_eq!(error.kind, SetupErrorKind::Usage, "{error}"),
            other => panic!("{other}"),
        }
    }
    assert_eq!(lab.server.calls("Register"), calls);

    // A server that does not answer, breaks off, or answers nonsense.
    let hasty = Options { timeout: Duration::from_millis(500), ..options(&lab.server) };
    lab.server.disturb("Register", Fault::Silence, 1);
    let error = by_control_plane(Registration { options: hasty.clone(), ..good() });
    assert_eq!(error.code, Some(RpcCode::DeadlineExceeded), "{error}");
    // It had its effect: that is undone.
    lab.server.disturb("Register", Fault::Unanswered, 1);
    let error = by_control_plane(Registration { options: hasty.clone(), ..good() });
    assert_eq!(error.code, Some(RpcCode::DeadlineExceeded), "{error}");
    assert_eq!((lab.workers().len(), lab.server.calls("Deregister")), (0, 1));
    lab.server.disturb("Register", Fault::Reset, 1);
    assert_eq!(by_control_plane(good()).code, Some(RpcCode::Unavailable));
    lab.server.disturb("Register", Fault::Empty, 1);
    assert_eq!(by_control_plane(good()).kind, ErrorKind::Data);
    assert!(lab.workers().is_empty());

    // Nobody there; somebody who never says a word.
    let nobody = free_address("127.0.0.1").port();
    let elsewhere = |port| lab.uri().with_host(IpAddr::from([127, 0, 0, 1]).into(), port);
    let error = by_control_plane(Registration { uri: elsewhere(nobody), ..good() });
    assert_eq!(error.code, Some(RpcCode::Unavailable), "{error}");
    let mute = TcpListener::bind("127.0.0.1:0").expect("a port");
    let uri = elsewhere(mute.local_addr().expect("its address").port());
    let error = by_control_plane(Registration { uri, options: hasty, ..good() });
    assert_eq!(error.code, Some(RpcCode::DeadlineExceeded), "{error}");
    drop(mute);

    // A reservation that is over.
    let other = LoadBalancer::new(lab.lb.uri(), &options(&lab.server)).expect("a client");
    let wish = Reserve::new("short").lasting(Duration::from_secs(60)).expect("a wish");
    other.reserve(&wish).expect("a reservation");
    let uri = other.uri().with_token(TokenKind::Admin, None);
    drop(other);
    lab.server.leap(Duration::from_secs(61));
    let error = by_control_plane(Registration { uri, ..good() });
    assert_eq!(error.code, denied, "{error}");
    assert!(error.remedy.contains("still exists"), "{error}");

    // A certificate that nobody vouches for.
    let tls = Some(Identity::signed(&["127.0.0.1"]));
    let strange = Lab::with(Config { tls, ..Config::default() });
    let options = Options { trust: Trust::System, ..options(&strange.server) };
    let error = by_control_plane(Registration { options, ..strange.registration("node") });
    assert_eq!(error.code, Some(RpcCode::Unavailable), "{error}");
    assert!(error.found.contains("certificate"), "{error}");
    assert_eq!(strange.server.calls("Register"), 0);
    drop(strange);

    // Nor does a good life leave anything.
    let receiver = lab.start("node");
    assert_flowing(&receiver, 1);
    drop((receiver, lab));
    until_no_more_than(before);
}
