//! The whole packet step: frames of a queue in plain memory, through chain,
//! judge and loan, into an assembler with a small budget.
//!
//! Input: 5 bytes of settings (`Settings::decode`), then operations: a byte
//! that says which, and what it takes (`Rig::step`).

use std::{collections::VecDeque, net::Ipv4Addr, sync::Arc};

use xdpsar_dataplane::{
    Checksum, Datagram, Intake, ReceiveConfig, SocketOptions, Wait, XdpOptions,
    xdp::plain::{Queue, Sizes},
};
use xdpsar_reassembly::{
    Assembler, AssemblerConfig, BudgetPolicy, Event, Lender, LostEvent, Pool, PoolConfig, Sink,
};
use xdpsar_wire::{
    LbFraming, LbHeader, ReHeader, datagram,
    frame::{self, IpVersion, UdpDatagram},
    steering::LaneMode,
};
use zerocopy::IntoBytes;

use crate::{
    common::MS,
    decode::Bytes,
    frames::{PORT, ethernet, ipv4, ipv6, udp},
};

const PORTS: u16 = 4;
/// Frames taken at once; more than are foreseen.
const BATCH: usize = 12;
/// Operations in one input: keeps it within a millisecond.
const MOST_STEPS: usize = 100;

/// Runs them.
///
/// # Panics
/// Where a frame, a datagram or a byte is lost, made up or changed, or a
/// budget exceeded.
pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let mut rig = Rig::new(Settings::decode(&mut bytes));
    for _ in 0..MOST_STEPS {
        if bytes.is_empty() {
            break;
        }
        rig.step(&mut bytes);
        rig.check();
    }
    rig.end();
}

struct Settings {
    receive: ReceiveConfig,
    sizes: Sizes,
    assembler: AssemblerConfig,
    pool: PoolConfig,
}

impl Settings {
    /// Byte 0: bit 0 lane mode, bits 1-2 framing, bits 3-4 checksum, bit 5
    /// policy. Byte 1: bits 0-1 frames to lend, bits 2-3 from which length
    /// on, bits 4-7 frames. Then the budget (2), and events and keys (1).
    fn decode(bytes: &mut Bytes<'_>) -> Self {
        let (flags, frames) = (bytes.u8(), bytes.u8());
        let framing = LbFraming::from_u8(flags >> 1 & 3);
        let by_entropy = flags & 1 != 0;
        let checksum = [Checksum::Off, Checksum::Auto, Checksum::Strict, Checksum::Off];
        let receive = ReceiveConfig {
            listen: Ipv4Addr::UNSPECIFIED.into(),
            base_port: PORT,
            ports: PORTS,
            lane_mode: if by_entropy { LaneMode::Entropy } else { LaneMode::Port },
            lanes: if by_entropy { 16 } else { PORTS },
            framing,
            workers: 1,
            wait: Wait::default(),
            xdp: XdpOptions {
                checksum: checksum[usize::from(flags >> 3 & 3)],
                ..XdpOptions::default()
            },
            socket: SocketOptions::default(),
        };
        let sizes = Sizes {
            frames: 20 + usize::from(frames >> 4),
            reserve: usize::from(frames & 3),
            least: [0, 16, 100, 4000][usize::from(frames >> 2 & 3)],
            fill: 32,
            rx: 24,
            batch: BATCH,
        };
        let (budget, few) = (u64::from(bytes.u16()), bytes.u8());
        let assembler = AssemblerConfig {
            framing,
            max_in_progress: 1 + u32::from(few & 15),
            remembered: u32::from(few >> 4),
            on_budget: if flags & 0x20 == 0 {
                BudgetPolicy::RefuseNew
            } else {
                BudgetPolicy::EvictOldest
            },
            ..AssemblerConfig::default()
        };
        Self { receive, sizes, assembler, pool: PoolConfig { budget, max_event: 2048 } }
    }
}

/// A datagram that must be handed over, unless its checksum is wrong.
#[derive(Debug, PartialEq, Eq)]
struct Expected {
    lane: u16,
    payload: Vec<u8>,
}

/// Events, each with a copy of what it held when it was delivered.
#[derive(Default)]
struct Kept {
    events: VecDeque<(Event, Vec<u8>)>,
    /// Events and bytes delivered and lost.
    delivered: (u64, u64),
    lost: (u64, u64),
}

impl Sink for Kept {
    fn event(&mut self, event: Event) {
        self.delivered.0 += 1;
        self.delivered.1 += event.len() as u64;
        let copy = event.to_vec();
        self.events.push_back((event, copy));
    }

    fn lost(&mut self, lost: LostEvent) {
        self.lost.0 += 1;
        self.lost.1 += lost.bytes;
    }
}

impl Kept {
    /// The consumer drops its oldest events, or its newest.
    fn release(&mut self, count: usize, newest: bool) {
        for _ in 0..count {
            let event = if newest { self.events.pop_back() } else { self.events.pop_front() };
            let Some((event, copy)) = event else { return };
            assert!(*event == copy, "{event:?} changed while it was held");
        }
    }
}

