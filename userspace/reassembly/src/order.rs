//! The events in progress by their last progress: a doubly linked list of the
//! slab's indices.
//!
//! Time never runs backwards, so moving to the back keeps it sorted, and what
//! expires is at the front. An event moves once per quantum of time, not with
//! each fragment: see [`crate::assembler`].

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    after: u32,
    /// When the slot was taken.
    since_ns: u64,
}

#[derive(Debug)]
pub(crate) struct Order {
    /// By slot. Links of slots that are not in the order mean nothing.
    links: Vec<Link>,
    front: u32,
    back: u32,
}

impl Order {
    /// Over slots below `most`.
    pub(crate) fn new(most: usize) -> Self {
        Self { links: Vec::with_capacity(most), front: NONE, back: NONE }
    }

    /// The first slot.
    #[inline]
    pub(crate) fn front(&self) -> Option<u32> {
        (self.front != NONE).then_some(self.front)
    }

    /// Adds a slot that is not in the order, and was taken at `since_ns`.
    #[inline]
    pub(crate) fn push_back(&mut self, slot: u32, since_ns: u64) {
        let at = slot as usize;
        let link = Link { before: self.back, after: NONE, since_ns };
        if self.links.len() <= at {
            // Within the capacity.
            self.links.resize(at + 1, link);
        }
        self.links[at] = link;
        match self.back {
            NONE => self.front = slot,
            back => self.links[back as usize].after = slot,
        }
        self.back = slot;
    }

    /// Removes a slot that is in the order.
    #[inline]
    pub(crate) fn remove(&mut self, slot: u32) {
        let Link { before, after, .. } = self.links[slot as usize];
        match before {
            NONE => self.front = after,
            before => self.links[before as usize].after = after,
        }
        match after {
            NONE => self.back = before,
            after => self.links[after as usize].before = before,
        }
    }

    /// Moves a slot that is in the order to the back.
    #[inline]
    pub(crate) fn move_to_back(&mut self, slot: u32) {
        if self.back != slot {
            self.remove(slot);
            self.push_back(slot, self.since_ns(slot));
        }
    }

    /// When a slot that is in the order was taken.
    #[inline]
    pub(crate) fn since_ns(&self, slot: u32) -> u64 {
        self.links[slot as usize].since_ns
    }

    /// All slots, first to last.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        let mut at = self.front;
        std::iter::from_fn(move || {
            let slot = (at != NONE).then_some(at)?;
            at = self.links[slot as usize].after;
            Some(slot)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order_of_touch() {
        let mut order = Order::new(4);
        assert_eq!(order.front(), None);
        for slot in [2, 0, 3, 1] {
            order.push_back(slot, u64::from(slot));
        }
        order.move_to_back(0);
        order.move_to_back(0);
        assert_eq!(order.since_ns(0), 0);
        assert_eq!(order.iter().collect::<Vec<_>>(), [2, 3, 1, 0]);
        order.remove(2);
        order.remove(0);
        assert_eq!(order.iter().collect::<Vec<_>>(), [3, 1]);
        order.remove(1);
        order.remove(3);
        assert_eq!(order.front(), None);
        order.push_back(1, 7);
        assert_eq!(order.since_ns(1), 7);
        assert_eq!(order.iter().collect::<Vec<_>>(), [1]);
    }
}
