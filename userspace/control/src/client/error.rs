//! Why a call to the control plane failed.

use std::{error::Error as _, fmt};

use tonic::{Code, Status};

use super::connect::ConnectError;
use crate::{error::UriError, token::Token};

/// A failed call. No text of it has a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{asked}: {found}; {remedy}")]
pub struct Error {
    /// What kind of failure it is, for programs.
    pub kind: ErrorKind,
    /// gRPC's code, if the server or the way to it refused.
    pub code: Option<RpcCode>,
    /// What was asked for, and whom.
    pub asked: String,
    /// What was found instead: the server's words, where it said something.
    pub found: String,
    /// What to do about it.
    pub remedy: String,
}

/// Kinds of [`Error`], with the numbers that E2SAR gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A text is not what it should be.
    Parse = 2,
    /// A value that no server would take: it was not sent.
    Parameter = 3,
    /// The URI lacks what the call needs: a token, a load balancer's id.
    ParameterNotAvailable = 4,
    /// There is no such thing: a file, a time series.
    NotFound = 7,
    /// The server refused, or could not be reached: see [`Error::code`].
    Rpc = 8,
    /// Called from where it cannot be.
    Logic = 11,
    /// The system refused.
    System = 12,
    /// An answer that makes no sense.
    Data = 13,
}

impl ErrorKind {
    /// E2SAR's number.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// gRPC's codes, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "named as gRPC names them")]
pub enum RpcCode {
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl From<Code> for RpcCode {
    fn from(code: Code) -> Self {
        match code {
            Code::Cancelled => Self::Cancelled,
            // A failed call cannot be all right.
            Code::Ok | Code::Unknown => Self::Unknown,
            Code::InvalidArgument => Self::InvalidArgument,
            Code::DeadlineExceeded => Self::DeadlineExceeded,
            Code::NotFound => Self::NotFound,
            Code::AlreadyExists => Self::AlreadyExists,
            Code::PermissionDenied => Self::PermissionDenied,
            Code::ResourceExhausted => Self::ResourceExhausted,
            Code::FailedPrecondition => Self::FailedPrecondition,
            Code::Aborted => Self::Aborted,
            Code::OutOfRange => Self::OutOfRange,
            Code::Unimplemented => Self::Unimplemented,
            Code::Internal => Self::Internal,
            Code::Unavailable => Self::Unavailable,
            Code::DataLoss => Self::DataLoss,
            Code::Unauthenticated => Self::Unauthenticated,
        }
    }
}

impl fmt::Display for RpcCode {
    /// As gRPC writes it: `PERMISSION_DENIED`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, char) in format!("{self:?}").char_indices() {
            if at > 0 && char.is_ascii_uppercase() {
                f.write_str("_")?;
            }
            write!(f, "{}", char.to_ascii_uppercase())?;
        }
        Ok(())
    }
}

impl Error {
    /// A new error; see the type for the three texts.
    pub fn new(
        kind: ErrorKind,
        asked: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let (asked, found, remedy) = (asked.into(), found.into(), remedy.into());
        Self { kind, code: None, asked, found, remedy }
    }

    /// Whether the same call may succeed a little later.
    pub const fn is_retryable(&self) -> bool {
        matches!(self.code, Some(RpcCode::Unavailable | RpcCode::DeadlineExceeded))
    }

    /// Whether the token was refused. Of one that worked before, this says
    /// that its reservation or session is gone: there is no other sign of
    /// that.
    pub const fn is_denied(&self) -> bool {
        matches!(self.code, Some(RpcCode::PermissionDenied | RpcCode::Unauthenticated))
    }

    pub(super) fn parameter(
        asked: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(ErrorKind::Parameter, asked, found, remedy)
    }

    /// An answer that makes no sense.
    pub(super) fn data(asked: impl Into<String>, found: impl Into<String>) -> Self {
        let remedy =
            "compare the versions of server and client, and report it to the former's operators";
        Self::new(ErrorKind::Data, asked, found, remedy)
    }

    /// Without this secret, which the server may have quoted.
    pub(super) fn hide(self, secret: &Token) -> Self {
        let found = redact(self.found, std::slice::from_ref(secret));
        Self { found, ..self }
    }

    pub(super) fn deadline(asked: String, after: std::time::Duration, connecting: bool) -> Self {
        let (found, remedy) = if connecting {
            ("no connection", "check host, port and firewall")
        } else {
            ("connected, but no answer", "ask whether the server is overloaded, or wait longer")
        };
        let code = Some(RpcCode::DeadlineExceeded);
        let found = format!("{found} within {after:?}");
        Self { code, ..Self::new(ErrorKind::Rpc, asked, found, remedy) }
    }

    /// What the server said, or why it could not be asked.
    /// `plain`: without TLS.
    pub(super) fn rpc(asked: String, status: &Status, secrets: &[Token], plain: bool) -> Self {
        if let Some(why) = cause::<ConnectError>(status) {
            let code = Some(RpcCode::Unavailable);
            return Self { code, ..Self::new(ErrorKind::Rpc, asked, &why.found, &why.remedy) };
        }
        // Broken off, in whichever layer, rather than said by the server.
        // What it sends has no cause.
        let broken = status.source().is_some();
        let code = if broken { RpcCode::Unavailable } else { status.code().into() };
        let words = if broken { chain(status) } else { status.message().to_owned() };
        let words = redact(words, secrets);
        let found = match words.as_str() {
            "" => format!("{code}"),
            words => format!("{code}: {words}"),
        };
        let remedy = match broken && plain {
            true => {
                "try again a little later; if it never works, the server may want TLS: ejfats://"
            }
            false => remedy(code),
        };
        Self { code: Some(code), ..Self::new(ErrorKind::Rpc, asked, found, remedy) }
    }
}

impl From<UriError> for Error {
    fn from(error: UriError) -> Self {
        use crate::error::UriErrorKind as Uri;
        let kind = match error.kind {
            Uri::NotSet | Uri::Missing => ErrorKind::ParameterNotAvailable,
            Uri::NotFound | Uri::Unresolved => ErrorKind::NotFound,
            Uri::Empty | Uri::Bad => ErrorKind::Parse,
        };
        Self::new(kind, error.asked, error.found, error.remedy)
    }
}

const fn remedy(code: RpcCode) -> &'static str {
    match code {
        RpcCode::Unauthenticated => "put a token into the URI: ejfat://TOKEN@host:port",
        RpcCode::PermissionDenied => {
            "check that the reservation or session still exists and that the token is one for it"
        }
        RpcCode::InvalidArgument => "correct what the server names",
        RpcCode::ResourceExhausted => "free a reservation, or wait until one ends",
        RpcCode::FailedPrecondition => "see to what the server names first",
        RpcCode::Unimplemented => "the server is older than this call: do without it, or update it",
        RpcCode::NotFound => "check the id",
        RpcCode::Unavailable | RpcCode::DeadlineExceeded | RpcCode::Cancelled => {
            "try again a little later"
        }
        _ => "check that what it concerns exists; the server's log may say more",
    }
}

/// What a server or library says may quote what it was sent.
fn redact(mut words: String, secrets: &[Token]) -> String {
    for secret in secrets {
        words = words.replace(secret.reveal(), "***");
    }
    words
}

/// The first error of this type among the status' causes.
fn cause<E: std::error::Error + 'static>(status: &Status) -> Option<&E> {
    let mut next = status.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// All causes, the first one last.
fn chain(status: &Status) -> String {
    let mut words = status.message().to_owned();
    let mut next = status.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        next = error.source();
    }
    words
}
