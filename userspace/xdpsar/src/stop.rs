//! How a receiver ends: who is registered leaves first, then the workers do.

use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(feature = "control-plane")]
use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(feature = "control-plane")]
use crossbeam_channel::{Receiver, Sender, TrySendError};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// What all workers and the [`crate::Stopper`]s share.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) stopping: AtomicBool,
    pub(crate) wake: EventFd,
    #[cfg(feature = "control-plane")]
    farewell: Mutex<Farewell>,
}

/// Who deregisters the receiver is told of a stop first: before workers end.
#[cfg(feature = "control-plane")]
#[derive(Debug, Default)]
struct Farewell {
    to: Option<Sender<()>>,
    stop: bool,
}

impl Control {
    pub(crate) fn new() -> std::io::Result<Self> {
        let wake =
            EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self {
            stopping: AtomicBool::new(false),
            wake,
            #[cfg(feature = "control-plane")]
            farewell: Mutex::default(),
        })
    }

    #[cfg(feature = "control-plane")]
    fn farewell(&self) -> MutexGuard<'_, Farewell> {
        self.farewell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on a stop is told here first, and who hears it says when it
    /// [has left](Self::has_left). `None` after a stop.
    #[cfg(feature = "control-plane")]
    pub(crate) fn hear_of_stop(&self) -> Option<Receiver<()>> {
        let mut farewell = self.farewell();
        let (to, heard) = crossbeam_channel::bounded(1);
        (!farewell.stop).then(|| {
            farewell.to = Some(to);
            heard
        })
    }

    /// Has who is registered leave, and nobody stop.
    #[cfg(feature = "control-plane")]
    pub(crate) fn leave(&self) {
        if let Some(to) = &self.farewell().to {
            // Told before is as good.
            let _ = to.try_send(());
        }
    }

    /// Nobody is registered any more: nothing keeps workers from a stop.
    #[cfg(feature = "control-plane")]
    pub(crate) fn has_left(&self) {
        let mut farewell = self.farewell();
        farewell.to = None;
        if farewell.stop {
            self.halt();
        }
    }

    /// Begins an orderly end.
    pub(crate) fn stop(&self) {
        #[cfg(feature = "control-plane")]
        {
            let mut farewell = self.farewell();
            farewell.stop = true;
            let told = farewell.to.as_ref().map(|to| to.try_send(()));
            // Told before is as good.
            if let Some(Ok(()) | Err(TrySendError::Full(()))) = told {
                return;
            }
        }
        self.halt();
    }

    /// Ends all workers' sleep, for good: the eventfd stays readable.
    pub(crate) fn halt(&self) {
        self.stopping.store(true, Ordering::Release);
        // It can fail only with a counter at 2⁶⁴ − 1, and then it is readable.
        let _ = self.wake.write(1);
    }
}
