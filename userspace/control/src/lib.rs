//! The EJFAT control plane, as far as a client sees it.
//!
//! | module | holds |
//! |---|---|
//! | [`uri`] | where a load balancer is and who we are to it: the EJFAT URI |
//! | [`address`] | its parts: hosts, and addresses with ports |
//! | [`token`] | its secrets, by what they are for |
//! | [`error`] | why there is no such URI |
#![forbid(unsafe_code)]

pub mod address;
pub mod error;
mod escape;
mod parse;
pub mod token;
pub mod uri;

pub use address::{DATA_PORT, Endpoint, Host};
pub use error::{UriError, UriErrorKind};
pub use token::{Token, TokenKind};
pub use uri::EjfatUri;
