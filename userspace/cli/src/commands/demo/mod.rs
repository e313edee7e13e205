//! `xdpsar demo`: real events from one process to another, over the best
//! path this host has, every byte verified.
//!
//! ```text
//!            xdpsar demo
//!      orders │      ▲ progress, results        (JSON lines on pipes)
//!       ┌─────┴──────┴─────┐
//!       ▼                  ▼
//!  sender process     receiver process
//!  segmenter          reassembler, verification
//!       │   veth pair, or    ▲
//!       └──── loopback ──────┘                  (UDP datagrams)
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`process`] | the two child processes as the command sees them |
//! | [`message`] | what the three tell each other |
//! | [`link`] | namespaces and veth pair |
//! | [`sender`], [`receiver`] | the two sides |
//! | [`mix`] | which events |
//! | [`window`] | the closed loop |
//! | [`report`] | the verdict |

mod link;
mod message;
mod mix;
mod process;
mod receiver;
mod report;
mod sender;
mod window;

use std::{
    io,
    net::{Ipv4Addr, UdpSocket},
    sync::mpsc,
    time::Duration,
};

use indicatif::ProgressBar;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use xdpsar::{SetupError, SetupErrorKind};

use crate::{
    args::{
        demo::{DemoArgs, Side, SideArgs},
        values::Backend,
    },
    output::Output,
    status::{Failure, Status},
};
use message::{FromSide, Received, Sent, ToSide};
use process::Process;
use report::{Started, Verdict};

/// The data id of all demo events.
const DATA_ID: u16 = 4321;
/// The first UDP port in the private network.
const PORT: u16 = 19522;
/// A side that says nothing for this long is stuck.
const SILENCE: Duration = Duration::from_secs(60);

/// UDP ports for so many workers: each gets a lane at least.
fn ports(workers: usize) -> u16 {
    u16::try_from(workers).unwrap_or(u16::MAX).next_power_of_two()
}

/// Runs the demo.
///
/// # Errors
/// It could not be set up, or a side broke.
pub(crate) fn run(args: &DemoArgs) -> Result<Status, Failure> {
    let output = if args.json { Output::Json } else { Output::Text };
    let (demo, why) = match args.backend {
        Backend::Socket => (Demo::set_up(args, false)?, "asked for".to_owned()),
        Backend::Xdp => (Demo::set_up(args, true)?, "asked for".to_owned()),
        Backend::Auto => match Demo::set_up(args, true) {
            Ok(demo) => (demo, "this host has all it takes".to_owned()),
            Err(failure) => {
                let why = format!("AF_XDP cannot be shown here: {failure}");
                (Demo::set_up(args, false)?, why)
            }
        },
    };
    demo.go(output, &why)
}

/// Both sides, set up and waiting for the word.
struct Demo<'a> {
    args: &'a DemoArgs,
    isolated: bool,
    receiver: Process,
    sender: Process,
    heard: mpsc::Receiver<process::Heard>,
    /// The receiver's backend and what it is made of.
    backend: (String, String),
}

impl<'a> Demo<'a> {
    fn set_up(args: &'a DemoArgs, isolate: bool) -> Result<Self, Failure> {
        let run = &args.run;
        let port = if isolate { PORT } else { free_ports(ports(run.workers))? };
        let (telling, heard) = mpsc::channel();
        let mut more = if isolate { vec!["--isolate".to_owned()] } else { Vec::new() };
        let mut receiver = Process::start(Side::Receiver, run, port, &more, telling.clone())?;
        expect(&heard, |message| matches!(message, FromSide::Isolated).then_some(()))?;
        if isolate {
            more.extend(["--peer".to_owned(), receiver.id().to_string()]);
        }
        let sender = Process::start(Side::Sender, run, port, &more, telling)?;
        expect(&heard, |message| matches!(message, FromSide::Linked).then_some(()))?;
        receiver.tell(&ToSide::Receive);
        let backend = expect(&heard, |message| match message {
            FromSide::Ready { backend, detail } => Some((backend, detail)),
            _ => None,
        })?;
        Ok(Self { args, isolated: isolate, receiver, sender, heard, backend })
    }

