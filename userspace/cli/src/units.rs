//! Numbers as people write and read them: sizes, durations, rates.

use std::time::Duration;

/// Parses a size in bytes: `9000`, `100k`, `1.5M`, `1GiB`. `k M G T` are
/// powers of 1000, `Ki Mi Gi Ti` powers of 1024; a `B` may follow; case does
/// not matter.
///
/// # Errors
/// What is wrong with the text, for a person.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let unit = unit.to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let scale: u64 = match unit {
        "" => 1,
        "k" => 1000,
        "m" => 1_000_000,
        "g" => 1_000_000_000,
        "t" => 1_000_000_000_000,
        "ki" => 1 << 10,
        "mi" => 1 << 20,
        "gi" => 1 << 30,
        "ti" => 1 << 40,
        _ => return Err(format!("`{text}` is not a size: use bytes, k, M, G, Ki, Mi or Gi")),
    };
    scaled(number, scale)
        .ok_or_else(|| format!("`{text}` is not a whole number of bytes below 2^64"))
}

/// A size that must fit 32 bits, as an event's length on the wire does.
///
/// # Errors
/// As [`bytes`].
pub(crate) fn bytes32(text: &str) -> Result<u32, String> {
    u32::try_from(bytes(text)?)
        .map_err(|_| format!("`{text}` is more than 4294967295 bytes, the longest event"))
}

/// A duration with a unit (`250us`, `500ms`, `10s`, `5m`, `1h`), or a bare
/// number of seconds.
///
/// # Errors
/// What is wrong with the text, for a person.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    duration(text, 1_000_000_000)
}

/// As [`seconds`], but a bare number means milliseconds.
///
/// # Errors
/// As [`seconds`].
pub(crate) fn milliseconds(text: &str) -> Result<Duration, String> {
    duration(text, 1_000_000)
}

fn duration(text: &str, bare: u64) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let scale = match unit {
        "" => bare,
        "us" | "µs" => 1000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return Err(format!("`{text}` is not a duration: use us, ms, s, m, h or d")),
    };
    scaled(number, scale)
        .map(Duration::from_nanos)
        .ok_or_else(|| format!("`{text}` is not a duration this program can keep"))
}

/// A longer time: `2h`, `1h30m`, `7d`, or `hh:mm:ss` and `hh:mm`. A bare
/// number but 0 is refused: to some it means seconds, to E2SAR hours.
///
/// # Errors
/// What is wrong with the text, for a person.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time such as 2h, 1h30m, 7d or hh:mm:ss");
    if text.contains(':') {
        let parts: Result<Vec<u64>, _> = text.split(':').map(str::parse).collect();
        let (hours, minutes, seconds) = match parts.map_err(|_| wrong())?[..] {
            [hours, minutes] => (hours, minutes, 0),
            [hours, minutes, seconds] => (hours, minutes, seconds),
            _ => return Err(wrong()),
        };
        let hours = hours.checked_mul(3600).filter(|_| minutes < 60 && seconds < 60);
        return hours
            .and_then(|hours| hours.checked_add(minutes * 60 + seconds))
            .map(Duration::from_secs)
            .ok_or_else(wrong);
    }
    if text.is_empty() || text.bytes().all(|byte| byte.is_ascii_digit()) {
        let zero = !text.is_empty() && text.bytes().all(|byte| byte == b'0');
        return if zero { Ok(Duration::ZERO) } else { Err(wrong()) };
    }
    let (mut rest, mut total) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let number = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?;
        let unit = rest[number..].find(|c: char| c.is_ascii_digit());
        let (part, after) = rest.split_at(unit.map_or(rest.len(), |unit| number + unit));
        let part = duration(part, 0).map_err(|_| wrong())?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = after;
    }
    Ok(total)
}

