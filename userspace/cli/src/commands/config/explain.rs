//! Each setting of a command, and where it comes from.

use std::fmt::Write;

use clap::{Arg, CommandFactory};
use serde::Serialize;

use crate::{
    args::Cli,
    config::{
        Resolved,
        options::{self, Kind},
        setting::{Given, Source, shown},
    },
};

/// One line of `--json`.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Record {
    Setting(Row),
    Warning { message: String },
}

/// One option.
#[derive(Debug, Serialize)]
struct Row {
    command: String,
    option: String,
    /// `None`: nobody set it, and it has no default of its own.
    value: Option<Value>,
    #[serde(flatten)]
    from: Place,
    /// What gave way to this value, or to another option that it contradicts.
    overridden: Vec<Weaker>,
}

/// A value that does not hold.
#[derive(Debug, Serialize)]
struct Weaker {
    value: Value,
    #[serde(flatten)]
    from: Place,
    /// What it gave way to.
    by: String,
}

/// Where a value comes from.
#[derive(Debug, Serialize)]
struct Place {
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variable: Option<String>,
    #[serde(skip)]
    words: String,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Value {
    Flag(bool),
    Times(u8),
    One(String),
    Many(Vec<String>),
}

/// A table for people, or JSON lines.
pub(super) fn text(resolved: &Resolved, json: bool) -> String {
    let mut root = Cli::command();
    root.build();
    let rows: Vec<Row> = options::at(&root, &resolved.path)
        .into_iter()
        .flat_map(options::settable)
        .map(|arg| row(arg, resolved))
        .collect();
    if json { lines(rows, resolved) } else { table(&rows, resolved) }
}

fn row(arg: &Arg, resolved: &Resolved) -> Row {
    let option = options::name(arg);
    let setting = resolved.settings.iter().find(|setting| setting.option == option);
    let (given, from) = match setting {
        Some(setting) => (Some(setting.value.clone()), setting.from.clone()),
        None => (options::default(arg), Source::Default),
    };
    let weaker = resolved.overridden.iter().filter(|weaker| weaker.setting.option == option);
    Row {
        command: resolved.path.join(" "),
        option: option.to_owned(),
        value: given.map(|given| value(arg, given)),
        from: Place::from(&from),
        overridden: weaker
            .map(|weaker| Weaker {
                value: value(arg, weaker.setting.value.clone()),
                from: Place::from(&weaker.setting.from),
                by: weaker.by.clone(),
            })
            .collect(),
    }
}

fn value(arg: &Arg, given: Given) -> Value {
    let option = options::name(arg);
    match given {
        Given::Flag(on) => Value::Flag(on),
        Given::Times(times) => Value::Times(times),
        Given::Values(values) => {
            let mut values: Vec<_> = values.iter().map(|value| shown(option, value)).collect();
            match (options::kind(arg), values.pop()) {
                (Kind::Many(_), last) => {
                    values.extend(last);
                    Value::Many(values)
                }
                (_, Some(value)) => Value::One(value),
                (_, None) => Value::Flag(true),
            }
        }
    }
}

impl From<&Source> for Place {
    fn from(source: &Source) -> Self {
        let words = source.to_string();
        let place = |source| Self {
            source,
            file: None,
            line: None,
            column: None,
            variable: None,
            words: words.clone(),
        };
        match source {
            Source::Default => place("default"),
            Source::CommandLine => place("command_line"),
            Source::Variable(name) => Self { variable: Some(name.clone()), ..place("environment") },
            Source::File(path, at) => Self {
                file: Some(path.display().to_string()),
                line: Some(at.line),
                column: Some(at.column),
                ..place("file")
            },
        }
    }
}

fn lines(rows: Vec<Row>, resolved: &Resolved) -> String {
    let warnings = resolved.warnings.iter().cloned();
    let records = rows
        .into_iter()
        .map(Record::Setting)
        .chain(warnings.map(|message| Record::Warning { message }));
    records.map(|record| serde_json::to_string(&record).unwrap_or_default() + "\n").collect()
}

fn words(value: &Value) -> String {
    match value {
        Value::Flag(on) => on.to_string(),
        Value::Times(times) => times.to_string(),
        Value::One(text) if text.is_empty() => "\"\"".into(),
        Value::One(text) => text.clone(),
        Value::Many(values) => values.join(" "),
    }
}

fn table(rows: &[Row], resolved: &Resolved) -> String {
    let cells: Vec<(String, String)> = rows
        .iter()
        .map(|row| {
            let value = row.value.as_ref().map_or_else(|| "-".into(), words);
            (format!("--{}", row.option), value)
        })
        .collect();
    let width = |of: fn(&(String, String)) -> &String| {
        cells.iter().map(|cell| of(cell).chars().count()).max().unwrap_or(0)
    };
    let (first, second) = (width(|cell| &cell.0), width(|cell| &cell.1).min(40));
    let mut text = String::new();
    for ((option, value), row) in cells.iter().zip(rows) {
        let from = if row.value.is_none() { "not set" } else { &row.from.words };
        // Writing to a String does not fail.
        let _ = writeln!(text, "{option:first$}  {value:second$}  {from}");
        for weaker in &row.overridden {
            let (value, from) = (words(&weaker.value), &weaker.from.words);
            let _ =
                writeln!(text, "{:first$}  {value} from {from} gives way to: {}", "", weaker.by);
        }
    }
    for file in &resolved.files {
        let _ = writeln!(text, "Read: {}", file.display());
    }
    text
}
