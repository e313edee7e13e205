//! The packet step: one datagram in, at most one event out.
//!
//! ```text
//! headers sound? ─▶ within its length? ─▶ key finished? ─▶ same length as the first? ─▶ has bytes? ─▶ place
//!   short,           out_of_range          late,             length_mismatch             header_only    duplicate,
//!   bad_lb_header,                         over_budget                                                  too_scattered,
//!   bad_re_header                                                                                       over_budget
//! ```
//!
//! Nothing is allocated here once the pool is warm, and nothing is locked.
//! The work per fragment does not depend on how many events are in progress.

mod check;
mod end;

use std::sync::Arc;

use xdpsar_wire::{DatagramError, Headers, Pieces};

use crate::{
    config::{AssemblerConfig, BudgetPolicy},
    counters::Counters,
    coverage::Refusal,
    event::{Event, Facts, LbFacts, LossCause, LostEvent, Sink, Storage},
    finished::{End, Finished},
    lend::{Lender, NoLender},
    order::Order,
    placement::{Filled, Placement},
    pool::Pool,
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
    lb: Option<LbFacts>,
}

/// Puts one worker's events together.
#[derive(Debug)]
pub struct Assembler {
    config: AssemblerConfig,
    pool: Arc<Pool>,
    table: Table,
    events: Slab,
    by_creation: Order,
    by_progress: Order,
    finished: Finished,
    counters: Counters,
    /// The slot of the last fragment: fragments come in runs. The event may
    /// have left it since; its key tells.
    latest: u32,
    /// The latest time seen.
    now_ns: u64,
    /// Bytes placed in events in progress.
    bytes_in_progress: u64,
    /// Bytes of the buffers they are placed in.
    reserved: u64,
    /// Events ever taken notice of: delivered, lost, or in progress.
    opened: u64,
}

