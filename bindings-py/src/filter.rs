//! Which events Python sees: the others are dropped before, and counted.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use pyo3::{exceptions::PyValueError, prelude::*};
use xdpsar::Event;

/// One data id, or several.
#[derive(FromPyObject)]
pub(crate) enum DataIds {
    One(u16),
    Many(Vec<u16>),
}

/// Lets an event through, or not.
pub(crate) struct Filter {
    data_ids: Option<Vec<u16>>,
    every: u64,
    /// With such a data id.
    seen: AtomicU64,
    /// The reassembler's.
    filtered: Arc<AtomicU64>,
}

impl Filter {
    /// Those with such a data id, and of these every so many-th, from the
    /// first on.
    pub(crate) fn new(
        data_ids: Option<DataIds>,
        every: u64,
        filtered: &Arc<AtomicU64>,
    ) -> PyResult<Self> {
        if every == 0 {
            return Err(PyValueError::new_err(
                "every=0: that is no event at all; name 1 for all of them, or more",
            ));
        }
        let data_ids = data_ids.map(|ids| match ids {
            DataIds::One(id) => vec![id],
            DataIds::Many(ids) => ids,
        });
        Ok(Self { data_ids, every, seen: AtomicU64::new(0), filtered: Arc::clone(filtered) })
    }

    pub(crate) fn lets_through(&self, event: &Event) -> bool {
        let is_meant = self.data_ids.as_ref().is_none_or(|ids| ids.contains(&event.data_id()));
        let passes = is_meant
            && (self.every == 1
                || self.seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.every));
        if !passes {
            self.filtered.fetch_add(1, Ordering::Relaxed);
        }
        passes
    }
}
