//! What goes wrong on the way, and what is made of it.

use std::{io, os::fd::BorrowedFd};

use super::{run::Way, *};

#[test]
fn nobody_listening_is_counted_and_no_error() {
    for (backend, address, connected) in [
        (0, "127.0.0.1:0", true),
        (1, "127.0.0.1:0", true),
        (0, "[::1]:0", true),
        (1, "[::1]:0", false),
    ] {
        let (socket, to) = receiver(address);
        // Nobody else gets the port, and no datagram of ours is for this one.
        socket.connect((to.ip(), 1)).unwrap();
        let one = SendConfig { sockets: 1, connected, ..config(to, 1500, BACKENDS[backend]) };
        let mut sender = Sender::open(&one).unwrap();
        for _ in 0..10 {
            sender.send(&OutgoingEvent::default(), Payload::whole(&[1; 3000])).unwrap();
        }
        let counters = sender.counters();
        assert_eq!((counters.events, counters.fragments, counters.failed), (10, 30, 0));
        assert!(counters.refused > 0, "{counters:?}");
    }
}

/// Sends an event of `length` bytes over and over, until `waited_for` counts
/// something: a sender that the machine holds up finds room now and then. All
/// of them arrive whole.
fn until_it_waits(
    sending: &SendConfig,
    socket: &UdpSocket,
    length: usize,
    waited_for: impl Fn(&SendCounters) -> u64,
) {
    let mut sender = Sender::open(sending).unwrap();
    let event = pattern(length);
    let mut fragments = 0;
    for _ in 0..20 {
        let arrived = thread::scope(|scope| {
            let arrived = scope.spawn(|| receive_event(socket, &AtomicU64::new(0)));
            sender.send(&OutgoingEvent::default(), Payload::whole(&event)).unwrap();
            arrived.join().unwrap()
        });
        assert!(arrived.event == event);
        fragments += arrived.cuts.len() as u64;
        let counters = sender.counters();
        assert_eq!((counters.fragments, counters.failed), (fragments, 0), "{counters:?}");
        if waited_for(&counters) > 0 {
            return;
        }
    }
    panic!("never waited: {:?}", sender.counters());
}

#[test]
fn a_full_send_buffer_is_waited_for() {
    // A slow interface: what it holds back stays in the send buffer.
    let slow = ["tc qdisc add dev lo root tbf rate 100mbit burst 20kb limit 10mb"];
    for backend in BACKENDS {
        in_own_network(&slow, || {
            let (socket, to) = receiver("127.0.0.1:0");
            let small = SendConfig { send_buffer: 8192, sockets: 1, ..config(to, 1500, backend) };
            until_it_waits(&small, &socket, 1_000_000, |counters| counters.retried_full);
        });
    }
}

/// What an interface drops before it sends is not sent, though the kernel
/// would say so unless asked otherwise.
#[test]
fn a_full_interface_queue_is_waited_for() {
    let short = ["tc qdisc add dev lo root tbf rate 50mbit burst 100kb limit 200kb"];
    for backend in BACKENDS {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            in_own_network(&short, || {
                let (socket, to) = receiver(address);
                let sending = config(to, 1500, backend);
                until_it_waits(&sending, &socket, 2_000_000, |counters| {
                    counters.retried_no_buffers
                });
            });
        }
    }
}

#[test]
fn patience_ends() {
    // Next to nothing leaves: some 12 datagrams, and then one in a second.
    let stuck = ["tc qdisc add dev lo root tbf rate 12kbit burst 20kb limit 10mb"];
    for backend in BACKENDS {
        in_own_network(&stuck, || {
            let (_socket, to) = receiver("127.0.0.1:0");
            let hasty = SendConfig {
                send_buffer: 8192,
                sockets: 1,
                patience: Duration::from_millis(200),
                ..config(to, 1500, backend)
            };
            let mut sender = Sender::open(&hasty).unwrap();
            let error = sender
                .send(&OutgoingEvent::default(), Payload::whole(&pattern(1_000_000)))
                .unwrap_err();
            assert!(matches!(error, SendError::Stalled { .. }), "{error}");
            let counters = sender.counters();
            assert_eq!((counters.failed, counters.fragments + counters.fragments_failed), (1, 697));
            assert!(counters.fragments_failed > 600, "{counters:?}");
        });
    }
}

#[test]
fn a_route_that_became_narrower_is_named() {
    for backend in BACKENDS {
        in_own_network(&[], || {
            let (_socket, to) = receiver("127.0.0.1:0");
            let mut sender = Sender::open(&config(to, 1500, backend)).unwrap();
            run("ip link set lo mtu 1400");
            let event = pattern(3000);
            let error = sender.send(&OutgoingEvent::default(), Payload::whole(&event)).unwrap_err();
            assert!(matches!(error, SendError::Mtu { mtu: 1500, found: 1400, .. }), "{error}");
            let counters = sender.counters();
            assert_eq!((counters.failed, counters.fragments_failed), (1, 3));
            assert_eq!(sender.backend(), backend, "a narrow route is no reason to change");
        });
    }
}

/// The kernel does not segment for sockets that do not checksum, and says so
/// as it does for routes through IPsec, say.
fn switch_checksums(socket: BorrowedFd<'_>, off: i32) {
    sys::set_option(socket, libc::SOL_SOCKET, libc::SO_NO_CHECK, off).unwrap();
}

