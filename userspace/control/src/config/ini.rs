//! INI as E2SAR writes it (`data-plane.md` §3.2): `[section]`, `key = value`,
//! and lines of their own for comments, which begin with `;` or `#`.

use std::collections::HashMap;

use super::{Document, Entry, Fault, Position, Value};

/// Sections that E2SAR's files have.
const SECTIONS: [&str; 4] = ["general", "control-plane", "data-plane", "pid"];

/// Whether this is such a file: one with a section that E2SAR knows.
pub fn is_e2sar(text: &str) -> bool {
    text.lines().any(|line| section(line.trim()).is_some_and(|name| SECTIONS.contains(&name)))
}

fn section(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.strip_suffix(']').map(str::trim)
}

/// Reads a text; all values are text.
///
/// # Errors
/// All lines that are none of these, and keys given twice.
pub fn read(text: &str) -> Result<Document, Vec<Fault>> {
    let mut document = Document::default();
    let mut faults = Vec::new();
    let mut table = Vec::new();
    let mut seen = HashMap::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        // The column of a part of this line.
        let place = |part: &str| {
            let before = part.as_ptr() as usize - line.as_ptr() as usize;
            Position { line: index + 1, column: line[..before].chars().count() + 1 }
        };
        let content = line.trim();
        if content.is_empty() || content.starts_with([';', '#']) {
            continue;
        }
        if let Some(name) = section(content).filter(|name| !name.is_empty()) {
            table = vec![name.to_owned()];
            document.tables.push((table.clone(), place(content)));
            continue;
        }
        let Some((key, value)) = content.split_once('=') else {
            // Not quoted: it may be anything, a token as well.
            faults.push(Fault::new(place(content), "neither [section] nor key = value"));
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        let key_at = place(content);
        let full = [table.clone(), vec![key.to_owned()]].concat().join(".");
        if key.is_empty() || table.is_empty() {
            let lacks = if key.is_empty() { "a key" } else { "a [section]" };
            faults.push(Fault::new(key_at, format!("there must be {lacks} before this")));
        } else if let Some(first) = seen.insert(full.clone(), index + 1) {
            let found = format!("{full} stands in line {first} already: take one of them out");
            faults.push(Fault::new(key_at, found));
        } else {
            document.entries.push(Entry {
                table: table.clone(),
                key: key.into(),
                key_at,
                value_at: place(value),
                value: Value::Text(value.into()),
            });
        }
    }
    if faults.is_empty() { Ok(document) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_places() {
        let text = "\u{feff}; E2SAR\r\n[ pid ]\r\n  Kp = 1.5\r\n#Ki = 2\r\n[general]\r\nuseCP=\r\n";
        assert!(is_e2sar(text));
        let document = read(text).unwrap();
        let found: Vec<_> = document
            .entries
            .iter()
            .map(|entry| {
                let Value::Text(value) = &entry.value else { panic!("{entry:?}") };
                (
                    entry.table.join("."),
                    entry.key.as_str(),
                    value.as_str(),
                    entry.value_at.to_string(),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("pid".into(), "Kp", "1.5", "3:8".into()),
                ("general".into(), "useCP", "", "6:7".into())
            ]
        );
        assert!(!is_e2sar("[recv]\nworkers = 4\n"));
    }

    #[test]
    fn what_is_no_ini_is_told_by_its_place() {
        let faults = read("a = 1\n[s]\nb = 1\n  b = 2\nwhat\n = 3\n[]\n").unwrap_err();
        let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "1:1: there must be a [section] before this",
                "4:3: s.b stands in line 3 already: take one of them out",
                "5:1: neither [section] nor key = value",
                "6:2: there must be a key before this",
                "7:1: neither [section] nor key = value",
            ]
        );
    }
}
