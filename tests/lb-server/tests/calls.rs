//! Every call, with tokens that may and tokens that may not, plain and with
//! TLS (`control-plane.md` §3, §5).

mod common;

use common::{address, client, client_as, node, server, servers, state, worker};
use xdpsar_control::{
    Error, ErrorKind, Reserve, RpcCode, Token, TokenKind,
    blocking::LoadBalancer,
    client::{
        chain::Chain,
        reservation::Reset,
        tokens::{Level, Permission, Resource, Which},
        worker::SlotRange,
    },
};
use xdpsar_lb_server::Server;

/// Which tokens a call may be made with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// To reserve.
    Lb,
    /// To see the reservation.
    Read,
    /// To register workers.
    Register,
    /// To change the reservation.
    Update,
    /// The session's.
    Session,
    /// Any that there is.
    Any,
}

/// With another code than `PERMISSION_DENIED` if the token is unknown.
type Call = (&'static str, Needs, Option<RpcCode>, fn(&LoadBalancer, &Server) -> Result<(), Error>);

fn one(id: &str) -> [Permission; 1] {
    [Permission { resource: Resource::Reservation(id.into()), level: Level::ReadOnly }]
}

/// In an order in which all work, with the exception of `free`, which is
/// last.
const CALLS: [Call; 22] = [
    ("Version", Needs::Any, None, |lb, _| lb.version().map(drop)),
    ("Overview", Needs::Any, None, |lb, _| lb.overview().map(drop)),
    ("GetLoadBalancer", Needs::Read, None, |lb, _| lb.get(None).map(drop)),
    ("LoadBalancerStatus", Needs::Read, None, |lb, _| lb.status(None).map(drop)),
    ("AddSenders", Needs::Update, None, |lb, _| lb.add_senders(None, &[address("10.0.0.1")])),
    ("RemoveSenders", Needs::Update, None, |lb, _| lb.remove_senders(None, &[address("10.0.0.1")])),
    ("ExtendReservation", Needs::Update, None, |lb, _| lb.extend(None, None).map(drop)),
    ("Register", Needs::Register, None, |lb, _| lb.register(None, &node("another")).map(drop)),
    ("SendState", Needs::Session, None, |lb, server| lb.send_state(None, &state(server, 0.5, 0.0))),
    ("Timeseries", Needs::Any, None, |lb, _| {
        let path = format!("/lb/{}/event_number", lb.uri().lb_id());
        // Others see none, and no refusal.
        match lb.timeseries(&[&path], None) {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            other => other.map(drop),
        }
    }),
    ("SetSlotDemands", Needs::Update, None, |lb, _| {
        let session = lb.uri().session_id().to_owned();
        lb.set_slot_demands(None, &[(&session, &[SlotRange { first: Some(0), length: 2 }])])
    }),
    ("ChainLoadBalancer", Needs::Update, None, |lb, server| {
        let upstream = client(server);
        upstream.reserve(&Reserve::new("upstream"))?;
        let chain = lb.chain(None, &Chain::to(upstream.uri()));
        let ended = chain.and_then(|chain| lb.unchain(None, &chain));
        upstream.free(None)?;
        ended
    }),
    ("UnchainLoadBalancer", Needs::Update, None, |lb, _| match lb.unchain(None, "none") {
        Err(error) if error.code == Some(RpcCode::Internal) => Ok(()),
        other => other,
    }),
    ("GetChainGraph", Needs::Read, None, |lb, _| lb.chain_graph(None).map(drop)),
    ("CreateToken", Needs::Read, Some(RpcCode::Internal), |lb, _| {
        lb.create_token("reader", &one(lb.uri().lb_id())).map(drop)
    }),
    ("ListTokenPermissions", Needs::Any, Some(RpcCode::NotFound), |lb, _| {
        lb.token_permissions(&Which::Own).map(drop)
    }),
    ("ListChildTokens", Needs::Any, Some(RpcCode::NotFound), |lb, _| {
        lb.child_tokens(&Which::Own).map(drop)
    }),
    ("RevokeToken", Needs::Any, Some(RpcCode::NotFound), |lb, _| lb.revoke_token(&Which::Id(9999))),
    ("ReserveLoadBalancer", Needs::Lb, None, |lb, _| {
        // A client's own URI changes with it.
        lb.reserve(&Reserve::new("other"))?;
        lb.free(None)
    }),
    ("ResetLoadBalancer", Needs::Update, None, |lb, _| {
        lb.reset(None, Reset { epochs: true, sync: true, ..Reset::default() }).map(drop)
    }),
    ("Deregister", Needs::Session, None, |lb, _| lb.deregister(None)),
    ("FreeLoadBalancer", Needs::Update, None, |lb, _| lb.free(None)),
];

/// Each call by a new client with this token, of a new reservation.
fn each(
    server: &Server,
    token: impl Fn(&LoadBalancer) -> (Token, TokenKind),
    expect: impl Fn(&Call) -> Option<RpcCode>,
) {
    for call in &CALLS {
        let (name, _, _, run) = call;
        let setup = worker(server);
        let (secret, kind) = token(&setup);
        let lb = client_as(server, secret.reveal(), kind, &setup);
        let before = server.calls(name);
        let outcome = run(&lb, server);
        assert!(server.calls(name) > before, "{name} was not sent");
        match (expect(call), outcome) {
            (None, Ok(())) => {}
            (Some(code), Err(error)) => {
                assert_eq!(error.code, Some(code), "{name}: {error}");
                assert_eq!(error.kind, ErrorKind::Rpc);
                assert!(!format!("{error} {error:?}").contains(secret.reveal()), "{name}: {error}");
            }
            (expected, outcome) => panic!("{name}: {outcome:?}, expected {expected:?}"),
        }
        client(server).free(Some(setup.uri().lb_id())).expect("freed");
    }
}

fn denied(allowed: bool) -> Option<RpcCode> {
    (!allowed).then_some(RpcCode::PermissionDenied)
}

#[test]
fn the_admin_token_may_everything() {
    for server in servers() {
        let all = |lb: &LoadBalancer| {
            (lb.uri().token(TokenKind::Admin).expect("a token").clone(), TokenKind::Admin)
        };
        each(&server, all, |_| None);
    }
}

#[test]
fn an_unknown_token_may_nothing() {
    for server in servers() {
        let unknown =
            |_: &LoadBalancer| (Token::new("an-unknown-token").unwrap(), TokenKind::Admin);
        each(&server, unknown, |(_, _, code, _)| Some(code.unwrap_or(RpcCode::PermissionDenied)));
    }
}

/// A reservation's token, in the slot that it belongs in, and taken for an
/// admin's.
#[test]
fn a_reservations_token_may_all_but_reserve() {
    let server = server();
    for kind in [TokenKind::Instance, TokenKind::Admin] {
        let own = |lb: &LoadBalancer| {
            (lb.uri().token(TokenKind::Instance).expect("a token").clone(), kind)
        };
        each(&server, own, |(_, needs, _, _)| denied(*needs != Needs::Lb));
    }
}

#[test]
fn a_sessions_token_may_tell_its_state() {
    let server = server();
    let own = |lb: &LoadBalancer| {
        (lb.uri().token(TokenKind::Session).expect("a token").clone(), TokenKind::Session)
    };
    each(&server, own, |(name, needs, _, _)| match needs {
        // Nobody grants what they have not.
        _ if *name == "CreateToken" => Some(RpcCode::Internal),
        needs => denied([Needs::Session, Needs::Any].contains(needs)),
    });
}

#[test]
fn delegated_tokens_may_what_they_say() {
    let server = server();
    for (level, may) in [
        (Level::ReadOnly, vec![Needs::Read]),
        (Level::Register, vec![Needs::Read, Needs::Register]),
        (Level::Reserve, vec![Needs::Read]),
        (Level::Update, vec![Needs::Read, Needs::Register, Needs::Update, Needs::Session]),
    ] {
        let delegated = |lb: &LoadBalancer| {
            let resource = Resource::Reservation(lb.uri().lb_id().into());
            let token = lb.create_token("delegated", &[Permission { resource, level }]);
            (token.expect("a token"), TokenKind::Instance)
        };
        each(&server, delegated, |(_, needs, _, _)| {
            denied(*needs == Needs::Any || may.contains(needs))
        });
    }
}

/// Nothing is sent without a token, and the error says so.
#[test]
fn without_a_token_nothing_is_sent() {
    let server = server();
    let setup = worker(&server);
    let uri = TokenKind::ALL.iter().fold(setup.uri(), |uri, kind| uri.with_token(*kind, None));
    let lb = LoadBalancer::new(uri, &common::options(&server)).unwrap();
    for (name, _, _, run) in CALLS.iter().filter(|(name, ..)| *name != "ChainLoadBalancer") {
        let before = server.calls(name);
        let error = run(&lb, &server).expect_err(name);
        assert_eq!(error.kind, ErrorKind::ParameterNotAvailable, "{name}: {error}");
        assert_eq!(server.calls(name), before, "{name} was sent");
    }
}

/// One worker's token is refused for another's session.
#[test]
fn sessions_are_kept_apart() {
    let server = server();
    let first = worker(&server);
    let second = client_as(
        &server,
        first.uri().token(TokenKind::Session).unwrap().reveal(),
        TokenKind::Session,
        &first,
    );
    let other = first.register(None, &node("other")).unwrap();
    let error = second.send_state(Some(&other.id), &state(&server, 0.1, 0.0)).expect_err("refused");
    assert!(error.is_denied(), "{error}");
    second.send_state(None, &state(&server, 0.1, 0.0)).expect("its own");
}

/// After a reservation's end its tokens are nothing.
#[test]
fn tokens_end_with_their_reservation() {
    let server = server();
    let lb = worker(&server);
    let uri = lb.uri();
    let instance = uri.token(TokenKind::Instance).unwrap().reveal().to_owned();
    let session = uri.token(TokenKind::Session).unwrap().reveal().to_owned();
    lb.free(None).unwrap();
    lb.free(None).expect("an admin may do it twice");
    for (token, kind) in [(instance, TokenKind::Instance), (session, TokenKind::Session)] {
        let late = LoadBalancer::new(
            uri.clone()
                .with_token(TokenKind::Admin, None)
                .with_token(TokenKind::Instance, None)
                .with_token(TokenKind::Session, None)
                .with_token(kind, Token::new(&*token)),
            &common::options(&server),
        )
        .unwrap();
        let error = late.send_state(None, &state(&server, 0.0, 0.0)).expect_err("gone");
        assert!(error.is_denied(), "{error}");
    }
    let error = lb.status(None).expect_err("no such reservation");
    assert_eq!(error.code, Some(RpcCode::Internal), "{error}");
}
