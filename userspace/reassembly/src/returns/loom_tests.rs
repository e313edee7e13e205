//! Tried with threads of the system, or with every interleaving under loom.

use std::ptr::NonNull;

use super::{Linked, Returns};
use crate::sync::{Cell, model, thread};

struct Node {
    next: Cell<*mut Node>,
    value: Cell<u32>,
}

// SAFETY: the field is private to this module and used by nothing else.
unsafe impl Linked for Node {
    fn next(&self) -> &Cell<*mut Self> {
        &self.next
    }
}

fn node(value: u32) -> NonNull<Node> {
    NonNull::from(Box::leak(Box::new(Node {
        next: Cell::new(std::ptr::null_mut()),
        value: Cell::new(value),
    })))
}

fn value(node: NonNull<Node>) -> u32 {
    // SAFETY: the node was made by `node`, and taken: it is ours.
    let node = unsafe { Box::from_raw(node.as_ptr()) };
    // SAFETY: nobody else has it any more.
    unsafe { node.value.with(|value| *value) }
}

/// Writes to a node as a consumer reads its event, then lets go of it.
fn give(returns: &Returns<Node>, node: NonNull<Node>, text: u32) -> Option<u32> {
    // SAFETY: ours, not pushed yet.
    unsafe { node.as_ref().value.with_mut(|value| *value = text) };
    // SAFETY: ours, and valid until taken.
    unsafe { returns.push(node) }.err().map(value)
}

#[test]
#[cfg_attr(loom, ignore = "one thread")]
fn last_in_first_out_until_closed() {
    model(|| {
        let returns = Returns::new();
        assert!(returns.is_empty());
        for text in [1, 2, 3] {
            assert_eq!(give(&returns, node(0), text), None);
        }
        assert!(!returns.is_empty());
        assert_eq!(returns.take_all().map(value).collect::<Vec<_>>(), [3, 2, 1]);
        assert_eq!(returns.take_all().count(), 0);
        give(&returns, node(0), 4);
        assert_eq!(returns.close().map(value).collect::<Vec<_>>(), [4]);
        assert_eq!(give(&returns, node(0), 5), Some(5), "closed");
        assert_eq!(returns.close().count(), 0);
    });
}

/// Every node comes home exactly once, with what was written to it, whether
/// its owner takes it, closes on it, or has gone.
#[test]
fn every_node_comes_home_once() {
    let rounds = if cfg!(loom) {
        1
    } else if cfg!(miri) {
        5
    } else {
        2000
    };
    model(move || {
        let returns = loom_arc(Returns::new());
        let consumers: Vec<_> = (0..2)
            .map(|consumer| {
                let returns = returns.clone();
                thread::spawn(move || {
                    let mut kept = Vec::new();
                    for round in 0..rounds {
                        kept.extend(give(&returns, node(0), consumer * rounds + round + 1));
                    }
                    kept
                })
            })
            .collect();
        let mut home = Vec::new();
        // Some are taken and pushed again: the case of ABA.
        for node in returns.take_all() {
            let text = value(node);
            home.push(text);
        }
        for _ in 1..rounds {
            home.extend(returns.take_all().map(value));
        }
        home.extend(returns.close().map(value));
        for consumer in consumers {
            home.extend(consumer.join().expect("consumer"));
        }
        home.sort_unstable();
        assert!(home.iter().copied().eq(1..=2 * rounds), "{home:?}");
    });
}

/// A node that is seen as head, taken, and pushed again while another push is
/// under way.
#[test]
fn a_node_may_return_while_another_push_is_under_way() {
    model(|| {
        let returns = loom_arc(Returns::new());
        let first = node(1);
        // SAFETY: ours, and valid until taken.
        assert!(unsafe { returns.push(first) }.is_ok());
        let other = {
            let returns = returns.clone();
            thread::spawn(move || assert_eq!(give(&returns, node(0), 2), None))
        };
        let mut home = Vec::new();
        let mut again = None;
        for node in returns.take_all() {
            // SAFETY: taken, so ours.
            let text = unsafe { node.as_ref().value.with(|value| *value) };
            if text == 1 {
                again = Some(node);
            } else {
                home.push(value(node));
            }
        }
        // SAFETY: taken above, so ours, and valid until taken again.
        assert!(unsafe { returns.push(again.expect("the first node was there")) }.is_ok());
        other.join().expect("other");
        home.extend(returns.take_all().map(value));
        home.sort_unstable();
        assert_eq!(home, [1, 2]);
    });
}

fn loom_arc<T>(value: T) -> crate::sync::Arc<T> {
    crate::sync::Arc::new(value)
}
