//! Medians of the runs, as Markdown.

use std::fmt::Write;

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
         {}, {} cores, {}. `make bench{arguments}`",
        kernel(),
        std::thread::available_parallelism().map_or(0, usize::from),
        processor(),
    );
    text
}

/// Lowest, median, highest.
fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    match values.as_slice() {
        [] => [f64::NAN; 3],
        [low, .., high] => [*low, values[values.len() / 2], *high],
        [only] => [*only; 3],
    }
}

fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let numbers: Vec<_> =
        release.trim().split(['.', '-']).take_while(|part| part.parse::<u32>().is_ok()).collect();
    format!("Linux {}", numbers.join("."))
}

fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    info.lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or_else(|| "unknown processor".to_owned(), |(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn the_median_is_the_middle_and_one_run_is_its_own_spread() {
        assert_eq!(spread(vec![3.0, 1.0, 2.0]), [1.0, 2.0, 3.0]);
        assert_eq!(spread(vec![7.0]), [7.0; 3]);
    }
}
