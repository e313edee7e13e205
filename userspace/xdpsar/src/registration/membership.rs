//! Whether a receiver is registered, from its start on or later.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use xdpsar_dataplane::{SetupError, error::SetupErrorKind};

use super::{
    Gauges, Registration, RegistrationStatus,
    keeper::{self, Place, Shared},
};
use crate::{Error, stop::Control};

/// One registration at a time, by one thread.
pub(crate) struct Membership {
    place: Place,
    /// Who begins or ends one has it until that is done.
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Of the last one.
    status: Mutex<Option<Shared>>,
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Membership {
    pub(crate) const fn none(place: Place) -> Self {
        Self { place, thread: Mutex::new(None), status: Mutex::new(None) }
    }

    pub(crate) fn begin(
        &self,
        registration: Registration,
        gauges: Gauges,
        control: &Arc<Control>,
    ) -> Result<(), Error> {
        registration.check()?;
        let mut thread = lock(&self.thread);
        if thread.is_some() {
            return Err(SetupError::new(
                SetupErrorKind::Usage,
                format!("register worker {}", registration.name),
                "the receiver is registered",
                "deregister it before",
            )
            .into());
        }
        let (status, running) =
            keeper::start(registration, self.place, gauges, Arc::clone(control))?;
        *thread = Some(running);
        *lock(&self.status) = Some(status);
        Ok(())
    }

    pub(crate) fn end(&self, control: &Control) {
        let mut thread = lock(&self.thread);
        control.leave();
        if let Some(thread) = thread.take() {
            // Panics are caught and told in the status.
            let _ = thread.join();
        }
    }

    pub(crate) fn status(&self) -> Option<RegistrationStatus> {
        lock(&self.status).as_ref().map(|status| keeper::lock(status).clone())
    }
}
