//! EJFAT URIs, and which of our addresses face another one.

use std::{net::IpAddr, path::PathBuf};

use pyo3::{
    IntoPyObjectExt,
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyDict, PyString, PyTuple},
};
use xdpsar::{EjfatUri, Endpoint, Host, Token, TokenKind};

use crate::{error, options::ip};

/// An EJFAT URI: see `xdpsar.EjfatUri`'s stub.
#[pyclass(name = "EjfatUri", module = "xdpsar", frozen, eq, hash, weakref)]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct PyEjfatUri(EjfatUri);

/// An address and a port, as Python's sockets have them.
type Address = (String, u16);

fn address(endpoint: Option<&Endpoint>) -> Option<Address> {
    endpoint.map(|endpoint| {
        let zone = endpoint.zone().map(|zone| format!("%{zone}")).unwrap_or_default();
        (format!("{}{zone}", endpoint.ip()), endpoint.port())
    })
}

/// A member of `xdpsar.TokenKind`, or its number.
fn kind(given: &Bound<'_, PyAny>) -> PyResult<TokenKind> {
    let number: usize = given.extract()?;
    TokenKind::ALL.get(number).copied().ok_or_else(|| {
        PyValueError::new_err(format!(
            "a token of kind {number}: there are 0 (all), 1 (admin), 2 (instance) and 3 (session)"
        ))
    })
}

fn default_kind(given: Option<&Bound<'_, PyAny>>) -> PyResult<TokenKind> {
    given.map_or(Ok(TokenKind::default()), kind)
}

impl PyEjfatUri {
    pub(crate) const fn inner(&self) -> &EjfatUri {
        &self.0
    }

    fn of(
        py: Python<'_>,
        read: Result<EjfatUri, xdpsar::UriError>,
        prefer_v6: bool,
    ) -> PyResult<Self> {
        let uri = read.map_err(|error| error::uri(py, &error))?;
        Ok(Self(uri.with_prefer_v6(prefer_v6)))
    }

    pub(crate) const fn from_inner(uri: EjfatUri) -> Self {
        Self(uri)
    }

    fn revealed(token: Option<&Token>) -> Option<&str> {
        token.map(Token::reveal)
    }
}

