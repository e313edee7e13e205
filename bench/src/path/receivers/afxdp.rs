//! AF_XDP as bare as it comes: frames are taken, perhaps copied, and given
//! back. What our receiver could do at best, were there nothing to put together.

#[allow(unsafe_code, reason = "whose a frame is, xsk-rs leaves to its caller")]
mod queue;

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use xdpsar_wire::datagram::LB_RE_HEADER_LEN;

use self::queue::{Frame, Queue};
use crate::{
    programs::Programs,
    receivers::INTERFACE,
    role::{Counts, Opened, PORT, Point, Tally},
};

/// Ethernet, IPv4, UDP, LB and RE header.
const HEADERS: usize = 14 + 20 + 8 + LB_RE_HEADER_LEN;
/// Where copies go, one after the other, round and round.
const COPIES: usize = 64 << 20;

// As our receiver waits.
const NAP: Duration = Duration::from_micros(50);
const SLEEP: Duration = Duration::from_millis(100);

/// With `copy`, payloads are copied; else nobody looks at them.
pub(super) fn open(copy: bool, point: &Point) -> anyhow::Result<Opened> {
    let mut programs = Programs::load("forward", |loader| {
        loader.override_global("PORT", &PORT, true);
    })?;
    let mut queue = Queue::open(INTERFACE, point.mtu())?;
    let mut sockets: aya::maps::XskMap<_> = programs.map("XSKS")?;
    sockets.set(0, queue.socket(), 0)?;
    programs.attach(INTERFACE)?;
    let tally = Arc::new(Tally::default());
    let kept = Arc::clone(&tally);
    let run = move |stop: &AtomicBool| {
        // In the kernel for as long as it is received.
        let _kept = (programs, sockets);
        if copy {
            let mut copies = Copies { room: vec![1; COPIES], at: 0 };
            receive(&mut queue, stop, &kept, |frame, from| copies.add(&frame.bytes()[from..]))
        } else {
            receive(&mut queue, stop, &kept, |_, _| {})
        }
    };
    Ok(Opened { run: Box::new(run), counts: Box::new(move || tally.get()) })
}

/// Where payloads are copied to.
struct Copies {
    room: Vec<u8>,
    at: usize,
}

impl Copies {
    #[inline]
    fn add(&mut self, bytes: &[u8]) {
        if self.at + bytes.len() > self.room.len() {
            self.at = 0;
        }
        let to = &mut self.room[self.at..][..bytes.len()];
        to.copy_from_slice(bytes);
        // Nobody reads it: the compiler would leave it out.
        black_box(to);
        self.at += bytes.len();
    }
}

/// `with` gets each frame, and where in it the event's bytes begin.
#[inline]
fn receive(
    queue: &mut Queue,
    stop: &AtomicBool,
    tally: &Tally,
    mut with: impl FnMut(&Frame<'_>, usize),
) -> anyhow::Result<()> {
    let mut counts = Counts::default();
    // Of a datagram in several frames, the first has the headers.
    let mut headers = HEADERS;
    loop {
        let taken = queue.turn(|frame| {
            with(&frame, headers);
            counts.bytes += (frame.len() - headers) as u64;
            headers = if frame.is_last() { HEADERS } else { 0 };
            counts.datagrams += u64::from(frame.is_last());
        });
        if taken > 0 {
            tally.set(counts);
            continue;
        }
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        counts.syscalls += wait(queue)?;
        tally.set(counts);
    }
}

/// Waits until there are frames, or for [`SLEEP`]; returns its system calls.
fn wait(queue: &mut Queue) -> anyhow::Result<u64> {
    thread::sleep(NAP);
    if !queue.is_empty() {
        return Ok(1);
    }
    queue.sleep(SLEEP)?;
    Ok(2)
}
