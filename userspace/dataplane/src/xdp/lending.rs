//! Lending frames to events.
//!
//! ```text
//!   RX ring ──▶ Frame<Received> ──lend──▶ event ──drop, any thread──▶ returns
//!                      ⇅ in exchange                                     │
//!   FILL ring ◀── Frame<Free> ◀────────── reserve ◀─────────── collect ──┘
//! ```
//!
//! A frame is lent only in exchange for one of the socket's reserve, which
//! goes to the fill ring in its place. Receiving therefore never misses a
//! frame, whatever consumers hold; when the reserve is empty, events are
//! copied. What came back first is the first to stand in again: frames stay
//! in the order of their addresses, and who fills them goes through memory
//! page by page. Mixed up, that took the kernel a sixth longer (3.4 KB each);
//! behind thousands of others in the fill ring no frame stays in a cache.

use std::{ptr::NonNull, sync::Arc};

use xdpsar_reassembly::{Loan, LoanHome};

use super::{
    custody::Custody,
    frame::{Descriptor, Frame, Free, Received, Register},
    memory::Memory,
    returns::{Numbered, Returns},
};

/// The loans of one socket.
#[derive(Debug)]
pub(crate) struct Desk<D: Descriptor> {
    /// What came back first is last.
    reserve: Vec<Frame<Free, D>>,
    register: Arc<Register<D>>,
    home: Arc<Home>,
    /// Shorter events are copied.
    least: usize,
}

/// What the loans themselves keep alive: the memory they are in, and the way
/// back.
#[derive(Debug)]
struct Home {
    returns: Returns,
    custody: Arc<Custody>,
    _memory: Arc<Memory>,
}

/// Why a frame is not lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Copying costs less.
    Short,
    /// The reserve is empty.
    Exhausted,
}

/// A frame that was not lent, and why.
pub(crate) type NotLent<D> = (Frame<Received, D>, Refused);

impl<D: Descriptor> Desk<D> {
    /// Lends at most as many frames of `memory` as there are in `reserve`,
    /// for events of `least` bytes or more.
    pub(crate) fn new(
        mut reserve: Vec<Frame<Free, D>>,
        register: Arc<Register<D>>,
        memory: Arc<Memory>,
        custody: Arc<Custody>,
        least: usize,
    ) -> Self {
        reserve.reverse();
        reserve.iter().for_each(|frame| custody.set_aside(frame.desc()));
        let returns = Returns::new(register.numbers());
        Self {
            reserve,
            register,
            home: Arc::new(Home { returns, custody, _memory: memory }),
            least,
        }
    }

    /// Takes in what has come back. For an empty reserve: the order is that of
    /// coming back then.
    fn collect(&mut self) {
        let Self { reserve, register, home, .. } = self;
        for number in home.returns.take() {
            home.custody.collect(number);
            // SAFETY: the number was given up for a loan, and comes back once
            // (`Home::give_back`).
            reserve.push(unsafe { register.redeem(number) });
        }
    }

    /// Lends `bytes` of a frame, and returns one to post instead.
    ///
    /// # Errors
    /// The frame itself, and why it is not lent.
    ///
    /// # Safety
    /// The bytes are initialised, and lie in that frame of this desk's memory.
    #[inline]
    pub(crate) unsafe fn lend(
        &mut self,
        frame: Frame<Received, D>,
        bytes: NonNull<[u8]>,
    ) -> Result<(Loan, Frame<Free, D>), NotLent<D>> {
        if bytes.len() < self.least {
            return Err((frame, Refused::Short));
        }
        if self.reserve.is_empty() {
            self.collect();
        }
        let Some(instead) = self.reserve.pop() else { return Err((frame, Refused::Exhausted)) };
        self.home.custody.lend(frame.desc(), instead.desc());
        let token = frame.lend().into_number().into();
        let home = Arc::clone(&self.home);
        // SAFETY: the home keeps the memory mapped, and the frame is posted
        // (written to) only after it was given back.
        let loan = unsafe { Loan::new(bytes, token, home) };
        Ok((loan, instead))
    }
}

impl LoanHome for Home {
    #[inline]
    fn give_back(&self, token: u64) {
        // Made of a frame's number in `Desk::lend`.
        let number = token as u32;
        self.custody.give_back(number);
        self.returns.put(number);
    }
}

