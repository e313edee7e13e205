//! What ends an event: completion, expiry, want of memory, the end of
//! everything.

use super::{
    Assembler, BudgetPolicy, End, Event, Fragment, InProgress, Key, LossCause, LostEvent, Place,
    Sink,
};
use crate::block::Buffer;

impl Assembler {
    /// Reports at most `at_most` events that have had no progress for the
    /// timeout as lost, and returns how many. Costs nothing for the others:
    /// what expires is at the front of a list. To be called with every batch:
    /// buffers that have come home are noticed here, too.
    pub fn expire(&mut self, now_ns: u64, at_most: usize, sink: &mut impl Sink) -> usize {
        self.now_ns = self.now_ns.max(now_ns);
        self.heap.tend();
        let mut expired = 0;
        while expired < at_most
            && let Some((slot, cause)) = self.next_expired()
        {
            self.lose(slot, cause, sink);
            expired += 1;
        }
        if cfg!(debug_assertions) {
            self.check_invariants();
        }
        expired
    }

    /// Reports every event in progress as lost, the one with the oldest
    /// progress first, at the latest time seen. The assembler can be used on.
    pub fn finish(&mut self, sink: &mut impl Sink) {
        while let Some(slot) = self.by_progress.front() {
            self.lose(slot, LossCause::Stopped, sink);
        }
        self.heap.tend();
        if cfg!(debug_assertions) {
            self.check_invariants();
        }
    }

    fn next_expired(&self) -> Option<(u32, LossCause)> {
        let stalled = self.by_progress.front()?;
        let progress_ns = self.events.get(stalled)?.progress_ns;
        if self.now_ns - progress_ns >= self.config.timeout_ns {
            return Some((stalled, LossCause::Timeout));
        }
        self.is_too_old(stalled).then_some((stalled, LossCause::Lifetime))
    }

    fn is_too_old(&self, slot: u32) -> bool {
        self.now_ns - self.by_progress.since_ns(slot) >= self.config.max_lifetime_ns
    }

    /// Whether the event in `slot` was too old to go on, and is now lost.
    #[cold]
    pub(super) fn outlived(&mut self, slot: u32, sink: &mut impl Sink) -> bool {
        let outlived = self.is_too_old(slot);
        if outlived {
            self.lose(slot, LossCause::Lifetime, sink);
        }
        outlived
    }

    /// To be called when `reserved` has changed.
    #[inline]
    pub(super) fn choose_how_to_copy(&mut self) {
        self.copier.go_past_the_cache(self.reserved >= self.config.stream_from);
    }

    /// Hands over an event that is covered.
    #[inline]
    pub(super) fn complete(&mut self, slot: u32, sink: &mut impl Sink) {
        let Some(event) = self.remove(slot) else { return };
        let length = u64::from(event.placement.length());
        let Some(filled) = event.placement.complete(event.fragments) else { return };
        self.deliver(Event::new(filled), length, sink);
    }

    #[inline]
    pub(super) fn deliver(&mut self, mut event: Event, length: u64, sink: &mut impl Sink) {
        self.copier.settle();
        event.set_completed(self.now_ns.wrapping_add(self.epoch_ns));
        self.counters.events += 1;
        self.counters.event_bytes += length;
        sink.event(event);
    }

    /// Ends an event in progress without it being whole.
    #[cold]
    pub(super) fn lose(&mut self, slot: u32, cause: LossCause, sink: &mut impl Sink) {
        let end = if cause == LossCause::Budget { End::Refused } else { End::Over };
        let Some(event) = self.remove_as(slot, end) else { return };
        let lost = LostEvent {
            event_number: event.event_number,
            data_id: event.data_id,
            length: event.placement.length(),
            fragments: event.fragments,
            bytes: u64::from(event.received),
            cause,
        };
        // The memory first: the sink may take its time.
        self.copier.settle();
        drop(event);
        self.report(lost, sink);
    }

    /// Reports an event that was not taken in.
    #[cold]
    pub(super) fn refuse(&mut self, hash: u32, fragment: &Fragment<'_>, sink: &mut impl Sink) {
        self.remember(fragment.key, hash, End::Refused, None);
        let lost = LostEvent {
            event_number: fragment.key.event_number,
            data_id: fragment.key.data_id,
            length: fragment.length,
            fragments: 0,
            bytes: 0,
            cause: LossCause::Budget,
        };
        self.report(lost, sink);
    }

