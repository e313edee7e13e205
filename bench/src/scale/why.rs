//! What bends a line that is not flat, each time with what was measured
//! beside it.

use xdpsar_bench::machine;

use crate::{
    curve::Row,
    report::{Line, short},
};

/// Of what else was measured, all that changes by more than this many times is
/// named.
const CHANGED: f64 = 1.2;

/// One item for each line that is `bent`, of all `lines` of a curve.
pub(crate) fn bends(curve: &str, lines: &[Line<'_>], bent: &[Line<'_>]) -> String {
    let item = |line: &Line<'_>| {
        let (few, many) = line.ends(|row| row.median_ns);
        format!(
            "* {}: {} → {} ns{}. {}",
            line.series,
            short(few),
            short(many),
            beside(line),
            if overlap(line) { OVERLAP.to_owned() } else { reason(curve, lines, line) }
        )
    };
    bent.iter().map(item).collect::<Vec<_>>().join("\n")
}

const OVERLAP: &str = "Runs of its dearest point were as cheap as runs of its cheapest: no trend \
                       that can be told from what disturbs them.";

/// Whether its dearest and its cheapest point may be the same but for chance.
fn overlap(line: &Line<'_>) -> bool {
    let by_cost = |a: &&&Row, b: &&&Row| a.median_ns.total_cmp(&b.median_ns);
    let (cheapest, dearest) = (line.rows.iter().min_by(by_cost), line.rows.iter().max_by(by_cost));
    cheapest.zip(dearest).is_some_and(|(cheapest, dearest)| dearest.low_ns <= cheapest.high_ns)
}

/// What changed with it.
fn beside(line: &Line<'_>) -> String {
    let names = line.rows.first().map(|row| row.also.keys().copied().collect::<Vec<_>>());
    let changed = |name: &&str| {
        let (few, many) = line.ends(|row| row.also.get(name).copied().unwrap_or(f64::NAN));
        let times = (many / few).max(few / many);
        (times > CHANGED && !name.ends_with("_ns"))
            .then(|| format!(", {} {} → {}", name.replace('_', " "), short(few), short(many)))
    };
    names.unwrap_or_default().iter().filter_map(changed).collect()
}

fn reason(curve: &str, lines: &[Line<'_>], line: &Line<'_>) -> String {
    let caches = machine::caches();
    let rise = |series: &str| {
        let twin = lines.iter().find(|line| line.series == series)?;
        let (few, many) = twin.ends(|row| row.median_ns);
        Some(format!("{:+.0} ns", many - few))
    };
    let rise = |series: &str| rise(series).unwrap_or_else(|| "(not measured)".to_owned());
    match curve {
        "workers" => {
            "The second worker is another thread to wake, and each wakes up to half as many \
             datagrams."
                .to_owned()
        }
        "sockets" | "lanes" => format!(
            "Of that the source, which receives and releases: {}. The rest is reassembly: each \
             worker has an assembler, with memory of its own, and all share the caches ({caches}).",
            released(line),
        ),
        "UDP ports" => format!(
            "Received and released only: {}. A system call brings what waits in one socket, so \
             that fewer datagrams share it the more sockets there are; where as many wait in each, \
             what waits in all no longer fits the caches ({caches}).",
            released(line),
        ),
        "consumers" | "queue" => {
            "An end that finds the queue full, or empty, goes to sleep and is woken: on one core \
             all consumers take turns, and a queue of one batch has its ends take turns."
                .to_owned()
        }
        _ => match line.series.split_once(": ") {
            Some(("assembled", rest)) => format!(
                "The same bytes only copied, to as many places: {}; without the memory of finished \
                 events, which lasts half a second: {}. What is beyond the caches ({caches}) has \
                 to be fetched.",
                rise(&format!("copied only: {rest}")),
                rise(&format!("forgetful: {rest}")),
            ),
            _ => format!("What is beyond the caches ({caches}) has to be fetched."),
        },
    }
}

/// What receiving and releasing alone cost at both ends.
fn released(line: &Line<'_>) -> String {
    let (few, many) =
        line.ends(|row| row.also.get("released_only_ns").copied().unwrap_or(f64::NAN));
    format!("{} → {} ns", short(few), short(many))
}
