//! Where sleepers sleep, and how exactly one comes out.
//!
//! A gate holds permits. Who has taken a sleeper off a [word](crate::word)
//! owes the gate one permit; who was counted there leaves the gate with one
//! permit. So as many come out as were taken off, whoever the kernel happens
//! to wake, and whoever comes along before the one it woke.

use std::time::Instant;

use crate::{
    futex::{ALL, Futex},
    sync::Ordering,
};

/// The futex counts permits below this, fewer than there can be threads, and
/// knocks above.
const KNOCK: u32 = 1 << 22;

#[derive(Debug)]
pub(crate) struct Gate(Futex);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Futex::new())
    }

    /// Lets this many through: one system call.
    #[cold]
    pub(crate) fn grant(&self, permits: u32) {
        // Release: what was pushed before this is seen by who comes out.
        self.0.word.fetch_add(permits, Ordering::Release);
        self.0.wake(permits);
    }

    /// Has all who sleep here look whether they still want to.
    ///
    /// Permits would not do: one that is meant for a sleeper may be taken by
    /// another who comes along, and does not care. So the word changes, which
    /// who is about to sleep notices, and all who sleep are woken.
    #[cold]
    pub(crate) fn knock(&self) {
        // Release: why to look is seen by who looks.
        self.0.word.fetch_add(KNOCK, Ordering::Release);
        self.0.wake(ALL);
    }

    /// Sleeps until there is a permit and takes it, or until the deadline, or
    /// until, after a [knock](Self::knock), it `is_over`. Whether it has one.
    pub(crate) fn pass(&self, deadline: Option<Instant>, is_over: impl Fn() -> bool) -> bool {
        let mut time_is_up = false;
        loop {
            // Before giving up, too. The kernel may have woken this thread
            // for a permit just as its time ran out; if it went away without,
            // nobody would wake another one for it.
            let Err(word) = self.take_permit() else { return true };
            if time_is_up || is_over() {
                return false;
            }
            time_is_up = self.0.sleep(word, deadline);
        }
    }

    /// Takes a permit; the word, if there are none.
    fn take_permit(&self) -> Result<(), u32> {
        let mut word = self.0.word.load(Ordering::Acquire);
        while permits(word) > 0 {
            match self.0.word.compare_exchange_weak(
                word,
                word - 1,
                Ordering::Acquire,
                Ordering::Acquire,
            ) {
                Ok(_) => return Ok(()),
                Err(now) => word = now,
            }
        }
        Err(word)
    }
}

/// How many there are.
const fn permits(word: u32) -> u32 {
    word % KNOCK
}

#[cfg(all(test, loom))]
impl Gate {
    pub(crate) fn permits(&self) -> u32 {
        permits(self.0.word.load(Ordering::Relaxed))
    }

    pub(crate) fn time_is_up(&self) {
        self.0.time_is_up();
    }
}
