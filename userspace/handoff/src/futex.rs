//! A counter that threads can sleep on while it is zero.

#[cfg(not(loom))]
use std::time::Instant;

use crate::sync::AtomicU32;

/// A futex on its own count.
#[derive(Debug)]
pub(crate) struct Futex {
    pub(crate) count: AtomicU32,
    #[cfg(loom)]
    kernel: loom_kernel::Kernel,
}

impl Futex {
    pub(crate) fn new() -> Self {
        Self {
            count: AtomicU32::new(0),
            #[cfg(loom)]
            kernel: Default::default(),
        }
    }
}

#[cfg(not(loom))]
impl Futex {
    /// Sleeps if the count is 0: until woken, until the deadline, or for no
    /// reason at all. Whether the deadline has passed.
    pub(crate) fn sleep(&self, deadline: Option<Instant>) -> bool {
        use rustix::thread::futex::{Flags, Timespec, wait};

        let timeout = match deadline {
            None => None,
            Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                // What a timespec cannot hold is for ever.
                Some(left) if !left.is_zero() => Timespec::try_from(left).ok(),
                _ => return true,
            },
        };
        // Woken, not zero, interrupted, timed out: the caller looks anew.
        let _ = wait(&self.count, Flags::PRIVATE, 0, timeout.as_ref());
        false
    }

    /// Wakes as many sleepers, if there are.
    pub(crate) fn wake(&self, sleepers: u32) {
        use rustix::thread::futex::{Flags, wake};

        // It fails on an address that is none.
        let _ = wake(&self.count, Flags::PRIVATE, sleepers);
    }
}

/// The kernel as loom can run it. Time is a thread of the model, which ends
/// timed sleeps when it calls [`Futex::time_is_up`].
#[cfg(loom)]
mod loom_kernel {
    use std::time::Instant;

    use loom::sync::{Condvar, Mutex};

    use super::Futex;
    use crate::sync::Ordering;

    #[derive(Debug, Default)]
    pub(super) struct Kernel {
        time_is_up: Mutex<bool>,
        woken: Condvar,
    }

    impl Futex {
        pub(crate) fn sleep(&self, deadline: Option<Instant>) -> bool {
            let mut time_is_up = self.kernel.time_is_up.lock().unwrap();
            if self.count.load(Ordering::Relaxed) == 0 && !(*time_is_up && deadline.is_some()) {
                time_is_up = self.kernel.woken.wait(time_is_up).unwrap();
            }
            *time_is_up && deadline.is_some()
        }

        pub(crate) fn wake(&self, sleepers: u32) {
            let _kernel = self.kernel.time_is_up.lock().unwrap();
            for _ in 0..sleepers {
                self.kernel.woken.notify_one();
            }
        }

        pub(crate) fn time_is_up(&self) {
            *self.kernel.time_is_up.lock().unwrap() = true;
            self.kernel.woken.notify_all();
        }
    }
}
