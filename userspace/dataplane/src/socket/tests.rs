//! Real sockets on the loopback interface, no privileges.

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    time::{Duration, Instant},
};

use xdpsar_wire::{
    LbFraming,
    lb::{LbHeader, LbVersion},
    steering::LaneMode,
};
use zerocopy::IntoBytes;

use super::*;
use crate::{
    config::{SocketOptions, XdpOptions},
    error::SetupErrorKind,
    random::SplitMix64,
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

fn config(listen: IpAddr, ports: u16, workers: usize) -> ReceiveConfig {
    ReceiveConfig {
        listen,
        base_port: 0,
        ports,
        lane_mode: LaneMode::Port,
        lanes: ports,
        framing: LbFraming::Auto,
        workers,
        wait: Wait::Sleep,
        xdp: XdpOptions::default(),
        socket: SocketOptions { buffer: 1 << 20, gro: true },
    }
}

/// Opens a run of free ports somewhere.
fn open_somewhere(mut config: ReceiveConfig) -> (Vec<SocketSource>, ReceiveConfig) {
    let mut random = SplitMix64::from_os();
    for _ in 0..100 {
        config.base_port = 20_000 + random.below(40_000) as u16;
        match SocketSource::open(&config) {
            Ok((sources, _)) => return (sources, config),
            Err(error) => assert_eq!(error.kind, SetupErrorKind::PortInUse, "{error}"),
        }
    }
    panic!("no free ports in a hundred attempts");
}

fn sender(to: SocketAddr) -> UdpSocket {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).unwrap();
    socket.connect(to).unwrap();
    socket
}

/// Everything that arrives until `count` datagrams are there or a minute has
/// brought none.
fn take(source: &mut SocketSource, count: usize) -> Vec<(u16, Vec<u8>)> {
    take_until(source, count, Duration::from_secs(60))
}

/// What the kernel has kept of datagrams sent to ourselves: those arrive, or
/// are dropped, about as soon as they are sent.
fn take_kept(source: &mut SocketSource) -> u64 {
    take_until(source, usize::MAX, Duration::from_secs(5)).len() as u64
}

/// Everything that arrives until `count` datagrams are there or none has come
/// for so long.
fn take_until(source: &mut SocketSource, count: usize, patience: Duration) -> Vec<(u16, Vec<u8>)> {
    let (wake, _keep) = pipe();
    let mut taken = Vec::new();
    let mut end = Instant::now() + patience;
    while taken.len() < count && Instant::now() < end {
        let got = source
            .receive(&mut |datagram: Datagram<'_>| {
                let mut bytes = vec![0; datagram.bytes.len()];
                datagram.bytes.copy_to(&mut bytes);
                taken.push((datagram.lane, bytes));
            })
            .unwrap();
        if got == 0 {
            source.wait(wake.as_fd(), Duration::from_millis(20)).unwrap();
        } else {
            end = Instant::now() + patience;
        }
    }
    taken
}

fn pipe() -> (OwnedFd, std::io::PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    (reader.into(), writer)
}

#[test]
fn each_port_is_a_lane_and_each_lane_has_its_worker() {
    for listen in [V4, V6] {
        let (mut sources, config) = open_somewhere(config(listen, 8, 3));
        for lane in 0..8u16 {
            let to = SocketAddr::new(listen, config.base_port + lane);
            sender(to).send(&[lane as u8; 99]).unwrap();
        }
        for (worker, source) in sources.iter_mut().enumerate() {
            let lanes: Vec<u16> = (0..8).filter(|lane| lane % 3 == worker as u16).collect();
            let mut taken = take(source, lanes.len());
            taken.sort();
            let expected: Vec<_> = lanes.iter().map(|l| (*l, vec![*l as u8; 99])).collect();
            assert_eq!(taken, expected);
            let counters = source.counters();
            assert_eq!(counters.datagrams, lanes.len() as u64);
            assert_eq!(counters.bytes, 99 * lanes.len() as u64);
            assert_eq!((counters.truncated, counters.kernel_drops), (0, 0));
        }
    }
}

#[test]
fn an_ipv6_wildcard_leaves_ipv4_alone() {
    let wildcard = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let (sources, _) = SocketSource::open(&config(wildcard, 1, 1)).unwrap();
    let port = sources[0].local_addr().unwrap().port();
    let mut v4 = config(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 1, 1);
    v4.base_port = port;
    SocketSource::open(&v4).unwrap();
}

