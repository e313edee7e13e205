//! The datagrams of a case, lap by lap.
//!
//! ```text
//!            event 0   1   2   3   …    turn t: each event in progress has its
//!   turn 0         3   0   6   1        next fragment; each is at a point of
//!   turn 1         4   1   7   2        its life of its own, so that at any
//!   turn 2         5   2  [0]  3        time the same share of fragments opens
//!                        └ a new event  and completes events
//! ```
//!
//! A *lap* is one filling of the packet ring. Its headers are written before
//! its clock starts: no contestant is charged for them, each finds them where
//! a worker finds what the kernel has written, in the outer caches, and the
//! clock is read twice a lap. Contestants see the same stream,
//! each from its own start.

use std::collections::VecDeque;

use xdpsar_wire::re::ReHeader;

use super::{
    case::{Arrival, Case, NS_PER_FRAGMENT},
    ring::Ring,
};

/// Orders of chance that are made beforehand and used in turn.
const SHUFFLES: u64 = 16;
/// The first event's number: of an ordinary axis, microseconds since 1970.
const FIRST_NUMBER: u64 = 1_760_000_000_000_000;

/// One datagram, as it is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The event's place in the destination memory.
    pub place: u32,
    /// Number of the event.
    pub event_number: u64,
    /// Source of the event.
    pub data_id: u16,
    /// Which of the event's fragments.
    pub fragment: u32,
}

/// What has been sent so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Fragments that were not lost.
    pub fragments: u64,
    /// Events of which every fragment has been sent.
    pub whole: u64,
    /// Events whose turn is over though a fragment was lost.
    pub torn: u64,
}

/// An event in progress.
#[derive(Clone, Copy, Default)]
struct InProgress {
    place: u32,
    torn: bool,
}

/// The datagrams of a case.
pub struct Stream {
    case: Case,
    events: Vec<InProgress>,
    turn: i64,
    /// Events that have had their turn.
    taken: usize,
    /// Orders in which events take turns; none when they are in order.
    turn_orders: Vec<Vec<u32>>,
    /// Orders of an event's fragments; none when they are in order.
    fragment_orders: Vec<Vec<u32>>,
    free: Vec<u32>,
    /// Places of events that lack a fragment, and when they are free again.
    waiting: VecDeque<(u64, u32)>,
    sent: Sent,
    /// Of this lap: where each payload belongs in the destination memory.
    places: Vec<usize>,
    /// Time at the start of this lap.
    now_ns: u64,
}

impl Stream {
    /// Before its first datagram.
    pub fn new(case: Case) -> Self {
        let mut random = 1;
        let mut orders = |len: u32| -> Vec<Vec<u32>> {
            let count = if case.arrival == Arrival::Shuffled { SHUFFLES } else { 0 };
            (0..count).map(|_| shuffled(len, &mut random)).collect()
        };
        Self {
            turn_orders: orders(case.in_progress),
            fragment_orders: orders(case.fragments),
            events: vec![InProgress::default(); case.in_progress as usize],
            // The event that is furthest in its life at turn 0 starts here.
            turn: -i64::from(case.fragments - 1),
            taken: 0,
            free: (0..case.places() as u32).rev().collect(),
            waiting: VecDeque::new(),
            sent: Sent::default(),
            places: Vec::new(),
            now_ns: 0,
            case,
        }
    }

    /// Whether it has come to a steady state: as many events are in progress
    /// as there should be, and whoever puts them together has had to touch all
    /// the memory that this takes.
    pub fn is_steady(&self) -> bool {
        self.turn > i64::from(self.case.fragments)
    }

    /// So far.
    pub fn sent(&self) -> Sent {
        self.sent
    }

    /// What this is a stream of.
    pub fn case(&self) -> &Case {
        &self.case
    }

    /// Writes the next lap's headers.
    #[inline(never)]
    pub fn compose(&mut self, ring: &mut Ring) {
        self.now_ns = self.sent.fragments * NS_PER_FRAGMENT;
        self.places.clear();
        for slot in 0..ring.slots() {
            let planned = self.next_datagram();
            let offset = planned.fragment * self.case.size;
            let length = self.case.event_bytes();
            let header = ReHeader::new(planned.data_id, offset, length, planned.event_number);
            ring.set_header(slot, &header);
            self.places.push(planned.place as usize * self.case.stride() + offset as usize);
        }
    }

    /// Where the payloads of this lap belong, datagram by datagram.
    #[inline]
    pub fn places(&self) -> &[usize] {
        &self.places
    }

    /// Time at a datagram of this lap.
    #[inline]
    pub fn now_ns(&self, slot: usize) -> u64 {
        self.now_ns + slot as u64 * NS_PER_FRAGMENT
    }

