//! Reports for people.

use std::fmt::Write;

use xdpsar::{Dropped, EventsLost, RegistrationStatus, Stats};

use super::{
    Report,
    record::{Arrived, Failed, Lost, Mismatched, Ready, RecvSummary, Tick},
};
use crate::{
    manifest::name::show,
    sink::{Restored, Unrestored},
    units::{per_second, show_bytes, show_count},
};

impl Report for Ready<'_> {
    fn human(&self) -> Option<String> {
        let ports = match self.ports {
            1 => String::new(),
            n => format!(" and {} more ports", n - 1),
        };
        let mut text = format!(
            "ready: {}{ports}, {} worker(s)\n  {} ({}): {}",
            self.listen, self.workers, self.backend, self.reason, self.detail
        );
        if let Some(registration) = &self.registration {
            let RegistrationStatus { session_id, lb_id, address, .. } = registration;
            let _ = write!(
                text,
                "\n  worker of load balancer {}: session {}, at {address}",
                show(lb_id.as_bytes()),
                show(session_id.as_bytes())
            );
        }
        for warning in self.warnings {
            let _ = write!(text, "\n  warning: {warning}");
        }
        Some(text)
    }
}

impl Report for Tick<'_> {
    fn human(&self) -> Option<String> {
        Some(format!("{:7.1} s  {}", self.stats.elapsed_s, self.line()))
    }
}

impl Tick<'_> {
    /// The report without its time, as a progress bar shows it.
    pub(crate) fn line(&self) -> String {
        let stats = self.stats;
        format!(
            "{} events  {:.2} Gb/s  {:.0} events/s  lost {}  dropped {}  kernel drops {}  in progress {}",
            show_count(self.delivered),
            self.gbps,
            self.events_per_s,
            show_count(stats.events_lost.total()),
            show_count(stats.dropped.total()),
            show_count(stats.kernel_drops),
            show_count(stats.in_progress),
        ) + &self.registration.as_ref().map(standing).unwrap_or_default()
    }
}

/// How it stands with the load balancer, at a line's end.
fn standing(registration: &RegistrationStatus) -> String {
    let RegistrationStatus { state, fill, errors_in_a_row, last_error, .. } = registration;
    let mut text = format!("  {state}, {:.0} % full", fill * 100.0);
    if let Some(error) = last_error.as_ref().filter(|_| *errors_in_a_row > 0) {
        let _ = write!(text, ", {errors_in_a_row} failures: {error}");
    }
    text
}

impl Report for Arrived {
    fn human(&self) -> Option<String> {
        Some(format!(
            "event {} data id {}: {} in {} fragment(s), lane {}, worker {}",
            self.event_number,
            self.data_id,
            show_bytes(self.bytes as u64),
            self.fragments,
            self.lane,
            self.worker
        ))
    }
}

impl Report for Lost {
    fn human(&self) -> Option<String> {
        // A person reads the causes in the summary; a flood of these would
        // hide it.
        None
    }
}

impl Report for Mismatched {
    fn human(&self) -> Option<String> {
        Some(format!(
            "event {} data id {} ({} bytes) is wrong: byte {} is 0x{:02x} instead of 0x{:02x}",
            self.event_number, self.data_id, self.bytes, self.offset, self.found, self.expected
        ))
    }
}

impl Report for Unrestored {
    fn human(&self) -> Option<String> {
        let Self { name, cause, detail, .. } = self;
        Some(match name.as_str() {
            "" => format!("{cause}: {detail}"),
            name => format!("{cause}: {name}: {detail}"),
        })
    }
}

