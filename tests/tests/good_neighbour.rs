//! A receiver takes its own datagrams off the interface and nothing else, and
//! leaves nothing behind, however it ends.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    process::Stdio,
};

use xdpsar::{AttachMode, Backend, Reassembler, Segmenter, XdpOptions};
use xdpsar_tests::{
    Host, Lab, LabConfig,
    pace::{PATIENCE, until},
    payload, privileged,
};

const PORT: u16 = 19522;

/// A receiver on `host`'s one address, by XDP.
fn receiver(host: &Host, v6: bool, attach: AttachMode) -> Reassembler {
    let listen = SocketAddr::new(host.address(v6), PORT);
    let options = XdpOptions { attach, ..XdpOptions::default() };
    let builder = Reassembler::builder(listen).backend(Backend::Xdp).xdp(options);
    host.run(|| builder.timeout(PATIENCE).start()).expect("a receiver")
}

/// Event `number` arrives: the receiver is at work.
fn receives(lab: &Lab, receiver: &Reassembler, number: u64) {
    let sender = Segmenter::builder(receiver.local_addr()).first_event(number);
    let mut sender = lab.sender.run(|| sender.open()).expect("a sender");
    sender.send(&payload::bytes(number, 50_000)).expect("an event goes out");
    let event = receiver
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|error| panic!("no event: {error}, {:#?}", receiver.stats()));
    assert_eq!(event.event_number(), number);
    assert_eq!(payload::first_difference(number, 50_000, &event), None);
}

#[test]
fn other_traffic_passes_a_running_receiver() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    // Generic XDP is to meet single datagrams.
    lab.sender.offload("tx-udp-segmentation", false);
    for attach in [AttachMode::Native, AttachMode::Generic] {
        for v6 in [false, true] {
            let reassembler = receiver(&lab.receiver, v6, attach);
            assert_eq!(lab.receiver.xdp_programs().len(), 1);
            receives(&lab, &reassembler, 1);

            // Neighbours find each other again: ARP, neighbour discovery.
            lab.receiver.tool("ip neigh flush dev vb");
            lab.sender.tool("ip neigh flush dev va");
            for other in [false, true] {
                lab.sender.answered(lab.receiver.address(other), 56);
                lab.receiver.answered(lab.sender.address(other), 56);
                udp_passes(&lab, SocketAddr::new(lab.receiver.address(other), PORT + 1));
                tcp_passes(&lab, SocketAddr::new(lab.receiver.address(other), PORT));
            }
            // Our port, but not our IP version.
            udp_passes(&lab, SocketAddr::new(lab.receiver.address(!v6), PORT));
            // Our port, but in IP fragments: only the kernel puts them
            // together.
            let ours = SocketAddr::new(lab.receiver.address(v6), PORT);
            let socket = lab.receiver.run(|| UdpSocket::bind(ours)).expect("the port is free");
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            lab.sender.send_udp(ours, &payload::bytes(1, 4000));
            let mut bytes = [0; 8000];
            let (len, _) = socket.recv_from(&mut bytes).expect("the kernel's datagram");
            assert_eq!(payload::first_difference(1, 4000, &bytes[..len]), None);

            receives(&lab, &reassembler, 2);
            reassembler.join();
            assert_eq!(reassembler.stats().events_ok, 2);
            assert_eq!(reassembler.stats().dropped.total(), 0);
            let program = reassembler.stats().program.expect("XDP has counters");
            for counter in ["pass_not_ip", "pass_not_udp", "pass_other_port", "pass_ip_fragment"] {
                // (IPv6 has no ARP, but the other version's goes by as well.)
                assert!(program[counter] > 0, "{attach:?}, {counter}: {program:?}");
            }
        }
    }
}

fn udp_passes(lab: &Lab, to: SocketAddr) {
    let socket = lab.receiver.run(|| UdpSocket::bind(to)).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    lab.sender.send_udp(to, b"not for xdpsar");
    let mut bytes = [0; 64];
    let (len, _) = socket.recv_from(&mut bytes).unwrap_or_else(|error| panic!("{to}: {error}"));
    assert_eq!(&bytes[..len], b"not for xdpsar");
}

fn tcp_passes(lab: &Lab, to: SocketAddr) {
    let listener = lab.receiver.run(|| TcpListener::bind(to)).expect("a listener");
    let sent = payload::bytes(2, 1 << 20);
    let copy = sent.clone();
    let client = lab.sender.spawn(move || {
        let mut stream = TcpStream::connect_timeout(&to, PATIENCE).expect("a connection");
        stream.write_all(&copy).expect("a stream of bytes");
    });
    let (mut stream, _) = listener.accept().expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut found = Vec::new();
    stream.read_to_end(&mut found).expect("a stream of bytes");
    client.join().expect("the client ends well");
    assert!(found == sent, "a TCP stream was changed on its way");
}

/// Set for the process that the next test kills.
const CHILD: &str = "XDPSAR_TEST_CHILD";

#[test]
fn a_killed_receiver_leaves_the_interface_as_it_found_it() {
    if let Ok(listen) = std::env::var(CHILD) {
        let listen: SocketAddr = listen.parse().unwrap();
        let receiver = Reassembler::builder(listen).backend(Backend::Xdp).start().unwrap();
        // Killed while it waits.
        receiver.recv();
        return;
    }
    privileged!();
    let lab = Lab::new(LabConfig::default());
    let listen = SocketAddr::new(lab.receiver.v4.into(), PORT);
    let mut child = lab
        .receiver
        .command(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_receiver_leaves_the_interface_as_it_found_it"])
        .env(CHILD, listen.to_string())
        .stdout(Stdio::null())
        .spawn()
        .expect("a process");
    until("the child attaches its program", || lab.receiver.xdp_programs().len() == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    until("the program is gone", || lab.receiver.xdp_programs().is_empty());
    // And so are its sockets: the next one starts and receives.
    let next = receiver(&lab.receiver, false, AttachMode::Native);
    receives(&lab, &next, 1);
}
