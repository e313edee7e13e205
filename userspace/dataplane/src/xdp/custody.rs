//! Who has which frame: kept in debug builds only, where a frame that is
//! lost, posted twice or handed out twice stops the program.

#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(debug_assertions)]
use super::CHUNK;
use super::frame::Descriptor;

/// Where each frame of one UMEM is: with the kernel, or with us.
#[derive(Debug)]
pub(crate) struct Custody {
    #[cfg(debug_assertions)]
    with_kernel: Box<[AtomicBool]>,
}

impl Custody {
    /// All frames are with us.
    #[cfg_attr(
        not(debug_assertions),
        expect(unused_variables, reason = "release builds keep no account")
    )]
    pub(crate) fn new(frames: usize) -> Self {
        Self {
            #[cfg(debug_assertions)]
            with_kernel: (0..frames).map(|_| AtomicBool::new(false)).collect(),
        }
    }

    #[inline]
    pub(crate) fn post<D: Descriptor>(&self, descs: &[D]) {
        self.turn(descs, true, "posted twice");
    }

    /// The ring was full: they are still with us.
    #[inline]
    pub(crate) fn refused<D: Descriptor>(&self, descs: &[D]) {
        self.turn(descs, false, "refused, but not posted");
    }

    #[inline]
    pub(crate) fn take<D: Descriptor>(&self, descs: &[D]) {
        self.turn(descs, false, "received, but not posted");
    }

    #[cfg_attr(
        not(debug_assertions),
        expect(unused_variables, clippy::unused_self, reason = "release builds keep no account")
    )]
    #[inline]
    fn turn<D: Descriptor>(&self, descs: &[D], to_kernel: bool, wrong: &str) {
        #[cfg(debug_assertions)]
        for desc in descs {
            let frame = desc.address() / CHUNK;
            // The rings order the accesses to the frame; this only counts.
            let was = self.with_kernel[frame].swap(to_kernel, Ordering::Relaxed);
            assert_ne!(was, to_kernel, "frame {frame} {wrong}");
        }
    }

    /// Checks that every frame is either with the kernel or among the `held`
    /// ones that we still have.
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
        let kernel = self.with_kernel.iter().filter(|frame| frame.load(Ordering::Relaxed)).count();
        assert_eq!(kernel + held, self.with_kernel.len(), "{kernel} frames posted, {held} held");
    }
}
