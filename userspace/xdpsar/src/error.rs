//! What can go wrong.

use xdpsar_control::UriError;
use xdpsar_dataplane::{ReceiveError, SendError, SetupError};

/// A failure of this library. The text says what was asked, what is there,
/// and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It could not be set up. Nothing stays attached, bound or running.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// There is no such URI, or it does not say what is needed.
    #[error(transparent)]
    Uri(#[from] UriError),
    /// The load balancer's control plane refused, or could not be reached.
    /// Nothing stays registered, bound or running.
    #[cfg(feature = "control-plane")]
    #[error(transparent)]
    ControlPlane(#[from] xdpsar_control::Error),
    /// Receiving stopped: the interface or a socket is gone.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    /// An event did not go out, or not whole.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The queue of a segmenter is full, and the caller did not want to wait.
    #[error("the queue has its {capacity} events: submit again later, or wait with `submit`")]
    QueueFull {
        /// Events that it holds.
        capacity: usize,
    },
    /// The segmenter was stopped before the event was sent.
    #[error("the segmenter was stopped before it sent the event")]
    Stopped,
    /// The event was withdrawn before a worker began with it.
    #[error("the event was cancelled before it was sent")]
    Cancelled,
    /// A worker thread ended by a defect of ours; please report it.
    #[error("worker {worker} stopped on an internal error: {message}")]
    Worker {
        /// Which worker.
        worker: usize,
        /// Its panic message.
        message: String,
    },
}

/// What a thread said when it panicked.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".into())
}
