//! What crosses the wire is the specification's, and the same through every
//! backend.

use std::io::IoSlice;

use proptest::prelude::*;
use xdpsar_wire::LbVersion;

use super::*;

/// The vectors that were captured from the reference (`data-plane.md` §1.9).
#[test]
fn headers_are_those_of_the_reference() {
    for backend in BACKENDS {
        let (socket, to) = receiver("127.0.0.1:0");
        let mut sender = Sender::open(&config(to, 1500, backend)).unwrap();
        assert_eq!(sender.backend(), backend);

        // CAP-1, CAP-2
        let event = OutgoingEvent {
            event_number: 0,
            data_id: 4321,
            entropy: 0xfd97,
            tick: 1_795_244_877_222_629,
        };
        let zeros = vec![0; 3000];
        sender.send(&event, Payload::whole(&zeros)).unwrap();
        let datagrams: Vec<_> = (0..3).map(|_| next(&socket).0).collect();
        assert_eq!(
            hex(&datagrams[0][..36]),
            "4c4202010000fd97000660c4053112e5100010e10000000000000bb80000000000000000"
        );
        assert_eq!(
            hex(&datagrams[2][..36]),
            "4c4202010000fd97000660c4053112e5100010e100000b3800000bb80000000000000000"
        );
        assert_eq!(datagrams.iter().map(Vec::len).collect::<Vec<_>>(), [1472, 1472, 36 + 128]);

        // CAP-4
        let event = OutgoingEvent {
            event_number: 0,
            data_id: 0x0505,
            entropy: 0x6f20,
            tick: 0x0006_60c4_0ce8_afe5,
        };
        sender.send(&event, Payload::whole(&zeros[..100])).unwrap();
        assert_eq!(
            hex(&next(&socket).0[..36]),
            "4c42020100006f20000660c40ce8afe51000050500000000000000640000000000000000"
        );

        // PK-a
        let event = OutgoingEvent {
            event_number: 1,
            data_id: 4321,
            entropy: 0xfd97,
            tick: 1_795_244_877_222_629,
        };
        sender.send(&event, Payload::whole(b"ABCD")).unwrap();
        assert_eq!(
            hex(&next(&socket).0),
            "4c4202010000fd97000660c4053112e5100010e10000000000000004000000000000000141424344"
        );
    }
}

#[test]
fn headers_of_version_3_and_none_are_those_of_the_reference() {
    for backend in BACKENDS {
        let (socket, to) = receiver("127.0.0.1:0");
        // CAP-3, and PK-b, PK-c
        let event = OutgoingEvent {
            event_number: 0,
            data_id: 7,
            entropy: 0x86f8,
            tick: 1_795_244_939_378_405,
        };
        let v3 = SendConfig { lb: Some(LbVersion::V3), ..config(to, 1500, backend) };
        let mut sender = Sender::open(&v3).unwrap();
        sender.send(&event, Payload::whole(&[0; 2000])).unwrap();
        next(&socket);
        assert_eq!(
            hex(&next(&socket).0[..36]),
            "4c4203017ee586f8000660c408e57ee5100000070000059c000007d00000000000000000"
        );
        sender.send(&event, Payload::whole(b"ABCD")).unwrap();
        let pk_b =
            "4c4203017ee586f8000660c408e57ee5100000070000000000000004000000000000000041424344";
        assert_eq!(hex(&next(&socket).0), pk_b);
        let bare = SendConfig { lb: None, ..config(to, 1500, backend) };
        let mut sender = Sender::open(&bare).unwrap();
        assert_eq!(sender.max_payload(), 1452);
        sender.send(&event, Payload::whole(b"ABCD")).unwrap();
        assert_eq!(hex(&next(&socket).0), pk_b[32..]);
    }
}

