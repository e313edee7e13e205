//! Times as people write and read them.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::units;

/// How long something lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As long as possible.
    Never,
    /// So long from now.
    After(Duration),
}

/// A begin in the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// So long ago.
    Ago(Duration),
    /// Then.
    Then(SystemTime),
}

impl Since {
    /// As a time; none: before all times.
    pub(crate) fn time(self) -> Option<SystemTime> {
        match self {
            Self::Ago(duration) => SystemTime::now().checked_sub(duration),
            Self::Then(time) => Some(time),
        }
    }
}

/// Reads how long something lasts: `2h`, `1h30m`, `hh:mm:ss`; `0` is as long
/// as possible.
///
/// # Errors
/// What is wrong with the text, for a person.
pub(crate) fn lasting(text: &str) -> Result<End, String> {
    Ok(match units::span(text)? {
        Duration::ZERO => End::Never,
        duration => End::After(duration),
    })
}

/// Reads a time: `2026-03-01T08:00:00Z`.
///
/// # Errors
/// What is wrong with the text, for a person.
pub(crate) fn parse(text: &str) -> Result<SystemTime, String> {
    let time = OffsetDateTime::parse(text, &Rfc3339);
    time.map(SystemTime::from)
        .map_err(|_| format!("`{text}` is no time such as 2026-03-01T08:00:00Z"))
}

/// Reads a begin: so long ago, or a time.
///
/// # Errors
/// What is wrong with the text, for a person.
pub(crate) fn since(text: &str) -> Result<Since, String> {
    if let Ok(duration) = units::span(text) {
        return Ok(Since::Ago(duration));
    }
    parse(text).map(Since::Then).map_err(|_| {
        format!("`{text}` is neither so long ago (10m, 01:00:00) nor a time (2026-03-01T08:00:00Z)")
    })
}

/// A time for programs: RFC 3339, to the millisecond.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(pub(crate) SystemTime);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(self.0, true))
    }
}

/// A time for people: `2026-03-01 08:00:00 UTC`.
pub(crate) fn show(time: SystemTime) -> String {
    text(time, false)
}

fn text(time: SystemTime, exact: bool) -> String {
    // Beyond the year 9999, which servers do not mean.
    const NONE: &str = "unknown";
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let nanos = i128::try_from(since.as_nanos()).unwrap_or(i128::MAX);
    let Ok(time) = OffsetDateTime::from_unix_timestamp_nanos(nanos) else { return NONE.into() };
    let (date, clock) = (time.date(), time.time());
    let day = format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day());
    let (hour, minute, second) = clock.as_hms();
    if exact {
        format!("{day}T{hour:02}:{minute:02}:{second:02}.{:03}Z", clock.millisecond())
    } else {
        format!("{day} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

/// How long it is until then, for people: `in 59 min`.
pub(crate) fn until(then: SystemTime, now: SystemTime) -> String {
    match then.duration_since(now) {
        Ok(left) => format!("in {}", units::show_span(left)),
        Err(error) => format!("{} ago", units::show_span(error.duration())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let time = parse("2026-03-01T08:00:00.250+02:00").unwrap();
        assert_eq!(text(time, true), "2026-03-01T06:00:00.250Z");
        assert_eq!(show(time), "2026-03-01 06:00:00 UTC");
        assert_eq!(text(SystemTime::UNIX_EPOCH, true), "1970-01-01T00:00:00.000Z");
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 60);
        assert_eq!(show(far), "unknown");
        for wrong in ["", "2026-03-01", "tomorrow", "2026-13-01T00:00:00Z"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn spans() {
        assert_eq!(lasting("2h"), Ok(End::After(Duration::from_secs(7200))));
        assert_eq!(lasting("00:00:00"), Ok(End::Never));
        assert_eq!(lasting("0"), Ok(End::Never));
        assert_eq!(since("10m"), Ok(Since::Ago(Duration::from_secs(600))));
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        assert_eq!(since("1970-01-01T00:00:01Z"), Ok(Since::Then(then)));
        assert!(since("then").unwrap_err().contains("neither"));
        assert_eq!(until(then + Duration::from_secs(61), then), "in 1 min 1 s");
        assert_eq!(until(then, then + Duration::from_secs(5)), "5 s ago");
    }
}