/// What a worker does with datagrams, and what it knows of them beforehand.
struct Worker {
    assembler: Assembler,
    kept: Kept,
    now_ns: u64,
    expected: VecDeque<Expected>,
    /// Expected, but passed over.
    skipped: u64,
    foreseen: VecDeque<(*const u8, usize)>,
}

impl Intake for Worker {
    fn foresee(&mut self, first: &[u8]) {
        self.foreseen.push_back((first.as_ptr(), first.len()));
        self.assembler.foresee(first);
    }

    fn take(&mut self, datagram: Datagram<'_>, lender: &mut impl Lender) {
        let first = datagram.bytes.first();
        if self.foreseen.front() == Some(&(first.as_ptr(), first.len())) {
            self.foreseen.pop_front();
        }
        let mut payload = vec![0; datagram.bytes.len()];
        datagram.bytes.copy_to(&mut payload);
        let got = Expected { lane: datagram.lane, payload };
        while self.expected.pop_front().expect("a datagram out of nowhere") != got {
            self.skipped += 1;
        }
        let Self { assembler, kept, now_ns, .. } = self;
        assembler.ingest_lent(datagram.lane, datagram.bytes, lender, *now_ns, kept);
    }
}

struct Rig {
    receive: ReceiveConfig,
    queue: Queue,
    pool: Arc<Pool>,
    worker: Worker,
    /// Packets that the kernel had room for.
    arrived: u64,
}

impl Rig {
    fn new(settings: Settings) -> Self {
        let pool = Pool::new(settings.pool);
        Self {
            queue: Queue::new(&settings.receive, settings.sizes),
            receive: settings.receive,
            worker: Worker {
                assembler: Assembler::new(settings.assembler, Arc::clone(&pool)),
                kept: Kept::default(),
                now_ns: 0,
                expected: VecDeque::new(),
                skipped: 0,
                foreseen: VecDeque::new(),
            },
            pool,
            arrived: 0,
        }
    }

    fn step(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.u8() % 16 {
            0..7 => {
                let (frame, cut) = fragment(bytes);
                self.arrive(&frame, cut);
            }
            7 => {
                let (mut frame, cut) = fragment(bytes);
                let (at, value, less) = (bytes.u8(), bytes.u8(), bytes.u8());
                let at = usize::from(at) % frame.len();
                frame[at] ^= value;
                frame.truncate(frame.len() - usize::from(less) % frame.len());
                self.arrive(&frame, cut);
            }
            8 => {
                let len = usize::from(bytes.u8());
                let frame = bytes.take(len);
                self.arrive(frame, bytes.u8());
            }
            9..12 => {
                self.receive(usize::from(bytes.u8()) % (BATCH + 2));
                self.queue.post();
            }
            // The fill ring runs dry.
            12 => self.receive(usize::from(bytes.u8()) % (BATCH + 2)),
            13 => {
                let which = bytes.u8();
                self.worker.kept.release(usize::from(which & 15), which & 16 != 0);
            }
            14 => {
                self.worker.now_ns += u64::from(bytes.u8()) * 10 * MS;
                let Worker { assembler, kept, now_ns, .. } = &mut self.worker;
                assembler.expire(*now_ns, 16, kept);
            }
            _ => {
                let Worker { assembler, kept, .. } = &mut self.worker;
                assembler.finish(kept);
            }
        }
    }

    fn receive(&mut self, max: usize) {
        self.queue.receive(max, &mut self.worker);
        assert!(self.worker.foreseen.is_empty(), "foreseen, but not taken");
    }

    /// A packet, in the pieces that `cut` says.
    fn arrive(&mut self, frame: &[u8], cut: u8) {
        let pieces = pieces(frame, cut);
        if !self.queue.arrive(&pieces) {
            return;
        }
        self.arrived += 1;
        if pieces.len() <= xdpsar_dataplane::xdp::MAX_CHAIN {
            self.worker.expected.extend(self.expected(pieces[0], frame));
        }
    }

    /// The datagram in a frame, all of whose headers must lie in `first`.
    fn expected(&self, first: &[u8], frame: &[u8]) -> Option<Expected> {
        let udp = frame::walk(first).ok()?;
        let len = udp.payload_len(frame.len())?;
        let port = udp.dst_port.checked_sub(PORT).filter(|port| *port < PORTS)?;
        let lane = match self.receive.lane_mode {
            LaneMode::Port => port,
            LaneMode::Entropy => {
                let at = udp.payload_offset();
                let shape = datagram::check(first, at, len, self.receive.framing).ok()?;
                shape.entropy()? % self.receive.lanes
            }
        };
        Some(Expected { lane, payload: frame[udp.payload_offset()..][..len].to_vec() })
    }

