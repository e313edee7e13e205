//! Source ports, destination ports.

use std::net::Ipv4Addr;

use super::*;

#[test]
fn events_take_turns_at_the_flows() {
    let (socket, to) = receiver("127.0.0.1:0");
    let three = SendConfig { sockets: 3, ..config(to, 1500, SendBackend::Auto) };
    let mut sender = Sender::open(&three).unwrap();
    let mut ports = Vec::new();
    for _ in 0..6 {
        sender.send(&OutgoingEvent::default(), Payload::whole(&[1; 10])).unwrap();
        ports.push(next(&socket).1.port());
    }
    assert_eq!(ports[..3], ports[3..]);
    assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 3);
    assert!(ports.iter().all(|port| *port >= 10_000));
}

/// Receivers on four consecutive ports, and the address of the first.
fn four_receivers() -> (Vec<UdpSocket>, SocketAddr) {
    (0..200)
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
        .expect("four free ports")
}

#[test]
fn entropy_chooses_the_destination_port() {
    for backend in BACKENDS {
        let (sockets, to) = four_receivers();
        let four = SendConfig { ports: 4, sockets: 2, ..config(to, 1500, backend) };
        let mut sender = Sender::open(&four).unwrap();
        for length in [5, 20_000] {
            let payload = pattern(length);
            for entropy in [6u16, 0, 7, 0xfffd] {
                let event = OutgoingEvent { entropy, ..OutgoingEvent::default() };
                sender.send(&event, Payload::whole(&payload)).unwrap();
                let socket = &sockets[usize::from(entropy & 3)];
                assert!(receive_event(socket, &AtomicU64::new(0)).event == payload);
            }
        }
    }
}
