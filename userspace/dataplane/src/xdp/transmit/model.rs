//! An outlet in plain memory, with a kernel that is a few lines long and as
//! moody as the test wants.

use std::{
    cell::RefCell, collections::VecDeque, io, io::IoSlice, rc::Rc, sync::Arc, time::Duration,
};

use proptest::prelude::*;
use xdpsar_wire::{LbFraming, LbHeader, Pieces, frame::walk};

use super::{
    headers::{self, Ends, Headers},
    outlet::{Outlet, ROOM, Waiting, frames_for},
};
use crate::{
    config::Checksum,
    send::{EventHeader, Payload, SendCounters, plan::Plan},
    xdp::{
        CHUNK, checksum,
        frame::{Frame, RawCompletion, RawTx},
        memory::Memory,
        plain::Desc,
    },
};

/// What the kernel does when it is woken.
#[derive(Clone, Copy, Debug)]
enum Mood {
    /// Takes that many descriptors, and says `EAGAIN` if there are more.
    Takes(usize),
    /// Has no memory.
    Poor,
    /// Gives back that many frames, oldest first.
    Completes(usize),
}

#[derive(Debug)]
struct Kernel {
    memory: Arc<Memory>,
    ring: VecDeque<Desc>,
    ring_size: usize,
    /// Taken, and not given back yet.
    busy: VecDeque<usize>,
    completed: VecDeque<usize>,
    moods: VecDeque<Mood>,
    packet: Vec<u8>,
    packets: Vec<Vec<u8>>,
}

impl Kernel {
    fn take(&mut self, most: usize) {
        for _ in 0..most {
            let Some(desc) = self.ring.pop_front() else { return };
            assert!(desc.len > 0, "the kernel refuses empty descriptors");
            assert!(desc.address % CHUNK + desc.len <= CHUNK, "nor those beyond a chunk");
            // SAFETY: inside the memory; posted, so the kernel's.
            let bytes = unsafe {
                std::slice::from_raw_parts(self.memory.at(desc.address).cast_const(), desc.len)
            };
            self.packet.extend_from_slice(bytes);
            // SAFETY: as above. Nobody relies on what was in there.
            unsafe { self.memory.at(desc.address).write_bytes(0xdb, desc.len) };
            self.busy.push_back(desc.address);
            if !desc.continues {
                self.packets.push(std::mem::take(&mut self.packet));
            }
        }
    }
}

#[derive(Debug)]
struct Ring(Rc<RefCell<Kernel>>);
#[derive(Debug)]
struct Completion(Rc<RefCell<Kernel>>);

impl RawTx for Ring {
    type Desc = Desc;

    fn describe(&self, desc: &mut Desc, len: usize, continues: bool) {
        (desc.len, desc.continues) = (len, continues);
    }

    unsafe fn produce(&mut self, descs: &[Desc]) -> usize {
        let mut kernel = self.0.borrow_mut();
        if kernel.ring_size - kernel.ring.len() < descs.len() {
            return 0;
        }
        kernel.ring.extend(descs);
        descs.len()
    }

    fn pending(&mut self) -> usize {
        self.0.borrow().ring.len()
    }

    fn needs_wakeup(&self) -> bool {
        true
    }

    fn wake(&mut self) -> io::Result<()> {
        let mut kernel = self.0.borrow_mut();
        match kernel.moods.pop_front().unwrap_or(Mood::Takes(usize::MAX)) {
            Mood::Takes(most) => kernel.take(most),
            Mood::Poor => return Err(io::Error::from_raw_os_error(libc::ENOBUFS)),
            Mood::Completes(most) => {
                for _ in 0..most {
                    let Some(frame) = kernel.busy.pop_front() else { break };
                    kernel.completed.push_back(frame);
                }
            }
        }
        if kernel.ring.is_empty() {
            return Ok(());
        }
        Err(io::Error::from_raw_os_error(libc::EAGAIN))
    }
}

impl RawCompletion for Completion {
    type Desc = Desc;

