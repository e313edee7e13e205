//! Words and numbers that several commands take.

use std::{path::PathBuf, str::FromStr};

use clap::{Args, ValueEnum};
use xdpsar::LbVersion;

use crate::{payload::Payload, units};

/// `--backend`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    /// AF_XDP where it is the faster one and can be had, else sockets.
    #[default]
    Auto,
    /// AF_XDP or nothing.
    Xdp,
    /// Kernel sockets.
    Socket,
}

impl From<Backend> for xdpsar::Backend {
    fn from(backend: Backend) -> Self {
        match backend {
            Backend::Auto => Self::Auto,
            Backend::Xdp => Self::Xdp,
            Backend::Socket => Self::Socket,
        }
    }
}

/// `--lb-version`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LbHeaderVersion {
    #[default]
    #[value(name = "2")]
    V2,
    #[value(name = "3")]
    V3,
    /// No LB header, as after a load balancer.
    None,
}

impl LbHeaderVersion {
    pub(crate) fn version(self) -> Option<LbVersion> {
        match self {
            Self::V2 => Some(LbVersion::V2),
            Self::V3 => Some(LbVersion::V3),
            Self::None => None,
        }
    }
}

/// `--payload` and what belongs to it.
#[derive(Clone, Debug, Args)]
pub(crate) struct PayloadArgs {
    /// Which bytes the events have.
    #[arg(long, value_enum, default_value_t, value_name = "KIND")]
    pub(crate) payload: PayloadKind,
    /// The file of `--payload file`: its bytes, repeated or cut to each event's length.
    #[arg(long, value_name = "PATH", required_if_eq("payload", "file"))]
    pub(crate) payload_file: Option<PathBuf>,
}

/// Kinds of payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PayloadKind {
    /// Pseudo-random, from event number, data id and length.
    #[default]
    Pattern,
    /// What E2SAR's e2sar_perf sends: a text first, a text last.
    E2sar,
    /// Zeros.
    Zero,
    /// A file's bytes.
    File,
}

impl PayloadArgs {
    /// Makes the payload, reading its file.
    ///
    /// # Errors
    /// The file and what reading it returned.
    pub(crate) fn load(&self) -> Result<Payload, (PathBuf, std::io::Error)> {
        Ok(match (self.payload, &self.payload_file) {
            (PayloadKind::File, Some(path)) => {
                Payload::from_file(path).map_err(|error| (path.clone(), error))?
            }
            (PayloadKind::Zero, _) => Payload::Zero,
            (PayloadKind::E2sar, _) => Payload::E2sar,
            (PayloadKind::Pattern | PayloadKind::File, _) => Payload::Pattern,
        })
    }
}

/// A number of UDP ports or lanes: a power of two up to 16384.
pub(crate) fn power_of_two(text: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(number) if number.is_power_of_two() && number <= 1 << 14 => Ok(number),
        _ => Err(format!("`{text}` is not a power of two from 1 to 16384")),
    }
}

/// A number of things there must be at least one of.
pub(crate) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("`{text}` is not a number above 0")),
    }
}

/// Declares a command-line word for each variant of a library enum.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident => $target:ty { $($(#[$help:meta])* $variant:ident => $value:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
        pub(crate) enum $name { $($(#[$help])* $variant),+ }
        impl From<$name> for $target {
            fn from(word: $name) -> Self {
                match word { $($name::$variant => Self::$value),+ }
            }
        }
    };
}
pub(crate) use words;

/// A rate in Gb/s, above 0.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err(format!("`{text}` is not a rate in Gb/s above 0")),
    }
}

/// A list of cores: `0,2-5`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cores(pub(crate) Vec<usize>);

impl FromStr for Cores {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a list of cores such as 0,2-5");
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: usize = first.trim().parse().map_err(|_| wrong())?;
            let last: usize = last.trim().parse().map_err(|_| wrong())?;
            if first > last || last - first > 4096 {
                return Err(wrong());
            }
            cores.extend(first..=last);
        }
        Ok(Self(cores))
    }
}

/// Event sizes: `1M`, `1k,100k` in turn, or `1k..10M`, drawn anew for each
/// event so that every order of magnitude comes up equally often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sizes(Vec<(u32, u32)>);

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(|part| match part.split_once("..") {
                None => units::bytes32(part).map(|size| (size, size)),
                Some((low, high)) => match (units::bytes32(low)?, units::bytes32(high)?) {
                    (low, high) if low <= high => Ok((low, high)),
                    _ => Err(format!("`{part}` runs backwards")),
                },
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl Sizes {
    /// The size of the `index`th event, the same in every run.
    pub(crate) fn of(&self, index: u64) -> usize {
        let (low, high) = self.0[(index % self.0.len() as u64) as usize];
        if low == high {
            return low as usize;
        }
        let span = (f64::from(high) + 1.0).ln() - (f64::from(low) + 1.0).ln();
        // The fractional part of a multiple of the golden ratio: evenly
        // spread, whichever part of the sequence one looks at.
        let turn = (index / self.0.len() as u64 + 1) as f64;
        let position = (turn * 0.618_033_988_749_894_9).fract();
        let size = ((f64::from(low) + 1.0).ln() + position * span).exp() - 1.0;
        (size as usize).clamp(low as usize, high as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores() {
        assert_eq!("0,2-4".parse(), Ok(Cores(vec![0, 2, 3, 4])));
        assert_eq!("7".parse(), Ok(Cores(vec![7])));
        for text in ["", "a", "3-1", "0,", "0-99999999"] {
            assert!(text.parse::<Cores>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        let sizes: Sizes = "1k,0,2Ki".parse().unwrap();
        assert_eq!((0..4).map(|i| sizes.of(i)).collect::<Vec<_>>(), [1000, 0, 2048, 1000]);
        let sizes: Sizes = "10..1M".parse().unwrap();
        let drawn: Vec<_> = (0..10_000).map(|i| sizes.of(i)).collect();
        assert!(drawn.iter().all(|size| (10..=1_000_000).contains(size)));
        // Five orders of magnitude, about 2000 draws in each.
        for decade in 1..6 {
            let range = 10_usize.pow(decade)..10_usize.pow(decade + 1);
            let hits = drawn.iter().filter(|size| range.contains(size)).count();
            assert!((1700..2300).contains(&hits), "{range:?}: {hits}");
        }
        for text in ["", "1k..", "2k..1k", "1k,,2k", "5G"] {
            assert!(text.parse::<Sizes>().is_err(), "{text}");
        }
    }

    #[test]
    fn ports_and_rates() {
        assert_eq!(power_of_two("16384"), Ok(16384));
        assert!(power_of_two("32768").is_err());
        assert!(power_of_two("12").is_err());
        assert_eq!(rate("0.5"), Ok(0.5));
        for text in ["0", "-1", "inf", "NaN", "x"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
