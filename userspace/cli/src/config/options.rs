//! What can be set, for which command: all of it taken from the command
//! line's own definition, so that no option can be forgotten.

use std::{any::TypeId, ffi::OsString, path::PathBuf};

use clap::{Arg, ArgAction, Command, error::ErrorKind};

use super::setting::{Given, shown};
use crate::args::values::{Cores, Sizes};

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To be there, or not.
    Flag,
    /// To be there several times.
    Count,
    /// One value; `bare`: or none, only to be there.
    One { of: Element, bare: bool },
    /// Any number of values.
    Many(Element),
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    /// Any text.
    Text,
    /// A whole number, without a unit.
    Whole,
    /// A number.
    Number,
    /// A number, or a text such as `500ms` or `0-3`.
    Either,
    /// As `Either`, or a list of them.
    Commas,
}

/// Whether files and variables may set it. A confirmation has to be given
/// each time, and a file does not name another.
pub(crate) fn is_settable(arg: &Arg) -> bool {
    !arg.is_positional()
        && !arg.is_hide_set()
        && !matches!(
            arg.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        )
        && arg.get_long().is_some_and(|long| long != "config" && !long.starts_with("yes-"))
}

/// The long name of an option that can be set.
pub(crate) fn name(arg: &Arg) -> &str {
    arg.get_long().unwrap_or_else(|| arg.get_id().as_str())
}

/// The options of this command that can be set.
pub(crate) fn settable(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| is_settable(arg))
}

/// The option of this name, in one of its two spellings.
pub(crate) fn find<'a>(command: &'a Command, key: &str) -> Option<&'a Arg> {
    let key = key.replace('_', "-");
    settable(command).find(|arg| name(arg) == key)
}

/// The commands within this one that do something.
pub(crate) fn inner(command: &Command) -> impl Iterator<Item = &Command> {
    command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set() && !["config", "help"].contains(&inner.get_name()))
}

/// The command at this path.
pub(crate) fn at<'a>(root: &'a Command, path: &[String]) -> Option<&'a Command> {
    path.iter()
        .try_fold(root, |command, name| inner(command).find(|inner| inner.get_name() == name))
}

/// All commands within this one, and itself, that do something on their own.
pub(crate) fn leaves(command: &Command) -> Vec<&Command> {
    match inner(command).map(leaves).collect::<Vec<_>>() {
        none if none.is_empty() => vec![command],
        all => all.concat(),
    }
}

/// What an option takes.
pub(crate) fn kind(arg: &Arg) -> Kind {
    match arg.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse => Kind::Flag,
        ArgAction::Count => Kind::Count,
        ArgAction::Append => Kind::Many(element(arg)),
        _ => {
            let bare = arg.get_num_args().is_some_and(|range| range.min_values() == 0);
            Kind::One { of: element(arg), bare }
        }
    }
}

/// What it is set to if nobody sets it; nothing if it has no such value.
pub(crate) fn default(arg: &Arg) -> Option<Given> {
    let values = arg.get_default_values();
    let text = |value: &clap::builder::OsStr| value.to_string_lossy().into_owned();
    match kind(arg) {
        Kind::Flag => Some(Given::Flag(false)),
        Kind::Count => Some(Given::Times(0)),
        _ if values.is_empty() => None,
        _ => Some(Given::Values(values.iter().map(text).collect())),
    }
}

fn element(arg: &Arg) -> Element {
    let parsed = arg.get_value_parser().type_id();
    let is_one_of = |types: &[TypeId]| types.iter().any(|known| parsed == *known);
    if is_one_of(&[TypeId::of::<String>(), TypeId::of::<PathBuf>(), TypeId::of::<OsString>()]) {
        return Element::Text;
    }
    if is_one_of(&[TypeId::of::<Cores>(), TypeId::of::<Sizes>()]) {
        return Element::Commas;
    }
    if is_one_of(&[TypeId::of::<f32>(), TypeId::of::<f64>()]) {
        return Element::Number;
    }
    let whole = [
        TypeId::of::<u8>(),
        TypeId::of::<u16>(),
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<usize>(),
        TypeId::of::<i32>(),
        TypeId::of::<i64>(),
    ];
    // Sizes are whole numbers, too, but people write them with a unit.
    let has_units = || refusal(arg, "1Ki").is_none();
    if is_one_of(&whole) && !has_units() { Element::Whole } else { Element::Either }
}

