//! The first fragment of an event: a whole one, delivered at once, or the
//! start of one in progress.

use super::{
    Assembler, End, Event, Facts, Fragment, InProgress, Key, Lender, Outcome, Place, Placement,
    Rejection, Sink, table,
};
use crate::placement::Filled;

impl Assembler {
    /// The first fragment of an event.
    pub(super) fn open(
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
        self.opened += 1;
        self.expect_more(fragment.key);
        let facts = Facts {
            event_number: fragment.key.event_number,
            data_id: fragment.key.data_id,
            lane: fragment.lane,
            worker: self.config.worker,
            fragments: 1,
            lb: fragment.lb,
        };
        if size == fragment.length as usize {
            let Some(filled) = self.fill(fragment, &facts, lender, sink) else {
                self.refuse(hash, fragment, sink);
                return Err(self.reject(fragment, Rejection::Budget));
            };
            if size == 0 {
                self.counters.empty_events += 1;
            } else {
                self.counters.fragments += 1;
                self.counters.bytes += size as u64;
            }
            self.remember(fragment.key, hash, End::Over, None);
            self.deliver(Event::new(filled), size as u64, sink);
            return Ok(Outcome::Completed);
        }
        let Some(buffer) = self.make_room(fragment.length, false, sink) else {
            self.refuse(hash, fragment, sink);
            return Err(self.reject(fragment, Rejection::Budget));
        };
        let placement = Placement::new(
            buffer,
            &facts,
            fragment.length,
            fragment.offset,
            &fragment.payload,
            &mut self.copier,
        );
        self.reserved += placement.reserved();
        self.choose_how_to_copy();
        let slot = self.events.insert(InProgress {
            event_number: fragment.key.event_number,
            data_id: fragment.key.data_id,
            hash,
            fragments: 1,
            received: size as u32,
            progress_ns: self.now_ns,
            placement,
        });
        self.table.insert(hash, Place::InProgress(slot));
        self.by_progress.push_back(slot, self.now_ns);
        self.recent.note(fragment.key.event_number, fragment.key.data_id, slot);
        self.counters.fragments += 1;
        self.counters.bytes += size as u64;
        self.bytes_in_progress += size as u64;
        Ok(Outcome::Placed)
    }

    /// Event numbers count up, in steps of the number of hosts: asks for the
    /// line of the table that an event a few further on will need.
    #[inline]
    fn expect_more(&mut self, key: Key) {
        const FURTHER: u64 = 8;
        const LARGEST_STEP: u64 = 64;
        let before = std::mem::replace(&mut self.opened_last, key.event_number);
        let step = key.event_number.wrapping_sub(before);
        // Eight numbers share a line, which has been asked for.
        if step <= LARGEST_STEP && before ^ key.event_number >= 8 {
            let then = key.event_number.wrapping_add(step * FURTHER);
            self.table.prefetch(table::hash(then, key.data_id, self.config.seed));
        }
    }

    /// An event that came in one datagram: where it is, or copied.
    #[inline]
    fn fill(
        &mut self,
        fragment: &Fragment<'_>,
        facts: &Facts,
        lender: &mut impl Lender,
        sink: &mut impl Sink,
    ) -> Option<Filled> {
        let end = fragment.start + fragment.payload.len();
        if fragment.length <= self.heap.pool().max_event()
            && let Some(loan) = lender.lend(fragment.start..end)
        {
            // A buffer all the same: the smallest, for what is known of it.
            return Some(Filled::lent(self.make_room(0, true, sink)?, facts, loan));
        }
        let buffer = self.make_room(fragment.length, true, sink)?;
        Some(Filled::whole(buffer, facts, &fragment.payload, &mut self.copier))
    }
}
