//! Failures as the exceptions of `xdpsar._errors`.
//!
//! They are defined in Python: with the stable ABI of 3.11, exceptions that
//! carry attributes cannot be defined here.

use std::io;

use pyo3::{prelude::*, types::PyDict};
use xdpsar::{
    Error, SendError, SetupError, SetupErrorKind, UriError, UriErrorKind,
    load_balancer::{self, ErrorKind, RpcCode},
};

/// An exception of `xdpsar._errors`.
pub(crate) fn raise(py: Python<'_>, class: &str, message: String) -> PyErr {
    build(py, class, message, |_| Ok(()))
}

/// `BufferTooSmall`, for an event of so many bytes.
pub(crate) fn too_small(py: Python<'_>, required: usize, found: usize) -> PyErr {
    let message = format!(
        "receive an event of {required} bytes: the buffer has {found}; the event is kept, call \
         again with a longer one"
    );
    build(py, "BufferTooSmall", message, |more| more.set_item("required", required))
}

/// `UsageError`: what was asked, what was found, what to do.
pub(crate) fn usage(py: Python<'_>, asked: &str, found: &str, remedy: &str) -> PyErr {
    setup(py, &SetupError::new(SetupErrorKind::Usage, asked, found, remedy))
}

/// The exception for a failure of the library.
pub(crate) fn from_library(py: Python<'_>, error: &Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::Setup(error) => setup(py, error),
        Error::Uri(error) => uri(py, error),
        Error::ControlPlane(error) => control(py, error),
        Error::Receive(_) => socket(py, message, os_error(error)),
        Error::Send(SendError::TooLong { .. }) => raise(py, "EventTooLong", message),
        Error::Stopped => raise(py, "Closed", message),
        Error::Send(_) => socket(py, message, os_error(error)),
        Error::Cancelled => raise(py, "Cancelled", message),
        Error::QueueFull { .. } => raise(py, "QueueFull", message),
        _ => raise(py, "InternalError", message),
    }
}

fn socket(py: Python<'_>, message: String, errno: Option<i32>) -> PyErr {
    build(py, "SocketError", message, |more| more.set_item("errno", errno))
}

/// `UriError`, or `NotFound` where there is none.
pub(crate) fn uri(py: Python<'_>, error: &UriError) -> PyErr {
    let (class, code) = match error.kind {
        UriErrorKind::NotSet => ("NotFound", "UNDEFINED"),
        UriErrorKind::NotFound | UriErrorKind::Unresolved => ("NotFound", "NOT_FOUND"),
        UriErrorKind::Empty => ("UriError", "UNDEFINED"),
        UriErrorKind::Missing => ("UriError", "PARAMETER_NOT_AVAILABLE"),
        _ => ("UriError", "PARSE_ERROR"),
    };
    build(py, class, error.to_string(), |more| {
        more.set_item("kind", error.kind.as_str())?;
        more.set_item("code", self::code(py, code)?)?;
        told(more, &error.asked, &error.found, &error.remedy)
    })
}

/// `RpcError`, and others for what was not sent: a failed call to the control
/// plane.
pub(crate) fn control(py: Python<'_>, error: &load_balancer::Error) -> PyErr {
    let (class, code) = match (error.kind, error.code) {
        (ErrorKind::Parse, _) => ("UsageError", "PARSE_ERROR"),
        (ErrorKind::Parameter, _) => ("UsageError", "PARAMETER_ERROR"),
        (ErrorKind::ParameterNotAvailable, _) => ("UriError", "PARAMETER_NOT_AVAILABLE"),
        (ErrorKind::NotFound, _) => ("NotFound", "NOT_FOUND"),
        (ErrorKind::Logic, _) => ("InternalError", "CAUGHT_EXCEPTION"),
        (ErrorKind::System, _) => ("SetupError", "SYSTEM_ERROR"),
        (ErrorKind::Data, _) => ("RpcError", "DATA_ERROR"),
        (_, Some(RpcCode::DeadlineExceeded)) => ("RpcTimeout", "RPC_ERROR"),
        (_, Some(RpcCode::PermissionDenied | RpcCode::Unauthenticated)) => {
            ("RpcDenied", "RPC_ERROR")
        }
        _ => ("RpcError", "RPC_ERROR"),
    };
    build(py, class, error.to_string(), |more| {
        match class {
            "InternalError" => return Ok(()),
            "SetupError" => {}
            _ => more.set_item("code", self::code(py, code)?)?,
        }
        if class.starts_with("Rpc") {
            more.set_item("rpc_code", error.code.map(|code| code.to_string()))?;
        }
        match class {
            "UriError" => more.set_item("kind", "missing")?,
            "NotFound" => more.set_item("kind", "not_found")?,
            _ => {}
        }
        told(more, &error.asked, &error.found, &error.remedy)
    })
}

/// A member of `xdpsar.ErrorCode`.
fn code<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("xdpsar._errors")?.getattr("ErrorCode")?.getattr(name)
}

/// `HeaderError`: bytes that are no such header.
pub(crate) fn header(py: Python<'_>, name: &str, found: &str) -> PyErr {
    let asked = format!("read a {name}");
    let remedy = "check where the header begins, or read it with check=False";
    build(py, "HeaderError", format!("{asked}: {found}; {remedy}"), |more| {
        told(more, &asked, found, remedy)
    })
}

fn told(more: &Bound<'_, PyDict>, asked: &str, found: &str, remedy: &str) -> PyResult<()> {
    more.set_item("asked", asked)?;
    more.set_item("found", found)?;
    more.set_item("remedy", remedy)
}

fn setup(py: Python<'_>, error: &SetupError) -> PyErr {
    let (class, kind) = match error.kind {
        SetupErrorKind::Usage => ("UsageError", "usage"),
        SetupErrorKind::Permission => ("NotPermitted", "permission"),
        SetupErrorKind::NoInterface => ("SetupError", "no_interface"),
        SetupErrorKind::PortInUse => ("SetupError", "port_in_use"),
        SetupErrorKind::HookTaken => ("SetupError", "hook_taken"),
        SetupErrorKind::QueueTaken => ("SetupError", "queue_taken"),
        SetupErrorKind::NoNeighbour => ("SetupError", "no_neighbour"),
        SetupErrorKind::Mtu => ("SetupError", "mtu"),
        SetupErrorKind::NoSuchCore => ("SetupError", "no_such_core"),
        SetupErrorKind::Unsupported => ("SetupError", "unsupported"),
        SetupErrorKind::Memory => ("SetupError", "memory"),
        _ => ("SetupError", "system"),
    };
    build(py, class, error.to_string(), |more| {
        if class != "UsageError" {
            more.set_item("errno", os_error(error))?;
            more.set_item("kind", kind)?;
        }
        told(more, &error.asked, &error.found, &error.remedy)
    })
}

/// The system's error number at the root of it, if any.
fn os_error(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.raw_os_error();
        }
        cause = error.source();
    }
    None
}

fn build(
    py: Python<'_>,
    class: &str,
    message: String,
    add: impl FnOnce(&Bound<'_, PyDict>) -> PyResult<()>,
) -> PyErr {
    let made = || {
        let more = PyDict::new(py);
        add(&more)?;
        let class = py.import("xdpsar._errors")?.getattr(class)?;
        class.call((message,), Some(&more)).map(PyErr::from_value)
    };
    made().unwrap_or_else(|error: PyErr| error)
}
