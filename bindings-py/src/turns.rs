//! A lock whose takers take turns, and may give up.

use std::{
    sync::{Mutex, MutexGuard, TryLockError},
    time::Duration,
};

/// How often somebody who waits looks again.
const LOOK: Duration = Duration::from_millis(1);

/// Who waits is the next: a thread that sends one event after another would
/// else keep all others out.
pub(crate) struct Turns<T> {
    next: Mutex<()>,
    value: Mutex<T>,
}

impl<T> Turns<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { next: Mutex::new(()), value: Mutex::new(value) }
    }

    /// Waits for its turn; `None` once that is `given_up`. Without the GIL.
    pub(crate) fn take(&self, given_up: impl Fn() -> bool) -> Option<MutexGuard<'_, T>> {
        let _next = patiently(&self.next, &given_up)?;
        patiently(&self.value, &given_up)
    }

    /// Whether somebody panicked during a turn.
    pub(crate) fn is_broken(&self) -> bool {
        self.value.is_poisoned()
    }
}

fn patiently<'a, T>(lock: &'a Mutex<T>, given_up: impl Fn() -> bool) -> Option<MutexGuard<'a, T>> {
    loop {
        match lock.try_lock() {
            Ok(guard) => return Some(guard),
            // Told by `is_broken`; to close it is still right.
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if given_up() => return None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK),
        }
    }
}
