//! Settings from a TOML file: a table for each command, its keys the long
//! names of the command's options.

use std::{path::Path, rc::Rc};

use clap::{Arg, Command};
use xdpsar_control::config::{Document, Entry, Value, did_you_mean};

use super::{
    options::{self, Element, Kind},
    setting::{Given, Setting, Source},
};

/// Tables that the Python package reads from the same file.
const PYTHONS: [&str; 2] = ["segmenter", "reassembler"];

/// Reads all tables; keeps those of the command at `path`, the most special
/// one first: `[lb.status]`, `[lb]`, the file's top.
///
/// # Errors
/// Tables and keys that nobody knows, values of another type, values that no
/// command takes: of all the file, with their places.
pub(crate) fn read(
    root: &Command,
    path: &[String],
    file: &Rc<Path>,
    document: &Document,
) -> Result<Vec<Vec<Setting>>, Vec<String>> {
    let mut faults = Vec::new();
    let mut layers = vec![Vec::new(); path.len() + 1];
    let mut seen: Vec<(&[String], String)> = Vec::new();
    let python =
        |table: &[String]| table.first().is_some_and(|name| PYTHONS.contains(&name.as_str()));
    for (table, at) in document.tables.iter().filter(|(table, _)| !python(table)) {
        if options::at(root, table).is_none() {
            let outer = options::at(root, &table[..table.len() - 1]);
            let known = outer.map(|outer| options::inner(outer).map(Command::get_name));
            let near = known
                .map_or_else(String::new, |known| did_you_mean(&table[table.len() - 1], known));
            let dotted = table.join(".");
            faults
                .push(format!("{}:{at}: no command has a table [{dotted}]{near}", file.display()));
        }
    }
    for entry in document.entries.iter().filter(|entry| !python(&entry.table)) {
        let Some(command) = options::at(root, &entry.table) else { continue };
        let name = entry.key.replace('_', "-");
        let fault = |at, what: String| format!("{}:{at}: {}: {what}", file.display(), entry.key);
        if seen.contains(&(&entry.table, name.clone())) {
            faults.push(fault(entry.key_at, "it is given twice, in two spellings".into()));
            continue;
        }
        seen.push((&entry.table, name));
        let depth = entry.table.len();
        let here = path.get(..depth) == Some(&entry.table[..]);
        match setting(command, here.then(|| options::at(root, path)).flatten(), entry) {
            Ok(Some((option, value))) => {
                let from = Source::File(Rc::clone(file), entry.value_at);
                layers[path.len() - depth].push(Setting::new(option, value, from));
            }
            Ok(None) => {}
            Err(Wrong::Key(what)) => faults.push(fault(entry.key_at, what)),
            Err(Wrong::Value(what)) => faults.push(fault(entry.value_at, what)),
        }
    }
    if faults.is_empty() { Ok(layers) } else { Err(faults) }
}

enum Wrong {
    Key(String),
    Value(String),
}

/// What an entry sets, if it is for the command that is run.
fn setting(
    table: &Command,
    running: Option<&Command>,
    entry: &Entry,
) -> Result<Option<(String, Given)>, Wrong> {
    let leaves = options::leaves(table);
    let owners: Vec<&Arg> =
        leaves.iter().filter_map(|leaf| options::find(leaf, &entry.key)).collect();
    if owners.is_empty() {
        let known = leaves.iter().flat_map(|leaf| options::settable(leaf).map(options::name));
        let near = did_you_mean(&entry.key, known);
        let whose = if entry.table.is_empty() {
            "no command has".into()
        } else {
            format!("xdpsar {} does not have", entry.table.join(" "))
        };
        return Err(Wrong::Key(format!("{whose} such an option{near}")));
    }
    let check = |arg: &Arg| {
        let given = given(options::kind(arg), &entry.value)?;
        options::complaint(arg, &given).map_or(Ok(given), Err)
    };
    match running.and_then(|leaf| options::find(leaf, &entry.key)) {
        Some(arg) => {
            let given = check(arg).map_err(Wrong::Value)?;
            Ok(Some((options::name(arg).to_owned(), given)))
        }
        // Of several commands' options by one name, one has to take it.
        None => {
            let mut complaints = owners.into_iter().map(|arg| check(arg).err());
            let first = complaints.next().flatten();
            match first {
                Some(first) if complaints.all(|complaint| complaint.is_some()) => {
                    Err(Wrong::Value(first))
                }
                _ => Ok(None),
            }
        }
    }
}

/// A TOML value, as the command line would have it.
fn given(kind: Kind, value: &Value) -> Result<Given, String> {
    let wants = |what: &str| Err(format!("it wants {what}, found {}", value.kind()));
    match (kind, value) {
        (Kind::Flag | Kind::One { bare: true, .. }, Value::Bool(on)) => Ok(Given::Flag(*on)),
        (Kind::Flag, _) => wants("true or false"),
        (Kind::Count, Value::Integer(times)) => match u8::try_from(*times) {
            Ok(times) => Ok(Given::Times(times)),
            Err(_) => wants("a number of times"),
        },
        (Kind::Count, _) => wants("a number of times"),
        (Kind::Many(of), Value::List(items)) => {
            items.iter().map(|item| text(of, item)).collect::<Result<_, _>>().map(Given::Values)
        }
        (Kind::One { of: Element::Commas, .. }, Value::List(items)) => {
            let parts = items.iter().map(|item| text(Element::Either, item));
            let parts: Vec<_> = parts.collect::<Result<_, _>>()?;
            Ok(Given::Values(vec![parts.join(",")]))
        }
        (Kind::Many(of) | Kind::One { of, .. }, value) => {
            text(of, value).map(|text| Given::Values(vec![text]))
        }
    }
}

fn text(of: Element, value: &Value) -> Result<String, String> {
    match (of, value) {
        (Element::Text | Element::Either | Element::Commas, Value::Text(text)) => Ok(text.clone()),
        (Element::Text, _) => Err(format!("it wants text in quotes, found {}", value.kind())),
        (Element::Whole, Value::Integer(number)) => Ok(number.to_string()),
        (Element::Whole, _) => Err(format!("it wants a whole number, found {}", value.kind())),
        (_, Value::Integer(number)) => Ok(number.to_string()),
        (_, Value::Float(number)) => Ok(number.clone()),
        (Element::Number, _) => Err(format!("it wants a number, found {}", value.kind())),
        _ => Err(format!("it wants a number or text, found {}", value.kind())),
    }
}
