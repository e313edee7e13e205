//! The data plane (`control-plane.md` §10, §22): event number → epoch → slot
//! → worker, packet by packet, over sockets.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    book::{Book, Reservation},
    calendar::SLOTS,
    server::Shared,
};

/// The newest epochs; older ones are forgotten.
const EPOCHS: usize = 4;
/// Sync messages are believed for so long, and so many of them.
const BELIEVED: Duration = Duration::from_secs(60);
const SAMPLES: usize = 10;
/// The load balancer's header.
const HEADER: usize = 16;
/// How soon a thread notices that it is to end.
const GLANCE: Duration = Duration::from_millis(50);

/// From which event number on which calendar holds.
#[derive(Clone, Debug)]
pub(crate) struct Epoch {
    boundary: u64,
    calendar: Vec<Option<u64>>,
}

/// What is known of the senders' event numbers.
#[derive(Clone, Debug)]
pub(crate) struct Sync {
    pub(crate) at: SystemTime,
    pub(crate) event: u64,
    /// Per second; 0 if the sender does not know.
    pub(crate) rate: u32,
}

impl Sync {
    /// Before any message: microseconds since 1970.
    pub(crate) fn seed(now: SystemTime) -> Self {
        let event = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
        Self { at: now, event, rate: 1_000_000 }
    }

    /// A message's 28 bytes.
    fn read(bytes: &[u8], at: SystemTime) -> Option<Self> {
        let fits = bytes.len() == 28 && bytes.starts_with(&[b'L', b'C', 2]);
        let event = u64::from_be_bytes(*bytes.get(8..)?.first_chunk()?);
        let rate = u32::from_be_bytes(*bytes.get(16..)?.first_chunk()?);
        fits.then_some(Self { at, event, rate })
    }
}

/// Which event number comes at a time; 0 if nothing is known.
pub(crate) fn predict(samples: &[Sync], now: SystemTime, at: SystemTime) -> u64 {
    let recent = |sample: &&Sync| now.duration_since(sample.at).unwrap_or_default() < BELIEVED;
    let recent: Vec<&Sync> = samples.iter().rev().take(SAMPLES).filter(recent).collect();
    let Some(last) = recent.first() else { return 0 };
    let seconds = |from: SystemTime, to: SystemTime| match to.duration_since(from) {
        Ok(later) => later.as_secs_f64(),
        Err(earlier) => -earlier.duration().as_secs_f64(),
    };
    let rate = match last.rate {
        0 => {
            let points = recent
                .iter()
                .map(|one| (seconds(last.at, one.at), one.event as f64 - last.event as f64));
            slope(&points.collect::<Vec<_>>())
        }
        known => known.into(),
    };
    last.event.saturating_add_signed((rate * seconds(last.at, at)) as i64)
}

/// By least squares; 0 of less than two points.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (x, y) = (x / count, y / count);
    let (over, under) = points.iter().fold((0.0, 0.0), |(over, under), point| {
        (over + (point.0 - x) * (point.1 - y), under + (point.0 - x).powi(2))
    });
    if under > 0.0 { over / under } else { 0.0 }
}

impl Reservation {
    /// The next epoch's calendar, from this event number on.
    pub(crate) fn install(&mut self, boundary: u64, calendar: Vec<Option<u64>>) {
        if self.epochs.len() == EPOCHS {
            self.epochs.remove(0);
        }
        self.epochs.push(Epoch { boundary, calendar });
    }

    /// The one that an event belongs to; the newest one if in doubt.
    fn epoch_of(&self, event: u64) -> Option<&Epoch> {
        let pairs = self.epochs.windows(2);
        let within = |pair: &&[Epoch]| (pair[0].boundary..pair[1].boundary).contains(&event);
        pairs.filter(within).map(|pair| &pair[0]).next_back().or(self.epochs.last())
    }

    /// Whom a packet goes to, and what of it; or the name of the counter of
    /// those that nobody gets.
    pub(crate) fn route<'a>(
        &self,
        from: IpAddr,
        packet: &'a [u8],
    ) -> Result<(u64, SocketAddr, &'a [u8]), &'static str> {
        if !self.senders.contains(&from) {
            return Err("drop_blocked_src");
        }
        let Some((header, rest)) = packet.split_first_chunk::<HEADER>() else {
            return Err("drop_no_udplb_hdr");
        };
        let half = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let event = header[8..].iter().fold(0, |event, byte| event << 8 | u64::from(*byte));
        let selector = match (&header[..2], header[2]) {
            (b"LB", 2) => event,
            (b"LB", 3) => half(4).into(),
            (b"LB", _) => return Err("drop_bad_udplb_version"),
            _ => return Err("drop_no_udplb_hdr"),
        };
        let epoch = self.epoch_of(event).ok_or("drop_epoch_assign_miss")?;
        let slot = (selector % SLOTS as u64) as usize;
        let session = epoch.calendar.get(slot).copied().flatten().ok_or("drop_lb_calendar_miss")?;
        let member = self.sessions.get(&session).ok_or("drop_mbr_info_miss")?;
        let width = 1u16.checked_shl(member.request.port_range as u32).unwrap_or(1);
        let port = (member.request.udp_port as u16).wrapping_add(half(6) & (width - 1));
        let payload = if member.request.keep_lb_header { packet } else { rest };
        Ok((session, (member.address, port).into(), payload))
    }

    fn count(&mut self, counter: impl Into<String>, by: usize) {
        *self.counters.entry(counter.into()).or_default() += by as u64;
    }
}

