//! Events from fragments: `data-plane.md` §4.5, §4.6.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, btree_map},
    mem::MaybeUninit,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crossbeam_queue::SegQueue;
use xdpsar_wire::re::ReHeader;
use zerocopy::FromBytes;

use super::Queue;

/// Event number and data id.
pub type Key = (u64, u16);

/// An event that is being put together, or has been.
#[derive(Debug)]
pub struct State {
    key: Key,
    accumulated: usize,
    fragments: u32,
    first_ns: u64,
    length: usize,
    /// Of the whole length, not initialised. What comes in order is its
    /// contents; what comes before its turn is written to its room to spare.
    buffer: Vec<u8>,
}

impl State {
    fn new(key: Key, length: usize, first_ns: u64) -> Self {
        let buffer = Vec::with_capacity(length);
        Self { key, accumulated: 0, fragments: 0, first_ns, length, buffer }
    }

    /// Event number and data id.
    pub fn key(&self) -> Key {
        self.key
    }

    /// Fragments so far.
    pub fn fragments(&self) -> u32 {
        self.fragments
    }

    /// Bytes of the event, whether they are here or not.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Its bytes up to the first that did not come in order.
    pub fn in_order(&self) -> &[u8] {
        &self.buffer
    }

    /// Where bytes after those lie that came before their turn.
    pub fn ahead(&mut self) -> &mut [MaybeUninit<u8>] {
        let left = self.length - self.buffer.len();
        &mut self.buffer.spare_capacity_mut()[..left]
    }

    /// Copies `payload` to its place; false if that is outside.
    #[inline]
    fn place(&mut self, offset: usize, payload: &[u8]) -> bool {
        let placed = self.buffer.len();
        if offset + payload.len() > self.length {
            return false;
        }
        if offset == placed {
            self.buffer.extend_from_slice(payload);
        } else if offset > placed {
            self.ahead()[offset - placed..][..payload.len()].write_copy_of_slice(payload);
        } else {
            // Again, at least in part.
            let again = payload.len().min(placed - offset);
            self.buffer[offset..][..again].copy_from_slice(&payload[..again]);
            self.buffer.extend_from_slice(&payload[again..]);
        }
        self.fragments += 1;
        self.accumulated += payload.len();
        true
    }
}

/// What the shared pointer leads to. The incumbent guards its states by
/// nothing; that is free with a [`RefCell`] where one thread does it all, and
/// costs an uncontended lock where there are several.
pub trait Guard {
    /// Guards a new state.
    fn new(state: State) -> Self;

    /// Lets the state be seen.
    fn with<R>(&self, see: impl FnOnce(&mut State) -> R) -> R;
}

impl Guard for RefCell<State> {
    fn new(state: State) -> Self {
        Self::new(state)
    }

    #[inline]
    fn with<R>(&self, see: impl FnOnce(&mut State) -> R) -> R {
        see(&mut self.borrow_mut())
    }
}

impl Guard for Mutex<State> {
    fn new(state: State) -> Self {
        Self::new(state)
    }

