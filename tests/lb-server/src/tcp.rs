//! Connections that can end rudely.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    task::AbortHandle,
};

/// A connection that is served.
#[derive(Debug)]
pub(crate) struct Connection {
    task: AbortHandle,
    rude: Arc<AtomicBool>,
}

impl Connection {
    pub(crate) const fn new(task: AbortHandle, rude: Arc<AtomicBool>) -> Self {
        Self { task, rude }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends it: with a good-bye (FIN) or, rudely, without (RST).
    pub(crate) fn end(self, rude: bool) {
        self.rude.store(rude, Relaxed);
        self.task.abort();
    }
}

/// A stream that ends by a reset (RST), if it is told to be rude.
pub(crate) struct Tcp {
    stream: TcpStream,
    rude: Arc<AtomicBool>,
}

impl Tcp {
    pub(crate) const fn new(stream: TcpStream, rude: Arc<AtomicBool>) -> Self {
        Self { stream, rude }
    }
}

impl Drop for Tcp {
    fn drop(&mut self) {
        if self.rude.load(Relaxed)
            && let Err(error) = self.stream.set_zero_linger()
        {
            eprintln!("a connection ends politely: {error}");
        }
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
