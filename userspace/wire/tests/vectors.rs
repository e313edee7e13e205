//! Every test vector of `data-plane.md` §1.7 and §1.9: built and compared
//! byte by byte, parsed and compared field by field.

use xdpsar_wire::{
    DatagramError, Headers, LbFraming, LbHeader, LbVersion, ReHeader, SyncMessage,
    lb::LbError,
    re::ReError,
    sync::{SYNC_LEN, SyncError},
};
use zerocopy::{FromBytes, IntoBytes};

const R: u64 = 1_795_244_939_378_405;

fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "{hex}");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Id, header, its version and fields, wire bytes.
type LbVector = (&'static str, LbHeader, (LbVersion, u16, u16, u64), &'static str);

fn lb_vectors() -> [LbVector; 6] {
    use LbVersion::{V2, V3};
    const T: u64 = 0x0123_4567_89ab_cdef;
    [
        ("L2-a", LbHeader::v2(0xabcd, T), (V2, 0, 0xabcd, T), "4c4202010000abcd0123456789abcdef"),
        ("L2-b", LbHeader::v2(0, 0), (V2, 0, 0, 0), "4c420201000000000000000000000000"),
        (
            "L2-c",
            LbHeader::v2(u16::MAX, u64::MAX),
            (V2, 0, u16::MAX, u64::MAX),
            "4c4202010000ffffffffffffffffffff",
        ),
        (
            "L3-a",
            LbHeader::v3(0xcdef, 0xabcd, T),
            (V3, 0xcdef, 0xabcd, T),
            "4c420301cdefabcd0123456789abcdef",
        ),
        (
            "L3-b",
            // The slot is the tick's low 16 bits.
            LbHeader::new(V3, 0x86f8, R),
            (V3, 0x7ee5, 0x86f8, R),
            "4c4203017ee586f8000660c408e57ee5",
        ),
        ("L3-c", LbHeader::v3(1, 2, 3), (V3, 1, 2, 3), "4c420301000100020000000000000003"),
    ]
}

#[test]
fn lb_headers() {
    for (id, header, (version, slot, entropy, tick), hex) in lb_vectors() {
        assert_eq!(header.as_bytes(), bytes(hex), "{id}: bytes");
        let parsed = LbHeader::read_from_bytes(&bytes(hex)).unwrap();
        assert_eq!(parsed.check(), Ok(version), "{id}");
        assert_eq!(
            (parsed.slot(), parsed.entropy(), parsed.tick()),
            (slot, entropy, tick),
            "{id}: fields"
        );
    }
    assert_eq!(LbHeader::new(LbVersion::V2, 0x86f8, R), LbHeader::v2(0x86f8, R));
}

#[test]
fn unsound_lb_headers() {
    let check = |hex: &str| LbHeader::read_from_bytes(&bytes(hex)).unwrap().check();
    assert_eq!(check("58580201000000000000000000000000"), Err(LbError::Magic(*b"XX")));
    assert_eq!(check("4c430201000000000000000000000000"), Err(LbError::Magic(*b"LC")));
    for version in [0_u8, 1, 4, 0xff] {
        let hex = format!("4c42{version:02x}01000000000000000000000000");
        assert_eq!(check(&hex), Err(LbError::Version(version)));
    }
    assert_eq!(check("4c420202000000000000000000000000"), Err(LbError::NextProtocol(2)));
}

#[test]
fn re_headers() {
    // Id, (data id, offset, length, event number), wire bytes.
    let vectors: [(_, (u16, u32, u32, u64), _); 4] = [
        ("RE-a", (0x0505, 1436, 1_048_576, 42), "100005050000059c00100000000000000000002a"),
        ("RE-b", (4, 5, 6, 7), "1000000400000005000000060000000000000007"),
        (
            "RE-c",
            (u16::MAX, u32::MAX, u32::MAX, u64::MAX),
            "1000ffffffffffffffffffffffffffffffffffff",
        ),
        ("RE-d", (0, 0, 0, 0), "1000000000000000000000000000000000000000"),
    ];
    for (id, (data_id, offset, length, event), hex) in vectors {
        assert_eq!(
            ReHeader::new(data_id, offset, length, event).as_bytes(),
            bytes(hex),
            "{id}: bytes"
        );
        let parsed = ReHeader::read_from_bytes(&bytes(hex)).unwrap();
        assert_eq!(parsed.check(), Ok(()), "{id}");
        assert_eq!(
            (parsed.data_id(), parsed.offset(), parsed.length(), parsed.event_number()),
            (data_id, offset, length, event),
            "{id}: fields"
        );
    }
}

