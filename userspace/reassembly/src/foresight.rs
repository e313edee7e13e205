//! What will be needed soon: hints for the cache, nothing else.
//!
//! With many events in progress, a fragment's table entry, its event's slot and
//! the place of its bytes are in memory, not in the cache, and each is known
//! only from the one before. So a datagram that will be ingested soon takes
//! three steps ahead of time, some datagrams apart, and each finds what the
//! last one has asked for:
//!
//! ```text
//! foresee: key → table entry       8 before: entry → slot       4 before: slot → place
//! ```
//!
//! As long as [`crate::recent`] knows them all, its guess stands for the first
//! two.

use xdpsar_wire::{
    lb::{LB_HEADER_LEN, LB_MAGIC},
    re::ReHeader,
};
use zerocopy::FromBytes;

/// Events in progress from which on looking ahead costs less than it saves.
pub(crate) const WORTHWHILE: usize = 512;
/// Datagrams that are foreseen at a time.
pub(crate) const AHEAD: usize = 16;
/// How long before its turn a datagram's slot is asked for …
pub(crate) const SLOT_AT: usize = 8;
/// … and the place of its bytes.
pub(crate) const PLACE_AT: usize = 4;

/// A datagram that will be ingested soon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hint {
    pub(crate) hash: u32,
    pub(crate) offset: u32,
    /// Of its event, once known.
    pub(crate) slot: Option<u32>,
}

/// What is probably the RE header. Whether it is sound is seen when it is its
/// turn.
#[inline]
pub(crate) fn peek(datagram: &[u8]) -> Option<&ReHeader> {
    let at = if datagram.starts_with(&LB_MAGIC) { LB_HEADER_LEN } else { 0 };
    ReHeader::ref_from_prefix(datagram.get(at..)?).ok().map(|(re, _)| re)
}

/// The datagrams foreseen, in the order of their turns.
#[derive(Debug)]
pub(crate) struct Foresight {
    hints: [Option<Hint>; AHEAD],
    /// Datagrams foreseen, and those of them that have had their turn.
    foreseen: usize,
    ingested: usize,
}

impl Foresight {
    pub(crate) fn new() -> Self {
        Self { hints: [None; AHEAD], foreseen: 0, ingested: 0 }
    }

    /// The next datagram; `None` where there is nothing to ask for.
    #[inline]
    pub(crate) fn push(&mut self, hint: Option<Hint>) {
        if self.foreseen - self.ingested < AHEAD {
            self.hints[self.foreseen % AHEAD] = hint;
            self.foreseen += 1;
        }
    }

    /// A datagram has its turn. Whether any was foreseen.
    #[inline]
    pub(crate) fn turn(&mut self) -> bool {
        let any = self.ingested < self.foreseen;
        self.ingested += usize::from(any);
        any
    }

    /// The datagram whose turn comes after so many others.
    #[inline]
    pub(crate) fn after(&mut self, others: usize) -> Option<&mut Hint> {
        let at = self.ingested + others;
        if at < self.foreseen { self.hints[at % AHEAD].as_mut() } else { None }
    }
}