impl Assembler {
    /// An assembler that draws on `pool`. Its tables are reserved for the
    /// configured numbers of events and keys here, and touched as needed:
    /// 16 bytes and a power of two of table per event and key, and about 200
    /// bytes per event.
    pub fn new(config: AssemblerConfig, pool: Arc<Pool>) -> Self {
        let config = AssemblerConfig {
            max_in_progress: config.max_in_progress.clamp(1, MAX_INDEX),
            remembered: config.remembered.min(MAX_INDEX),
            ..config
        };
        let (events, keys) = (config.max_in_progress as usize, config.remembered as usize);
        Self {
            table: Table::new(events + keys),
            events: Slab::new(events),
            by_creation: Order::new(events),
            by_progress: Order::new(events),
            finished: Finished::new(keys, config.timeout_ns),
            counters: Counters::default(),
            latest: 0,
            now_ns: 0,
            bytes_in_progress: 0,
            reserved: 0,
            opened: 0,
            config,
            pool,
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
        self.now_ns = self.now_ns.max(now_ns);
        self.counters.datagrams += 1;
        self.counters.datagram_bytes += datagram.len() as u64;
        let outcome = self.step(lane, datagram, lender, sink).unwrap_or_else(Outcome::Rejected);
        if cfg!(debug_assertions) {
            self.check_invariants();
        }
        outcome
    }

    /// Totals since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Events in progress, and the bytes placed in them.
    pub fn in_progress(&self) -> (usize, u64) {
        (self.events.len(), self.bytes_in_progress)
    }

    #[inline]
    fn step(
        &mut self,
        lane: u16,
        datagram: Pieces<'_>,
        lender: &mut impl Lender,
        sink: &mut impl Sink,
    ) -> Result<Outcome, Rejection> {
        let fragment = self.parse(lane, datagram)?;
        if self.events.get(self.latest).is_some_and(|event| event.key == fragment.key) {
            return self.add(self.latest, &fragment, sink);
        }
        let hash = table::hash(fragment.key.event_number, fragment.key.data_id, self.config.seed);
        match self.look_up(hash, fragment.key) {
            Some(Place::InProgress(slot)) => {
                self.latest = slot;
                self.add(slot, &fragment, sink)
            }
            Some(Place::Finished(position)) => {
                let record = self.finished.get(position);
                if !self.finished.is_stale(record, self.now_ns) {
                    return match record.end {
                        End::Over => {
                            self.counters.late += 1;
                            self.counters.late_bytes += fragment.payload.len() as u64;
                            Ok(Outcome::Late)
                        }
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
    fn parse<'a>(&mut self, lane: u16, datagram: Pieces<'a>) -> Result<Fragment<'a>, Rejection> {
        let headers = match Headers::parse(datagram.first(), self.config.framing) {
            Ok(headers) => headers,
            Err(error) => return Err(self.reject_headers(error)),
        };
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
            lb: headers.lb.map(|lb| LbFacts { tick: lb.tick(), entropy: lb.entropy() }),
        };
        if u64::from(fragment.offset) + fragment.payload.len() as u64 > u64::from(fragment.length) {
            return Err(self.reject(&fragment, Rejection::OutOfRange));
        }
        Ok(fragment)
    }

    #[inline]
    fn look_up(&self, hash: u32, key: Key) -> Option<Place> {
        self.table.find(hash, |place| match place {
            Place::InProgress(slot) => self.events.get(slot).is_some_and(|event| event.key == key),
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
        let length = self.events.get(slot).map_or(0, |event| event.placement.length());
        if length != fragment.length {
            return Err(self.reject(fragment, Rejection::LengthMismatch));
        }
        if fragment.payload.is_empty() {
            self.counters.header_only += 1;
            return Ok(Outcome::Ignored);
        }
        self.place(slot, fragment, sink)
    }

    /// The first fragment of an event.
    fn open(
        &mut self,
        hash: u32,
        fragment: &Fragment<'_>,
        lender: &mut impl Lender,
        sink: &mut impl Sink,
    ) -> Result<Outcome, Rejection> {
        let size = fragment.payload.len();
        if size == 0 && fragment.length > 0 {
            self.counters.header_only += 1;
            return Ok(Outcome::Ignored);
        }
        let whole = size == fragment.length as usize;
        if fragment.length == 0 {
            self.opened += 1;
            self.counters.empty_events += 1;
            self.deliver_whole(hash, fragment, Storage::Empty, sink);
            return Ok(Outcome::Completed);
        }
        if whole
            && fragment.length <= self.pool.max_event()
            && let Some(loan) = lender.lend(fragment.start..fragment.start + size)
        {
            self.opened += 1;
            self.counters.fragments += 1;
            self.counters.bytes += size as u64;
            self.deliver_whole(hash, fragment, Storage::Lent(loan), sink);
            return Ok(Outcome::Completed);
        }
        let Some(buffer) = self.make_room(fragment.length, whole, sink) else {
            self.opened += 1;
            self.refuse(hash, fragment, sink);
            return Err(self.reject(fragment, Rejection::Budget));
        };
        self.opened += 1;
        if whole {
            self.counters.fragments += 1;
            self.counters.bytes += size as u64;
            let filled = Filled::whole(buffer, &fragment.payload);
            self.deliver_whole(hash, fragment, Storage::Pooled(filled), sink);
            return Ok(Outcome::Completed);
        }
        let placement = Placement::new(buffer, fragment.length);
        self.reserved += placement.reserved();
        let slot = self.events.insert(InProgress {
            key: fragment.key,
            hash,
            lane: fragment.lane,
            lb: fragment.lb,
            fragments: 0,
            received: 0,
            first_ns: self.now_ns,
            progress_ns: self.now_ns,
            placement,
        });
        self.table.insert(hash, Place::InProgress(slot));
        self.by_creation.push_back(slot);
        self.by_progress.push_back(slot);
        self.latest = slot;
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
        let new = loop {
            let Some(event) = self.events.get_mut(slot) else { return Ok(Outcome::Ignored) };
            match event.placement.place(fragment.offset, &fragment.payload, &self.pool) {
                Ok(new) => break new,
                Err(Refusal::TooScattered) => {
                    return Err(self.reject(fragment, Rejection::TooScattered));
                }
                Err(Refusal::NoMemory) => {
                    if !self.evict_another(slot, sink) {
                        self.lose(slot, LossCause::Budget, sink);
                        return Err(self.reject(fragment, Rejection::Budget));
                    }
                }
            }
        };
        self.counters.duplicate_bytes += fragment.payload.len() as u64 - u64::from(new);
        if new == 0 {
            self.counters.duplicates += 1;
            return Ok(Outcome::Duplicate);
        }
        self.counters.fragments += 1;
        self.counters.bytes += u64::from(new);
        self.bytes_in_progress += u64::from(new);
        let Some(event) = self.events.get_mut(slot) else { return Ok(Outcome::Ignored) };
        event.fragments += 1;
        event.received += new;
        if event.placement.is_complete() {
            self.complete(slot, sink);
            return Ok(Outcome::Completed);
        }
        event.progress_ns = self.now_ns;
        self.by_progress.move_to_back(slot);
        Ok(Outcome::Placed)
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
