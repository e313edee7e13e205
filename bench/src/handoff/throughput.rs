//! Nanoseconds per item at full speed.

use std::{sync::Barrier, thread, time::Instant};

use anyhow::ensure;
use xdpsar_bench::spread::spread;
use xdpsar_dataplane::pin;
use xdpsar_handoff::Wait;

use crate::{calm::Calm, queue::Contestant};

const CONTESTANTS: [Contestant; 5] = [
    Contestant::Handoff(Wait::Adaptive),
    Contestant::CrossbeamChannel,
    Contestant::ArrayQueue,
    Contestant::Mutexed,
    Contestant::Incumbent,
];
/// Producers and consumers.
const CROWDS: [(usize, usize); 5] = [(1, 1), (1, 2), (1, 4), (2, 1), (2, 2)];
const BATCHES: [usize; 3] = [1, 8, 64];

pub(crate) fn run(calm: &mut Calm, repeats: usize, items: u64) -> anyhow::Result<()> {
    let cases: Vec<_> =
        CROWDS.iter().flat_map(|&crowd| BATCHES.iter().map(move |&batch| (crowd, batch))).collect();
    let mut runs = vec![[const { Vec::new() }; CONTESTANTS.len()]; cases.len()];
    for _ in 0..repeats {
        for (&(crowd, batch), runs) in cases.iter().zip(&mut runs) {
            for (contestant, runs) in CONTESTANTS.into_iter().zip(runs) {
                runs.push(calm.run(|| measure(contestant, crowd, batch, items))?);
            }
        }
    }
    let names = CONTESTANTS.map(Contestant::name).join(" | ");
    println!("| producers | consumers | batch | {names} |\n|---|---|---|---|---|---|---|---|");
    for (((producers, consumers), batch), runs) in cases.into_iter().zip(runs) {
        let figures = runs.map(|runs| {
            let [low, median, high] = spread(runs);
            format!("**{median:.1}** ({low:.1}–{high:.1})")
        });
        println!("| {producers} | {consumers} | {batch} | {} |", figures.join(" | "));
    }
    println!("\nNanoseconds per item of 8 bytes, of wall time; {repeats} runs of {items} items.\n");
    Ok(())
}

/// Nanoseconds per item.
fn measure(
    contestant: Contestant,
    (producers, consumers): (usize, usize),
    batch: usize,
    items: u64,
) -> anyhow::Result<f64> {
    let (inputs, outputs) = contestant.open::<u64>(producers, consumers);
    let each = items / producers as u64;
    let start = Barrier::new(producers + consumers);
    let (started, ended, sum) = thread::scope(|scope| -> anyhow::Result<_> {
        let start = &start;
        let producers: Vec<_> = inputs
            .into_iter()
            .map(|input| {
                scope.spawn(move || -> anyhow::Result<Instant> {
                    pin::pin_current_thread(0)?;
                    let mut buffer = Vec::with_capacity(batch);
                    start.wait();
                    let started = Instant::now();
                    let mut next = 0;
                    while next < each {
                        let end = (next + batch as u64).min(each);
                        buffer.extend(next..end);
                        input.put(&mut buffer);
                        next = end;
                    }
                    Ok(started)
                })
            })
            .collect();
        let consumers: Vec<_> = outputs
            .into_iter()
            .map(|output| {
                scope.spawn(move || -> anyhow::Result<(Instant, u64)> {
                    pin::pin_current_thread(1)?;
                    let mut buffer = Vec::with_capacity(batch);
                    let mut sum = 0;
                    start.wait();
                    while output.take(&mut buffer, batch) {
                        sum += buffer.drain(..).sum::<u64>();
                    }
                    Ok((Instant::now(), sum))
                })
            })
            .collect();
        let mut started = Vec::new();
        for producer in producers {
            started.push(producer.join().expect("a producer does not panic")?);
        }
        let (mut ended, mut sum) = (Vec::new(), 0);
        for consumer in consumers {
            let (end, part) = consumer.join().expect("a consumer does not panic")?;
            ended.push(end);
            sum += part;
        }
        Ok((started.into_iter().min(), ended.into_iter().max(), sum))
    })?;
    // The threads' own clocks: this one wakes up when it pleases the kernel.
    let elapsed = ended.zip(started).map(|(ended, started)| ended - started).unwrap_or_default();
    ensure!(sum == producers as u64 * (each * (each - 1) / 2), "every item came once");
    Ok(elapsed.as_secs_f64() * 1e9 / (each * producers as u64) as f64)
}
