//! Bare loops: datagrams are received and counted, and nothing else is done.

use std::{
    net::UdpSocket,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use nix::sys::socket::{setsockopt, sockopt};

use super::messages::Messages;
use crate::role::{Counts, Opened, Point, TO, Tally};

/// As everybody's in the same run.
const SOCKET_BUFFER: usize = 32 << 20;
/// How long a call waits before the loop looks whether it is to end.
const NAP: Duration = Duration::from_millis(20);
/// What a UDP datagram or a run of them has at most.
const LARGEST: usize = 64 << 10;

/// Whether the kernel hands over runs of datagrams in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gro {
    /// One datagram is one message.
    No,
    /// `UDP_GRO`.
    Yes,
}

pub(super) fn open(gro: Gro, point: &Point) -> anyhow::Result<Opened> {
    let socket = UdpSocket::bind(TO)?;
    setsockopt(&socket, sockopt::RcvBufForce, &SOCKET_BUFFER)?;
    setsockopt(&socket, sockopt::UdpGroSegment, &(gro == Gro::Yes))?;
    socket.set_read_timeout(Some(NAP))?;
    let mut messages = match gro {
        Gro::No => Messages::new(64, point.datagram.next_multiple_of(64)),
        // More of them would not fit a second-level cache.
        Gro::Yes => Messages::new(16, LARGEST),
    };
    let tally = Arc::new(Tally::default());
    let (counted, point) = (Arc::clone(&tally), *point);
    let run = move |stop: &std::sync::atomic::AtomicBool| {
        let mut counts = Counts::default();
        loop {
            let before = counts.datagrams;
            for len in messages.receive(&socket)? {
                counts.datagrams += match gro {
                    Gro::No => 1,
                    // Only a run's last one is shorter: there is no need to
                    // ask for its control message.
                    Gro::Yes => len.div_ceil(point.datagram) as u64,
                };
            }
            counts.syscalls += 1;
            counted.set(counts);
            if counts.datagrams == before && stop.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    };
    let counts = move || {
        let counts = tally.get();
        Counts { bytes: point.bytes_in(counts.datagrams), ..counts }
    };
    Ok(Opened { run: Box::new(run), counts: Box::new(counts) })
}
