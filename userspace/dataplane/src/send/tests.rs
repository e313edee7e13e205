//! Real sockets on the loopback interface, no privileges.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, UdpSocket},
    os::fd::AsFd,
    thread,
};

use xdpsar_wire::Headers;

use super::*;
use crate::error::SetupErrorKind;

fn receiver(address: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    sys::set_buffer(socket.as_fd(), libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, 8 << 20).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn next(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut bytes = vec![0; 65_536];
    let (len, from) = socket.recv_from(&mut bytes).unwrap();
    bytes.truncate(len);
    (bytes, from)
}

fn config(to: SocketAddr, mtu: u32) -> SendConfig {
    SendConfig { mtu: Some(mtu), ..SendConfig::new(to) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// The vectors that were captured from the reference (`data-plane.md` §1.9).
#[test]
fn headers_are_those_of_the_reference() {
    let (socket, to) = receiver("127.0.0.1:0");
    let mut sender = MmsgSender::open(&config(to, 1500)).unwrap();

    // CAP-1, CAP-2
    let event = OutgoingEvent {
        event_number: 0,
        data_id: 4321,
        entropy: 0xfd97,
        tick: 1_795_244_877_222_629,
    };
    let zeros = vec![0; 3000];
    sender.send(&event, &zeros).unwrap();
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
    sender.send(&event, &zeros[..100]).unwrap();
    assert_eq!(
        hex(&next(&socket).0[..36]),
        "4c42020100006f20000660c40ce8afe51000050500000000000000640000000000000000"
    );

    // CAP-3, and PK-b, PK-c
    let event =
        OutgoingEvent { event_number: 0, data_id: 7, entropy: 0x86f8, tick: 1_795_244_939_378_405 };
    let v3 = SendConfig { lb: Some(LbVersion::V3), ..config(to, 1500) };
    let mut sender = MmsgSender::open(&v3).unwrap();
    sender.send(&event, &zeros[..2000]).unwrap();
    next(&socket);
    assert_eq!(
        hex(&next(&socket).0[..36]),
        "4c4203017ee586f8000660c408e57ee5100000070000059c000007d00000000000000000"
    );
    sender.send(&event, b"ABCD").unwrap();
    let pk_b = "4c4203017ee586f8000660c408e57ee5100000070000000000000004000000000000000041424344";
    assert_eq!(hex(&next(&socket).0), pk_b);
    let mut sender = MmsgSender::open(&SendConfig { lb: None, ..config(to, 1500) }).unwrap();
    assert_eq!(sender.max_payload(), 1452);
    sender.send(&event, b"ABCD").unwrap();
    assert_eq!(hex(&next(&socket).0), pk_b[32..]);
}

/// Receives one event: its bytes, how many datagrams they took, and the
/// source ports those came from.
fn receive_event(socket: &UdpSocket) -> (Vec<u8>, usize, BTreeSet<u16>) {
    let (mut event, mut got, mut datagrams, mut ports) = (Vec::new(), 0, 0, BTreeSet::new());
    loop {
        let (bytes, from) = next(socket);
        let headers = Headers::parse(&bytes, xdpsar_wire::LbFraming::Auto).unwrap();
        let (offset, length) = (headers.re.offset() as usize, headers.re.length() as usize);
        event.resize(length, 0);
        let payload = &bytes[headers.len..];
        assert_eq!(offset, got, "loopback keeps the order");
        event[offset..][..payload.len()].copy_from_slice(payload);
        got += payload.len();
        datagrams += 1;
        ports.insert(from.port());
        if got == length {
            return (event, datagrams, ports);
        }
    }
}

#[test]
fn an_event_of_more_than_1024_fragments_arrives_whole() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let (socket, to) = receiver(address);
        let event = pattern(3_000_000);
        let received = thread::spawn(move || receive_event(&socket));
        let mut sender = MmsgSender::open(&config(to, 1500)).unwrap();
        // Slowly enough for any receive buffer.
        struct Gently;
        impl Pace for Gently {
            fn at_once(&self) -> u64 {
                60_000
            }
            fn wait_for(&mut self, ip_bytes: u64) {
                assert!(ip_bytes <= 60_000);
                thread::sleep(Duration::from_micros(500));
            }
        }
        sender.send_paced(&OutgoingEvent::default(), &event, &mut Gently).unwrap();
        let (bytes, datagrams, ports) = received.join().unwrap();
        assert!(bytes == event);
        let expected = event.len().div_ceil(sender.max_payload());
        assert!(expected > 2 * arena::MESSAGES && datagrams == expected);
        assert_eq!(ports.len(), 1, "one event, one flow");
        let counters = sender.counters();
        assert_eq!(
            (counters.events, counters.fragments, counters.bytes, counters.failed),
            (1, expected as u64, 3_000_000, 0)
        );
    }
}

#[test]
fn a_run_is_cut_at_what_the_kernel_takes_in_one_call() {
    // A socket that nobody reads: what does not fit is discarded there.
    let (_socket, to) = receiver("127.0.0.1:0");
    let mut sender = MmsgSender::open(&config(to, 104)).unwrap();
    sender.send(&OutgoingEvent::default(), &vec![1; 40 * 2500]).unwrap();
    let counters = sender.counters();
    assert_eq!((counters.fragments, counters.bytes), (2500, 100_000));
    assert!(counters.syscalls >= 3 && counters.syscalls < 100, "{counters:?}");
}

#[test]
fn an_empty_event_is_one_datagram_of_headers() {
    let (socket, to) = receiver("127.0.0.1:0");
    let mut sender = MmsgSender::open(&config(to, 1500)).unwrap();
    let event = OutgoingEvent { event_number: 9, ..OutgoingEvent::default() };
    sender.send(&event, &[]).unwrap();
    let (bytes, _) = next(&socket);
    assert_eq!(bytes.len(), 36);
    let headers = Headers::parse(&bytes, xdpsar_wire::LbFraming::Keep).unwrap();
    assert_eq!((headers.re.length(), headers.re.event_number()), (0, 9));
    assert_eq!(sender.counters().fragments, 1);
}

#[test]
fn events_take_turns_at_the_flows() {
    let (socket, to) = receiver("127.0.0.1:0");
    let mut sender = MmsgSender::open(&SendConfig { sockets: 3, ..config(to, 1500) }).unwrap();
    let mut ports = Vec::new();
    for _ in 0..6 {
        sender.send(&OutgoingEvent::default(), &[1; 10]).unwrap();
        ports.push(next(&socket).1.port());
    }
    assert_eq!(ports[..3], ports[3..]);
    assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 3);
    assert!(ports.iter().all(|port| *port >= 10_000));
}

