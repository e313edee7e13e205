//! Events, one system call for each fragment.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use xdpsar_bench::fragment::header;
use xdpsar_dataplane::random::SplitMix64;
use xdpsar_wire::datagram::LB_RE_HEADER_LEN;

use crate::clock::{Clock, STAMP};

/// UDP payload of each datagram, both headers included.
pub(crate) const DATAGRAM: usize = 1400;

/// When events are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// One after so long on average, a quarter more or less.
    Apart(Duration),
    /// One each so long, exactly.
    Every(Duration),
    /// As fast as it goes.
    Unpaced,
}

/// What events come from.
pub(crate) struct Sender {
    socket: UdpSocket,
    clock: Clock,
    random: SplitMix64,
    datagrams: Vec<[u8; DATAGRAM]>,
    events: u64,
    due_ns: u64,
}

impl Sender {
    /// Of events of `fragments` full datagrams.
    pub(crate) fn open(to: SocketAddr, fragments: usize, clock: Clock) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(to)?;
        Ok(Self {
            socket,
            clock,
            random: SplitMix64::new(1),
            datagrams: vec![[0x5a; DATAGRAM]; fragments],
            events: 0,
            due_ns: clock.now_ns(),
        })
    }

    /// Events up to now.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// Waits until the next event is due.
    pub(crate) fn wait(&mut self, pace: Pace) {
        let period = match pace {
            Pace::Apart(mean) => {
                let mean = mean.as_nanos() as u64;
                // From when the last one was gone: none comes upon another.
                self.due_ns = self.clock.now_ns();
                mean * 3 / 4 + self.random.below(mean / 2)
            }
            Pace::Every(period) => period.as_nanos() as u64,
            Pace::Unpaced => return,
        };
        self.due_ns += period;
        while self.clock.now_ns() < self.due_ns {
            std::hint::spin_loop();
        }
    }

    /// Sends an event: in its last bytes the time just before the system call
    /// that sends its last fragment.
    pub(crate) fn send(&mut self) -> io::Result<()> {
        let length = self.datagrams.len() * (DATAGRAM - LB_RE_HEADER_LEN);
        for (offset, datagram) in
            (0..).step_by(DATAGRAM - LB_RE_HEADER_LEN).zip(&mut self.datagrams)
        {
            let header = header(offset, length as u32, self.events, self.events, 0);
            datagram[..LB_RE_HEADER_LEN].copy_from_slice(&header);
        }
        self.events += 1;
        let Some((last, others)) = self.datagrams.split_last_mut() else { return Ok(()) };
        for datagram in others {
            self.socket.send(datagram)?;
        }
        last[DATAGRAM - STAMP..].copy_from_slice(&self.clock.now_ns().to_ne_bytes());
        self.socket.send(last).map(drop)
    }
}
