//! The packet step: one datagram in, at most one event out.
//!
//! ```text
//! headers sound? ─▶ within its length? ─▶ key finished? ─▶ same length as the first? ─▶ has bytes? ─▶ place
//!   short,           out_of_range          late,             length_mismatch             header_only    duplicate,
//!   bad_lb_header,                         over_budget                                                  too_scattered,
//!   bad_re_header                                                                                       over_budget
//! ```
//!
//! Events in progress are kept in the order of their last progress, by quanta
//! of about a tenth of the timeout: within one, fragments leave the order as it
//! is. So an event that stalls is lost after the timeout, and a quantum later
//! at the latest. Its lifetime is looked at when it progresses in a new
//! quantum, or has stalled.
//!
//! Nothing is allocated here once the pool is warm, and nothing is locked.
//! The work per fragment does not depend on how many events are in progress.

mod check;
mod end;
mod open;

use std::sync::Arc;

use xdpsar_wire::{DatagramError, Headers, Pieces};

use crate::{
    config::{AssemblerConfig, BudgetPolicy},
    copy::Copier,
    counters::Counters,
    coverage::Refusal,
    event::{Event, Facts, LossCause, LostEvent, Sink},
    finished::{End, Finished},
    foresight::{self, Foresight, Hint},
    heap::Heap,
    lend::{Lender, NoLender},
    order::Order,
    placement::Placement,
    pool::Pool,
    recent::{self, Recent},
    slab::{InProgress, Key, Slab},
    table::{self, MAX_INDEX, Place, Table},
};

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It brought new bytes; its event is still in progress.
    Placed,
    /// It completed its event, which the sink has got.
    Completed,
    /// All of its bytes were there already.
    Duplicate,
    /// Its event is already delivered or lost.
    Late,
    /// A header without payload, of an event that is not empty.
    Ignored,
    /// Not used, for this reason.
    Rejected(Rejection),
}

/// Why a datagram was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// Ends inside its headers.
    Short,
    /// LB header with a wrong magic, version or next protocol.
    BadLbHeader,
    /// RE header with a wrong version or a reserved bit set.
    BadReHeader,
    /// Reaches beyond the length that it claims for its event.
    OutOfRange,
    /// Claims another length than its event's first fragment.
    LengthMismatch,
    /// Its event is refused, or lost, for want of memory, or longer than
    /// accepted.
    Budget,
    /// Would tear its event's odd layout into too many runs of bytes.
    TooScattered,
}

/// A fragment with sound headers, within its event's length.
struct Fragment<'a> {
    key: Key,
    offset: u32,
    length: u32,
    payload: Pieces<'a>,
    /// Where in its datagram the payload starts.
    start: usize,
    lane: u16,
    /// Tick and entropy.
    lb: Option<(u64, u16)>,
}

/// A power of two of nanoseconds, between an eighth and a sixteenth of the
/// timeout.
const fn quantum_shift(timeout_ns: u64) -> u32 {
    let eighth = timeout_ns / 8;
    if eighth == 0 { 0 } else { eighth.ilog2() }
}

/// Puts one worker's events together.
#[derive(Debug)]
pub struct Assembler {
    config: AssemblerConfig,
    // Before the events: what it has on its way is there before they go.
    copier: Copier,
    heap: Heap,
    table: Table,
    events: Slab,
    by_progress: Order,
    finished: Finished,
    counters: Counters,
    recent: Recent,
    foresight: Foresight,
    /// log₂ of the nanoseconds of a quantum.
    quantum_shift: u32,
    /// The latest time seen.
    now_ns: u64,
    /// What is added to it in events.
    epoch_ns: u64,
    /// Bytes placed in events in progress.
    bytes_in_progress: u64,
    /// Bytes of the buffers they are placed in.
    reserved: u64,
    /// Events ever taken notice of: delivered, lost, or in progress.
    opened: u64,
    /// The latest one's number.
    opened_last: u64,
}