#[test]
fn entropy_chooses_the_destination_port() {
    // Four consecutive free ports.
    let (sockets, to) = (0..200)
        .find_map(|_| {
            let (first, address) = receiver("127.0.0.1:0");
            let mut sockets = vec![first];
            for port in address.port().checked_add(3).map(|_| 1..4u16)? {
                let address = (Ipv4Addr::LOCALHOST, address.port() + port);
                let socket = UdpSocket::bind(address).ok()?;
                socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                sockets.push(socket);
            }
            Some((sockets, address))
        })
        .expect("four free ports");
    let mut sender =
        MmsgSender::open(&SendConfig { ports: 4, sockets: 2, ..config(to, 1500) }).unwrap();
    for length in [5, 20_000] {
        let payload = pattern(length);
        for entropy in [6u16, 0, 7, 0xfffd] {
            let event = OutgoingEvent { entropy, ..OutgoingEvent::default() };
            sender.send(&event, &payload).unwrap();
            let (received, _, _) = receive_event(&sockets[usize::from(entropy & 3)]);
            assert!(received == payload);
        }
    }
}

#[test]
fn nobody_listening_is_counted_and_no_error() {
    let (socket, to) = receiver("127.0.0.1:0");
    drop(socket);
    let mut sender = MmsgSender::open(&SendConfig { sockets: 1, ..config(to, 1500) }).unwrap();
    for _ in 0..10 {
        sender.send(&OutgoingEvent::default(), &[1; 3000]).unwrap();
    }
    let counters = sender.counters();
    assert_eq!((counters.events, counters.fragments, counters.failed), (10, 30, 0));
    assert!(counters.refused > 0, "{counters:?}");
}

/// Runs `test` in a network namespace of its own, which ends with it; the
/// loopback interface there has an MTU of 1500 and the commands have run.
fn in_own_network(commands: &[&str], test: impl FnOnce() + Send) {
    // SAFETY: no pointers.
    if unsafe { libc::geteuid() } != 0 {
        assert!(
            std::env::var("XDPSAR_REQUIRE_PRIVILEGED").as_deref() != Ok("1"),
            "a network namespace needs root"
        );
        println!("skipped: a network namespace needs root");
        return;
    }
    let run = |command: &str| {
        let mut words = command.split(' ');
        let status = std::process::Command::new(words.next().unwrap()).args(words).status();
        assert!(status.unwrap().success(), "{command}");
    };
    thread::scope(|scope| {
        // The namespace is this thread's alone, and its children's.
        scope.spawn(|| {
            // SAFETY: no pointers.
            sys::check(unsafe { libc::unshare(libc::CLONE_NEWNET) }).unwrap();
            run("ip link set lo mtu 1500 up");
            commands.iter().for_each(|command| run(command));
            test();
        });
    });
}

