//! The producers' end.

use std::{
    fmt,
    time::{Duration, Instant},
};

use crate::{
    channel::{Shared, deadline, is_over, sleep},
    error::{PushError, PushTimeoutError, TryPushError},
    ring::{Enlisted, ReceiversGone},
    sync::{Arc, Backoff, Ordering},
};

/// A producer's end. Clones share the ring. What one thread pushes comes out
/// in the order it went in.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    pub(crate) fn new(shared: Arc<Shared<T>>) -> Self {
        Self { shared }
    }

    /// Hands the item over if there is room.
    ///
    /// # Errors
    /// With the item, when there is no room or no receiver.
    #[inline]
    pub fn try_push(&self, item: T) -> Result<(), TryPushError<T>> {
        let sleeper = self.shared.ring.push(item)?;
        self.shared.wake_consumer(sleeper);
        Ok(())
    }

    /// Hands over as many items from the front of `items` as there is room
    /// for, at once, and returns how many those were. Wakes one consumer at
    /// most.
    ///
    /// # Errors
    /// When there is no receiver; then `items` is as it was.
    #[inline]
    pub fn try_push_batch(&self, items: &mut Vec<T>) -> Result<usize, PushError<()>> {
        match self.shared.ring.push_batch(items) {
            Ok((count, sleeper)) => {
                self.shared.wake_consumer(sleeper);
                Ok(count)
            }
            Err(ReceiversGone) => Err(PushError(())),
        }
    }

    /// Hands the item over, waiting for room.
    ///
    /// # Errors
    /// With the item, when there is no receiver.
    #[inline]
    pub fn push(&self, item: T) -> Result<(), PushError<T>> {
        match self.try_push(item) {
            Ok(()) => Ok(()),
            Err(TryPushError::Disconnected(item)) => Err(PushError(item)),
            Err(TryPushError::Full(item)) => self.push_slowly(item),
        }
    }

    /// Hands over all items in order, waiting for room.
    ///
    /// # Errors
    /// When there is no receiver; `items` keeps what did not go in.
    pub fn push_batch(&self, items: &mut Vec<T>) -> Result<(), PushError<()>> {
        self.push_all(items, None).map_err(|_| PushError(()))
    }

    /// Hands over all items in order, waiting for room no longer than this in
    /// all.
    ///
    /// # Errors
    /// `Timeout`, or `Disconnected` when there is no receiver; `items` keeps
    /// what did not go in.
    pub fn push_batch_timeout(
        &self,
        items: &mut Vec<T>,
        timeout: Duration,
    ) -> Result<(), PushTimeoutError> {
        self.push_all(items, Some(timeout))
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

    fn push_all(
        &self,
        items: &mut Vec<T>,
        timeout: Option<Duration>,
    ) -> Result<(), PushTimeoutError> {
        let mut room = None;
        loop {
            self.try_push_batch(items).map_err(|_| PushTimeoutError::Disconnected)?;
            if items.is_empty() {
                return Ok(());
            }
            room.get_or_insert_with(|| Room::new(&self.shared, deadline(timeout))).wait()?;
        }
    }

    #[cold]
    fn push_slowly(&self, mut item: T) -> Result<(), PushError<T>> {
        let mut room = Room::new(&self.shared, None);
        loop {
            if room.wait().is_err() {
                return Err(PushError(item));
            }
            match self.try_push(item) {
                Ok(()) => return Ok(()),
                Err(TryPushError::Disconnected(item)) => return Err(PushError(item)),
                Err(TryPushError::Full(back)) => item = back,
            }
        }
    }
}

/// A producer waiting for room.
struct Room<'a, T> {
    shared: &'a Shared<T>,
    deadline: Option<Instant>,
    backoff: Backoff,
    woken: bool,
    slept_out: bool,
}

impl<'a, T> Room<'a, T> {
    fn new(shared: &'a Shared<T>, deadline: Option<Instant>) -> Self {
        Self { shared, deadline, backoff: Backoff::default(), woken: false, slept_out: false }
    }

    /// Returns when it is worth trying again.
    fn wait(&mut self) -> Result<(), PushTimeoutError> {
        if self.slept_out || is_over(self.deadline) {
            return Err(PushTimeoutError::Timeout);
        }
        match self.shared.ring.enlist_producer() {
            Enlisted::Gone => return Err(PushTimeoutError::Disconnected),
            // A consumer is just emptying what it has claimed.
            Enlisted::NotNeeded => self.backoff.snooze(),
            Enlisted::Yes => {
                let ring = &self.shared.ring;
                self.slept_out =
                    !sleep(&self.shared.room, self.deadline, || false, || ring.take_producer());
                self.woken |= !self.slept_out;
                self.backoff = Backoff::default();
            }
        }
        Ok(())
    }
}

/// Who was woken passes it on, also when it gives up: room that it was woken
/// for and did not use is another one's.
impl<T> Drop for Room<'_, T> {
    fn drop(&mut self) {
        if self.woken {
            self.shared.wake_producer(self.shared.ring.next_producer());
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // All that any sender did comes before what the last one does here.
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            let (asleep, is_watched) = self.shared.ring.leave_senders();
            if is_watched {
                self.shared.tell_watcher();
            }
            if asleep > 0 {
                self.shared.items.grant(asleep);
            }
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish()
    }
}
