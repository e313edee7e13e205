//! Keys of events that have ended, so that a straggler does not open a ghost.
//!
//! A ring, oldest first: a key is forgotten one timeout after its event
//! ended, or earlier when the ring is full of younger ones. Its memory is
//! reserved once and touched as the ring goes round.

use crate::slab::Key;

/// How far [`Finished::soon`] looks ahead.
const SOON: usize = 8;

/// What became of an event, as far as its stragglers are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Delivered, or lost after it had been taken in.
    Over,
    /// Lost for want of memory.
    Refused,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) event_number: u64,
    ended_ns: u64,
    pub(crate) hash: u32,
    pub(crate) data_id: u16,
    pub(crate) end: End,
    /// Whether the table leads here. Not so once the key is in use again.
    known: bool,
}

impl Record {
    pub(crate) fn is(&self, key: Key) -> bool {
        self.event_number == key.event_number && self.data_id == key.data_id
    }
}

#[derive(Debug)]
pub(crate) struct Finished {
    ring: Vec<Record>,
    most: usize,
    /// Position of the oldest record.
    oldest: usize,
    len: usize,
    /// Records that the table leads to.
    known: usize,
    timeout_ns: u64,
}

impl Finished {
    /// For `most` keys.
    pub(crate) fn new(most: usize, timeout_ns: u64) -> Self {
        Self { ring: Vec::with_capacity(most), most, oldest: 0, len: 0, known: 0, timeout_ns }
    }

    /// Whether nothing can be remembered at all.
    #[inline]
    pub(crate) fn is_disabled(&self) -> bool {
        self.most == 0
    }

    /// Keys remembered.
    pub(crate) fn known(&self) -> usize {
        self.known
    }

    #[inline]
    pub(crate) fn get(&self, position: u32) -> &Record {
        &self.ring[position as usize]
    }

    /// Whether the record is older than the timeout.
    #[inline]
    pub(crate) fn is_stale(&self, record: &Record, now_ns: u64) -> bool {
        now_ns - record.ended_ns >= self.timeout_ns
    }

    /// The table does not lead to the record any more.
    pub(crate) fn forget(&mut self, position: u32) {
        let record = &mut self.ring[position as usize];
        if record.known {
            record.known = false;
            self.known -= 1;
        }
    }

    /// The hash of a record that will be the oldest soon.
    #[inline]
    pub(crate) fn soon(&self) -> Option<u32> {
        let mut position = self.oldest + SOON;
        if position >= self.most {
            position -= self.most;
        }
        self.ring.get(position).map(|record| record.hash)
    }

    /// Takes out the oldest record if there is no room for another, or it is
    /// stale. If the table leads to it, `Some` of its hash and position: to
    /// be removed there.
    #[inline]
    pub(crate) fn make_room(&mut self, now_ns: u64) -> Option<(u32, u32)> {
        while self.len > 0 {
            let (position, record) = (self.oldest as u32, self.ring[self.oldest]);
            if self.len < self.most && !self.is_stale(&record, now_ns) {
                return None;
            }
            self.oldest += 1;
            if self.oldest == self.most {
                self.oldest = 0;
            }
            self.len -= 1;
            if record.known {
                self.known -= 1;
                return Some((record.hash, position));
            }
        }
        None
    }

    /// Adds a record at the young end, and returns its position. There must
    /// be room.
    #[inline]
    pub(crate) fn push(&mut self, key: Key, hash: u32, end: End, now_ns: u64) -> u32 {
        let record = Record {
            event_number: key.event_number,
            ended_ns: now_ns,
            hash,
            data_id: key.data_id,
            end,
            known: true,
        };
        let mut position = self.oldest + self.len;
        if position >= self.most {
            position -= self.most;
        }
        if position == self.ring.len() {
            self.ring.push(record);
        } else {
            self.ring[position] = record;
        }
        self.len += 1;
        self.known += 1;
        position as u32
    }

    /// Records that the table leads to, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Record)> {
        (0..self.len)
            .map(|nth| (self.oldest + nth) % self.most)
            .map(|position| (position as u32, &self.ring[position]))
            .filter(|(_, record)| record.known)
    }
}
