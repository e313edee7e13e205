//! One option's value, and where it comes from.

use std::{fmt, path::Path, rc::Rc};

use xdpsar::EjfatUri;
use xdpsar_control::config::Position;

/// An option that somebody set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The option's long name.
    pub(crate) option: String,
    pub(crate) value: Given,
    pub(crate) from: Source,
    /// It goes without a word where what it requires is not there.
    pub(crate) weak: bool,
}

/// A value, as the command line would have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// Whether the option is there, without a value.
    Flag(bool),
    /// So many times, without a value.
    Times(u8),
    /// With this value, or once with each of these.
    Values(Vec<String>),
}

/// Who set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Default,
    File(Rc<Path>, Position),
    Variable(String),
    CommandLine,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, at) => write!(f, "{}:{at}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

impl Setting {
    pub(crate) fn new(option: impl Into<String>, value: Given, from: Source) -> Self {
        Self { option: option.into(), value, from, weak: false }
    }

    /// What stands on a command line for it.
    pub(crate) fn tokens(&self) -> Vec<String> {
        let option = format!("--{}", self.option);
        match &self.value {
            Given::Flag(on) => on.then_some(option).into_iter().collect(),
            Given::Times(times) => vec![option; usize::from(*times)],
            Given::Values(values) => {
                values.iter().map(|value| format!("{option}={value}")).collect()
            }
        }
    }
}

/// Whether nobody but the command itself may see this option's value.
pub(crate) fn is_secret(option: &str, value: &str) -> bool {
    option.split('-').any(|word| word == "token") || uri_at(value).is_some()
}

/// A value for people to see: without tokens.
pub(crate) fn shown(option: &str, value: &str) -> String {
    match uri_at(value) {
        // The rest of it is no secret, and helps.
        Some(uri) => uri.map_or_else(|| "ejfat://***".into(), |uri| uri.to_string()),
        None if is_secret(option, value) => "***".into(),
        None => value.into(),
    }
}

/// Some: it is meant to be an EJFAT URI; inside: and is one.
fn uri_at(value: &str) -> Option<Option<EjfatUri>> {
    value
        .to_ascii_lowercase()
        .contains("ejfat")
        .then(|| value.parse().ok())
        .filter(|uri| uri.is_some() || value.contains("://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_a_command_line() {
        let tokens = |value| Setting::new("some-thing", value, Source::Default).tokens().join(" ");
        assert_eq!(tokens(Given::Flag(true)), "--some-thing");
        assert_eq!(tokens(Given::Flag(false)), "");
        assert_eq!(tokens(Given::Times(2)), "--some-thing --some-thing");
        let values = vec!["-1".to_owned(), "b c".to_owned()];
        assert_eq!(tokens(Given::Values(values)), "--some-thing=-1 --some-thing=b c");
    }

    #[test]
    fn tokens_are_hidden() {
        let uri = "ejfats://secret@lb.example:18008/lb/7?data=192.0.2.7";
        let open = shown("uri", uri);
        assert!(open.contains("***@lb.example") && !open.contains("secret"), "{open}");
        for (option, value) in [
            ("uri", "EJFAT://secret@"),
            ("upstream", "x ejfat://secret@h:1/"),
            ("token", "secret"),
            ("admin-token", "secret"),
        ] {
            assert!(!shown(option, value).contains("secret"), "{option} {value}");
            assert!(is_secret(option, value));
        }
        assert_eq!(shown("out", "events/"), "events/");
        assert_eq!(shown("uri", "file:/run/ejfat"), "file:/run/ejfat");
        assert!(!is_secret("uri", "file:/run/ejfat"));
    }
}