#[pymethods]
impl PyEjfatUri {
    #[new]
    #[pyo3(
        signature = (uri, *, token = None, prefer_v6 = false),
        text_signature = "(uri, *, token=1, prefer_v6=False)"
    )]
    fn new(
        py: Python<'_>,
        uri: &str,
        token: Option<&Bound<'_, PyAny>>,
        prefer_v6: bool,
    ) -> PyResult<Self> {
        Self::of(py, EjfatUri::parse(uri, default_kind(token)?), prefer_v6)
    }

    /// The URI in an environment variable.
    #[staticmethod]
    #[pyo3(
        signature = (name = "EJFAT_URI", *, token = None, prefer_v6 = false),
        text_signature = "(name='EJFAT_URI', *, token=1, prefer_v6=False)"
    )]
    fn from_env(
        py: Python<'_>,
        name: &str,
        token: Option<&Bound<'_, PyAny>>,
        prefer_v6: bool,
    ) -> PyResult<Self> {
        Self::of(py, EjfatUri::from_env(name, default_kind(token)?), prefer_v6)
    }

    /// The URI in a file: its first line that is neither blank nor a comment.
    #[staticmethod]
    #[pyo3(
        signature = (path, *, token = None, prefer_v6 = false),
        text_signature = "(path, *, token=1, prefer_v6=False)"
    )]
    fn from_file(
        py: Python<'_>,
        path: PathBuf,
        token: Option<&Bound<'_, PyAny>>,
        prefer_v6: bool,
    ) -> PyResult<Self> {
        let kind = default_kind(token)?;
        let read = py.detach(|| EjfatUri::from_file(&path, kind));
        Self::of(py, read, prefer_v6)
    }

    /// Whether the control plane is spoken to by TLS: `ejfats`.
    #[getter]
    fn tls(&self) -> bool {
        self.0.tls()
    }

    /// The control plane's host: a name, or an address without brackets.
    #[getter]
    fn host(&self) -> String {
        self.0.host().to_string()
    }

    /// Whether the host is a name.
    #[getter]
    fn has_host_name(&self) -> bool {
        self.0.host().name().is_some()
    }

    /// The control plane's TCP port.
    #[getter]
    fn port(&self) -> u16 {
        self.0.port()
    }

    /// The load balancer's id; empty if there is none.
    #[getter]
    fn lb_id(&self) -> &str {
        self.0.lb_id()
    }

    /// The load balancer's name, which never stands in the text.
    #[getter]
    fn lb_name(&self) -> &str {
        self.0.lb_name()
    }

    /// The worker's session; empty if there is none.
    #[getter]
    fn session_id(&self) -> &str {
        self.0.session_id()
    }

    /// Where events go: of the preferred family, or of the other.
    #[getter]
    fn data(&self) -> Option<Address> {
        address(self.0.data())
    }

    /// Where events go by IPv4.
    #[getter]
    fn data_v4(&self) -> Option<Address> {
        address(self.0.data_of(false))
    }

    /// Where events go by IPv6.
    #[getter]
    fn data_v6(&self) -> Option<Address> {
        address(self.0.data_of(true))
    }

    /// The ports at which `data` takes events.
    #[getter]
    fn data_ports<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(data) = self.0.data() else { return Ok(None) };
        let ports = (data.port(), u32::from(data.last_port()) + 1);
        py.import("builtins")?.call_method1("range", ports).map(Some)
    }

    /// Where sync messages go: of the preferred family, or of the other.
    #[getter]
    fn sync(&self) -> Option<Address> {
        address(self.0.sync())
    }

    /// Where sync messages go by IPv4.
    #[getter]
    fn sync_v4(&self) -> Option<Address> {
        address(self.0.sync_of(false))
    }

    /// Where sync messages go by IPv6.
    #[getter]
    fn sync_v6(&self) -> Option<Address> {
        address(self.0.sync_of(true))
    }

    /// Whether IPv6 counts where there are both.
    #[getter]
    fn prefer_v6(&self) -> bool {
        self.0.prefers_v6()
    }

    /// The token of exactly this kind.
    fn token(&self, kind: &Bound<'_, PyAny>) -> PyResult<Option<&str>> {
        self::kind(kind).map(|kind| Self::revealed(self.0.token(kind)))
    }

    /// The token to use where one of this kind is asked for: that one, or the
    /// next broader one.
    fn token_for(&self, kind: &Bound<'_, PyAny>) -> PyResult<Option<&str>> {
        self::kind(kind).map(|kind| Self::revealed(self.0.token_for(kind)))
    }

    /// The text with the token of exactly this kind.
    fn to_string(&self, token: &Bound<'_, PyAny>) -> PyResult<String> {
        kind(token).map(|kind| self.0.reveal_with(kind))
    }

    /// The control plane's addresses, those of the preferred family first;
    /// looks a name up.
    fn resolve(&self, py: Python<'_>) -> PyResult<Vec<Address>> {
        let found = py.detach(|| self.0.resolve()).map_err(|error| error::uri(py, &error))?;
        Ok(found.into_iter().map(|to| (to.ip().to_string(), to.port())).collect())
    }

    /// The same with other parts.
    #[pyo3(signature = (**fields))]
    fn replace(&self, py: Python<'_>, fields: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut uri = self.0.clone();
        for (name, value) in fields.into_iter().flatten() {
            uri = with(py, uri, &name.extract::<String>()?, &value)?;
        }
        Ok(Self(uri))
    }

    /// All of it, with the narrowest token that there is.
    fn __str__(&self) -> String {
        self.0.reveal()
    }

    /// Without tokens.
    fn __repr__(&self) -> String {
        format!("EjfatUri('{}')", self.0)
    }

    /// Pickled with its tokens.
    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let tokens = TokenKind::ALL.map(|kind| Self::revealed(self.0.token(kind)));
        let more = (tokens, self.0.lb_name(), self.0.prefers_v6()).into_bound_py_any(py)?;
        let rebuild = py.import("xdpsar._native")?.getattr("_rebuild_uri")?;
        Ok((rebuild, (self.0.anonymous(), more).into_pyobject(py)?))
    }
}

/// What unpickling calls.
#[pyfunction(name = "_rebuild_uri")]
pub(crate) fn rebuild_uri(
    py: Python<'_>,
    text: &str,
    more: ([Option<String>; 4], String, bool),
) -> PyResult<PyEjfatUri> {
    let (tokens, lb_name, prefer_v6) = more;
    let PyEjfatUri(mut uri) = PyEjfatUri::of(py, text.parse(), prefer_v6)?;
    for (kind, token) in TokenKind::ALL.into_iter().zip(tokens) {
        uri = uri.with_token(kind, token.and_then(Token::new));
    }
    Ok(PyEjfatUri(uri.with_lb_name(lb_name)))
}

