//! What arrives, byte for byte.

use std::{
    collections::BTreeSet,
    io::IoSlice,
    time::{Duration, Instant},
};

use xdpsar_dataplane::{OutgoingEvent, Payload, SendConfig, Sender};
use xdpsar_tests::{Lab, LabConfig, privileged};
use xdpsar_wire::{Headers, LbFraming, LbVersion};

use crate::{
    capture::{Capture, PORT, Packet},
    config, pattern, send,
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac(host: &xdpsar_tests::host::Host) -> String {
    let path = format!("cat /sys/class/net/{}/address", host.interface);
    host.tool(&path).trim().replace(':', "")
}

/// The next packet, after all that is the same in each of them.
fn next(lab: &Lab, capture: &Capture, v6: bool) -> Packet {
    let packet = capture.next();
    packet.assert_sound();
    assert_eq!(packet.v6, v6);
    let macs = mac(&lab.receiver) + &mac(&lab.sender);
    assert_eq!(hex(&packet.bytes[..12]), macs);
    assert_eq!(packet.addresses(), (lab.sender.address(v6), lab.receiver.address(v6)));
    let ip = packet.ip();
    if v6 {
        assert_eq!((ip[0] >> 4, ip[7]), (6, 64));
    } else {
        // Do not fragment; 64 hops.
        assert_eq!((ip[0], ip[6..9].to_vec()), (0x45, vec![0x40, 0, 64]));
    }
    assert!(packet.source_port() >= 10_000);
    packet
}

/// The vectors that were captured from the reference (`data-plane.md` §1.9).
#[test]
fn packets_are_those_of_the_reference() {
    privileged!();
    let lab = Lab::new(LabConfig { queues: 1, mtu: 1500 });
    let capture = Capture::open(&lab);
    let zeros = vec![0; 3000];
    lab.sender.run(|| {
        for v6 in [false, true] {
            // CAP-1, CAP-2. The longest payload is 20 bytes less in IPv6.
            let mut sender = Sender::open(&config(&lab, v6)).unwrap();
            let event = OutgoingEvent {
                event_number: 0,
                data_id: 4321,
                entropy: 0xfd97,
                tick: 1_795_244_877_222_629,
            };
            send(&mut sender, &event, &zeros);
            let packets: Vec<_> = (0..3).map(|_| next(&lab, &capture, v6)).collect();
            let (offset, last) = if v6 { ("00000b10", 168) } else { ("00000b38", 128) };
            assert_eq!(
                hex(&packets[0].payload()[..36]),
                "4c4202010000fd97000660c4053112e5100010e10000000000000bb80000000000000000"
            );
            assert_eq!(
                hex(&packets[2].payload()[..36]),
                format!("4c4202010000fd97000660c4053112e5100010e1{offset}00000bb80000000000000000")
            );
            let lengths: Vec<_> = packets.iter().map(Packet::ip_len).collect();
            let headers = if v6 { 84 } else { 64 };
            assert_eq!(lengths, [1500, 1500, headers + last]);
            let ports: BTreeSet<_> = packets.iter().map(Packet::source_port).collect();
            assert_eq!(ports.len(), 1, "one event, one flow");

            // CAP-4
            let event = OutgoingEvent {
                event_number: 0,
                data_id: 0x0505,
                entropy: 0x6f20,
                tick: 0x0006_60c4_0ce8_afe5,
            };
            send(&mut sender, &event, &zeros[..100]);
            assert_eq!(
                hex(&next(&lab, &capture, v6).payload()[..36]),
                "4c42020100006f20000660c40ce8afe51000050500000000000000640000000000000000"
            );
            drop(sender);

            // CAP-3 (IPv4), PK-b, PK-c
            let event = OutgoingEvent {
                event_number: 0,
                data_id: 7,
                entropy: 0x86f8,
                tick: 1_795_244_939_378_405,
            };
            let v3 = SendConfig { lb: Some(LbVersion::V3), ..config(&lab, v6) };
            let mut sender = Sender::open(&v3).unwrap();
            if !v6 {
                send(&mut sender, &event, &zeros[..2000]);
                next(&lab, &capture, v6);
                assert_eq!(
                    hex(&next(&lab, &capture, v6).payload()[..36]),
                    "4c4203017ee586f8000660c408e57ee5100000070000059c000007d00000000000000000"
                );
            }
            let pk_b =
                "4c4203017ee586f8000660c408e57ee5100000070000000000000004000000000000000041424344";
            sender
                .send(&event, Payload::parts(&[IoSlice::new(b"A"), IoSlice::new(b"BCD")]))
                .unwrap();
            assert_eq!(hex(next(&lab, &capture, v6).payload()), pk_b);
            drop(sender);
            let bare = SendConfig { lb: None, ..config(&lab, v6) };
            let mut sender = Sender::open(&bare).unwrap();
            send(&mut sender, &event, b"ABCD");
            assert_eq!(hex(next(&lab, &capture, v6).payload()), pk_b[32..]);
        }
    });
}

/// Offset and length of each fragment of an event; its bytes are checked.
fn cuts(
    lab: &Lab,
    capture: &Capture,
    sender: &mut Sender,
    v6: bool,
    event: &[u8],
) -> Vec<(usize, usize)> {
    send(sender, &OutgoingEvent::default(), event);
    let mut cuts = Vec::new();
    let mut end = 0;
    loop {
        let packet = next(lab, capture, v6);
        let headers = Headers::parse(packet.payload(), LbFraming::Keep).unwrap();
        let (offset, bytes) = (headers.re.offset() as usize, &packet.payload()[headers.len..]);
        assert_eq!(headers.re.length() as usize, event.len());
        assert!(bytes == &event[offset..offset + bytes.len()]);
        cuts.push((offset, bytes.len()));
        end += bytes.len();
        if end == event.len() {
            return cuts;
        }
    }
}

/// `data-plane.md` §3.7.
#[test]
fn events_are_cut_as_the_specification_says() {
    privileged!();
    for (mtu, table) in [
        (1500, &[(1500, 1436, 1416), (104, 40, 20), (80, 16, 0), (65, 1, 0), (85, 21, 1)][..]),
        (9000, &[(9000, 8936, 8916)][..]),
    ] {
        let lab = Lab::new(LabConfig { queues: 1, mtu });
        let capture = Capture::open(&lab);
        lab.sender.run(|| {
            let open =
                |v6, mtu| Sender::open(&SendConfig { mtu: Some(mtu), ..config(&lab, v6) }).unwrap();
            for &(mtu, v4, v6) in table {
                for (version, payload) in [(false, v4), (true, v6)] {
                    if payload > 0 {
                        let mut sender = open(version, mtu);
                        assert_eq!(sender.max_payload(), payload);
                        let event = pattern(3 * payload);
                        let cuts = cuts(&lab, &capture, &mut sender, version, &event);
                        assert_eq!(
                            cuts,
                            [(0, payload), (payload, payload), (2 * payload, payload)]
                        );
                    }
                }
            }
            let cut =
                |v6, mtu, length| cuts(&lab, &capture, &mut open(v6, mtu), v6, &pattern(length));
            let mebibyte = cut(false, mtu, 1 << 20);
            if mtu == 9000 {
                assert_eq!((mebibyte.len(), mebibyte.last()), (118, Some(&(1_045_512, 3064))));
                return;
            }
            assert_eq!((mebibyte.len(), mebibyte.last()), (731, Some(&(1_048_280, 296))));
            assert_eq!(cut(false, 1500, 3000), [(0, 1436), (1436, 1436), (2872, 128)]);
            assert_eq!(cut(true, 1500, 3000), [(0, 1416), (1416, 1416), (2832, 168)]);
            assert_eq!(cut(false, 104, 66), [(0, 40), (40, 26)]);
            assert_eq!(cut(false, 80, 66), [(0, 16), (16, 16), (32, 16), (48, 16), (64, 2)]);
            assert_eq!(cut(false, 1500, 0), [(0, 0)], "an empty event is one packet");
            assert_eq!(cut(true, 1500, 1416), [(0, 1416)]);
        });
    }
}

#[test]
fn events_take_turns_at_the_flows_and_entropy_chooses_the_port() {
    privileged!();
    let lab = Lab::new(LabConfig { queues: 1, mtu: 1500 });
    let capture = Capture::open(&lab);
    lab.sender.run(|| {
        for v6 in [false, true] {
            let three = SendConfig { sockets: 3, ports: 8, ..config(&lab, v6) };
            let mut sender = Sender::open(&three).unwrap();
            let mut flows = Vec::new();
            for entropy in [6u16, 0, 7, 0xfffd, 1, 2] {
                send(&mut sender, &OutgoingEvent { entropy, ..Default::default() }, &[1; 2000]);
                let both = [next(&lab, &capture, v6), next(&lab, &capture, v6)];
                for packet in &both {
                    assert_eq!(packet.destination_port(), PORT + (entropy & 7));
                }
                let flow = |packet: &Packet| (packet.source_port(), packet.ip()[..4].to_vec());
                assert_eq!(both[0].source_port(), both[1].source_port());
                if v6 {
                    assert_eq!(flow(&both[0]), flow(&both[1]), "port and flow label");
                }
                flows.push(both[0].source_port());
            }
            assert_eq!(flows[..3], flows[3..]);
            let ports: BTreeSet<_> = flows.iter().copied().collect();
            assert_eq!(ports.len(), 3);
            // They are taken, and cannot be had by anybody else.
            for port in ports {
                let taken = std::net::UdpSocket::bind((lab.sender.address(v6), port)).unwrap_err();
                assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
            }
        }
    });
}

#[test]
fn a_neighbours_new_address_is_taken_over() {
    privileged!();
    let lab = Lab::new(LabConfig { queues: 1, mtu: 1500 });
    let capture = Capture::open(&lab);
    lab.sender.run(|| {
        let mut sender = Sender::open(&config(&lab, false)).unwrap();
        lab.sender.tool(&format!(
            "ip neigh replace {} lladdr 02:00:00:00:00:77 dev va nud permanent",
            lab.receiver.v4
        ));
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            send(&mut sender, &OutgoingEvent::default(), &[1]);
            let packet = capture.next();
            if packet.bytes[..6] == [2, 0, 0, 0, 0, 0x77] {
                return;
            }
            assert!(Instant::now() < end, "still to the old one");
            std::thread::sleep(Duration::from_millis(100));
        }
    });
}
