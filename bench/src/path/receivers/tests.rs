//! The bare ones count what came, whatever its size.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use anyhow::Context;
use xdpsar_tests::{Lab, LabConfig, pace::eventually, privileged};

use super::{Makes, Receiver};
use crate::role::{Opened, PORT, Point};

/// UDP payloads: in one frame, and in three.
const SIZES: [usize; 2] = [100, 8900];
/// Of each size: fewer than any ring or buffer holds.
const DATAGRAMS: u64 = 100;

#[test]
fn datagrams_are_counted_and_so_are_the_bytes_of_events() {
    privileged!();
    let lab = Lab::new(LabConfig { queues: 1, mtu: 9000 });
    let to = SocketAddr::new(lab.receiver.address(false), PORT);
    let point = Point { datagram: 8900, event: 8864, rate_gbps: None };
    for name in ["drop", "afxdp-release", "afxdp-copy"] {
        let receiver = Receiver::named(name).unwrap();
        assert_eq!(receiver.makes, Makes::Datagrams);
        let opened = lab.receiver.run(|| receiver.open(&point, None));
        let Opened { run, counts } = opened.with_context(|| name).unwrap();
        let stop = AtomicBool::new(false);
        let all = thread::scope(|scope| {
            let runner = scope.spawn(|| run(&stop));
            for _ in 0..DATAGRAMS {
                SIZES.iter().for_each(|size| lab.sender.send_udp(to, &vec![0; *size]));
            }
            let all = eventually(|| counts().datagrams == DATAGRAMS * SIZES.len() as u64);
            stop.store(true, Ordering::Relaxed);
            runner.join().unwrap().unwrap();
            all
        });
        let came = counts();
        assert!(all, "{name}: {came:?}");
        let bytes = SIZES.iter().map(|size| *size as u64 - 36).sum::<u64>() * DATAGRAMS;
        assert_eq!((came.bytes, came.events), (bytes, 0), "{name}");
    }
}