/// One part replaced.
fn with(py: Python<'_>, uri: EjfatUri, name: &str, value: &Bound<'_, PyAny>) -> PyResult<EjfatUri> {
    let token = |kind| {
        let token: Option<String> = value.extract()?;
        Ok(uri.clone().with_token(kind, token.and_then(Token::new)))
    };
    match name {
        "tls" => Ok(uri.with_tls(value.extract()?)),
        "prefer_v6" => Ok(uri.with_prefer_v6(value.extract()?)),
        "lb_id" => Ok(uri.with_lb_id(value.extract::<String>()?)),
        "lb_name" => Ok(uri.with_lb_name(value.extract::<String>()?)),
        "session_id" => Ok(uri.with_session_id(value.extract::<String>()?)),
        "host" => {
            let host = value.extract::<&str>()?.parse::<Host>();
            let port = uri.port();
            Ok(uri.with_host(host.map_err(|error| error::uri(py, &error))?, port))
        }
        "port" => {
            let host = uri.host().clone();
            Ok(uri.with_host(host, port(value)?))
        }
        "all_token" => token(TokenKind::All),
        "admin_token" => token(TokenKind::Admin),
        "instance_token" => token(TokenKind::Instance),
        "session_token" => token(TokenKind::Session),
        "data_v4" | "data_v6" => Ok(match endpoint(name, value)? {
            Some(endpoint) => uri.with_data(endpoint),
            None => uri.without_data(name == "data_v6"),
        }),
        "sync_v4" | "sync_v6" => Ok(match endpoint(name, value)? {
            Some(endpoint) => uri.with_sync(endpoint),
            None => uri.without_sync(name == "sync_v6"),
        }),
        _ => Err(PyTypeError::new_err(format!("replace: an EjfatUri has no {name:?}"))),
    }
}

fn port(value: &Bound<'_, PyAny>) -> PyResult<u16> {
    let port: u16 = value.extract()?;
    if port == 0 {
        return Err(PyValueError::new_err("port 0: that is none; choose from 1 to 65535"));
    }
    Ok(port)
}

/// `(ip, port)`, text such as `"10.0.0.1:19522"`, or None.
fn endpoint(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<Endpoint>> {
    let py = value.py();
    if value.is_none() {
        return Ok(None);
    }
    let endpoint = match value.cast::<PyString>() {
        Ok(text) => text.to_str()?.parse().map_err(|error| error::uri(py, &error))?,
        Err(_) => {
            let (address, number): (Bound<'_, PyAny>, Bound<'_, PyAny>) = value.extract()?;
            let number = port(&number)?;
            // A link-local address may name its link.
            let text = address.str()?;
            match text.to_str()?.contains('%') {
                true => format!("[{text}]:{number}").parse(),
                false => Ok(Endpoint::from(std::net::SocketAddr::new(ip(&address)?, number))),
            }
            .map_err(|error| error::uri(py, &error))?
        }
    };
    if endpoint.ip().is_ipv6() != name.ends_with("v6") {
        return Err(error::usage(
            py,
            &format!("{name}={endpoint}"),
            "that address is of the other family",
            "give data_v4 and sync_v4 an IPv4 address, data_v6 and sync_v6 an IPv6 one",
        ));
    }
    Ok(Some(endpoint))
}

/// The address of this host that datagrams to another one leave from.
#[pyfunction]
pub(crate) fn local_address_towards(py: Python<'_>, to: &Bound<'_, PyAny>) -> PyResult<String> {
    let to = ip(to)?;
    let found = xdpsar::local_address_towards(to);
    found.map(|ip| ip.to_string()).map_err(|error| error::from_library(py, &error.into()))
}

/// That one, and then the others of the interface which leads there.
#[pyfunction]
pub(crate) fn local_addresses_towards(
    py: Python<'_>,
    to: &Bound<'_, PyAny>,
) -> PyResult<Vec<String>> {
    let to = ip(to)?;
    let found = py.detach(|| xdpsar::local_addresses_towards(to));
    let found = found.map_err(|error| error::from_library(py, &error.into()))?;
    Ok(found.iter().map(IpAddr::to_string).collect())
}
