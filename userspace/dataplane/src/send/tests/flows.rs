//! Source addresses and ports, destination ports, classes of service.

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::send::flows::Flow;

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

#[test]
fn without_a_connection_each_message_names_its_destination() {
    for (backend, address) in
        [(0, "127.0.0.1:0"), (1, "127.0.0.1:0"), (0, "[::1]:0"), (1, "[::1]:0")]
    {
        let (socket, to) = receiver(address);
        let loose = SendConfig { connected: false, ..config(to, 1500, BACKENDS[backend]) };
        let mut sender = Sender::open(&loose).unwrap();
        for length in [0, 7, 200_000] {
            let event = pattern(length);
            let arrived = through(&mut sender, &socket, Payload::whole(&event));
            assert!(arrived.event == event);
        }
        let connected: Vec<_> = sender.flows.iter().map(Flow::is_connected).collect();
        assert_eq!(connected, [false; 4]);
        assert_eq!(sender.backend(), BACKENDS[backend], "{}", sender.reason());
    }
}

#[test]
fn without_a_connection_entropy_still_chooses_the_port() {
    for backend in BACKENDS {
        let (sockets, to) = four_receivers();
        let loose = SendConfig { ports: 4, connected: false, ..config(to, 1500, backend) };
        let mut sender = Sender::open(&loose).unwrap();
        let payload = pattern(20_000);
        for entropy in [2u16, 1, 3, 0] {
            let event = OutgoingEvent { entropy, ..OutgoingEvent::default() };
            sender.send(&event, Payload::whole(&payload)).unwrap();
            let socket = &sockets[usize::from(entropy)];
            assert!(receive_event(socket, &AtomicU64::new(0)).event == payload);
        }
    }
}

#[test]
fn datagrams_leave_from_the_address_asked_for() {
    for backend in BACKENDS {
        for connected in [true, false] {
            let (socket, to) = receiver("127.0.0.1:0");
            let source = IpAddr::V4(Ipv4Addr::new(127, 7, 7, 7));
            let bound = SendConfig { source: Some(source), connected, ..config(to, 1500, backend) };
            let mut sender = Sender::open(&bound).unwrap();
            assert_eq!(sender.interface(), Some("lo"));
            sender.send(&OutgoingEvent::default(), Payload::whole(&[1; 3000])).unwrap();
            for _ in 0..3 {
                let (_, from) = next(&socket);
                assert_eq!(from.ip(), source);
                assert!(from.port() >= 10_000);
            }
        }
    }
}

/// The class of service of the next datagram: the whole byte.
fn next_class(socket: &UdpSocket, v6: bool) -> u8 {
    use std::{mem, os::fd::AsRawFd, ptr};
    let mut control = [0u64; 16];
    let mut bytes = [0u8; 2048];
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: all-zero is a valid msghdr.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = ptr::from_mut(&mut part);
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = mem::size_of_val(&control);
    // SAFETY: all pointers lead to locals of the lengths given.
    sys::check(unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, 0) } as i32).unwrap();
    // SAFETY: the kernel has set the length of the control messages.
    let header = unsafe { libc::CMSG_FIRSTHDR(&message) };
    assert!(!header.is_null(), "the class comes as a control message");
    // SAFETY: not null, so complete; the class is a byte or an int, whose
    // first byte exists either way.
    let (header, class) = unsafe { (*header, libc::CMSG_DATA(header)) };
    if v6 {
        assert_eq!((header.cmsg_level, header.cmsg_type), (libc::IPPROTO_IPV6, libc::IPV6_TCLASS));
        // SAFETY: this kind carries an int.
        unsafe { class.cast::<i32>().read_unaligned() as u8 }
    } else {
        assert_eq!((header.cmsg_level, header.cmsg_type), (libc::IPPROTO_IP, libc::IP_TOS));
        // SAFETY: this kind carries a byte.
        unsafe { *class }
    }
}

#[test]
fn datagrams_carry_the_class_of_service_asked_for() {
    for backend in BACKENDS {
        for v6 in [false, true] {
            let (socket, to) = receiver(if v6 { "[::1]:0" } else { "127.0.0.1:0" });
            let (level, tell) = if v6 {
                (libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS)
            } else {
                (libc::IPPROTO_IP, libc::IP_RECVTOS)
            };
            sys::set_option(socket.as_fd(), level, tell, 1).unwrap();
            for (dscp, class) in [(None, 0), (Some(0), 0), (Some(46), 0xb8), (Some(63), 0xfc)] {
                let classed = SendConfig { dscp, ..config(to, 1500, backend) };
                let mut sender = Sender::open(&classed).unwrap();
                sender.send(&OutgoingEvent::default(), Payload::whole(&[1; 3000])).unwrap();
                assert_eq!([(); 3].map(|()| next_class(&socket, v6)), [class; 3]);
            }
        }
    }
}
