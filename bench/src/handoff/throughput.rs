//! Nanoseconds per item at full speed.

use xdpsar_bench::{exchange, spread::spread};
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
                runs.push(calm.run(|| {
                    let (producers, consumers) = crowd;
                    let ends = contestant.open::<u64>(producers, consumers);
                    Ok(exchange::measure(ends, batch, items)?.wall_ns)
                })?);
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
