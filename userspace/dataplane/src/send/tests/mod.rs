//! Real sockets on the loopback interface, no privileges unless a test says
//! so.

mod backends;
mod flows;
mod open;
mod trouble;
mod veth;

use std::{
    collections::BTreeSet,
    net::{SocketAddr, UdpSocket},
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use xdpsar_wire::{Headers, LbFraming};

use super::*;
use crate::{host, sys};

/// Those that are sockets, and must not differ on the wire.
const BACKENDS: [SendBackend; 2] = [SendBackend::Gso, SendBackend::Mmsg];

/// A receiver and its address. Has no GRO: it sees datagrams as they cross
/// the wire.
fn receiver(address: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    sys::set_buffer(socket.as_fd(), libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, 8 << 20).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn next(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut bytes = vec![0; 65_536];
    let (len, from) = socket.recv_from(&mut bytes).unwrap();
    bytes.truncate(len);
    (bytes, from)
}

fn config(to: SocketAddr, mtu: u32, backend: SendBackend) -> SendConfig {
    SendConfig { mtu: Some(mtu), backend, ..SendConfig::new(to) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// One event as it came in.
struct Arrived {
    event: Vec<u8>,
    /// Offset and length of each fragment, in the order of arrival.
    cuts: Vec<(usize, usize)>,
    source_ports: BTreeSet<u16>,
}

/// Receives one event; `progress` counts its bytes.
fn receive_event(socket: &UdpSocket, progress: &AtomicU64) -> Arrived {
    let mut arrived =
        Arrived { event: Vec::new(), cuts: Vec::new(), source_ports: BTreeSet::new() };
    let (mut got, mut buffer) = (0, vec![0; 65_536]);
    loop {
        let (len, from) = socket.recv_from(&mut buffer).unwrap();
        let bytes = &buffer[..len];
        let headers = Headers::parse(bytes, LbFraming::Auto).unwrap();
        let (offset, length) = (headers.re.offset() as usize, headers.re.length() as usize);
        arrived.event.resize(length, 0);
        let payload = &bytes[headers.len..];
        arrived.event[offset..][..payload.len()].copy_from_slice(payload);
        arrived.cuts.push((offset, payload.len()));
        arrived.source_ports.insert(from.port());
        got += payload.len();
        progress.store(got as u64, Ordering::Release);
        if got == length {
            return arrived;
        }
    }
}

/// Lets out no more than the receiver has room for: no test depends on how
/// fast anybody is.
struct ClosedLoop {
    received: Arc<AtomicU64>,
    sent: u64,
    window: u64,
    overhead: u64,
    each: u64,
}

impl Pace for ClosedLoop {
    fn at_once(&self) -> u64 {
        self.window / 2
    }

    fn wait_for(&mut self, ip_bytes: u64) {
        assert!(ip_bytes <= self.window / 2);
        let since = Instant::now();
        // Event bytes, of which the receiver tells.
        let datagrams = ip_bytes.div_ceil(self.each + self.overhead);
        self.sent += ip_bytes - datagrams * self.overhead;
        while self.sent - self.received.load(Ordering::Acquire) > self.window {
            assert!(since.elapsed() < Duration::from_secs(60), "a datagram was lost");
            thread::yield_now();
        }
    }
}

/// Sends `event` while another thread receives it.
fn through(sender: &mut Sender, socket: &UdpSocket, event: Payload<'_>) -> Arrived {
    let received = Arc::new(AtomicU64::new(0));
    let granted = sys::get_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, 0).unwrap();
    let mut pace = ClosedLoop {
        received: Arc::clone(&received),
        sent: 0,
        // What a datagram occupies there is at most some five times its size,
        // at MTUs that are not tiny.
        window: granted as u64 / 8,
        overhead: u64::from(sender.mtu()) - sender.max_payload() as u64,
        each: sender.max_payload() as u64,
    };
    thread::scope(|scope| {
        let arrived = scope.spawn(|| receive_event(socket, &received));
        sender.send_paced(&OutgoingEvent::default(), event, &mut pace).unwrap();
        arrived.join().unwrap()
    })
}

/// Runs `test` in a network namespace of its own, which ends with it; the
/// loopback interface there has an MTU of 1500 and the commands have run.
fn in_own_network(commands: &[&str], test: impl FnOnce() + Send) {
    // SAFETY: no pointers.
    if unsafe { libc::geteuid() } != 0 {
        assert!(
            std::env::var("XDPSAR_REQUIRE_PRIVILEGED").as_deref() != Ok("1"),
            "a network namespace needs root"
        );
        println!("skipped: a network namespace needs root");
        return;
    }
    thread::scope(|scope| {
        // The namespace is this thread's alone, and its children's.
        scope.spawn(|| {
            // SAFETY: no pointers.
            sys::check(unsafe { libc::unshare(libc::CLONE_NEWNET) }).unwrap();
            run("ip link set lo mtu 1500 up");
            commands.iter().for_each(|command| run(command));
            test();
        });
    });
}

fn run(command: &str) {
    let mut words = command.split(' ');
    let status = std::process::Command::new(words.next().unwrap()).args(words).status();
    assert!(status.unwrap().success(), "{command}");
}
