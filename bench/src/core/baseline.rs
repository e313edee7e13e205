//! The incumbent's algorithm, in our own words: `data-plane.md` §4.4 to §4.6
//! and what §6.6 says of its cost, column REF. Made from the specification
//! alone.
//!
//! | row | what is done here |
//! |---|---|
//! | §4.4 receive | a 9000-byte heap buffer for each datagram, freed after it (W56) |
//! | §4.4 count | per-socket fragments, packets, bytes: one atomic each (W62) |
//! | §4.4 validate | version and reserved bits |
//! | §4.5 state | total length, bytes so far, fragments, first arrival; a heap buffer of the whole length, not initialised; behind a shared pointer (W63) |
//! | §4.5 look up | one mutex around an ordered map by (event number, data id); locked once for each datagram, and again to remove (W60) |
//! | §4.5 place | copy to its offset |
//! | §4.5 complete | when the bytes add up: remove, push on the queue, count |
//! | §4.6 expire | every timeout a scan of the whole table under its mutex; what is older than the timeout since its *first* fragment is lost, recorded, and its key kept in a set forever |
//! | §4.7 queue | lock-free, not bounded, its depth a counter beside it; emptied by the consumer after each batch |
//!
//! Where the specification leaves a choice, or its letter would only make the
//! incumbent slower or wrong, it gets the better: no system calls; the
//! kernel's copy into the heap buffer is not charged, payload is read where
//! the packet is; nobody is woken for an event; a first fragment that comes
//! late joins its event instead of replacing it, so that it puts events
//! together in any order; offsets are checked; nothing leaks.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, btree_map},
    hint::black_box,
    mem::MaybeUninit,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::ensure;
use crossbeam_queue::SegQueue;
use xdpsar_wire::re::{RE_HEADER_LEN, ReHeader};
use zerocopy::FromBytes;

use crate::{
    case::{BATCH, Case},
    contestant::Contestant,
    ring::Ring,
    stream::Stream,
};

/// Bytes of the buffer that a datagram is received into.
const RECEIVE_BUFFER: usize = 9000;

/// Event number and data id.
type Key = (u64, u16);

/// An event that is being put together.
struct State {
    key: Key,
    accumulated: usize,
    fragments: u32,
    first_ns: u64,
    buffer: Box<[MaybeUninit<u8>]>,
}

/// Totals, one atomic each, side by side.
#[derive(Default)]
struct Totals {
    socket_fragments: AtomicU64,
    packets: AtomicU64,
    bytes: AtomicU64,
    bad_headers: AtomicU64,
    events: AtomicU64,
    lost: AtomicU64,
}

/// The incumbent's receiving thread with its table.
pub(crate) struct Incumbent {
    timeout_ns: u64,
    next_scan_ns: u64,
    table: Mutex<BTreeMap<Key, Arc<RefCell<State>>>>,
    queue: SegQueue<Arc<RefCell<State>>>,
    depth: AtomicU64,
    lost: SegQueue<(Key, u32)>,
    /// Every key that was ever lost.
    lost_keys: BTreeSet<Key>,
    totals: Totals,
}

