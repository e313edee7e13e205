//! AF_XDP across a veth pair: every payload byte, in every layout and mode.
#![cfg(feature = "xdp")]

mod traffic;

use std::{
    net::{IpAddr, Ipv4Addr},
    os::{fd::AsFd, unix::net::UnixStream},
    time::{Duration, Instant},
};

use traffic::{Sent, config, receive_all};
use xdpsar_dataplane::{
    AttachMode, CopyMode, Layout, Source, Wait, XdpReceiver, error::SetupErrorKind,
};
use xdpsar_tests::{Lab, LabConfig, privileged};
use xdpsar_wire::steering::LaneMode;

const MODES: [AttachMode; 2] = [AttachMode::Native, AttachMode::Generic];

#[test]
fn one_queue_fans_out_to_every_worker() {
    privileged!();
    let lab = Lab::new(LabConfig { queues: 1, mtu: 1500 });
    for attach in MODES {
        for workers in [1, 2, 4] {
            let mut config = config(&lab, false, workers);
            config.xdp.attach = attach;
            let run = receive_all(&lab, &config, &Sent::plain(20_000, 1400));
            run.assert_lossless();
            run.assert_each_lane_at_its_worker(workers);
            let layout = if workers == 1 { "queue-per-core" } else { "fan-out" };
            assert!(run.description.contains(layout), "{}", run.description);
            assert!(run.description.ends_with(", copy"), "{}", run.description);
        }
    }
}

#[test]
fn four_queues_in_either_layout() {
    privileged!();
    let lab = Lab::new(LabConfig { queues: 4, mtu: 1500 });
    for attach in MODES {
        for workers in [1, 2, 4] {
            for layout in [Layout::Auto, Layout::FanOut] {
                let mut config = config(&lab, false, workers);
                config.xdp.attach = attach;
                config.xdp.layout = layout;
                let run = receive_all(&lab, &config, &Sent::plain(10_000, 1000));
                run.assert_lossless();
                if layout == Layout::FanOut {
                    run.assert_each_lane_at_its_worker(workers);
                } else {
                    assert!(run.description.contains("queue-per-core"), "{}", run.description);
                }
            }
        }
    }
}

#[test]
fn jumbo_packets_come_in_pieces() {
    privileged!();
    let lab = Lab::new(LabConfig { queues: 1, mtu: 9000 });
    for attach in MODES {
        for workers in [1, 4] {
            let mut config = config(&lab, false, workers);
            config.xdp.attach = attach;
            let run = receive_all(&lab, &config, &Sent::plain(10_000, 8900));
            run.assert_lossless();
            assert!(run.most_pieces > 1, "{} B arrived in one piece", 8900);
            // Odd lengths put the pieces' checksums out of step.
            receive_all(&lab, &config, &Sent::mixed(10_000, 60, 8901)).assert_lossless();
        }
    }
}

#[test]
fn ipv6_and_lanes_by_entropy() {
    privileged!();
    for mtu in [1500, 9000] {
        let lab = Lab::new(LabConfig { queues: 2, mtu });
        for v6 in [false, true] {
            for lane_mode in [LaneMode::Port, LaneMode::Entropy] {
                let mut config = config(&lab, v6, 4);
                config.lane_mode = lane_mode;
                if lane_mode == LaneMode::Entropy {
                    config.ports = 1;
                }
                let run = receive_all(&lab, &config, &Sent::mixed(10_000, 60, mtu as usize - 60));
                run.assert_lossless();
                run.assert_each_lane_at_its_worker(4);
            }
        }
    }
}

#[test]
fn finished_checksums_are_verified() {
    privileged!();
    let lab = Lab::new(LabConfig { queues: 1, mtu: 9000 });
    // Complete checksums instead of those left for hardware to finish.
    lab.sender.offload("tx", false);
    for v6 in [false, true] {
        let mut config = config(&lab, v6, 2);
        config.xdp.checksum = xdpsar_dataplane::Checksum::Strict;
        receive_all(&lab, &config, &Sent::mixed(5_000, 60, 8901)).assert_lossless();
    }
    lab.sender.offload("tx", true);
    let mut config = config(&lab, false, 1);
    config.xdp.checksum = xdpsar_dataplane::Checksum::Strict;
    let run = receive_all(&lab, &config, &Sent { expect_none: true, ..Sent::plain(500, 1000) });
    // A true sum may by chance be what was left there.
    let counters = run.total();
    assert!(counters.bad_checksum > 490, "{counters:?}");
    assert_eq!(counters.bad_checksum + counters.datagrams, 500);
}

#[test]
fn every_way_to_wait_receives_everything() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    for wait in [Wait::Adaptive, Wait::Spin, Wait::Sleep] {
        let mut config = config(&lab, false, 2);
        config.wait = wait;
        receive_all(&lab, &config, &Sent::plain(10_000, 300)).assert_lossless();
    }
}

