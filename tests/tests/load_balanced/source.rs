//! The sender: numbered events, no more on the way than fit.

use std::{
    thread,
    time::{Duration, Instant},
};

use xdpsar::{Admission, AdmissionState, Segmenter, load_balancer::Options};
use xdpsar_tests::{
    pace::{PATIENCE, until},
    payload,
};

use crate::site::Site;

/// Packets that the load balancer may have before it: they fit the smallest
/// receive buffer.
const AT_THE_DOOR: u64 = 32;
const MTU: u32 = 1500;

/// Events from this number on are of one packet each.
const OF_ONE_PACKET: u64 = 1 << 32;

/// Lengths of zero to three packets' worth.
pub(crate) const fn length(number: u64) -> usize {
    let most = if number < OF_ONE_PACKET { 3600 } else { 1400 };
    (number.wrapping_mul(1009) % most) as usize
}

/// Its packets, of so many event bytes at most.
pub(crate) fn packets(number: u64, room: usize) -> u64 {
    length(number).div_ceil(room).max(1) as u64
}

pub(crate) struct Source {
    segmenter: Segmenter,
    /// Event bytes in a packet.
    pub(crate) room: usize,
    /// The number of the next event.
    next: u64,
    /// Events that were sent.
    pub(crate) sent: u64,
    pub(crate) packets: u64,
}

impl Source {
    /// Its events have the numbers from 0.
    pub(crate) fn open(site: &Site) -> Self {
        Self::starting_with(site, 0)
    }

    /// No event is cut in two by a change of the load balancer's mind.
    pub(crate) fn of_single_packets(site: &Site) -> Self {
        Self::starting_with(site, OF_ONE_PACKET)
    }

    fn starting_with(site: &Site, next: u64) -> Self {
        let uri = site.uri();
        let options = Options { timeout: PATIENCE, ..Options::default() };
        let admission = Admission { options, ..Admission::new(uri.clone()) };
        let segmenter = site.lab.sender.run(|| {
            let builder = Segmenter::for_load_balancer(&uri).expect("a data address");
            builder.mtu(MTU).first_event(next).admit(admission).open().expect("let in")
        });
        let room = segmenter.max_payload();
        Self { segmenter, room, next, sent: 0, packets: 0 }
    }

    /// Sends so many events, as fast as the load balancer takes them.
    pub(crate) fn send(&mut self, site: &Site, events: u64) {
        for _ in 0..events {
            until("the load balancer takes packets", || {
                self.packets - site.counter("rx_packets") < AT_THE_DOOR
            });
            let number = self.next;
            let sent = self.segmenter.send(&payload::bytes(number, length(number)));
            assert_eq!(sent.expect("sent"), number, "they count up");
            self.packets += packets(number, self.room);
            self.next += 1;
            self.sent += 1;
        }
    }

    /// For so long, a thousand events a second at most.
    pub(crate) fn send_for(&mut self, site: &Site, time: Duration) {
        const STEP: Duration = Duration::from_millis(10);
        let begin = Instant::now();
        while begin.elapsed() < time {
            let next = Instant::now() + STEP;
            self.send(site, 10);
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }

    /// The end: the load balancer need not let us in any more.
    pub(crate) fn close(self) {
        let report = self.segmenter.stop(PATIENCE);
        assert!(report.drained);
        let admission = report.stats.admission.expect("it was let in");
        assert_eq!(admission.state, AdmissionState::Removed, "{admission:?}");
    }
}
