//! Numbered datagrams whose every byte follows from their number, sent from
//! one host of a lab and received at the other.

use std::{
    alloc::{GlobalAlloc, System},
    cell::Cell,
    net::{SocketAddr, UdpSocket},
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use xdpsar_dataplane::{
    Datagram, ReceiveConfig, SocketOptions, Source, SourceCounters, Wait, XdpOptions, XdpReceiver,
    XdpSource,
};
use xdpsar_tests::{
    Lab,
    pace::{PATIENCE, eventually},
};
use xdpsar_wire::{
    LbFraming, LbHeader, Pieces, ReHeader,
    steering::{LaneMode, Verdict},
};
use zerocopy::IntoBytes;

const PORT: u16 = 19522;
/// LB and RE header, and the number.
const HEAD: usize = 16 + 20 + 8;

/// Receive on the lab's `vb`, on eight lanes.
pub(crate) fn config(lab: &Lab, v6: bool, workers: usize) -> ReceiveConfig {
    ReceiveConfig {
        listen: lab.receiver.address(v6),
        base_port: PORT,
        ports: 8,
        lane_mode: LaneMode::Port,
        lanes: 8,
        framing: LbFraming::Keep,
        workers,
        wait: Wait::Adaptive,
        xdp: XdpOptions { interface: Some("vb".into()), ..Default::default() },
        socket: SocketOptions::default(),
    }
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) count: usize,
    /// Payload bytes.
    pub(crate) shortest: usize,
    pub(crate) longest: usize,
    /// Datagrams on their way at the same time.
    pub(crate) window: usize,
    /// Some may be lost.
    pub(crate) expect_loss: bool,
    /// (Almost) all will be refused.
    pub(crate) expect_none: bool,
}

impl Sent {
    pub(crate) fn plain(count: usize, len: usize) -> Self {
        Self::mixed(count, len, len)
    }

    pub(crate) fn mixed(count: usize, shortest: usize, longest: usize) -> Self {
        Self { count, shortest, longest, window: 128, expect_loss: false, expect_none: false }
    }

    fn len(&self, number: usize) -> usize {
        let spread = self.longest - self.shortest + 1;
        self.shortest + (number.wrapping_mul(2_654_435_761) >> 7) % spread
    }

    fn lane(number: usize) -> u16 {
        (number % 8) as u16
    }
}

/// What became of it.
pub(crate) struct Run {
    pub(crate) sent: Sent,
    pub(crate) description: String,
    /// By worker.
    pub(crate) counters: Vec<SourceCounters>,
    pub(crate) program: [u64; Verdict::COUNTERS],
    /// By worker and lane.
    pub(crate) lanes: Vec<[usize; 8]>,
    pub(crate) most_pieces: usize,
    pub(crate) distinct: usize,
    /// By all workers while they received and waited.
    pub(crate) allocations: u64,
}

impl Run {
    pub(crate) fn total(&self) -> SourceCounters {
        let mut total = SourceCounters::default();
        self.counters.iter().for_each(|counters| total.add(counters));
        total
    }

    pub(crate) fn assert_lossless(&self) {
        let total = self.total();
        let context = format!("{}: {total:?}", self.description);
        assert_eq!(self.distinct, self.sent.count, "{context}");
        assert_eq!(total.datagrams, self.sent.count as u64, "{context}");
        assert_eq!(self.program[0], total.datagrams, "redirected; {context}");
        let lost = [total.kernel_drops, total.bad_frame, total.bad_checksum, total.truncated];
        assert_eq!(lost, [0; 4], "{context}");
        assert_eq!(self.allocations, 0, "allocations; {context}");
        let bytes: usize = (0..self.sent.count).map(|number| self.sent.len(number)).sum();
        assert_eq!(total.bytes, bytes as u64, "{context}");
    }

    pub(crate) fn assert_each_lane_at_its_worker(&self, workers: usize) {
        for (worker, lanes) in self.lanes.iter().enumerate() {
            for (lane, count) in lanes.iter().enumerate() {
                let here = lane % workers == worker;
                let expected = if here { self.sent.count / 8 } else { 0 };
                assert_eq!(*count, expected, "lane {lane}, worker {worker}: {}", self.description);
            }
        }
    }
}

fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 13
}

/// The datagram's payload.
fn fill(number: usize, len: usize, bytes: &mut Vec<u8>) {
    let tick = number as u64;
    bytes.clear();
    bytes.extend(LbHeader::v2(Sent::lane(number), tick).as_bytes());
    bytes.extend(ReHeader::new(7, 0, (len - HEAD + 8) as u32, tick).as_bytes());
    bytes.extend(tick.to_be_bytes());
    let mut state = number as u64;
    while bytes.len() < len {
        bytes.extend(next(&mut state).to_le_bytes());
    }
    bytes.truncate(len);
}

/// Counts what each thread allocates: a worker must not.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: std::alloc::Layout) -> *mut u8 {
        // A thread that ends allocates without being counted.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: std::alloc::Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

struct Checker {
    seen: Vec<AtomicBool>,
    received: AtomicUsize,
}

