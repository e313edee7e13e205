//! What can be done with an event's bytes, and what is known of it.

mod common;

use std::{
    ops::Range,
    ptr::NonNull,
    slice,
    sync::{Arc, Mutex},
};

use common::{MS, Rig, content, datagram, fragments};
use xdpsar_reassembly::{Event, Lender, Loan, LoanHome};
use xdpsar_wire::Pieces;

fn event(rig: &mut Rig, number: u64, length: u32, size: usize) -> Event {
    for fragment in fragments(number, 0, length, size) {
        rig.ingest(&fragment);
    }
    rig.sink.events.pop().expect("whole")
}

#[test]
fn who_has_an_event_may_write_to_it() {
    let mut rig = Rig::new();
    for (number, length, size) in [(10, 100, 100), (20, 5000, 999), (30, 200_000, 8900)] {
        if cfg!(miri) && length > 10_000 {
            continue;
        }
        let mut first = event(&mut rig, number, length, size);
        let other = event(&mut rig, number + 1, length, size);
        assert!(!first.is_lent());
        first.as_mut_slice().expect("its own").fill(0xa5);
        assert!(first.iter().all(|byte| *byte == 0xa5));
        assert_eq!(other[..], content(number + 1, 0, length), "others are not touched");
        drop(first);
        // Its memory serves again, and has nothing of it.
        let third = event(&mut rig, number + 2, length, size);
        assert_eq!(third[..], content(number + 2, 0, length));
    }
}

/// As bindings use it: no reference is made while the pointer is out.
#[test]
fn a_pointer_outlives_moves_of_the_event() {
    let mut rig = Rig::new();
    let event = event(&mut rig, 1, 3000, 500);
    let raw = event.as_raw();
    let moved = Box::new(event);
    assert_eq!((raw, raw.len()), (moved.as_raw(), moved.len()));
    // SAFETY: initialised, and nobody else has the bytes.
    unsafe {
        raw.cast::<u8>().add(2999).write(7);
        assert_eq!(raw.cast::<u8>().add(2999).read(), 7);
        slice::from_raw_parts_mut(raw.cast::<u8>().as_ptr(), 3000).fill(9);
    }
    assert!(moved.iter().all(|byte| *byte == 9));
    let elsewhere = std::thread::spawn(move || moved.as_raw().len());
    assert_eq!(elsewhere.join().expect("no panic"), 3000);
}

#[test]
fn an_empty_event_has_nothing_to_write_to() {
    let mut rig = Rig::new();
    rig.ingest(&datagram(1, 0, 0, 0, &[]));
    let mut event = rig.sink.events.pop().expect("whole");
    assert_eq!(event.as_mut_slice().map(|bytes| bytes.len()), Some(0));
    assert_eq!(event.as_raw().len(), 0);
}

#[derive(Debug, Default)]
struct Home(Mutex<Vec<u64>>);

impl LoanHome for Home {
    fn give_back(&self, token: u64) {
        self.0.lock().expect("no panic").push(token);
    }
}

/// Lends what it is told to.
struct Packet<'a>(&'a [u8], Arc<Home>);

impl Lender for Packet<'_> {
    fn lend(&mut self, payload: Range<usize>) -> Option<Loan> {
        let bytes = NonNull::from(&self.0[payload]);
        // SAFETY: the test keeps the packet for longer than the event, and
        // writes nothing.
        Some(unsafe { Loan::new(bytes, 5, Arc::clone(&self.1) as Arc<dyn LoanHome>) })
    }
}

#[test]
fn a_lent_event_is_read_where_it_is() {
    let mut rig = Rig::new();
    let packet = datagram(1, 0, 0, 300, &content(1, 0, 300));
    let home = Arc::new(Home::default());
    let mut lender = Packet(&packet, Arc::clone(&home));
    rig.assembler.ingest_lent(0, Pieces::whole(&packet), &mut lender, MS, &mut rig.sink);
    let mut event = rig.sink.events.pop().expect("whole");
    assert!(event.is_lent() && event.as_mut_slice().is_none());
    assert_eq!(event.as_raw().cast(), NonNull::from(&packet[20]));
    assert_eq!((event.len(), &event[..]), (300, &packet[20..]));
    assert!(home.0.lock().expect("no panic").is_empty());
    drop(event);
    assert_eq!(*home.0.lock().expect("no panic"), [5]);
}

#[test]
fn events_know_when_they_were_complete() {
    let mut rig = Rig::new();
    let [first, second] = &fragments(1, 0, 200, 100)[..] else { panic!("two") };
    rig.assembler.set_epoch(1_000_000 * MS);
    rig.ingest(first);
    rig.now_ns += 3 * MS;
    rig.ingest(second);
    rig.assembler.set_epoch(0);
    rig.now_ns += MS;
    rig.ingest(&fragments(2, 0, 100, 100)[0]);
    let times: Vec<_> = rig.sink.events.iter().map(Event::completed_ns).collect();
    assert_eq!(times, [1_000_004 * MS, 5 * MS]);
}
