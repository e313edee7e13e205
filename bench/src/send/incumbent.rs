//! A sender like the incumbent's plain one, in our own words
//! (`data-plane.md` §3.5–§3.7, §3.10): the same datagrams, each by itself.

use std::{
    hint::black_box,
    io::IoSlice,
    net::{SocketAddr, UdpSocket},
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use xdpsar_bench::fragment::header;
use xdpsar_dataplane::random::SplitMix64;

use crate::{bare, contestant::Sends};

/// Sockets that events take turns at, as the incumbent has them.
const SOCKETS: usize = 4;

/// For each fragment, a header from the heap, and a call with two parts.
pub(crate) struct Incumbent<'a> {
    event: &'a [u8],
    each: usize,
    sockets: Vec<UdpSocket>,
    number: u64,
    random: SplitMix64,
    calls: u64,
}

impl<'a> Incumbent<'a> {
    /// With `each` event bytes in a datagram.
    pub(crate) fn open(to: SocketAddr, event: &'a [u8], each: usize) -> anyhow::Result<Self> {
        let sockets = (0..SOCKETS).map(|_| bare::socket(to)).collect::<Result<_, _>>()?;
        Ok(Self { event, each, sockets, number: 0, random: SplitMix64::from_os(), calls: 0 })
    }
}

impl Sends for Incumbent<'_> {
    fn send(&mut self) -> anyhow::Result<()> {
        let socket = &self.sockets[self.number as usize % SOCKETS];
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64;
        let tick = now & !0xff | self.random.below(256);
        let entropy = self.random.below(1 << 16) as u16;
        let length = self.event.len() as u32;
        for (index, fragment) in self.event.chunks(self.each).enumerate() {
            let offset = (index * self.each) as u32;
            // Not to be optimised into memory on the stack.
            let header = black_box(Box::new(header(offset, length, self.number, tick, entropy)));
            let parts = [IoSlice::new(&header[..]), IoSlice::new(fragment)];
            sendmsg(socket, &parts, &mut SendAncillaryBuffer::default(), SendFlags::empty())?;
            self.calls += 1;
        }
        self.number += 1;
        Ok(())
    }

    fn calls(&self) -> u64 {
        self.calls
    }
}