impl Assembler {
    /// An assembler that draws on `pool`. Its tables are reserved for the
    /// configured numbers of events and keys here, and touched as needed:
    /// 16 bytes and a power of two of table per event and key, 84 bytes per
    /// event, 24 per key.
    pub fn new(config: AssemblerConfig, pool: Arc<Pool>) -> Self {
        let config = AssemblerConfig {
            max_in_progress: config.max_in_progress.clamp(1, MAX_INDEX),
            remembered: config.remembered.min(MAX_INDEX),
            ..config
        };
        let (events, keys) = (config.max_in_progress as usize, config.remembered as usize);
        Self {
            copier: Copier::default(),
            table: Table::new(events + keys),
            events: Slab::new(events),
            by_progress: Order::new(events),
            finished: Finished::new(keys, config.timeout_ns),
            counters: Counters::default(),
            recent: Recent::new(),
            foresight: Foresight::new(),
            quantum_shift: quantum_shift(config.timeout_ns),
            now_ns: 0,
            epoch_ns: 0,
            bytes_in_progress: 0,
            reserved: 0,
            opened: 0,
            opened_last: 0,
            config,
            heap: Heap::new(pool),
        }
    }

    /// Has so many `bytes` of the pool's memory beforehand, for events of less
    /// than 2 MiB, and returns how many it got: pieces of 2 MiB, within the
    /// budget, and none where that is below 128 MiB. A page that is touched
    /// for the first time costs more time than filling it, in a virtual
    /// machine up to forty times as much, in which packets are lost
    /// (docs/PERFORMANCE.md). To be called on the thread that will use it: the
    /// memory is local to its NUMA node.
    pub fn prefault(&mut self, bytes: u64) -> u64 {
        self.heap.prefault(bytes)
    }

    /// How many datagrams ahead of its turn each should be
    /// [foreseen](Self::foresee).
    pub const LOOKAHEAD: usize = foresight::AHEAD;

    /// A hint: this datagram (its first piece) will be ingested soon, after
    /// those foreseen before it. Fetches what it will need into the cache, and
    /// changes nothing else.
    #[inline]
    pub fn foresee(&mut self, datagram: &[u8]) {
        // What few events need is in the cache anyway.
        if self.events.len() >= foresight::WORTHWHILE {
            self.look_up_soon(datagram);
        }
    }

    #[inline]
    fn look_up_soon(&mut self, datagram: &[u8]) {
        let Some(re) = foresight::peek(datagram) else { return self.foresight.push(None) };
        let key = Key { event_number: re.event_number(), data_id: re.data_id() };
        let mut hint = Hint { hash: 0, offset: re.offset(), slot: None };
        if self.events.len() < recent::LEN {
            let slot = self.recent.guess(key.event_number, key.data_id);
            self.events.prefetch(slot);
            hint.slot = Some(slot);
        } else {
            hint.hash = table::hash(key.event_number, key.data_id, self.config.seed);
            self.table.prefetch(hint.hash);
        }
        self.foresight.push(Some(hint));
    }

    /// The next steps of those foreseen.
    #[inline]
    fn look_ahead(&mut self) {
        if !self.foresight.turn() {
            return;
        }
        // Whichever event is found first under the hash: it is only a hint.
        if let Some(hint) = self.foresight.after(foresight::SLOT_AT)
            && hint.slot.is_none()
            && let Some(Place::InProgress(slot)) = self.table.find(hint.hash, |_| true)
        {
            self.events.prefetch(slot);
            hint.slot = Some(slot);
        }
        if let Some(&mut Hint { slot: Some(slot), offset, .. }) =
            self.foresight.after(foresight::PLACE_AT)
            && let Some(event) = self.events.get(slot)
        {
            event.placement.prefetch(offset);
        }
    }

    /// Takes in one datagram (a UDP payload, headers in its first piece) that
    /// came in on `lane`. `now_ns` is on a monotonic axis of the caller's;
    /// going back on it counts as standing still.
    #[inline]
    pub fn ingest(
        &mut self,
        lane: u16,
        datagram: Pieces<'_>,
        now_ns: u64,
        sink: &mut impl Sink,
    ) -> Outcome {
        self.ingest_lent(lane, datagram, &mut NoLender, now_ns, sink)
    }

    /// As [`Self::ingest`], of a datagram whose memory `lender` may lend to
    /// the event, should it be whole in this one datagram.
    #[inline]
    pub fn ingest_lent(
        &mut self,
        lane: u16,
        datagram: Pieces<'_>,
        lender: &mut impl Lender,
        now_ns: u64,
        sink: &mut impl Sink,
    ) -> Outcome {
        self.look_ahead();
        self.now_ns = self.now_ns.max(now_ns);
        self.counters.datagrams += 1;
        self.counters.datagram_bytes += datagram.len() as u64;
        let outcome = match Headers::parse(datagram.first(), self.config.framing) {
            Ok(headers) => match self.append(&headers, &datagram, sink) {
                Some(outcome) => outcome,
                None => self
                    .step(lane, &headers, datagram, lender, sink)
                    .unwrap_or_else(Outcome::Rejected),
            },
            Err(error) => Outcome::Rejected(self.reject_headers(error)),
        };
        if cfg!(debug_assertions) {
            self.check_invariants();
        }
        outcome
    }

