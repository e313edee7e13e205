//! The contestants behind one face: batches in, batches out.

use std::sync::Arc;

use xdpsar_bench::{
    exchange::{Ends, Input, Output, ends},
    incumbent,
};
use xdpsar_handoff::Wait;

use crate::{
    CAPACITY,
    plain::{Mutexed, Polled},
};

/// Who competes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contestant {
    Handoff(Wait),
    CrossbeamChannel,
    ArrayQueue,
    Mutexed,
    Incumbent,
}

impl Contestant {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Handoff(Wait::Spin) => "handoff, spinning",
            Self::Handoff(Wait::Adaptive) => "handoff, adaptive",
            Self::Handoff(Wait::Sleep) => "handoff, sleeping",
            Self::CrossbeamChannel => "crossbeam_channel",
            Self::ArrayQueue => "ArrayQueue, polled",
            Self::Mutexed => "Mutex, Condvar",
            Self::Incumbent => "incumbent",
        }
    }

    /// As many ends of a new queue.
    pub(crate) fn open<T: Send + 'static>(self, producers: usize, consumers: usize) -> Ends<T> {
        match self {
            Self::Handoff(wait) => {
                let (sender, receiver) = xdpsar_handoff::bounded(CAPACITY);
                ends(&sender, producers, &receiver.waiting(wait), consumers)
            }
            Self::CrossbeamChannel => {
                let (sender, receiver) = crossbeam_channel::bounded(CAPACITY);
                ends(&sender, producers, &receiver, consumers)
            }
            Self::ArrayQueue => shared(Polled::new(), producers, consumers),
            Self::Mutexed => shared(Mutexed::new(), producers, consumers),
            Self::Incumbent => shared(incumbent::Queue::default(), producers, consumers),
        }
    }
}

/// A queue that the benchmark brings along. All ends share it.
pub(crate) trait Queue: Send + Sync {
    type Item: Send;

    /// As [`Input::put`].
    fn put(&self, items: &mut Vec<Self::Item>);

    /// As [`Output::take`].
    fn take(&self, into: &mut Vec<Self::Item>, at_most: usize) -> bool;

    /// The last producer has gone.
    fn close(&self);
}

impl<T: Send> Queue for incumbent::Queue<T> {
    type Item = T;

    fn put(&self, items: &mut Vec<T>) {
        items.drain(..).for_each(|item| self.push(item));
    }

    fn take(&self, into: &mut Vec<T>, _at_most: usize) -> bool {
        let Some(item) = incumbent::Queue::take(self) else { return false };
        into.push(item);
        true
    }

    fn close(&self) {
        incumbent::Queue::close(self);
    }
}

fn shared<Q: Queue + 'static>(queue: Q, producers: usize, consumers: usize) -> Ends<Q::Item> {
    let queue = Arc::new(queue);
    let input = Filler(Arc::new(Open(Arc::clone(&queue))));
    ends(&input, producers, &Drain(queue), consumers)
}

/// A queue that somebody may still put items into: closed when it is dropped.
struct Open<Q: Queue>(Arc<Q>);

impl<Q: Queue> Drop for Open<Q> {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct Filler<Q: Queue>(Arc<Open<Q>>);

impl<Q: Queue> Clone for Filler<Q> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Q: Queue> Input<Q::Item> for Filler<Q> {
    fn put(&self, items: &mut Vec<Q::Item>) {
        self.0.0.put(items);
    }
}

struct Drain<Q>(Arc<Q>);

impl<Q> Clone for Drain<Q> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Q: Queue> Output<Q::Item> for Drain<Q> {
    fn take(&self, into: &mut Vec<Q::Item>, at_most: usize) -> bool {
        self.0.take(into, at_most)
    }
}
