//! What can keep an item from going in or coming out.

use thiserror::Error;

/// Nothing was taken, without waiting.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TryRecvError {
    /// Nothing is there at the moment.
    #[error("nothing is waiting to be received")]
    Empty,
    /// Nothing is left and nothing will come: all senders are gone.
    #[error("nothing is left, and all senders are gone")]
    Disconnected,
}

/// Nothing was taken in time.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RecvTimeoutError {
    /// Nothing came in time.
    #[error("nothing to receive has come in time")]
    Timeout,
    /// Nothing is left and nothing will come: all senders are gone.
    #[error("nothing is left, and all senders are gone")]
    Disconnected,
}

/// Nothing is left and nothing will come: all senders are gone.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("nothing is left, and all senders are gone")]
pub struct RecvError;

/// The item did not go in; here it is.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TryPushError<T> {
    /// There is no room at the moment.
    #[error("there is no room")]
    Full(T),
    /// Nobody will ever take it: all receivers are gone.
    #[error("all receivers are gone")]
    Disconnected(T),
}

impl<T> TryPushError<T> {
    /// The item.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item) | Self::Disconnected(item) => item,
        }
    }
}

/// Not all items went in in time; those that did not are where they were.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PushTimeoutError {
    /// There was not enough room in time.
    #[error("there has not been enough room in time")]
    Timeout,
    /// Nobody will ever take them: all receivers are gone.
    #[error("all receivers are gone")]
    Disconnected,
}

/// Nobody will ever take it: all receivers are gone. An item that did not go
/// in comes back.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("all receivers are gone")]
pub struct PushError<T>(
    /// The item; of a batch, `()`: what did not go in is where it was.
    pub T,
);