    /// What is added to the time in [`Event::completed_ns`] from now on: where
    /// on that axis the caller's begins. 0 unless it is set.
    pub const fn set_epoch(&mut self, epoch_ns: u64) {
        self.epoch_ns = epoch_ns;
    }

    /// Totals since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Events in progress, and the bytes placed in them.
    pub fn in_progress(&self) -> (usize, u64) {
        (self.events.len(), self.bytes_in_progress)
    }

    /// The short way, which nearly every fragment takes: the next one of an
    /// event that is where it is thought to be. `None`, and nothing has
    /// happened, when that is not so.
    #[inline]
    fn append(
        &mut self,
        headers: &Headers<'_>,
        datagram: &Pieces<'_>,
        sink: &mut impl Sink,
    ) -> Option<Outcome> {
        let (re, bytes) = (headers.re, datagram.first());
        let key = Key { event_number: re.event_number(), data_id: re.data_id() };
        let slot = self.recent.guess(key.event_number, key.data_id);
        let event = self.events.get_mut(slot)?;
        if !event.is(key)
            || event.placement.length() != re.length()
            || bytes.len() != datagram.len()
            || (event.progress_ns ^ self.now_ns) >> self.quantum_shift != 0
        {
            return None;
        }
        let bytes = bytes.get(headers.len..)?;
        let complete = event.placement.append(re.offset(), bytes, &mut self.copier)?;
        let new = bytes.len() as u32;
        event.fragments += 1;
        event.received += new;
        event.progress_ns = self.now_ns;
        self.counters.fragments += 1;
        self.counters.bytes += u64::from(new);
        self.bytes_in_progress += u64::from(new);
        if complete {
            self.complete(slot, sink);
            return Some(Outcome::Completed);
        }
        Some(Outcome::Placed)
    }

    /// Any fragment.
    #[inline(never)]
    fn step(
        &mut self,
        lane: u16,
        headers: &Headers<'_>,
        datagram: Pieces<'_>,
        lender: &mut impl Lender,
        sink: &mut impl Sink,
    ) -> Result<Outcome, Rejection> {
        let fragment = self.check(lane, headers, datagram)?;
        let hash = table::hash(fragment.key.event_number, fragment.key.data_id, self.config.seed);
        match self.look_up(hash, fragment.key) {
            Some(Place::InProgress(slot)) => {
                self.recent.note(fragment.key.event_number, fragment.key.data_id, slot);
                self.add(slot, &fragment, sink)
            }
            Some(Place::Finished(position)) => {
                let record = self.finished.get(position);
                if !self.finished.is_stale(record, self.now_ns) {
                    return match record.end {
                        End::Over => Ok(self.late(&fragment)),
                        End::Refused => Err(self.reject(&fragment, Rejection::Budget)),
                    };
                }
                self.finished.forget(position);
                self.table.remove(hash, Place::Finished(position));
                self.open(hash, &fragment, lender, sink)
            }
            None => self.open(hash, &fragment, lender, sink),
        }
    }

