//! The demo's two child processes, as the command sees them.

use std::{
    io::{self, BufReader},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::Sender,
    thread,
};

use super::message::{FromSide, ToSide, read, write};
use crate::{
    args::demo::{RunArgs, Side},
    status::Failure,
};

/// What comes from a side: a message, or the end of it.
pub(super) type Heard = (Side, Option<FromSide>);

/// A running side. Dropping it ends it, and the kernel ends it if we are
/// killed ourselves.
pub(super) struct Process {
    child: Child,
    stdin: ChildStdin,
}

impl Process {
    /// Starts a side; what it says goes to `heard`.
    ///
    /// # Errors
    /// This program cannot start itself.
    pub(super) fn start(
        side: Side,
        run: &RunArgs,
        port: u16,
        more: &[String],
        heard: Sender<Heard>,
    ) -> Result<Self, Failure> {
        let failed = |error| {
            Failure::system("a child process for the demo", error, "raise the limits of this shell")
        };
        let name = match side {
            Side::Receiver => "receiver",
            Side::Sender => "sender",
        };
        let mut child = Command::new(std::env::current_exe().map_err(failed)?)
            .args(["demo-side", name, "--parent", &std::process::id().to_string()])
            .args(["--port", &port.to_string(), "--events", &run.events.to_string()])
            .args(["--workers", &run.workers.to_string(), "--mtu", &run.mtu.to_string()])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(io::Error::other("no pipes to it")));
        };
        thread::spawn(move || {
            for message in read::<FromSide>(BufReader::new(stdout)) {
                if heard.send((side, Some(message))).is_err() {
                    return;
                }
            }
            // Nobody waits for it any more if this fails.
            let _ = heard.send((side, None));
        });
        Ok(Self { child, stdin })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it something. If it is gone, its silence will say so.
    pub(super) fn tell(&mut self, message: &ToSide) {
        if let Err(error) = write(&mut self.stdin, message) {
            tracing::debug!(%error, "a side of the demo does not listen");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
