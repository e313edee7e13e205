//! What is sent over which interface, and what becomes of it there.

use std::{
    fmt,
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context;
use nix::sys::socket::{setsockopt, sockopt};
use serde::{Deserialize, Serialize};
use xdpsar_tests::{Lab, LabConfig};

const PORT: u16 = 19522;
const RECEIVE_BUFFER: usize = 32 << 20;
/// A neighbour of the sender whose packets go to nobody at the cable's end.
const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 99);

/// An interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    /// Takes segmented messages as they are.
    Loopback,
    /// A veth pair, which takes them as they are: a NIC that cuts messages.
    Veth,
    /// A veth pair that has the kernel cut them: a NIC that does not.
    VethCut,
}

impl Way {
    const ALL: [Self; 3] = [Self::Loopback, Self::Veth, Self::VethCut];

    pub(crate) fn is_cable(self) -> bool {
        self != Self::Loopback
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Loopback => "loopback",
            Self::Veth => "veth",
            Self::VethCut => "veth, cut by the kernel",
        })
    }
}

/// What becomes of the datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sink {
    /// The kernel drops them: on a veth pair for another host's hardware
    /// address, before anything of IP; on the loopback interface at a socket
    /// that is full.
    #[default]
    Drop,
    /// A thread on core 1 takes them from a socket, in runs (`UDP_GRO`).
    Receive,
}

/// What is sent over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Case {
    pub(crate) way: Way,
    /// Largest IP datagram in bytes.
    pub(crate) mtu: u32,
    /// Bytes of an event.
    pub(crate) event: usize,
}

impl Case {
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for way in Way::ALL {
            for mtu in [1500, 9000] {
                for event in [1000, 10_000, 100_000, 1_000_000, 100_000_000] {
                    all.push(Self { way, mtu, event });
                }
            }
        }
        all
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { way, mtu, event } = self;
        match event / 1_000_000 {
            0 => write!(f, "{way} {mtu} {} KB", event / 1000),
            megabytes => write!(f, "{way} {mtu} {megabytes} MB"),
        }
    }
}

/// The interfaces, made when they are first needed.
pub(crate) struct Course {
    sink: Sink,
    lab: Option<Lab>,
}

impl Course {
    pub(crate) const fn new(sink: Sink) -> Self {
        Self { sink, lab: None }
    }

    /// Runs `send` on a thread of its own where `way` begins, with the address
    /// of the sink at its end.
    pub(crate) fn run<T: Send>(
        &mut self,
        way: Way,
        send: impl FnOnce(SocketAddr) -> T + Send,
    ) -> anyhow::Result<T> {
        let sink = self.sink;
        if !way.is_cable() {
            let end = End::open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), sink)?;
            let to = end.address;
            let ran = thread::scope(|scope| scope.spawn(|| send(to)).join());
            return ran.ok().context("the sender panicked");
        }
        let lab = self.lab.get_or_insert_with(|| Lab::new(LabConfig { queues: 1, mtu: 9000 }));
        lab.sender.offload("tx-udp-segmentation", way == Way::Veth);
        if sink == Sink::Drop {
            // An address that no interface of the lab has.
            let nobody = format!("{NOBODY} lladdr 02:00:00:00:00:99 dev {}", lab.sender.interface);
            lab.sender.tool(&format!("ip neigh replace {nobody} nud permanent"));
            return Ok(lab.sender.run(|| send((NOBODY, PORT).into())));
        }
        let at = SocketAddr::new(lab.receiver.address(false), PORT);
        let end = lab.receiver.run(|| End::open(at, sink))?;
        Ok(lab.sender.run(|| send(end.address)))
    }
}

/// A socket that takes what it has room for.
struct End {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
    _socket: Arc<UdpSocket>,
}

impl End {
    fn open(at: SocketAddr, sink: Sink) -> io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind(at)?);
        // Segmented messages are not cut for a socket that takes them whole.
        setsockopt(&socket, sockopt::UdpGroSegment, &true)?;
        let buffer = if sink == Sink::Drop { 0 } else { RECEIVE_BUFFER };
        // Without privileges the system's limit holds.
        if setsockopt(&socket, sockopt::RcvBufForce, &buffer).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &buffer)?;
        }
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let (address, stop) = (socket.local_addr()?, Arc::new(AtomicBool::new(false)));
        let reader = (sink == Sink::Receive).then(|| {
            let (socket, stop) = (Arc::clone(&socket), Arc::clone(&stop));
            thread::spawn(move || read(&socket, &stop))
        });
        Ok(Self { address, stop, reader, _socket: socket })
    }
}

fn read(socket: &UdpSocket, stop: &AtomicBool) {
    // It is as well anywhere.
    let _ = xdpsar_dataplane::pin::pin_current_thread(1);
    let mut buffer = vec![0; 1 << 16];
    while !stop.load(Ordering::Relaxed) {
        match socket.recv(&mut buffer) {
            Ok(_) => {}
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return,
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            // A reader that panicked has ended, too.
            let _ = reader.join();
        }
    }
}