impl Report for RecvSummary<'_> {
    fn human(&self) -> Option<String> {
        let stats = self.stats;
        let mut text = format!(
            "received {} events, {} in {:.2} s: {:.2} Gb/s, {:.0} events/s",
            show_count(self.delivered),
            show_bytes(self.delivered_bytes),
            stats.elapsed_s,
            self.gbps,
            per_second(self.delivered, self.active_s),
        );
        let mut row = |name: &str, value: String| {
            let _ = write!(text, "\n  {name:<14} {value}");
        };
        if let Some(verified) = self.verified {
            row(
                "verified",
                format!(
                    "{} events, {}; wrong: {}",
                    show_count(verified.events),
                    show_bytes(verified.bytes),
                    show_count(verified.mismatched)
                ),
            );
        }
        if let Some(restored) = &self.restored {
            row("restored", files(restored));
            row("not restored", not_restored(restored));
        }
        if self.not_delivered > 0 {
            row("not delivered", show_count(self.not_delivered));
        }
        row("lost", lost(&stats.events_lost));
        row(
            "datagrams",
            format!(
                "{} ({} fragments, {} duplicates, {} late)",
                show_count(stats.datagrams),
                show_count(stats.fragments),
                show_count(stats.duplicates),
                show_count(stats.late)
            ),
        );
        row("dropped", dropped(&stats.dropped));
        row("kernel drops", show_count(stats.kernel_drops));
        if let Some(registration) = &self.registration {
            let RegistrationStatus { state, states_sent, errors, registrations, .. } = registration;
            row(
                "load balancer",
                format!(
                    "{state}; {} states sent, {} failures, registered {registrations} time(s)",
                    show_count(*states_sent),
                    show_count(*errors),
                ),
            );
        }
        row("processor", format!("{:.2} s", self.cpu_s));
        let _ = write!(text, "{}", workers(stats));
        Some(text)
    }
}

/// `0`, or a total with its causes.
pub(super) fn causes<const N: usize>(total: u64, named: [(&str, u64); N]) -> String {
    let named: Vec<_> = named
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name} {}", show_count(*count)))
        .collect();
    if named.is_empty() {
        show_count(total)
    } else {
        format!("{} ({})", show_count(total), named.join(", "))
    }
}

fn files(restored: &Restored) -> String {
    let mut text = format!(
        "{} files, {} (sets {}",
        show_count(restored.files),
        show_bytes(restored.bytes),
        show_count(restored.sets)
    );
    for (name, count) in [
        ("under another name", restored.renamed),
        ("events that no manifest names", restored.unlisted),
        ("manifest parts that came again", restored.parts_repeated),
    ] {
        if count > 0 {
            let _ = write!(text, ", {name} {}", show_count(count));
        }
    }
    text + ")"
}

fn not_restored(restored: &Restored) -> String {
    if restored.sets + restored.parts_refused == 0 {
        return "all: no manifest came".into();
    }
    let named = [
        ("missing", restored.missing),
        ("other bytes", restored.mismatched),
        ("refused", restored.refused),
        ("failed", restored.failed),
        ("manifests incomplete", restored.sets_incomplete),
        ("manifest parts refused", restored.parts_refused),
    ];
    causes(named[..4].iter().map(|(_, count)| count).sum(), named)
}

fn lost(lost: &EventsLost) -> String {
    causes(
        lost.total(),
        [
            ("timeout", lost.timeout),
            ("lifetime", lost.lifetime),
            ("budget", lost.budget),
            ("evicted", lost.evicted),
            ("overflow", lost.overflow),
            ("stopped", lost.stopped),
        ],
    )
}

fn dropped(dropped: &Dropped) -> String {
    causes(
        dropped.total(),
        [
            ("short", dropped.short),
            ("bad LB header", dropped.bad_lb_header),
            ("bad RE header", dropped.bad_re_header),
            ("no entropy", dropped.no_entropy),
            ("out of range", dropped.out_of_range),
            ("length mismatch", dropped.length_mismatch),
            ("truncated", dropped.truncated),
            ("oversized", dropped.oversized),
            ("bad checksum", dropped.bad_checksum),
            ("bad frame", dropped.bad_frame),
            ("over budget", dropped.over_budget),
            ("too scattered", dropped.too_scattered),
            ("header only", dropped.header_only),
        ],
    )
}

/// One line per worker, with a title; nothing if there is only one.
pub(crate) fn workers(stats: &Stats) -> String {
    let mut text = String::new();
    if stats.workers.len() > 1 {
        for worker in &stats.workers {
            let _ = write!(
                text,
                "\n  worker {:<7} {} events, {}, {} datagrams ({})",
                worker.worker,
                show_count(worker.events),
                show_bytes(worker.bytes),
                show_count(worker.datagrams),
                worker.source
            );
        }
    }
    text
}

impl Report for Failed {
    fn human(&self) -> Option<String> {
        let mut text = format!("error: {}", self.message);
        for cause in &self.causes {
            // The message often ends with its own cause already.
            if !self.message.contains(cause.as_str()) {
                let _ = write!(text, "\n  caused by: {cause}");
            }
        }
        Some(text)
    }
}