impl Incumbent {
    pub(crate) fn new(case: &Case) -> Self {
        // From the first fragment: what is still coming must not be lost.
        let timeout_ns = case.timeout_ns() + case.life_ns();
        Self {
            timeout_ns,
            next_scan_ns: timeout_ns,
            table: Mutex::default(),
            queue: SegQueue::new(),
            depth: AtomicU64::new(0),
            lost: SegQueue::new(),
            lost_keys: BTreeSet::new(),
            totals: Totals::default(),
        }
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<Key, Arc<RefCell<State>>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// §4.4 and §4.5 for one datagram.
    #[inline(never)]
    fn receive(&self, datagram: &[u8], now_ns: u64) {
        let received = black_box(Box::<[u8]>::new_uninit_slice(RECEIVE_BUFFER));
        self.totals.socket_fragments.fetch_add(1, Ordering::SeqCst);
        self.totals.packets.fetch_add(1, Ordering::SeqCst);
        self.totals.bytes.fetch_add(datagram.len() as u64, Ordering::SeqCst);
        match ReHeader::ref_from_prefix(datagram) {
            Ok((header, payload)) if header.check().is_ok() => self.place(header, payload, now_ns),
            _ => {
                self.totals.bad_headers.fetch_add(1, Ordering::SeqCst);
            }
        }
        drop(received);
    }

    fn place(&self, header: &ReHeader, payload: &[u8], now_ns: u64) {
        let key = (header.event_number(), header.data_id());
        let shared = match self.table().entry(key) {
            btree_map::Entry::Occupied(entry) => Arc::clone(entry.get()),
            btree_map::Entry::Vacant(entry) => {
                let state = State {
                    key,
                    accumulated: 0,
                    fragments: 0,
                    first_ns: now_ns,
                    buffer: Box::new_uninit_slice(header.length() as usize),
                };
                #[allow(
                    clippy::arc_with_non_send_sync,
                    reason = "the incumbent's state is shared and not guarded; one thread runs here"
                )]
                Arc::clone(entry.insert(Arc::new(RefCell::new(state))))
            }
        };
        let mut state = shared.borrow_mut();
        let offset = header.offset() as usize;
        let Some(place) = state.buffer.get_mut(offset..offset + payload.len()) else { return };
        place.write_copy_of_slice(payload);
        state.fragments += 1;
        state.accumulated += payload.len();
        if state.accumulated == state.buffer.len() {
            drop(state);
            self.table().remove(&key);
            self.queue.push(shared);
            self.depth.fetch_add(1, Ordering::SeqCst);
            self.totals.events.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// §4.6: the collector's scan.
    fn scan(&mut self, now_ns: u64) {
        if now_ns < self.next_scan_ns {
            return;
        }
        self.next_scan_ns = now_ns + self.timeout_ns;
        let oldest_ns = now_ns - self.timeout_ns;
        let Self { table, lost, lost_keys, totals, .. } = self;
        table.get_mut().unwrap_or_else(PoisonError::into_inner).retain(|key, shared| {
            let state = shared.borrow();
            if state.first_ns >= oldest_ns {
                return true;
            }
            totals.lost.fetch_add(1, Ordering::SeqCst);
            if lost_keys.insert(*key) {
                lost.push((*key, state.fragments));
            }
            false
        });
    }

    /// The consumer's side: takes an event off the queue.
    fn pop(&self) -> Option<Arc<RefCell<State>>> {
        let event = self.queue.pop()?;
        self.depth.fetch_sub(1, Ordering::SeqCst);
        Some(event)
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
            while let Some(event) = self.pop() {
                black_box(event.borrow().key);
            }
            while let Some(lost) = self.lost.pop() {
                black_box(lost);
            }
        }
    }

    fn verify(&self, stream: &Stream) -> anyhow::Result<()> {
        let (sent, totals) = (stream.sent(), &self.totals);
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
    use crate::case::Arrival;

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
            while let Some(event) = incumbent.pop() {
                let state = event.borrow();
                assert_eq!((state.fragments, state.buffer.len()), (8, 512));
                // SAFETY: the stream has no duplicates, so that bytes which
                // add up to the length are all of them.
                let bytes = unsafe { state.buffer.assume_init_ref() };
                for (nth, fragment) in bytes.chunks(64).enumerate() {
                    let (number, offset) =
                        (state.key.0.to_be_bytes(), (nth as u32 * 64).to_be_bytes());
                    let stamp: [u8; 8] = std::array::from_fn(|i| number[i] ^ offset[i % 4]);
                    assert_eq!(fragment[..8], stamp, "fragment {nth} of {:?}", state.key);
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
        let (lost, torn) = (incumbent.totals.lost.load(Ordering::SeqCst), stream.sent().torn);
        assert!(torn > 500 && lost > torn / 2, "{lost} lost of {torn}");
        let left = incumbent.table().len() as u64;
        assert!(left <= torn - lost + 10, "{left} are left in the table");
    }
}