    /// The next datagram that is not lost.
    pub fn next_datagram(&mut self) -> Planned {
        loop {
            let Case { fragments, in_progress, .. } = self.case;
            if self.taken == in_progress as usize {
                self.taken = 0;
                self.turn += 1;
            }
            let taken = self.taken;
            self.taken += 1;
            let event = match nth(&self.turn_orders, self.turn.unsigned_abs()) {
                Some(order) => order[taken],
                None => taken as u32,
            };
            let phase = mix(u64::from(event)) % u64::from(fragments);
            let age = self.turn + phase as i64;
            let Ok(age) = u64::try_from(age) else { continue };
            let (life, step) = (age / u64::from(fragments), (age % u64::from(fragments)) as u32);
            let serial = life * u64::from(in_progress) + u64::from(event);
            let fragment = match nth(&self.fragment_orders, mix(serial)) {
                Some(order) => order[step as usize],
                None => step,
            };
            let lost = self.case.arrival == Arrival::Loss
                && mix(mix(serial) ^ u64::from(fragment)).is_multiple_of(100);
            if step == 0 {
                self.open(event);
            }
            let place = self.events[event as usize].place;
            self.events[event as usize].torn |= lost;
            if step + 1 == fragments {
                self.close(event);
            }
            if !lost {
                self.sent.fragments += 1;
                return Planned {
                    place,
                    event_number: FIRST_NUMBER.wrapping_add(serial),
                    data_id: (event % 4) as u16,
                    fragment,
                };
            }
        }
    }

    fn open(&mut self, event: u32) {
        let now_ns = self.sent.fragments * NS_PER_FRAGMENT;
        while let Some((due, place)) = self.waiting.front().copied()
            && (due <= now_ns || self.free.is_empty())
        {
            self.waiting.pop_front();
            self.free.push(place);
        }
        // The last that came free is the next to be used, as in any good pool.
        let place = self.free.pop().unwrap_or_default();
        self.events[event as usize] = InProgress { place, torn: false };
    }

    fn close(&mut self, event: u32) {
        let InProgress { place, torn } = self.events[event as usize];
        if torn {
            self.sent.torn += 1;
            let due = self.sent.fragments * NS_PER_FRAGMENT + self.case.timeout_ns();
            self.waiting.push_back((due, place));
        } else {
            self.sent.whole += 1;
            self.free.push(place);
        }
    }
}

fn nth(orders: &[Vec<u32>], n: u64) -> Option<&[u32]> {
    let nth = n.checked_rem(orders.len() as u64)?;
    Some(&orders[nth as usize])
}

/// A number of chance for each number (the finaliser of MurmurHash3).
fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ x >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ x >> 33
}

/// The numbers below `len` in an order of chance (Fisher and Yates).
fn shuffled(len: u32, random: &mut u64) -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..len).collect();
    for i in (1..numbers.len()).rev() {
        *random += 1;
        numbers.swap(i, (mix(*random) % (i as u64 + 1)) as usize);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    fn stream(arrival: Arrival) -> Stream {
        let mut stream = Stream::new(Case { size: 64, fragments: 8, in_progress: 100, arrival });
        while !stream.is_steady() {
            stream.next_datagram();
        }
        stream
    }

    /// Fragments of each event over some turns, by number.
    fn by_event(arrival: Arrival) -> HashMap<u64, Vec<u32>> {
        let mut stream = Stream::new(Case { size: 64, fragments: 8, in_progress: 100, arrival });
        let mut events = HashMap::<_, Vec<_>>::new();
        for _ in 0..8000 {
            let planned = stream.next_datagram();
            events.entry(planned.event_number).or_default().push(planned.fragment);
        }
        events
    }

    #[test]
    fn every_fragment_comes_once_in_the_order_asked_for() {
        let in_order: Vec<_> = (0..8).collect();
        for (number, fragments) in by_event(Arrival::InOrder) {
            assert_eq!(fragments, in_order[..fragments.len()], "event {number}");
        }
        let shuffled = by_event(Arrival::Shuffled);
        assert!(shuffled.values().any(|fragments| fragments.len() == 8 && *fragments != in_order));
        for fragments in shuffled.into_values() {
            let different: HashSet<_> = fragments.iter().collect();
            assert_eq!(different.len(), fragments.len());
        }
    }

    #[test]
    fn one_fragment_in_a_hundred_is_lost() {
        let mut stream = stream(Arrival::Loss);
        let before = stream.sent();
        for _ in 0..400_000 {
            stream.next_datagram();
        }
        let sent = stream.sent();
        let torn = (sent.torn - before.torn) as f64;
        let share = torn / (torn + (sent.whole - before.whole) as f64);
        assert!((share - (1.0 - 0.99_f64.powi(8))).abs() < 0.01, "{share} of the events are torn");
    }

    #[test]
    fn events_in_progress_are_as_many_as_asked_for_and_have_a_place_each() {
        for arrival in Arrival::ALL {
            let mut stream = stream(arrival);
            for _ in 0..50 {
                // There is a whole turn in any two; who loses a fragment in
                // each is not seen.
                let turns = (0..200).map(|_| stream.next_datagram().event_number % 100);
                let seen = turns.collect::<HashSet<_>>().len();
                assert!(seen == 100 || arrival == Arrival::Loss && seen >= 98, "{seen} seen");
                let places: HashSet<_> = stream.events.iter().map(|event| event.place).collect();
                // Those that are over and not yet followed by another still
                // name the place they have given back.
                assert!(places.len() >= 80, "{arrival:?}");
            }
        }
    }
}
