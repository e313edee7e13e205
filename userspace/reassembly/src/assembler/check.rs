//! Invariants.

use super::{Assembler, Place, table};

impl Assembler {
    /// Checks what must hold between calls, in constant time. Debug builds do
    /// so after every call.
    ///
    /// # Panics
    /// If it does not hold: a bug in this crate.
    pub fn check_invariants(&self) {
        let counters = &self.counters;
        assert_eq!(counters.datagrams, counters.accounted(), "datagrams are conserved");
        assert_eq!(
            counters.bytes,
            counters.event_bytes + counters.lost_bytes + self.bytes_in_progress,
            "bytes are conserved"
        );
        let ended = counters.events + counters.lost();
        assert_eq!(self.opened, ended + self.events.len() as u64, "events are conserved");
        assert_eq!(
            self.table.len(),
            self.events.len() + self.finished.known(),
            "the table leads to what there is"
        );
        assert_eq!(self.by_progress.front().is_none(), self.events.len() == 0);
        let pool = self.heap.pool();
        assert!(pool.held() <= pool.budget(), "the budget is kept");
    }

    /// Checks everything, in time proportional to all there is: for tests.
    ///
    /// # Panics
    /// As [`Assembler::check_invariants`].
    pub fn check_structure(&self) {
        self.check_invariants();
        let (mut bytes, mut reserved) = (0, 0);
        for (slot, event) in self.events.iter() {
            let key = event.key();
            let hash = table::hash(key.event_number, key.data_id, self.config.seed);
            assert_eq!(event.hash, hash);
            assert_eq!(self.look_up(hash, key), Some(Place::InProgress(slot)), "{key:?}");
            assert_eq!(event.placement.recount(), u64::from(event.received), "{key:?}");
            assert!(event.received > 0 && event.received < event.placement.length(), "{key:?}");
            assert!(event.fragments > 0 && event.fragments <= event.received, "{key:?}");
            assert!(self.by_progress.since_ns(slot) <= event.progress_ns);
            assert!(event.progress_ns <= self.now_ns);
            bytes += u64::from(event.received);
            reserved += event.placement.reserved();
        }
        assert_eq!((bytes, reserved), (self.bytes_in_progress, self.reserved));
        let quantum = |slot| self.events.get(slot).map(|event| self.quantum(event.progress_ns));
        let order: Vec<_> = self.by_progress.iter().map(quantum).collect();
        assert_eq!(order.len(), self.events.len());
        assert!(order.iter().all(Option::is_some), "a slot in the order is taken");
        assert!(order.is_sorted());
        let mut known = 0;
        for (position, record) in self.finished.iter() {
            let place = Some(Place::Finished(position));
            let found = self.table.find(record.hash, |place| place == Place::Finished(position));
            assert_eq!(found, place, "event {}", record.event_number);
            known += 1;
        }
        assert_eq!(known, self.finished.known());
    }
}