    fn consume(&mut self, descs: &mut [Desc]) -> usize {
        let mut kernel = self.0.borrow_mut();
        let count = descs.len().min(kernel.completed.len());
        for (desc, address) in descs.iter_mut().zip(kernel.completed.drain(..count)) {
            *desc = Desc { address, ..Desc::default() };
        }
        count
    }
}

fn outlet(frames: usize, ring_size: usize) -> (Outlet<Ring, Completion>, Rc<RefCell<Kernel>>) {
    let memory = Arc::new(Memory::heap(frames * CHUNK));
    let kernel = Rc::new(RefCell::new(Kernel {
        memory: Arc::clone(&memory),
        ring: VecDeque::new(),
        ring_size,
        busy: VecDeque::new(),
        completed: VecDeque::new(),
        moods: VecDeque::new(),
        packet: Vec::new(),
        packets: Vec::new(),
    }));
    let free = (0..frames)
        .map(|nth| Desc { address: (nth + 1) * CHUNK - ROOM, ..Desc::default() })
        // SAFETY: each frame once.
        .map(|desc| unsafe { Frame::mint(desc) })
        .collect();
    let (ring, completion) = (Ring(Rc::clone(&kernel)), Completion(Rc::clone(&kernel)));
    (Outlet::new(ring, completion, free, memory, true), kernel)
}

fn headers(v6: bool, length: u32) -> Headers {
    let (from, to) = if v6 { ("fd77::1", "fd77::2") } else { ("10.77.0.1", "10.77.0.2") };
    let ends = Ends {
        to_mac: [2; 6],
        from_mac: [4; 6],
        to: to.parse().expect("an address"),
        from: from.parse().expect("an address"),
        dscp: 0,
        hops: 64,
    };
    let event = EventHeader { lb: Some(LbHeader::v2(1, 2)), data_id: 3, length, event_number: 4 };
    Headers::new(&ends, &headers::Flow { source_port: 5, label: 6 }, 7, &event)
}

/// The event that these packets are, each of them sound.
fn read(packets: &[Vec<u8>], length: usize) -> Vec<u8> {
    let mut event = Vec::with_capacity(length);
    for bytes in packets {
        let udp = walk(&bytes[..]).expect("UDP");
        let at = udp.payload_offset();
        assert_eq!(udp.payload_len(bytes.len()), Some(bytes.len() - at));
        let payload = Pieces::from(&bytes[at..]);
        assert!(checksum::passes(Checksum::Strict, &bytes[..at], &udp, &payload));
        let headers = xdpsar_wire::Headers::parse(&bytes[at..], LbFraming::Keep).expect("EJFAT");
        assert_eq!(headers.re.length() as usize, length);
        assert_eq!(headers.re.offset() as usize, event.len(), "in order");
        event.extend_from_slice(&bytes[at + headers.len..]);
    }
    event
}

