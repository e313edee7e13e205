//! A load balancer live: its workers, with rates since the sample before.

use std::{collections::HashMap, fmt::Write, time::SystemTime};

use serde::Serialize;
use xdpsar::load_balancer::{self as lb, Counters, WorkerStatus};

use super::{
    reservation::called,
    status::{State, age, percent, place, share},
};
use crate::{
    manifest::name::show,
    moment,
    output::{
        Report,
        table::{Side, Table},
    },
    units::{gbps, per_second, show_count},
};

/// A worker that said nothing for so long has no rates, and no slots.
const STALE_S: f64 = 2.0;
/// Characters of a bar.
const BAR: usize = 20;

/// How fast a worker counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Rates {
    /// Events put together.
    pub(crate) events_per_s: f64,
    /// Of what arrived.
    pub(crate) gbps: f64,
    pub(crate) packets_per_s: f64,
    /// Events that could not be put together, or found no room.
    pub(crate) errors_per_s: f64,
}

/// What was counted in the sample before, worker by worker.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    before: HashMap<(String, String), Before>,
}

#[derive(Debug)]
struct Before {
    at: SystemTime,
    counters: Counters,
    rates: Option<Rates>,
}

impl Memory {
    /// Rates of a status' workers, in their order. Workers that are gone
    /// are forgotten.
    pub(crate) fn rates(&mut self, lb_id: &str, status: &lb::Status) -> Vec<Option<Rates>> {
        let key = |worker: &WorkerStatus| {
            let session = worker.session.map_or_else(|| worker.name.clone(), |id| id.to_string());
            (lb_id.to_owned(), session)
        };
        let keys: Vec<_> = status.workers.iter().map(key).collect();
        self.before.retain(|key, _| key.0 != lb_id || keys.contains(key));
        let rates = status.workers.iter().zip(keys).map(|(worker, key)| {
            let at = worker.last_updated?;
            let before = self.before.get(&key);
            let rates = match before {
                Some(before) if before.at == at => before.rates,
                Some(before) => since(before, at, &worker.counters),
                None => None,
            };
            self.before.insert(key, Before { at, counters: worker.counters, rates });
            let quiet = status.at.and_then(|now| now.duration_since(at).ok());
            rates.filter(|_| quiet.is_none_or(|quiet| quiet.as_secs_f64() <= STALE_S))
        });
        rates.collect()
    }
}

/// None if the worker began anew in between.
fn since(before: &Before, at: SystemTime, now: &Counters) -> Option<Rates> {
    let seconds = at.duration_since(before.at).ok()?.as_secs_f64();
    let before = &before.counters;
    let errors = |counters: &Counters| counters.reassembly_errors + counters.enqueue_errors;
    let rate = |now: u64, before: u64| Some(per_second(now.checked_sub(before)?, seconds));
    Some(Rates {
        events_per_s: rate(now.events_reassembled, before.events_reassembled)?,
        gbps: gbps(now.bytes_received.checked_sub(before.bytes_received)?, seconds),
        packets_per_s: rate(now.packets_received, before.packets_received)?,
        errors_per_s: rate(errors(now), errors(before))?,
    })
}

/// `monitor`: as `status`, with rates.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "monitor")]
pub(crate) struct Watched<'a> {
    lb_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(flatten)]
    state: State<'a>,
}

impl<'a> Watched<'a> {
    pub(crate) fn new(
        lb_id: &'a str,
        name: &'a str,
        status: &'a lb::Status,
        rates: &[Option<Rates>],
    ) -> Self {
        let mut state = State::from(status);
        for (worker, rates) in state.workers.iter_mut().zip(rates) {
            worker.rates = *rates;
        }
        Self { lb_id, name, state }
    }

