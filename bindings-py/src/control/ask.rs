//! What Python asks for, as the client takes it.

use std::{
    net::IpAddr,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyDateTime, PyString},
};
use xdpsar::{
    Token,
    load_balancer::{
        Certificates, Error, Family, IpFamily, Level, Options, Permission, Resource, SlotRange,
        Strategy, Trust, Which,
    },
};

use crate::{
    error,
    options::{ip, seconds, word},
};

const FAMILIES: &[(&str, Family)] = &[("any", Family::Any), ("v4", Family::V4), ("v6", Family::V6)];

pub(super) const IP_FAMILIES: &[(&str, IpFamily)] =
    &[("dual", IpFamily::Dual), ("v4", IpFamily::V4), ("v6", IpFamily::V6)];

pub(super) const STRATEGIES: &[(&str, Strategy)] = &[
    ("dynamic", Strategy::Dynamic),
    ("static", Strategy::Static),
    ("explicit", Strategy::Explicit),
];

/// Whom to believe, and how long to wait.
#[derive(FromPyObject)]
pub(crate) struct Reach {
    pub(super) verify: bool,
    pub(super) cafile: Option<PathBuf>,
    pub(super) cadata: Option<String>,
    pub(super) server_name: Option<String>,
    pub(super) family: String,
    pub(super) timeout: f64,
    pub(super) connect_timeout: f64,
    pub(super) keep_alive: f64,
}

/// More often, and a connection does little else.
const SHORTEST_KEEP_ALIVE: Duration = Duration::from_millis(10);

impl Reach {
    pub(crate) fn options(self, py: Python<'_>) -> PyResult<Options> {
        let failed = |error: Error| error::control(py, &error);
        let trust = match (self.verify, self.cafile, self.cadata) {
            (_, Some(_), Some(_)) => {
                let found = "that is two sets of certificates";
                return Err(error::usage(py, "cafile and cadata", found, "give one of them"));
            }
            (true, Some(file), None) => {
                Trust::Certificates(Certificates::from_file(file).map_err(failed)?)
            }
            (true, None, Some(text)) => {
                Trust::Certificates(Certificates::from_pem(text).map_err(failed)?)
            }
            (true, None, None) => Trust::System,
            (false, None, None) => Trust::NoVerify,
            (false, ..) => {
                let found = "certificates that nobody looks at";
                let remedy = "leave one of the two out";
                return Err(error::usage(py, "verify=False with certificates", found, remedy));
            }
        };
        let keep_alive = seconds(py, "keep_alive", self.keep_alive)?;
        if keep_alive < SHORTEST_KEEP_ALIVE {
            let asked = format!("keep_alive={}", self.keep_alive);
            return Err(error::usage(py, &asked, "that is too often", "give 0.01 or more"));
        }
        Ok(Options {
            trust,
            server_name: self.server_name,
            family: word(py, "family", &self.family, FAMILIES)?,
            timeout: seconds(py, "timeout", self.timeout)?,
            connect_timeout: seconds(py, "connect_timeout", self.connect_timeout)?,
            keep_alive,
        })
    }
}

pub(super) fn addresses(given: &Bound<'_, PyAny>) -> PyResult<Vec<IpAddr>> {
    if given.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("addresses: give several, as [\"10.0.0.7\"]"));
    }
    given.try_iter()?.map(|one| ip(&one?)).collect()
}

/// A `datetime` that knows its zone.
pub(super) fn moment(given: &Bound<'_, PyAny>) -> PyResult<SystemTime> {
    let py = given.py();
    let at = given.cast::<PyDateTime>()?;
    if at.call_method0("utcoffset")?.is_none() {
        return Err(error::usage(
            py,
            &format!("the time {at}"),
            "it does not say in which zone",
            "give one such as datetime.now(timezone.utc)",
        ));
    }
    // Of before 1970 there is nothing to ask for.
    let since: f64 = at.call_method0("timestamp")?.extract()?;
    if since < 0.0 {
        return Ok(UNIX_EPOCH);
    }
    at.extract().or_else(|_| Ok(UNIX_EPOCH + Duration::from_secs_f64(since)))
}

/// A number of a token, or a token; None: that which the call is made with.
#[derive(FromPyObject)]
pub(super) enum Selector {
    Id(u32),
    Secret(String),
}

pub(super) fn which(given: Option<Selector>) -> PyResult<Which> {
    Ok(match given {
        None => Which::Own,
        Some(Selector::Id(id)) => Which::Id(id),
        Some(Selector::Secret(text)) => Which::Secret(
            Token::new(text).ok_or_else(|| PyValueError::new_err("an empty token is none"))?,
        ),
    })
}

/// Level, resource and id.
pub(super) fn permissions(given: Vec<(i32, i32, String)>) -> Vec<Permission> {
    let permission = |(level, resource, id)| Permission {
        resource: match resource {
            0 => Resource::All,
            1 => Resource::LoadBalancer(id),
            2 => Resource::Reservation(id),
            3 => Resource::Session(id),
            other => Resource::Unknown(other, id),
        },
        level: match level {
            0 => Level::ReadOnly,
            1 => Level::Register,
            2 => Level::Reserve,
            3 => Level::Update,
            other => Level::Unknown(other),
        },
    };
    given.into_iter().map(permission).collect()
}

/// The first slot, or None, and how many.
pub(crate) fn slots(given: Vec<(Option<u16>, u16)>) -> Vec<SlotRange> {
    given.into_iter().map(|(first, length)| SlotRange { first, length }).collect()
}