fn moods() -> impl Strategy<Value = Vec<Mood>> {
    let mood = prop_oneof![
        3 => (0usize..40).prop_map(Mood::Takes),
        1 => Just(Mood::Poor),
        2 => (0usize..40).prop_map(Mood::Completes),
    ];
    proptest::collection::vec(mood, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 3 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn events_come_out_whole_and_frames_come_back(
        v6: bool,
        events in proptest::collection::vec(
            (proptest::collection::vec(0usize..9000, 0..6), 1usize..12_000), 1..5),
        frames in 8usize..40,
        ring in 4u32..7,
        batch in 1usize..9,
        moods in moods(),
    ) {
        let (mut outlet, kernel) = outlet(frames, 1 << ring);
        kernel.borrow_mut().moods = moods.into();
        let mut counters = SendCounters::default();
        for (parts, each) in events {
            let bytes: Vec<Vec<u8>> = parts
                .iter()
                .enumerate()
                .map(|(part, len)| (0..*len).map(|at| (at * 7 + part * 31) as u8).collect())
                .collect();
            let slices: Vec<_> = bytes.iter().map(|part| IoSlice::new(part)).collect();
            let whole = bytes.concat();
            let headers = headers(v6, whole.len() as u32);
            let per_packet = frames_for(headers.len() + each);
            let mut cursor = Payload::parts(&slices).cursor();
            let mut plan = Plan::new(whole.len() as u32, each).peekable();
            while plan.peek().is_some() {
                let room = (outlet.reclaim() / per_packet).min((1 << ring) / per_packet);
                for _ in 0..room.min(batch) {
                    let Some((offset, len)) = plan.next() else { break };
                    prop_assert!(outlet.write(&headers, &mut cursor, offset, len));
                }
                outlet.check();
                let mut turns = 0;
                while !outlet.post() {
                    outlet.push(&mut counters).expect("no error");
                    turns += 1;
                    prop_assert!(turns < 100, "nothing moves");
                }
                outlet.push(&mut counters).expect("no error");
                // In the end, everything that was taken comes back.
                let mut kernel = kernel.borrow_mut();
                if room == 0 || kernel.moods.is_empty() {
                    let Kernel { busy, completed, .. } = &mut *kernel;
                    completed.extend(busy.drain(..));
                }
            }
            while !outlet.is_pushed() {
                outlet.push(&mut counters).expect("no error");
            }
            outlet.check();
            let packets = std::mem::take(&mut kernel.borrow_mut().packets);
            prop_assert_eq!(packets.len(), whole.len().div_ceil(each).max(1));
            prop_assert!(read(&packets, whole.len()) == whole);
        }
        let mut kernel = kernel.borrow_mut();
        let Kernel { busy, completed, .. } = &mut *kernel;
        completed.extend(busy.drain(..));
        drop(kernel);
        prop_assert_eq!(outlet.reclaim(), frames);
        outlet.check();
    }
}

#[test]
fn without_frames_nothing_is_written_and_nothing_read() {
    let (mut outlet, kernel) = outlet(2, 4);
    let event = [7; 5000];
    let headers = headers(false, 5000);
    let mut cursor = Payload::whole(&event).cursor();
    assert!(outlet.write(&headers, &mut cursor, 0, 4000), "two frames");
    assert!(!outlet.write(&headers, &mut cursor, 4000, 1000), "and no more");
    outlet.withdraw();
    assert_eq!(outlet.reclaim(), 2);
    assert!(outlet.write(&headers, &mut cursor, 4000, 1000));
    assert!(outlet.post() && outlet.push(&mut SendCounters::default()).expect("sent").is_none());
    let packets = &kernel.borrow().packets;
    assert_eq!((packets.len(), packets[0].len()), (1, headers.len() + 1000), "what was withdrawn");
    outlet.check();
}

#[test]
fn a_kernel_that_takes_nothing_is_told_of_and_a_dead_one_too() {
    let (mut outlet, kernel) = outlet(4, 4);
    let headers = headers(true, 1);
    let mut counters = SendCounters::default();
    assert!(outlet.write(&headers, &mut Payload::whole(&[1]).cursor(), 0, 1) && outlet.post());
    kernel.borrow_mut().moods = [Mood::Poor, Mood::Takes(0)].into();
    for code in [libc::ENOBUFS, libc::EAGAIN] {
        let said = outlet.push(&mut counters).expect("no error").expect("nothing taken");
        assert_eq!(said.raw_os_error(), Some(code));
    }
    assert_eq!((counters.retried_no_buffers, counters.retried_full, counters.syscalls), (1, 1, 2));
    assert!(outlet.push(&mut counters).expect("no error").is_none() && outlet.is_pushed());
}

#[test]
fn patience_ends_unless_something_moves() {
    let mut waiting = Waiting::new(Duration::from_millis(5));
    let mut tries = 0;
    let waited = loop {
        match waiting.pause() {
            Ok(()) => tries += 1,
            Err(waited) => break waited,
        }
    };
    assert!(tries > 0 && waited > Duration::from_millis(5));
    waiting.ends();
    assert_eq!(waiting.pause(), Ok(()), "from the start");
}
