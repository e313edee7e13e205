//! The EJFAT control plane, as far as a client sees it.
//!
//! | module | holds |
//! |---|---|
//! | [`uri`] | where a load balancer is and who we are to it: the EJFAT URI |
//! | [`address`] | its parts: hosts, and addresses with ports |
//! | [`token`] | its secrets, by what they are for |
//! | [`error`] | why there is no such URI |
//! | `feedback` | from how full a worker is to what its load balancer is told |
//! | `registration` | a worker's registration, from one period to the next |
//! | `config` | what configuration files say, and where |
//! | `client` | the control plane's calls, by gRPC |
//! | `blocking` | the same for threads that wait |
#![forbid(unsafe_code)]

pub mod address;
#[cfg(feature = "client")]
pub mod blocking;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "config")]
pub mod config;
pub mod error;
mod escape;
#[cfg(feature = "client")]
pub mod feedback;
#[cfg(feature = "client")]
#[doc(hidden)]
pub mod message;
mod parse;
#[cfg(feature = "client")]
pub mod registration;
pub mod token;
pub mod uri;

pub use address::{DATA_PORT, Endpoint, Host};
#[cfg(feature = "client")]
pub use client::{
    LoadBalancer,
    error::{Error, ErrorKind, RpcCode},
    options::{Certificates, Family, Options, Trust},
    reservation::{Reserve, Reserved},
};
pub use error::{UriError, UriErrorKind};
pub use token::{Token, TokenKind};
pub use uri::EjfatUri;