#[test]
fn where_segmentation_is_refused_each_fragment_is_a_message() {
    let (socket, to) = receiver("127.0.0.1:0");
    let one = SendConfig { sockets: 1, ..config(to, 1500, SendBackend::Auto) };
    let mut sender = Sender::open(&one).unwrap();
    assert_eq!(sender.backend(), SendBackend::Gso, "{}", sender.reason());
    let event = pattern(200_000);
    assert!(through(&mut sender, &socket, Payload::whole(&event)).event == event);
    assert_eq!(sender.backend(), SendBackend::Gso);

    switch_checksums(sender.flows[0].socket(), 1);
    // Single fragments need no segmentation.
    assert!(through(&mut sender, &socket, Payload::whole(b"one")).event == b"one");
    assert_eq!(sender.backend(), SendBackend::Gso);
    let parts: Vec<_> = event.chunks(999).map(io::IoSlice::new).collect();
    let arrived = through(&mut sender, &socket, Payload::parts(&parts));
    assert!(arrived.event == event);
    assert_eq!(arrived.cuts.len(), 140);
    assert_eq!(sender.backend(), SendBackend::Mmsg);
    assert!(sender.reason().contains("segmented"), "{}", sender.reason());
    let counters = sender.counters();
    assert_eq!((counters.fragments, counters.failed), (281, 0));
}

/// The refusal comes in the middle of an event: what went out before is not
/// sent again, what did not is.
#[test]
fn segmentation_that_ends_within_an_event_loses_and_repeats_nothing() {
    struct Switch<'a>(BorrowedFd<'a>, usize);
    impl Pace for Switch<'_> {
        fn at_once(&self) -> u64 {
            10 * 1500
        }
        fn wait_for(&mut self, _ip_bytes: u64) {
            self.1 += 1;
            if self.1 == 4 {
                switch_checksums(self.0, 1);
            }
        }
    }
    let (socket, to) = receiver("127.0.0.1:0");
    let one = SendConfig { sockets: 1, ..config(to, 1500, SendBackend::Gso) };
    let mut sender = Sender::open(&one).unwrap();
    let fd = sender.flows[0].socket().try_clone_to_owned().unwrap();
    let event = pattern(100 * 1436);
    let pace = &mut Switch(fd.as_fd(), 0);
    sender.send_paced(&OutgoingEvent::default(), Payload::whole(&event), pace).unwrap();
    let arrived = receive_event(&socket, &AtomicU64::new(0));
    assert!(arrived.event == event);
    assert_eq!(arrived.cuts, (0..100).map(|i| (i * 1436, 1436)).collect::<Vec<_>>());
    assert_eq!((sender.counters().fragments, sender.backend()), (100, SendBackend::Mmsg));
}

#[test]
fn a_failure_says_how_far_the_event_got() {
    let way = Way {
        to: "192.0.2.1:1".parse().unwrap(),
        source: None,
        mtu: 1500,
        sent: 2,
        fragments: 5,
        patience: Duration::ZERO,
    };
    let text = way.failed(io::Error::from_raw_os_error(libc::EPERM)).to_string();
    assert!(text.contains("after 2 of 5 fragments") && text.contains("192.0.2.1:1"), "{text}");
}

/// No rate, and an end.
struct Until<'a>(&'a AtomicBool);

impl Pace for Until<'_> {
    fn at_once(&self) -> u64 {
        u64::MAX
    }

    fn wait_for(&mut self, _ip_bytes: u64) {}

    fn gives_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn a_pace_that_gives_up_ends_the_event_though_the_buffer_is_full() {
    let stuck = ["tc qdisc add dev lo root tbf rate 12kbit burst 20kb limit 10mb"];
    for backend in BACKENDS {
        in_own_network(&stuck, || {
            let (_socket, to) = receiver("127.0.0.1:0");
            let patient = SendConfig {
                send_buffer: 8192,
                sockets: 1,
                patience: Duration::from_secs(3600),
                ..config(to, 1500, backend)
            };
            let mut sender = Sender::open(&patient).unwrap();
            let over = AtomicBool::new(false);
            let event = pattern(1_000_000);
            let error = thread::scope(|scope| {
                scope.spawn(|| {
                    thread::sleep(Duration::from_millis(300));
                    over.store(true, Ordering::Relaxed);
                });
                let event = Payload::whole(&event);
                sender.send_paced(&OutgoingEvent::default(), event, &mut Until(&over))
            });
            let error = error.unwrap_err();
            let SendError::Stopped { sent, fragments: 697, .. } = error else { panic!("{error}") };
            assert!((1..697).contains(&sent), "{error}");
            // It stays given up before anything leaves.
            let event = Payload::whole(b"another");
            let error = sender.send_paced(&OutgoingEvent::default(), event, &mut Until(&over));
            assert!(matches!(error, Err(SendError::Stopped { sent: 0, fragments: 1, .. })));
            let counters = sender.counters();
            assert_eq!((counters.failed, counters.fragments), (2, sent as u64));
            assert_eq!(counters.fragments_failed, (697 - sent + 1) as u64);
        });
    }
}
