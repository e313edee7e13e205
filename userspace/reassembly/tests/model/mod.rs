//! The model: what an assembler must do, without any thought of speed.
//!
//! Only one thing it does not know by itself: whether the pool has memory.
//! There it accepts the assembler's word, if the word is plausible.

use std::{collections::HashMap, sync::Arc};

use xdpsar_reassembly::{
    AssemblerConfig, BudgetPolicy, Counters, Event, LossCause, LostEvent, Outcome, Pool, Rejection,
};

use crate::common::{datagram, with_lb};

type Key = (u64, u16);

/// One fragment, true or not.
#[derive(Clone, Debug)]
pub(crate) struct Traffic {
    pub(crate) key: Key,
    pub(crate) length: u32,
    pub(crate) offset: u32,
    pub(crate) size: u32,
    /// Makes the payload differ from that of others at the same place.
    pub(crate) fill: u8,
    pub(crate) lb: bool,
}

impl Traffic {
    fn payload(&self) -> Vec<u8> {
        (0..self.size).map(|at| (at as u8).wrapping_mul(31) ^ self.fill).collect()
    }

    fn lb(&self) -> Option<(u64, u16)> {
        self.lb.then_some((u64::from(self.fill) << 40, u16::from(self.fill)))
    }

    pub(crate) fn datagram(&self) -> Vec<u8> {
        let (number, data_id) = self.key;
        let plain = datagram(number, data_id, self.offset, self.length, &self.payload());
        match self.lb() {
            Some((tick, entropy)) => with_lb(entropy, tick, &plain),
            None => plain,
        }
    }
}

#[derive(Debug)]
struct Partial {
    bytes: Vec<Option<u8>>,
    /// How many of them have come.
    received: u64,
    fragments: u32,
    lb: Option<(u64, u16)>,
    first_ns: u64,
    progress_ns: u64,
    /// The step at which it progressed last in a new quantum of time.
    progressed: u64,
}

impl Partial {
    fn runs(&self) -> usize {
        let starts = |pair: &[Option<u8>]| pair[0].is_none() && pair[1].is_some();
        usize::from(self.bytes[0].is_some()) + self.bytes.windows(2).filter(|p| starts(p)).count()
    }
}

#[derive(Debug)]
pub(crate) struct Model {
    config: AssemblerConfig,
    pool: Arc<Pool>,
    partial: HashMap<Key, Partial>,
    /// Finished keys, oldest first: when, and whether refused.
    finished: Vec<(Key, u64, bool)>,
    pub(crate) counters: Counters,
    steps: u64,
    /// Nanoseconds of a quantum: the power of two that is at most an eighth
    /// of the timeout.
    quantum: u64,
}

impl Model {
    pub(crate) fn new(config: AssemblerConfig, pool: Arc<Pool>) -> Self {
        Self {
            config,
            pool,
            partial: HashMap::new(),
            finished: Vec::new(),
            counters: Counters::default(),
            steps: 0,
            quantum: (0..60)
                .map(|shift| 1 << shift)
                .rfind(|q| q * 8 <= config.timeout_ns)
                .unwrap_or(1),
        }
    }

    pub(crate) fn in_progress(&self) -> (usize, u64) {
        (self.partial.len(), self.partial.values().map(|p| p.received).sum())
    }

    /// Something whose headers the wire crate judges.
    pub(crate) fn noise(&mut self, bytes: &[u8], outcome: Outcome) {
        self.counters.datagrams += 1;
        self.counters.datagram_bytes += bytes.len() as u64;
        match outcome {
            Outcome::Rejected(Rejection::Short) => self.counters.short += 1,
            Outcome::Rejected(Rejection::BadLbHeader) => self.counters.bad_lb_header += 1,
            Outcome::Rejected(Rejection::BadReHeader) => self.counters.bad_re_header += 1,
            other => panic!("{other:?} for noise {bytes:02x?}"),
        }
    }

    /// A datagram, and what the assembler made of it.
    pub(crate) fn ingest(
        &mut self,
        one: &Traffic,
        now: u64,
        outcome: Outcome,
        events: &[Event],
        lost: &[LostEvent],
    ) {
        self.counters.datagrams += 1;
        self.counters.datagram_bytes += one.datagram().len() as u64;
        self.steps += 1;
        let lost = self.evictions(one, now, lost);
        let expected = self.judge(one, now, outcome, events, lost);
        assert_eq!(outcome, expected, "{one:?}");
        if outcome != Outcome::Completed {
            assert!(events.is_empty());
        }
        // Late: the event itself, just lost for its age.
        if !matches!(outcome, Outcome::Rejected(Rejection::Budget) | Outcome::Late) {
            assert_eq!(lost, [], "{one:?}: {outcome:?}");
        }
    }