    #[inline]
    fn check<'a>(
        &mut self,
        lane: u16,
        headers: &Headers<'_>,
        datagram: Pieces<'a>,
    ) -> Result<Fragment<'a>, Rejection> {
        let Some(payload) = datagram.skip(headers.len) else {
            return Err(self.reject_headers(DatagramError::Short));
        };
        let fragment = Fragment {
            key: Key { event_number: headers.re.event_number(), data_id: headers.re.data_id() },
            offset: headers.re.offset(),
            length: headers.re.length(),
            payload,
            start: headers.len,
            lane,
            lb: headers.lb.map(|lb| (lb.tick(), lb.entropy())),
        };
        if u64::from(fragment.offset) + fragment.payload.len() as u64 > u64::from(fragment.length) {
            return Err(self.reject(&fragment, Rejection::OutOfRange));
        }
        Ok(fragment)
    }

    #[inline]
    fn look_up(&self, hash: u32, key: Key) -> Option<Place> {
        self.table.find(hash, |place| match place {
            Place::InProgress(slot) => self.events.get(slot).is_some_and(|event| event.is(key)),
            Place::Finished(position) => self.finished.get(position).is(key),
        })
    }

    /// A fragment of an event in progress.
    #[inline]
    fn add(
        &mut self,
        slot: u32,
        fragment: &Fragment<'_>,
        sink: &mut impl Sink,
    ) -> Result<Outcome, Rejection> {
        let Some(event) = self.events.get(slot) else { return Ok(Outcome::Ignored) };
        if event.placement.length() != fragment.length {
            return Err(self.reject(fragment, Rejection::LengthMismatch));
        }
        if fragment.payload.is_empty() {
            self.counters.header_only += 1;
            return Ok(Outcome::Ignored);
        }
        if self.quantum(event.progress_ns) != self.quantum(self.now_ns) && self.outlived(slot, sink)
        {
            return Ok(self.late(fragment));
        }
        self.place(slot, fragment, sink)
    }

    /// Places the bytes that are new.
    #[inline]
    fn place(
        &mut self,
        slot: u32,
        fragment: &Fragment<'_>,
        sink: &mut impl Sink,
    ) -> Result<Outcome, Rejection> {
        loop {
            let Some(event) = self.events.get_mut(slot) else { return Ok(Outcome::Ignored) };
            let payload = &fragment.payload;
            let new = match event.placement.place(
                fragment.offset,
                payload,
                &mut self.heap,
                &mut self.copier,
            ) {
                Ok(new) => new,
                Err(refusal) => match self.no_room(slot, refusal, fragment, sink) {
                    Some(rejection) => return Err(rejection),
                    None => continue,
                },
            };
            self.counters.duplicate_bytes += payload.len() as u64 - u64::from(new);
            if new == 0 {
                self.counters.duplicates += 1;
                return Ok(Outcome::Duplicate);
            }
            self.counters.fragments += 1;
            self.counters.bytes += u64::from(new);
            self.bytes_in_progress += u64::from(new);
            event.fragments += 1;
            event.received += new;
            if event.placement.is_complete() {
                self.complete(slot, sink);
                return Ok(Outcome::Completed);
            }
            let before = std::mem::replace(&mut event.progress_ns, self.now_ns);
            if self.quantum(before) != self.quantum(self.now_ns) {
                self.by_progress.move_to_back(slot);
            }
            return Ok(Outcome::Placed);
        }
    }

    /// Coverage found no room: evicts another event to try again, or says why
    /// not.
    #[cold]
    fn no_room(
        &mut self,
        slot: u32,
        refusal: Refusal,
        fragment: &Fragment<'_>,
        sink: &mut impl Sink,
    ) -> Option<Rejection> {
        if refusal == Refusal::TooScattered {
            return Some(self.reject(fragment, Rejection::TooScattered));
        }
        if self.evict_another(slot, sink) {
            return None;
        }
        self.lose(slot, LossCause::Budget, sink);
        Some(self.reject(fragment, Rejection::Budget))
    }

    fn late(&mut self, fragment: &Fragment<'_>) -> Outcome {
        self.counters.late += 1;
        self.counters.late_bytes += fragment.payload.len() as u64;
        Outcome::Late
    }

    /// The quantum of time that `ns` is in.
    #[inline]
    fn quantum(&self, ns: u64) -> u64 {
        ns >> self.quantum_shift
    }

    #[cold]
    fn reject_headers(&mut self, error: DatagramError) -> Rejection {
        let (counter, rejection) = match error {
            DatagramError::Short => (&mut self.counters.short, Rejection::Short),
            DatagramError::BadLbHeader => {
                (&mut self.counters.bad_lb_header, Rejection::BadLbHeader)
            }
            DatagramError::BadReHeader => {
                (&mut self.counters.bad_re_header, Rejection::BadReHeader)
            }
        };
        *counter += 1;
        rejection
    }

    #[cold]
    fn reject(&mut self, fragment: &Fragment<'_>, rejection: Rejection) -> Rejection {
        self.counters.rejected_bytes += fragment.payload.len() as u64;
        *match rejection {
            Rejection::Short => &mut self.counters.short,
            Rejection::BadLbHeader => &mut self.counters.bad_lb_header,
            Rejection::BadReHeader => &mut self.counters.bad_re_header,
            Rejection::OutOfRange => &mut self.counters.out_of_range,
            Rejection::LengthMismatch => &mut self.counters.length_mismatch,
            Rejection::Budget => &mut self.counters.over_budget,
            Rejection::TooScattered => &mut self.counters.too_scattered,
        } += 1;
        rejection
    }
}
