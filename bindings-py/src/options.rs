//! Keyword arguments to what the library's builders take.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use pyo3::{exceptions::PyTypeError, prelude::*, types::PyString};
use xdpsar::{
    AttachMode, Checksum, CopyMode, DATA_PORT, EjfatUri, Layout, Lend, TokenKind, UriError,
};

use crate::{error, uri::PyEjfatUri};

/// How the XDP program is attached.
pub(crate) const ATTACHES: &[(&str, AttachMode)] =
    &[("auto", AttachMode::Auto), ("native", AttachMode::Native), ("generic", AttachMode::Generic)];

/// Who receives from which queue.
pub(crate) const LAYOUTS: &[(&str, Layout)] = &[
    ("auto", Layout::Auto),
    ("queue-per-core", Layout::QueuePerCore),
    ("fan-out", Layout::FanOut),
];

/// What is asked of UDP checksums.
pub(crate) const CHECKSUMS: &[(&str, Checksum)] =
    &[("auto", Checksum::Auto), ("off", Checksum::Off), ("strict", Checksum::Strict)];

/// What AF_XDP does with packets, on either side.
pub(crate) const COPIES: &[(&str, CopyMode)] =
    &[("auto", CopyMode::Auto), ("copy", CopyMode::Copy), ("zero-copy", CopyMode::ZeroCopy)];

/// The value that a word stands for.
///
/// # Errors
/// `UsageError`, with the words that there are.
pub(crate) fn word<T: Copy>(
    py: Python<'_>,
    name: &str,
    given: &str,
    words: &[(&str, T)],
) -> PyResult<T> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == given) {
        return Ok(*value);
    }
    let words: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
    Err(error::usage(
        py,
        &format!("{name}={given:?}"),
        "there is no such choice",
        &format!("choose from {}", words.join(", ")),
    ))
}

/// Whether events stay where AF_XDP has put them. Lent ones cannot be written
/// to.
pub(crate) fn lend(py: Python<'_>, given: &str, readonly_events: bool) -> PyResult<Lend> {
    let auto = if readonly_events { Lend::Auto } else { Lend::Off };
    word(py, "lend", given, &[("auto", auto), ("on", Lend::On), ("off", Lend::Off)])
}

/// An address: text, or one of the classes of `ipaddress`.
pub(crate) fn ip(given: &Bound<'_, PyAny>) -> PyResult<IpAddr> {
    let py = given.py();
    let text = match given.cast::<PyString>() {
        Ok(text) => text.to_str()?.to_owned(),
        // What `ipaddress` has in common.
        Err(_) if given.hasattr("packed")? => given.str()?.to_str()?.to_owned(),
        Err(_) => {
            return Err(PyTypeError::new_err(format!(
                "an IP address of type {}: give a str, or an IPv4Address or IPv6Address",
                given.get_type().name()?
            )));
        }
    };
    text.parse().map_err(|_| {
        error::usage(
            py,
            &format!("the IP address {text:?}"),
            "that is none",
            "write one such as \"10.0.0.7\" or \"fd00::7\"; names are not looked up",
        )
    })
}

/// A URI: of our class, or its text.
pub(crate) fn uri(given: &Bound<'_, PyAny>) -> PyResult<EjfatUri> {
    let py = given.py();
    if let Ok(uri) = given.cast::<PyEjfatUri>() {
        return Ok(uri.get().inner().clone());
    }
    let text = given
        .cast::<PyString>()
        .map_err(|_| PyTypeError::new_err("an EJFAT URI: give an EjfatUri, or its text"))?;
    EjfatUri::parse(text.to_str()?, TokenKind::default()).map_err(|error| error::uri(py, &error))
}

/// Where to send: an EJFAT URI, or an address as [`socket_address`] has it.
pub(crate) enum Target {
    Uri(Box<EjfatUri>),
    Address(SocketAddr),
}

impl Target {
    pub(crate) fn new(given: &Bound<'_, PyAny>) -> PyResult<Self> {
        match given.cast::<PyString>() {
            Ok(text) if !text.to_str()?.contains("://") => {
                socket_address(given.py(), "send to", text.to_str()?).map(Self::Address)
            }
            _ => uri(given).map(Box::new).map(Self::Uri),
        }
    }

    /// Where events go.
    pub(crate) fn address(&self) -> Result<SocketAddr, UriError> {
        match self {
            Self::Uri(uri) => uri.data_addr(),
            Self::Address(to) => Ok(*to),
        }
    }
}

/// The address to receive at: the one named, or ours towards the URI's data
/// address.
pub(crate) fn listen(
    py: Python<'_>,
    uri: Option<&EjfatUri>,
    data_ip: Option<&Bound<'_, PyAny>>,
) -> PyResult<IpAddr> {
    match (data_ip, uri) {
        (Some(data_ip), _) => ip(data_ip),
        (None, Some(uri)) => uri
            .data_addr()
            .map_err(xdpsar::Error::from)
            .and_then(|to| Ok(xdpsar::local_address_towards(to.ip())?))
            .map_err(|error| error::from_library(py, &error)),
        (None, None) => Err(error::usage(
            py,
            "a reassembler without an address",
            "neither data_ip nor uri is given",
            "give the address to receive at as data_ip, or the EJFAT URI whose load balancer it \
             faces",
        )),
    }
}

/// Address and port: `"10.0.0.1:19522"`, `"[fd00::1]:19522"`, or without the
/// port, which is 19522 then.
pub(crate) fn socket_address(py: Python<'_>, what: &str, text: &str) -> PyResult<SocketAddr> {
    let with_port = text.parse().ok();
    let bare = || text.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, DATA_PORT));
    with_port.or_else(bare).ok_or_else(|| {
        error::usage(
            py,
            &format!("{what} {text:?}"),
            "that is no address",
            "write one such as \"10.0.0.1:19522\" or \"[fd00::1]:19522\"; names are not looked up",
        )
    })
}

/// A time in seconds.
///
/// # Errors
/// `UsageError`: negative, not a number, or too long.
pub(crate) fn seconds(py: Python<'_>, name: &str, given: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(given).map_err(|_| {
        error::usage(py, &format!("{name}={given}"), "that is no time in seconds", "give 0 or more")
    })
}
