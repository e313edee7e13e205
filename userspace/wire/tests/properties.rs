//! What must hold for any bytes and any field values.

use proptest::{collection::vec, prelude::*};
use xdpsar_wire::{
    Headers, LbFraming, LbHeader, LbVersion, Pieces, ReHeader, SyncMessage,
    datagram::LB_RE_HEADER_LEN,
    frame,
    lb::LB_HEADER_LEN,
    re::RE_HEADER_LEN,
    steering::{SteerConfig, Verdict, decide},
};
use zerocopy::{FromBytes, IntoBytes};

fn any_framing() -> impl Strategy<Value = LbFraming> {
    prop_oneof![Just(LbFraming::Auto), Just(LbFraming::Keep), Just(LbFraming::None)]
}

fn any_version() -> impl Strategy<Value = LbVersion> {
    prop_oneof![Just(LbVersion::V2), Just(LbVersion::V3)]
}

/// Bytes that are often a datagram and often nearly one: each header may be
/// there, then one byte may be spoilt and the end cut off.
fn nearly_a_datagram() -> impl Strategy<Value = Vec<u8>> {
    let headers = (any_version(), any::<(u16, u64)>(), any::<(u16, u32, u32, u64)>());
    (
        any::<(bool, bool)>(),
        headers,
        vec(any::<u8>(), 0..64),
        any::<Option<(u8, u8)>>(),
        0..128_usize,
    )
        .prop_map(
            |((lb, re), (version, (entropy, tick), (id, offset, len, ev)), tail, spoil, cut)| {
                let mut bytes = Vec::new();
                if lb {
                    bytes.extend_from_slice(LbHeader::new(version, entropy, tick).as_bytes());
                }
                if re {
                    bytes.extend_from_slice(ReHeader::new(id, offset, len, ev).as_bytes());
                }
                bytes.extend_from_slice(&tail);
                if let Some((at, value)) = spoil
                    && let Some(byte) = bytes.get_mut(usize::from(at) % 40)
                {
                    *byte = value;
                }
                bytes.truncate(cut);
                bytes
            },
        )
}

/// A frame with one of the above in it, for port 10 000 and up, under 0 to 2
/// tags; one byte of it may be spoilt.
fn nearly_a_frame() -> impl Strategy<Value = Vec<u8>> {
    let spoil = prop::option::weighted(0.3, (any::<u8>(), any::<u8>()));
    (nearly_a_datagram(), any::<bool>(), 0..3_usize, 10_000..10_040_u16, spoil).prop_map(
        |(payload, v6, tags, port, spoil)| {
            let udp_len = (8 + payload.len()) as u16;
            let mut frame = vec![2; 12];
            for _ in 0..tags {
                frame.extend_from_slice(&[0x81, 0, 0, 7]);
            }
            if v6 {
                frame.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0]);
                frame.extend_from_slice(&udp_len.to_be_bytes());
                frame.extend_from_slice(&[17, 64]);
                frame.extend_from_slice(&[0xfd; 32]);
            } else {
                frame.extend_from_slice(&[0x08, 0, 0x45, 0]);
                frame.extend_from_slice(&(20 + udp_len).to_be_bytes());
                frame.extend_from_slice(&[0, 0, 0, 0, 64, 17, 0, 0]);
                frame.extend_from_slice(&[0xfd; 8]);
            }
            frame.extend_from_slice(&[0x30, 0x39]);
            frame.extend_from_slice(&port.to_be_bytes());
            frame.extend_from_slice(&udp_len.to_be_bytes());
            frame.extend_from_slice(&[0, 0]);
            frame.extend_from_slice(&payload);
            if let Some((at, value)) = spoil {
                let at = usize::from(at) % frame.len();
                frame[at] = value;
            }
            frame
        },
    )
}