#[test]
fn re_headers_with_a_wrong_version_or_a_reserved_bit() {
    for start in [[0x20, 0x00], [0x11, 0x00], [0x10, 0x01]] {
        let mut datagram = bytes("1000000400000005000000060000000000000007");
        datagram[..2].copy_from_slice(&start);
        assert_eq!(ReHeader::read_from_bytes(&datagram).unwrap().check(), Err(ReError(start)));
        for framing in [LbFraming::None, LbFraming::Auto] {
            assert_eq!(
                Headers::parse(&datagram, framing).unwrap_err(),
                DatagramError::BadReHeader,
                "{start:02x?}, {framing:?}"
            );
        }
        // The same behind an LB header.
        let behind = [LbHeader::v2(1, 2).as_bytes(), &datagram].concat();
        for framing in [LbFraming::Keep, LbFraming::Auto] {
            assert_eq!(
                Headers::parse(&behind, framing).unwrap_err(),
                DatagramError::BadReHeader,
                "{start:02x?}, {framing:?}"
            );
        }
    }
}

#[test]
fn sync_messages() {
    // Id, (source id, event number, rate in Hz, UNIX time in ns), wire bytes.
    let vectors: [(_, (u32, u64, u32, u64), _); 3] = [
        (
            "SY-a",
            (0x1122_3344, 1_700_000_000_123_456, 1_000_000, 1_700_000_000_123_456_789),
            "4c4302001122334400060a2418202240000f424017979cfe3d85cd15",
        ),
        (
            "SY-b",
            (0x1122_3344, 1_795_245_006_396_645, 1_000_000, 1_795_245_006_396_645_193),
            "4c43020011223344000660c40ce41ce5000f424018e9fdd25b10df49",
        ),
        ("SY-c", (0, 0, 0, 0), "4c430200000000000000000000000000000000000000000000000000"),
    ];
    for (id, (source, event, rate, time), hex) in vectors {
        let message = SyncMessage::new(source, event, rate, time);
        assert_eq!(message.as_bytes(), bytes(hex), "{id}: bytes");
        let parsed = SyncMessage::parse(&bytes(hex)).unwrap();
        assert_eq!(
            (parsed.source_id(), parsed.event_number(), parsed.rate_hz(), parsed.unix_time_ns()),
            (source, event, rate, time),
            "{id}: fields"
        );
    }
}

#[test]
fn unsound_sync_messages() {
    let good = bytes("4c430200000000000000000000000000000000000000000000000000");
    let with = |at: usize, value: u8| {
        let mut changed = good.clone();
        changed[at] = value;
        SyncMessage::parse(&changed)
    };
    assert_eq!(with(1, b'B'), Err(SyncError::Magic(*b"LB")));
    assert_eq!(with(2, 1), Err(SyncError::Version(1)));
    assert_eq!(with(3, 1), Err(SyncError::Reserved(1)));
    for len in [0, 1, SYNC_LEN - 1, SYNC_LEN + 1] {
        let mut datagram = good.clone();
        datagram.resize(len, 0);
        assert_eq!(SyncMessage::parse(&datagram), Err(SyncError::Length(len)));
    }
}

/// A whole datagram as it was captured or made, and what it says.
struct Packet {
    id: &'static str,
    lb: Option<(LbVersion, u16, u64)>,
    /// Data id, offset, length, event number.
    re: (u16, u32, u32, u64),
    payload: &'static [u8],
    hex: &'static str,
}

fn packets() -> [Packet; 7] {
    use LbVersion::{V2, V3};
    const TICK: u64 = 1_795_244_877_222_629;
    [
        Packet {
            id: "PK-a",
            lb: Some((V2, 0xfd97, TICK)),
            re: (4321, 0, 4, 1),
            payload: b"ABCD",
            hex: "4c4202010000fd97000660c4053112e5\
                  100010e10000000000000004000000000000000141424344",
        },
        Packet {
            id: "PK-b",
            lb: Some((V3, 0x86f8, R)),
            re: (7, 0, 4, 0),
            payload: b"ABCD",
            hex: "4c4203017ee586f8000660c408e57ee5\
                  100000070000000000000004000000000000000041424344",
        },
        Packet {
            id: "PK-c",
            lb: None,
            re: (7, 0, 4, 0),
            payload: b"ABCD",
            hex: "100000070000000000000004000000000000000041424344",
        },
        Packet {
            id: "CAP-1",
            lb: Some((V2, 0xfd97, TICK)),
            re: (4321, 0, 3000, 0),
            payload: b"",
            hex: "4c4202010000fd97000660c4053112e5100010e10000000000000bb80000000000000000",
        },
        Packet {
            id: "CAP-2",
            lb: Some((V2, 0xfd97, TICK)),
            re: (4321, 2872, 3000, 0),
            payload: b"",
            hex: "4c4202010000fd97000660c4053112e5100010e100000b3800000bb80000000000000000",
        },
        Packet {
            id: "CAP-3",
            lb: Some((V3, 0x86f8, R)),
            re: (7, 1436, 2000, 0),
            payload: b"",
            hex: "4c4203017ee586f8000660c408e57ee5100000070000059c000007d00000000000000000",
        },
        Packet {
            id: "CAP-4",
            lb: Some((V2, 0x6f20, 0x0006_60c4_0ce8_afe5)),
            re: (0x0505, 0, 100, 0),
            payload: b"",
            hex: "4c42020100006f20000660c40ce8afe51000050500000000000000640000000000000000",
        },
    ]
}