/// The fragment table of `data-plane.md` §3.7, as it arrives.
#[test]
fn fragments_are_those_of_the_specification() {
    for backend in BACKENDS {
        for (address, mtu, length, count, expected) in [
            ("127.0.0.1:0", 1500, 3000, 3, &[(0, 1436), (1436, 1436), (2872, 128)][..]),
            ("[::1]:0", 1500, 3000, 3, &[(0, 1416), (1416, 1416), (2832, 168)]),
            ("127.0.0.1:0", 104, 66, 2, &[(0, 40), (40, 26)]),
            ("127.0.0.1:0", 80, 66, 5, &[(0, 16), (16, 16), (32, 16), (48, 16), (64, 2)]),
            ("127.0.0.1:0", 65, 3, 3, &[(0, 1), (1, 1), (2, 1)]),
            ("[::1]:0", 85, 3, 3, &[(0, 1), (1, 1), (2, 1)]),
            ("127.0.0.1:0", 1500, 1 << 20, 731, &[(1_048_280, 296)]),
            ("127.0.0.1:0", 9000, 1 << 20, 118, &[(1_045_512, 3064)]),
            ("127.0.0.1:0", 1500, 1436, 1, &[(0, 1436)]),
            ("127.0.0.1:0", 1500, 44 * 1436, 44, &[(43 * 1436, 1436)]),
            ("127.0.0.1:0", 1500, 44 * 1436 + 1, 45, &[(43 * 1436, 1436), (44 * 1436, 1)]),
        ] {
            let (socket, to) = receiver(address);
            let mut sender = Sender::open(&config(to, mtu, backend)).unwrap();
            let event = pattern(length);
            let arrived = through(&mut sender, &socket, Payload::whole(&event));
            let about = format!("{backend}, {length} bytes to {address} at MTU {mtu}");
            assert!(arrived.event == event, "{about}");
            assert_eq!(arrived.cuts.len(), count, "{about}");
            assert!(arrived.cuts.ends_with(expected), "{about}: {:?}", arrived.cuts);
            assert_eq!(sender.backend(), backend, "{about}: {}", sender.reason());
        }
    }
}

#[test]
fn an_event_of_more_than_1024_fragments_arrives_whole() {
    for (backend, address) in
        [(0, "127.0.0.1:0"), (1, "127.0.0.1:0"), (0, "[::1]:0"), (1, "[::1]:0")]
    {
        let (socket, to) = receiver(address);
        let event = pattern(3_000_000);
        let mut sender = Sender::open(&config(to, 1500, BACKENDS[backend])).unwrap();
        let arrived = through(&mut sender, &socket, Payload::whole(&event));
        assert!(arrived.event == event);
        let expected = event.len().div_ceil(sender.max_payload());
        assert!(expected > 2 * arena::MESSAGES && arrived.cuts.len() == expected);
        assert_eq!(arrived.source_ports.len(), 1, "one event, one flow");
        assert!(arrived.cuts.is_sorted(), "loopback keeps the order");
        let counters = sender.counters();
        assert_eq!(
            (counters.events, counters.fragments, counters.bytes, counters.failed),
            (1, expected as u64, 3_000_000, 0)
        );
    }
}

/// 69 638 fragments, which the 16-bit counts of the past would not hold.
#[test]
fn a_hundred_megabytes_arrive_whole() {
    for backend in BACKENDS {
        let (socket, to) = receiver("127.0.0.1:0");
        let event = pattern(100_000_000);
        let mut sender = Sender::open(&config(to, 1500, backend)).unwrap();
        let arrived = through(&mut sender, &socket, Payload::whole(&event));
        assert!(arrived.event == event);
        assert_eq!(arrived.cuts.len(), 69_638);
        assert_eq!(sender.counters().fragments, 69_638);
        assert_eq!(sender.backend(), backend, "{}", sender.reason());
    }
}

#[test]
fn a_run_is_cut_at_what_the_kernel_takes_in_one_call() {
    // Sockets that nobody reads: what does not fit is discarded there.
    let event = vec![1; 40 * 2500];
    let mut calls = Vec::new();
    for backend in BACKENDS {
        let (_socket, to) = receiver("127.0.0.1:0");
        let mut sender = Sender::open(&config(to, 104, backend)).unwrap();
        sender.send(&OutgoingEvent::default(), Payload::whole(&event)).unwrap();
        let counters = sender.counters();
        assert_eq!((counters.fragments, counters.bytes), (2500, 100_000));
        assert!(counters.syscalls >= 3 && counters.syscalls < 100, "{counters:?}");
        calls.push(counters.syscalls);
    }
    assert!(calls[0] <= calls[1], "gso, mmsg: {calls:?}");
}