    fn report(&mut self, lost: LostEvent, sink: &mut impl Sink) {
        self.counters.lost_bytes += lost.bytes;
        match lost.cause {
            LossCause::Timeout => self.counters.lost_timeout += 1,
            LossCause::Lifetime => self.counters.lost_lifetime += 1,
            LossCause::Budget => self.counters.lost_budget += 1,
            LossCause::Evicted => self.counters.lost_evicted += 1,
            LossCause::Stopped => self.counters.lost_stopped += 1,
            // The hand-off's; an assembler never says so.
            LossCause::Overflow => {}
        }
        sink.lost(lost);
    }

    #[inline]
    fn remove(&mut self, slot: u32) -> Option<InProgress> {
        self.remove_as(slot, End::Over)
    }

    /// Takes an event out of progress, and remembers its key.
    #[inline]
    fn remove_as(&mut self, slot: u32, end: End) -> Option<InProgress> {
        let event = self.events.remove(slot)?;
        self.by_progress.remove(slot);
        self.bytes_in_progress -= u64::from(event.received);
        self.reserved -= event.placement.reserved();
        self.choose_how_to_copy();
        self.remember(event.key(), event.hash, end, Some(slot));
        Some(event)
    }

    /// Remembers a finished key. `slot` is where the table leads for it now.
    #[inline]
    pub(super) fn remember(&mut self, key: Key, hash: u32, end: End, slot: Option<u32>) {
        let in_table = slot.map(Place::InProgress);
        if self.finished.is_disabled() {
            if let Some(place) = in_table {
                self.table.remove(hash, place);
            }
            return;
        }
        if let Some(hash) = self.finished.soon() {
            self.table.prefetch(hash);
        }
        // One makes room for this key; the second lets a ring that was full
        // of stale keys shrink again, so that the table stays in the cache.
        for _ in 0..2 {
            let Some((hash, position)) = self.finished.make_room(self.now_ns) else { break };
            self.table.remove(hash, Place::Finished(position));
        }
        let place = Place::Finished(self.finished.push(key, hash, end, self.now_ns));
        match in_table {
            Some(old) => self.table.replace(hash, old, place),
            None => self.table.insert(hash, place),
        }
    }

    /// A buffer for an event of `length` bytes, and a slot for it unless it
    /// is `whole`; evicts others if that is the policy.
    #[inline]
    pub(super) fn make_room(
        &mut self,
        length: u32,
        whole: bool,
        sink: &mut impl Sink,
    ) -> Option<Buffer> {
        if length > self.heap.pool().max_event() {
            return None;
        }
        if !whole && self.events.is_full() && !self.evict_oldest(sink) {
            return None;
        }
        match self.heap.take(u64::from(length)) {
            Some(buffer) => Some(buffer),
            None => self.make_room_by_evicting(length, sink),
        }
    }

    #[cold]
    fn make_room_by_evicting(&mut self, length: u32, sink: &mut impl Sink) -> Option<Buffer> {
        if self.config.on_budget != BudgetPolicy::EvictOldest {
            return None;
        }
        // Not one event is given up if all of them would not be enough.
        let pool = self.heap.pool();
        let needed = self.heap.in_use().saturating_add(pool.cost(u64::from(length)));
        if needed.saturating_sub(self.reserved) > pool.budget() {
            return None;
        }
        while self.evict_oldest(sink) {
            if let Some(buffer) = self.heap.take(u64::from(length)) {
                return Some(buffer);
            }
        }
        None
    }

    /// Gives up the event with the oldest progress, if that is the policy.
    fn evict_oldest(&mut self, sink: &mut impl Sink) -> bool {
        match self.by_progress.front() {
            Some(slot) if self.config.on_budget == BudgetPolicy::EvictOldest => {
                self.lose(slot, LossCause::Evicted, sink);
                true
            }
            _ => false,
        }
    }

    /// As [`Self::evict_oldest`], but not the event in `slot`.
    pub(super) fn evict_another(&mut self, slot: u32, sink: &mut impl Sink) -> bool {
        self.by_progress.front() != Some(slot) && self.evict_oldest(sink)
    }
}
