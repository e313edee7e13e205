//! What is handed over: whole events, and reports of lost ones.

use std::{fmt, ops::Deref, ptr::NonNull};

use crate::placement::Filled;

/// What is known of an event besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) event_number: u64,
    pub(crate) data_id: u16,
    pub(crate) lane: u16,
    pub(crate) worker: u16,
    pub(crate) fragments: u32,
    /// Tick and entropy of the first fragment's LB header.
    pub(crate) lb: Option<(u64, u16)>,
}

/// A whole event, every byte of it as it was sent.
///
/// Derefs to its bytes. Dropping it, on any thread, gives its memory back to
/// the pool for the next event. It is one pointer: cheap to move and to queue.
#[repr(transparent)]
pub struct Event(Filled);

const _: () = assert!(size_of::<Option<Event>>() == size_of::<usize>());

impl Event {
    #[inline]
    pub(crate) fn new(filled: Filled) -> Self {
        Self(filled)
    }

    #[inline]
    pub(crate) fn set_completed(&mut self, at_ns: u64) {
        self.0.set_completed(at_ns);
    }

    /// The event's number, from the RE header.
    pub fn event_number(&self) -> u64 {
        self.facts().event_number
    }

    /// The source within the event, from the RE header.
    pub fn data_id(&self) -> u16 {
        self.facts().data_id
    }

    /// Bytes of the event.
    pub fn len(&self) -> usize {
        self.0.buffer().len()
    }

    /// Whether the event has no bytes. Empty events are legal.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fragments it was put together from, without duplicates. An empty event
    /// comes in one.
    pub fn fragments(&self) -> u32 {
        self.facts().fragments
    }

    /// The lane of its first fragment.
    pub fn lane(&self) -> u16 {
        self.facts().lane
    }

    /// The worker that put it together.
    pub fn worker(&self) -> u16 {
        self.facts().worker
    }

    /// The load balancer's event number, where the first fragment to arrive
    /// had an LB header.
    pub fn tick(&self) -> Option<u64> {
        self.facts().lb.map(|(tick, _)| tick)
    }

    /// The LB header's entropy, where the first fragment to arrive had one.
    pub fn entropy(&self) -> Option<u16> {
        self.facts().lb.map(|(_, entropy)| entropy)
    }

    /// When its last fragment was taken in, in nanoseconds on the axis of
    /// [`Assembler::set_epoch`](crate::Assembler::set_epoch): the time that
    /// was given with that fragment's batch.
    pub fn completed_ns(&self) -> u64 {
        self.0.buffer().completed_ns()
    }

    /// Whether its bytes are still where the packet came in. Those can only
    /// be read.
    pub fn is_lent(&self) -> bool {
        self.0.buffer().keeps_loan()
    }

    /// The event's bytes. They start on a cache line, large ones at the start
    /// of a huge page; those that are still where the packet came in,
    /// anywhere.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The event's bytes, to be written to: nobody else has them. `None` if it
    /// [is lent](Self::is_lent).
    #[inline]
    pub fn as_mut_slice(&mut self) -> Option<&mut [u8]> {
        self.0.as_mut_slice()
    }

    /// Where the event's bytes are, for those who lend them to code that knows
    /// no references. All are initialised. They stay there as long as the
    /// event, wherever that is moved. They may be written to unless it
    /// [is lent](Self::is_lent), as long as nobody has a reference to them.
    #[inline]
    pub fn as_raw(&self) -> NonNull<[u8]> {
        self.0.buffer().raw()
    }

    #[inline]
    fn facts(&self) -> Facts {
        self.0.facts()
    }
}

impl Deref for Event {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for Event {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("event_number", &self.event_number())
            .field("data_id", &self.data_id())
            .field("len", &self.len())
            .field("fragments", &self.fragments())
            .field("lane", &self.lane())
            .field("worker", &self.worker())
            .field("lb", &self.facts().lb)
            .finish_non_exhaustive()
    }
}

/// An event that will not be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostEvent {
    /// The event's number.
    pub event_number: u64,
    /// The source within the event.
    pub data_id: u16,
    /// Length of the whole event in bytes, as its first fragment claimed.
    pub length: u32,
    /// Fragments that had been placed.
    pub fragments: u32,
    /// Bytes that had been placed.
    pub bytes: u64,
    /// Why it is lost.
    pub cause: LossCause,
}

/// Why an event is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LossCause {
    /// No progress for the timeout.
    Timeout,
    /// In progress for longer than the lifetime.
    Lifetime,
    /// No memory, no place among the events in progress, or longer than
    /// accepted.
    Budget,
    /// Made room for another event.
    Evicted,
    /// The assembler was stopped.
    Stopped,
    /// Whole, but the consumer's queue was full. Reported by the hand-off,
    /// never by an assembler.
    Overflow,
}

impl LossCause {
    /// The name used in statistics and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Lifetime => "lifetime",
            Self::Budget => "budget",
            Self::Evicted => "evicted",
            Self::Stopped => "stopped",
            Self::Overflow => "overflow",
        }
    }
}

impl fmt::Display for LossCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Takes what an assembler produces. Called from inside
/// [`ingest`](crate::Assembler::ingest), so it must be quick.
pub trait Sink {
    /// A whole event.
    fn event(&mut self, event: Event);

    /// An event that will not be delivered. Once per event.
    fn lost(&mut self, lost: LostEvent);
}
