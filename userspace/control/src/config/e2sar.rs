//! The keys of E2SAR's INI files, of both kinds (`data-plane.md` §3.1, §3.16
//! and §4.1): their types and ranges, and what has become of those that are
//! no longer there.
//!
//! E2SAR reads `pid.weight`, `pid.min_factor` and `pid.max_factor` into `Kd`,
//! and `warmUpMS` as a bool (`control-plane.md` §21.2, `data-plane.md` §3.2).
//! Here each key is what its name says.

use super::{Document, Fault, Position, Value, nearest};

/// A key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Section and key: `data-plane.mtu`.
    pub name: &'static str,
    /// Whose key it is.
    pub of: Side,
    kind: Kind,
    fate: Fate,
}

/// Whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Senders'.
    Segmenter,
    /// Receivers'.
    Reassembler,
    /// Both sides'.
    Both,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Bool,
    Whole(i64, i64),
    Number(f64, f64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Current,
    /// E2SAR itself no longer has it; what to use instead.
    Old(&'static str),
}

/// A value of its key's type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Typed {
    /// `true`, `false`, `1` or `0`.
    Bool(bool),
    /// A whole number.
    Whole(i64),
    /// A number.
    Number(f64),
}

/// A key that a file gives a value.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    /// The key.
    pub key: &'static Key,
    /// Its value.
    pub value: Typed,
    /// Where the value stands.
    pub at: Position,
}

/// What a file gives, and what is to be told of it.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Keys with values.
    pub given: Vec<Given>,
    /// Keys that nobody knows, and old ones. E2SAR itself goes on with
    /// both; so should a reader.
    pub warnings: Vec<Fault>,
}

const fn key(name: &'static str, of: Side, kind: Kind) -> Key {
    Key { name, of, kind, fate: Fate::Current }
}

const fn old(name: &'static str, kind: Kind, instead: &'static str) -> Key {
    Key { name, of: Side::Segmenter, kind, fate: Fate::Old(instead) }
}

const U16: Kind = Kind::Whole(0, u16::MAX as i64);
const BUFFER: Kind = Kind::Whole(0, i32::MAX as i64);
const GAIN: Kind = Kind::Number(-1e9, 1e9);

/// All keys.
pub static KEYS: [Key; 33] = {
    use Kind::{Bool, Number, Whole};
    use Side::{Both, Reassembler, Segmenter};
    [
        key("general.useCP", Both, Bool),
        key("control-plane.warmUpMS", Segmenter, U16),
        key("control-plane.syncPeriodMS", Segmenter, Whole(1, 10_000)),
        key("control-plane.syncPeriods", Segmenter, U16),
        key("data-plane.dpV6", Segmenter, Bool),
        key("data-plane.connectedSocket", Segmenter, Bool),
        key("data-plane.ticksAsREEventNum", Segmenter, Bool),
        key("data-plane.mtu", Segmenter, Whole(0, 9000)),
        key("data-plane.numSendSockets", Segmenter, Whole(1, 128)),
        key("data-plane.sndSocketBufSize", Segmenter, BUFFER),
        key("data-plane.rateGbps", Segmenter, Number(-1e9, 1e9)),
        key("data-plane.smooth", Segmenter, Bool),
        key("data-plane.multiPort", Segmenter, Bool),
        key("data-plane.lbHdrVersion", Segmenter, Whole(2, 3)),
        old("control-plane.usecAsEventNum", Bool, "--tick clock, or --tick event-number for false"),
        old("control-plane.zeroRate", Bool, "--sync-rate zero for true"),
        old("data-plane.zeroCopy", Bool, "--backend, whose choice is the fastest way"),
        key("control-plane.useHostAddress", Reassembler, Bool),
        key("control-plane.validateCert", Reassembler, Bool),
        key("control-plane.reportStats", Reassembler, Bool),
        key("data-plane.periodMS", Reassembler, Whole(1, u16::MAX as i64)),
        key("data-plane.epochMS", Reassembler, Whole(1, u32::MAX as i64)),
        key("data-plane.portRange", Reassembler, Whole(-1, 14)),
        key("data-plane.withLBHeader", Reassembler, Bool),
        key("data-plane.eventTimeoutMS", Reassembler, Whole(1, 10_000)),
        key("data-plane.rcvSocketBufSize", Reassembler, BUFFER),
        key("pid.setPoint", Reassembler, Number(0.0, 1.0)),
        key("pid.Kp", Reassembler, GAIN),
        key("pid.Ki", Reassembler, GAIN),
        key("pid.Kd", Reassembler, GAIN),
        key("pid.weight", Reassembler, Number(f64::MIN_POSITIVE, 1e9)),
        key("pid.min_factor", Reassembler, Number(0.0, 1e9)),
        key("pid.max_factor", Reassembler, Number(0.0, 1e9)),
    ]
};

/// What an INI file says, as E2SAR's keys.
///
/// # Errors
/// Values that their keys cannot have. E2SAR takes the default instead, and
/// says nothing.
pub fn read(document: &Document) -> Result<Reading, Vec<Fault>> {
    let mut reading = Reading::default();
    let mut faults = Vec::new();
    for entry in &document.entries {
        let Value::Text(text) = &entry.value else { continue };
        let name = format!("{}.{}", entry.table.join("."), entry.key);
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
            let message =
                format!("E2SAR has no key {name}, and it is left out{}", near(&entry.key));
            reading.warnings.push(Fault::new(entry.key_at, message));
            continue;
        };
        match key.kind.read(text) {
            Ok(value) => {
                if let Fate::Old(instead) = key.fate {
                    let message = format!("{name} is an old key: use {instead}");
                    reading.warnings.push(Fault::new(entry.key_at, message));
                }
                reading.given.push(Given { key, value, at: entry.value_at });
            }
            Err(wanted) => {
                let message = format!(
                    "{name} wants {wanted}, found `{text}`; comments have lines of their own"
                );
                faults.push(Fault::new(entry.value_at, message));
            }
        }
    }
    if faults.is_empty() { Ok(reading) } else { Err(faults) }
}

