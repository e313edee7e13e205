//! The datagrams of all events in progress, taking turns, and the bytes that
//! each event must have.

use xdpsar_reassembly::Counters;
use xdpsar_wire::{lb::LbHeader, re::ReHeader};
use zerocopy::IntoBytes;

use crate::script::{Kind, MAX_EVENT, SCRIPTS, Script, Step};

/// Events in progress. So many take 44 ms for a turn at the slower pace: one
/// that makes no progress for ten turns is still within its timeout.
pub(crate) const IN_PROGRESS: usize = 256;
/// The first event's number: after a million events they start from 0 again.
const FIRST_NUMBER: u64 = u64::MAX - 999_999;
/// Events start at one of so many places of the pattern.
const PHASES: usize = 1 << 16;

/// What events are made of: any of them is a slice of this.
pub(crate) struct Pattern(Vec<u8>);

impl Pattern {
    pub(crate) fn new() -> Self {
        let mut state = 1_u64;
        let bytes = (0..PHASES + MAX_EVENT as usize + 1).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        });
        Self(bytes.collect())
    }

    /// A part of an event.
    #[inline]
    pub(crate) fn part(&self, event_number: u64, offset: usize, size: usize) -> &[u8] {
        let phase = (event_number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize;
        &self.0[phase + offset..][..size]
    }
}

/// An event that is being sent.
#[derive(Clone, Copy)]
struct Sending {
    number: u64,
    script: usize,
    step: usize,
}

/// Who sends.
pub(crate) struct Traffic {
    scripts: Vec<Script>,
    sending: Vec<Option<Sending>>,
    turn: usize,
    next_number: u64,
    /// How often each script has been begun; every one that is begun is sent
    /// to its end.
    begun: Vec<u64>,
    open: bool,
}

impl Traffic {
    pub(crate) fn new() -> Self {
        let mut traffic = Self {
            scripts: Script::all(),
            sending: Vec::new(),
            turn: 0,
            next_number: FIRST_NUMBER,
            begun: vec![0; SCRIPTS],
            open: true,
        };
        traffic.sending = (0..IN_PROGRESS).map(|_| traffic.begin()).collect();
        traffic
    }

    fn begin(&mut self) -> Option<Sending> {
        if !self.open {
            return None;
        }
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        // An odd factor: every script once in as many events as there are.
        let script = number.wrapping_mul(167) as usize % SCRIPTS;
        self.begun[script] += 1;
        Some(Sending { number, script, step: 0 })
    }

    /// No new events any more.
    pub(crate) fn close(&mut self) {
        self.open = false;
    }

    /// Events begun, and whether their numbers have passed 2⁶⁴.
    pub(crate) fn events(&self) -> (u64, bool) {
        let events = self.next_number.wrapping_sub(FIRST_NUMBER);
        (events, self.next_number < FIRST_NUMBER)
    }

    /// What must have become of all datagrams, in the order of
    /// [`Counters::NAMES`], once all events are sent to their end and the torn
    /// ones have expired.
    pub(crate) fn expected(&self) -> Vec<u64> {
        let mut totals = vec![0; Counters::NAMES.len()];
        for (script, times) in self.scripts.iter().zip(&self.begun) {
            for (total, once) in totals.iter_mut().zip(script.expected.values()) {
                *total += once * times;
            }
        }
        totals
    }

    /// Writes the next datagram to `frame` and returns its length; `None`
    /// when there is no more.
    #[inline]
    pub(crate) fn next(&mut self, pattern: &Pattern, frame: &mut [u8]) -> Option<usize> {
        for _ in 0..IN_PROGRESS {
            let turn = self.turn;
            self.turn = (turn + 1) % IN_PROGRESS;
            let Some(mut event) = self.sending[turn] else { continue };
            let script = &self.scripts[event.script];
            let len = write(script, &script.steps[event.step], event.number, pattern, frame);
            event.step += 1;
            let over = event.step == script.steps.len();
            self.sending[turn] = if over { self.begin() } else { Some(event) };
            return Some(len);
        }
        None
    }
}

/// The source of an event.
pub(crate) fn data_id(event_number: u64) -> u16 {
    (event_number % 7) as u16
}

#[inline]
fn write(script: &Script, step: &Step, number: u64, pattern: &Pattern, frame: &mut [u8]) -> usize {
    let mut re = ReHeader::new(data_id(number), step.offset, step.length, number);
    if step.kind == Kind::BadHeader {
        re.as_mut_bytes()[0] = 0x20;
    }
    let at = script.header_len();
    let (headers, rest) = frame.split_at_mut(at);
    let (lb, to) = headers.split_at_mut(at - re.as_bytes().len());
    to.copy_from_slice(re.as_bytes());
    if script.lb {
        lb.copy_from_slice(LbHeader::v2(number as u16, number).as_bytes());
    }
    let size = step.size as usize;
    rest[..size].copy_from_slice(pattern.part(number, step.offset as usize, size));
    if step.kind == Kind::Short { at - 1 } else { at + size }
}
