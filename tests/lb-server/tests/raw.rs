//! What real servers do with requests that our client does not send
//! (`control-plane.md` §5.3, §7, §9.2): the test server does it, too.

mod common;

use std::time::Duration;

use common::{client, node, server};
use http::uri::PathAndQuery;
use tokio::runtime::Builder;
use tonic::{Code, Request, Status, client::Grpc, transport::Endpoint};
use tonic_prost::ProstCodec;
use xdpsar_control::{
    Reserve,
    message::{
        Empty, GetLoadBalancerRequest, RegisterReply, RegisterRequest, ReserveLoadBalancerReply,
        ReserveLoadBalancerRequest, SERVICE, SendStateRequest, Timestamp, VersionReply,
        VersionRequest,
    },
};
use xdpsar_lb_server::{Config, Server};

const BEARER: &str = "Bearer 0123456789abcdef0123456789abcdef";

fn call<Q, A>(
    server: &Server,
    rpc: &str,
    authorization: Option<&str>,
    request: Q,
) -> Result<A, Status>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let endpoint = Endpoint::from_shared(format!("http://{}", server.address())).unwrap();
        let mut grpc = Grpc::new(endpoint.connect_lazy());
        grpc.ready().await.expect("a connection");
        let mut request = Request::new(request);
        if let Some(text) = authorization {
            request.metadata_mut().insert("authorization", text.parse().unwrap());
        }
        let path = PathAndQuery::try_from(format!("{SERVICE}{rpc}")).unwrap();
        let answer = grpc.unary(request, path, ProstCodec::<Q, A>::default()).await;
        answer.map(|answer| answer.into_inner())
    })
}

#[track_caller]
fn refused<A>(outcome: Result<A, Status>, code: Code) {
    match outcome {
        Ok(_) => panic!("not refused"),
        Err(status) => assert_eq!(status.code(), code, "{status}"),
    }
}

#[test]
fn authorization_in_other_forms() {
    let server = server();
    let ask = |text| call::<_, VersionReply>(&server, "Version", text, VersionRequest {});
    refused(ask(None), Code::Unauthenticated);
    refused(ask(Some("0123456789abcdef0123456789abcdef")), Code::InvalidArgument);
    refused(ask(Some("bearer 0123456789abcdef0123456789abcdef")), Code::InvalidArgument);
    refused(ask(Some("Bearer other")), Code::PermissionDenied);
    ask(Some(BEARER)).expect("the right one");
    refused(call::<_, Empty>(&server, "NoSuchCall", Some(BEARER), Empty {}), Code::Unimplemented);
}

#[test]
fn wishes_that_make_no_sense() {
    let server = Server::start(Config { lbs: 1, ..Config::default() }).unwrap();
    let wish = |request| {
        let rpc = "ReserveLoadBalancer";
        call::<_, ReserveLoadBalancerReply>(&server, rpc, Some(BEARER), request)
    };
    let until = |seconds| ReserveLoadBalancerRequest {
        until: Some(Timestamp { seconds, nanos: 0 }),
        ..Default::default()
    };
    refused(wish(until(0)), Code::InvalidArgument);
    refused(wish(until(1_000_000_000)), Code::InvalidArgument);
    refused(wish(until(-5)), Code::InvalidArgument);
    let named = |name: &str| ReserveLoadBalancerRequest { name: name.into(), ..Default::default() };
    refused(wish(named("-")), Code::InvalidArgument);
    let strategy = ReserveLoadBalancerRequest { strategy: "best".into(), ..Default::default() };
    refused(wish(strategy), Code::Internal);
    // One bad sender, and the load balancer stays reserved.
    let senders = vec!["10.0.0.1".into(), "nobody".into()];
    let bad = ReserveLoadBalancerRequest { sender_addresses: senders, ..Default::default() };
    refused(wish(bad), Code::InvalidArgument);
    refused(wish(named("")), Code::ResourceExhausted);
    let get = |lb_id: &str| GetLoadBalancerRequest { lb_id: lb_id.into() };
    let get =
        |id| call::<_, ReserveLoadBalancerReply>(&server, "GetLoadBalancer", Some(BEARER), get(id));
    refused(get("one"), Code::InvalidArgument);
    refused(get("99"), Code::Internal);
    get("1").expect("it is there");
}

/// Without a time, a state is from 1970: the worker is gone once it is judged.
#[test]
fn a_state_without_a_time() {
    let server = server();
    let lb = client(&server);
    lb.reserve(&Reserve::new("lb")).unwrap();
    let session = lb.register(None, &node("timeless")).unwrap();
    let request = SendStateRequest { session_id: session.id, is_ready: true, ..Default::default() };
    call::<_, Empty>(&server, "SendState", Some(BEARER), request).expect("it is taken");
    server.advance(Duration::from_secs(4));
    assert_eq!(lb.status(None).unwrap().workers.len(), 1);
    server.advance(Duration::from_secs(3));
    assert!(lb.status(None).unwrap().workers.is_empty());
}

/// One of no weight stops a real server's rules; here it is its own loss.
#[test]
fn a_worker_without_weight() {
    let server = server();
    let lb = client(&server);
    let lb_id = lb.reserve(&Reserve::new("lb")).unwrap().lb_id;
    let request = RegisterRequest {
        lb_id,
        name: "light".into(),
        ip_address: "10.0.0.1".into(),
        ..Default::default()
    };
    call::<_, RegisterReply>(&server, "Register", Some(BEARER), request).expect("it is taken");
    server.tick();
    assert_eq!(lb.status(None).unwrap().workers.len(), 1, "the server goes on");
}
