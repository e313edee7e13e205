//! Medians of the runs, as Markdown.

use std::fmt::Write;

use xdpsar_bench::{machine, spread::spread};

use crate::contest::{Contestant, Run};

/// A table with a row for each contestant, and the circumstances below it.
pub(crate) fn markdown(runs: &[Run], arguments: &str) -> String {
    let mut text = String::from(
        "| path | datagram | Gb/s | events/s | lost | receiver CPU-s/GB | sender CPU-s/GB |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for contestant in Contestant::ALL {
        let of = |value: fn(&Run) -> f64| {
            spread(runs.iter().filter(|run| run.contestant == contestant).map(value).collect())
        };
        let [low, gbps, high] = of(|run| run.gbps);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} B | **{gbps:.2}** ({low:.2}–{high:.2}) | {:.0} | {:.2} % | {:.3} | {:.3} |",
            contestant.backend,
            contestant.datagram,
            of(|run| run.events_per_s)[1],
            100.0 * of(|run| run.loss)[1],
            of(|run| run.receiver_cpu_s_per_gb)[1],
            of(|run| run.sender_cpu_s_per_gb)[1],
        );
    }
    let repeats = runs.len() / Contestant::ALL.len();
    let arguments =
        if arguments.is_empty() { String::new() } else { format!(" BENCH='{arguments}'") };
    let _ = write!(
        text,
        "\nEvents of 100 000 bytes, unpaced, one flow at a time over a veth pair (MTU 9000); sender \
         on core 0, receiver on core 1; medians of {repeats} interleaved runs (lowest–highest). \
         {}. `make bench{arguments}`",
        machine::description(),
    );
    text
}
