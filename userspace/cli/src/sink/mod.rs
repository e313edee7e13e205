//! Where received events go.

mod dir;
mod restore;
mod stream;

use std::io;

pub(crate) use dir::DirSink;
pub(crate) use restore::{Restored, Restorer, Unrestored};
pub(crate) use stream::{HEADER_LEN, StreamSink};

/// One event on its way out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'a> {
    pub(crate) event_number: u64,
    pub(crate) data_id: u16,
    pub(crate) bytes: &'a [u8],
}

/// A place for events. An error means that the event is not there.
pub(crate) enum Sink {
    /// Nowhere: events are only counted, and verified if asked.
    Null,
    /// One file per event.
    Dir(DirSink),
    /// The same, but those that a manifest names get their names.
    Restoring(Box<Restorer>),
    /// All events one after another on standard output.
    Stream(StreamSink<io::Stdout>),
}

impl Sink {
    /// Puts an event there, whole or not at all.
    ///
    /// # Errors
    /// What the file system or the pipe returns.
    pub(crate) fn put(&mut self, item: Item<'_>) -> io::Result<()> {
        match self {
            Self::Null => Ok(()),
            Self::Dir(dir) => dir.store(item).map(drop),
            Self::Restoring(restorer) => restorer.put(item),
            Self::Stream(stream) => stream.put(item),
        }
    }

    /// Hands on what is buffered; called whenever there is nothing to receive.
    ///
    /// # Errors
    /// As [`Sink::put`].
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Null | Self::Dir(_) | Self::Restoring(_) => Ok(()),
            Self::Stream(stream) => stream.flush(),
        }
    }
}
