//! The table of `data-plane.md` §2.11, row by row: column NEW.

use std::collections::BTreeSet;

use xdpsar_control::{EjfatUri, Endpoint, UriErrorKind};

/// `…` of the table.
const HEAD: &str = "ejfat://token@127.0.0.1:18020";

/// What a URI says, in a line: only what there is.
fn said(uri: &EjfatUri) -> String {
    let endpoint = |to: Option<&Endpoint>| to.map(ToString::to_string);
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let token = uri.token_for(Default::default()).map(|token| token.reveal().to_owned());
    let parts = [
        ("tls", uri.tls().then(|| "yes".to_owned())),
        ("token", token),
        ("host", Some(format!("{} {}", uri.host(), uri.port()))),
        ("lb", text(uri.lb_id())),
        ("sync4", endpoint(uri.sync_of(false))),
        ("sync6", endpoint(uri.sync_of(true))),
        ("data4", endpoint(uri.data_of(false))),
        ("data6", endpoint(uri.data_of(true))),
        ("session", text(uri.session_id())),
    ];
    let parts = parts.into_iter().filter_map(|(name, part)| Some(format!("{name}={}", part?)));
    parts.collect::<Vec<_>>().join(", ")
}

/// Rows that are URIs, with what they say.
#[rustfmt::skip]
const URIS: &[(u8, &str, &str)] = &[
    (1, "ejfat://token@192.188.29.6:18020/lb/36?sync=192.188.29.6:19020&data=192.188.29.20",
        "token=token, host=192.188.29.6 18020, lb=36, sync4=192.188.29.6:19020, data4=192.188.29.20:19522"),
    (3, "ejfat://token@192.188.29.6:18020/lb/36?sync=192.188.29.6:19020",
        "token=token, host=192.188.29.6 18020, lb=36, sync4=192.188.29.6:19020"),
    (4, "ejfat://token@192.188.29.6:18020/lb/36", "token=token, host=192.188.29.6 18020, lb=36"),
    (5, "ejfat://token@192.188.29.6:18020/", "token=token, host=192.188.29.6 18020"),
    (6, "ejfat://token@192.188.29.6:18020", "token=token, host=192.188.29.6 18020"),
    (7, "ejfat://token@192.188.29.6:18020/?sync=192.188.29.6:19020",
        "token=token, host=192.188.29.6 18020, sync4=192.188.29.6:19020"),
    (8, "ejfat://token@192.188.29.6:18020/lb/36?data=192.188.29.20",
        "token=token, host=192.188.29.6 18020, lb=36, data4=192.188.29.20:19522"),
    (9, "ejfat://192.188.29.6:18020/lb/36?sync=192.188.29.6:19020",
        "host=192.188.29.6 18020, lb=36, sync4=192.188.29.6:19020"),
    (10, "ejfat://[2001:4860:0:2001::68]:18020/lb/36?data=[2001:4860:0:2021::68]&sync=[2001:4860:0:2031::68]:19020",
        "host=2001:4860:0:2001::68 18020, lb=36, sync6=[2001:4860:0:2031::68]:19020, data6=[2001:4860:0:2021::68]:19522"),
    (10, "ejfat://[2001:4860:0:2001::68]:18020/lb/36?data=%5B2001:4860:0:2021::68%5D",
        "host=2001:4860:0:2001::68 18020, lb=36, data6=[2001:4860:0:2021::68]:19522"),
    (11, "ejfats://192.188.29.6:18020/lb/36?sync=192.188.29.6:19020",
        "tls=yes, host=192.188.29.6 18020, lb=36, sync4=192.188.29.6:19020"),
    (12, "ejfats://ejfat-lb.es.net:18020/lb/36?sync=192.188.29.6:19020",
        "tls=yes, host=ejfat-lb.es.net 18020, lb=36, sync4=192.188.29.6:19020"),
    (13, "ejfats://localhost:18020/lb/36?sync=192.188.29.6:19020&sessionid=mysessionid",
        "tls=yes, host=localhost 18020, lb=36, sync4=192.188.29.6:19020, session=mysessionid"),
    (14, "ejfat://192.188.29.6:18020/lb/36?data=192.188.29.6:19020",
        "host=192.188.29.6 18020, lb=36, data4=192.188.29.6:19020"),
    // A port belongs to its own family.
    (15, "ejfats://89f9afdb6972597@127.0.0.1:18008/lb/17?sync=192.188.29.6:19010&data=192.188.29.10&data=[2001:400:a300::10]:10000",
        "tls=yes, token=89f9afdb6972597, host=127.0.0.1 18008, lb=17, sync4=192.188.29.6:19010, data4=192.188.29.10:19522, data6=[2001:400:a300::10]:10000"),
    (16, "ejfats://89f9afdb6972597@127.0.0.1:18008/lb/17?sync=192.188.29.6:19010&data=192.188.29.10:10000&data=[2001:400:a300::10]",
        "tls=yes, token=89f9afdb6972597, host=127.0.0.1 18008, lb=17, sync4=192.188.29.6:19010, data4=192.188.29.10:10000, data6=[2001:400:a300::10]:19522"),
    (17, "…/lb/1?data=10.0.0.1&data=10.0.0.2", "…, lb=1, data4=10.0.0.2:19522"),
    (18, "…/lb/1?sync=10.0.0.1:19010&sync=10.0.0.2:19020", "…, lb=1, sync4=10.0.0.2:19020"),
    (19, "…/lb/1?sync=192.0.2.1:19531&sync=[2001:db8::1]:19531&data=192.0.2.1:16384-32767&data=[2001:db8::1]:16384-32767",
        "…, lb=1, sync4=192.0.2.1:19531, sync6=[2001:db8::1]:19531, data4=192.0.2.1:16384-32767, data6=[2001:db8::1]:16384-32767"),
    // A port below 1024 is one like any other.
    (21, "…/lb/1?sync=10.0.0.1:80", "…, lb=1, sync4=10.0.0.1:80"),
    (22, "…/lb/1?sync=10.0.0.1:1024", "…, lb=1, sync4=10.0.0.1:1024"),
    (28, "…/lb/1?data=2001:db8::1", "…, lb=1, data6=[2001:db8::1]:19522"),
    // The whole is an address: it is read as one.
    (29, "…/lb/1?data=2001:db8::2:5000", "…, lb=1, data6=[2001:db8::2:5000]:19522"),
    (31, "…/lb/1?", "…, lb=1"),
    (35, "…/lb/1?sessionid=abc", "…, lb=1, session=abc"),
    (36, "…/lb/1?sessionid=a%20b+c", "…, lb=1, session=a b c"),
    (37, "…/lb/1?data=10.0.0.1%3A10000", "…, lb=1, data4=10.0.0.1:10000"),
    (39, "…/lb/1?data=[::ffff:10.0.0.1]:10000", "…, lb=1, data6=[::ffff:10.0.0.1]:10000"),
    (40, "…/lb/1?data=[fe80::1%25eth0]:10000", "…, lb=1, data6=[fe80::1%25eth0]:10000"),
    (43, "ejfat://token@127.0.0.1:443/lb/1", "token=token, host=127.0.0.1 443, lb=1"),
    (44, "ejfat://token@127.0.0.1:1024/lb/1", "token=token, host=127.0.0.1 1024, lb=1"),
    (44, "ejfat://token@127.0.0.1:65535/lb/1", "token=token, host=127.0.0.1 65535, lb=1"),
    (47, "ejfat://token@nosuchhost.invalid:18020/lb/1", "token=token, host=nosuchhost.invalid 18020, lb=1"),
    (48, "ejfat://user:pass@127.0.0.1:18020/lb/1", "token=user:pass, host=127.0.0.1 18020, lb=1"),
    (49, "ejfat://a%40b%2Fc@127.0.0.1:18020/lb/1", "token=a@b/c, host=127.0.0.1 18020, lb=1"),
    (50, "ejfat://@127.0.0.1:18020/lb/1", "host=127.0.0.1 18020, lb=1"),
    (51, "…/lb/", "…"),
    (51, "…/lb/36/", "…, lb=36"),
    (52, "…/lb", "…"),
    (54, "…/id/5/?sync=10.0.0.1:19010", "…, sync4=10.0.0.1:19010"),
    (55, "…/lb/my%20lb", "…, lb=my lb"),
    (56, "EJFAT://token@127.0.0.1:18020/lb/1", "…, lb=1"),
    (58, "  ejfat://token@127.0.0.1:18020/lb/1\r\n", "…, lb=1"),
    (59, "…/lb/1#frag", "…, lb=1"),
    (60, "ejfat://token@[::1%25eth0]:18020/lb/1", "token=token, host=::1%eth0 18020, lb=1"),
];

