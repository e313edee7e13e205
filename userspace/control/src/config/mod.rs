//! What configuration files say, and where: TOML ([`toml`]) and INI
//! ([`ini`]), E2SAR's among them ([`e2sar`]).
//!
//! Reading is apart from meaning: here are keys, values and their places.
//! What a key means, the command's own options say.

use std::fmt;

pub mod e2sar;
pub mod ini;
pub mod toml;

/// A place in a text, from 1 on; columns are characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    /// That of the byte `at`.
    fn of(text: &str, at: usize) -> Self {
        let mut at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let before = &text[..at];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { line: before.matches('\n').count() + 1, column: before[start..].chars().count() + 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}")]
pub struct Fault {
    /// Where.
    pub at: Position,
    /// What.
    pub message: String,
}

impl Fault {
    /// A new fault.
    pub fn new(at: Position, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// A value as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// Another number, as it is written.
    Float(String),
    /// Text, or a moment.
    Text(String),
    /// Several of them.
    List(Vec<Value>),
}

impl Value {
    /// What kind of value it is, in a person's words.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "true or false",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number with a fraction",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
        }
    }
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The table or section that it stands in; empty at the file's top.
    pub table: Vec<String>,
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_at: Position,
    /// The value.
    pub value: Value,
    /// Where the value stands.
    pub value_at: Position,
}

/// All that a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// Tables or sections, those without keys as well.
    pub tables: Vec<(Vec<String>, Position)>,
    /// Keys, in the file's order.
    pub entries: Vec<Entry>,
}

/// The one of these words that `word` most likely should have been.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |word: &str| word.to_ascii_lowercase().replace(['-', '_'], "");
    let word = plain(word);
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&word, &plain(known)), known))
        // One slip in three letters is a slip; more is another word.
        .filter(|(slips, known)| 3 * slips <= word.len().max(known.len()))
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, known)| known)
}

/// `; did you mean x?`, or nothing.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |known| format!("; did you mean {known}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let text = "a\nβγ = 1\n";
        for (at, line, column) in [(0, 1, 1), (2, 2, 1), (4, 2, 2), (6, 2, 3), (99, 3, 1)] {
            assert_eq!(Position::of(text, at), Position { line, column }, "{at}");
        }
    }

    #[test]
    fn slips() {
        let known = ["workers", "lb-header", "timeout"];
        assert_eq!(nearest("worker", known), Some("workers"));
        assert_eq!(nearest("LB_Header", known), Some("lb-header"));
        assert_eq!(nearest("tiemout", known), Some("timeout"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(did_you_mean("timout", known), "; did you mean timeout?");
        assert_eq!(did_you_mean("x", known), "");
    }
}