#[test]
fn super_packets_are_cut_into_datagrams() {
    for listen in [V4, V6] {
        let (mut sources, _) = SocketSource::open(&config(listen, 1, 1)).unwrap();
        let socket = sender(sources[0].local_addr().unwrap());
        sys::set_option(socket.as_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, 1000).unwrap();
        // 12 × 1000 bytes and 345: one send, thirteen datagrams.
        let sent: Vec<u8> = (0..12_345u32).map(|i| (i / 7) as u8).collect();
        socket.send(&sent).unwrap();
        socket.send(&sent[..1000]).unwrap();
        let taken = take(&mut sources[0], 14);
        let lengths: Vec<usize> = taken.iter().map(|(_, bytes)| bytes.len()).collect();
        assert_eq!(lengths, [vec![1000; 12], vec![345, 1000]].concat());
        let whole: Vec<u8> = taken[..13].iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        assert_eq!(whole, sent);
        let counters = sources[0].counters();
        assert_eq!(counters.datagrams, 14);
        // The point of GRO: fewer system calls than datagrams.
        assert!(counters.syscalls < 14, "{counters:?}");
    }
}

#[test]
fn an_empty_datagram_is_a_datagram() {
    let (mut sources, _) = SocketSource::open(&config(V4, 1, 1)).unwrap();
    sender(sources[0].local_addr().unwrap()).send(&[]).unwrap();
    assert_eq!(take(&mut sources[0], 1), [(0, vec![])]);
}

#[test]
fn a_truncated_datagram_is_counted_and_dropped() {
    let (mut sources, _) = SocketSource::open(&config(V4, 1, 1)).unwrap();
    sources[0].batch = Batch::new(4, 1000);
    let socket = sender(sources[0].local_addr().unwrap());
    for len in [1000, 1001, 5] {
        socket.send(&vec![1; len]).unwrap();
    }
    let lengths: Vec<_> = take(&mut sources[0], 2).iter().map(|(_, b)| b.len()).collect();
    assert_eq!(lengths, [1000, 5]);
    let counters = sources[0].counters();
    assert_eq!((counters.truncated, counters.datagrams), (1, 2));
}

#[test]
fn what_the_kernel_drops_is_counted() {
    let mut small = config(V4, 1, 1);
    small.socket = SocketOptions { buffer: 16 << 10, gro: false };
    let (mut sources, warnings) = SocketSource::open(&small).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let socket = sender(sources[0].local_addr().unwrap());
    for _ in 0..500 {
        socket.send(&[1; 1000]).unwrap();
    }
    // The last drops are followed by no datagram: only asking finds them.
    let first = take_kept(&mut sources[0]);
    assert!(first < 500);
    assert_eq!(sources[0].counters().kernel_drops, 500 - first);
    // And those that a datagram brings are not counted twice.
    socket.send(&[2; 10]).unwrap();
    assert_eq!(take(&mut sources[0], 1).len(), 1);
    assert_eq!(sources[0].counters().kernel_drops, 500 - first);
}

#[test]
fn drops_come_with_the_datagrams_too() {
    let mut small = config(V4, 1, 1);
    small.socket = SocketOptions { buffer: 16 << 10, gro: false };
    let (mut sources, _) = SocketSource::open(&small).unwrap();
    let socket = sender(sources[0].local_addr().unwrap());
    for _ in 0..100 {
        socket.send(&[1; 1000]).unwrap();
    }
    let first = take_kept(&mut sources[0]);
    assert!(first < 100);
    socket.send(&[2; 10]).unwrap();
    take(&mut sources[0], 1);
    assert_eq!(sources[0].counters.kernel_drops, 100 - first);
}

#[test]
fn a_drop_counter_may_wrap_but_not_go_back() {
    let fd = sys::udp_socket(&SocketAddr::new(V4, 0)).unwrap();
    let mut socket = Socket { fd, port: 0, lane: 0, drops: u32::MAX - 1 };
    assert_eq!(socket.note_drops(3), 5);
    assert_eq!(socket.note_drops(2), 0);
    assert_eq!(socket.note_drops(3), 0);
    assert_eq!(socket.note_drops(4), 1);
}

