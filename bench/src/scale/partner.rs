//! The thread that sends bursts, in the lab's sending host, on core 0.

use std::{net::SocketAddr, sync::mpsc};

use anyhow::Context;
use xdpsar::{EventOptions, Segmenter, SendBackend, XdpTransmitOptions};
use xdpsar_dataplane::pin;
use xdpsar_tests::Lab;

pub(crate) const PORT: u16 = 19522;
pub(crate) const MTU: u32 = 1500;
/// Bytes of an event in a full datagram.
pub(crate) const PAYLOAD: usize = MTU as usize - 28 - 36;

/// What is sent at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Burst {
    /// Events, which take the lanes in turn.
    pub(crate) events: usize,
    /// Datagrams of each.
    pub(crate) fragments: usize,
    /// Bytes of each.
    pub(crate) event: usize,
}

impl Burst {
    pub(crate) const fn datagrams(&self) -> usize {
        self.events * self.fragments
    }
}

/// How it is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// By AF_XDP through so many TX queues, which are the other end's RX
    /// queues: lanes take them in turn.
    Queues(u32),
    /// Datagram by datagram, by the kernel.
    Kernel,
}

impl Way {
    /// In the sending host.
    fn open(self, to: SocketAddr, ports: u16) -> anyhow::Result<Vec<Segmenter>> {
        let open = |backend, queue| {
            let options = XdpTransmitOptions { queue, ..XdpTransmitOptions::new() };
            let builder = Segmenter::builder(to).ports(ports).mtu(MTU).sockets(1);
            Ok(builder.backend(backend).xdp(options).open()?)
        };
        match self {
            Self::Queues(count) => {
                (0..count).map(|queue| open(SendBackend::Xdp, Some(queue))).collect()
            }
            Self::Kernel => Ok(vec![open(SendBackend::Mmsg, None)?]),
        }
    }
}

/// The receiver's end.
pub(crate) struct Partner {
    go: mpsc::Sender<()>,
    sent: mpsc::Receiver<anyhow::Result<()>>,
}

impl Partner {
    pub(crate) fn start(lab: &Lab, ports: u16, burst: Burst, way: Way) -> anyhow::Result<Self> {
        let to = SocketAddr::new(lab.receiver.address(false), PORT);
        let (go, going) = mpsc::channel::<()>();
        let (done, sent) = mpsc::channel();
        lab.sender.spawn(move || {
            let opened = pin::pin_current_thread(0).map_err(anyhow::Error::from);
            let opened = opened.and_then(|()| way.open(to, ports));
            let mut senders = match opened {
                Ok(senders) => senders,
                Err(error) => return done.send(Err(error)).unwrap_or(()),
            };
            let mut number = 0;
            let payload = vec![0x5a; burst.event];
            let mut result = Ok(());
            while done.send(result).is_ok() && going.recv().is_ok() {
                result = send(&mut senders, ports, &burst, &payload, &mut number);
            }
        });
        sent.recv().context("the partner ended")??;
        Ok(Self { go, sent })
    }

    /// Has a burst sent, and returns when that is done.
    pub(crate) fn burst(&self) -> anyhow::Result<()> {
        self.go.send(()).context("the partner is gone")?;
        self.sent.recv().context("the partner is gone")?
    }
}

fn send(
    senders: &mut [Segmenter],
    ports: u16,
    burst: &Burst,
    payload: &[u8],
    number: &mut u64,
) -> anyhow::Result<()> {
    let count = senders.len();
    for _ in 0..burst.events {
        let lane = (*number % u64::from(ports)) as u16;
        let options = EventOptions {
            event_number: Some(*number),
            entropy: Some(lane),
            ..EventOptions::default()
        };
        senders[usize::from(lane) % count].send_with(payload, options)?;
        *number += 1;
    }
    Ok(())
}
