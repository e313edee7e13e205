//! What receivers and senders ask of a load balancer: `xdpsar._registration`.

use std::sync::Arc;

use pyo3::{
    prelude::*,
    types::{PyBool, PyString},
};
use xdpsar::{Admission, EjfatUri, Gains, Registration};

use crate::{
    control::{Reach, slots},
    error,
    options::{ip, seconds},
    receive::{self, Open, Receiver, State},
    wait::elsewhere,
};

/// `xdpsar.Registration`, by its attributes.
#[derive(FromPyObject)]
struct Worker<'py> {
    name: String,
    address: Option<Bound<'py, PyAny>>,
    weight: f32,
    min_factor: f32,
    max_factor: f32,
    slot_demands: Vec<(Option<u16>, u16)>,
    period: f64,
    horizon: f64,
    set_point: f32,
    kp: f32,
    ki: f32,
    kd: f32,
    high_water: f32,
    report_counters: bool,
    linger: f64,
}

/// What `register` asks for: a name, or a `Registration`.
pub(crate) fn registration(
    given: &Bound<'_, PyAny>,
    uri: Option<&EjfatUri>,
) -> PyResult<Registration> {
    let py = given.py();
    let given = match given.cast::<PyString>() {
        Ok(name) => class(py, "Registration")?.call1((name,))?,
        Err(_) => given.clone(),
    };
    let worker: Worker<'_> = given.extract()?;
    let uri = uri.cloned().ok_or_else(|| {
        let found = "there is no URI that says with which load balancer";
        let remedy = "give its EJFAT URI as the first argument";
        error::usage(py, &format!("register={:?}", worker.name), found, remedy)
    })?;
    Ok(Registration {
        options: given.extract::<Reach>()?.options(py)?,
        address: worker.address.as_ref().map(ip).transpose()?,
        weight: worker.weight,
        min_factor: worker.min_factor,
        max_factor: worker.max_factor,
        slot_demands: slots(worker.slot_demands),
        period: seconds(py, "period", worker.period)?,
        horizon: seconds(py, "horizon", worker.horizon)?,
        gains: Gains { set_point: worker.set_point, kp: worker.kp, ki: worker.ki, kd: worker.kd },
        high_water: worker.high_water,
        report_counters: worker.report_counters,
        linger: seconds(py, "linger", worker.linger)?,
        ..Registration::new(uri, worker.name)
    })
}

/// Registers a receiver that runs. If a signal ends the waiting, it is not
/// registered then.
pub(crate) fn begin(
    given: &Bound<'_, PyAny>,
    uri: Option<&EjfatUri>,
    receiver: Arc<Receiver>,
) -> PyResult<()> {
    /// Nobody waits for it any more.
    struct Undo(Option<Arc<Receiver>>);

    impl Drop for Undo {
        fn drop(&mut self) {
            if let Some(receiver) = self.0.take() {
                receiver.inner.deregister();
            }
        }
    }

    let (py, worker) = (given.py(), registration(given, uri)?);
    let begun = elsewhere(py, move || {
        receiver.inner.register(worker).map(|()| Undo(Some(Arc::clone(&receiver))))
    })?;
    let mut undo = begun.map_err(|error| error::from_library(py, &error))?;
    undo.0 = None;
    Ok(())
}

/// How a receiver stands with its load balancer.
pub(crate) fn status(py: Python<'_>, of: &Open) -> PyResult<Option<Py<PyAny>>> {
    let told = match of.running() {
        Some(receiver) => py.detach(|| receive::registration(&receiver)),
        None => match &*of.state() {
            State::Closed { registration, .. } => registration.clone(),
            State::Running(_) => None,
        },
    };
    let Some(json) = told else { return Ok(None) };
    let made = py.import("xdpsar._registration")?.call_method1("registration_status", (json,))?;
    Ok(Some(made.unbind()))
}

/// `xdpsar.Admission`, by its attributes.
#[derive(FromPyObject)]
struct Sender<'py> {
    addresses: Option<Vec<Bound<'py, PyAny>>>,
    remove: bool,
    takes_effect: f64,
}

/// What `admit` asks for: True, or an `Admission`; False: nothing.
pub(crate) fn admission(
    given: &Bound<'_, PyAny>,
    uri: Option<&EjfatUri>,
) -> PyResult<Option<Admission>> {
    let py = given.py();
    let given = match given.cast::<PyBool>() {
        Ok(no) if !no.is_true() => return Ok(None),
        Ok(_) => class(py, "Admission")?.call0()?,
        Err(_) => given.clone(),
    };
    let sender: Sender<'_> = given.extract()?;
    let uri = uri.cloned().ok_or_else(|| {
        let found = "an address does not say which load balancer to ask";
        error::usage(py, "admit", found, "send to its EJFAT URI")
    })?;
    let addresses = sender.addresses.map(|all| all.iter().map(ip).collect::<PyResult<_>>());
    Ok(Some(Admission {
        options: given.extract::<Reach>()?.options(py)?,
        addresses: addresses.transpose()?,
        remove: sender.remove,
        takes_effect: seconds(py, "takes_effect", sender.takes_effect)?,
        ..Admission::new(uri)
    }))
}

fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("xdpsar._registration")?.getattr(name)
}
