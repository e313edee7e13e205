//! The consumers' end.

use std::{
    fmt, io,
    time::{Duration, Instant},
};

use crate::{
    channel::{Shared, deadline, is_over, sleep},
    error::{RecvError, RecvTimeoutError, TryRecvError},
    readiness::Readiness,
    ring::{Emptiness, Enlisted, Ring, Sleeper},
    sync::{Arc, Backoff, Ordering, spin_loop},
    wait::{Patience, Wait},
};

/// A consumer's end. Each item goes to exactly one consumer; consumers may
/// share a receiver or have clones of it.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    wait: Wait,
    patience: Patience,
}

impl<T> Receiver<T> {
    pub(crate) fn new(shared: Arc<Shared<T>>) -> Self {
        Self { shared, wait: Wait::default(), patience: Patience::new() }
    }

    /// The same receiver, waiting another way. Default: [`Wait::Adaptive`].
    #[must_use]
    pub fn waiting(mut self, wait: Wait) -> Self {
        self.wait = wait;
        self
    }

    /// The next item if it is there.
    ///
    /// # Errors
    /// `Empty`; `Disconnected` when nothing will come any more.
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        loop {
            if let Some(item) = self.take(Ring::pop) {
                return Ok(item);
            }
            match self.shared.ring.emptiness() {
                Emptiness::Now => {
                    self.shared.found_nothing();
                    return Err(TryRecvError::Empty);
                }
                Emptiness::ForEver => return Err(TryRecvError::Disconnected),
                Emptiness::Not => spin_loop(),
            }
        }
    }

    /// Appends the items that are there, `at_most` of them, to `into`, and
    /// returns how many those were. Allocates only if `into` lacks the room.
    #[inline]
    pub fn try_recv_batch(&self, into: &mut Vec<T>, at_most: usize) -> usize {
        self.take(|ring| ring.pop_batch(into, at_most)).unwrap_or_else(|| {
            self.shared.found_nothing();
            0
        })
    }

    /// Waits for the next item.
    ///
    /// # Errors
    /// When nothing will come any more.
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        // Without a timeout there is one error only.
        self.take_waiting(None, || false, Ring::pop).map_err(|_| RecvError)
    }

    /// Waits for the next item, `timeout` at most.
    ///
    /// # Errors
    /// `Timeout`; `Disconnected` when nothing will come any more.
    #[inline]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.take_waiting(Some(timeout), || false, Ring::pop)
    }

    /// Waits for an item, then appends it and what else is there, `at_most`
    /// in all, to `into`. Returns how many those were: 0 only if `at_most` is.
    ///
    /// # Errors
    /// When nothing will come any more.
    #[inline]
    pub fn recv_batch(&self, into: &mut Vec<T>, at_most: usize) -> Result<usize, RecvError> {
        self.take_batch_waiting(None, into, at_most).map_err(|_| RecvError)
    }

    /// As [`Self::recv_batch`], waiting `timeout` at most.
    ///
    /// # Errors
    /// `Timeout`; `Disconnected` when nothing will come any more.
    #[inline]
    pub fn recv_batch_timeout(
        &self,
        into: &mut Vec<T>,
        at_most: usize,
        timeout: Duration,
    ) -> Result<usize, RecvTimeoutError> {
        self.take_batch_waiting(Some(timeout), into, at_most)
    }

    /// As [`Self::recv_batch`], waiting `timeout` at most, if there is one, and
    /// no longer than until `is_over`; it is asked before each sleep, and
    /// after each [`Self::interrupt`].
    ///
    /// # Errors
    /// `Timeout`, also for what `is_over`; `Disconnected` when nothing will
    /// come any more.
    pub fn recv_batch_until(
        &self,
        into: &mut Vec<T>,
        at_most: usize,
        timeout: Option<Duration>,
        is_over: impl Fn() -> bool,
    ) -> Result<usize, RecvTimeoutError> {
        if at_most == 0 {
            return Ok(0);
        }
        self.take_waiting(timeout, is_over, |ring| ring.pop_batch(into, at_most))
    }

    /// Wakes all consumers that sleep, of all receivers. Those in
    /// [`Self::recv_batch_until`] look whether they are to return, and see
    /// whatever this thread has done before; the others go on waiting.
    pub fn interrupt(&self) {
        self.shared.items.knock();
    }

    /// A file descriptor to wait by, for who waits for other things as well:
    /// readable while items are there, and once no more will come. When it is,
    /// call [`Self::try_recv`] or [`Self::try_recv_batch`] until nothing is
    /// left: that makes it unreadable again. All receivers share it.
    ///
    /// Items then cost one more system call if they come while nothing is
    /// there, and so does finding nothing.
    ///
    /// # Errors
    /// What the system returns: there are no more descriptors, or no memory.
    pub fn readiness(&self) -> io::Result<Readiness> {
        if let Some(readiness) = self.shared.readiness.get() {
            return Ok(readiness.clone());
        }
        let made = Readiness::new()?;
        let readiness = self.shared.readiness.get_or_init(|| made);
        readiness.watch(&self.shared.ring);
        Ok(readiness.clone())
    }

    /// How many items the hand-off takes.
    pub fn capacity(&self) -> usize {
        self.shared.ring.capacity()
    }

    /// How many items are in it, at a moment that may be over.
    pub fn len(&self) -> usize {
        self.shared.ring.len()
    }

    /// Whether none are.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[cfg(all(test, loom))]
    pub(crate) fn shared(&self) -> &Arc<Shared<T>> {
        &self.shared
    }

    #[inline]
    fn take_batch_waiting(
        &self,
        timeout: Option<Duration>,
        into: &mut Vec<T>,
        at_most: usize,
    ) -> Result<usize, RecvTimeoutError> {
        if at_most == 0 {
            return Ok(0);
        }
        self.take_waiting(timeout, || false, |ring| ring.pop_batch(into, at_most))
    }

    #[inline]
    fn take<R>(&self, take: impl FnOnce(&Ring<T>) -> Option<(R, Sleeper)>) -> Option<R> {
        let (taken, sleeper) = take(&self.shared.ring)?;
        self.shared.wake_producer(sleeper);
        Some(taken)
    }

    #[inline]
    fn take_waiting<R>(
        &self,
        timeout: Option<Duration>,
        is_over: impl Fn() -> bool,
        mut take: impl FnMut(&Ring<T>) -> Option<(R, Sleeper)>,
    ) -> Result<R, RecvTimeoutError> {
        match self.take(&mut take) {
            Some(taken) => Ok(taken),
            None => self.take_slowly(deadline(timeout), is_over, take),
        }
    }

    #[cold]
    fn take_slowly<R>(
        &self,
        deadline: Option<Instant>,
        is_interrupted: impl Fn() -> bool,
        mut take: impl FnMut(&Ring<T>) -> Option<(R, Sleeper)>,
    ) -> Result<R, RecvTimeoutError> {
        let ring = &self.shared.ring;
        let mut backoff = Backoff::default();
        let mut woken = false;
        let mut slept_out = false;
        loop {
            if let Some(taken) = self.look(woken, &mut take) {
                if woken {
                    self.shared.wake_consumer(ring.next_consumer());
                }
                return Ok(taken);
            }
            let is_over = slept_out || is_over(deadline) || is_interrupted();
            if is_over || self.wait == Wait::Spin {
                match ring.emptiness() {
                    Emptiness::ForEver => return Err(RecvTimeoutError::Disconnected),
                    _ if is_over => return Err(RecvTimeoutError::Timeout),
                    _ => continue,
                }
            }
            match ring.enlist_consumer() {
                Enlisted::Gone => return Err(RecvTimeoutError::Disconnected),
                // A producer is just filling what it has claimed.
                Enlisted::NotNeeded => backoff.snooze(),
                Enlisted::Yes => {
                    self.patience.was_in_vain();
                    let gate = &self.shared.items;
                    slept_out = !sleep(gate, deadline, &is_interrupted, || ring.take_consumer());
                    woken |= !slept_out;
                    backoff = Backoff::default();
                }
            }
        }
    }

    /// Tries once, and then for as long as this consumer spins. Who was woken
    /// does not: it has slept long enough.
    fn look<R>(
        &self,
        woken: bool,
        mut take: impl FnMut(&Ring<T>) -> Option<(R, Sleeper)>,
    ) -> Option<R> {
        let looks = if woken { 0 } else { self.patience.looks(self.wait) };
        for _ in 0..looks {
            if let Some(taken) = self.take(&mut take) {
                self.patience.was_worth_it();
                return Some(taken);
            }
            spin_loop();
        }
        self.take(take)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.receivers.fetch_add(1, Ordering::Relaxed);
        Self { shared: Arc::clone(&self.shared), wait: self.wait, patience: Patience::new() }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if self.shared.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            let asleep = self.shared.ring.leave_receivers();
            if asleep > 0 {
                self.shared.room.grant(asleep);
            }
            self.shared.ring.discard();
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("wait", &self.wait)
            .finish()
    }
}
