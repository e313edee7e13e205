//! Rounds over all contestants, each sampled by criterion.

use std::{
    fs::File,
    io::{BufReader, Write as _},
    path::Path,
    time::Duration,
};

use anyhow::Context;
use criterion::{Criterion, SamplingMode};
use serde::{Deserialize, Serialize};
use xdpsar_bench::{
    cpu,
    spread::spread,
    workload::{Case, Contestant, Ring, Stream},
};

use crate::contestant::Name;

/// Samples that criterion takes in one round: the fewest it accepts.
const SAMPLES: usize = 10;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Rounds over all contestants.
    pub(crate) rounds: usize,
    /// Time that one contestant is measured in a round.
    pub(crate) measurement: Duration,
    /// Time that it runs before.
    pub(crate) warm_up: Duration,
}

/// What one case has given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Result {
    /// The case.
    pub(crate) case: Case,
    /// Nanoseconds per fragment, one value a round: the median of criterion's
    /// samples.
    pub(crate) ours: Vec<f64>,
    /// The same for the copy.
    pub(crate) memcpy: Vec<f64>,
    /// The same for the incumbent's algorithm.
    pub(crate) baseline: Vec<f64>,
}

/// A contestant with the stream it is fed.
pub(crate) struct Entrant {
    contestant: Box<dyn Contestant>,
    stream: Stream,
}

impl Entrant {
    /// Gets ready, and runs until the stream is in its steady state.
    pub(crate) fn new(name: Name, case: &Case, ring: &mut Ring) -> anyhow::Result<Self> {
        let mut entrant = Self { contestant: name.enter(case)?, stream: Stream::new(*case) };
        while !entrant.stream.is_steady() {
            entrant.lap(ring);
        }
        Ok(entrant)
    }

    /// One lap; returns the CPU time that the contestant took.
    pub(crate) fn lap(&mut self, ring: &mut Ring) -> Duration {
        self.stream.compose(ring);
        // Two system calls in 2048 datagrams.
        let start = cpu::thread();
        self.contestant.lap(ring, &self.stream);
        cpu::thread().saturating_sub(start)
    }

    pub(crate) fn verify(&self) -> anyhow::Result<()> {
        self.contestant.verify(&self.stream).with_context(|| self.stream.case().to_string())
    }
}

/// What criterion has written of one round.
#[derive(Deserialize)]
struct Samples {
    iters: Vec<f64>,
    times: Vec<f64>,
}

/// Measures one case. Criterion writes to `directory`.
///
/// # Errors
/// Says what could not be read or written, or what a contestant did wrong.
pub(crate) fn measure(case: &Case, plan: &Plan, directory: &Path) -> anyhow::Result<Result> {
    let mut ring = Ring::new(case)?;
    let mut entrants = Vec::new();
    for name in Name::ALL {
        entrants.push((name, Entrant::new(name, case, &mut ring)?, Vec::new()));
    }
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(SAMPLES)
        .warm_up_time(plan.warm_up)
        .measurement_time(plan.measurement)
        .nresamples(1001)
        .output_directory(directory);
    for round in 0..plan.rounds {
        // What disturbs the machine for a while disturbs all; and nobody
        // always follows the same.
        entrants.rotate_left(1);
        for (name, entrant, values) in &mut entrants {
            let function = format!("{}-{round}", name.as_str());
            let group_name = case.to_string().replace([':', '@'], "-");
            let mut group = criterion.benchmark_group(&group_name);
            group.sampling_mode(SamplingMode::Flat);
            group.bench_function(&function, |bencher| {
                bencher.iter_custom(|laps| (0..laps).map(|_| entrant.lap(&mut ring)).sum());
            });
            group.finish();
            let path = directory.join(&group_name).join(&function).join("new/sample.json");
            let file = File::open(&path).with_context(|| format!("reading {}", path.display()))?;
            let samples: Samples = serde_json::from_reader(BufReader::new(file))?;
            let per_lap = samples.times.iter().zip(&samples.iters).map(|(time, laps)| time / laps);
            values.push(spread(per_lap.collect())[1] / ring.slots() as f64);
        }
    }
    let mut values = |wanted| -> anyhow::Result<Vec<f64>> {
        let (_, entrant, values) = entrants
            .iter_mut()
            .find(|(name, ..)| *name == wanted)
            .with_context(|| format!("{wanted:?} did not compete"))?;
        entrant.verify()?;
        Ok(std::mem::take(values))
    };
    Ok(Result {
        case: *case,
        ours: values(Name::Ours)?,
        memcpy: values(Name::Memcpy)?,
        baseline: values(Name::Baseline)?,
    })
}

/// Runs one contestant alone through at least so many fragments, for a
/// profiler, and returns nanoseconds per fragment.
pub(crate) fn profile(name: Name, case: &Case, fragments: u64) -> anyhow::Result<f64> {
    let mut ring = Ring::new(case)?;
    let mut entrant = Entrant::new(name, case, &mut ring)?;
    let laps = fragments.div_ceil(ring.slots() as u64);
    let time: Duration = (0..laps).map(|_| entrant.lap(&mut ring)).sum();
    entrant.verify()?;
    Ok(time.as_nanos() as f64 / (laps * ring.slots() as u64) as f64)
}

/// Keeps criterion's own reports off the terminal while it runs: they are
/// fifteen for every line of the table.
///
/// # Errors
/// When standard output or error cannot be duplicated.
pub(crate) fn quietly<T>(run: impl FnOnce(&mut File) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let null = File::options().write(true).open("/dev/null")?;
    let stdout = rustix::io::dup(rustix::stdio::stdout())?;
    let stderr = rustix::io::dup(rustix::stdio::stderr())?;
    let mut progress = File::from(rustix::io::dup(&stderr)?);
    let for_panics = File::from(rustix::io::dup(&stderr)?);
    std::panic::set_hook(Box::new(move |panic| {
        // Nobody is left to tell if this fails.
        let _ = writeln!(&for_panics, "{panic}");
    }));
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    let result = run(&mut progress);
    rustix::stdio::dup2_stdout(&stdout)?;
    rustix::stdio::dup2_stderr(&stderr)?;
    drop(std::panic::take_hook());
    result
}