/// Splits `1.5GiB` into `1.5` and `GiB`.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end =
        text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// `number × scale`, exactly, or nothing.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let number = number.replace('_', "");
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    if whole.is_empty() || fraction.len() > 18 {
        return None;
    }
    let mut total = u128::from(whole.parse::<u64>().ok()?) * u128::from(scale);
    if !fraction.is_empty() {
        let parts = u128::from(fraction.parse::<u64>().ok()?) * u128::from(scale);
        let denominator = 10_u128.pow(fraction.len() as u32);
        if parts % denominator != 0 {
            return None;
        }
        total += parts / denominator;
    }
    u64::try_from(total).ok()
}

/// A number of bytes for people: three significant digits and a unit.
pub(crate) fn show_bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut unit = 0;
    // 999.5 of a unit would be shown as 1000 of it.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// A count for people: `1,234,567`.
pub(crate) fn show_count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration for people, in its two largest units: `1 h 5 min`.
pub(crate) fn show_span(span: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let seconds = span.as_secs();
    let largest = UNITS.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(3);
    let (unit, name) = UNITS[largest];
    let mut text = format!("{} {name}", seconds / unit);
    if let Some((next, name)) = UNITS.get(largest + 1) {
        let rest = seconds % unit / next;
        // Seconds matter of a few minutes only.
        if rest > 0 && (*next > 1 || seconds < 600) {
            text += &format!(" {rest} {name}");
        }
    }
    text
}

/// Gigabits per second; 0 when no time has passed.
pub(crate) fn gbps(bytes: u64, seconds: f64) -> f64 {
    per_second(bytes, seconds) * 8e-9
}

/// How many a second; 0 when no time has passed.
pub(crate) fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", 0),
            ("9000", 9000),
            ("1_000", 1000),
            ("100k", 100_000),
            ("100 kB", 100_000),
            ("1.5M", 1_500_000),
            ("1GiB", 1 << 30),
            ("0.5gi", 1 << 29),
            ("2T", 2_000_000_000_000),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in
            ["", "k", "-1", "1.5", "1q", "1.k2", "1..5k", "18446744073709551616", "99999999T"]
        {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert_eq!(bytes32("4294967295"), Ok(u32::MAX));
        assert!(bytes32("4Gi").is_err());
    }

    #[test]
    fn durations() {
        assert_eq!(milliseconds("500"), Ok(Duration::from_millis(500)));
        assert_eq!(milliseconds("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        assert_eq!(seconds("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(seconds("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(seconds("7d"), Ok(Duration::from_secs(7 * 86400)));
        assert!(seconds("2 weeks").is_err());
        assert!(seconds("soon").is_err());
    }

    #[test]
    fn spans() {
        for (text, expected) in [
            ("0", 0),
            ("00:00:00", 0),
            ("2h", 7200),
            ("1h30m", 5400),
            ("1.5h", 5400),
            ("7d", 604_800),
            ("1h2m3s", 3723),
            ("01:00", 3600),
            ("100:00:01", 360_001),
        ] {
            assert_eq!(span(text), Ok(Duration::from_secs(expected)), "{text}");
        }
        for text in
            ["", "7", "01", "1h30", "h", "1:60", "1:2:3:4", ":", "-1h", "9999999999999h", "1w"]
        {
            assert!(span(text).is_err(), "{text}");
        }
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (61, "1 min 1 s"),
            (3599, "59 min"),
            (3660, "1 h 1 min"),
            (7200, "2 h"),
            (31_536_000, "365 d"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(show_span(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn shown() {
        for (number, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (9_994, "9.99 kB"),
            (9_995, "10.0 kB"),
            (99_949, "99.9 kB"),
            (99_950, "100 kB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
            (1_500_000_000, "1.50 GB"),
        ] {
            assert_eq!(show_bytes(number), expected);
        }
        assert_eq!(show_count(0), "0");
        assert_eq!(show_count(999), "999");
        assert_eq!(show_count(1000), "1,000");
        assert_eq!(show_count(1_234_567), "1,234,567");
        assert_eq!(gbps(1_000_000_000, 0.0), 0.0);
        assert!((gbps(125_000_000, 1.0) - 1.0).abs() < 1e-9);
    }
}
