//! Who meets whom, with what.

use std::str::FromStr;

use crate::{
    course::Case,
    receivers::{self, Makes, Receiver},
    role::{Consumer, Point},
    senders::{self, Sender},
};

/// UDP payloads of full datagrams: a few bytes, an Ethernet frame, what fits a
/// page, a jumbo frame.
const DATAGRAMS: [usize; 4] = [64, 1400, 3360, 8900];
/// Lengths of events.
const EVENTS: [Event; 4] = [
    Event::Fragment,
    Event::Bytes(COMPARED_AT),
    Event::Bytes(1_000_000),
    Event::Bytes(100_000_000),
];
/// Bytes of the events that all are compared with.
pub(crate) const COMPARED_AT: usize = 100_000;
/// An event of more datagrams would take longer than a run.
const MOST_FRAGMENTS: usize = 100_000;
/// Senders that meet everything. The others show how much of a rate is the
/// sender's doing, at two points.
const THOROUGH: [&str; 2] = ["gso", "live"];
/// Where the others are met.
const SAMPLED: [usize; 2] = [1400, 8900];
/// Receivers of which the highest lossless rate is looked for.
const SEARCHED: [&str; 4] = ["xdp-1", "socket", "socket-nogro", "incumbent"];

/// How long an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It fills one datagram.
    Fragment,
    /// So many bytes.
    Bytes(usize),
}

impl FromStr for Event {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            _ if text == "fragment" => Ok(Self::Fragment),
            Ok(bytes) if bytes > 0 => Ok(Self::Bytes(bytes)),
            _ => Err("a number of bytes, or `fragment` for what fills one datagram".into()),
        }
    }
}

/// What of all that is wanted; where nothing is named, all of it.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    pub(crate) receivers: Vec<String>,
    pub(crate) senders: Vec<String>,
    pub(crate) datagrams: Vec<usize>,
    pub(crate) events: Vec<Event>,
    /// A few points, and consumers that count.
    pub(crate) quick: bool,
}

/// Those that are compared with each other: they meet the same stream, one
/// soon after the other.
pub(crate) struct Group {
    pub(crate) cases: Vec<Case>,
}

impl Selection {
    /// All groups.
    ///
    /// # Errors
    /// A name that nobody has.
    pub(crate) fn groups(&self) -> anyhow::Result<Vec<Group>> {
        let receivers = self.receivers()?;
        let mut groups = Vec::new();
        for (sender, datagram) in self.streams()? {
            let events = if self.events.is_empty() { &EVENTS[..] } else { &self.events };
            for point in events.iter().filter_map(|event| point(datagram, *event)) {
                let fitting = receivers
                    .iter()
                    .filter(|other| other.makes != Makes::Fragments || point.fragments() == 1);
                let all = fitting.flat_map(|receiver| cases(receiver, sender, point));
                let cases: Vec<_> = all.filter(|case| self.wants(case)).collect();
                if !cases.is_empty() {
                    groups.push(Group { cases });
                }
            }
        }
        Ok(groups)
    }

    /// Those of which the highest lossless rate is looked for.
    ///
    /// # Errors
    /// A name that nobody has.
    pub(crate) fn searches(&self) -> anyhow::Result<Vec<Case>> {
        let receivers = self.receivers()?;
        let events = if self.events.is_empty() { &EVENTS[..] } else { &self.events };
        let mut searches = Vec::new();
        for (sender, datagram) in self.streams()? {
            for point in events.iter().filter_map(|event| point(datagram, *event)) {
                let of = receivers.iter().filter(|receiver| SEARCHED.contains(&receiver.name));
                let cases = of.map(|receiver| Case {
                    receiver,
                    consumer: Some(Consumer::Count),
                    sender,
                    point,
                });
                let wanted = |case: &Case| self.wants(case) && self.wants_rate(case);
                searches.extend(cases.filter(wanted));
            }
        }
        Ok(searches)
    }

    fn receivers(&self) -> anyhow::Result<Vec<&'static Receiver>> {
        match self.receivers.as_slice() {
            [] => Ok(receivers::ALL.iter().collect()),
            names => names.iter().map(|name| Receiver::named(name)).collect(),
        }
    }

    /// Senders with the datagrams that they can send.
    fn streams(&self) -> anyhow::Result<Vec<(&'static Sender, usize)>> {
        let senders: Vec<_> = match self.senders.as_slice() {
            [] => senders::ALL.iter().collect(),
            names => names.iter().map(|name| Sender::named(name)).collect::<Result<_, _>>()?,
        };
        let datagrams = if self.datagrams.is_empty() { &DATAGRAMS[..] } else { &self.datagrams };
        let pairs = senders.into_iter().flat_map(|sender| {
            let fitting = datagrams.iter().filter(|datagram| sender.can_send(**datagram));
            fitting.map(move |datagram| (sender, *datagram))
        });
        Ok(pairs.collect())
    }

    /// Whether it is one of the points that are not too many.
    fn wants(&self, case: &Case) -> bool {
        let Case { receiver, consumer, sender, point } = case;
        let compared = point.event == COMPARED_AT;
        let fragment = point.fragments() == 1;
        let thorough = THOROUGH.contains(&sender.name);
        if self.quick {
            let jumbo_or_frame = SAMPLED.contains(&point.datagram);
            let lent = fragment && sender.name == "live" && receiver.makes != Makes::Events;
            let length = compared || lent;
            return thorough && jumbo_or_frame && length && *consumer != Some(Consumer::Read);
        }
        // Those that know no events are compared at these two. Reading is worth
        // knowing where an event is in a cache, and where it may never have
        // been copied.
        let telling = *consumer == Some(Consumer::Count) || compared || fragment;
        let sampled =
            SAMPLED.contains(&point.datagram) && compared && *consumer != Some(Consumer::Read);
        telling && (thorough || sampled || !self.events.is_empty())
    }

    /// Whether its lossless rate is worth the time: at all lengths of events
    /// where an event is the fewest datagrams, else at one.
    fn wants_rate(&self, case: &Case) -> bool {
        let Case { sender, point, .. } = case;
        let lengths = sender.name == THOROUGH[0] && point.datagram == SAMPLED[1];
        let worth = point.event == COMPARED_AT || lengths;
        THOROUGH.contains(&sender.name) && (worth || !self.events.is_empty())
    }
}

/// Both kinds of consumers for those that have any.
fn cases(
    receiver: &'static Receiver,
    sender: &'static Sender,
    point: Point,
) -> impl Iterator<Item = Case> {
    let consumers: &[_] = match receiver.makes {
        Makes::Datagrams => &[None],
        Makes::Events | Makes::Fragments => &[Some(Consumer::Count), Some(Consumer::Read)],
    };
    consumers.iter().map(move |consumer| Case { receiver, consumer: *consumer, sender, point })
}

/// `None` for events that would take too long.
fn point(datagram: usize, event: Event) -> Option<Point> {
    let mut point = Point { datagram, event: 1, rate_gbps: None };
    point.event = match event {
        Event::Fragment => point.share(),
        Event::Bytes(bytes) => bytes,
    };
    (point.fragments() <= MOST_FRAGMENTS).then_some(point)
}
