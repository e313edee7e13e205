//! The contestants behind one face: batches in, batches out.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use xdpsar_bench::incumbent;
use xdpsar_handoff::Wait;

use crate::{
    CAPACITY,
    plain::{Mutexed, Polled},
};

/// Where producers put items, waiting for room.
pub(crate) trait Input<T>: Send {
    /// All of `items`, which are empty after it.
    fn put(&self, items: &mut Vec<T>);
}

/// Where consumers take items.
pub(crate) trait Output<T>: Send {
    /// Waits for one, appends it and what else is there, `at_most` in all.
    /// False when there will be no more.
    fn take(&self, into: &mut Vec<T>, at_most: usize) -> bool;
}

pub(crate) type Ends<T> = (Vec<Box<dyn Input<T>>>, Vec<Box<dyn Output<T>>>);

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
                (clones(&sender, producers), outputs(&receiver.waiting(wait), consumers))
            }
            Self::CrossbeamChannel => {
                let (sender, receiver) = crossbeam_channel::bounded(CAPACITY);
                (clones(&sender, producers), outputs(&receiver, consumers))
            }
            Self::ArrayQueue => shared(Polled::new(), producers, consumers),
            Self::Mutexed => shared(Mutexed::new(), producers, consumers),
            Self::Incumbent => shared(incumbent::Queue::default(), producers, consumers),
        }
    }
}

fn clones<T, I: Input<T> + Clone + 'static>(input: &I, count: usize) -> Vec<Box<dyn Input<T>>> {
    (0..count).map(|_| -> Box<dyn Input<T>> { Box::new(input.clone()) }).collect()
}

fn outputs<T, O: Output<T> + Clone + 'static>(output: &O, count: usize) -> Vec<Box<dyn Output<T>>> {
    (0..count).map(|_| -> Box<dyn Output<T>> { Box::new(output.clone()) }).collect()
}

impl<T: Send> Input<T> for xdpsar_handoff::Sender<T> {
    fn put(&self, items: &mut Vec<T>) {
        // Consumers stay to the end.
        let _ = self.push_batch(items);
    }
}

impl<T: Send> Output<T> for xdpsar_handoff::Receiver<T> {
    fn take(&self, into: &mut Vec<T>, at_most: usize) -> bool {
        self.recv_batch(into, at_most).is_ok()
    }
}

impl<T: Send> Input<T> for crossbeam_channel::Sender<T> {
    fn put(&self, items: &mut Vec<T>) {
        for item in items.drain(..) {
            let _ = self.send(item);
        }
    }
}

impl<T: Send> Output<T> for crossbeam_channel::Receiver<T> {
    fn take(&self, into: &mut Vec<T>, at_most: usize) -> bool {
        let Ok(first) = self.recv() else { return false };
        into.push(first);
        into.extend(self.try_iter().take(at_most - 1));
        true
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
    let left = Arc::new(AtomicUsize::new(producers));
    let input = |_| -> Box<dyn Input<Q::Item>> {
        Box::new(Filler { queue: Arc::clone(&queue), left: Arc::clone(&left) })
    };
    ((0..producers).map(input).collect(), outputs(&Drain(Arc::clone(&queue)), consumers))
}

/// A producer's end; the last one to go closes the queue.
struct Filler<Q: Queue> {
    queue: Arc<Q>,
    left: Arc<AtomicUsize>,
}

impl<Q: Queue> Drop for Filler<Q> {
    fn drop(&mut self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.queue.close();
        }
    }
}

impl<Q: Queue> Input<Q::Item> for Filler<Q> {
    fn put(&self, items: &mut Vec<Q::Item>) {
        self.queue.put(items);
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
