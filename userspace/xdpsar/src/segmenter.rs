//! The sender: events in, datagrams out.
//!
//! ```no_run
//! # fn main() -> Result<(), xdpsar::Error> {
//! let mut sender = xdpsar::Segmenter::builder("10.0.0.1:19522".parse().unwrap())
//!     .data_id(7)
//!     .rate_gbps(Some(10.0))
//!     .open()?;
//! let event_number = sender.send(b"all the bytes of one event")?;
//! # let _ = event_number; Ok(())
//! # }
//! ```

mod pacing;
mod tick;

use std::{
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use xdpsar_dataplane::{
    OutgoingEvent, Payload, SendConfig, SendCounters, Sender, SetupError, error::SetupErrorKind,
    random::SplitMix64, send::Pace,
};
use xdpsar_wire::LbVersion;

use self::{pacing::Paced, tick::TickClock};
use crate::Error;

/// Options of a [`Segmenter`]. Those not named are E2SAR's: one port, four
/// sockets, the route's MTU, data id 0, LB header version 2, no rate limit.
#[derive(Clone, Debug)]
#[must_use = "nothing is opened before `open`"]
pub struct SegmenterBuilder {
    config: SendConfig,
    data_id: u16,
    first_event: u64,
    rate_gbps: Option<f64>,
}

impl SegmenterBuilder {
    /// Destination ports, a power of two: an event goes to port
    /// `to + (entropy & (ports − 1))`, as a load balancer would send it on.
    /// For receivers without one; towards a load balancer, leave it at 1.
    pub const fn ports(mut self, ports: u16) -> Self {
        self.config.ports = ports;
        self
    }

    /// Sockets, from 1 to 128. Each is one flow, from a source port of its
    /// own; events take turns.
    pub const fn sockets(mut self, sockets: usize) -> Self {
        self.config.sockets = sockets;
        self
    }

    /// Largest IP datagram in bytes. `None` or 0: the route's, 9000 at most.
    pub fn mtu(mut self, mtu: impl Into<Option<u32>>) -> Self {
        self.config.mtu = mtu.into();
        self
    }

    /// Data id of events that name no other.
    pub const fn data_id(mut self, data_id: u16) -> Self {
        self.data_id = data_id;
        self
    }

    /// Number of the first event; each further one counts up.
    pub const fn first_event(mut self, event_number: u64) -> Self {
        self.first_event = event_number;
        self
    }

    /// Version of the LB header; `None` sends none, as behind a load
    /// balancer.
    pub const fn lb(mut self, version: Option<LbVersion>) -> Self {
        self.config.lb = version;
        self
    }

    /// Limit of the rate in 10⁹ bits per second of IP datagrams, headers
    /// included; `None` for no limit.
    pub fn rate_gbps(mut self, rate: impl Into<Option<f64>>) -> Self {
        self.rate_gbps = rate.into();
        self
    }

    /// Send buffer of each socket in bytes, as far as the system allows.
    pub const fn send_buffer(mut self, bytes: usize) -> Self {
        self.config.send_buffer = bytes;
        self
    }

    /// Opens the sockets.
    ///
    /// # Errors
    /// [`Error::Setup`]: values that cannot be meant, no route, an MTU that
    /// does not fit.
    pub fn open(self) -> Result<Segmenter, Error> {
        let pace = self.rate_gbps.map(paced).transpose()?;
        let sender = Sender::open(&self.config)?;
        let mut random = SplitMix64::from_os();
        let ticks = TickClock::new(random.next_u64());
        Ok(Segmenter {
            sender,
            pace,
            ticks,
            random,
            data_id: self.data_id,
            next_event: self.first_event,
        })
    }
}

fn paced(rate_gbps: f64) -> Result<Paced, SetupError> {
    Paced::new(rate_gbps).ok_or_else(|| {
        SetupError::new(
            SetupErrorKind::Usage,
            format!("send at {rate_gbps} Gb/s"),
            "that is no rate to send at",
            "choose from 0.000001 (1 kb/s) up, or no limit",
        )
    })
}

/// What an event's headers say, where it is not to be the next in line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventOptions {
    /// Its number; later events count on from here. `None`: one more than
    /// the last.
    pub event_number: Option<u64>,
    /// Its data id. `None`: the segmenter's.
    pub data_id: Option<u16>,
    /// Its entropy. `None`: random.
    pub entropy: Option<u16>,
    /// Its tick. `None`: the time in microseconds since the epoch, unique in
    /// this segmenter, with evenly spread low bits. Whoever names ticks keeps
    /// them unique.
    pub tick: Option<u64>,
}