#[test]
fn whole_datagrams_are_built() {
    for Packet { id, lb, re: (data_id, offset, length, event), payload, hex } in packets() {
        let mut built = Vec::new();
        if let Some((version, entropy, tick)) = lb {
            built.extend_from_slice(LbHeader::new(version, entropy, tick).as_bytes());
        }
        built.extend_from_slice(ReHeader::new(data_id, offset, length, event).as_bytes());
        built.extend_from_slice(payload);
        assert_eq!(built, bytes(hex), "{id}");
    }
}

#[test]
fn whole_datagrams_are_parsed() {
    for Packet { id, lb, re, payload, hex } in packets() {
        let datagram = bytes(hex);
        let framing = if lb.is_some() { LbFraming::Keep } else { LbFraming::None };
        for framing in [framing, LbFraming::Auto] {
            let headers = Headers::parse(&datagram, framing)
                .unwrap_or_else(|error| panic!("{id}, {framing:?}: {error}"));
            let found = headers.lb.map(|lb| (lb.check().unwrap(), lb.entropy(), lb.tick()));
            assert_eq!(found, lb, "{id}, {framing:?}: LB fields");
            let found = headers.re;
            assert_eq!(
                (found.data_id(), found.offset(), found.length(), found.event_number()),
                re,
                "{id}, {framing:?}: RE fields"
            );
            assert_eq!(&datagram[headers.len..], payload, "{id}, {framing:?}: payload");
        }
    }
}

#[test]
fn the_wrong_framing_is_noticed() {
    for Packet { id, lb, hex, .. } in packets() {
        let datagram = bytes(hex);
        let (framing, expected) = if lb.is_some() {
            (LbFraming::None, DatagramError::BadReHeader)
        } else {
            (LbFraming::Keep, DatagramError::BadLbHeader)
        };
        assert_eq!(Headers::parse(&datagram, framing).unwrap_err(), expected, "{id}");
    }
}

#[test]
fn every_datagram_that_ends_inside_its_headers_is_short() {
    for Packet { id, lb, hex, .. } in packets() {
        let datagram = bytes(hex);
        let headers = if lb.is_some() { 36 } else { 20 };
        let framing = if lb.is_some() { LbFraming::Keep } else { LbFraming::None };
        for framing in [framing, LbFraming::Auto] {
            for len in 0..headers {
                assert_eq!(
                    Headers::parse(&datagram[..len], framing).unwrap_err(),
                    DatagramError::Short,
                    "{id}, {framing:?}, {len} bytes"
                );
            }
            assert!(Headers::parse(&datagram[..headers], framing).is_ok(), "{id}, {framing:?}");
        }
    }
}

#[test]
fn ports_and_slots_that_a_load_balancer_chooses() {
    // (entropy & (2^range − 1)) is what a load balancer adds to the base
    // port, and what lanes are numbered by.
    let port = |base: u16, range: u32, entropy: u16| {
        let header = LbHeader::v2(entropy, 0);
        base + (header.entropy() & ((1 << range) - 1))
    };
    for entropy in [0, 1, 0xabcd, 0xffff] {
        assert_eq!(port(10000, 0, entropy), 10000);
    }
    assert_eq!(port(10000, 3, 0xabcd), 10005);
    assert_eq!(port(10000, 3, 0xffff), 10007);
    assert_eq!(port(19522, 2, 6), 19524);
    assert_eq!(port(20000, 14, 0xffff), 36383);

    let slot = |tick: u64| LbHeader::v2(0, tick).tick() & 0x1ff;
    assert_eq!(slot(511), 511);
    assert_eq!(slot(512), 0);
    assert_eq!(slot(0x0123_4567_89ab_cdef), 495);
    assert_eq!(slot(1_795_244_939_378_405), 229);
    // Version 3 brings the same slot in a field of its own.
    let header = LbHeader::new(LbVersion::V3, 0, 1_795_244_939_378_405);
    assert_eq!(header.slot() & 0x1ff, 229);
}
