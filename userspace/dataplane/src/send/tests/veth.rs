//! Over a cable between two hosts, where interfaces can be narrowed, switched
//! off and pulled out.

use xdpsar_tests::{Lab, LabConfig};
use xdpsar_wire::LbVersion;

use super::*;

/// A receiver in the lab's other host.
fn far_receiver(lab: &Lab, v6: bool) -> (UdpSocket, SocketAddr) {
    lab.receiver.run(|| receiver(&SocketAddr::new(lab.receiver.address(v6), 0).to_string()))
}

/// Sees whole IPv4 packets, headers and all, in the lab's other host.
fn far_capture(lab: &Lab) -> UdpSocket {
    use std::os::fd::{FromRawFd, OwnedFd};
    let raw = lab.receiver.run(|| {
        // SAFETY: no pointers.
        let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_UDP) };
        // SAFETY: the kernel just gave us this descriptor.
        unsafe { OwnedFd::from_raw_fd(sys::check(fd).unwrap()) }
    });
    // It reads like any other socket of the family.
    let socket = UdpSocket::from(raw);
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    socket
}

/// Every byte of every packet, but for the IP header's identification and
/// checksum, which are the kernel's: the same through every backend, whoever
/// cuts the messages.
#[test]
fn packets_are_the_same_through_every_backend() {
    xdpsar_tests::privileged!();
    let lab = Lab::new(LabConfig::default());
    lab.sender.tool("ip addr add 10.77.0.77/24 dev va");
    // Otherwise messages would cross the cable uncut.
    lab.sender.offload("tx-udp-segmentation", false);
    let (_open, to) = far_receiver(&lab, false);
    let capture = far_capture(&lab);
    for (version, first, last) in [
        (
            LbVersion::V2,
            "4c4202010000fd97000660c4053112e5100010e10000000000000bb80000000000000000",
            "4c4202010000fd97000660c4053112e5100010e100000b3800000bb80000000000000000",
        ),
        (
            LbVersion::V3,
            "4c42030112e5fd97000660c4053112e5100010e10000000000000bb80000000000000000",
            "4c42030112e5fd97000660c4053112e5100010e100000b3800000bb80000000000000000",
        ),
    ] {
        let event = OutgoingEvent {
            event_number: 0,
            data_id: 4321,
            entropy: 0xfd97,
            tick: 1_795_244_877_222_629,
        };
        let payload = pattern(3000);
        for backend in BACKENDS {
            let config = SendConfig {
                source: Some("10.77.0.77".parse().unwrap()),
                dscp: Some(10),
                lb: Some(version),
                ..config(to, 1500, backend)
            };
            let packets = lab.sender.run(|| {
                let mut sender = Sender::open(&config).unwrap();
                assert_eq!(sender.interface(), Some("va"));
                sender.send(&event, Payload::whole(&payload)).unwrap();
                [(); 3].map(|()| next(&capture))
            });
            for (index, (packet, from)) in packets.iter().enumerate() {
                let len = [1500, 1500, 64 + 128][index];
                assert_eq!(packet.len(), len, "{backend}");
                assert_eq!(packet[..2], [0x45, 10 << 2], "no IP options; the class");
                assert_eq!(usize::from(packet[2]) << 8 | usize::from(packet[3]), len);
                assert_eq!(packet[6..8], [0x40, 0], "not to be fragmented, and no fragment");
                assert_eq!(packet[9], 17);
                assert_eq!(packet[12..20], [10, 77, 0, 77, 10, 77, 0, 2]);
                assert_eq!(from.ip().to_string(), "10.77.0.77");
                let port = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
                assert!(
                    port(20) >= 10_000
                        && port(20) == u16::from_be_bytes([packets[0].0[20], packets[0].0[21]])
                );
                assert_eq!(port(22), to.port());
                assert_eq!(usize::from(port(24)), len - 20);
                let cut = &payload[index * 1436..][..len - 64];
                assert_eq!(packet[64..], *cut, "{backend}");
            }
            assert_eq!(hex(&packets[0].0[28..64]), first, "{backend}");
            assert_eq!(hex(&packets[2].0[28..64]), last, "{backend}");
        }
    }
}