/// Where one load balancer receives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) data: SocketAddr,
    pub(crate) sync: SocketAddr,
}

/// The threads of all load balancers. They go on while the control plane is
/// stopped, as hardware does.
#[derive(Debug, Default)]
pub(crate) struct Plane {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Plane {
    pub(crate) fn start(shared: &Arc<Shared>, address: IpAddr, lbs: u64) -> io::Result<Self> {
        let mut plane = Self::default();
        let mut ports = BTreeMap::new();
        for lb in 1..=lbs {
            let (data, sync) = (UdpSocket::bind((address, 0))?, UdpSocket::bind((address, 0))?);
            ports.insert(lb, Ports { data: data.local_addr()?, sync: sync.local_addr()? });
            plane.spawn(shared, lb, data, forward)?;
            plane.spawn(shared, lb, sync, learn)?;
        }
        shared.with_book(|book| book.ports = ports);
        Ok(plane)
    }

    fn spawn(
        &mut self,
        shared: &Arc<Shared>,
        lb: u64,
        socket: UdpSocket,
        handle: fn(&mut Book, u64, &UdpSocket, SocketAddr, &[u8]),
    ) -> io::Result<()> {
        socket.set_read_timeout(Some(GLANCE))?;
        let (shared, stop) = (shared.clone(), self.stop.clone());
        let run = move || {
            let mut packet = vec![0; 1 << 16];
            while !stop.load(Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut packet) {
                    shared.with_book(|book| handle(book, lb, &socket, from, &packet[..length]));
                }
            }
        };
        self.threads.push(thread::Builder::new().name("lb-plane".into()).spawn(run)?);
        Ok(())
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                eprintln!("a thread of the data plane panicked");
            }
        }
    }
}

fn reserved(book: &mut Book, lb: u64) -> Option<&mut Reservation> {
    book.reservations.values_mut().find(|reservation| reservation.lb == lb)
}

fn forward(book: &mut Book, lb: u64, socket: &UdpSocket, from: SocketAddr, packet: &[u8]) {
    let Some(reservation) = reserved(book, lb) else { return };
    reservation.count("rx_packets", 1);
    reservation.count("rx_bytes", packet.len());
    match reservation.route(from.ip(), packet) {
        Ok((session, to, payload)) => {
            // A worker that is gone refuses, which is its loss.
            if socket.send_to(payload, to).is_ok() {
                reservation.count(format!("session/{session}/mbr_tx_pkts"), 1);
                reservation.count(format!("session/{session}/mbr_tx_bytes"), payload.len());
            }
        }
        Err(counter) => reservation.count(counter, 1),
    }
}

fn learn(book: &mut Book, lb: u64, _: &UdpSocket, _: SocketAddr, message: &[u8]) {
    let now = book.now;
    let Some(reservation) = reserved(book, lb) else { return };
    if let Some(sync) = Sync::read(message, now) {
        reservation.samples.push(sync);
        let excess = reservation.samples.len().saturating_sub(SAMPLES);
        reservation.samples.drain(..excess);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sync(at: SystemTime, event: u64, rate: u32) -> Sync {
        Sync { at, event, rate }
    }

    #[test]
    fn predictions() {
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let later = now + Duration::from_millis(800);
        assert_eq!(predict(&[], now, later), 0);
        assert_eq!(predict(&[Sync::seed(now)], now, later), 1_000_800_000);
        let old = now - BELIEVED;
        assert_eq!(predict(&[sync(old, 5, 1)], now, later), 0, "too old");
        let half = now - Duration::from_millis(500);
        assert_eq!(predict(&[sync(old, 1, 9), sync(half, 100, 10)], now, later), 113);
        // Without a rate, from the messages themselves: ten in a second.
        let line: Vec<Sync> =
            (0..5).map(|n| sync(now - Duration::from_secs(4 - n), 100 + 10 * n, 0)).collect();
        assert_eq!(predict(&line, now, later), 148);
        assert_eq!(predict(&line[..1], now, later), 100, "one is no line");
    }

    #[test]
    fn sync_messages() {
        let mut bytes = [0; 28];
        bytes[..3].copy_from_slice(&[b'L', b'C', 2]);
        bytes[15] = 7;
        bytes[19] = 9;
        let read = Sync::read(&bytes, UNIX_EPOCH).expect("a message");
        assert_eq!((read.event, read.rate), (7, 9));
        assert!(Sync::read(&bytes[..27], UNIX_EPOCH).is_none());
        bytes[2] = 1;
        assert!(Sync::read(&bytes, UNIX_EPOCH).is_none());
        assert!(Sync::read(&[], UNIX_EPOCH).is_none());
    }
}