fn lb_datagram(entropy: u16) -> Vec<u8> {
    let mut bytes = LbHeader::new(LbVersion::V2, entropy, 7).as_bytes().to_vec();
    bytes.extend_from_slice(xdpsar_wire::ReHeader::new(1, 0, 2, 3).as_bytes());
    bytes.extend_from_slice(b"ab");
    bytes
}

#[test]
fn one_port_is_shared_by_entropy() {
    let mut config = config(V4, 1, 4);
    (config.lane_mode, config.lanes) = (LaneMode::Entropy, 8);
    for listen in [V4, V6] {
        config.listen = listen;
        config.base_port = 0;
        let (mut sources, _) = SocketSource::open(&config).unwrap();
        let to = sources[0].local_addr().unwrap();
        // One flow: the kernel's own choice, a hash, would keep it together.
        let socket = sender(to);
        for entropy in 0..64u16 {
            socket.send(&lb_datagram(entropy * 1009)).unwrap();
        }
        for (worker, source) in sources.iter_mut().enumerate() {
            let mine = |entropy: &u16| usize::from(entropy & 7) % 4 == worker;
            let expected: Vec<u16> = (0..64).map(|n| n * 1009).filter(mine).collect();
            let taken = take(source, expected.len());
            let lanes: Vec<u16> = expected.iter().map(|entropy| entropy & 7).collect();
            assert_eq!(taken.iter().map(|(lane, _)| *lane).collect::<Vec<_>>(), lanes);
            assert!(taken.iter().zip(&expected).all(|((_, b), e)| *b == lb_datagram(*e)));
        }
        // Without an LB header: to the first, which counts it.
        socket.send(&lb_datagram(0)[16..]).unwrap();
        socket.send(b"no header of ours").unwrap();
        assert_eq!(take(&mut sources[0], 1), [(0, b"no header of ours".to_vec())]);
        assert_eq!(sources[0].counters().no_entropy, 1);
        // And nobody can join the group.
        config.base_port = to.port();
        let error = SocketSource::open(&config).unwrap_err();
        assert_eq!(error.kind, SetupErrorKind::PortInUse, "{error}");
    }
}

#[test]
fn one_worker_takes_every_entropy_and_keeps_gro() {
    let mut config = config(V4, 1, 1);
    (config.lane_mode, config.lanes) = (LaneMode::Entropy, 4);
    let (mut sources, _) = SocketSource::open(&config).unwrap();
    assert!(sources[0].describe().contains("GRO"), "{:?}", sources[0]);
    let socket = sender(sources[0].local_addr().unwrap());
    sys::set_option(socket.as_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, 38).unwrap();
    let events: Vec<u8> = (0..8).flat_map(lb_datagram).collect();
    socket.send(&events).unwrap();
    let lanes: Vec<u16> = take(&mut sources[0], 8).iter().map(|(lane, _)| *lane).collect();
    assert_eq!(lanes, [0, 1, 2, 3, 0, 1, 2, 3]);
}

#[test]
fn a_busy_lane_does_not_starve_the_others() {
    let (mut sources, config) = open_somewhere(config(V4, 4, 1));
    let to = |lane| SocketAddr::new(V4, config.base_port + lane);
    let busy = sender(to(1));
    for lane in [0, 2, 3] {
        sender(to(lane)).send(&[lane as u8; 50]).unwrap();
    }
    let mut seen = [0; 4];
    for _ in 0..8 {
        // More than a batch is always there on the busy one.
        for _ in 0..2 * MESSAGES {
            busy.send(&[1; 50]).unwrap();
        }
        let mut batch = 0;
        sources[0]
            .receive(&mut |datagram: Datagram<'_>| {
                seen[usize::from(datagram.lane)] += 1;
                batch += 1;
            })
            .unwrap();
        assert!(batch <= MESSAGES, "work per call is bounded");
    }
    assert_eq!([seen[0], seen[2], seen[3]], [1; 3], "{seen:?}");
}

