//! What is checked before it is sent, and what answers mean
//! (`control-plane.md` §7, §9, §21.3).

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::error::{Error, ErrorKind};
use crate::{
    message::{SlotRange as Slots, Timestamp},
    uri::EjfatUri,
};

/// The longest name, and the longest part of one.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;
/// Every load balancer's calendar has so many slots.
pub(super) const SLOTS: u32 = 512;

/// The rule for names: parts between dots, of letters, digits and, inside
/// of a part, `-_:/`.
pub(super) fn name(what: &str, name: &str) -> Result<(), Error> {
    let label = |label: &str| {
        let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let inside = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_:/".contains(byte);
        let bytes = label.as_bytes();
        bytes.len() <= LONGEST_LABEL
            && edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(inside)
    };
    if name.len() <= LONGEST_NAME && name.split('.').all(label) {
        return Ok(());
    }
    let shown: String = name.chars().take(LONGEST_LABEL).collect();
    Err(Error::parameter(
        format!("the name {shown:?} of {what}"),
        "no server takes it",
        "write letters and digits, inside also - _ : / and dots between parts of 63 at most",
    ))
}

/// A number that makes sense.
pub(super) fn number(what: &str, value: f32, fits: bool, range: &str) -> Result<(), Error> {
    if value.is_finite() && fits {
        return Ok(());
    }
    Err(Error::parameter(
        what,
        format!("{value} is none that a load balancer can use"),
        format!("give one {range}"),
    ))
}

pub(super) fn slots(ranges: &[Slots]) -> Result<(), Error> {
    for range in ranges {
        let end = range.index.max(0).unsigned_abs().checked_add(range.length);
        if range.index < -1 || range.length == 0 || end.is_none_or(|end| end > SLOTS) {
            return Err(Error::parameter(
                format!("{} slots from {}", range.length, range.index),
                format!("there are {SLOTS} slots, from 0"),
                "demand at least one, and none behind the last",
            ));
        }
    }
    Ok(())
}

/// A time to send.
pub(super) fn timestamp(what: &str, time: SystemTime) -> Result<Timestamp, Error> {
    let since = time.duration_since(UNIX_EPOCH).ok();
    let parts = since.and_then(|since| {
        let nanos = i32::try_from(since.subsec_nanos()).ok()?;
        Some(Timestamp { seconds: i64::try_from(since.as_secs()).ok()?, nanos })
    });
    // Of 0 servers think it was left out, or long ago.
    parts.filter(|parts| parts.seconds > 0).ok_or_else(|| {
        Error::parameter(what, "it is before 1970", "check the time; leave it out for no limit")
    })
}

/// A moment in the future, to send.
pub(super) fn future(what: &str, time: SystemTime) -> Result<Timestamp, Error> {
    if time <= SystemTime::now() {
        let remedy = "name a later time, or none for as long as the server allows";
        return Err(Error::parameter(what, "it is over already", remedy));
    }
    timestamp(what, time)
}

/// A time from an answer. Out of bounds it is as good as none.
pub(super) fn time(stamp: Option<&Timestamp>) -> Option<SystemTime> {
    let stamp = stamp?;
    let nanos = u32::try_from(stamp.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    let since = Duration::new(u64::try_from(stamp.seconds).ok()?, nanos);
    UNIX_EPOCH.checked_add(since)
}

/// An address from an answer; empty is none.
pub(super) fn address<A: FromStr>(
    asked: &str,
    field: &str,
    text: &str,
) -> Result<Option<A>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |_| Error::data(asked, format!("the answer's {field} {text:?} is no address"));
    text.parse().map(Some).map_err(wrong)
}

/// Several of them; empty ones do not count.
pub(super) fn addresses(asked: &str, field: &str, texts: &[String]) -> Result<Vec<IpAddr>, Error> {
    texts.iter().filter_map(|text| address(asked, field, text).transpose()).collect()
}

/// A port from an answer; 0 is none.
pub(super) fn port(asked: &str, field: &str, number: u32) -> Result<Option<u16>, Error> {
    let wrong = |_| Error::data(asked, format!("the answer's {field} {number} is no port"));
    let port = u16::try_from(number).map_err(wrong)?;
    Ok((port > 0).then_some(port))
}

/// From which addresses this host reaches a load balancer's data addresses.
pub(super) fn own_addresses(uri: &EjfatUri) -> Result<Vec<IpAddr>, Error> {
    let asked = || format!("this host's addresses on the way to the data address of {uri}");
    let mut own = Vec::new();
    let mut why = None;
    for to in [false, true].into_iter().filter_map(|v6| uri.data_of(v6)) {
        let route = || {
            let any = if to.ip().is_ipv6() {
                IpAddr::V6(Ipv6Addr::UNSPECIFIED)
            } else {
                IpAddr::V4(Ipv4Addr::UNSPECIFIED)
            };
            let socket = UdpSocket::bind((any, 0))?;
            // Asks for the route, sends nothing.
            socket.connect(to.socket_addr().map_err(io::Error::other)?)?;
            Ok(socket.local_addr()?.ip())
        };
        match route() {
            Ok(address) => own.push(address),
            Err(error) => why = Some(io::Error::to_string(&error)),
        }
    }
    match (own.is_empty(), why) {
        (false, _) => Ok(own),
        (true, Some(why)) => {
            Err(Error::new(ErrorKind::System, asked(), why, "see `ip route`, or name the senders"))
        }
        (true, None) => {
            let remedy = "reserve a load balancer or get its addresses first";
            let found = "the URI names none";
            Err(Error::new(ErrorKind::ParameterNotAvailable, asked(), found, remedy))
        }
    }
}

/// A text that an answer must have.
pub(super) fn present(asked: &str, field: &str, text: String) -> Result<String, Error> {
    if text.is_empty() {
        return Err(Error::data(asked, format!("the answer has no {field}")));
    }
    Ok(text)
}
