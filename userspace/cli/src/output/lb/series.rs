//! What there is to tell of counters over time.

use std::{
    io::{self, Write},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Serialize, Serializer};
use xdpsar::load_balancer::{Samples, Series};

use crate::{
    moment,
    output::{
        Report,
        table::{Side, Table},
    },
};

/// `series`: a counter over time.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "series")]
pub(crate) struct SeriesTold<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    unit: &'a str,
    /// Pairs of ms since 1970 and a value.
    #[serde(serialize_with = "pairs")]
    samples: &'a Samples,
}

impl<'a> From<&'a Series> for SeriesTold<'a> {
    fn from(series: &'a Series) -> Self {
        Self { name: &series.name, unit: &series.unit, samples: &series.samples }
    }
}

fn pairs<S: Serializer>(samples: &&Samples, serializer: S) -> Result<S::Ok, S::Error> {
    match samples {
        Samples::Float(those) => {
            serializer.collect_seq(those.iter().map(|(at, value)| (millis(*at), *value)))
        }
        Samples::Integer(those) => {
            serializer.collect_seq(those.iter().map(|(at, value)| (millis(*at), *value)))
        }
    }
}

fn millis(at: SystemTime) -> u128 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

impl Report for SeriesTold<'_> {
    /// People read all of them in one [`table`].
    fn human(&self) -> Option<String> {
        None
    }
}

/// Samples as they are written: the time, the value, and that as a number.
fn texts(samples: &Samples) -> Vec<(SystemTime, String, f64)> {
    match samples {
        Samples::Float(those) => {
            those.iter().map(|(at, value)| (*at, value.to_string(), f64::from(*value))).collect()
        }
        Samples::Integer(those) => {
            those.iter().map(|(at, value)| (*at, value.to_string(), *value as f64)).collect()
        }
    }
}

/// Each series in one line.
pub(crate) fn table(all: &[Series]) -> String {
    use Side::{Left, Right};
    let mut table = Table::new([
        ("series", Left),
        ("samples", Right),
        ("least", Right),
        ("most", Right),
        ("last", Right),
        ("unit", Left),
        ("at", Left),
    ]);
    for series in all {
        let samples = texts(&series.samples);
        let by_value =
            |a: &&(SystemTime, String, f64), b: &&(SystemTime, String, f64)| a.2.total_cmp(&b.2);
        let value = |sample: Option<&(SystemTime, String, f64)>| {
            sample.map(|(_, text, _)| text.clone()).unwrap_or_default()
        };
        table.row([
            series.name.clone(),
            samples.len().to_string(),
            value(samples.iter().min_by(by_value)),
            value(samples.iter().max_by(by_value)),
            value(samples.last()),
            series.unit.clone(),
            samples.last().map(|(at, ..)| moment::show(*at)).unwrap_or_default(),
        ]);
    }
    table.to_string()
}

/// Writes them as comma-separated values, as E2SAR's lbadm does: two columns
/// each, a comma at each line's end, and a last row of commas only.
///
/// # Errors
/// What writing returns.
pub(crate) fn csv(all: &[Series], to: &mut impl Write) -> io::Result<()> {
    for Series { name, unit, .. } in all {
        let name = name.replace([',', '\n', '\r'], " ");
        match unit.as_str() {
            "" => write!(to, "{name},Timestamp(ms),")?,
            unit => write!(to, "{name}({}),Timestamp(ms),", unit.replace([',', '\n'], " "))?,
        }
    }
    writeln!(to)?;
    let all: Vec<_> = all.iter().map(|series| texts(&series.samples)).collect();
    let longest = all.iter().map(Vec::len).max().unwrap_or(0);
    for row in 0..=longest {
        for samples in &all {
            match samples.get(row) {
                Some((at, value, _)) => write!(to, "{value},{},", millis(*at))?,
                None => write!(to, ",,")?,
            }
        }
        writeln!(to)?;
    }
    to.flush()
}
