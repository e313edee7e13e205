//! Keyword arguments to what the library's builders take.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use pyo3::{exceptions::PyTypeError, prelude::*, types::PyString};
use xdpsar::CopyMode;

use crate::error;

/// Default UDP port of the data plane.
pub(crate) const DATA_PORT: u16 = 19522;

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

/// Address and port: `"10.0.0.1:19522"`, `"[fd00::1]:19522"`, or without the
/// port, which is 19522 then.
pub(crate) fn destination(py: Python<'_>, text: &str) -> PyResult<SocketAddr> {
    let with_port = text.parse().ok();
    let bare = || text.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, DATA_PORT));
    with_port.or_else(bare).ok_or_else(|| {
        error::usage(
            py,
            &format!("send to {text:?}"),
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