#[test]
fn waiting_ends_with_the_signal_with_the_time_and_with_a_datagram() {
    for (wait, ports) in [(Wait::Sleep, 1), (Wait::Sleep, 2), (Wait::Adaptive, 2), (Wait::Spin, 1)]
    {
        let (mut sources, config) = open_somewhere(ReceiveConfig { wait, ..config(V4, ports, 1) });
        let source = &mut sources[0];
        let (wake, mut signal) = pipe();
        let took = |source: &mut SocketSource, timeout| {
            let start = Instant::now();
            source.wait(wake.as_fd(), timeout).unwrap();
            start.elapsed()
        };
        let (short, long) = (Duration::from_millis(20), Duration::from_secs(60));
        if wait == Wait::Spin {
            assert!(took(source, long) < long / 4, "spinning never sleeps");
            continue;
        }
        assert!(took(source, short) >= short);
        sender(SocketAddr::new(V4, config.base_port)).send(&[0]).unwrap();
        assert!(took(source, long) < long / 4);
        assert_eq!(take(source, 1).len(), 1);
        signal.write_all(&[1]).unwrap();
        assert!(took(source, long) < long / 4);
    }
}

#[test]
fn a_worker_without_lanes_only_waits() {
    let (mut sources, config) = open_somewhere(config(V4, 2, 3));
    let (_, warnings) =
        SocketSource::open(&ReceiveConfig { base_port: 0, ports: 1, lanes: 1, ..config }).unwrap();
    assert!(warnings[0].contains("2 of 3 workers"), "{warnings:?}");
    assert_eq!(sources[2].local_addr(), None);
    assert_eq!(sources[2].describe(), "no ports");
    assert!(take(&mut sources[2], 0).is_empty());
    assert_eq!(sources[2].receive(&mut |_: Datagram<'_>| ()).unwrap(), 0);
    assert_eq!(sources[2].counters().datagrams, 0);
}

#[test]
fn a_taken_port_is_named() {
    // Somebody else may take another one of the ports between being free and
    // being asked for.
    for _ in 0..50 {
        let (sources, config) = open_somewhere(config(V4, 4, 1));
        drop(sources);
        let third = config.base_port + 2;
        let Ok(_third) = UdpSocket::bind((Ipv4Addr::LOCALHOST, third)) else { continue };
        let error = SocketSource::open(&config).unwrap_err();
        assert_eq!(error.kind, SetupErrorKind::PortInUse);
        assert!(error.remedy.contains("ss -ulnp"), "{error}");
        if error.found.contains(&third.to_string()) {
            return;
        }
    }
    panic!("the taken port is never the one that is named");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let refused = |change: &dyn Fn(&mut ReceiveConfig)| {
        let mut config = config(V4, 4, 1);
        config.base_port = 20_000;
        change(&mut config);
        let error = SocketSource::open(&config).unwrap_err();
        (error.kind, error.to_string())
    };
    let usage: [&dyn Fn(&mut ReceiveConfig); 7] = [
        &|c| c.workers = 0,
        &|c| c.base_port = 65_533,
        &|c| c.base_port = 0,
        &|c| (c.ports, c.lanes) = (3, 3),
        &|c| (c.ports, c.lanes) = (0, 0),
        &|c| c.lanes = 8,
        &|c| (c.lane_mode, c.framing) = (LaneMode::Entropy, LbFraming::None),
    ];
    for change in usage {
        let (kind, text) = refused(change);
        assert_eq!(kind, SetupErrorKind::Usage, "{text}");
    }
    let (kind, text) = refused(&|c| c.listen = "192.0.2.1".parse().unwrap());
    assert_eq!(kind, SetupErrorKind::NoInterface);
    assert!(text.contains("127.0.0.1 (lo)") && text.contains("0.0.0.0"), "{text}");
    let (kind, text) = refused(&|c| c.listen = "fe80::dead:beef".parse().unwrap());
    assert_eq!(kind, SetupErrorKind::NoInterface, "{text}");
    let (kind, text) = refused(&|c| {
        (c.lane_mode, c.ports, c.lanes, c.workers) = (LaneMode::Entropy, 16384, 16384, 1 << 20);
    });
    assert_eq!(kind, SetupErrorKind::System);
    assert!(text.contains("ulimit -n"), "{text}");
}

#[test]
fn a_clamped_buffer_is_a_warning_with_the_line_that_helps() {
    // Privileged processes get what they ask for, up to a gigabyte.
    let mut huge = config(V4, 1, 1);
    huge.socket.buffer = usize::MAX;
    let (sources, warnings) = SocketSource::open(&huge).unwrap();
    assert!(sources[0].sockets[0].fd.as_raw_fd() >= 0);
    assert!(warnings[0].contains("sysctl -w net.core.rmem_max="), "{warnings:?}");
}
