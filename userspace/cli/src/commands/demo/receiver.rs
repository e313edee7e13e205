//! The demo's receiving side: every event is checked, every datagram
//! acknowledged.

use std::{
    io::{self, Stdout},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::mpsc::{self, TryRecvError},
    thread,
    time::{Duration, Instant},
};

use xdpsar::{Backend, BackendKind, Event, Overflow, Reassembler, RecvTimeoutError, SocketOptions};

use super::{
    DATA_ID, link,
    message::{FromSide, Received, ToSide, read, write},
    mix::Mix,
    window,
};
use crate::{args::demo::SideArgs, payload::Payload, status::Failure};

/// How often the receiver looks how far it is: the window's round trip.
const LOOK_EVERY: Duration = Duration::from_micros(300);
/// After everything has been sent, nothing more comes after such a silence.
const SILENCE: Duration = Duration::from_secs(5);
/// The closed loop keeps events from expiring for want of processor time.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Receives until everything has come, or nothing more does.
///
/// # Errors
/// Set-up failures; the command is gone.
pub(super) fn run(args: &SideArgs, out: &mut Stdout) -> Result<(), Failure> {
    let (told, orders) = mpsc::channel();
    thread::spawn(move || {
        read::<ToSide>(io::stdin().lock()).try_for_each(|order| told.send(order))
    });
    if !matches!(orders.recv(), Ok(ToSide::Receive)) {
        return Err(Failure::OutputGone);
    }
    let receiver = start(args)?;
    let backend = receiver.backend();
    let kind = match backend.kind {
        BackendKind::Xdp => "xdp",
        BackendKind::Socket => "socket",
    };
    let detail = backend.detail.clone();
    tell(out, &FromSide::Ready { backend: kind.into(), detail })?;

    let mut check = Check::new(args);
    let mut acknowledged = 0;
    let mut finishing = false;
    let mut moved = Instant::now();
    let mut looked = Instant::now();
    loop {
        match receiver.recv_timeout(LOOK_EVERY) {
            Ok(event) => check.take(&event),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let now = Instant::now();
        if now.duration_since(looked) < LOOK_EVERY {
            continue;
        }
        looked = now;
        match orders.try_recv() {
            Ok(ToSide::Finish) => (finishing, moved) = (true, now),
            Ok(_) | Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Err(Failure::OutputGone),
        }
        let fragments = receiver.stats().fragments;
        if fragments != acknowledged {
            (acknowledged, moved) = (fragments, now);
            tell(out, &FromSide::Progress { fragments, events: check.taken })?;
        }
        if finishing && (check.is_complete() || now.duration_since(moved) > SILENCE) {
            receiver.stop();
        }
    }
    receiver.join();
    tell(out, &FromSide::Received(Box::new(check.finish(&receiver))))
}

fn start(args: &SideArgs) -> Result<Reassembler, Failure> {
    let (address, backend) = if args.isolate {
        link::use_peer_end()?;
        (link::ADDRESS, Backend::Xdp)
    } else {
        (Ipv4Addr::LOCALHOST, Backend::Socket)
    };
    let mut builder = Reassembler::builder(SocketAddr::new(IpAddr::V4(address), args.port))
        .ports(super::ports(args.run.workers))
        .workers(args.run.workers)
        .backend(backend)
        .socket(SocketOptions {
            buffer: usize::try_from(window::socket_buffer()).unwrap_or(usize::MAX),
            ..SocketOptions::default()
        })
        .timeout(TIMEOUT)
        // A full queue holds the worker up, and so, through the window, the
        // sender.
        .overflow(Overflow::Block);
    if args.isolate {
        builder = builder.interface(link::INTERFACE);
    }
    Ok(builder.start()?)
}

fn tell(out: &mut Stdout, message: &FromSide) -> Result<(), Failure> {
    write(out, message).map_err(Failure::telling)
}

/// What should come, and what came.
struct Check {
    mix: Mix,
    seen: Vec<bool>,
    taken: u64,
    found: Received,
    active: Option<(Instant, Instant)>,
}

impl Check {
    fn new(args: &SideArgs) -> Self {
        Self {
            mix: Mix::new(args.run.mtu),
            seen: vec![false; args.run.events as usize],
            taken: 0,
            found: Received::default(),
            active: None,
        }
    }

    fn take(&mut self, event: &Event) {
        let now = Instant::now();
        self.active = Some((self.active.map_or(now, |(first, _)| first), now));
        self.taken += 1;
        if let Err(wrong) = self.judge(event) {
            self.found.wrong += 1;
            let number = event.event_number();
            self.found.first_wrong.get_or_insert_with(|| format!("event {number}: {wrong}"));
        }
    }

    fn judge(&mut self, event: &Event) -> Result<(), String> {
        let number = event.event_number();
        if event.data_id() != DATA_ID {
            return Err(format!("data id {} instead of {DATA_ID}", event.data_id()));
        }
        let Some(seen) = usize::try_from(number).ok().and_then(|n| self.seen.get_mut(n)) else {
            return Err("no such event was sent".into());
        };
        if event.len() != self.mix.size(number) {
            return Err(format!("{} bytes instead of {}", event.len(), self.mix.size(number)));
        }
        Payload::Pattern.verify(number, DATA_ID, event).map_err(|wrong| wrong.to_string())?;
        if std::mem::replace(seen, true) {
            self.found.repeated += 1;
        } else {
            self.found.verified += 1;
            self.found.verified_bytes += event.len() as u64;
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.taken >= self.seen.len() as u64
    }

    fn finish(self, receiver: &Reassembler) -> Received {
        let stats = receiver.stats();
        Received {
            missing: self.seen.iter().filter(|seen| !**seen).count() as u64,
            clean: stats.is_clean() && receiver.failure().is_none(),
            active_s: self
                .active
                .map_or(0.0, |(first, last)| last.duration_since(first).as_secs_f64()),
            // Maps with string keys and numbers: there is nothing to fail.
            stats: serde_json::to_value(&stats).unwrap_or_default(),
            ..self.found
        }
    }
}
