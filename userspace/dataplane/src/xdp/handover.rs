//! From a batch of frames to datagrams in the worker's hands, and each frame
//! to where it goes next: back to the fill ring, or on loan.

use std::{ops::Range, ptr::NonNull};

use xdpsar_reassembly::{Lender, Loan, NoLender};
use xdpsar_wire::Pieces;

use super::{
    chain::{Chain, MAX_CHAIN, Step},
    frame::{Descriptor, Frame, Free, Received},
    lending::{Desk, Refused},
    memory::Memory,
    packet::{Judge, Unsound},
};
use crate::source::{Datagram, Delay, FORESIGHT, Intake, SourceCounters};

/// Frames whose headers are fetched before they are looked at.
const PREFETCH: usize = FORESIGHT;

/// What one batch needs of its inlet.
pub(crate) struct HandOver<'a, D: Descriptor> {
    pub(crate) chain: &'a mut Chain<D>,
    /// Frames that go back to the fill ring.
    pub(crate) spare: &'a mut Vec<Frame<Free, D>>,
    pub(crate) memory: &'a Memory,
    pub(crate) desk: &'a mut Option<Desk<D>>,
    pub(crate) judge: &'a Judge,
    pub(crate) counters: &'a mut SourceCounters,
}

/// A packet that is whole in one frame.
struct Whole<'a, D> {
    frame: Frame<Received, D>,
    lane: u16,
    payload: &'a [u8],
}

impl<'a, D: Descriptor> HandOver<'a, D> {
    /// Hands over what the frames hold.
    #[inline]
    pub(crate) fn run(&mut self, batch: &mut Vec<Frame<Received, D>>, intake: &mut impl Intake) {
        let memory = self.memory;
        let mut delay = Delay::new();
        let mut frames = batch.drain(..);
        frames.as_slice().iter().take(PREFETCH).for_each(|frame| memory.prefetch(frame));
        while let Some(frame) = frames.next() {
            if let Some(later) = frames.as_slice().get(PREFETCH - 1) {
                memory.prefetch(later);
            }
            if self.chain.is_idle() && !frame.continues() {
                if let Some(whole) = self.look_at(frame) {
                    intake.foresee(whole.payload);
                    if let Some(due) = delay.push(whole) {
                        self.whole(due, intake);
                    }
                }
            } else {
                // Packets are handed over in their order.
                delay.drain().for_each(|due| self.whole(due, intake));
                self.piece(frame, intake);
            }
        }
        delay.drain().for_each(|due| self.whole(due, intake));
    }

    #[inline]
    fn look_at(&mut self, frame: Frame<Received, D>) -> Option<Whole<'a, D>> {
        // SAFETY: for as long as `Whole` has these bytes it has the token, and
        // what `whole` then does with it is to release it, after which they
        // are not used, or to lend it.
        let bytes = unsafe { self.memory.bytes_of(frame.desc()) };
        match self.judge.datagram(bytes, &mut []) {
            Ok(datagram) => {
                Some(Whole { frame, lane: datagram.lane, payload: datagram.bytes.first() })
            }
            Err(unsound) => {
                self.unsound(unsound);
                self.spare.push(frame.release());
                None
            }
        }
    }

    #[inline]
    fn whole(&mut self, whole: Whole<'_, D>, intake: &mut impl Intake) {
        let Whole { frame, lane, payload } = whole;
        let datagram = Datagram { lane, bytes: Pieces::whole(payload) };
        self.counters.datagrams += 1;
        self.counters.bytes += payload.len() as u64;
        let Some(desk) = self.desk else {
            intake.take(datagram, &mut NoLender);
            self.spare.push(frame.release());
            return;
        };
        let spare = &mut *self.spare;
        let mut lender =
            FrameLender { frame: Some(frame), payload, desk, spare, counters: self.counters };
        intake.take(datagram, &mut lender);
        if let Some(frame) = lender.frame {
            self.spare.push(frame.release());
        }
    }

    /// A frame of a packet that takes several.
    fn piece(&mut self, frame: Frame<Received, D>, intake: &mut impl Intake) {
        match self.chain.push(frame, self.spare) {
            Step::More => {}
            Step::TooLong => self.counters.truncated += 1,
            Step::Whole => {
                let mut pieces: [&[u8]; MAX_CHAIN] = [&[]; MAX_CHAIN];
                let frames = self.chain.frames();
                for (piece, frame) in pieces.iter_mut().zip(frames) {
                    *piece = self.memory.bytes(frame);
                }
                let (first, rest) = pieces[..frames.len()].split_at_mut(1);
                match self.judge.datagram(first[0], rest) {
                    Ok(datagram) => {
                        self.counters.datagrams += 1;
                        self.counters.bytes += datagram.bytes.len() as u64;
                        intake.take(datagram, &mut NoLender);
                    }
                    Err(unsound) => self.unsound(unsound),
                }
                self.chain.release(self.spare);
            }
        }
    }

    fn unsound(&mut self, unsound: Unsound) {
        *match unsound {
            Unsound::Frame => &mut self.counters.bad_frame,
            Unsound::Checksum => &mut self.counters.bad_checksum,
        } += 1;
    }
}

/// Lends the frame of one datagram.
struct FrameLender<'a, D: Descriptor> {
    /// Until it is lent.
    frame: Option<Frame<Received, D>>,
    payload: &'a [u8],
    desk: &'a mut Desk<D>,
    spare: &'a mut Vec<Frame<Free, D>>,
    counters: &'a mut SourceCounters,
}

impl<D: Descriptor> Lender for FrameLender<'_, D> {
    #[inline]
    fn lend(&mut self, payload: Range<usize>) -> Option<Loan> {
        let bytes = self.payload.get(payload)?;
        let frame = self.frame.take()?;
        // SAFETY: `payload` lies in the frame, whose bytes the kernel wrote.
        match unsafe { self.desk.lend(frame, NonNull::from(bytes)) } {
            Ok((loan, instead)) => {
                self.counters.lent += 1;
                self.spare.push(instead);
                Some(loan)
            }
            Err((frame, why)) => {
                self.frame = Some(frame);
                self.counters.copied += 1;
                self.counters.lend_exhausted += u64::from(why == Refused::Exhausted);
                None
            }
        }
    }
}
