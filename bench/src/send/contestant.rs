//! Who competes.

use std::{fmt, net::SocketAddr};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use xdpsar::{Segmenter, SendBackend};
use xdpsar_bench::fragment::DATA_ID;
use xdpsar_wire::datagram::LB_RE_HEADER_LEN;

use crate::{
    bare::{Blaster, Messages, Parts},
    course::Way,
    incumbent::Incumbent,
    stream::Stream,
};

/// Sends one event over and over.
pub(crate) trait Sends {
    /// Sends it once more; returns when the kernel has it.
    fn send(&mut self) -> anyhow::Result<()>;

    /// System calls up to now.
    fn calls(&self) -> u64;
}

/// A way to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Contestant {
    /// Our segmenter, by segmentation offload.
    Gso,
    /// Our segmenter, by `sendmmsg`.
    Mmsg,
    /// Our segmenter, by AF_XDP.
    Xdp,
    /// Prepared datagrams, by segmentation offload.
    Blaster,
    /// Prepared datagrams, by `sendmmsg`.
    Sendmmsg,
    /// A loop like the incumbent's.
    Incumbent,
}

impl Contestant {
    /// All that can compete on `way`.
    pub(crate) fn on(way: Way) -> &'static [Self] {
        use Contestant::{Blaster, Gso, Incumbent, Mmsg, Sendmmsg, Xdp};
        match way {
            Way::Loopback => &[Gso, Mmsg, Blaster, Sendmmsg, Incumbent],
            Way::Veth => &[Gso, Mmsg, Xdp, Blaster, Sendmmsg, Incumbent],
            // Those that do not segment are the same there.
            Way::VethCut => &[Gso, Blaster, Incumbent],
        }
    }

    /// Opens it to send `event` to `to`, of which `stream` and `parts` are the
    /// prepared datagrams.
    pub(crate) fn open<'a>(
        self,
        to: SocketAddr,
        mtu: u32,
        event: &'a [u8],
        stream: &'a Stream,
        parts: &mut Option<&'a mut Parts<'_>>,
    ) -> anyhow::Result<Box<dyn Sends + 'a>> {
        let backend = match self {
            Self::Gso => SendBackend::Gso,
            Self::Mmsg => SendBackend::Mmsg,
            Self::Xdp => SendBackend::Xdp,
            Self::Blaster => return Ok(Box::new(Blaster::open(to, stream)?)),
            Self::Sendmmsg => {
                let parts = parts.take().context("they are one contestant's")?;
                return Ok(Box::new(Messages::open(to, parts)?));
            }
            Self::Incumbent => {
                let each = stream.datagram() - LB_RE_HEADER_LEN;
                return Ok(Box::new(Incumbent::open(to, event, each)?));
            }
        };
        let segmenter = Segmenter::builder(to).mtu(mtu).data_id(DATA_ID).backend(backend).open()?;
        Ok(Box::new(Ours { segmenter, backend, event }))
    }
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Gso => "gso",
            Self::Mmsg => "mmsg",
            Self::Xdp => "xdp",
            Self::Blaster => "bare GSO",
            Self::Sendmmsg => "bare sendmmsg",
            Self::Incumbent => "incumbent's loop",
        })
    }
}

/// What users call.
struct Ours<'a> {
    segmenter: Segmenter,
    backend: SendBackend,
    event: &'a [u8],
}

impl Sends for Ours<'_> {
    fn send(&mut self) -> anyhow::Result<()> {
        self.segmenter.send(self.event)?;
        // It would go on by another one.
        let kept = self.segmenter.backend() == self.backend;
        kept.then_some(()).with_context(|| self.segmenter.reason().to_owned())
    }

    fn calls(&self) -> u64 {
        self.segmenter.counters().syscalls
    }
}
