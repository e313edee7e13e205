//! A word that threads can sleep on while it does not change.

#[cfg(not(loom))]
use std::time::Instant;

use crate::sync::AtomicU32;

/// All sleepers. The kernel's number is signed (`kernel/futex/waitwake.c`).
pub(crate) const ALL: u32 = i32::MAX as u32;

/// A futex on its own word.
#[derive(Debug)]
pub(crate) struct Futex {
    pub(crate) word: AtomicU32,
    #[cfg(loom)]
    kernel: loom_kernel::Kernel,
}

impl Futex {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU32::new(0),
            #[cfg(loom)]
            kernel: Default::default(),
        }
    }
}

#[cfg(not(loom))]
impl Futex {
    /// Sleeps if the word is this one: until woken, until the deadline, or for
    /// no reason at all. Whether the deadline has passed.
    pub(crate) fn sleep(&self, word: u32, deadline: Option<Instant>) -> bool {
        use rustix::thread::futex::{Flags, Timespec, wait};

        let timeout = match deadline {
            None => None,
            Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                // What a timespec cannot hold is for ever.
                Some(left) if !left.is_zero() => Timespec::try_from(left).ok(),
                _ => return true,
            },
        };
        // Woken, another word, interrupted, timed out: the caller looks anew.
        let _ = wait(&self.word, Flags::PRIVATE, word, timeout.as_ref());
        false
    }

    /// Wakes as many sleepers, if there are.
    pub(crate) fn wake(&self, sleepers: u32) {
        use rustix::thread::futex::{Flags, wake};

        // It fails on an address that is none.
        let _ = wake(&self.word, Flags::PRIVATE, sleepers);
    }
}

/// The kernel as loom can run it. Time is a thread of the model, which ends
/// timed sleeps, and no others, when it calls [`Futex::time_is_up`]. A wake
/// goes to a timed sleeper if there is one: whom time may just be waking, too.
#[cfg(loom)]
mod loom_kernel {
    use std::time::Instant;

    use loom::sync::{Condvar, Mutex};

    use super::{ALL, Futex};
    use crate::sync::Ordering;

    #[derive(Debug, Default)]
    pub(super) struct Kernel {
        state: Mutex<State>,
        timed: Condvar,
        untimed: Condvar,
    }

    #[derive(Debug, Default)]
    struct State {
        time_is_up: bool,
        /// Timed sleepers that nobody has woken yet.
        timed: u32,
    }

    impl Futex {
        pub(crate) fn sleep(&self, word: u32, deadline: Option<Instant>) -> bool {
            let Kernel { state, timed, untimed } = &self.kernel;
            let is_timed = deadline.is_some();
            let mut state = state.lock().unwrap();
            if self.word.load(Ordering::Relaxed) == word && !(state.time_is_up && is_timed) {
                state.timed += u32::from(is_timed);
                state = if is_timed { timed } else { untimed }.wait(state).unwrap();
            }
            state.time_is_up && is_timed
        }

        pub(crate) fn wake(&self, sleepers: u32) {
            let mut state = self.kernel.state.lock().unwrap();
            if sleepers == ALL {
                state.timed = 0;
                self.kernel.timed.notify_all();
                self.kernel.untimed.notify_all();
                return;
            }
            for _ in 0..sleepers {
                if state.timed > 0 {
                    state.timed -= 1;
                    self.kernel.timed.notify_one();
                } else {
                    self.kernel.untimed.notify_one();
                }
            }
        }

        pub(crate) fn time_is_up(&self) {
            let mut state = self.kernel.state.lock().unwrap();
            state.time_is_up = true;
            state.timed = 0;
            self.kernel.timed.notify_all();
        }
    }
}
