//! Interfaces that go away, and processes that do.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Command, Stdio},
    time::Duration,
};

use xdpsar_dataplane::{
    OutgoingEvent, Payload, SendBackend, SendConfig, SendError, Sender, send::Pace,
};
use xdpsar_tests::{Lab, LabConfig, privileged};

use crate::{capture::Capture, config, pattern, send};

const EVENT: OutgoingEvent = OutgoingEvent { event_number: 1, data_id: 2, entropy: 3, tick: 4 };

#[test]
fn a_stopped_sender_leaves_its_queue_at_once() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    let capture = Capture::open(&lab);
    lab.sender.run(|| {
        for round in 0..20 {
            let mut sender = Sender::open(&config(&lab, round % 2 == 0)).expect("free again");
            send(&mut sender, &EVENT, &pattern(100_000));
            let counters = sender.counters();
            assert_eq!((counters.events, counters.failed, counters.dropped), (1, 0, 0));
            assert_eq!(counters.bytes, 100_000);
            assert_eq!(counters.fragments as usize, 100_000usize.div_ceil(sender.max_payload()));
            // Debug builds also know where each frame is.
            assert!(sender.settle(Duration::from_secs(20)), "all frames are back");
            drop(sender);
            for _ in 0..counters.fragments {
                capture.next().assert_sound();
            }
        }
    });
}

#[test]
fn what_an_interface_has_not_taken_yet_is_waited_for() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    lab.sender.tool("tc qdisc add dev va root tbf rate 8mbit burst 5kb limit 10mb");
    lab.sender.run(|| {
        let sockets = SendConfig { backend: SendBackend::Mmsg, ..config(&lab, false) };
        let mut sender = Sender::open(&sockets).unwrap();
        // A second and a half of it.
        send(&mut sender, &EVENT, &pattern(1_500_000));
        assert!(!sender.settle(Duration::ZERO));
        assert!(sender.settle(Duration::from_secs(60)));
    });
}

/// Gives up once a number of bytes has left.
struct Until(u64);

impl Pace for Until {
    fn at_once(&self) -> u64 {
        30_000
    }
    fn wait_for(&mut self, ip_bytes: u64) {
        self.0 = self.0.saturating_sub(ip_bytes);
    }
    fn gives_up(&self) -> bool {
        self.0 == 0
    }
}

#[test]
fn a_pace_that_gives_up_ends_the_event_and_not_the_sender() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    lab.sender.run(|| {
        let mut sender = Sender::open(&config(&lab, false)).unwrap();
        let bytes = pattern(1_000_000);
        let error = sender
            .send_paced(&EVENT, Payload::whole(&bytes), &mut Until(70_000))
            .expect_err("it gave up");
        // Two runs of 20 packets went out, the third was written in vain.
        assert!(matches!(error, SendError::Stopped { sent: 40, fragments: 697, .. }), "{error}");
        assert!(sender.settle(Duration::from_secs(20)), "no frame is lost");
        send(&mut sender, &EVENT, &bytes);
        assert_eq!((sender.counters().events, sender.counters().fragments), (1, 737));
    });
}

#[test]
fn an_interface_that_goes_down_or_away_is_an_error() {
    privileged!();
    for (command, what) in [("ip link set va down", "down"), ("ip link del va", "gone")] {
        let lab = Lab::new(LabConfig::default());
        lab.sender.run(|| {
            let mut sender = Sender::open(&config(&lab, false)).unwrap();
            send(&mut sender, &EVENT, &pattern(10_000));
            lab.sender.tool(command);
            for _ in 0..3 {
                let error = sender.send(&EVENT, Payload::whole(&pattern(10_000))).unwrap_err();
                let SendError::WayLost { lost, fragments: 7, .. } = &error else {
                    panic!("{command}: {error}");
                };
                assert_eq!(*lost, format!("interface va is {what}"), "{error}");
            }
            assert_eq!((sender.counters().events, sender.counters().failed), (1, 3));
        });
    }
}

#[test]
fn what_the_interface_drops_is_counted() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    lab.sender.run(|| {
        let mut sender = Sender::open(&config(&lab, false)).unwrap();
        // The cable is unplugged at the other end.
        lab.receiver.tool("ip link set vb down");
        send(&mut sender, &EVENT, &pattern(300_000));
        let counters = sender.counters();
        assert_eq!((counters.events, counters.fragments), (1, 209));
        assert_eq!(counters.dropped, 209);
        lab.receiver.tool("ip link set vb up");
        drop(sender);
    });
}

#[test]
fn a_route_that_became_narrower_is_named() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    lab.sender.run(|| {
        let mut sender = Sender::open(&config(&lab, false)).unwrap();
        send(&mut sender, &EVENT, &pattern(3000));
        lab.sender.tool("ip route change 10.77.0.0/24 dev va src 10.77.0.1 mtu 1400");
        // It looks once in a second.
        std::thread::sleep(Duration::from_millis(1100));
        let error = sender.send(&EVENT, Payload::whole(&pattern(3000))).unwrap_err();
        assert!(matches!(error, SendError::Mtu { mtu: 1500, found: 1400, .. }), "{error}");
    });
}

#[test]
fn nobody_listening_is_counted_and_no_error() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    lab.sender.run(|| {
        let one = SendConfig { sockets: 1, ..config(&lab, false) };
        let mut sender = Sender::open(&one).unwrap();
        send(&mut sender, &EVENT, &[1; 10]);
        std::thread::sleep(Duration::from_millis(1100));
        send(&mut sender, &EVENT, &[1; 10]);
        assert_eq!((sender.counters().refused, sender.counters().failed), (1, 0));
    });
}

/// Set for the process that the next test kills: where it sends to.
const CHILD: &str = "XDPSAR_TEST_CHILD";

#[test]
fn a_killed_sender_leaves_nothing_behind() {
    if let Ok(to) = std::env::var(CHILD) {
        return send_until_killed(to.parse().expect("an address"));
    }
    privileged!();
    let lab = Lab::new(LabConfig::default());
    let to = config(&lab, false).to;
    let mut child = Command::new("ip")
        .args(["netns", "exec", lab.sender.netns()])
        .arg(std::env::current_exe().expect("this test"))
        .args(["--exact", "trouble::a_killed_sender_leaves_nothing_behind", "--nocapture"])
        .env(CHILD, to.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let started = output.lines().any(|line| line.expect("text").contains("sending"));
    assert!(started, "the child did not come to send");
    child.kill().expect("SIGKILL");
    child.wait().expect("gone");
    assert!(lab.sender.xdp_programs().is_empty());
    lab.sender.run(|| {
        let mut sender = Sender::open(&config(&lab, false)).expect("the queue is free");
        send(&mut sender, &EVENT, &pattern(1000));
        assert_eq!(sender.counters().dropped, 0);
    });
}

fn send_until_killed(to: SocketAddr) {
    let config = SendConfig { backend: SendBackend::Xdp, ..SendConfig::new(to) };
    let mut sender = Sender::open(&config).expect("opened");
    let bytes = pattern(100_000);
    send(&mut sender, &EVENT, &bytes);
    println!("sending");
    loop {
        send(&mut sender, &EVENT, &bytes);
    }
}
