//! What `send` has to tell, as JSON and for people.

use std::{fmt::Write, net::SocketAddr, path::Path};

use serde::Serialize;
use xdpsar::{AdmissionState, AdmissionStatus, Segmenter, SegmenterStats};

use super::{Report, human::causes};
use crate::{
    args::send::SendArgs,
    manifest::name,
    units::{show_bytes, show_count},
};

/// `ready`: everything is open, the first event is about to leave.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "ready")]
pub(crate) struct SendReady<'a> {
    /// `gso`, `mmsg` or `xdp`.
    backend: String,
    reason: &'a str,
    to: String,
    ports: u16,
    /// Threads besides the one that has the events.
    workers: usize,
    sockets: usize,
    /// Largest IP datagram.
    mtu: u32,
    /// Event bytes in one datagram.
    max_payload: usize,
    /// Bytes of the smallest send buffer that the system granted.
    send_buffer: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_gbps: Option<f64>,
    /// Whether the kernel spaces datagrams as well; only if that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel_pacing: Option<KernelPacing<'a>>,
    /// Only with a load balancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    admission: Option<AdmissionStatus>,
}

#[derive(Debug, Serialize)]
struct KernelPacing<'a> {
    is_kept: bool,
    reason: &'a str,
}

impl<'a> SendReady<'a> {
    pub(crate) fn new(args: &SendArgs, to: SocketAddr, segmenter: &'a Segmenter) -> Self {
        let workers = match (args.workers, &args.cores) {
            (Some(workers), _) => workers,
            (None, Some(cores)) => cores.0.len(),
            (None, None) => 0,
        };
        Self {
            backend: segmenter.backend().to_string(),
            reason: segmenter.reason(),
            to: to.to_string(),
            ports: args.ports,
            workers,
            sockets: args.sockets,
            mtu: segmenter.mtu(),
            max_payload: segmenter.max_payload(),
            send_buffer: segmenter.send_buffer(),
            rate_gbps: args.rate,
            kernel_pacing: segmenter
                .kernel_pacing()
                .map(|kernel| KernelPacing { is_kept: kernel.is_kept, reason: &kernel.reason }),
            admission: segmenter.admission(),
        }
    }
}

impl Report for SendReady<'_> {
    fn human(&self) -> Option<String> {
        let ports = match self.ports {
            1 => String::new(),
            n => format!(" and {} more ports", n - 1),
        };
        let workers = match self.workers {
            0 => String::new(),
            n => format!(", {n} worker(s)"),
        };
        let rate = self.rate_gbps.map(|rate| format!(", {rate} Gb/s")).unwrap_or_default();
        let mut text = format!(
            "ready: to {}{ports}{workers}, MTU {}{rate}\n  {}: {}",
            self.to, self.mtu, self.backend, self.reason
        );
        if let Some(kernel) = &self.kernel_pacing {
            let is_kept = if kernel.is_kept { "kept" } else { "not kept" };
            let _ = write!(text, "\n  rate {is_kept} by the kernel: {}", kernel.reason);
        }
        if let Some(admission) = &self.admission {
            let _ = write!(text, "\n  {}", let_in(admission));
        }
        Some(text)
    }
}

/// Whom a load balancer lets in, or no longer.
fn let_in(admission: &AdmissionStatus) -> String {
    let AdmissionStatus { lb_id, addresses, state, last_error, .. } = admission;
    let from: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let from = from.join(" ");
    let lb_id = name::show(lb_id.as_bytes());
    match (state, last_error) {
        (AdmissionState::Admitted, _) => format!("load balancer {lb_id} lets {from} in"),
        (AdmissionState::Removed, _) => format!("load balancer {lb_id} lets {from} in no longer"),
        (AdmissionState::Kept, _) => format!("load balancer {lb_id} still lets {from} in"),
        (AdmissionState::LeftBehind, error) => {
            let why = error.as_deref().unwrap_or("it did not answer");
            format!("load balancer {lb_id} still lets {from} in: {why}")
        }
    }
}

/// `skipped`: a directory entry that is not sent.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "skipped")]
pub(crate) struct Skipped {
    pub(crate) path: String,
    /// What it is instead of a file.
    pub(crate) reason: String,
}