    /// What holds after every operation.
    fn check(&self) {
        self.queue.check();
        let Worker { assembler, kept, .. } = &self.worker;
        assembler.check_structure();
        let (source, core) = (self.queue.counters(), assembler.counters());
        assert_eq!((source.datagrams, source.bytes), (core.datagrams, core.datagram_bytes));
        assert_eq!(core.accounted(), core.datagrams);
        let (_, in_progress) = assembler.in_progress();
        assert_eq!(core.bytes, core.event_bytes + core.lost_bytes + in_progress);
        assert_eq!(kept.delivered, (core.events, core.event_bytes));
        assert_eq!(kept.lost, (core.lost(), core.lost_bytes));
        assert!(source.lent + source.copied <= source.datagrams);
        assert!(self.pool.in_use() <= self.pool.held() && self.pool.held() <= self.pool.budget());
    }

    /// All that has arrived is taken, all that is held is dropped.
    fn end(mut self) {
        while self.queue.has_arrived() {
            self.receive(BATCH);
            self.queue.post();
        }
        self.check();
        assert!(!self.queue.is_amid_packet());
        let counters = self.queue.counters();
        let dropped = counters.truncated + counters.bad_frame + counters.bad_checksum;
        assert_eq!(counters.datagrams + dropped, self.arrived);
        let Worker { mut assembler, mut kept, expected, skipped, .. } = self.worker;
        assert_eq!(skipped + expected.len() as u64, counters.bad_checksum);
        if self.receive.xdp.checksum == Checksum::Off {
            assert_eq!(counters.bad_checksum, 0);
        }
        assembler.finish(&mut kept);
        assert_eq!(assembler.in_progress(), (0, 0));
        // Lent events outlive the queue, others the assembler.
        drop((self.queue, assembler));
        kept.release(usize::MAX, false);
        assert_eq!(self.pool.in_use(), 0);
    }
}

/// A sound frame with a fragment that lies within its event, and how to cut
/// it: key, length, size, which, checksum and port, cut.
fn fragment(bytes: &mut Bytes<'_>) -> (Vec<u8>, u8) {
    let (key, length, size, nth) = (bytes.u8(), bytes.length(), bytes.size(), bytes.u8());
    let (number, data_id) = (u64::from(key & 7), u16::from(key >> 3 & 1));
    let offset = u32::from(nth) % length.div_ceil(size) * size;
    let size = size.min(length - offset);
    let re = ReHeader::new(data_id, offset, length, number);
    let byte = |at: u32| (at as u8).wrapping_mul(31) ^ key;
    let mut payload: Vec<u8> =
        re.as_bytes().iter().copied().chain((offset..offset + size).map(byte)).collect();
    if key & 0x40 == 0 {
        let lb = LbHeader::v2(u16::from(key), number);
        payload.splice(0..0, lb.as_bytes().iter().copied());
    }
    let wiring = bytes.u8();
    let datagram = udp(PORT + u16::from(wiring & 3), &payload);
    let tags: &[u16] = if key & 0x20 == 0 { &[] } else { &[0x8100] };
    let mut frame = if key & 0x80 == 0 {
        ethernet(tags, 0x0800, &ipv4(0, 0, 17, &datagram))
    } else {
        ethernet(tags, 0x86dd, &ipv6(17, &datagram))
    };
    // None, right, or wrong by one.
    let wrong = u16::from(wiring & 0x0c == 0x0c);
    if wiring & 0x0c != 0 {
        checksum(&mut frame, wrong);
    }
    // Padding, as short frames have.
    frame.resize(frame.len() + usize::from(wiring >> 6) * 5, 0);
    (frame, bytes.u8())
}

/// Fills in the UDP checksum, off by `wrong` (RFC 768, RFC 8200 §8.1).
fn checksum(frame: &mut [u8], wrong: u16) {
    let UdpDatagram { ip, ip_offset, udp_offset, udp_len, .. } =
        frame::walk(&*frame).expect("sound");
    let addresses = match ip {
        IpVersion::V4 => ip_offset + 12..ip_offset + 20,
        IpVersion::V6 => ip_offset + 8..ip_offset + 40,
    };
    let datagram = &frame[udp_offset..udp_offset + usize::from(udp_len)];
    let words = frame[addresses].chunks(2).chain(datagram.chunks(2));
    let sum: u32 =
        words.map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0))).sum();
    let mut sum = sum + 17 + u32::from(udp_len);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let field = (!(sum as u16)).max(1).wrapping_add(wrong);
    frame[udp_offset + 6..udp_offset + 8].copy_from_slice(&field.to_be_bytes());
}

/// One piece, or several: the first of as many bytes as `cut` says (a piece
/// that ends amid the headers too), the others of 20 bytes, up to 20 pieces.
fn pieces(frame: &[u8], cut: u8) -> Vec<&[u8]> {
    if cut == 0 {
        return vec![frame];
    }
    let (first, rest) = frame.split_at(frame.len().min(usize::from(cut)));
    let mut pieces = vec![first];
    let (short, last) = rest.split_at(rest.len().min(18 * 20));
    pieces.extend(short.chunks(20));
    if !last.is_empty() {
        pieces.push(last);
    }
    pieces
}
