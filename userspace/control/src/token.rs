//! Secrets, by what they are for (`control-plane.md` §5.1).

use std::fmt;

/// What a token is for. The number is the control plane's resource type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Everything.
    All = 0,
    /// A load balancer, and what is reserved on it. The kind that a URI's
    /// token is taken for unless told otherwise.
    #[default]
    Admin = 1,
    /// One reservation.
    Instance = 2,
    /// One worker's session.
    Session = 3,
}

impl TokenKind {
    /// All of them, by number.
    pub const ALL: [Self; 4] = [Self::All, Self::Admin, Self::Instance, Self::Session];

    /// The kinds whose tokens serve for this one, the narrowest first: a
    /// broader token covers what a narrower one does.
    pub const fn served_by(self) -> &'static [Self] {
        match self {
            Self::Session => &[Self::Session, Self::Instance, Self::Admin, Self::All],
            Self::Instance => &[Self::Instance, Self::Admin, Self::All],
            // Which of the two a token is, is only known to the server.
            Self::Admin => &[Self::Admin, Self::All],
            Self::All => &[Self::All, Self::Admin],
        }
    }
}

/// A secret. Only [`reveal`](Self::reveal) shows it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(String);

impl Token {
    /// A token; `None` from an empty text, which is none.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (!text.is_empty()).then_some(Self(text))
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}