/// Sends events. Blocking: a call returns when the kernel has taken every
/// datagram, and not sooner than the rate allows.
#[derive(Debug)]
pub struct Segmenter {
    sender: Sender,
    pace: Option<Paced>,
    ticks: TickClock,
    random: SplitMix64,
    data_id: u16,
    next_event: u64,
}

impl Segmenter {
    /// Options for sending to `to`: a load balancer, or a receiver's first
    /// port.
    pub const fn builder(to: SocketAddr) -> SegmenterBuilder {
        SegmenterBuilder {
            config: SendConfig::new(to),
            data_id: 0,
            first_event: 0,
            rate_gbps: None,
        }
    }

    /// Sends the next event, of up to 4294967295 bytes, and returns its
    /// number. An event may be empty.
    ///
    /// # Errors
    /// [`Error::Send`]; some datagrams may have gone out. The number counts
    /// as used unless nothing could have.
    pub fn send(&mut self, event: &[u8]) -> Result<u64, Error> {
        self.send_with(event, EventOptions::default())
    }

    /// As [`Segmenter::send`], with headers of one's own choice.
    ///
    /// # Errors
    /// As [`Segmenter::send`].
    pub fn send_with(&mut self, event: &[u8], options: EventOptions) -> Result<u64, Error> {
        let headers = self.headers(event.len(), options);
        match &mut self.pace {
            Some(pace) => self.sender.send_paced(&headers, Payload::whole(event), pace)?,
            None => self.sender.send(&headers, Payload::whole(event))?,
        }
        Ok(headers.event_number)
    }

    /// As [`Segmenter::send_with`], but `pace` alone decides when datagrams
    /// leave, instead of the rate: for senders that hear from their receiver.
    ///
    /// # Errors
    /// As [`Segmenter::send`].
    pub fn send_paced(
        &mut self,
        event: &[u8],
        options: EventOptions,
        pace: &mut impl Pace,
    ) -> Result<u64, Error> {
        let headers = self.headers(event.len(), options);
        self.sender.send_paced(&headers, Payload::whole(event), pace)?;
        Ok(headers.event_number)
    }

    /// What the headers of an event say. Uses up its number if it can be sent.
    fn headers(&mut self, length: usize, options: EventOptions) -> OutgoingEvent {
        let event_number = options.event_number.unwrap_or(self.next_event);
        if u32::try_from(length).is_ok() {
            self.next_event = event_number.wrapping_add(1);
        }
        OutgoingEvent {
            event_number,
            data_id: options.data_id.unwrap_or(self.data_id),
            entropy: options.entropy.unwrap_or_else(|| self.random.next_u64() as u16),
            tick: options.tick.unwrap_or_else(|| self.ticks.next(now_us())),
        }
    }

    /// What was done up to now.
    pub fn counters(&self) -> SendCounters {
        self.sender.counters()
    }

    /// Event bytes in one datagram.
    pub fn max_payload(&self) -> usize {
        self.sender.max_payload()
    }

    /// Largest IP datagram in bytes.
    pub fn mtu(&self) -> u32 {
        self.sender.mtu()
    }

    /// The smallest send buffer that the system granted, in bytes.
    pub fn send_buffer(&self) -> usize {
        self.sender.send_buffer()
    }
}

/// Microseconds since the epoch; 0 on a clock before it.
fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
