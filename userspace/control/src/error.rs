//! Why there is no such URI.

/// A failure to get a URI, or something that it should name. No text of it
/// has a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{asked}: {found}; {remedy}")]
pub struct UriError {
    /// What kind of failure it is, for programs.
    pub kind: UriErrorKind,
    /// What was asked for.
    pub asked: String,
    /// What was found instead.
    pub found: String,
    /// What to do about it.
    pub remedy: String,
}

/// Kinds of [`UriError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UriErrorKind {
    /// The environment variable is not set.
    NotSet,
    /// The file is not there, or cannot be read.
    NotFound,
    /// Variable, file or text have nothing in them.
    Empty,
    /// Not an EJFAT URI.
    Bad,
    /// The URI is one, but does not say this.
    Missing,
    /// The host's name or the address's zone is not known here.
    Unresolved,
}

impl UriErrorKind {
    /// Its name in programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSet => "not_set",
            Self::NotFound => "not_found",
            Self::Empty => "empty",
            Self::Bad => "bad",
            Self::Missing => "missing",
            Self::Unresolved => "unresolved",
        }
    }
}

impl UriError {
    /// A new error; see the type for the three texts.
    pub fn new(
        kind: UriErrorKind,
        asked: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { kind, asked: asked.into(), found: found.into(), remedy: remedy.into() }
    }
}