/// `; did you mean x?`: a slip in the key, or a wrong section.
fn near(key: &str) -> String {
    let last = |key: &'static Key| key.name.rsplit('.').next().unwrap_or_default();
    let near = nearest(key, KEYS.iter().map(last));
    let near = near.and_then(|near| KEYS.iter().find(|key| last(key) == near));
    near.map_or_else(String::new, |key| format!("; did you mean {}?", key.name))
}

impl Kind {
    /// The value, or what was wanted.
    fn read(self, text: &str) -> Result<Typed, String> {
        match self {
            Self::Bool => match text.to_ascii_lowercase().as_str() {
                "0" | "false" => Ok(Typed::Bool(false)),
                "1" | "true" => Ok(Typed::Bool(true)),
                _ => Err("true or false".into()),
            },
            Self::Whole(low, high) => match text.parse() {
                Ok(number) if (low..=high).contains(&number) => Ok(Typed::Whole(number)),
                _ => Err(format!("a whole number from {low} to {high}")),
            },
            Self::Number(low, high) => match text.parse::<f64>() {
                Ok(number) if (low..=high).contains(&number) => Ok(Typed::Number(number)),
                _ if low == f64::MIN_POSITIVE => Err("a number above 0".into()),
                _ if high == 1e9 && low == 0.0 => Err("a number from 0 on".into()),
                _ if high == 1e9 => Err("a number".into()),
                _ => Err(format!("a number from {low} to {high}")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::ini, *};

    fn read(text: &str) -> Result<Reading, Vec<String>> {
        let tell = |faults: Vec<Fault>| faults.iter().map(ToString::to_string).collect();
        super::read(&ini::read(text).unwrap()).map_err(tell)
    }

    #[test]
    fn each_key_is_what_its_name_says() {
        let reading =
            read("[pid]\nweight = 3\nmin_factor = .25\nmax_factor = 4\n[control-plane]\nwarmUpMS = 700\n")
                .unwrap();
        let given: Vec<_> =
            reading.given.iter().map(|given| (given.key.name, given.value)).collect();
        assert_eq!(
            given,
            [
                ("pid.weight", Typed::Number(3.0)),
                ("pid.min_factor", Typed::Number(0.25)),
                ("pid.max_factor", Typed::Number(4.0)),
                ("control-plane.warmUpMS", Typed::Whole(700)),
            ]
        );
        assert!(reading.warnings.is_empty());
    }

    #[test]
    fn values_that_cannot_be_meant() {
        let lacks = "comments have lines of their own";
        for (section, line, wanted) in [
            ("data-plane", "mtu = 70000", "a whole number from 0 to 9000"),
            ("data-plane", "mtu = 9000 ; jumbo", "a whole number from 0 to 9000"),
            ("data-plane", "mtu = -1", "a whole number from 0 to 9000"),
            ("data-plane", "lbHdrVersion = 258", "a whole number from 2 to 3"),
            ("data-plane", "smooth = yes", "true or false"),
            ("data-plane", "rateGbps = NaN", "a number"),
            ("data-plane", "portRange = 15", "a whole number from -1 to 14"),
            ("pid", "weight = 0", "a number above 0"),
            ("pid", "setPoint = 1.5", "a number from 0 to 1"),
            ("pid", "min_factor = -1", "a number from 0 on"),
        ] {
            let (key, value) = line.split_once(" = ").unwrap();
            let faults = read(&format!("[{section}]\n{line}\n")).unwrap_err();
            let column = key.len() + 4;
            let told =
                format!("2:{column}: {section}.{key} wants {wanted}, found `{value}`; {lacks}");
            assert_eq!(faults, [told]);
        }
    }

    #[test]
    fn unknown_and_old_keys_are_told() {
        let reading =
            read("[control-plane]\nusecAsEventNum = false\n[data-plane]\nmut = 1\n").unwrap();
        let told: Vec<_> = reading.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "2:1: control-plane.usecAsEventNum is an old key: use --tick clock, or --tick event-number \
                 for false",
                "4:1: E2SAR has no key data-plane.mut, and it is left out; did you mean data-plane.mtu?",
            ]
        );
        assert_eq!(reading.given.len(), 1);
    }

    #[test]
    fn every_key_of_both_kinds_of_files() {
        let text = |side: Side| {
            let keys = KEYS.iter().filter(|key| key.of == side || key.of == Side::Both);
            keys.map(|key| {
                let (section, key_name) = key.name.split_once('.').unwrap();
                let value = match key.kind {
                    Kind::Bool => "true".into(),
                    Kind::Whole(low, _) => low.to_string(),
                    Kind::Number(..) => "0.5".into(),
                };
                format!("[{section}]\n{key_name} = {value}\n")
            })
            .collect::<String>()
        };
        assert_eq!(read(&text(Side::Segmenter)).unwrap().given.len(), 17);
        assert_eq!(read(&text(Side::Reassembler)).unwrap().given.len(), 17);
    }
}