/// Why the option does not take this value.
pub(crate) fn refusal(arg: &Arg, value: &str) -> Option<String> {
    // Only the value counts here, not what else must or must not be there.
    let mut alone = Arg::new("it").long("it").value_parser(arg.get_value_parser().clone());
    if !matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) {
        return None;
    }
    alone = alone.action(ArgAction::Set).num_args(1);
    let line = ["it".to_owned(), format!("--it={value}")];
    let error = Command::new("it").arg(alone).try_get_matches_from(line).err()?;
    let shown = shown(name(arg), value);
    let words: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|word| !word.is_hide_set())
        .map(|word| word.get_name().to_owned())
        .collect();
    Some(match error.kind() {
        ErrorKind::InvalidValue if !words.is_empty() => {
            format!("`{shown}` is none of {}", words.join(", "))
        }
        _ => match std::error::Error::source(&error) {
            Some(why) => why.to_string().replace(value, &shown),
            None => format!("`{shown}` is no such value"),
        },
    })
}

/// Why the option does not take what is given.
pub(crate) fn complaint(arg: &Arg, given: &Given) -> Option<String> {
    match given {
        Given::Values(values) => values.iter().find_map(|value| refusal(arg, value)),
        Given::Flag(_) | Given::Times(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    fn root() -> Command {
        let mut root = Cli::command();
        root.build();
        root
    }

    fn of(path: &str, option: &str) -> Kind {
        let root = root();
        let path: Vec<_> = path.split(' ').map(str::to_owned).collect();
        kind(find(at(&root, &path).unwrap(), option).unwrap())
    }

    #[test]
    fn kinds_come_from_the_definition() {
        let one = |of| Kind::One { of, bare: false };
        assert_eq!(of("recv", "json"), Kind::Flag);
        assert_eq!(of("recv", "verbose"), Kind::Count);
        assert_eq!(of("recv", "workers"), one(Element::Whole));
        assert_eq!(of("recv", "ports"), one(Element::Whole));
        assert_eq!(of("send", "rate"), one(Element::Number));
        assert_eq!(of("recv", "memory"), one(Element::Either));
        assert_eq!(of("recv", "socket_buffer"), one(Element::Either));
        assert_eq!(of("recv", "listen"), one(Element::Either));
        assert_eq!(of("recv", "timeout"), one(Element::Either));
        assert_eq!(of("recv", "out"), one(Element::Text));
        assert_eq!(of("recv", "cores"), one(Element::Commas));
        assert_eq!(of("send", "input"), Kind::Many(Element::Text));
        assert_eq!(of("recv", "manifest"), Kind::One { of: Element::Whole, bare: true });
    }

    #[test]
    fn every_option_has_a_default_that_it_takes() {
        for leaf in leaves(&root()) {
            for arg in settable(leaf) {
                let default = default(arg);
                let complaint = default.as_ref().and_then(|default| complaint(arg, default));
                assert_eq!(complaint, None, "{} --{}", leaf.get_name(), name(arg));
                // Clap's own idea of the environment would not know its place.
                assert_eq!(arg.get_env(), None, "{} --{}", leaf.get_name(), name(arg));
            }
        }
    }

    #[test]
    fn what_cannot_be_set() {
        let root = root();
        let recv = at(&root, &["recv".into()]).unwrap();
        for key in ["config", "help", "nonsense"] {
            assert!(find(recv, key).is_none(), "{key}");
        }
        for path in [["config"], ["demo-side"], ["help"]] {
            assert!(at(&root, &path.map(str::to_owned)).is_none(), "{path:?}");
        }
    }

    #[test]
    fn refusals_say_what_is_taken_and_hide_tokens() {
        let root = root();
        let recv = at(&root, &["recv".into()]).unwrap();
        let why = |option, value| refusal(find(recv, option).unwrap(), value);
        assert_eq!(why("backend", "x").unwrap(), "`x` is none of auto, xdp, socket");
        assert_eq!(why("workers", "4"), None);
        let told = why("listen", "ejfat://secret@h:1/").unwrap();
        assert!(!told.contains("secret"), "{told}");
    }
}
