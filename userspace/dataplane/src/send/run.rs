//! Handing a run of messages to the kernel, and trying again where that may
//! help.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    thread,
    time::{Duration, Instant},
};

use super::{Pace, SendCounters, SendError, answers, arena::Filled, flows::Flow, gso};
use crate::{host, sys};

/// One sleep until the send buffer has room, or the interface's queue has.
const ROOM: Duration = Duration::from_millis(100);
const QUEUE: Duration = Duration::from_micros(100);

/// Where an event goes, and how far it has got.
pub(crate) struct Way {
    pub(crate) to: SocketAddr,
    pub(crate) source: Option<IpAddr>,
    pub(crate) mtu: u32,
    pub(crate) sent: usize,
    pub(crate) fragments: usize,
    pub(crate) patience: Duration,
}

impl Way {
    pub(crate) fn failed(&self, source: io::Error) -> SendError {
        SendError::System { to: self.to, sent: self.sent, fragments: self.fragments, source }
    }

    pub(crate) fn given_up(&self) -> SendError {
        SendError::Stopped { to: self.to, sent: self.sent, fragments: self.fragments }
    }

    pub(crate) fn too_long(&self, found: u32) -> SendError {
        SendError::Mtu { to: self.to, mtu: self.mtu, found }
    }

    pub(crate) fn route_mtu(&self) -> u32 {
        host::route_from(self.source, &self.to).map_or(0, |route| route.mtu)
    }
}

/// Why a run was not sent whole.
#[derive(Debug)]
pub(super) enum Stop {
    /// The event cannot go on.
    Failed(SendError),
    /// The way takes no messages of several fragments, though perhaps single
    /// ones.
    NoSegmentation(io::Error),
}

/// Sends all of `run`, in as many calls as it takes.
pub(super) fn send_run(
    mut run: Filled<'_>,
    flow: &Flow,
    way: &mut Way,
    counters: &mut SendCounters,
    pace: &impl Pace,
) -> Result<(), Stop> {
    let mut done = 0;
    let mut waiting_since: Option<Instant> = None;
    while done < run.messages() {
        counters.syscalls += 1;
        let source = match run.send(flow.socket(), done) {
            Ok(sent) => {
                let load = run.load(done, done + sent);
                counters.fragments += load.fragments as u64;
                counters.bytes += load.bytes;
                way.sent += load.fragments;
                done += sent;
                waiting_since = None;
                continue;
            }
            Err(source) => source,
        };
        let waited = waiting_since.get_or_insert_with(Instant::now).elapsed();
        let passes = match source.raw_os_error() {
            Some(libc::EAGAIN) => {
                counters.retried_full += 1;
                read_answers(flow, counters);
                counters.syscalls += 1;
                sys::poll([(flow.socket(), libc::POLLOUT)], ROOM.min(way.patience)).is_ok()
            }
            // Such a queue cannot be polled.
            Some(libc::ENOBUFS | libc::ENOMEM) => {
                counters.retried_no_buffers += 1;
                thread::sleep(QUEUE);
                true
            }
            // The answer to an earlier datagram; this one was not sent. The
            // kernel forgets it once told.
            Some(libc::ECONNREFUSED) => {
                counters.refused += 1;
                read_answers(flow, counters);
                true
            }
            // Either such an answer, too, or there is no way for this one.
            Some(
                libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::ENONET
                | libc::EACCES
                | libc::EPROTO
                | libc::ENOPROTOOPT,
            ) => {
                let answered = read_answers(flow, counters) > 0;
                counters.unreachable += u64::from(answered);
                answered
            }
            Some(libc::EINTR) => true,
            Some(libc::EMSGSIZE) => {
                read_answers(flow, counters);
                return Err(Stop::Failed(way.too_long(way.route_mtu())));
            }
            _ if run.load(done, done + 1).fragments > 1 && gso::is_refusal(&source) => {
                return Err(match way.route_mtu() {
                    found if found < way.mtu => Stop::Failed(way.too_long(found)),
                    _ => Stop::NoSegmentation(source),
                });
            }
            _ => false,
        };
        if !passes {
            return Err(Stop::Failed(way.failed(source)));
        }
        if pace.gives_up() {
            return Err(Stop::Failed(way.given_up()));
        }
        if waited > way.patience {
            return Err(Stop::Failed(SendError::Stalled { to: way.to, waited, source }));
        }
    }
    Ok(())
}

/// Counts what the network has answered to packets that left in the name of
/// a flow whose socket sends nothing itself.
#[cfg(feature = "xdp")]
pub(crate) fn hear(flow: &Flow, counters: &mut SendCounters) -> io::Result<()> {
    let last = sys::get_option(flow.socket(), libc::SOL_SOCKET, libc::SO_ERROR, 0)?;
    counters.syscalls += 1;
    let answers = read_answers(flow, counters) as u64;
    match last {
        libc::ECONNREFUSED => counters.refused += answers,
        // The route's MTU tells that.
        libc::EMSGSIZE => {}
        _ => counters.unreachable += answers,
    }
    Ok(())
}

/// Empties the flow's error queue, and returns how many answers there were.
fn read_answers(flow: &Flow, counters: &mut SendCounters) -> usize {
    let (answers, calls) = answers::read(flow.socket());
    counters.syscalls += calls;
    answers
}
