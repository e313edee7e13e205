//! How well a segmenter keeps the rate that it is asked for.
//!
//! ```text
//!  segmenter at R Gb/s ──loopback──▶ socket: arrival time by the kernel, length
//!                                      └─▶ R over all, and in the worst 10 ms
//! ```
//!
//! On the loopback interface a datagram arrives in the system call that sends
//! it, so that the kernel's arrival time is the time it left.
//!
//! | module | holds |
//! |---|---|
//! | [`arrivals`] | when which bytes arrived |
//! | [`windows`] | what the rate was, over all and in the worst window |
#![forbid(unsafe_code)]

mod arrivals;
mod windows;

use std::{
    io::Write,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Parser;
use xdpsar::{EventOptions, Segmenter};
use xdpsar_bench::machine;

use crate::{arrivals::Arrivals, windows::Kept};

/// Event bytes: many datagrams, and many events in the shortest run.
const EVENT: usize = 20_000;
/// As the segmenter has it when nobody says otherwise.
const BURST: Duration = Duration::from_micros(400);
const WINDOW: Duration = Duration::from_millis(10);

/// Measures the rate of a paced segmenter on the loopback interface: over
/// all, and in the worst 10 ms.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Rates in Gb/s of IP datagrams.
    #[arg(long, value_delimiter = ',', default_value = "0.01,0.03,0.1,0.3,1,3")]
    rates: Vec<f64>,
    /// Seconds for each rate and way to send.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Repetitions; the table shows the one that the hypervisor disturbed
    /// least, of several the median by error.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Largest IP datagram.
    #[arg(long, default_value_t = 1500)]
    mtu: u32,
    /// Writes every run there, as CSV.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Writes what was sent in each 10 ms there, as CSV.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The caller's thread.
    Caller,
    /// Two workers, together at the rate.
    Workers,
}

impl Way {
    const ALL: [Self; 2] = [Self::Caller, Self::Workers];

    const fn name(self) -> &'static str {
        match self {
            Self::Caller => "send",
            Self::Workers => "submit, 2 workers",
        }
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut plot = arguments.plot.as_ref().map(std::fs::File::create).transpose()?;
    if let Some(plot) = &mut plot {
        writeln!(plot, "way,asked_gbps,window,gbps")?;
    }
    let mut csv = arguments.csv.as_ref().map(std::fs::File::create).transpose()?;
    if let Some(csv) = &mut csv {
        writeln!(
            csv,
            "way,asked_gbps,achieved_gbps,error,worst_10ms_over_rate,worst_10ms_over_bucket,lost,\
             latest_wake_up_us,stolen_ms"
        )?;
    }
    println!(
        "| asked Gb/s | by | achieved | error | worst 10 ms over rate | over bucket | lost | \
         latest wake-up | stolen |\n|---|---|---|---|---|---|---|---|---|"
    );
    for &asked in &arguments.rates {
        for way in Way::ALL {
            let mut runs: Vec<Run> = (0..arguments.repeats.max(1))
                .map(|_| measure(&arguments, asked, way))
                .collect::<anyhow::Result<_>>()?;
            for run in &runs {
                if let Some(csv) = &mut csv {
                    writeln!(csv, "{}", run.line(asked, way))?;
                }
            }
            let least = runs.iter().map(|run| run.stolen).min();
            runs.retain(|run| Some(run.stolen) == least);
            runs.sort_by(|a, b| a.kept.error.abs().total_cmp(&b.kept.error.abs()));
            let run = &runs[runs.len() / 2];
            println!("{}", run.row(asked, way));
            for (index, gbps) in run.kept.windows.iter().enumerate() {
                if let Some(plot) = &mut plot {
                    writeln!(plot, "{},{asked},{index},{gbps}", way.name().replace(',', ""))?;
                }
            }
        }
    }
    println!(
        "\nOf {} runs of {} s at MTU {} the one that the hypervisor took the least time from \
         (stolen, of both cores); the bucket: the rate for 10 ms, a burst of {BURST:?} and one \
         datagram. Loopback, {}. `make bench-pacing`",
        arguments.repeats,
        arguments.seconds,
        arguments.mtu,
        machine::description(),
    );
    Ok(())
}

/// One run.
struct Run {
    kept: Kept,
    lost: u64,
    sent: u64,
    lag_us: f64,
    /// Ticks of 10 ms.
    stolen: u64,
}

impl Run {
    fn row(&self, asked: f64, way: Way) -> String {
        let Kept { achieved, error, over_rate, over_bucket, .. } = self.kept;
        format!(
            "| {asked} | {} | {achieved:.5} | {:+.3} % | {:+.2} % | {:+.2} % | {:.2} % | {:.0} µs | {} ms |",
            way.name(),
            error * 100.0,
            over_rate * 100.0,
            over_bucket * 100.0,
            self.lost as f64 / self.sent as f64 * 100.0,
            self.lag_us,
            self.stolen * 10,
        )
    }

    /// For plots.
    fn line(&self, asked: f64, way: Way) -> String {
        let Kept { achieved, error, over_rate, over_bucket, .. } = self.kept;
        format!(
            "{},{asked},{achieved:.6},{error:.6},{over_rate:.6},{over_bucket:.6},{:.6},{:.0},{}",
            way.name().replace(',', ""),
            self.lost as f64 / self.sent as f64,
            self.lag_us,
            self.stolen * 10,
        )
    }
}

fn measure(arguments: &Arguments, asked: f64, way: Way) -> anyhow::Result<Run> {
    let arrivals = Arrivals::open().context("a socket that tells arrival times")?;
    let mut segmenter = Segmenter::builder(arrivals.address())
        .mtu(arguments.mtu)
        .rate_gbps(asked)
        .workers(2)
        .queue(16)
        .open()?;
    let recorder = std::thread::spawn(move || arrivals.record());
    let event = vec![0x5a; EVENT];
    let shared = bytes::Bytes::from(event.clone());
    let stolen = machine::stolen();
    let until = Instant::now() + Duration::from_secs_f64(arguments.seconds);
    while Instant::now() < until {
        match way {
            Way::Caller => {
                segmenter.send(&event)?;
            }
            Way::Workers => {
                let told = |_| {};
                segmenter.submit_with(shared.clone(), EventOptions::default(), told)?;
            }
        }
    }
    let stats = segmenter.stop(Duration::from_secs(10)).stats;
    let stolen = machine::stolen() - stolen;
    let arrived = recorder.join().ok().context("the recorder ended")??;
    let kept = windows::judge(&arrived, asked, arguments.mtu).context("too few datagrams")?;
    let lost = stats.fragments.saturating_sub(arrived.len() as u64);
    Ok(Run { kept, lost, sent: stats.fragments, lag_us: stats.pacing_lag_us, stolen })
}
