//! What `lb` has to tell, as JSON and for people. In JSON, absent values are
//! left out; tokens are there only if they were asked for.
//!
//! | module | holds |
//! |---|---|
//! | [`reservation`] | reserved, extended, reset, freed; senders |
//! | [`status`] | a load balancer and its workers |
//! | [`worker`] | sessions, states, slots |
//! | [`token`] | tokens and permissions |
//! | [`series`] | counters over time |
//! | [`chain`] | load balancers behind load balancers |
//! | [`monitor`] | a load balancer live |

pub(crate) mod chain;
pub(crate) mod monitor;
pub(crate) mod reservation;
pub(crate) mod series;
pub(crate) mod status;
pub(crate) mod token;
pub(crate) mod worker;

use std::net::IpAddr;

use xdpsar::{EjfatUri, TokenKind, load_balancer::SlotRange};

/// A URI as it is told: with the token of this kind if it may be shown.
pub(crate) fn told(uri: &EjfatUri, kind: TokenKind, shown: bool) -> String {
    if shown { uri.reveal_with(kind) } else { uri.to_string() }
}

/// A line for a shell. No quote in a URI ends the shell's.
pub(crate) fn export(uri: &EjfatUri, kind: TokenKind) -> String {
    format!("export EJFAT_URI='{}'", uri.reveal_with(kind).replace('\'', "%27"))
}

/// Addresses for people.
fn addresses(addresses: &[IpAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    if texts.is_empty() { "none".into() } else { texts.join(" ") }
}

/// Slots as they are written in command lines.
fn ranges(ranges: &[SlotRange]) -> Vec<String> {
    let text = |range: &SlotRange| match (range.first, range.length) {
        (None, length) => format!("+{length}"),
        (Some(first), 1) => first.to_string(),
        (Some(first), length) => {
            format!("{first}-{}", u32::from(first) + u32::from(length).max(1) - 1)
        }
    };
    ranges.iter().map(text).collect()
}
