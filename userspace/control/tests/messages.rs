//! What is on the wire, byte by byte (`control-plane.md` §4).
#![cfg(feature = "client")]

use prost::Message;
use xdpsar_control::message::{
    Empty, FloatSample, FloatTimeseries, IntegerSample, IntegerTimeseries, RegisterRequest,
    ReserveLoadBalancerReply, ReserveLoadBalancerRequest, Samples, Selector, SendStateRequest,
    SlotRange, Struct, Timeseries, Timestamp, TokenDetails, TokenRequest, TokenSelector, Value,
    ValueKind, WorkerStatus,
};

fn same<M: Message + Default + PartialEq>(message: &M, bytes: &[u8]) {
    assert_eq!(message.encode_to_vec(), bytes);
    assert!(M::decode(bytes).expect("a message") == *message);
}

/// Nothing set is nothing sent.
#[test]
fn zeros_are_absent() {
    same(&Empty {}, &[]);
    same(&ReserveLoadBalancerReply::default(), &[]);
    same(&WorkerStatus::default(), &[]);
}

#[test]
fn a_wish() {
    let until = Some(Timestamp { seconds: 1, nanos: 2 });
    let wish = ReserveLoadBalancerRequest {
        name: "lb".into(),
        until,
        sender_addresses: vec!["a".into(), "b".into()],
        ip_family: 2,
        strategy: "s".into(),
    };
    let bytes = [
        0x12, 2, b'l', b'b', // 2: name
        0x22, 4, 8, 1, 16, 2, // 4: until
        0x2a, 1, b'a', 0x2a, 1, b'b', // 5: senders
        0x30, 2, // 6: family
        0x52, 1, b's', // 10: strategy
    ];
    same(&wish, &bytes);
}

#[test]
fn a_state() {
    let state = SendStateRequest {
        session_id: "S".into(),
        lb_id: "L".into(),
        timestamp: Some(Timestamp { seconds: 0, nanos: 0 }),
        fill_percent: 1.0,
        control_signal: -2.0,
        is_ready: true,
        total_events_recv: -1,
        total_packets_recv: 300,
        ..SendStateRequest::default()
    };
    let bytes = [
        0x12, 1, b'S', 0x1a, 1, b'L', // 2: session, 3: load balancer
        0x22, 0, // 4: a time that is set, to nothing
        0x2d, 0, 0, 0x80, 0x3f, 0x35, 0, 0, 0, 0xc0, // 5, 6: floats
        0x38, 1, // 7: ready
        0x40, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, // 8
        0x70, 0xac, 2, // 14
    ];
    same(&state, &bytes);
}

#[test]
fn a_worker() {
    let worker = RegisterRequest {
        keep_lb_header: true,
        slot_demands: vec![SlotRange { index: -1, length: 7 }],
        ..RegisterRequest::default()
    };
    let all_ones = [0xff; 9];
    let bytes = [&[0x50, 1, 0x62, 13, 8][..], &all_ones[..], &[1, 16, 7][..]].concat();
    same(&worker, &bytes);
    let known = WorkerStatus { total_packets_recv: 1, session_id: 9, ..WorkerStatus::default() };
    same(&known, &[0x90, 1, 1, 0xb0, 1, 9]);
}

/// Floats stand in field 4 of their series and of the message around it,
/// integers in 1 and 3.
#[test]
fn series() {
    let data = vec![FloatSample { timestamp: 1, value: 1.0, meta: None }];
    let floats = Timeseries {
        samples: Some(Samples::Float(FloatTimeseries { data })),
        ..Timeseries::default()
    };
    same(&floats, &[0x22, 9, 0x22, 7, 8, 1, 0x15, 0, 0, 0x80, 0x3f]);
    let data = vec![IntegerSample { timestamp: 1, value: 2, meta: None }];
    let integers = Timeseries {
        samples: Some(Samples::Integer(IntegerTimeseries { data })),
        ..Timeseries::default()
    };
    same(&integers, &[0x1a, 6, 10, 4, 8, 1, 16, 2]);
}

/// The calling token is number 0, which is sent, unlike other zeros.
#[test]
fn selectors() {
    let request = |selector| TokenRequest { target: Some(TokenSelector { selector }) };
    same(&request(Some(Selector::Id(0))), &[10, 2, 8, 0]);
    same(&request(Some(Selector::Token("t".into()))), &[10, 3, 18, 1, b't']);
    same(&request(None), &[10, 0]);
}

#[test]
fn details_of_any_kind() {
    let value = Value { kind: Some(ValueKind::Number(1.0)) };
    let details = Struct { fields: [("k".to_owned(), value)].into() };
    same(&details, &[10, 14, 10, 1, b'k', 18, 9, 17, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
}

/// A newer server's fields and numbers do not matter.
#[test]
fn what_is_not_known() {
    let bytes = [0x20, 5, 0xfa, 7, 2, b'h', b'i', 10, 1, b'n'];
    let details = TokenDetails::decode(&bytes[..]).expect("a message");
    assert_eq!((details.id, details.name.as_str()), (5, "n"));
    let worker = WorkerStatus::decode(&[0x40, 99][..]).expect("a message");
    assert_eq!(worker.port_range, 99);
}

/// The wrong type in a known field, and a message that is cut off, are
/// errors.
#[test]
fn what_is_wrong() {
    assert!(TokenDetails::decode(&[0x08, 1][..]).is_err());
    assert!(TokenDetails::decode(&[10, 5, b'n'][..]).is_err());
}

/// There may be a token in it.
#[test]
fn debug_shows_nothing() {
    let reply = ReserveLoadBalancerReply { token: "secret".into(), ..Default::default() };
    assert_eq!(format!("{reply:?}"), "ReserveLoadBalancerReply");
}