    fn go(mut self, output: Output, why: &str) -> Result<Status, Failure> {
        let run = &self.args.run;
        let started = Started {
            backend: &self.backend.0,
            detail: &self.backend.1,
            reason: why,
            namespaces: self.isolated,
            events: run.events,
            workers: run.workers,
            mtu: run.mtu,
        };
        output.tell(&started).map_err(Failure::telling)?;
        let progress = output.progress(false, Some(run.events));
        self.sender.tell(&ToSide::Send);
        let (sent, received) = self.exchange(progress.as_ref())?;
        if let Some(progress) = progress {
            progress.finish_and_clear();
        }
        let verdict = Verdict::new(run.events, &self.backend.0, sent, &received);
        output.tell(&verdict).map_err(Failure::telling)?;
        Ok(verdict.status())
    }

    /// Passes on what the sides have to tell each other, to the end.
    fn exchange(&mut self, bar: Option<&ProgressBar>) -> Result<(Sent, Received), Failure> {
        let mut sent = None;
        loop {
            let progress = expect(&self.heard, Some)?;
            match progress {
                FromSide::Progress { fragments, events } => {
                    self.sender.tell(&ToSide::Placed(fragments));
                    if let Some(bar) = bar {
                        bar.set_position(events);
                    }
                }
                FromSide::Sent(all) => {
                    sent = Some(all);
                    self.receiver.tell(&ToSide::Finish);
                }
                FromSide::Received(received) => {
                    if let Some(sent) = sent {
                        return Ok((sent, *received));
                    }
                    return Err(broken("the receiver ended before the sender"));
                }
                FromSide::Isolated
                | FromSide::Linked
                | FromSide::Ready { .. }
                | FromSide::Failed { .. } => {}
            }
        }
    }
}

/// Waits for the message that `wanted` picks.
fn expect<T>(
    heard: &mpsc::Receiver<process::Heard>,
    wanted: impl Fn(FromSide) -> Option<T>,
) -> Result<T, Failure> {
    loop {
        match heard.recv_timeout(SILENCE) {
            Ok((_, Some(FromSide::Failed { asked, found, remedy }))) => {
                return Err(SetupError::new(SetupErrorKind::System, asked, found, remedy).into());
            }
            Ok((_, Some(message))) => {
                if let Some(found) = wanted(message) {
                    return Ok(found);
                }
            }
            // The sender has nothing more to do once it is through.
            Ok((Side::Sender, None)) => {}
            Ok((Side::Receiver, None)) => return Err(broken("the receiver ended")),
            Err(_) => return Err(broken("both sides fell silent")),
        }
    }
}

fn broken(what: &str) -> Failure {
    Failure::system("running the demo", io::Error::other(what), "see the log (-v)")
}

/// So many UDP ports in a row that nobody has now.
fn free_ports(count: u16) -> Result<u16, Failure> {
    let failed =
        |error| Failure::system("free UDP ports on loopback", error, "ask for fewer workers");
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..64 {
        let first = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let port = first.local_addr().map_err(failed)?.port();
        let others: io::Result<Vec<_>> = (1..count)
            .map(|i| {
                let port = port.checked_add(i).ok_or(io::ErrorKind::AddrInUse)?;
                UdpSocket::bind((Ipv4Addr::LOCALHOST, port))
            })
            .collect();
        match others {
            Ok(_) => return Ok(port),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

/// Runs one side, in the process that [`run`] started for it.
///
/// # Errors
/// None that [`run`] has not been told.
pub(crate) fn run_side(args: &SideArgs) -> Result<Status, Failure> {
    // If the command is killed, so are we, and the kernel takes namespace,
    // link and XDP program down with us.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| {
        Failure::system("an end together with the demo", error.into(), "report this")
    })?;
    if getppid() != Pid::from_raw(args.parent) {
        return Err(Failure::OutputGone);
    }
    let mut out = io::stdout();
    let result = side(args, &mut out);
    if let Err(failure) = &result
        && let Some((asked, found, remedy)) = failure.parts()
    {
        // If this fails nobody is there to be told.
        let _ = message::write(&mut out, &FromSide::Failed { asked, found, remedy });
        return Ok(Status::Failed);
    }
    result.map(|()| Status::Good)
}

fn side(args: &SideArgs, out: &mut io::Stdout) -> Result<(), Failure> {
    if args.isolate {
        link::isolate()?;
    }
    message::write(out, &FromSide::Isolated).map_err(Failure::telling)?;
    match args.side {
        Side::Receiver => receiver::run(args, out),
        Side::Sender => sender::run(args, out),
    }
}
