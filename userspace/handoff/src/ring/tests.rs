//! The ring against a queue that is obviously right.

use std::{collections::VecDeque, rc::Rc};

use proptest::{collection::vec, prelude::*};

use super::*;

#[derive(Clone, Copy, Debug)]
enum Op {
    Push,
    PushBatch(usize),
    Pop,
    PopBatch(usize),
    SleepConsumer,
    SleepProducer,
    Watch,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => Just(Op::Push),
        3 => (0..12_usize).prop_map(Op::PushBatch),
        3 => Just(Op::Pop),
        3 => (0..12_usize).prop_map(Op::PopBatch),
        1 => Just(Op::SleepConsumer),
        1 => Just(Op::SleepProducer),
        1 => Just(Op::Watch),
    ]
}

/// The queue, and who sleeps on it.
struct Model {
    items: VecDeque<u32>,
    capacity: usize,
    consumers: u32,
    producers: u32,
    is_watched: bool,
}

impl Model {
    fn pushed(&mut self, count: usize) -> Sleeper {
        if count == 0 {
            return Sleeper::None;
        }
        let watcher = std::mem::take(&mut self.is_watched);
        match (watcher, Self::take(&mut self.consumers)) {
            (false, sleeper) => sleeper,
            (true, Sleeper::None) => Sleeper::Watcher,
            (true, _) => Sleeper::TakenAndWatcher,
        }
    }

    fn popped(&mut self) -> Sleeper {
        if self.items.len() <= self.capacity / 2 {
            Self::take(&mut self.producers)
        } else {
            Sleeper::None
        }
    }

    fn take(sleepers: &mut u32) -> Sleeper {
        if *sleepers == 0 {
            return Sleeper::None;
        }
        *sleepers -= 1;
        Sleeper::Taken
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 8 } else { 512 },
        // Miri has no files to keep failures in.
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn it_is_a_bounded_queue(
        capacity in 1..10_usize,
        ops in vec(op(), 0..if cfg!(miri) { 60 } else { 300 }),
    ) {
        // Boxes: an item lost or given twice is a leak or a double free.
        let ring = Ring::<Box<u32>>::at_lap(capacity, 0_u64.wrapping_sub(3));
        let items = VecDeque::new();
        let mut model = Model { items, capacity, consumers: 0, producers: 0, is_watched: false };
        let mut next = 0;
        let mut fresh = || { next += 1; next };
        for op in ops {
            match op {
                Op::Push => {
                    let item = fresh();
                    let expected = if model.items.len() < capacity {
                        model.items.push_back(item);
                        Ok(model.pushed(1))
                    } else {
                        Err(TryPushError::Full(Box::new(item)))
                    };
                    prop_assert_eq!(ring.push(Box::new(item)), expected);
                }
                Op::PushBatch(wanted) => {
                    let mut items: Vec<_> = (0..wanted).map(|_| Box::new(fresh())).collect();
                    let fits = wanted.min(capacity - model.items.len());
                    model.items.extend(items[..fits].iter().map(|item| **item));
                    let rest = items[fits..].to_vec();
                    prop_assert_eq!(ring.push_batch(&mut items), Ok((fits, model.pushed(fits))));
                    prop_assert_eq!(items, rest);
                }
                Op::Pop => {
                    let expected = model.items.pop_front();
                    let expected = expected.map(|item| (Box::new(item), model.popped()));
                    prop_assert_eq!(ring.pop(), expected);
                }
                Op::PopBatch(wanted) => {
                    let mut items = vec![Box::new(0)];
                    let there = wanted.min(model.items.len());
                    let mut expected = vec![Box::new(0)];
                    expected.extend(model.items.drain(..there).map(Box::new));
                    let popped = ring.pop_batch(&mut items, wanted);
                    prop_assert_eq!(popped, (there > 0).then(|| (there, model.popped())));
                    prop_assert_eq!(items, expected);
                }
                Op::SleepConsumer => {
                    let may = model.items.is_empty();
                    model.consumers += u32::from(may);
                    let enlisted = if may { Enlisted::Yes } else { Enlisted::NotNeeded };
                    prop_assert_eq!(ring.enlist_consumer(), enlisted);
                }
                Op::Watch => {
                    let may = model.items.is_empty();
                    model.is_watched |= may;
                    prop_assert_eq!(ring.enlist_watcher(), may);
                }
                Op::SleepProducer => {
                    let may = model.items.len() == capacity;
                    model.producers += u32::from(may);
                    let enlisted = if may { Enlisted::Yes } else { Enlisted::NotNeeded };
                    prop_assert_eq!(ring.enlist_producer(), enlisted);
                }
            }
            prop_assert_eq!(ring.len(), model.items.len());
        }
    }
}

#[test]
fn what_is_left_is_dropped_with_the_ring() {
    let item = Rc::new(());
    let ring = Ring::new(5);
    assert_eq!(ring.push_batch(&mut vec![Rc::clone(&item); 4]).unwrap().0, 4);
    drop(ring.pop());
    assert_eq!(Rc::strong_count(&item), 4);
    drop(ring);
    assert_eq!(Rc::strong_count(&item), 1);
}

#[test]
fn without_receivers_nothing_goes_in() {
    let ring = Ring::new(2);
    assert_eq!(ring.push(1), Ok(Sleeper::None));
    assert_eq!(ring.leave_receivers(), 0);
    ring.discard();
    assert_eq!(ring.push(2), Err(TryPushError::Disconnected(2)));
    let mut items = vec![3];
    assert_eq!(ring.push_batch(&mut items), Err(ReceiversGone));
    assert_eq!((items, ring.len()), (vec![3], 0));
    assert_eq!(ring.enlist_producer(), Enlisted::Gone);
}

#[test]
fn more_sleepers_than_can_be_counted_nap() {
    let ring = Ring::<u8>::new(1);
    let most = 8191;
    for _ in 0..most {
        assert_eq!(ring.enlist_consumer(), Enlisted::Yes);
    }
    assert_eq!(ring.enlist_consumer(), Enlisted::NotNeeded);
    assert!(ring.enlist_watcher(), "of whom there is one");
    assert_eq!(ring.leave_senders(), (most, true));
    assert!(!ring.enlist_watcher());
    assert_eq!(ring.enlist_consumer(), Enlisted::Gone);
    assert_eq!(ring.emptiness(), Emptiness::ForEver);
}

#[test]
#[should_panic(expected = "at least one")]
fn a_ring_of_nothing_is_refused() {
    Ring::<u8>::new(0);
}
