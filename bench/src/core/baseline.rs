//! The incumbent's table ([`xdpsar_bench::incumbent`]), without its sockets.
//!
//! It gets the better of that: there are no system calls; the kernel's copy
//! into the heap buffer is not charged, payload is read where the packet is;
//! the consumer, which empties the queue after each batch, never sleeps, so
//! that nobody is woken for an event.

use std::{
    cell::RefCell,
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::ensure;
use xdpsar_bench::{
    incumbent::{Collector, State, Table, receive_buffer},
    workload::{BATCH, Case, Contestant, Ring, Stream},
};
use xdpsar_wire::re::RE_HEADER_LEN;

/// The incumbent's receiving thread with its table.
pub(crate) struct Incumbent {
    timeout_ns: u64,
    next_scan_ns: u64,
    table: Table<RefCell<State>>,
    collector: Collector,
}

impl Incumbent {
    pub(crate) fn new(case: &Case) -> Self {
        // From the first fragment: what is still coming must not be lost.
        let timeout_ns = case.timeout_ns() + case.life_ns();
        Self {
            timeout_ns,
            next_scan_ns: timeout_ns,
            table: Table::default(),
            collector: Collector::default(),
        }
    }

    /// §4.4 and §4.5 for one datagram.
    #[inline(never)]
    fn receive(&self, datagram: &[u8], now_ns: u64) {
        let received = black_box(receive_buffer());
        self.table.take_in(datagram, 0, || now_ns);
        drop(received);
    }

    /// §4.6: the collector's scan.
    fn scan(&mut self, now_ns: u64) {
        if now_ns >= self.next_scan_ns {
            self.next_scan_ns = now_ns + self.timeout_ns;
            self.collector.scan(&self.table, now_ns - self.timeout_ns);
        }
    }
}

impl Contestant for Incumbent {
    #[inline(never)]
    fn lap(&mut self, ring: &Ring, stream: &Stream) {
        for first in (0..ring.slots()).step_by(BATCH) {
            let now_ns = stream.now_ns(first);
            for slot in first..first + BATCH {
                self.receive(ring.datagram(slot), now_ns);
            }
            self.scan(now_ns);
            while let Some(event) = self.table.queue.pop() {
                black_box(event.borrow().key());
            }
            while let Some(lost) = self.table.lost.pop() {
                black_box(lost);
            }
        }
    }

    fn verify(&self, stream: &Stream) -> anyhow::Result<()> {
        let (sent, totals) = (stream.sent(), &self.table.totals);
        let get = |total: &AtomicU64| total.load(Ordering::SeqCst);
        let bytes = u64::from(stream.case().size) + RE_HEADER_LEN as u64;
        ensure!(
            get(&totals.packets) == sent.fragments,
            "baseline: {} packets",
            get(&totals.packets)
        );
        ensure!(
            get(&totals.bytes) == sent.fragments * bytes,
            "baseline: {} bytes",
            get(&totals.bytes)
        );
        ensure!(
            get(&totals.bad_headers) == 0,
            "baseline: {} bad headers",
            get(&totals.bad_headers)
        );
        ensure!(get(&totals.events) == sent.whole, "baseline: {} of {sent:?}", get(&totals.events));
        ensure!(get(&totals.lost) <= sent.torn, "baseline: {} lost of {sent:?}", get(&totals.lost));
        Ok(())
    }
}

#[cfg(test)]
#[allow(unsafe_code, reason = "reads buffers that the test knows to be full")]
mod tests {
    use super::*;
    use xdpsar_bench::workload::Arrival;

    /// Feeds some laps, each payload stamped with its event and fragment, and
    /// checks every event that comes out, byte by byte where stamped.
    fn delivers_all_events(arrival: Arrival) {
        let case = Case { size: 64, fragments: 8, in_progress: 100, arrival };
        let mut ring = Ring::new(&case).expect("8 MiB");
        let (mut stream, incumbent) = (Stream::new(case), Incumbent::new(&case));
        let mut delivered = 0;
        for _ in 0..20 {
            stream.compose(&mut ring);
            for slot in 0..ring.slots() {
                let datagram = ring.datagram(slot);
                let stamp: [u8; 8] =
                    std::array::from_fn(|i| datagram[i + 12] ^ datagram[i % 4 + 4]);
                ring.stamp(slot, stamp);
                incumbent.receive(ring.datagram(slot), stream.now_ns(slot));
            }
            while let Some(event) = incumbent.table.queue.pop() {
                let mut state = event.borrow_mut();
                let (key, mut bytes) = (state.key(), state.in_order().to_vec());
                // SAFETY: the stream has no duplicates, so that bytes which
                // add up to the length are all of them.
                bytes.extend(unsafe { state.ahead().assume_init_ref() });
                assert_eq!((state.fragments(), bytes.len()), (8, 512));
                for (nth, fragment) in bytes.chunks(64).enumerate() {
                    let (number, offset) = (key.0.to_be_bytes(), (nth as u32 * 64).to_be_bytes());
                    let stamp: [u8; 8] = std::array::from_fn(|i| number[i] ^ offset[i % 4]);
                    assert_eq!(fragment[..8], stamp, "fragment {nth} of {key:?}");
                }
                delivered += 1;
            }
        }
        assert_eq!(delivered, stream.sent().whole);
        assert!(delivered > 4000);
        incumbent.verify(&stream).expect("all are accounted for");
    }

    #[test]
    fn events_in_order_come_out_right() {
        delivers_all_events(Arrival::InOrder);
    }

    #[test]
    fn shuffled_events_come_out_right() {
        delivers_all_events(Arrival::Shuffled);
    }

    #[test]
    fn torn_events_expire() {
        let case = Case { size: 64, fragments: 8, in_progress: 10, arrival: Arrival::Loss };
        let mut ring = Ring::new(&case).expect("8 MiB");
        let (mut stream, mut incumbent) = (Stream::new(case), Incumbent::new(&case));
        for _ in 0..50 {
            stream.compose(&mut ring);
            incumbent.lap(&ring, &stream);
        }
        incumbent.verify(&stream).expect("whole ones are delivered");
        let lost = incumbent.table.totals.lost.load(Ordering::SeqCst);
        let torn = stream.sent().torn;
        assert!(torn > 500 && lost > torn / 2, "{lost} lost of {torn}");
        let left = incumbent.table.in_progress() as u64;
        assert!(left <= torn - lost + 10, "{left} are left in the table");
    }
}
