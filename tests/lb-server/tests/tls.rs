//! Whom clients believe, and what they say of others (`control-plane.md`
//! §6).

mod common;

use common::{PATIENCE, uri};
use xdpsar_control::{
    Certificates, Error, ErrorKind, Family, Options, RpcCode, Trust, blocking::LoadBalancer,
};
use xdpsar_lb_server::{Config, Identity, Server};

fn server(identity: &Identity) -> Server {
    Server::start(Config { tls: Some(identity.clone()), ..Config::default() }).expect("a server")
}

fn trusting(pem: &str) -> Trust {
    Trust::Certificates(Certificates::from_pem(pem).expect("certificates"))
}

fn ask(server: &Server, host: Option<&str>, trust: Trust, name: Option<&str>) -> Result<(), Error> {
    let options = Options {
        trust,
        server_name: name.map(str::to_owned),
        timeout: PATIENCE,
        connect_timeout: PATIENCE,
        ..Options::default()
    };
    LoadBalancer::new(uri(&server.uri(host)), &options)?.version().map(drop)
}

#[track_caller]
fn refused(outcome: Result<(), Error>, because: &str) {
    let error = outcome.expect_err(because);
    assert_eq!(error.code, Some(RpcCode::Unavailable), "{error}");
    assert!(error.found.contains(because), "{error}");
    assert!(!error.remedy.is_empty() && !error.remedy.contains("later"), "{error}");
}

#[test]
fn by_an_authority() {
    let identity = Identity::signed(&["localhost", "lb.example"]);
    let server = server(&identity);
    let trust = || trusting(&identity.authority);
    ask(&server, Some("localhost"), trust(), None).expect("its name");
    refused(ask(&server, None, trust(), None), "not for 127.0.0.1");
    let named = ask(&server, None, trust(), None).expect_err("an address");
    assert!(named.found.contains("localhost") && named.found.contains("lb.example"), "{named}");
    ask(&server, None, trust(), Some("lb.example")).expect("a name that was said");
    refused(
        ask(&server, Some("localhost"), trust(), Some("other.example")),
        "not for other.example",
    );
    ask(&server, None, Trust::NoVerify, None).expect("anybody");
    let other = Identity::signed(&["localhost"]);
    refused(ask(&server, Some("localhost"), trusting(&other.authority), None), "no authority");
    ask(&server, None, trusting(&identity.certificate), None).expect("this very certificate");
}

#[test]
fn of_an_address() {
    let identity = Identity::signed(&["127.0.0.1"]);
    ask(&server(&identity), None, trusting(&identity.authority), None).expect("an address");
}

/// What `openssl req -x509` makes: signed by itself, an authority, nameless.
#[test]
fn of_a_laboratory() {
    let identity = Identity::laboratory("lb in the cellar");
    let server = server(&identity);
    ask(&server, Some("localhost"), trusting(&identity.certificate), None).expect("pinned");
    ask(&server, None, trusting(&identity.certificate), None).expect("pinned, by address");
    let other = Identity::laboratory("lb in the cellar");
    let both = format!("{}{}", other.certificate, identity.certificate);
    ask(&server, None, trusting(&both), None).expect("one of two");
    let error = ask(&server, None, trusting(&other.certificate), None).expect_err("another one");
    assert!(error.found.contains("certificate"), "{error}");
    ask(&server, None, Trust::NoVerify, None).expect("anybody");
}

#[test]
fn whose_time_is_over() {
    let signed = Identity::expired(&["localhost"]);
    let of = server(&signed);
    refused(ask(&of, Some("localhost"), trusting(&signed.authority), None), "has expired");
    refused(ask(&of, Some("localhost"), trusting(&signed.certificate), None), "has expired");
    let own = Identity::expired_laboratory("lb in the cellar");
    refused(ask(&server(&own), None, trusting(&own.certificate), None), "has expired");
}

/// The authorities that this host knows do not know our server; there may
/// be none at all.
#[test]
fn by_the_systems_authorities() {
    let server = server(&Identity::signed(&["localhost"]));
    let error = ask(&server, Some("localhost"), Trust::System, None).expect_err("unknown");
    match error.kind {
        ErrorKind::NotFound => assert!(error.remedy.contains("ca-certificates"), "{error}"),
        _ => assert!(error.found.contains("no authority"), "{error}"),
    }
}

#[test]
fn one_side_speaks_tls() {
    let plain = common::server();
    let text = plain.uri(None).replace("ejfat://", "ejfats://");
    let options = Options { trust: Trust::NoVerify, timeout: PATIENCE, ..Options::default() };
    let error = LoadBalancer::new(uri(&text), &options).unwrap().version().expect_err("no TLS");
    assert!(error.remedy.contains("ejfat://"), "{error}");
    let secure = server(&Identity::signed(&["localhost"]));
    let text = secure.uri(None).replace("ejfats://", "ejfat://");
    let error = LoadBalancer::new(uri(&text), &options).unwrap().version().expect_err("TLS");
    assert_eq!(error.code, Some(RpcCode::Unavailable), "{error}");
    assert!(error.remedy.contains("ejfats://"), "{error}");
}

#[test]
fn certificates_that_are_none() {
    let none = Certificates::from_pem("hello").map(drop).expect_err("none");
    assert_eq!(none.kind, ErrorKind::Parse, "{none}");
    let damaged = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    assert_eq!(
        Certificates::from_pem(damaged).map(drop).expect_err("damaged").kind,
        ErrorKind::Parse
    );
    let absent = Certificates::from_file("/no/such/file").map(drop).expect_err("absent");
    assert_eq!(absent.kind, ErrorKind::NotFound, "{absent}");
}

/// By one family only, and still with a check of the name.
#[test]
fn by_one_family() {
    let identity = Identity::signed(&["localhost"]);
    let server = server(&identity);
    let by = |host, family| {
        let trust = trusting(&identity.authority);
        let options = Options { trust, family, timeout: PATIENCE, ..Options::default() };
        LoadBalancer::new(uri(&server.uri(host)), &options)?.version().map(drop)
    };
    by(Some("localhost"), Family::V4).expect("it listens there");
    refused(by(None, Family::V6), "no address of the family");
    refused(by(None, Family::V4), "not for 127.0.0.1");
}