    fn workers(&self) -> String {
        use Side::{Left, Right};
        let mut table = Table::new([
            ("worker", Left),
            ("address", Left),
            ("slots", Right),
            ("fill", Left),
            ("signal", Right),
            ("state", Right),
            ("events/s", Right),
            ("Gb/s", Right),
            ("packets/s", Right),
            ("errors/s", Right),
        ]);
        let count = |rate: f64| show_count(rate.round() as u64);
        let rates = |rates: Option<Rates>| match rates {
            Some(rates) => [
                count(rates.events_per_s),
                format!("{:.3}", rates.gbps),
                count(rates.packets_per_s),
                count(rates.errors_per_s),
            ],
            None => [const { String::new() }; 4],
        };
        let mut total = Rates::default();
        for worker in &self.state.workers {
            let one = worker.rates.unwrap_or_default();
            total.events_per_s += one.events_per_s;
            total.gbps += one.gbps;
            total.packets_per_s += one.packets_per_s;
            total.errors_per_s += one.errors_per_s;
            let [events, gbps, packets, errors] = rates(worker.rates);
            table.row([
                worker.name.into(),
                place(worker.address, worker.port),
                share(worker.slots_assigned, self.state.slots),
                bar(worker.fill),
                format!("{:+.2}", worker.control_signal),
                age(worker.last_updated, self.state.at),
                events,
                gbps,
                packets,
                errors,
            ]);
        }
        if table.is_empty() {
            return "  no workers".into();
        }
        if self.state.workers.len() > 1 {
            let [events, gbps, packets, errors] = rates(Some(total));
            let none = String::new;
            table.row([
                "all".into(),
                none(),
                none(),
                none(),
                none(),
                none(),
                events,
                gbps,
                packets,
                errors,
            ]);
        }
        table.to_string()
    }
}

/// `[########............]  40 %`
fn bar(fill: f32) -> String {
    // What is no number is empty.
    let full = ((fill.clamp(0.0, 1.0) * BAR as f32).round() as usize).min(BAR);
    format!("[{}{}] {:>5}", "#".repeat(full), ".".repeat(BAR - full), percent(fill))
}

impl Report for Watched<'_> {
    fn human(&self) -> Option<String> {
        let state = &self.state;
        let now = state.at.map_or_else(SystemTime::now, |at| at.0);
        let id = show(self.lb_id.as_bytes());
        let mut text = format!("{}  load balancer {id}{}", moment::show(now), called(self.name));
        let _ = write!(text, "  epoch {}  senders {}", state.epoch, state.senders.len());
        if let Some(end) = state.expires_at {
            let _ = write!(text, "  ends {}", moment::until(end.0, now));
        }
        let _ = write!(text, "{}\n{}", state.warnings(), self.workers());
        Some(text)
    }
}

/// `missed`: a sample that could not be taken.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "missed")]
pub(crate) struct Missed<'a> {
    pub(crate) asked: &'a str,
    pub(crate) found: &'a str,
    pub(crate) remedy: &'a str,
}

impl Report for Missed<'_> {
    fn human(&self) -> Option<String> {
        let Self { asked, found, .. } = self;
        let now = moment::show(SystemTime::now());
        Some(format!("{now}  {}", show(format!("{asked}: {found}").as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn counted(events: u64, bytes: u64) -> Counters {
        Counters { events_reassembled: events, bytes_received: bytes, ..Counters::default() }
    }

    #[test]
    fn rates_are_taken_by_the_workers_own_times() {
        let at = SystemTime::UNIX_EPOCH;
        let before = Before { at, counters: counted(100, 0), rates: None };
        let later = at + Duration::from_secs(2);
        let rates = since(&before, later, &counted(300, 250_000_000)).unwrap();
        assert_eq!(rates.events_per_s, 100.0);
        assert!((rates.gbps - 1.0).abs() < 1e-9, "{rates:?}");
        assert_eq!(rates.errors_per_s, 0.0);
    }

    #[test]
    fn a_worker_that_began_anew_has_none() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(9);
        let before = Before { at, counters: counted(100, 9), rates: None };
        let later = at + Duration::from_secs(1);
        assert_eq!(since(&before, later, &counted(99, 9)), None);
        assert_eq!(since(&before, at - Duration::from_secs(1), &counted(101, 9)), None);
    }

    #[test]
    fn bars() {
        assert_eq!(bar(0.4), "[########............]  40 %");
        assert_eq!(bar(1.0), "[####################] 100 %");
        assert_eq!(bar(7.0), "[####################] 700 %");
        assert_eq!(bar(f32::NAN), "[....................] NaN %");
    }
}
