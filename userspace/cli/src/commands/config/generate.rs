//! A commented file: what is set, and all else with its default.

use std::fmt::Write;

use clap::{Arg, Command};

use crate::config::{
    options::{self, Element, Kind},
    setting::{self, Given, Setting, Source},
};

const WIDTH: usize = 98;

/// The tables on the way to the command at `path`; `all`: and all below it.
pub(super) fn text(root: &Command, path: &[String], settings: &[Setting], all: bool) -> String {
    let mut text = format!(
        "# Configuration of xdpsar {}. `xdpsar config --help` says which files are read, and who wins.\n\
         # A line that is commented out shows the default, or in angle brackets what belongs there.\n",
        env!("CARGO_PKG_VERSION")
    );
    for depth in 0..path.len() {
        if let Some(command) = options::at(root, &path[..depth]) {
            table(&mut text, command, &path[..depth], settings);
        }
    }
    if let Some(command) = options::at(root, path) {
        tree(&mut text, command, &mut path.to_vec(), settings, all);
    }
    text
}

fn tree(
    text: &mut String,
    command: &Command,
    path: &mut Vec<String>,
    settings: &[Setting],
    all: bool,
) {
    table(text, command, path, settings);
    for inner in options::inner(command).filter(|_| all) {
        path.push(inner.get_name().to_owned());
        tree(text, inner, path, settings, all);
        path.pop();
    }
}

/// A command's own options; those of the commands above it are in theirs.
fn table(text: &mut String, command: &Command, path: &[String], settings: &[Setting]) {
    let own: Vec<&Arg> = options::settable(command).collect();
    if own.is_empty() {
        return;
    }
    text.push('\n');
    if !path.is_empty() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        comment(text, "", &about);
        line(text, &format!("[{}]", path.join(".")));
    }
    let mut heading = None;
    for arg in own {
        text.push('\n');
        if arg.get_help_heading() != heading {
            heading = arg.get_help_heading();
            line(text, &format!("# --- {} ---\n", heading.unwrap_or("General")));
        }
        let name = options::name(arg);
        about(text, arg);
        match settings.iter().find(|setting| setting.option == name) {
            Some(setting) => set(text, arg, setting),
            None => line(text, &format!("#{name} = {}", default(arg))),
        }
    }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// A comment, wrapped.
fn comment(text: &mut String, indent: &str, words: &str) {
    for paragraph in words.lines() {
        let mut row = String::new();
        for word in paragraph.split_whitespace() {
            if !row.is_empty() && row.chars().count() + word.chars().count() >= WIDTH - indent.len()
            {
                line(text, &format!("# {indent}{row}"));
                row.clear();
            }
            let space = if row.is_empty() { "" } else { " " };
            // Writing to a String does not fail.
            let _ = write!(row, "{space}{word}");
        }
        line(text, &format!("# {indent}{row}"));
    }
}

/// What the help says of an option.
fn about(text: &mut String, arg: &Arg) {
    let help = arg.get_long_help().or_else(|| arg.get_help());
    comment(text, "", &help.map(ToString::to_string).unwrap_or_default());
    if matches!(options::kind(arg), Kind::Flag) {
        return;
    }
    for word in arg.get_possible_values().iter().filter(|word| !word.is_hide_set()) {
        let help = word.get_help().map(|help| format!(": {help}")).unwrap_or_default();
        comment(text, "  ", &format!("{}{help}", word.get_name()));
    }
}

/// A line that sets an option, and where it was set.
fn set(text: &mut String, arg: &Arg, setting: &Setting) {
    let name = options::name(arg);
    let written = match &setting.value {
        Given::Flag(on) => on.to_string(),
        Given::Times(times) => times.to_string(),
        Given::Values(values) => {
            if values.iter().any(|value| setting::is_secret(name, value)) {
                line(text, "# Not written, as there is a token in it:");
                let shown: Vec<_> =
                    values.iter().map(|value| setting::shown(name, value)).collect();
                line(text, &format!("#{name} = {}", literal(options::kind(arg), &shown)));
                return;
            }
            literal(options::kind(arg), values)
        }
    };
    if matches!(setting.from, Source::File(..) | Source::Variable(_)) {
        comment(text, "", &format!("From {}.", setting.from));
    }
    line(text, &format!("{name} = {written}"));
}

/// The default, or what to put there.
fn default(arg: &Arg) -> String {
    match (options::default(arg), options::kind(arg)) {
        (Some(Given::Flag(on)), _) => on.to_string(),
        (Some(Given::Times(times)), _) => times.to_string(),
        (Some(Given::Values(values)), kind) => literal(kind, &values),
        (None, Kind::Many(_)) => format!("[{}]", quoted(&placeholder(arg))),
        (None, _) => quoted(&placeholder(arg)),
    }
}

fn placeholder(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
    let word = if names.is_empty() { options::name(arg).to_uppercase() } else { names.join(" ") };
    format!("<{word}>")
}

/// Values in TOML.
fn literal(kind: Kind, values: &[String]) -> String {
    let one = |of: Element, value: &String| {
        let is_number = match of {
            Element::Whole => value.parse::<i128>().is_ok(),
            Element::Number => value.parse::<f64>().is_ok_and(f64::is_finite),
            Element::Text | Element::Either | Element::Commas => false,
        };
        if is_number { number(value) } else { quoted(value) }
    };
    match (kind, values) {
        (Kind::Many(of), values) => {
            let values: Vec<_> = values.iter().map(|value| one(of, value)).collect();
            format!("[{}]", values.join(", "))
        }
        (Kind::One { of, .. }, [value]) => one(of, value),
        // An option whose value may be left out, and was.
        _ => "true".into(),
    }
}

/// A number as TOML has it: `.5`, `5.`, `+5` and `007` it does not have.
fn number(value: &str) -> String {
    match (value.parse::<i128>(), value.parse::<f64>()) {
        (Ok(whole), _) => whole.to_string(),
        (_, Ok(number)) => format!("{number:?}"),
        _ => quoted(value),
    }
}

/// A text as TOML has it.
fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for char in value.chars() {
        match char {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            char if char.is_control() => {
                let _ = write!(text, "\\u{:04X}", u32::from(char));
            }
            char => text.push(char),
        }
    }
    text + "\""
}