/// Run by `RUSTFLAGS='--cfg loom' cargo test --release --lib loom`.
#[cfg(all(test, loom))]
mod loom_tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use loom::{cell::UnsafeCell, thread};

    use super::{super::CHUNK, *};

    #[derive(Clone, Copy, Debug, Default)]
    struct Desc(usize);

    impl Descriptor for Desc {
        fn address(&self) -> usize {
            self.0
        }
        fn packet_len(&self) -> usize {
            8
        }
        fn continues(&self) -> bool {
            false
        }
    }

    /// A desk, and for each frame a cell in place of its bytes, so that loom
    /// sees an event's reading and the kernel's writing.
    struct Model {
        desk: Desk<Desc>,
        cells: Arc<[UnsafeCell<u64>]>,
        posted: Vec<Frame<Free, Desc>>,
    }

    /// What an event does: it reads until it is dropped.
    struct Borrowed {
        loan: Loan,
        number: usize,
        cells: Arc<[UnsafeCell<u64>]>,
    }

    impl Borrowed {
        fn read_and_drop(self) {
            self.cells[self.number].with(|cell| {
                // SAFETY: loom checks that nobody writes meanwhile.
                assert_eq!(unsafe { *cell }, self.number as u64);
            });
            drop(self.loan);
        }
    }

    impl Model {
        fn new(frames: usize, reserve: usize) -> Self {
            let all = frames + reserve;
            let descs: Vec<_> = (0..all).map(|number| Desc(number * CHUNK)).collect();
            let memory = Arc::new(Memory::heap(all * CHUNK));
            let custody = Arc::new(Custody::new(all, CHUNK));
            let register = Arc::new(Register::new(&descs));
            // SAFETY: each frame once.
            let mut posted: Vec<_> =
                descs.into_iter().map(|desc| unsafe { Frame::mint(desc) }).collect();
            let reserve = posted.split_off(frames);
            let desk = Desk::new(reserve, register, memory, custody, 0);
            Self { desk, cells: (0..all).map(|_| UnsafeCell::new(0)).collect(), posted }
        }

        /// The kernel fills the oldest posted frame, and it is lent.
        fn lend(&mut self) -> Option<Borrowed> {
            let free = self.posted.remove(0);
            let number = free.desc().address() / CHUNK;
            self.cells[number].with_mut(|cell| {
                // SAFETY: loom checks that nobody reads meanwhile.
                unsafe { *cell = number as u64 }
            });
            let bytes = NonNull::slice_from_raw_parts(NonNull::<u8>::dangling(), 8);
            // SAFETY: the bytes are never read.
            match unsafe { self.desk.lend(free.receive(), bytes) } {
                Ok((loan, instead)) => {
                    self.posted.push(instead);
                    Some(Borrowed { loan, number, cells: Arc::clone(&self.cells) })
                }
                Err((frame, _)) => {
                    self.posted.push(frame.release());
                    None
                }
            }
        }
    }

    /// One frame goes round and round while others come back: what the kernel
    /// writes, no event reads any more.
    #[test]
    fn loom_no_frame_is_written_while_it_is_read() {
        // Over all orders: the model would show nothing if none came back.
        let came_back = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&came_back);
        loom::model(move || {
            let mut model = Model::new(1, 2);
            let (first, second) = (model.lend().expect("lent"), model.lend().expect("lent"));
            let one = thread::spawn(move || first.read_and_drop());
            let other = thread::spawn(move || second.read_and_drop());
            let mut lent = 0;
            for _ in 0..3 {
                // Or loom tries no order in which a frame is back by now.
                thread::yield_now();
                if let Some(third) = model.lend() {
                    lent += 1;
                    seen.store(true, Ordering::Relaxed);
                    third.read_and_drop();
                }
            }
            one.join().unwrap();
            other.join().unwrap();
            model.desk.collect();
            assert_eq!(model.desk.reserve.len(), 2, "all came back; {lent} more were lent");
        });
        assert!(came_back.load(Ordering::Relaxed), "no third frame was ever lent");
    }

    /// A frame that is given back and lent again while another thread is about
    /// to put its own on top of it.
    #[test]
    fn loom_a_top_seen_again_does_no_harm() {
        loom::model(|| {
            let mut model = Model::new(1, 2);
            let (first, second) = (model.lend().expect("lent"), model.lend().expect("lent"));
            let other = thread::spawn(move || second.read_and_drop());
            first.read_and_drop();
            for _ in 0..3 {
                if let Some(again) = model.lend() {
                    again.read_and_drop();
                }
            }
            other.join().unwrap();
            model.desk.collect();
            let mut numbers: Vec<_> =
                model.desk.reserve.iter().map(|frame| frame.desc().address() / CHUNK).collect();
            numbers.push(model.posted[0].desc().address() / CHUNK);
            numbers.sort_unstable();
            assert_eq!(numbers, [0, 1, 2], "each frame once");
        });
    }

    /// The desk closes with frames on loan: those come back to nobody, and the
    /// memory goes with the last of them, not before.
    #[test]
    fn loom_late_events_keep_the_memory() {
        loom::model(|| {
            let mut model = Model::new(1, 2);
            let memory = Arc::downgrade(&model.desk.home);
            let (first, second) = (model.lend().expect("lent"), model.lend().expect("lent"));
            let one = thread::spawn(move || first.read_and_drop());
            let held = Arc::clone(&second.cells);
            drop(model);
            assert!(memory.upgrade().is_some(), "an event has it");
            let other = thread::spawn(move || second.read_and_drop());
            one.join().unwrap();
            other.join().unwrap();
            assert!(memory.upgrade().is_none(), "nobody has it");
            drop(held);
        });
    }
}