#[test]
fn a_full_send_buffer_is_waited_for() {
    // A slow interface: what it holds back stays in the send buffer.
    in_own_network(&["tc qdisc add dev lo root tbf rate 200mbit burst 20kb limit 10mb"], || {
        let (socket, to) = receiver("127.0.0.1:0");
        let small = SendConfig { send_buffer: 8192, sockets: 1, ..config(to, 1500) };
        let mut sender = MmsgSender::open(&small).unwrap();
        let event = pattern(1_000_000);
        let received = thread::spawn(move || receive_event(&socket).0);
        sender.send(&OutgoingEvent::default(), &event).unwrap();
        assert!(received.join().unwrap() == event);
        let counters = sender.counters();
        assert_eq!((counters.fragments, counters.failed), (697, 0));
        assert!(counters.retried_full > 0, "{counters:?}");
    });
}

#[test]
fn a_route_that_became_narrower_is_named() {
    in_own_network(&[], || {
        let (_socket, to) = receiver("127.0.0.1:0");
        let mut sender = MmsgSender::open(&config(to, 1500)).unwrap();
        let status =
            std::process::Command::new("ip").args(["link", "set", "lo", "mtu", "1400"]).status();
        assert!(status.unwrap().success());
        let error = sender.send(&OutgoingEvent::default(), &pattern(3000)).unwrap_err();
        assert!(matches!(error, SendError::Mtu { mtu: 1500, found: 1400, .. }), "{error}");
        assert_eq!(sender.counters().failed, 1);
    });
}

#[test]
fn the_mtu_is_the_routes_capped_or_the_one_asked_for() {
    let to = "127.0.0.1:19522".parse().unwrap();
    for mtu in [None, Some(0)] {
        let sender = MmsgSender::open(&SendConfig { mtu, ..SendConfig::new(to) }).unwrap();
        let lo = host::route_to(&to).unwrap().mtu;
        assert_eq!(sender.mtu(), lo.min(9000));
        assert_eq!(sender.max_payload(), sender.mtu() as usize - 64);
    }
    let (socket, to) = receiver("127.0.0.1:0");
    let largest = host::route_to(&to).unwrap().mtu;
    let mut sender = MmsgSender::open(&config(to, largest)).unwrap();
    sender.send(&OutgoingEvent::default(), &pattern(sender.max_payload())).unwrap();
    assert_eq!(next(&socket).0.len(), largest as usize - 28);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let refused = |to: &str, change: &dyn Fn(&mut SendConfig)| {
        let mut config = SendConfig::new(to.parse().unwrap());
        change(&mut config);
        let error = MmsgSender::open(&config).unwrap_err();
        (error.kind, error.to_string())
    };
    let here = "127.0.0.1:19522";
    for (to, change) in [
        (here, &(|c: &mut SendConfig| c.sockets = 0) as &dyn Fn(&mut SendConfig)),
        (here, &|c| c.sockets = 129),
        (here, &|c| c.ports = 0),
        (here, &|c| c.ports = 3),
        ("127.0.0.1:65535", &|c| c.ports = 2),
        ("127.0.0.1:0", &|_| ()),
        ("0.0.0.0:19522", &|_| ()),
    ] {
        let (kind, text) = refused(to, change);
        assert_eq!(kind, SetupErrorKind::Usage, "{text}");
    }
    let (kind, text) = refused(here, &|c| c.mtu = Some(64));
    assert_eq!(kind, SetupErrorKind::Mtu);
    assert!(text.contains("65 at least"), "{text}");
    let (kind, text) = refused("[::1]:19522", &|c| c.mtu = Some(84));
    assert_eq!(kind, SetupErrorKind::Mtu, "{text}");
    let (kind, text) = refused(here, &|c| c.mtu = Some(70_000));
    assert_eq!(kind, SetupErrorKind::Mtu);
    assert!(text.contains("the route there takes"), "{text}");
}

#[test]
fn a_failure_says_how_far_the_event_got() {
    let way = Way { to: "192.0.2.1:1".parse().unwrap(), mtu: 1500, sent: 2, fragments: 5 };
    let text = way.failed(io::Error::from_raw_os_error(libc::EPERM)).to_string();
    assert!(text.contains("after 2 of 5 fragments") && text.contains("192.0.2.1:1"), "{text}");
}
