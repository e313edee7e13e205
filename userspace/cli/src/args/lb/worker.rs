//! Options of what concerns workers.

use std::net::IpAddr;

use clap::{Args, Subcommand};
use xdpsar::load_balancer::SlotRange;

use super::Export;
use crate::args::values::power_of_two;

const SLOTS_HELP: &str = "\
Slots:
  There are 512. `0-63` are the first 64, `128+32` 32 from number 128 on, `+16` 16 wherever there
  is room, and `0-63,+16` two ranges.";

/// Register a worker.
#[derive(Clone, Debug, Args)]
#[command(after_help = SLOTS_HELP)]
pub(crate) struct Register {
    /// Its name. Slots are dealt out in the names' order.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// Where it receives; default: the address by which this host reaches the load balancer's
    /// data address.
    #[arg(long, value_name = "IP")]
    pub(crate) address: Option<IpAddr>,
    /// Its first UDP port.
    #[arg(long, value_name = "PORT")]
    pub(crate) port: u16,
    /// UDP ports from that one on: a power of two.
    #[arg(long, value_name = "N", default_value = "1", value_parser = power_of_two)]
    pub(crate) ports: u16,
    #[command(flatten)]
    pub(crate) share: Share,
    /// It is sent the load balancer's header, too.
    #[arg(long)]
    pub(crate) keep_lb_header: bool,
    #[command(flatten)]
    pub(crate) export: Export,
}

/// How much a worker gets.
#[derive(Clone, Debug, Args)]
pub(crate) struct Share {
    /// Its share, compared with other workers'; above 0 [default: 1].
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    weight: Option<f32>,
    /// Its share is not below this much of an equal one [default: 0.5].
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    min_factor: Option<f32>,
    /// Its share is not above this much of an equal one; 0: no such limit [default: 2].
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    max_factor: Option<f32>,
    /// Slots that it must have, such as 0-63; for reservations that are static or explicit.
    #[arg(long, value_name = "RANGES", value_parser = ranges)]
    slots: Option<Ranges>,
}

impl Share {
    pub(crate) fn weight(&self) -> f32 {
        self.weight.unwrap_or(1.0)
    }

    pub(crate) fn min_factor(&self) -> f32 {
        self.min_factor.unwrap_or(0.5)
    }

    pub(crate) fn max_factor(&self) -> f32 {
        self.max_factor.unwrap_or(2.0)
    }

    /// Whether any of it was asked for.
    pub(crate) fn is_given(&self) -> bool {
        self.weight.or(self.min_factor).or(self.max_factor).is_some() || self.slots.is_some()
    }

    /// Slots that it must have.
    pub(crate) fn demands(&self) -> Vec<SlotRange> {
        self.slots.clone().unwrap_or_default().0
    }
}

/// Send a worker's state once.
#[derive(Clone, Debug, Args)]
pub(crate) struct State {
    /// How full its queue is, 0 to 1.
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    pub(crate) fill: f32,
    /// By how much its weight is to change each second, where 1000 is an average worker's.
    #[arg(long, value_name = "S", default_value = "0", allow_negative_numbers = true)]
    pub(crate) signal: f32,
    /// It is to get no events, but keep its session.
    #[arg(long)]
    pub(crate) not_ready: bool,
    /// Events of which something arrived.
    #[arg(long, value_name = "N", default_value_t, help_heading = "Counters")]
    pub(crate) events_received: u64,
    /// Events put together.
    #[arg(long, value_name = "N", default_value_t, help_heading = "Counters")]
    pub(crate) events_reassembled: u64,
    /// Events that could not be put together.
    #[arg(long, value_name = "N", default_value_t, help_heading = "Counters")]
    pub(crate) reassembly_errors: u64,
    /// Events that somebody took.
    #[arg(long, value_name = "N", default_value_t, help_heading = "Counters")]
    pub(crate) events_dequeued: u64,
    /// Events for which there was no room.
    #[arg(long, value_name = "N", default_value_t, help_heading = "Counters")]
    pub(crate) enqueue_errors: u64,
    /// Bytes that arrived.
    #[arg(long, value_name = "N", default_value_t, help_heading = "Counters")]
    pub(crate) bytes_received: u64,
    /// Packets that arrived.
    #[arg(long, value_name = "N", default_value_t, help_heading = "Counters")]
    pub(crate) packets_received: u64,
}

/// Which worker must have which slots.
#[derive(Clone, Debug, Subcommand)]
#[command(after_help = SLOTS_HELP)]
pub(crate) enum Slots {
    /// List the slots that workers have and demand.
    List,
    /// Replace all demands. The reservation is then static unless it was explicit.
    Set(Demands),
    /// Take all demands back.
    Clear,
}

/// Demands, session by session.
#[derive(Clone, Debug, Args)]
pub(crate) struct Demands {
    /// A session's id and its slots, such as 7=0-63,+16.
    #[arg(value_name = "SESSION=RANGES", required = true, value_parser = demand)]
    pub(crate) demands: Vec<(String, Ranges)>,
}

/// Ranges of slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(pub(crate) Vec<SlotRange>);

/// Reads `0-63,128+32,+16`.
fn ranges(text: &str) -> Result<Ranges, String> {
    let range = |part: &str| {
        let number = |text: &str| text.parse::<u16>().ok();
        let (first, length) = if let Some((first, length)) = part.split_once('+') {
            let first = if first.is_empty() { None } else { Some(number(first)?) };
            (first, number(length)?)
        } else {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first = number(first)?;
            (Some(first), number(last)?.checked_sub(first)?.checked_add(1)?)
        };
        Some(SlotRange { first, length })
    };
    let wrong = |part| format!("`{part}` is no range of slots such as 0-63, 128+32 or +16");
    let parts = text.split(',').map(|part| range(part).ok_or_else(|| wrong(part)));
    parts.collect::<Result<_, _>>().map(Ranges)
}

/// Reads `7=0-63`.
fn demand(text: &str) -> Result<(String, Ranges), String> {
    match text.split_once('=') {
        Some((session, slots)) if !session.is_empty() => Ok((session.into(), ranges(slots)?)),
        _ => Err(format!("`{text}` is no session with its slots such as 7=0-63")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots() {
        let range = |first, length| SlotRange { first, length };
        for (text, expected) in [
            ("0-63", vec![range(Some(0), 64)]),
            ("7", vec![range(Some(7), 1)]),
            ("128+32", vec![range(Some(128), 32)]),
            ("+16", vec![range(None, 16)]),
            ("0-1,+16", vec![range(Some(0), 2), range(None, 16)]),
        ] {
            assert_eq!(ranges(text), Ok(Ranges(expected)), "{text}");
        }
        for text in ["", "x", "3-1", "0-", "+", "0-63,", "-5", "0-65535", "99999"] {
            assert!(ranges(text).is_err(), "{text}");
        }
        assert_eq!(demand("7=1"), Ok(("7".into(), Ranges(vec![range(Some(1), 1)]))));
        for text in ["", "7", "=1", "7="] {
            assert!(demand(text).is_err(), "{text}");
        }
    }
}
