//! Events in progress, by index.
//!
//! ```text
//! slot, one cache line:
//!   0  key: event number (8), data id (2)     hash (4)
//!  16  placement: buffer (8), length (4), fragment size (4), coverage (16)
//!  48  fragments (4), bytes received (4), time of last progress (8)
//! ```
//!
//! (Rust orders the fields; this is what there is.) A fragment touches this
//! line and no other of its event's but where its bytes go.

use crate::{placement::Placement, prefetch};

/// What identifies an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) event_number: u64,
    pub(crate) data_id: u16,
}

/// An event in progress.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct InProgress {
    pub(crate) event_number: u64,
    pub(crate) data_id: u16,
    pub(crate) hash: u32,
    /// Fragments placed.
    pub(crate) fragments: u32,
    /// Bytes placed.
    pub(crate) received: u32,
    /// Of the last fragment that brought a new byte.
    pub(crate) progress_ns: u64,
    pub(crate) placement: Placement,
}

const _: () = assert!(size_of::<Option<InProgress>>() == 64);

impl InProgress {
    #[inline]
    pub(crate) fn key(&self) -> Key {
        Key { event_number: self.event_number, data_id: self.data_id }
    }

    #[inline]
    pub(crate) fn is(&self, key: Key) -> bool {
        self.event_number == key.event_number && self.data_id == key.data_id
    }
}

/// Slots for a fixed number of events. The address space for all of them is
/// reserved at once, so they never move; memory is touched as far as the
/// number of events in progress ever gets.
#[derive(Debug)]
pub(crate) struct Slab {
    slots: Vec<Option<InProgress>>,
    /// Vacant slots, the one used last on top: it is warm.
    vacant: Vec<u32>,
    most: usize,
}

impl Slab {
    pub(crate) fn new(most: usize) -> Self {
        Self { slots: Vec::with_capacity(most), vacant: Vec::with_capacity(most), most }
    }

    /// Number of events.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.len() == self.most
    }

    /// Adds an event; the slab must not be full.
    #[inline]
    pub(crate) fn insert(&mut self, event: InProgress) -> u32 {
        debug_assert!(!self.is_full());
        match self.vacant.pop() {
            Some(index) => {
                self.slots[index as usize] = Some(event);
                index
            }
            None => {
                self.slots.push(Some(event));
                (self.slots.len() - 1) as u32
            }
        }
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&InProgress> {
        self.slots.get(index as usize)?.as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut InProgress> {
        self.slots.get_mut(index as usize)?.as_mut()
    }

    #[inline]
    pub(crate) fn remove(&mut self, index: u32) -> Option<InProgress> {
        let event = self.slots.get_mut(index as usize)?.take();
        if event.is_some() {
            self.vacant.push(index);
        }
        event
    }

    /// Asks for a slot's cache line.
    #[inline]
    pub(crate) fn prefetch(&self, index: u32) {
        prefetch::line(self.slots.as_ptr().wrapping_add(index as usize));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &InProgress)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(index, slot)| Some((index as u32, slot.as_ref()?)))
    }
}