    #[inline]
    fn with<R>(&self, see: impl FnOnce(&mut State) -> R) -> R {
        see(&mut self.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Totals, one atomic each, side by side.
#[derive(Debug, Default)]
pub struct Totals {
    socket_fragments: AtomicU64,
    /// Datagrams, whatever was in them.
    pub packets: AtomicU64,
    /// Their bytes, headers included.
    pub bytes: AtomicU64,
    /// Datagrams whose RE header is none.
    pub bad_headers: AtomicU64,
    /// Events that became whole.
    pub events: AtomicU64,
    /// Events whose time was over.
    pub lost: AtomicU64,
}

/// One receiving thread's events in progress, and where they go.
#[derive(Debug)]
pub struct Table<G> {
    in_progress: Mutex<BTreeMap<Key, Arc<G>>>,
    /// Whole events.
    pub queue: Queue<Arc<G>>,
    /// Keys of events that were lost, and their fragments.
    pub lost: SegQueue<(Key, u32)>,
    /// What was counted.
    pub totals: Totals,
}

impl<G> Default for Table<G> {
    fn default() -> Self {
        Self {
            in_progress: Mutex::default(),
            queue: Queue::default(),
            lost: SegQueue::new(),
            totals: Totals::default(),
        }
    }
}

impl<G: Guard> Table<G> {
    fn locked(&self) -> MutexGuard<'_, BTreeMap<Key, Arc<G>>> {
        self.in_progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Events in progress.
    pub fn in_progress(&self) -> usize {
        self.locked().len()
    }

    /// Takes in a datagram whose RE header starts at `header`.
    #[inline]
    pub fn take_in(&self, datagram: &[u8], header: usize, now_ns: impl FnOnce() -> u64) {
        self.totals.socket_fragments.fetch_add(1, Ordering::SeqCst);
        self.totals.packets.fetch_add(1, Ordering::SeqCst);
        self.totals.bytes.fetch_add(datagram.len() as u64, Ordering::SeqCst);
        let parsed = datagram.get(header..).map(ReHeader::ref_from_prefix);
        match parsed {
            Some(Ok((header, payload))) if header.check().is_ok() => {
                self.place(header, payload, now_ns);
            }
            _ => _ = self.totals.bad_headers.fetch_add(1, Ordering::SeqCst),
        }
    }

    #[inline]
    fn place(&self, header: &ReHeader, payload: &[u8], now_ns: impl FnOnce() -> u64) {
        let key = (header.event_number(), header.data_id());
        let shared = match self.locked().entry(key) {
            btree_map::Entry::Occupied(entry) => Arc::clone(entry.get()),
            btree_map::Entry::Vacant(entry) => {
                let state = State::new(key, header.length() as usize, now_ns());
                Arc::clone(entry.insert(Arc::new(G::new(state))))
            }
        };
        let is_whole = shared.with(|state| {
            let is_placed = state.place(header.offset() as usize, payload);
            is_placed && state.accumulated == state.length
        });
        if is_whole {
            self.locked().remove(&key);
            self.totals.events.fetch_add(1, Ordering::SeqCst);
            self.queue.push(shared);
        }
    }
}

/// What becomes of events that do not become whole.
#[derive(Debug, Default)]
pub struct Collector {
    /// Every key that was ever lost.
    lost_keys: BTreeSet<Key>,
}

impl Collector {
    /// Removes from the table what had its first fragment before `oldest_ns`.
    pub fn scan<G: Guard>(&mut self, table: &Table<G>, oldest_ns: u64) {
        table.locked().retain(|key, shared| {
            let (first_ns, fragments) = shared.with(|state| (state.first_ns, state.fragments));
            if first_ns >= oldest_ns {
                return true;
            }
            table.totals.lost.fetch_add(1, Ordering::SeqCst);
            if self.lost_keys.insert(*key) {
                table.lost.push((*key, fragments));
            }
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_find_their_places_in_any_order_and_none_outside() {
        for offsets in [[0, 4, 8], [8, 4, 0], [4, 0, 8]] {
            let mut state = State::new((1, 7), 10, 0);
            for offset in offsets {
                let payload: Vec<u8> = (offset as u8..10).take(4).collect();
                assert!(state.place(offset, &payload));
            }
            assert_eq!((state.accumulated, state.fragments), (10, 3));
            let in_order: Vec<u8> = (0..state.in_order().len() as u8).collect();
            assert_eq!(state.in_order(), in_order);
        }
        let mut state = State::new((1, 7), 10, 0);
        assert!(!state.place(8, &[0; 3]) && state.accumulated == 0);
        assert!(state.place(0, b"0123") && state.place(2, b"23456"));
        assert_eq!(state.in_order(), b"0123456");
    }
}