    /// Takes out what was evicted, oldest progress first; returns the other
    /// reports.
    fn evictions<'a>(
        &mut self,
        one: &Traffic,
        now: u64,
        mut lost: &'a [LostEvent],
    ) -> &'a [LostEvent] {
        while let [first, rest @ ..] = lost
            && first.cause == LossCause::Evicted
        {
            assert_eq!(self.config.on_budget, BudgetPolicy::EvictOldest);
            let (oldest, _) = self.partial.iter().min_by_key(|(_, p)| p.progressed).expect("one");
            assert_ne!(*oldest, one.key, "makes room for itself");
            let oldest = *oldest;
            self.lose(oldest, LossCause::Evicted, now, first);
            lost = rest;
        }
        lost
    }

    fn judge(
        &mut self,
        one: &Traffic,
        now: u64,
        outcome: Outcome,
        events: &[Event],
        lost: &[LostEvent],
    ) -> Outcome {
        let size = u64::from(one.size);
        if u64::from(one.offset) + size > u64::from(one.length) {
            self.counters.out_of_range += 1;
            self.counters.rejected_bytes += size;
            return Outcome::Rejected(Rejection::OutOfRange);
        }
        let remembered =
            |(key, at, _): &&(Key, u64, bool)| *key == one.key && now - at < self.config.timeout_ns;
        match self.finished.iter().rev().find(remembered) {
            Some((_, _, false)) => {
                assert_eq!(lost, [], "lost before");
                self.counters.late += 1;
                self.counters.late_bytes += size;
                return Outcome::Late;
            }
            Some((_, _, true)) => {
                assert_eq!(lost, [], "a refused event is reported once");
                return self.over_budget(size);
            }
            None => {}
        }
        if let Some(partial) = self.partial.get(&one.key)
            && partial.bytes.len() == one.length as usize
            && size > 0
            && partial.progress_ns / self.quantum != now / self.quantum
            && now - partial.first_ns >= self.config.max_lifetime_ns
        {
            let [report] = lost else { panic!("outlived, but {lost:?} lost") };
            self.lose(one.key, LossCause::Lifetime, now, report);
            self.counters.late += 1;
            self.counters.late_bytes += size;
            return Outcome::Late;
        }
        if let Some(partial) = self.partial.get(&one.key)
            && partial.bytes.len() != one.length as usize
        {
            self.counters.length_mismatch += 1;
            self.counters.rejected_bytes += size;
            return Outcome::Rejected(Rejection::LengthMismatch);
        }
        if size == 0 && one.length > 0 {
            self.counters.header_only += 1;
            return Outcome::Ignored;
        }
        if outcome == Outcome::Rejected(Rejection::Budget) {
            return self.budget(one, now, lost);
        }
        if one.length > self.pool.max_event() {
            return Outcome::Rejected(Rejection::Budget);
        }
        self.place(one, now, outcome, events)
    }

    /// A refusal for want of memory, which must be plausible.
    fn budget(&mut self, one: &Traffic, now: u64, lost: &[LostEvent]) -> Outcome {
        let [lost] = lost else { panic!("refused, but {lost:?} lost") };
        assert_eq!((lost.event_number, lost.data_id), one.key);
        if self.partial.contains_key(&one.key) {
            // Its own buffer has gone back; a list of runs did not fit.
            let free = self.pool.budget() - self.pool.in_use();
            assert!(free < u64::from(one.length) * 5 / 4 + 4096 + 2048 + 128, "{free} were free");
            self.lose(one.key, LossCause::Budget, now, lost);
        } else {
            let full = self.partial.len() == self.config.max_in_progress as usize;
            let needed = u64::from(one.length) * 5 / 4 + 256 + 64;
            let exhausted = self.pool.in_use() + needed > self.pool.budget();
            let too_long = one.length > self.pool.max_event();
            assert!(full || exhausted || too_long, "refused for no reason");
            let expected = LostEvent {
                event_number: one.key.0,
                data_id: one.key.1,
                length: one.length,
                fragments: 0,
                bytes: 0,
                cause: LossCause::Budget,
            };
            assert_eq!(*lost, expected);
            self.counters.lost_budget += 1;
            self.remember(one.key, now, true);
        }
        self.over_budget(u64::from(one.size))
    }

    fn over_budget(&mut self, size: u64) -> Outcome {
        self.counters.over_budget += 1;
        self.counters.rejected_bytes += size;
        Outcome::Rejected(Rejection::Budget)
    }

    fn place(&mut self, one: &Traffic, now: u64, outcome: Outcome, events: &[Event]) -> Outcome {
        let (steps, quantum) = (self.steps, self.quantum);
        let partial = self.partial.entry(one.key).or_insert_with(|| Partial {
            bytes: vec![None; one.length as usize],
            received: 0,
            fragments: 0,
            lb: one.lb(),
            first_ns: now,
            progress_ns: now,
            progressed: steps,
        });
        if outcome == Outcome::Rejected(Rejection::TooScattered) {
            assert!(partial.runs() >= 255, "{} runs are not too many", partial.runs());
            self.counters.too_scattered += 1;
            self.counters.rejected_bytes += u64::from(one.size);
            return outcome;
        }
        let mut new = 0;
        for (at, byte) in (one.offset as usize..).zip(one.payload()) {
            if partial.bytes[at].is_none() {
                partial.bytes[at] = Some(byte);
                new += 1;
            }
        }
        self.counters.duplicate_bytes += u64::from(one.size) - new;
        if one.length == 0 {
            self.counters.empty_events += 1;
        } else if new == 0 {
            self.counters.duplicates += 1;
            return Outcome::Duplicate;
        } else {
            self.counters.fragments += 1;
        }
        self.counters.bytes += new;
        partial.received += new;
        partial.fragments += 1;
        if partial.progress_ns / quantum != now / quantum {
            partial.progressed = steps;
        }
        partial.progress_ns = now;
        if partial.received < u64::from(one.length) {
            return Outcome::Placed;
        }
        let partial = self.partial.remove(&one.key).expect("just used");
        let bytes: Vec<u8> = partial.bytes.into_iter().flatten().collect();
        let [event] = events else { panic!("{one:?} completes, but {events:?}") };
        assert_eq!((event.event_number(), event.data_id()), one.key);
        assert!(event.as_slice() == bytes, "wrong bytes in {event:?}");
        assert_eq!(event.fragments(), partial.fragments);
        assert_eq!(event.tick().zip(event.entropy()), partial.lb);
        assert_eq!((event.lane(), event.worker()), (one.key.1 + 9, self.config.worker));
        self.counters.events += 1;
        self.counters.event_bytes += bytes.len() as u64;
        self.remember(one.key, now, false);
        Outcome::Completed
    }

    pub(crate) fn expire(&mut self, now: u64, at_most: usize, lost: &[LostEvent]) {
        for nth in 0..at_most {
            let stalled = self.partial.iter().min_by_key(|(_, p)| p.progressed);
            let due = stalled.and_then(|(key, p)| {
                if now - p.progress_ns >= self.config.timeout_ns {
                    return Some((*key, LossCause::Timeout));
                }
                let too_old = now - p.first_ns >= self.config.max_lifetime_ns;
                too_old.then_some((*key, LossCause::Lifetime))
            });
            let Some((key, cause)) = due else {
                assert_eq!(lost.len(), nth, "more expired than was due");
                return;
            };
            self.lose(key, cause, now, &lost[nth]);
        }
        assert_eq!(lost.len(), at_most);
    }

    pub(crate) fn finish(&mut self, now: u64, lost: &[LostEvent]) {
        for lost in lost {
            self.lose((lost.event_number, lost.data_id), LossCause::Stopped, now, lost);
        }
        assert!(self.partial.is_empty());
    }

    fn lose(&mut self, key: Key, cause: LossCause, now: u64, lost: &LostEvent) {
        let partial = self.partial.remove(&key).expect("in progress");
        let expected = LostEvent {
            event_number: key.0,
            data_id: key.1,
            length: partial.bytes.len() as u32,
            fragments: partial.fragments,
            bytes: partial.bytes.iter().flatten().count() as u64,
            cause,
        };
        assert_eq!(*lost, expected);
        self.counters.lost_bytes += lost.bytes;
        *match cause {
            LossCause::Timeout => &mut self.counters.lost_timeout,
            LossCause::Lifetime => &mut self.counters.lost_lifetime,
            LossCause::Budget => &mut self.counters.lost_budget,
            LossCause::Evicted => &mut self.counters.lost_evicted,
            LossCause::Stopped => &mut self.counters.lost_stopped,
            LossCause::Overflow => panic!("not an assembler's"),
        } += 1;
        self.remember(key, now, cause == LossCause::Budget);
    }

    fn remember(&mut self, key: Key, now: u64, refused: bool) {
        self.finished.push((key, now, refused));
        if self.finished.len() > self.config.remembered as usize {
            self.finished.remove(0);
        }
    }
}
