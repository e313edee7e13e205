//! Items from producers on core 0 to consumers on core 1, through a queue.

use std::{sync::Barrier, thread, time::Instant};

use anyhow::{Context, ensure};
use xdpsar_dataplane::pin;

use crate::cpu;

/// Where producers put items, waiting for room.
pub trait Input<T>: Send {
    /// All of `items`, which are empty after it.
    fn put(&self, items: &mut Vec<T>);
}

/// Where consumers take items.
pub trait Output<T>: Send {
    /// Waits for one, appends it and what else is there, `at_most` in all.
    /// False when there will be no more.
    fn take(&self, into: &mut Vec<T>, at_most: usize) -> bool;
}

/// What producers and consumers have of a queue.
pub type Ends<T> = (Vec<Box<dyn Input<T>>>, Vec<Box<dyn Output<T>>>);

/// As many clones of the ends of a queue.
pub fn ends<T, I, O>(input: &I, producers: usize, output: &O, consumers: usize) -> Ends<T>
where
    I: Input<T> + Clone + 'static,
    O: Output<T> + Clone + 'static,
{
    let input = |_| -> Box<dyn Input<T>> { Box::new(input.clone()) };
    let output = |_| -> Box<dyn Output<T>> { Box::new(output.clone()) };
    ((0..producers).map(input).collect(), (0..consumers).map(output).collect())
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

/// Per item.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// From the first item's way in to the last one's way out.
    pub wall_ns: f64,
    /// What all threads worked.
    pub cpu_ns: f64,
}

/// What a thread says at its end.
struct Done {
    at: Instant,
    cpu_ns: f64,
    sum: u64,
}

/// Puts `items` through, `batch` at a time, at full speed.
///
/// # Errors
/// A thread cannot be pinned, or an item got lost.
pub fn measure((inputs, outputs): Ends<u64>, batch: usize, items: u64) -> anyhow::Result<Cost> {
    let producers = inputs.len() as u64;
    let each = items / producers;
    let start = &Barrier::new(inputs.len() + outputs.len());
    let produce = |input: Box<dyn Input<u64>>| -> anyhow::Result<Done> {
        pin::pin_current_thread(0)?;
        let mut buffer = Vec::with_capacity(batch);
        start.wait();
        let (at, before) = (Instant::now(), cpu::thread());
        let mut next = 0;
        while next < each {
            let end = (next + batch as u64).min(each);
            buffer.extend(next..end);
            input.put(&mut buffer);
            next = end;
        }
        Ok(Done { at, cpu_ns: cpu::ns_since(before), sum: 0 })
    };
    let consume = |output: Box<dyn Output<u64>>| -> anyhow::Result<Done> {
        pin::pin_current_thread(1)?;
        let mut buffer = Vec::with_capacity(batch);
        let mut sum = 0;
        start.wait();
        let before = cpu::thread();
        while output.take(&mut buffer, batch) {
            sum += buffer.drain(..).sum::<u64>();
        }
        Ok(Done { at: Instant::now(), cpu_ns: cpu::ns_since(before), sum })
    };
    let (produced, consumed) = thread::scope(|scope| -> anyhow::Result<_> {
        let (produce, consume) = (&produce, &consume);
        let producers: Vec<_> =
            inputs.into_iter().map(|input| scope.spawn(move || produce(input))).collect();
        let consumers: Vec<_> =
            outputs.into_iter().map(|output| scope.spawn(move || consume(output))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, anyhow::Result<Done>>| {
            thread.join().ok().context("a thread panicked")?
        };
        let produced: Vec<_> = producers.into_iter().map(join).collect::<anyhow::Result<_>>()?;
        let consumed: Vec<_> = consumers.into_iter().map(join).collect::<anyhow::Result<_>>()?;
        Ok((produced, consumed))
    })?;
    // The threads' own clocks: this one wakes up when it pleases the kernel.
    let started = produced.iter().map(|done| done.at).min().context("no producers")?;
    let ended = consumed.iter().map(|done| done.at).max().context("no consumers")?;
    let sum: u64 = consumed.iter().map(|done| done.sum).sum();
    ensure!(sum == producers * (each * (each - 1) / 2), "every item came once");
    let count = (each * producers) as f64;
    let cpu_ns: f64 = produced.iter().chain(&consumed).map(|done| done.cpu_ns).sum();
    Ok(Cost { wall_ns: (ended - started).as_secs_f64() * 1e9 / count, cpu_ns: cpu_ns / count })
}
