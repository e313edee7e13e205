//! A curve: what something costs, by how much of it there is.

use std::collections::BTreeMap;

use serde::Serialize;
use xdpsar_bench::{machine, spread::spread};

/// Samples are taken again when the hypervisor took a core away meanwhile, so
/// many times at most.
const ATTEMPTS: usize = 4;

/// What is measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Key {
    /// Which curve.
    pub(crate) curve: &'static str,
    /// Which line of it.
    pub(crate) series: String,
    /// How much there is, of what.
    pub(crate) count: u64,
    pub(crate) of: &'static str,
    /// What the nanoseconds are per.
    pub(crate) per: &'static str,
}

/// One measurement: CPU nanoseconds, and what else was counted, each name with
/// its unit.
pub(crate) struct Sample {
    pub(crate) ns: f64,
    pub(crate) also: Vec<(&'static str, f64)>,
}

impl From<f64> for Sample {
    fn from(ns: f64) -> Self {
        Self { ns, also: Vec::new() }
    }
}

/// A point of a curve, ready to be measured.
pub(crate) struct Point<'a> {
    pub(crate) key: Key,
    pub(crate) measure: Box<dyn FnMut() -> anyhow::Result<Sample> + 'a>,
}

/// A point that has been measured: medians, of the cost with its spread.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    #[serde(flatten)]
    pub(crate) key: Key,
    pub(crate) median_ns: f64,
    pub(crate) low_ns: f64,
    pub(crate) high_ns: f64,
    #[serde(flatten)]
    pub(crate) also: BTreeMap<&'static str, f64>,
}

/// Measures all points in turn, so often.
pub(crate) fn measure(mut points: Vec<Point<'_>>, repeats: usize) -> anyhow::Result<Vec<Row>> {
    let mut samples: Vec<Vec<Sample>> = points.iter().map(|_| Vec::new()).collect();
    for _ in 0..repeats {
        for (point, samples) in points.iter_mut().zip(&mut samples) {
            samples.push(calmly(&mut point.measure)?);
        }
    }
    Ok(points.into_iter().zip(samples).map(|(point, samples)| row(point.key, &samples)).collect())
}

fn calmly(measure: &mut dyn FnMut() -> anyhow::Result<Sample>) -> anyhow::Result<Sample> {
    for _ in 1..ATTEMPTS {
        let before = machine::stolen();
        let sample = measure()?;
        if machine::stolen() == before {
            return Ok(sample);
        }
    }
    measure()
}

fn row(key: Key, samples: &[Sample]) -> Row {
    let [low_ns, median_ns, high_ns] = spread(samples.iter().map(|sample| sample.ns).collect());
    let mut also: BTreeMap<_, Vec<f64>> = BTreeMap::new();
    for (name, value) in samples.iter().flat_map(|sample| &sample.also) {
        also.entry(*name).or_default().push(*value);
    }
    let also = also.into_iter().map(|(name, values)| (name, spread(values)[1])).collect();
    Row { key, median_ns, low_ns, high_ns, also }
}