/// Cut by the sender's side of the cable, by the receiver's, or not at all;
/// `XDPSAR_ROUNDS` times each, where that is set.
#[test]
fn a_hundred_megabytes_arrive_whole_over_a_cable() {
    xdpsar_tests::privileged!();
    let event = pattern(100_000_000);
    let rounds = std::env::var("XDPSAR_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
    for (mtu, v6, fragments) in [(1500, false, 69_638), (9000, true, 11_216)] {
        let lab = Lab::new(LabConfig { mtu, ..LabConfig::default() });
        for (backend, offload) in
            [(SendBackend::Gso, true), (SendBackend::Gso, false), (SendBackend::Mmsg, true)]
        {
            lab.sender.offload("tx-udp-segmentation", offload);
            let (socket, to) = far_receiver(&lab, v6);
            lab.sender.run(|| {
                let mut sender = Sender::open(&config(to, mtu, backend)).unwrap();
                for _ in 0..rounds {
                    let arrived = through(&mut sender, &socket, Payload::whole(&event));
                    assert!(arrived.event == event, "{backend}");
                    assert_eq!(arrived.cuts.len(), fragments, "{backend}");
                }
                assert_eq!(sender.backend(), backend, "{}", sender.reason());
            });
        }
    }
}

#[test]
fn a_cable_that_became_narrower_is_named() {
    xdpsar_tests::privileged!();
    for backend in BACKENDS {
        for connected in [true, false] {
            let lab = Lab::new(LabConfig::default());
            let (socket, to) = far_receiver(&lab, connected);
            lab.sender.run(|| {
                let config = SendConfig { connected, ..config(to, 1500, backend) };
                let mut sender = Sender::open(&config).unwrap();
                lab.sender.tool("ip link set va mtu 1400");
                let event = pattern(30_000);
                let payload = Payload::whole(&event);
                let error = sender.send(&OutgoingEvent::default(), payload).unwrap_err();
                assert!(matches!(error, SendError::Mtu { mtu: 1500, found: 1400, .. }), "{error}");
                lab.sender.tool("ip link set va mtu 1500");
                assert!(through(&mut sender, &socket, payload).event == event);
                assert_eq!(sender.backend(), backend, "{}", sender.reason());
            });
        }
    }
}

#[test]
fn what_is_lost_on_the_way_is_named() {
    xdpsar_tests::privileged!();
    let event = pattern(30_000);
    for backend in BACKENDS {
        for connected in [true, false] {
            for (loss, says) in [
                ("ip link del va", "interface va is gone"),
                ("ip link set va down", "interface va is down"),
                ("ip addr flush dev va", "has the address"),
                ("ip route flush table all", "no route"),
            ] {
                let lab = Lab::new(LabConfig::default());
                let v6 = false;
                let (socket, to) = far_receiver(&lab, v6);
                let error = lab.sender.run(|| {
                    let config = SendConfig {
                        source: Some(lab.sender.address(v6)),
                        connected,
                        ..config(to, 1500, backend)
                    };
                    let mut sender = Sender::open(&config).unwrap();
                    let payload = Payload::whole(&event);
                    assert!(through(&mut sender, &socket, payload).event == event);
                    lab.sender.tool(loss);
                    let error = sender.send(&OutgoingEvent::default(), payload).unwrap_err();
                    assert_eq!(sender.backend(), backend, "the way is lost, not the backend");
                    error
                });
                let text = error.to_string();
                assert!(matches!(error, SendError::WayLost { sent: 0, .. }), "{loss}: {text}");
                assert!(text.contains(says), "{loss}: {text}");
            }
        }
    }
}

/// Nobody has that address: the kernel finds out after some questions, and
/// says so of datagrams that it had taken long before.
#[test]
fn a_host_that_is_not_there_is_counted_and_no_error() {
    xdpsar_tests::privileged!();
    for backend in BACKENDS {
        for to in ["10.77.0.99:19522", "[fd77::99]:19522"] {
            let lab = Lab::new(LabConfig::default());
            lab.sender.run(|| {
                // Soon sure of it. Written here: not every machine has sysctl(8).
                for ip in ["ipv4", "ipv6"] {
                    let file = format!("/proc/sys/net/{ip}/neigh/va/retrans_time_ms");
                    std::fs::write(&file, "20").expect(&file);
                }
                let config =
                    SendConfig { sockets: 1, ..config(to.parse().unwrap(), 1500, backend) };
                let mut sender = Sender::open(&config).unwrap();
                let deadline = Instant::now() + Duration::from_secs(60);
                let mut events = 0;
                while sender.counters().unreachable < 3 {
                    assert!(Instant::now() < deadline, "{:?}", sender.counters());
                    sender.send(&OutgoingEvent::default(), Payload::whole(&[1; 3000])).unwrap();
                    events += 1;
                    thread::sleep(Duration::from_millis(1));
                }
                let counters = sender.counters();
                assert_eq!((counters.events, counters.failed), (events, 0));
                assert_eq!(counters.fragments, 3 * events);
            });
        }
    }
}
