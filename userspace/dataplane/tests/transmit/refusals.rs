//! What cannot be had is said, and what was asked for is chosen.

use std::time::{Duration, Instant};

use xdpsar_dataplane::{
    CopyMode, OutgoingEvent, SendBackend, SendConfig, Sender, XdpTransmitOptions,
    error::SetupErrorKind,
};
use xdpsar_tests::{Lab, LabConfig, privileged};

use crate::{capture::Capture, config, pattern, send};

fn options(queue: Option<u32>) -> XdpTransmitOptions {
    XdpTransmitOptions { queue, bind_retry: Duration::ZERO, ..Default::default() }
}

fn refused(lab: &Lab, config: &SendConfig) -> (SetupErrorKind, String) {
    let error = lab.sender.run(|| Sender::open(config).expect_err("refused"));
    (error.kind, error.to_string())
}

#[test]
fn a_neighbour_that_is_not_there_is_named() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    // The kernel asks three times: quickly, for once.
    lab.sender.tool("ip ntable change name arp_cache dev va retrans 50");
    lab.sender.tool("ip ntable change name ndisc_cache dev va retrans 50");
    for (to, question) in [("10.77.0.99:19522", "ARP"), ("[fd77::99]:19522", "solicitations")] {
        let nobody = SendConfig { to: to.parse().unwrap(), ..config(&lab, false) };
        let start = Instant::now();
        let (kind, text) = refused(&lab, &nobody);
        assert_eq!(kind, SetupErrorKind::NoNeighbour, "{text}");
        assert!(start.elapsed() < Duration::from_secs(30));
        let address = to.trim_start_matches('[').split([']']).next().unwrap();
        let address = address.trim_end_matches(":19522");
        assert!(text.contains(&format!("next hop {address} on va")), "{text}");
        assert!(text.contains(question) && text.contains("ip neigh"), "{text}");
    }
}

#[test]
fn a_neighbour_that_is_not_known_is_asked_for() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    for v6 in [false, true] {
        lab.sender.tool("ip neigh flush dev va");
        lab.sender.run(|| Sender::open(&config(&lab, v6)).expect("the neighbour answers"));
    }
}

#[test]
fn a_gateway_is_the_next_hop() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    lab.sender.tool("ip route add 192.0.2.0/24 via 10.77.0.2");
    lab.sender.tool("ip route add 198.51.100.0/24 via 10.77.0.99");
    lab.sender.tool("ip ntable change name arp_cache dev va retrans 50");
    let beyond = |to: &str| SendConfig { to: to.parse().unwrap(), ..config(&lab, false) };
    lab.sender.run(|| Sender::open(&beyond("192.0.2.7:19522")).expect("through the receiver"));
    let (kind, text) = refused(&lab, &beyond("198.51.100.7:19522"));
    assert_eq!(kind, SetupErrorKind::NoNeighbour);
    assert!(text.contains("next hop 10.77.0.99 on va"), "{text}");
}

#[test]
fn what_cannot_be_had_is_said() {
    privileged!();
    let lab = Lab::new(LabConfig { queues: 2, mtu: 1500 });
    let sound = config(&lab, false);
    for (change, kind, word) in [
        (
            &(|c: &mut SendConfig| c.xdp.copy = CopyMode::ZeroCopy) as &dyn Fn(&mut SendConfig),
            SetupErrorKind::Unsupported,
            "let the kernel copy",
        ),
        (&|c| c.xdp.queue = Some(2), SetupErrorKind::Usage, "2 TX queues"),
        (&|c| c.to = "10.77.0.1:19522".parse().unwrap(), SetupErrorKind::Unsupported, "this host"),
        (&|c| c.to = "127.0.0.1:19522".parse().unwrap(), SetupErrorKind::Unsupported, "this host"),
        (&|c| c.to = "224.0.0.9:19522".parse().unwrap(), SetupErrorKind::NoInterface, "no route"),
        (&|c| c.to = "192.0.2.1:1".parse().unwrap(), SetupErrorKind::NoInterface, "no route"),
    ] {
        let mut config = sound.clone();
        change(&mut config);
        let (found, text) = refused(&lab, &config);
        assert_eq!(found, kind, "{text}");
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn packets_are_as_long_as_the_kernel_has_parts_for() {
    privileged!();
    let lab = Lab::new(LabConfig { queues: 1, mtu: 65_535 });
    let longest = 17 * 3840 - 14;
    let too_long = SendConfig { mtu: Some(longest + 1), ..config(&lab, false) };
    let (kind, text) = refused(&lab, &too_long);
    assert_eq!(kind, SetupErrorKind::Mtu);
    assert!(text.contains(&format!("choose {longest} or less")), "{text}");
    let capture = Capture::open(&lab);
    lab.sender.run(|| {
        let mut sender =
            Sender::open(&SendConfig { mtu: Some(longest), ..config(&lab, false) }).unwrap();
        let event = pattern(sender.max_payload());
        send(&mut sender, &OutgoingEvent::default(), &event);
        let packet = capture.next();
        packet.assert_sound();
        assert_eq!(packet.ip_len(), longest as usize);
        assert!(packet.payload()[36..] == event);
    });
}

#[test]
fn senders_take_the_last_queues_that_are_free() {
    privileged!();
    let lab = Lab::new(LabConfig { queues: 2, mtu: 1500 });
    lab.sender.run(|| {
        let config = SendConfig { xdp: options(None), ..config(&lab, false) };
        let senders = [Sender::open(&config).unwrap(), Sender::open(&config).unwrap()];
        for (sender, queue) in senders.iter().zip([1, 0]) {
            assert_eq!(sender.backend(), SendBackend::Xdp);
            let expected = format!("asked for: queue {queue} of va (copy");
            assert!(sender.reason().starts_with(&expected), "{}", sender.reason());
            assert!(sender.reason().contains("no zero-copy"), "{}", sender.reason());
        }
        let error = Sender::open(&config).expect_err("both are taken");
        assert_eq!(error.kind, SetupErrorKind::QueueTaken, "{error}");
        assert!(lab.sender.xdp_programs().is_empty(), "none is needed");
    });
}

#[test]
fn auto_takes_a_queue_that_is_for_it_and_says_why_or_why_not() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    let open = |queue| {
        let xdp = options(queue);
        let config = SendConfig {
            backend: SendBackend::Auto,
            kernel_pacing: Some(1_000_000),
            xdp,
            ..config(&lab, false)
        };
        lab.sender.run(|| Sender::open(&config).unwrap())
    };
    assert_eq!(open(None).backend(), SendBackend::Gso);
    let sender = open(Some(0));
    assert_eq!(sender.backend(), SendBackend::Xdp);
    assert!(sender.reason().starts_with("queue 0 is for it"), "{}", sender.reason());
    let pacing = sender.kernel_pacing().expect("asked for");
    assert!(!pacing.is_kept && pacing.reason.contains("past"), "{pacing:?}");
    let second = open(Some(0));
    assert_eq!(second.backend(), SendBackend::Gso);
    let reason = second.reason();
    assert!(reason.starts_with("no AF_XDP (send") && reason.contains("owns the queue"), "{reason}");
}
