//! TOML (<https://toml.io>), with the place of each key and value.

use std::ops::Range;

use ::toml::de::{DeTable, DeValue};

use super::{Document, Entry, Fault, Position, Value};

/// Reads a text.
///
/// # Errors
/// All that is not TOML, and lists of tables, which mean nothing here.
pub fn read(text: &str) -> Result<Document, Vec<Fault>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { text, ..Reader::default() };
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        // Some of the parser's messages have a second line with what it expected.
        let message = error.message().trim().replace('\n', "; ");
        reader.faults.push(Fault::new(reader.at(at..at), format!("no TOML: {message}")));
    }
    if reader.faults.is_empty() {
        reader.table(&mut Vec::new(), table.get_ref());
    }
    if reader.faults.is_empty() { Ok(reader.document) } else { Err(reader.faults) }
}

#[derive(Default)]
struct Reader<'a> {
    text: &'a str,
    document: Document,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn at(&self, span: Range<usize>) -> Position {
        Position::of(self.text, span.start)
    }

    fn table(&mut self, path: &mut Vec<String>, table: &DeTable<'_>) {
        for (key, value) in table {
            let (key_at, value_at) = (self.at(key.span()), self.at(value.span()));
            let key = key.get_ref().to_string();
            if let DeValue::Table(inner) = value.get_ref() {
                path.push(key);
                self.document.tables.push((path.clone(), key_at));
                self.table(path, inner);
                path.pop();
                continue;
            }
            match self.value(value.get_ref()) {
                Ok(value) => {
                    let table = path.clone();
                    self.document.entries.push(Entry { table, key, key_at, value, value_at });
                }
                Err(found) => {
                    self.faults.push(Fault::new(value_at, format!("{key} cannot be {found}")));
                }
            }
        }
    }

    fn value(&self, value: &DeValue<'_>) -> Result<Value, &'static str> {
        Ok(match value {
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
                .map(Value::Integer)
                .map_err(|_| "as great a number")?,
            DeValue::Float(number) => Value::Float(number.as_str().to_owned()),
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Datetime(moment) => Value::Text(moment.to_string()),
            DeValue::Array(items) => Value::List(
                items.iter().map(|item| self.value(item.get_ref())).collect::<Result<_, _>>()?,
            ),
            DeValue::Table(_) => return Err("a list of tables"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_with_its_place() {
        let text = "verbose = 1\n\n[recv]\n  workers = 0x10 # four\nout = 'd'\n\
                    cores = [0, 2]\nrate = 2_000.5\nuntil = 2026-03-01T08:00:00Z\n\
                    [lb.status]\njson = true\n[send]\n";
        let document = read(text).unwrap();
        let found: Vec<_> = document
            .entries
            .iter()
            .map(|entry| {
                let place = format!("{}/{}", entry.key_at, entry.value_at);
                (entry.table.join("."), entry.key.as_str(), entry.value.clone(), place)
            })
            .collect();
        let text = |text: &str| Value::Text(text.into());
        let numbers = Value::List(vec![Value::Integer(0), Value::Integer(2)]);
        let recv = || "recv".to_owned();
        assert_eq!(
            found,
            [
                (String::new(), "verbose", Value::Integer(1), "1:1/1:11".into()),
                (recv(), "workers", Value::Integer(16), "4:3/4:13".into()),
                (recv(), "out", text("d"), "5:1/5:7".into()),
                (recv(), "cores", numbers, "6:1/6:9".into()),
                (recv(), "rate", Value::Float("2000.5".into()), "7:1/7:8".into()),
                (recv(), "until", text("2026-03-01T08:00:00Z"), "8:1/8:9".into()),
                ("lb.status".into(), "json", Value::Bool(true), "10:1/10:8".into()),
            ]
        );
        let tables: Vec<_> = document.tables.iter().map(|(path, _)| path.join(".")).collect();
        assert_eq!(tables, ["recv", "lb", "lb.status", "send"]);
    }

    #[test]
    fn what_is_no_toml_is_told_by_its_place() {
        for (text, place) in [
            ("a = 1\nb = \n", "2:5"),
            ("[recv\n", "1:6"),
            ("a = 1\na = 2\n", "2:1"),
            ("[[recv]]\nx = 1\n", "1:1"),
            ("x = 99999999999999999999999999999999999999999\n", "1:5"),
        ] {
            let faults = read(text).unwrap_err();
            assert_eq!(faults[0].at.to_string(), place, "{text:?}: {faults:?}");
        }
    }
}