#[test]
fn no_frame_is_lost_in_many_packets() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    for workers in [1, 4] {
        let mut config = config(&lab, false, workers);
        // Small rings go round often.
        config.xdp.rx_ring = Some(256);
        let run = receive_all(&lab, &config, &Sent::plain(200_000, 100));
        run.assert_lossless();
    }
    // Overload: what is lost is counted, and no frame is.
    let mut config = config(&lab, false, 4);
    config.xdp.rx_ring = Some(256);
    let sent = Sent { window: usize::MAX, expect_loss: true, ..Sent::plain(200_000, 100) };
    let run = receive_all(&lab, &config, &sent);
    let counters = run.total();
    assert_eq!(counters.datagrams + counters.kernel_drops, 200_000, "{counters:?}");
}

#[test]
fn queues_are_free_again_at_once() {
    privileged!();
    let lab = Lab::new(LabConfig { queues: 2, mtu: 1500 });
    for round in 0..20 {
        let config = config(&lab, false, 1 + round % 4);
        lab.receiver.run(|| {
            let (receiver, sources) = XdpReceiver::open(&config).expect("opened again");
            assert_eq!(sources.len(), config.workers);
            // Either order.
            if round % 2 == 0 {
                drop(receiver);
                drop(sources);
            } else {
                drop(sources);
                drop(receiver);
            }
        });
        assert!(lab.receiver.xdp_programs().is_empty(), "nothing stays attached");
    }
}

#[test]
fn the_program_goes_with_the_receiver() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    let config = config(&lab, false, 2);
    let (receiver, sources) = lab.receiver.run(|| XdpReceiver::open(&config).expect("opened"));
    assert_eq!(lab.receiver.xdp_programs().len(), 1);
    assert_eq!(receiver.interface(), "vb");
    assert_eq!(receiver.describe(), "vb, 1 queue, fan-out 2 workers, native, copy");
    assert_eq!(sources[1].describe(), "queue 0 of vb (native, copy)");
    drop(receiver);
    assert!(lab.receiver.xdp_programs().is_empty(), "detached, though the sources live on");
    drop(sources);
}

#[test]
fn a_taken_hook_and_a_taken_queue_are_named_and_left_alone() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    let mut config = config(&lab, false, 1);
    let (receiver, _sources) = lab.receiver.run(|| XdpReceiver::open(&config).expect("opened"));
    config.xdp.bind_retry = Duration::from_millis(100);
    let refused = || {
        let start = Instant::now();
        let error = lab.receiver.run(|| XdpReceiver::open(&config).expect_err("taken"));
        assert!(start.elapsed() >= config.xdp.bind_retry, "the owner may just be going");
        (error.kind, error.to_string())
    };
    let (kind, text) = refused();
    assert_eq!(kind, SetupErrorKind::HookTaken);
    assert!(text.contains("xdpsar_steer"), "{text}");
    assert_eq!(lab.receiver.xdp_programs().len(), 1, "the first one's program");
    // Without the program, the sources still own their queues.
    drop(receiver);
    let (kind, text) = refused();
    assert_eq!(kind, SetupErrorKind::QueueTaken);
    assert!(text.contains("queue 0 of vb"), "{text}");
}

#[test]
fn what_cannot_be_had_is_said() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    let kind = |config: &xdpsar_dataplane::ReceiveConfig| {
        let error = lab.receiver.run(|| XdpReceiver::open(config).expect_err("refused"));
        assert!(lab.receiver.xdp_programs().is_empty(), "{error}");
        error.kind
    };
    let sound = config(&lab, false, 1);
    let mut zero_copy = sound.clone();
    zero_copy.xdp.copy = CopyMode::ZeroCopy;
    assert_eq!(kind(&zero_copy), SetupErrorKind::Unsupported);
    let mut anywhere = sound.clone();
    anywhere.listen = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    anywhere.xdp.interface = None;
    assert_eq!(kind(&anywhere), SetupErrorKind::Usage);
    let mut nowhere = sound.clone();
    nowhere.xdp.interface = Some("vc".into());
    assert_eq!(kind(&nowhere), SetupErrorKind::NoInterface);
    let mut three = sound.clone();
    three.lanes = 3;
    assert_eq!(kind(&three), SetupErrorKind::Usage);
    // The address alone finds the interface.
    let mut by_address = sound;
    by_address.xdp.interface = None;
    lab.receiver.run(|| {
        let (receiver, _sources) = XdpReceiver::open(&by_address).expect("found");
        assert_eq!(receiver.interface(), "vb");
    });
}

#[test]
fn an_interface_that_goes_away_is_an_error() {
    privileged!();
    for wait in [Wait::Adaptive, Wait::Spin, Wait::Sleep] {
        let lab = Lab::new(LabConfig::default());
        let mut config = config(&lab, false, 2);
        config.wait = wait;
        let (_receiver, mut sources) =
            lab.receiver.run(|| XdpReceiver::open(&config).expect("opened"));
        let (wake, _waker) = UnixStream::pair().expect("pair");
        let nap = Duration::from_millis(5);
        sources[0].wait(wake.as_fd(), nap).expect("nothing comes");
        lab.sender.tool("ip link del va");
        for source in &mut sources {
            let error = source.wait(wake.as_fd(), nap).expect_err("gone");
            assert!(error.to_string().contains("vb"), "{error}");
        }
    }
}
