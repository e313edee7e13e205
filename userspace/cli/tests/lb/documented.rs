//! What `docs/lb-json.md` says of each object, and of what is in it.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::support::xdpsar;

const PAGE: &str = include_str!("../../../../docs/lb-json.md");

/// The words between backticks.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Fields by the name of a type, or of the field that the object is in.
fn page() -> HashMap<&'static str, HashSet<&'static str>> {
    let (mut page, mut names) = (HashMap::<_, HashSet<_>>::new(), Vec::new());
    for line in PAGE.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            names = quoted(title).collect();
        }
        let first = line.strip_prefix("| ").and_then(|row| row.split('|').next());
        for name in &names {
            page.entry(*name).or_default().extend(quoted(first.unwrap_or_default()));
        }
    }
    page
}

/// Whether the page has all of it; says what it lacks.
pub(crate) fn hold_against_the_page(record: &Value) {
    fn look(page: &HashMap<&str, HashSet<&str>>, name: &str, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| look(page, name, item)),
            Value::Object(object) => {
                let known = page.get(name).unwrap_or_else(|| panic!("docs/lb-json.md: no {name}"));
                for (field, value) in object {
                    let there = field == "type" || known.contains(field.as_str());
                    assert!(there, "docs/lb-json.md: no {field} in {name}: {object:?}");
                    look(page, field, value);
                }
            }
            _ => {}
        }
    }
    look(&page(), record["type"].as_str().expect("a type"), record);
}

#[test]
fn the_types_that_the_help_names_are_there() {
    let help = xdpsar(&["lb", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, list) = help.split_once("left out:").unwrap();
    let (list, _) = list.split_once(". With").unwrap();
    let named = list.split(',').map(|name| name.split_whitespace().next().unwrap_or_default());
    let (page, named): (_, HashSet<_>) = (page(), named.collect());
    assert!(named.len() > 15, "{named:?}");
    for name in named {
        assert!(page.contains_key(name), "{name}");
    }
}
