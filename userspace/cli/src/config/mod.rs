//! Configuration: options from files and the environment, below those of the
//! command line.
//!
//! | module | holds |
//! |---|---|
//! | [`options`] | what can be set, from the command line's own definition |
//! | [`setting`] | one option's value, and where it comes from |
//! | [`file`] | settings from TOML |
//! | [`e2sar`] | settings from E2SAR's INI files |
//! | [`variables`] | settings from the environment |
//! | [`layers`] | who wins, and who gives way |
//! | [`sources`] | which files there are |
//!
//! What is set ends up as options on the command line, and is read by the
//! parser that reads those: there is one definition of each option, and one
//! set of rules.

mod e2sar;
mod file;
mod layers;
pub(crate) mod options;
pub(crate) mod setting;
mod sources;
mod variables;

use std::{env, ffi::OsString, path::PathBuf, process};

use clap::{Arg, ArgMatches, Command, CommandFactory, error::ErrorKind, parser::ValueSource};

use layers::Line;
pub(crate) use layers::Overridden;
use options::Kind;
use setting::{Given, Setting, Source};
pub(crate) use sources::Surroundings;

use crate::{args::Cli, secret::redacted};

/// A command line with all that was configured.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    /// The line, with settings added to it.
    pub(crate) line: Vec<OsString>,
    /// Names of the command and of what is below it.
    pub(crate) path: Vec<String>,
    /// All that is set; options that nobody set are not here.
    pub(crate) settings: Vec<Setting>,
    /// What gave way to stronger settings.
    pub(crate) overridden: Vec<Overridden>,
    /// What is to be told.
    pub(crate) warnings: Vec<String>,
    /// Files that were read, the strongest first.
    pub(crate) files: Vec<PathBuf>,
}

/// Why there is no command line, or a call for help.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The parser's words, and where what it names comes from.
    Line(Box<clap::Error>, Vec<String>),
    /// What is wrong with files and variables.
    Configuration(Vec<String>),
}

impl Refusal {
    /// Tells it, and ends the process as the parser does.
    pub(crate) fn exit(&self) -> ! {
        match self {
            Self::Line(error, notes) => {
                let said = error.to_string();
                let clean = redacted(&said);
                if clean == said || !error.use_stderr() {
                    // In colour. Nobody may be there to read it.
                    let _ = error.print();
                } else {
                    eprint!("{clean}");
                }
                eprint!("{}", notes.concat());
                process::exit(error.exit_code())
            }
            Self::Configuration(_) => {
                eprint!("{self}");
                process::exit(2)
            }
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(error, notes) => {
                write!(f, "{}{}", redacted(&error.to_string()), notes.concat())
            }
            Self::Configuration(faults) => {
                faults.iter().try_for_each(|fault| writeln!(f, "error: {}", redacted(fault)))
            }
        }
    }
}

/// Reads the process' command line, environment and files.
///
/// # Errors
/// Help, version, or what is wrong: `exit()` does what each asks for.
pub(crate) fn read() -> Result<(Cli, Vec<String>), Refusal> {
    let line: Vec<_> = env::args_os().collect();
    let resolved = resolve(&line, &Surroundings::of_process())?;
    let cli = parse(&resolved)?;
    Ok((cli, resolved.warnings))
}

/// Reads a resolved line.
///
/// # Errors
/// The parser's, with the places of the settings that it names.
pub(crate) fn parse(resolved: &Resolved) -> Result<Cli, Refusal> {
    Cli::read(&resolved.line).map_err(|error| {
        // The usage below names all that was given.
        let text = error.to_string();
        let text = text.split("\nUsage:").next().unwrap_or_default();
        let elsewhere = resolved
            .settings
            .iter()
            .filter(|setting| setting.from != Source::CommandLine)
            .filter(|setting| text.lines().any(|line| layers::names(line, &setting.option)));
        let notes = elsewhere
            .map(|setting| format!("  --{} comes from {}\n", setting.option, setting.from))
            .collect();
        Refusal::Line(Box::new(error), notes)
    })
}

