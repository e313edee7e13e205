//! Prepared datagrams, and nothing but handing them over: what no sender can
//! do without.

use std::{
    io::{self, IoSlice},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
};

use nix::sys::socket::{setsockopt, sockopt};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};

use crate::{contestant::Sends, stream::Stream};

/// As the segmenter has it.
const SEND_BUFFER: usize = 3 << 20;
/// What one IPv4 datagram carries at most.
const LARGEST: usize = 65_507;
/// Messages that the kernel takes in one call.
const MESSAGES: usize = 1024;

/// A connected socket.
pub(crate) fn socket(to: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // Without privileges the system's limit holds.
    if setsockopt(&socket, sockopt::SndBufForce, &SEND_BUFFER).is_err() {
        setsockopt(&socket, sockopt::SndBuf, &SEND_BUFFER)?;
    }
    socket.connect(to)?;
    Ok(socket)
}

/// As many datagrams as fit, in one message that the kernel cuts.
pub(crate) struct Blaster<'a> {
    socket: UdpSocket,
    event: &'a [u8],
    message: usize,
    calls: u64,
}

impl<'a> Blaster<'a> {
    pub(crate) fn open(to: SocketAddr, stream: &'a Stream) -> anyhow::Result<Self> {
        let socket = socket(to)?;
        let datagram = stream.datagram();
        setsockopt(&socket, sockopt::UdpGsoSegment, &i32::try_from(datagram)?)?;
        Ok(Self { socket, event: stream.bytes(), message: LARGEST / datagram * datagram, calls: 0 })
    }
}

impl Sends for Blaster<'_> {
    fn send(&mut self) -> anyhow::Result<()> {
        for message in self.event.chunks(self.message) {
            self.socket.send(message)?;
            self.calls += 1;
        }
        Ok(())
    }

    fn calls(&self) -> u64 {
        self.calls
    }
}

/// The parts of messages of one datagram each, and their control messages:
/// none, but each has a place for them.
pub(crate) struct Parts<'a>(Vec<([IoSlice<'a>; 1], SendAncillaryBuffer<'a, 'a, 'a>)>);

impl<'a> Parts<'a> {
    pub(crate) fn of(stream: &'a Stream) -> Self {
        let part = |bytes| ([IoSlice::new(bytes)], SendAncillaryBuffer::default());
        Self(stream.datagrams().map(part).collect())
    }
}

/// A message for each datagram, as many in one call as the kernel takes.
pub(crate) struct Messages<'a> {
    socket: UdpSocket,
    messages: Vec<MMsgHdr<'a>>,
    calls: u64,
}

impl<'a> Messages<'a> {
    pub(crate) fn open(to: SocketAddr, parts: &'a mut Parts<'_>) -> anyhow::Result<Self> {
        let messages = parts.0.iter_mut().map(|(part, none)| MMsgHdr::new(part, none));
        Ok(Self { socket: socket(to)?, messages: messages.collect(), calls: 0 })
    }
}

impl Sends for Messages<'_> {
    fn send(&mut self) -> anyhow::Result<()> {
        let mut done = 0;
        while done < self.messages.len() {
            let end = self.messages.len().min(done + MESSAGES);
            done += sendmmsg(&self.socket, &mut self.messages[done..end], SendFlags::empty())?;
            self.calls += 1;
        }
        Ok(())
    }

    fn calls(&self) -> u64 {
        self.calls
    }
}