impl Skipped {
    pub(crate) fn new(path: &Path, reason: &str) -> Self {
        Self { path: path.display().to_string(), reason: reason.into() }
    }
}

impl Report for Skipped {
    fn human(&self) -> Option<String> {
        Some(format!("skipped: {} is {}", name::show(self.path.as_bytes()), self.reason))
    }
}

/// `stats`: totals so far, and rates since the last one.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "stats")]
pub(crate) struct Sending<'a> {
    pub(crate) elapsed_s: f64,
    /// Event bits a second.
    pub(crate) gbps: f64,
    pub(crate) events_per_s: f64,
    #[serde(flatten)]
    pub(crate) stats: &'a SegmenterStats,
}

impl Sending<'_> {
    /// The report without its time, as a progress bar shows it.
    pub(crate) fn line(&self) -> String {
        let stats = self.stats;
        format!(
            "{} events  {}  {:.2} Gb/s  {:.0} events/s  failed {}  retried {}  refused {}",
            show_count(stats.events_sent),
            show_bytes(stats.bytes),
            self.gbps,
            self.events_per_s,
            show_count(stats.events_failed),
            show_count(stats.retried_full + stats.retried_no_buffers),
            show_count(stats.refused),
        )
    }
}

impl Report for Sending<'_> {
    fn human(&self) -> Option<String> {
        Some(format!("{:7.1} s  {}", self.elapsed_s, self.line()))
    }
}

/// `summary` of `send`.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "summary")]
pub(crate) struct SendSummary {
    /// Exit status.
    pub(crate) status: u8,
    pub(crate) elapsed_s: f64,
    /// Event bits a second.
    pub(crate) gbps: f64,
    pub(crate) events_per_s: f64,
    /// Processor time of this process, the kernel's share included.
    pub(crate) cpu_s: f64,
    /// How datagrams were handed to the system in the end.
    pub(crate) backend: String,
    /// Largest IP datagram.
    pub(crate) mtu: u32,
    /// Files that somebody wrote to while they were sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) changed: Vec<String>,
    #[serde(flatten)]
    pub(crate) stats: SegmenterStats,
}

impl Report for SendSummary {
    fn human(&self) -> Option<String> {
        let stats = &self.stats;
        let mut text = format!(
            "sent {} events, {} in {:.2} s: {:.2} Gb/s, {:.0} events/s",
            show_count(stats.events_sent),
            show_bytes(stats.bytes),
            self.elapsed_s,
            self.gbps,
            self.events_per_s,
        );
        let mut row = |name: &str, value: String| {
            let _ = write!(text, "\n  {name:<14} {value}");
        };
        let fragments = |count: u64| match count {
            0 => String::new(),
            n => format!(", {} datagrams with them", show_count(n)),
        };
        row(
            "not sent",
            format!(
                "{} failed, {} cut off by the stop{}",
                show_count(stats.events_failed),
                show_count(stats.events_dropped),
                fragments(stats.fragments_failed),
            ),
        );
        row(
            "datagrams",
            format!(
                "{} (MTU {}) in {} system calls by {}",
                show_count(stats.fragments),
                self.mtu,
                show_count(stats.syscalls),
                self.backend,
            ),
        );
        row(
            "retried",
            causes(
                stats.retried_full + stats.retried_no_buffers,
                [
                    ("send buffer full", stats.retried_full),
                    ("interface queue full", stats.retried_no_buffers),
                ],
            ),
        );
        row(
            "answered",
            causes(
                stats.refused + stats.unreachable,
                [("nobody listens", stats.refused), ("unreachable", stats.unreachable)],
            ),
        );
        if stats.fragments_dropped > 0 {
            row("dropped", format!("{} by the interface", show_count(stats.fragments_dropped)));
        }
        if let Some(sync) = &stats.sync {
            let last = sync.last_error.as_ref().map(|error| format!(": {error}"));
            row(
                "Sync",
                format!(
                    "{} sent, {} not{}",
                    show_count(sync.sent),
                    show_count(sync.errors),
                    last.unwrap_or_default()
                ),
            );
        }
        if let Some(admission) = &stats.admission {
            row("admission", let_in(admission));
        }
        for path in &self.changed {
            row("changed", format!("{}, while it was sent", name::show(path.as_bytes())));
        }
        row("processor", format!("{:.2} s", self.cpu_s));
        Some(text)
    }
}
