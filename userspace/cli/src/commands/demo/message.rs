//! What the demo's processes tell each other: JSON lines on pipes.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

/// From either side to the command that started it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromSide {
    /// In a network namespace of its own, or content without.
    Isolated,
    /// Sender: the veth pair is there, the peer's end in the peer's namespace.
    Linked,
    /// Receiver: its sockets are bound.
    Ready { backend: String, detail: String },
    /// Receiver: what it has placed and verified so far.
    Progress { fragments: u64, events: u64 },
    /// Sender: it is through.
    Sent(Sent),
    /// Receiver: it is through.
    Received(Box<Received>),
    /// It could not go on.
    Failed { asked: String, found: String, remedy: String },
}

/// From the command to a side.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToSide {
    /// Receiver: take the link into use and receive.
    Receive,
    /// Sender: send.
    Send,
    /// Sender: so many fragments have been placed.
    Placed(u64),
    /// Receiver: everything has been sent.
    Finish,
}

/// What the sender did.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sent {
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) datagrams: u64,
    /// Most datagrams on the way at any time.
    pub(super) window: u64,
    /// The receiver stopped acknowledging.
    pub(super) stalled: bool,
    /// Echo requests sent meanwhile and answered; `None`: no `ping` here.
    pub(super) pings: Option<(u64, u64)>,
}

/// What the receiver got.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Received {
    /// Events whose number, length and every byte are right, counted once.
    pub(super) verified: u64,
    /// Their bytes.
    pub(super) verified_bytes: u64,
    /// Events that did not come.
    pub(super) missing: u64,
    /// Events that came again.
    pub(super) repeated: u64,
    /// Events with a wrong number, length or byte.
    pub(super) wrong: u64,
    /// The first of those, in words.
    pub(super) first_wrong: Option<String>,
    /// Nothing lost and nothing dropped, says the library.
    pub(super) clean: bool,
    /// From the first event to the last.
    pub(super) active_s: f64,
    /// The receiver's statistics as the library writes them.
    pub(super) stats: serde_json::Value,
}

/// Writes one message.
///
/// # Errors
/// The other side is gone.
pub(super) fn write(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

/// Reads messages until the other side closes its end or talks nonsense.
pub(super) fn read<M: for<'a> Deserialize<'a>>(from: impl BufRead) -> impl Iterator<Item = M> {
    from.lines().map_while(|line| serde_json::from_str(&line.ok()?).ok())
}
