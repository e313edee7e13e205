//! The incumbent's receiver ([`xdpsar_bench::incumbent`]), and a consumer.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
};

use xdpsar_bench::incumbent::{Guard, Receiver, Timeout};

use crate::role::{Consumer, Counts, Opened, Point, TO, Tally, needed};

pub(super) fn open(point: &Point, consumer: Option<Consumer>) -> anyhow::Result<Opened> {
    let consumer = needed(consumer)?;
    // To sleep where there is nothing to do is what it was meant to do.
    let receiver = Arc::new(Receiver::open(&[TO], Timeout::Renewed)?);
    let consumed = Arc::new(Tally::default());
    let (runner, tally) = (Arc::clone(&receiver), Arc::clone(&consumed));
    let run = move |stop: &std::sync::atomic::AtomicBool| {
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut counts = Counts::default();
                while let Some(event) = runner.table().queue.take() {
                    event.with(|state| consumer.consume(state.in_order()));
                    counts.events += 1;
                    tally.set(counts);
                }
            });
            Ok(runner.run(stop)?)
        })
    };
    let point = *point;
    let counts = move || {
        let datagrams = receiver.table().totals.packets.load(Ordering::Relaxed);
        Counts {
            datagrams,
            bytes: point.bytes_in(datagrams),
            syscalls: receiver.calls(),
            ..consumed.get()
        }
    };
    Ok(Opened { run: Box::new(run), counts: Box::new(counts) })
}
