//! What the demo shows, and its verdict.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

use super::{
    message::{Received, Sent},
    mix::LARGEST,
};
use crate::{
    output::Report,
    status::Status,
    units::{gbps, per_second, show_bytes, show_count},
};

/// `ready`: both sides are set up.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "ready")]
pub(super) struct Started<'a> {
    /// `xdp` or `socket`.
    pub(super) backend: &'a str,
    pub(super) reason: &'a str,
    pub(super) detail: &'a str,
    /// Each side in a network namespace of its own.
    pub(super) namespaces: bool,
    pub(super) events: u64,
    pub(super) workers: usize,
    pub(super) mtu: u32,
}

impl Report for Started<'_> {
    fn human(&self) -> Option<String> {
        let path = match self.backend {
            "xdp" => "XDP → AF_XDP → reassembly",
            _ => "kernel sockets → reassembly",
        };
        let place = if self.namespaces {
            "a veth pair between two private network namespaces"
        } else {
            "loopback"
        };
        Some(format!(
            "{path}, over {place}\n  \
             because    {}\n  \
             receiver   {}\n  \
             events     {}, 0 B to {}, MTU {}",
            self.reason,
            self.detail,
            show_count(self.events),
            show_bytes(LARGEST as u64),
            self.mtu
        ))
    }
}

/// `summary`: what was sent, what came, and whether that is the same.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "summary")]
pub(super) struct Verdict<'a> {
    /// Exit status.
    status: u8,
    backend: &'a str,
    /// Events asked for.
    events: u64,
    #[serde(flatten)]
    sent: SentPart,
    /// Most datagrams on the way at any time: the closed loop's window.
    window: u64,
    verified: u64,
    verified_bytes: u64,
    missing: u64,
    repeated: u64,
    wrong: u64,
    first_wrong: Option<&'a str>,
    pings_sent: Option<u64>,
    pings_answered: Option<u64>,
    active_s: f64,
    gbps: f64,
    events_per_s: f64,
    /// The receiver's statistics.
    receiver: &'a Value,
    #[serde(skip)]
    stalled: bool,
}

/// The sender's part.
#[derive(Debug, Serialize)]
struct SentPart {
    sent: u64,
    sent_bytes: u64,
    sent_datagrams: u64,
}

impl<'a> Verdict<'a> {
    pub(super) fn new(events: u64, backend: &'a str, sent: Sent, received: &'a Received) -> Self {
        let good = sent.events == events
            && received.verified == events
            && received.wrong == 0
            && received.repeated == 0
            && received.clean
            && sent.pings.is_none_or(|(sent, answered)| sent == answered);
        let status = if good { Status::Good } else { Status::Lossy };
        Self {
            status: status as u8,
            backend,
            events,
            sent: SentPart {
                sent: sent.events,
                sent_bytes: sent.bytes,
                sent_datagrams: sent.datagrams,
            },
            window: sent.window,
            verified: received.verified,
            verified_bytes: received.verified_bytes,
            missing: received.missing,
            repeated: received.repeated,
            wrong: received.wrong,
            first_wrong: received.first_wrong.as_deref(),
            pings_sent: sent.pings.map(|(sent, _)| sent),
            pings_answered: sent.pings.map(|(_, answered)| answered),
            active_s: received.active_s,
            gbps: gbps(received.verified_bytes, received.active_s),
            events_per_s: per_second(received.verified, received.active_s),
            receiver: &received.stats,
            stalled: sent.stalled,
        }
    }

    pub(super) fn status(&self) -> Status {
        if self.status == Status::Good as u8 { Status::Good } else { Status::Lossy }
    }

    /// A number in the receiver's statistics.
    fn stat(&self, pointer: &str) -> u64 {
        self.receiver.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
    }

    /// The sum of an object of numbers in the receiver's statistics.
    fn sum(&self, pointer: &str) -> u64 {
        self.receiver
            .pointer(pointer)
            .and_then(Value::as_object)
            .map_or(0, |causes| causes.values().filter_map(Value::as_u64).sum())
    }

    fn workers(&self, text: &mut String) {
        let _ = write!(
            text,
            "\n  {:>6} {:>10} {:>10} {:>10} {:>12}  source",
            "worker", "datagrams", "events", "bytes", "kernel drops"
        );
        let workers = self.receiver.pointer("/workers").and_then(Value::as_array);
        for worker in workers.into_iter().flatten() {
            let number = |name: &str| worker.get(name).and_then(Value::as_u64).unwrap_or(0);
            let _ = write!(
                text,
                "\n  {:>6} {:>10} {:>10} {:>10} {:>12}  {}",
                number("worker"),
                show_count(number("datagrams")),
                show_count(number("events")),
                show_bytes(number("bytes")),
                show_count(number("kernel_drops")),
                worker.get("source").and_then(Value::as_str).unwrap_or("")
            );
        }
    }

    fn program(&self) -> Option<String> {
        let counters = self.receiver.pointer("/program")?.as_object()?;
        let counters: Vec<_> = counters
            .iter()
            .filter_map(|(name, count)| Some((name, count.as_u64()?)))
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{name} {}", show_count(count)))
            .collect();
        Some(counters.join(", "))
    }
}

impl Report for Verdict<'_> {
    fn human(&self) -> Option<String> {
        let mut text = String::new();
        self.workers(&mut text);
        text.push('\n');
        let mut row = |name: &str, value: String| {
            let _ = write!(text, "\n  {name:<10} {value}");
        };
        row(
            "sent",
            format!(
                "{} events, {} in {} datagrams, at most {} of them on the way at a time",
                show_count(self.sent.sent),
                show_bytes(self.sent.sent_bytes),
                show_count(self.sent.sent_datagrams),
                self.window
            ),
        );
        if self.stalled {
            row("stalled", "the receiver stopped acknowledging; the rest was not sent".into());
        }
        row(
            "verified",
            format!(
                "{} of {} events, {}, byte by byte",
                show_count(self.verified),
                show_count(self.events),
                show_bytes(self.verified_bytes)
            ),
        );
        row(
            "amiss",
            format!(
                "lost {}, dropped {}, kernel drops {}, missing {}, repeated {}, wrong {}",
                self.sum("/events_lost"),
                self.sum("/dropped"),
                self.stat("/kernel_drops"),
                self.missing,
                self.repeated,
                self.wrong
            ),
        );
        if let Some(wrong) = self.first_wrong {
            row("", format!("first wrong: {wrong}"));
        }
        row(
            "speed",
            format!(
                "{:.2} Gb/s, {} events/s for {:.2} s (no benchmark: the sender waits for the receiver)",
                self.gbps,
                show_count(self.events_per_s as u64),
                self.active_s
            ),
        );
        match (self.pings_sent, self.pings_answered) {
            (Some(sent), Some(answered)) => row(
                "others",
                format!("{answered} of {sent} pings answered past the XDP program meanwhile"),
            ),
            _ if self.backend == "xdp" => {
                row("others", "not checked: there is no ping command here".into());
            }
            _ => {}
        }
        if let Some(program) = self.program() {
            row("program", program);
        }
        text.push_str(match self.status() {
            Status::Good => "\n\nAll good: every event came once, whole, and right.",
            _ => "\n\nNOT GOOD: see above.",
        });
        Some(text)
    }
}