impl Checker {
    fn check(&self, sent: &Sent, bytes: Pieces<'_>, got: &mut Vec<u8>, expected: &mut Vec<u8>) {
        got.resize(bytes.len(), 0);
        bytes.copy_to(got);
        let number = u64::from_be_bytes(got[HEAD - 8..HEAD].try_into().unwrap()) as usize;
        assert!(number < sent.count, "datagram {number} was never sent");
        fill(number, sent.len(number), expected);
        assert!(got == expected, "datagram {number} has other bytes than were sent");
        assert!(!self.seen[number].swap(true, Ordering::Relaxed), "datagram {number} came twice");
        self.received.fetch_add(1, Ordering::Release);
    }
}

/// What one worker did.
struct Worked {
    counters: SourceCounters,
    lanes: [usize; 8],
    most_pieces: usize,
    allocations: u64,
}

/// Receives at one host what the other sends; each worker on a thread.
pub(crate) fn receive_all(lab: &Lab, config: &ReceiveConfig, sent: &Sent) -> Run {
    let (receiver, sources) = lab.receiver.run(|| XdpReceiver::open(config).expect("opened"));
    let description = receiver.describe();
    assert_eq!(sources.len(), config.workers);
    let checker = Checker {
        seen: (0..sent.count).map(|_| AtomicBool::new(false)).collect(),
        received: AtomicUsize::new(0),
    };
    let stop = AtomicBool::new(false);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (worker, source) in sources.into_iter().enumerate() {
            let (checker, stop, results) = (&checker, &stop, &results);
            scope.spawn(move || {
                // Should a check fail, the test must not wait for the rest.
                let _stop = OnPanic(stop);
                let result = work(source, sent, checker, stop);
                results.lock().unwrap().push((worker, result));
            });
        }
        let _stop = OnPanic(&stop);
        lab.sender.run(|| send(config, sent, &checker.received, &stop));
        // What the program has seen is in a ring a moment later, which workers
        // drain before they stop, or lost for good.
        let lossy = sent.expect_loss || sent.expect_none;
        eventually(|| {
            let seen = receiver.program_counters().expect("counters")[0];
            let received = checker.received.load(Ordering::Acquire);
            let all = if lossy { seen >= sent.count as u64 } else { received >= sent.count };
            all || stop.load(Ordering::Acquire)
        });
        if lossy {
            std::thread::sleep(Duration::from_millis(100));
        }
        stop.store(true, Ordering::Release);
    });
    let program = receiver.program_counters().expect("counters");
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(worker, _)| *worker);
    let most_pieces = results.iter().map(|(_, worked)| worked.most_pieces).max().unwrap_or(0);
    Run {
        sent: *sent,
        description,
        program,
        most_pieces,
        allocations: results.iter().map(|(_, worked)| worked.allocations).sum(),
        lanes: results.iter().map(|(_, worked)| worked.lanes).collect(),
        counters: results.iter().map(|(_, worked)| worked.counters).collect(),
        distinct: checker.seen.iter().filter(|seen| seen.load(Ordering::Relaxed)).count(),
    }
}

struct OnPanic<'a>(&'a AtomicBool);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Release);
        }
    }
}

fn work(mut source: XdpSource, sent: &Sent, checker: &Checker, stop: &AtomicBool) -> Worked {
    let (wake, _waker) = UnixStream::pair().expect("pair");
    let (mut got, mut expected) = (Vec::with_capacity(1 << 16), Vec::with_capacity(1 << 16));
    let before = ALLOCATIONS.get();
    let (mut lanes, mut most_pieces) = ([0; 8], 0);
    loop {
        let stopping = stop.load(Ordering::Acquire);
        let count = source
            .receive(&mut |Datagram { lane, bytes }: Datagram<'_>| {
                checker.check(sent, bytes, &mut got, &mut expected);
                lanes[usize::from(lane)] += 1;
                most_pieces = most_pieces.max(bytes.iter().count());
            })
            .expect("receive");
        if count == 0 {
            if stopping {
                let allocations = ALLOCATIONS.get() - before;
                let counters = source.counters();
                return Worked { counters, lanes, most_pieces, allocations };
            }
            source.wait(wake.as_fd(), Duration::from_millis(5)).expect("wait");
        }
    }
}

/// Sends everything, with at most a window of datagrams on their way.
fn send(config: &ReceiveConfig, sent: &Sent, received: &AtomicUsize, stop: &AtomicBool) {
    // Several flows, so that several queues are fed.
    let any = if config.listen.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let sockets: Vec<UdpSocket> =
        (0..4).map(|_| UdpSocket::bind(any).expect("a UDP socket")).collect();
    let mut bytes = Vec::new();
    let mut counted = 0;
    for number in 0..sent.count {
        let lane = Sent::lane(number);
        fill(number, sent.len(number), &mut bytes);
        let port = PORT + if config.ports == 1 { 0 } else { lane };
        let to = SocketAddr::new(config.listen, port);
        let flow = (number / 8) % sockets.len();
        assert_eq!(sockets[flow].send_to(&bytes, to).expect("sent"), bytes.len());
        if sent.expect_none {
            continue;
        }
        counted += 1;
        let patience = Instant::now() + PATIENCE;
        while counted - received.load(Ordering::Acquire).min(counted) >= sent.window {
            assert!(!stop.load(Ordering::Acquire), "a receiver failed");
            assert!(Instant::now() < patience, "datagrams got lost on the way");
            std::thread::yield_now();
        }
    }
}
