//! What a sender is opened with, and what is refused.

use super::*;
use crate::error::SetupErrorKind;

#[test]
fn the_mtu_is_the_routes_capped_or_the_one_asked_for() {
    let to = "127.0.0.1:19522".parse().unwrap();
    for mtu in [None, Some(0)] {
        let sender = Sender::open(&SendConfig { mtu, ..SendConfig::new(to) }).unwrap();
        let lo = host::route_to(&to).unwrap().mtu;
        assert_eq!(sender.mtu(), lo.min(9000));
        assert_eq!(sender.max_payload(), sender.mtu() as usize - 64);
    }
    let (socket, to) = receiver("127.0.0.1:0");
    let largest = host::route_to(&to).unwrap().mtu;
    let mut sender = Sender::open(&config(to, largest, SendBackend::Auto)).unwrap();
    let event = pattern(sender.max_payload());
    sender.send(&OutgoingEvent::default(), Payload::whole(&event)).unwrap();
    assert_eq!(next(&socket).0.len(), largest as usize - 28);
}

#[test]
fn the_backend_is_chosen_with_a_reason() {
    let to = "127.0.0.1:19522".parse().unwrap();
    let sender = Sender::open(&config(to, 1500, SendBackend::Auto)).unwrap();
    assert_eq!(sender.backend(), SendBackend::Gso);
    assert!(sender.reason().contains("44 fragments"), "{}", sender.reason());
    for backend in BACKENDS {
        let sender = Sender::open(&config(to, 1500, backend)).unwrap();
        assert_eq!((sender.backend(), sender.reason()), (backend, "asked for"));
    }
    // One datagram to a message: nothing to segment.
    let sender = Sender::open(&config(to, 60_000, SendBackend::Auto)).unwrap();
    assert_eq!(sender.backend(), SendBackend::Mmsg);
    assert!(sender.reason().contains("60000"), "{}", sender.reason());
    let error = Sender::open(&config(to, 60_000, SendBackend::Gso)).unwrap_err();
    assert_eq!(error.kind, SetupErrorKind::Usage, "{error}");
    assert_eq!(SendBackend::Gso.to_string(), "gso");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let refused = |to: &str, change: &dyn Fn(&mut SendConfig)| {
        let mut config = SendConfig::new(to.parse().unwrap());
        change(&mut config);
        let error = Sender::open(&config).unwrap_err();
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
        (here, &|c| c.dscp = Some(64)),
        (here, &|c| c.kernel_pacing = Some(0)),
        (here, &|c| c.source = Some("::1".parse().unwrap())),
        ("[::1]:19522", &|c| c.source = Some("127.0.0.1".parse().unwrap())),
        (here, &|c| c.source = Some("0.0.0.0".parse().unwrap())),
    ] {
        let (kind, text) = refused(to, change);
        assert_eq!(kind, SetupErrorKind::Usage, "{text}");
    }
    // TEST-NET-1 (RFC 5737) is nobody's; and from the loopback interface no
    // route leads anywhere else.
    for (to, source, says) in
        [(here, "192.0.2.1", "no such address"), ("192.0.2.1:1", "127.0.0.1", "no route")]
    {
        let (kind, text) = refused(to, &|c| c.source = Some(source.parse().unwrap()));
        assert_eq!(kind, SetupErrorKind::NoInterface, "{text}");
        assert!(text.contains(says), "{text}");
    }
    let (kind, text) = refused(here, &|c| c.backend = SendBackend::Xdp);
    assert_eq!(kind, SetupErrorKind::Unsupported, "{text}");
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
fn the_kernel_paces_where_the_interface_has_fq() {
    let to = "127.0.0.1:19522".parse().unwrap();
    assert_eq!(Sender::open(&SendConfig::new(to)).unwrap().kernel_pacing(), None);
    in_own_network(&["tc qdisc replace dev lo root pfifo"], || {
        let paced = SendConfig { kernel_pacing: Some(1_000_000_000), ..SendConfig::new(to) };
        let sender = Sender::open(&paced).unwrap();
        let pacing = sender.kernel_pacing().expect("it was asked for");
        assert!(!pacing.is_kept && pacing.reason.starts_with("lo has pfifo,"), "{pacing:?}");
        // Not every kernel has it.
        let status = std::process::Command::new("tc")
            .args("qdisc replace dev lo root fq".split(' '))
            .stderr(std::process::Stdio::null())
            .status();
        if status.unwrap().success() {
            let sender = Sender::open(&paced).unwrap();
            let pacing = sender.kernel_pacing().expect("it was asked for");
            assert!(pacing.is_kept && pacing.reason.starts_with("lo has fq,"), "{pacing:?}");
        } else {
            println!("skipped in part: this kernel has no fq");
        }
    });
}