fn any_config() -> impl Strategy<Value = SteerConfig> {
    (any::<[bool; 4]>(), any_framing(), 0..6_u32, 1..9_u16).prop_map(
        |([v6, any, entropy, narrow], framing, range, workers)| SteerConfig {
            address: [0xfd; 16],
            max_ip_len: if narrow { 80 } else { 1500 },
            ip_version: if v6 { 6 } else { 4 },
            any_address: any.into(),
            lane_mode: entropy.into(),
            framing: framing as u8,
            base_port: 10_000,
            ports: 1 << range,
            lanes: 1 << range,
            workers,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 4096 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes_are_parsed_or_refused(
        bytes in prop_oneof![vec(any::<u8>(), 0..128), nearly_a_datagram()],
        framing in any_framing(),
    ) {
        let _ = SyncMessage::parse(&bytes);
        let Ok(headers) = Headers::parse(&bytes, framing) else { return Ok(()) };
        // What is accepted is sound by the headers' own checks, and lies
        // where it is said to lie.
        prop_assert!(headers.len <= bytes.len());
        prop_assert_eq!(headers.re.check(), Ok(()));
        match headers.lb {
            Some(lb) => {
                prop_assert!(lb.check().is_ok());
                prop_assert_eq!(headers.len, LB_RE_HEADER_LEN);
                prop_assert_eq!(lb.as_bytes(), &bytes[..LB_HEADER_LEN]);
                prop_assert_ne!(framing, LbFraming::None);
            }
            None => {
                prop_assert_eq!(headers.len, RE_HEADER_LEN);
                prop_assert_ne!(framing, LbFraming::Keep);
            }
        }
        prop_assert_eq!(headers.re.as_bytes(), &bytes[headers.len - RE_HEADER_LEN..headers.len]);
    }

    #[test]
    fn a_refusal_has_its_reason(bytes in nearly_a_datagram(), framing in any_framing()) {
        // The checks once more, from the specification's words.
        let lb_expected = match framing {
            LbFraming::Auto => bytes.starts_with(b"LB"),
            LbFraming::Keep => true,
            LbFraming::None => false,
        };
        let at = if lb_expected { LB_HEADER_LEN } else { 0 };
        let sound = bytes.len() >= at + RE_HEADER_LEN
            && (!lb_expected
                || (bytes[..2] == *b"LB" && (bytes[2] == 2 || bytes[2] == 3) && bytes[3] == 1))
            && bytes[at..at + 2] == [0x10, 0];
        prop_assert_eq!(Headers::parse(&bytes, framing).is_ok(), sound);
    }

    #[test]
    fn lb_headers_round_trip(slot: u16, entropy: u16, tick: u64) {
        for (header, version, slot) in [
            (LbHeader::v2(entropy, tick), LbVersion::V2, 0),
            (LbHeader::v3(slot, entropy, tick), LbVersion::V3, slot),
        ] {
            let read = LbHeader::read_from_bytes(header.as_bytes()).unwrap();
            prop_assert_eq!(read.check(), Ok(version));
            prop_assert_eq!((read.slot(), read.entropy(), read.tick()), (slot, entropy, tick));
        }
    }

    #[test]
    fn re_headers_round_trip(data_id: u16, offset: u32, length: u32, event: u64) {
        let header = ReHeader::new(data_id, offset, length, event);
        let read = ReHeader::read_from_bytes(header.as_bytes()).unwrap();
        prop_assert_eq!(read.check(), Ok(()));
        prop_assert_eq!(
            (read.data_id(), read.offset(), read.length(), read.event_number()),
            (data_id, offset, length, event)
        );
    }

    #[test]
    fn sync_messages_round_trip(source: u32, event: u64, rate: u32, time: u64) {
        let message = SyncMessage::new(source, event, rate, time);
        let read = SyncMessage::parse(message.as_bytes()).unwrap();
        prop_assert_eq!(
            (read.source_id(), read.event_number(), read.rate_hz(), read.unix_time_ns()),
            (source, event, rate, time)
        );
    }

    #[test]
    fn any_frame_gets_a_verdict(
        bytes in prop_oneof![1 => vec(any::<u8>(), 0..256), 4 => nearly_a_frame()],
        config in any_config(),
    ) {
        let verdict = decide(bytes.as_slice(), bytes.len(), &config);
        prop_assert!(verdict.counter() < Verdict::COUNTERS);
        if let Verdict::Lane(lane) = verdict {
            let udp = frame::walk(bytes.as_slice()).expect("steered frames are UDP");
            let len = udp.payload_len(bytes.len()).expect("steered frames are whole");
            let payload = &bytes[udp.payload_offset()..udp.payload_offset() + len];
            let framing = LbFraming::from_u8(config.framing);
            prop_assert!(Headers::parse(payload, framing).is_ok());
            let lanes = if config.lane_mode == 0 { config.ports } else { config.lanes };
            prop_assert!(lane < lanes, "lane {} of {}", lane, lanes);
        }
    }

    #[test]
    fn pieces_are_the_bytes_they_are_pieces_of(
        bytes in vec(any::<u8>(), 0..256),
        cuts in vec(any::<prop::sample::Index>(), 0..4),
        skip in any::<prop::sample::Index>(),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let mut chain = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([bytes.len()]) {
            chain.push(&bytes[from..cut]);
            from = cut;
        }
        let pieces = Pieces::chained(chain[0], &chain[1..]);
        prop_assert_eq!(pieces.len(), bytes.len());
        let skip = skip.index(bytes.len() + 1);
        match pieces.skip(skip) {
            Some(rest) => {
                let mut copy = vec![0; rest.len()];
                rest.copy_to(&mut copy);
                prop_assert_eq!(copy, &bytes[skip..]);
                prop_assert_eq!(rest.iter().flatten().count(), rest.len());
            }
            None => prop_assert!(skip > chain[0].len()),
        }
    }
}
