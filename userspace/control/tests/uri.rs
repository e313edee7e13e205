//! How URIs are written, what is none beyond the rows of `data-plane.md`
//! §2.11, and where they come from.

use std::{fs, net::SocketAddr};

use xdpsar_control::{EjfatUri, Endpoint, Token, TokenKind, UriErrorKind};

const HEAD: &str = "ejfat://token@127.0.0.1:18020";

fn uri(text: &str) -> EjfatUri {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn shown(endpoint: Option<&Endpoint>) -> String {
    endpoint.map(ToString::to_string).unwrap_or_default()
}

#[track_caller]
fn refused(text: &str, because: &str) {
    let error = text.parse::<EjfatUri>().expect_err(text);
    assert_eq!(error.kind, UriErrorKind::Bad, "{error}");
    assert!(error.to_string().contains(because), "{text}: {error}");
}

/// Ways to write one that come back byte for byte.
#[test]
fn round_trips() {
    for text in [
        "ejfat://token@192.188.29.6:18020/lb/36?sync=192.188.29.6:19020&data=192.188.29.20",
        "ejfat://token@192.188.29.6:18020/",
        "ejfat://token@192.188.29.6:18020/?sync=192.188.29.6:19020",
        "ejfat://192.188.29.6:18020/lb/36?sync=192.188.29.6:19020",
        "ejfat://[2001:4860:0:2001::68]:18020/lb/36?sync=[2001:4860:0:2031::68]:19020&data=[2001:4860:0:2021::68]",
        "ejfats://ejfat-lb.es.net:18020/lb/36?sync=192.188.29.6:19020",
        "ejfats://localhost:18020/lb/36?sync=192.188.29.6:19020&sessionid=mysessionid",
        "ejfat://192.188.29.6:18020/lb/36?data=192.188.29.6:19020",
        "ejfats://89f9@127.0.0.1:18008/lb/17?sync=192.188.29.6:19010&data=192.188.29.10&data=[2001:400:a300::10]:10000",
        "ejfat://t@h:1/lb/1?sync=192.0.2.1:19531&sync=[2001:db8::1]:19531&data=192.0.2.1:16384-32767&data=[2001:db8::1]:16384-32767",
        "ejfat://t@h:443/lb/1?sessionid=abc",
        "ejfat://user:pass@127.0.0.1:18020/lb/my%20lb",
        "ejfat://a%40b%2Fc@127.0.0.1:18020/lb/1",
        "ejfat://[::1%25eth0]:18020/lb/1?data=[fe80::1%25eth0]:10000",
        "ejfat://token@127.0.0.1:65535/lb/1?data=[::ffff:10.0.0.1]:10000",
    ] {
        assert_eq!(uri(text).reveal(), text);
    }
}

/// Others that mean the same.
#[test]
fn other_spellings() {
    for (text, same) in [
        ("ejfat://h:1", "ejfat://h:1/"),
        ("EJFAT://h:1/lb/1", "ejfat://h:1/lb/1"),
        (" ejfat://h:1/lb/1\r\n", "ejfat://h:1/lb/1"),
        ("ejfat://@h:1/lb/1", "ejfat://h:1/lb/1"),
        ("ejfat://h:1/lb/1#fragment", "ejfat://h:1/lb/1"),
        ("ejfat://h:1/lb/36/", "ejfat://h:1/lb/36"),
        ("ejfat://h:1/lb/", "ejfat://h:1/"),
        ("ejfat://h:1/lb", "ejfat://h:1/"),
        ("ejfat://h:1/id/5/?sync=10.0.0.1:19010", "ejfat://h:1/?sync=10.0.0.1:19010"),
        ("ejfat://h:1/?", "ejfat://h:1/"),
        ("ejfat://h:1/?data=10.0.0.1&&", "ejfat://h:1/?data=10.0.0.1"),
        ("ejfat://h:1/?data=10.0.0.1:19522", "ejfat://h:1/?data=10.0.0.1"),
        ("ejfat://h:1/?data=10.0.0.1%3A10000", "ejfat://h:1/?data=10.0.0.1:10000"),
        ("ejfat://h:1/?data=%5Bfd00::1%5D", "ejfat://h:1/?data=[fd00::1]"),
        ("ejfat://h:1/?data=2001:db8::1", "ejfat://h:1/?data=[2001:db8::1]"),
        ("ejfat://h:1/?data=2001:db8::2:5000", "ejfat://h:1/?data=[2001:db8::2:5000]"),
        ("ejfat://h:1/?data=1:2:3:4:5:6:7:8:900", "ejfat://h:1/?data=[1:2:3:4:5:6:7:8]:900"),
        ("ejfat://h:1/?data=10.0.0.1:1&data=10.0.0.2", "ejfat://h:1/?data=10.0.0.2"),
        ("ejfat://h:1/?sync=10.0.0.1:1&sync=10.0.0.1:2", "ejfat://h:1/?sync=10.0.0.1:2"),
        ("ejfat://h:1/?sessionid=a%20b+c", "ejfat://h:1/?sessionid=a%20b%20c"),
        ("ejfat://h:1/?sync=10.0.0.1:80", "ejfat://h:1/?sync=10.0.0.1:80"),
    ] {
        assert_eq!(uri(text), uri(same), "{text}");
        assert_eq!(uri(text).reveal(), same);
    }
}

#[test]
fn what_is_no_uri() {
    for (tail, because) in [
        ("/lb/1?sync=10.0.0.1:0", "from 1 to 65535"),
        ("/lb/1?sync=10.0.0.1:%2B200", "from 1 to 65535"),
        ("/lb/1?sync=10.0.0.1:1-2", "from 1 to 65535"),
        ("/lb/1?data=10.0.0.1:9-3", "before its first"),
        ("/lb/1?data=[fe80::1%25]", "no IPv6 address"),
        ("/lb/%f", "is not /lb/id"),
        ("/lb/1/2", "is not /lb/id"),
        ("/lb/a b", "character 35"),
        ("/lb/ä", "character 34"),
    ] {
        refused(&format!("{HEAD}{tail}"), because);
    }
    for (text, because) in [
        ("ejfat://token@fd00::1:18020", "no brackets"),
        ("ejfat://token@[fd00::1:18020", "no address"),
        ("ejfat://token@[fd00::1]18020", "no port"),
        ("ejfat://token@-a..b:1", "neither a name nor an address"),
        ("ejfat://token%zz@h:1", "a % without a byte"),
        ("ejfat://token%ff@h:1", "a % without a byte"),
    ] {
        refused(text, because);
    }
    let error = " \n".parse::<EjfatUri>().unwrap_err();
    assert_eq!(error.kind, UriErrorKind::Empty);
}

/// Not even where the text is broken in the midst of one.
#[test]
fn errors_hide_tokens() {
    for text in [
        "ejfat://se/cret@127.0.0.1:18020",
        "ejfat://se?cret@127.0.0.1:18020",
        "ejfat://cret:cret@cret@:",
        "ejfat:cret@127.0.0.1:18020",
        "ejfat://cret\u{0}@127.0.0.1:18020",
        "ejfat://h:1/cret?data=cret@",
    ] {
        let error = text.parse::<EjfatUri>().unwrap_err().to_string();
        assert!(!error.contains("cret"), "{text:?}: {error}");
    }
}

#[test]
fn tokens() {
    let uri = EjfatUri::parse(HEAD, TokenKind::Instance).unwrap();
    let reveal = |uri: &EjfatUri, kind| uri.token_for(kind).map(|token| token.reveal().to_owned());
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(reveal(&uri, TokenKind::Session), some("token"));
    assert_eq!(reveal(&uri, TokenKind::Admin), None);
    let uri = uri.with_token(TokenKind::Admin, Token::new("root"));
    assert_eq!(reveal(&uri, TokenKind::All), some("root"));
    assert_eq!(reveal(&uri, TokenKind::Instance), some("token"));
    assert_eq!(uri.reveal(), format!("{HEAD}/"));
    assert_eq!(uri.reveal_with(TokenKind::Admin), "ejfat://root@127.0.0.1:18020/");
    assert_eq!(uri.reveal_with(TokenKind::Session), "ejfat://127.0.0.1:18020/");
    assert_eq!(uri.to_string(), "ejfat://***@127.0.0.1:18020/");
    let debug = format!("{uri:?}");
    assert!(!debug.contains("root") && !debug.contains("token@"), "{debug}");
    assert_eq!(Token::new(""), None);
}

#[test]
fn families() {
    let both = "ejfat://h:1/?sync=1.1.1.1:5&sync=[::1]:6&data=1.1.1.1:7-9&data=[::1]";
    let uri = uri(both);
    assert_eq!(shown(uri.data()), "1.1.1.1:7-9");
    assert_eq!(uri.data_addr().unwrap(), "1.1.1.1:7".parse::<SocketAddr>().unwrap());
    let uri = uri.with_prefer_v6(true);
    assert_eq!(shown(uri.data()), "[::1]:19522");
    assert_eq!(uri.sync_addr().unwrap(), "[::1]:6".parse::<SocketAddr>().unwrap());
    let uri = uri.without_data(true).without_sync(true).without_sync(false);
    assert_eq!(shown(uri.data()), "1.1.1.1:7-9");
    let error = uri.sync_addr().unwrap_err();
    assert_eq!(error.kind, UriErrorKind::Missing);
    assert!(error.to_string().contains("add sync=ip:port"), "{error}");
}

#[test]
fn resolves_on_demand() {
    let local = uri("ejfat://localhost:18020");
    assert!(local.resolve().unwrap().iter().all(|address| address.ip().is_loopback()));
    assert_eq!(
        uri("ejfat://[fd00::1]:5").resolve().unwrap(),
        ["[fd00::1]:5".parse::<SocketAddr>().unwrap()]
    );
    let nobody = uri("ejfat://token@nobody.invalid:18020").resolve().unwrap_err();
    assert_eq!(nobody.kind, UriErrorKind::Unresolved);
    let zone = uri("ejfat://h:1/?data=[fe80::1%25lo]:7").data_addr();
    let Ok(SocketAddr::V6(zone)) = zone else { panic!("{zone:?}") };
    assert_eq!(zone.scope_id(), 1);
    let no_zone = uri("ejfat://h:1/?data=[fe80::1%25nosuchlink]:7").data_addr().unwrap_err();
    assert_eq!(no_zone.kind, UriErrorKind::Unresolved);
}

#[test]
fn files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("uri");
    let from = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        EjfatUri::from_file(&path, TokenKind::Admin)
    };
    let wanted = uri("ejfat://token@h:1/lb/1");
    for content in [
        "ejfat://token@h:1/lb/1\nsecond line\n",
        "ejfat://token@h:1/lb/1\r\n",
        "\n# a comment\n  ejfat://token@h:1/lb/1",
        "export EJFAT_URI='ejfat://token@h:1/lb/1'\n",
        "EJFAT_URI=\"ejfat://token@h:1/lb/1\"\n",
    ] {
        assert_eq!(from(content.as_bytes()).unwrap(), wanted, "{content}");
    }
    let with_query = uri("ejfat://h:1/?data=1.1.1.1");
    assert_eq!(from(b"ejfat://h:1/?data=1.1.1.1").unwrap(), with_query);
    assert_eq!(from(b"").unwrap_err().kind, UriErrorKind::Empty);
    assert_eq!(from(b"\n \n").unwrap_err().kind, UriErrorKind::Empty);
    assert_eq!(from(b"no uri").unwrap_err().kind, UriErrorKind::Bad);
    assert_eq!(from(b"\xff\xfe").unwrap_err().kind, UriErrorKind::Bad);
    for missing in [dir.path().join("missing"), dir.path().to_owned()] {
        let error = EjfatUri::from_file(&missing, TokenKind::Admin).unwrap_err();
        assert_eq!(error.kind, UriErrorKind::NotFound, "{error}");
    }
    // As long as it likes.
    let endless = EjfatUri::from_file("/dev/zero".as_ref(), TokenKind::Admin).unwrap_err();
    assert_eq!(endless.kind, UriErrorKind::Bad);
}

#[test]
fn environment() {
    let uri = |name| EjfatUri::from_env(name, TokenKind::Admin);
    for name in ["XDPSAR_NO_SUCH_VARIABLE", "", "a=b", "a\0b"] {
        let error = uri(name).unwrap_err();
        assert_eq!(error.kind, UriErrorKind::NotSet, "{error}");
    }
    // One that cargo sets.
    let error = uri("CARGO_PKG_NAME").unwrap_err();
    assert_eq!(error.kind, UriErrorKind::Bad);
    assert!(error.asked.contains("CARGO_PKG_NAME"), "{error}");
}