/// Rows that are none, with the reason.
#[rustfmt::skip]
const REFUSED: &[(u8, &str, &str)] = &[
    (2, "ejfact://token@192.188.29.6:18020/lb/36?sync=192.188.29.6:19020", "ejfat://"),
    (20, "…/lb/1?sync=10.0.0.1", "no port"),
    (23, "…/lb/1?sync=10.0.0.1:70000", "from 1 to 65535"),
    (24, "…/lb/1?sync=10.0.0.1:65536", "from 1 to 65535"),
    (25, "…/lb/1?sync=10.0.0.1:-1", "from 1 to 65535"),
    (26, "…/lb/1?sync=10.0.0.1:19010abc", "from 1 to 65535"),
    (27, "…/lb/1?sync=10.0.0.1:abc", "from 1 to 65535"),
    (27, "…/lb/1?sync=10.0.0.1:", "from 1 to 65535"),
    (30, "…/lb/1?data=myhost.example.org", "no IP address"),
    (31, "…/lb/1?data=", "no IP address"),
    (31, "…/lb/1?data", "no IP address"),
    (31, "…/lb/1?a=1&&b", "no such parameter"),
    (32, "…/lb/1?foo=bar", "no such parameter"),
    (33, "…/lb/1?foo=10.0.0.1", "no such parameter"),
    (34, "…/lb/1?SYNC=10.0.0.1:19010", "no such parameter"),
    (38, "…/lb/1?data=[10.0.0.1]:10000", "no IPv6 address"),
    (41, "…/lb/1?data=[2001:db8::1:10000", "not closed"),
    (42, "ejfat://token@127.0.0.1/lb/1", "no port"),
    (42, "ejfat://token@127.0.0.1:/lb/1", "from 1 to 65535"),
    (45, "ejfat://token@127.0.0.1:70000/lb/1", "from 1 to 65535"),
    (46, "ejfat://token@127.0.0.1:99999999999/lb/1", "from 1 to 65535"),
    (53, "…/foo/bar", "is not /lb/id"),
    (53, "…/a/b/c/d", "is not /lb/id"),
    (57, "ejfat:/127.0.0.1:18020/lb/1", "ejfat://"),
    (57, "ejfat:127.0.0.1:18020", "ejfat://"),
    (57, "http://127.0.0.1:18020", "ejfat://"),
    (61, "ejfat://token@127.1:18020/lb/1", "looks like an IPv4"),
    (61, "ejfat://token@0177.0.0.1:18020/lb/1", "looks like an IPv4"),
];

#[test]
fn rows_that_are_uris() {
    for (row, text, says) in URIS {
        let text = text.replace('…', HEAD);
        let uri: EjfatUri = text.parse().unwrap_or_else(|error| panic!("{row}: {error}"));
        assert_eq!(said(&uri), says.replace('…', "token=token, host=127.0.0.1 18020"), "row {row}");
        assert_eq!(uri.reveal().parse(), Ok(uri), "row {row} does not come back");
    }
}

#[test]
fn rows_that_are_none() {
    for (row, text, because) in REFUSED {
        let text = text.replace('…', HEAD);
        let error = text.parse::<EjfatUri>().expect_err(&text);
        assert_eq!(error.kind, UriErrorKind::Bad, "row {row}: {error}");
        assert!(error.to_string().contains(because), "row {row}: {error}");
    }
    let empty = "".parse::<EjfatUri>().expect_err("row 57");
    assert_eq!(empty.kind, UriErrorKind::Empty, "{empty}");
}

#[test]
fn no_row_is_missing() {
    let rows: BTreeSet<u8> = URIS.iter().chain(REFUSED).map(|(row, ..)| *row).collect();
    assert!(rows.into_iter().eq(1..=61));
}