/// Adds to a line what files and environment set.
///
/// # Errors
/// What the line is refused for whatever they say, help and version among
/// it; and what is wrong with them.
pub(crate) fn resolve(line: &[OsString], around: &Surroundings) -> Result<Resolved, Refusal> {
    let usage = |error| Refusal::Line(Box::new(error), Vec::new());
    let mut strict = Cli::command();
    if let Err(error) = strict.try_get_matches_from_mut(line)
        && error.kind() != ErrorKind::MissingRequiredArgument
    {
        return Err(usage(error));
    }
    let mut root = Cli::command();
    root.build();
    let matches = lenient(line).map_err(usage)?;
    let (path, leaf) = descend(&matches);
    let Some(command) = options::at(&root, &path) else {
        // `config`, and sides of the demo: nothing is set for them.
        return Ok(Resolved { line: line.to_vec(), ..Resolved::default() });
    };
    let named = leaf.try_get_one::<PathBuf>("config").ok().flatten();
    let mut resolved = Resolved { path, ..Resolved::default() };
    let given: Vec<_> = command_line(command, leaf).collect();
    let mut faults = Vec::new();
    let mut layers = Vec::new();
    match variables::read(command, &resolved.path, &around.variables) {
        Ok((settings, warnings)) => {
            layers.push(settings);
            resolved.warnings.extend(warnings);
        }
        Err(wrong) => faults.extend(wrong),
    }
    for file in around.files(named.map(PathBuf::as_path)) {
        match sources::read(&root, command, &resolved.path, &file) {
            Ok(said) => {
                layers.extend(said.layers);
                resolved.warnings.extend(said.warnings);
                resolved.files.push(file.path);
            }
            Err(wrong) => faults.extend(wrong),
        }
    }
    if !faults.is_empty() {
        return Err(Refusal::Configuration(faults));
    }
    if let Some((environment, files)) = layers.split_first_mut()
        && !environment.iter().any(|setting| setting.option == "uri")
    {
        environment.extend(variables::uri(
            command,
            &resolved.path,
            &around.variables,
            &given,
            files,
        ));
    }
    let bare: Vec<OsString> =
        line.iter().take(1).cloned().chain(resolved.path.iter().map(OsString::from)).collect();
    let merged = Line { tokens: line, bare: &bare, given: &given }.merge(layers);
    resolved.line = layers::with(line, &merged.settings);
    resolved.settings = [given, merged.settings].concat();
    resolved.overridden = merged.overridden;
    Ok(resolved)
}

/// What a line says, whether or not something is missing from it.
///
/// # Errors
/// Help and version.
fn lenient(line: &[OsString]) -> Result<ArgMatches, clap::Error> {
    Cli::command().ignore_errors(true).try_get_matches_from(line)
}

/// The names of the command and of those below it, and what it is given.
fn descend(matches: &ArgMatches) -> (Vec<String>, &ArgMatches) {
    let (mut path, mut matches) = (Vec::new(), matches);
    while let Some((name, inner)) = matches.subcommand() {
        path.push(name.to_owned());
        matches = inner;
    }
    (path, matches)
}

/// The options that the command line itself gives.
fn command_line(command: &Command, matches: &ArgMatches) -> impl Iterator<Item = Setting> {
    options::settable(command)
        .filter(|arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine))
        .map(|arg| Setting::new(options::name(arg), value(arg, matches), Source::CommandLine))
}

/// What the line sets an option to.
fn value(arg: &Arg, matches: &ArgMatches) -> Given {
    let id = arg.get_id().as_str();
    match options::kind(arg) {
        Kind::Flag => Given::Flag(matches.get_flag(id)),
        Kind::Count => Given::Times(matches.get_count(id)),
        _ => {
            let values = matches.get_raw(id).into_iter().flatten();
            let values: Vec<_> = values.map(|value| value.to_string_lossy().into_owned()).collect();
            // There, but without the value that it may have.
            if values.is_empty() { Given::Flag(true) } else { Given::Values(values) }
        }
    }
}