#[test]
fn an_empty_event_is_one_datagram_of_headers() {
    for backend in BACKENDS {
        let (socket, to) = receiver("127.0.0.1:0");
        let mut sender = Sender::open(&config(to, 1500, backend)).unwrap();
        let event = OutgoingEvent { event_number: 9, ..OutgoingEvent::default() };
        for (sent, payload) in [
            Payload::whole(&[]),
            Payload::parts(&[]),
            Payload::parts(&[IoSlice::new(&[]), IoSlice::new(&[])]),
        ]
        .into_iter()
        .enumerate()
        {
            sender.send(&event, payload).unwrap();
            let (bytes, _) = next(&socket);
            assert_eq!(bytes.len(), 36);
            let headers = Headers::parse(&bytes, LbFraming::Keep).unwrap();
            assert_eq!((headers.re.length(), headers.re.event_number()), (0, 9));
            assert_eq!(sender.counters().fragments, sent as u64 + 1);
        }
    }
}

#[test]
fn lengths_past_32_bits_are_refused_and_nothing_is_sent() {
    let mebibyte = vec![0; 1 << 20];
    let mut parts = vec![IoSlice::new(&mebibyte); 4096];
    let (socket, to) = receiver("127.0.0.1:0");
    let mut sender = Sender::open(&config(to, 1500, SendBackend::Auto)).unwrap();
    for length in [1u64 << 32, (1 << 32) + 5] {
        let payload = Payload::parts(&parts);
        let error = sender.send(&OutgoingEvent::default(), payload).unwrap_err();
        assert!(matches!(error, SendError::TooLong { length: found } if found == length));
        parts.push(IoSlice::new(&mebibyte[..5]));
    }
    let counters = sender.counters();
    assert_eq!((counters.failed, counters.fragments, counters.syscalls), (2, 0, 0));
    sender.send(&OutgoingEvent::default(), Payload::whole(b"after")).unwrap();
    assert_eq!(next(&socket).0[36..], *b"after");
}

/// Cuts `whole` at `marks` into parts, which may be empty.
fn parts_of<'a>(whole: &'a [u8], marks: &[usize]) -> Vec<IoSlice<'a>> {
    let mut marks: Vec<_> = marks.iter().map(|mark| mark % (whole.len() + 1)).collect();
    marks.sort_unstable();
    let mut start = 0;
    let mut parts = Vec::new();
    for end in marks.into_iter().chain([whole.len()]) {
        parts.push(IoSlice::new(&whole[start..end]));
        start = end;
    }
    parts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn an_event_in_parts_is_sent_as_if_it_were_whole(
        length in 0usize..60_000,
        marks in proptest::collection::vec(any::<usize>(), 0..400),
        mtu in prop_oneof![Just(1500u32), Just(9000), 200u32..4000],
    ) {
        let event = pattern(length);
        let parts = parts_of(&event, &marks);
        let (socket, to) = receiver("127.0.0.1:0");
        let mut cuts = Vec::new();
        for backend in BACKENDS {
            let mut sender = Sender::open(&config(to, mtu, backend)).unwrap();
            for payload in [Payload::parts(&parts), Payload::whole(&event)] {
                let arrived = through(&mut sender, &socket, payload);
                prop_assert!(arrived.event == event);
                cuts.push(arrived.cuts);
            }
        }
        prop_assert!(cuts.iter().all(|cut| *cut == cuts[0]));
    }
}

/// Parts of one byte: every fragment has more pieces than one message of the
/// kernel's may have parts.
#[test]
fn parts_as_small_as_can_be_arrive_in_order() {
    for backend in BACKENDS {
        let (socket, to) = receiver("127.0.0.1:0");
        let event = pattern(700_000);
        let parts: Vec<_> = event.chunks(1).map(IoSlice::new).collect();
        let mut sender = Sender::open(&config(to, 1500, backend)).unwrap();
        let arrived = through(&mut sender, &socket, Payload::parts(&parts));
        assert!(arrived.event == event);
        assert_eq!(arrived.cuts.len(), 488);
    }
}

/// As many pieces in a fragment as the kernel is let gather, and one more: in
/// messages of 64 small fragments, which are put together in any case, and of
/// 16 large ones.
#[test]
fn pieces_are_gathered_or_put_together_first() {
    for (each, piece) in [(400, 57), (4000, 501)] {
        for backend in BACKENDS {
            let (socket, to) = receiver("127.0.0.1:0");
            let event = pattern(500 * each);
            let parts: Vec<_> = event.chunks(piece).map(IoSlice::new).collect();
            let mut sender = Sender::open(&config(to, each as u32 + 64, backend)).unwrap();
            assert_eq!(sender.max_payload(), each);
            let arrived = through(&mut sender, &socket, Payload::parts(&parts));
            assert!(arrived.event == event);
            assert_eq!(arrived.cuts.len(), 500);
        }
    }
}
