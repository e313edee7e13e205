//! Who has which frame: kept in debug builds only, where a frame that is
//! lost, posted twice or handed out twice stops the program.

#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicU8, Ordering};

use super::{LEAST_CHUNK, frame::Descriptor};

/// Where a frame may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Place {
    /// In a worker's hands, or on its way to the fill ring.
    Worker,
    /// In the rings or with the driver.
    Kernel,
    /// Among those that make up for what is lent.
    Reserve,
    /// An event has it.
    Lent,
    /// The event is gone, and the worker has not looked yet.
    Back,
}

/// Where each frame of one UMEM is.
#[derive(Debug)]
pub(crate) struct Custody {
    #[cfg(debug_assertions)]
    places: Box<[AtomicU8]>,
    /// Bytes of a frame.
    #[cfg(debug_assertions)]
    chunk: usize,
}

impl Custody {
    /// All frames, of `chunk` bytes each, are in the worker's hands.
    #[cfg_attr(
        not(debug_assertions),
        expect(unused_variables, reason = "release builds keep no account")
    )]
    pub(crate) fn new(frames: usize, chunk: usize) -> Self {
        Self {
            #[cfg(debug_assertions)]
            chunk,
            #[cfg(debug_assertions)]
            places: (0..frames).map(|_| AtomicU8::new(Place::Worker as u8)).collect(),
        }
    }

    #[inline]
    pub(crate) fn post<D: Descriptor>(&self, descs: &[D]) {
        self.all(descs, Place::Worker, Place::Kernel, "posted twice");
    }

    /// The ring was full: they are still with us.
    #[inline]
    pub(crate) fn refused<D: Descriptor>(&self, descs: &[D]) {
        self.all(descs, Place::Kernel, Place::Worker, "refused, but not posted");
    }

    #[inline]
    pub(crate) fn take<D: Descriptor>(&self, descs: &[D]) {
        self.all(descs, Place::Kernel, Place::Worker, "received, but not posted");
    }

    #[inline]
    pub(crate) fn set_aside<D: Descriptor>(&self, desc: &D) {
        self.one(desc, Place::Worker, Place::Reserve, "set aside, but not ours");
    }

    /// A received frame is lent, and one of the reserve stands in for it.
    #[inline]
    pub(crate) fn lend<D: Descriptor>(&self, received: &D, reserve: &D) {
        self.one(received, Place::Worker, Place::Lent, "lent, but not ours");
        self.one(reserve, Place::Reserve, Place::Worker, "not in the reserve");
    }

    /// Before it is put where the worker finds it.
    #[inline]
    pub(crate) fn give_back(&self, number: u32) {
        self.moved(
            number as usize * LEAST_CHUNK,
            Place::Lent,
            Place::Back,
            "given back, but not lent",
        );
    }

    #[inline]
    pub(crate) fn collect(&self, number: u32) {
        self.moved(
            number as usize * LEAST_CHUNK,
            Place::Back,
            Place::Reserve,
            "collected, but not given back",
        );
    }

    /// Checks that every frame is with the kernel, in the reserve, with an
    /// event, or among the `held` ones in the worker's hands.
    #[cfg_attr(
        not(debug_assertions),
        expect(unused_variables, clippy::unused_self, reason = "release builds keep no account")
    )]
    pub(crate) fn check(&self, held: usize) {
        #[cfg(debug_assertions)]
        if !std::thread::panicking() {
            self.assert_conserved(held);
        }
    }

    #[cfg(debug_assertions)]
    fn assert_conserved(&self, held: usize) {
        let worker = Place::Worker as u8;
        let ours =
            self.places.iter().filter(|place| place.load(Ordering::Relaxed) == worker).count();
        assert_eq!(ours, held, "frames with the worker: {ours} by the book, {held} held");
    }

    #[inline]
    fn all<D: Descriptor>(&self, descs: &[D], from: Place, to: Place, wrong: &str) {
        if cfg!(debug_assertions) {
            descs.iter().for_each(|desc| self.one(desc, from, to, wrong));
        }
    }

    #[inline]
    fn one<D: Descriptor>(&self, desc: &D, from: Place, to: Place, wrong: &str) {
        self.moved(desc.address(), from, to, wrong);
    }

    #[cfg_attr(
        not(debug_assertions),
        expect(unused_variables, clippy::unused_self, reason = "release builds keep no account")
    )]
    #[inline]
    fn moved(&self, address: usize, from: Place, to: Place, wrong: &str) {
        #[cfg(debug_assertions)]
        {
            let frame = address / self.chunk;
            // The rings order the accesses to the frame; this only counts.
            let was = self.places[frame].swap(to as u8, Ordering::Relaxed);
            assert_eq!(was, from as u8, "frame {frame} {wrong}");
        }
    }
}
